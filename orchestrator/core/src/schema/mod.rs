//! The published API types as one table, and what it drives: decoding, defaults, validation, protobuf and OpenAPI.
//!
//! The order in which the front door uses it: [`decode`] (JSON) or [`protobuf`] -> [`decode::object`] (types, unknown
//! fields) -> [`normalize`](normalize::normalize) -> [`apply_defaults`] -> [`validate`](validate::validate).

pub mod decode;
pub mod defaults;
pub mod descriptions;
pub mod normalize;
mod path;
pub mod protobuf;
#[cfg(test)]
pub(crate) mod samples;
mod table;
mod types;
pub mod validate;
pub mod yaml;

pub use defaults::apply_defaults;
pub use table::{kinds, lookup, lookup_kind, names};
pub use types::{Field, FieldType, ListType, Patch, Type, TypeRef};

/// What the field `metadata` of every kind holds.
pub fn object_meta() -> FieldType {
    FieldType::Object(TypeRef::named("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"))
}
