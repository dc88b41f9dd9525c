//! What the control plane and the agent agree on: kinds, objects, keys, selectors, quantities and errors.
//! Pure: no I/O, no clock, no randomness.
#![deny(missing_docs)]

pub mod correlation;
pub mod error;
pub mod field;
pub mod jsonpath;
pub mod kind;
pub mod kinds;
pub mod meta;
pub mod names;
pub mod object;
pub mod pod;
pub mod pod_traffic;
pub mod quantity;
pub mod selector;
pub mod well_known;

pub use error::Error;
pub use field::FieldError;
pub use jsonpath::JsonPath;
pub use kind::{Kind, Scope, Subresource};
pub use object::{Draft, Header, Key, Object, Owner};
pub use quantity::Quantity;
