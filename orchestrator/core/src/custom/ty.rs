//! A structural schema as a type of the schema table: what server-side apply, managed fields and the search for unknown
//! fields work with.

use super::schema::Schema;
use crate::schema::{Field, FieldType, ListType, Type, TypeRef, object_meta};
use std::sync::Arc;

/// The type of the objects of a kind.
pub(super) fn of_kind(name: &str, schema: &Schema) -> Type {
    let mut ty = of_object(name, schema, true);
    ty.top = true;
    ty
}

fn of_object(name: &str, schema: &Schema, is_resource: bool) -> Type {
    let mut fields = Vec::new();
    if is_resource {
        let metadata = Field::new("metadata", object_meta());
        fields.extend(["apiVersion", "kind"].map(|name| Field::new(name, FieldType::String)));
        fields.push(metadata);
    }
    let own = schema
        .properties
        .iter()
        .filter(|(name, _)| !(is_resource && matches!(name.as_str(), "apiVersion" | "kind" | "metadata")));
    fields.extend(own.map(|(field, below)| of_field(&format!("{name}.{field}"), field, below)));
    let mut ty = Type::new(name, fields);
    ty.open = schema.open;
    ty.atomic = schema.atomic;
    ty
}

fn of_field(path: &str, name: &str, schema: &Schema) -> Field {
    let mut field = Field::new(name, of_value(path, schema));
    // What was written stays as it was written.
    field.pointer = true;
    field.omit_empty = false;
    field.nullable = schema.nullable;
    field.default = schema.default.clone();
    field.atomic = schema.atomic;
    field.list = match schema.list_type.as_str() {
        "set" => ListType::Set,
        "map" => ListType::Map(schema.map_keys.clone()),
        _ => ListType::Atomic,
    };
    field
}

fn of_value(path: &str, schema: &Schema) -> FieldType {
    let object = || FieldType::Object(TypeRef::Inline(Arc::new(of_object(path, schema, schema.embedded))));
    match (schema.type_.as_str(), &schema.additional, &schema.items) {
        (_, Some(item), _) if schema.properties.is_empty() => FieldType::Map(Box::new(of_value(path, item))),
        ("object", ..) => object(),
        ("array", _, Some(item)) => FieldType::List(Box::new(of_value(path, item))),
        ("string", ..) => FieldType::String,
        ("integer", ..) => FieldType::Int64,
        ("number", ..) => FieldType::Double,
        ("boolean", ..) => FieldType::Bool,
        _ if schema.open => object(),
        _ => FieldType::Any,
    }
}
