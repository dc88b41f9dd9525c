//! The four ways to change a part of an object, and the record of who manages which field.
//!
//! | media type | function |
//! |---|---|
//! | `application/json-patch+json` | [`json::apply`] |
//! | `application/merge-patch+json` | [`merge::apply`] |
//! | `application/strategic-merge-patch+json` | [`strategic::apply`] |
//! | `application/apply-patch+yaml` | [`apply::apply`] |
//!
//! After the first three, as after a create or an update, the front door normalizes, defaults and then calls
//! [`managed_fields::update`]; [`apply::apply`] writes the managed fields itself and is followed by normalizing and
//! defaulting.

pub mod apply;
mod field_set;
pub mod json;
pub mod managed_fields;
pub mod merge;
pub mod strategic;
mod structure;
pub mod typed;

pub use managed_fields::Operation;

/// `live` with a configuration merged in as server-side apply does, whoever owns what.
pub(crate) fn merged(
    ty: &crate::schema::Type,
    live: &serde_json::Value,
    config: &serde_json::Value,
) -> serde_json::Value {
    structure::merge(ty, live, config)
}
