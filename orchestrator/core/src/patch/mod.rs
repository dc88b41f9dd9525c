//! The ways to change a part of an object.
//!
//! | media type | function |
//! |---|---|
//! | `application/json-patch+json` | [`json::apply`] |
//! | `application/merge-patch+json` | [`merge::apply`] |
//! | `application/strategic-merge-patch+json` | [`strategic::apply`] |

pub mod json;
pub mod merge;
pub mod strategic;
