//! Schemas of types, derived from the schema table.

use peapod_core::custom::Custom;
use peapod_core::schema::descriptions::Descriptions;
use peapod_core::schema::{Field, FieldType, ListType, Type, object_meta};
use peapod_core::served::Served;
use serde_json::{Map, Value, json};

/// The schemas of the kinds and of every type that they are made of.
pub(super) fn of(kinds: &[Served]) -> Map<String, Value> {
    let mut schemas = Map::new();
    let descriptions =
        kinds.first().map_or_else(Descriptions::default, |kind| Descriptions::of(&kind.api_version()));
    for kind in kinds {
        let own = json!([{ "group": kind.group, "version": kind.version, "kind": kind.kind }]);
        if let Some(custom) = kind.custom() {
            let (name, mut schema) = published(custom, &mut schemas);
            schema["x-kubernetes-group-version-kind"] = own;
            schemas.insert(name, schema);
            continue;
        }
        let Ok(ty) = kind.ty() else { continue };
        add(&mut schemas, &descriptions, ty);
        // Two versions may have one type.
        match &mut schemas[&ty.name]["x-kubernetes-group-version-kind"] {
            Value::Array(known) => known.extend(own.as_array().into_iter().flatten().cloned()),
            none => *none = own,
        }
    }
    schemas
}

/// The schema of a custom resource under its name in documents, with what every object has. What it refers to is added
/// to `schemas`.
fn published(custom: &Custom, schemas: &mut Map<String, Value>) -> (String, Value) {
    let descriptions = Descriptions::of("v1");
    let metadata = object_meta();
    add_below(schemas, &descriptions, &metadata);
    let mut schema = custom.published.clone();
    if !schema["properties"].is_object() {
        schema["properties"] = json!({});
    }
    let text = |name: &str| {
        let config_map = peapod_core::schema::lookup("io.k8s.api.core.v1.ConfigMap");
        let words = config_map.and_then(|ty| descriptions.of_field(ty, ty.field(name)?));
        words.unwrap_or_default().to_string()
    };
    for name in ["apiVersion", "kind"] {
        schema["properties"][name] = json!({ "type": "string", "description": text(name) });
    }
    schema["properties"]["metadata"] = of_type(&metadata);
    schema["properties"]["metadata"]["description"] = text("metadata").into();
    let kind = &custom.kind;
    let package: Vec<&str> = kind.group.rsplit('.').collect();
    (format!("{}.{}.{}", package.join("."), kind.version, kind.kind), schema)
}

/// A document whose schemas say nothing that the older form has no words for.
pub(super) fn without_newer_words(mut document: Value) -> Value {
    for schema in
        document["components"]["schemas"].as_object_mut().into_iter().flatten().map(|(_, value)| value)
    {
        if schema["x-kubernetes-group-version-kind"].is_array() {
            older_words(schema);
        }
    }
    document
}

fn older_words(schema: &mut Value) {
    const KNOWN: [&str; 12] = [
        "$ref",
        "additionalProperties",
        "allOf",
        "default",
        "description",
        "enum",
        "format",
        "items",
        "properties",
        "required",
        "title",
        "type",
    ];
    let Some(map) = schema.as_object_mut() else { return };
    let refers = map.get("allOf").is_some_and(|list| list[0]["$ref"].is_string());
    map.retain(|name, value| match name.as_str() {
        "allOf" => refers,
        "additionalProperties" => value.is_object(),
        "default" => !value.is_null(),
        name => KNOWN.contains(&name) || name.starts_with("x-kubernetes-"),
    });
    map.remove("x-kubernetes-validations");
    for name in ["items", "additionalProperties"] {
        map.get_mut(name).map(older_words);
    }
    map.get_mut("properties")
        .and_then(Value::as_object_mut)
        .into_iter()
        .flatten()
        .for_each(|(_, below)| older_words(below));
}

fn add(schemas: &mut Map<String, Value>, descriptions: &Descriptions, ty: &Type) {
    if schemas.contains_key(&ty.name) {
        return;
    }
    // Entered before its fields: types may contain themselves.
    schemas.insert(ty.name.clone(), Value::Null);
    let properties: Map<String, Value> =
        ty.fields.iter().map(|field| (field.name.clone(), described(descriptions, ty, field))).collect();
    let mut schema = json!({ "type": "object", "properties": properties });
    let required: Vec<&str> = ty.fields.iter().filter(|f| f.required).map(|f| f.name.as_str()).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if let Some(text) = descriptions.of_type(ty) {
        schema["description"] = text.into();
    }
    if ty.atomic {
        schema["x-kubernetes-map-type"] = "atomic".into();
    }
    schemas.insert(ty.name.clone(), schema);
    for field in &ty.fields {
        add_below(schemas, descriptions, &field.kind);
    }
}

/// Adds what the schema of a field refers to.
fn add_below(schemas: &mut Map<String, Value>, descriptions: &Descriptions, kind: &FieldType) {
    match kind {
        FieldType::List(item) | FieldType::Map(item) => add_below(schemas, descriptions, item),
        FieldType::Object(reference) => add(schemas, descriptions, reference.get()),
        _ => {
            let Some((name, mut schema)) = scalar(kind) else { return };
            if let Some(text) = descriptions.of_name(name) {
                schema["description"] = text.into();
            }
            schemas.insert(name.into(), schema);
        }
    }
}

fn described(descriptions: &Descriptions, ty: &Type, field: &Field) -> Value {
    let mut value = property(field);
    if let Some(text) = descriptions.of_field(ty, field) {
        value["description"] = text.into();
    }
    value
}

fn property(field: &Field) -> Value {
    let mut value = of_type(&field.kind);
    if let Some(default) = &field.default {
        value["default"] = default.clone();
    }
    if !field.values.is_empty() {
        value["enum"] = json!(field.values);
    }
    if matches!(field.kind, FieldType::List(_)) {
        match &field.list {
            ListType::Atomic => value["x-kubernetes-list-type"] = "atomic".into(),
            ListType::Set => value["x-kubernetes-list-type"] = "set".into(),
            ListType::Map(keys) => {
                value["x-kubernetes-list-type"] = "map".into();
                value["x-kubernetes-list-map-keys"] = json!(keys);
            }
        }
    } else if field.atomic {
        value["x-kubernetes-map-type"] = "atomic".into();
    }
    let patch = &field.patch;
    let strategies = [(patch.merge, "merge"), (patch.replace, "replace"), (patch.retain_keys, "retainKeys")];
    let strategies: Vec<&str> = strategies.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
    if !strategies.is_empty() {
        value["x-kubernetes-patch-strategy"] = strategies.join(",").into();
    }
    if let Some(key) = &patch.key {
        value["x-kubernetes-patch-merge-key"] = key.as_str().into();
    }
    value
}

fn of_type(kind: &FieldType) -> Value {
    if let Some((name, _)) = scalar(kind) {
        return reference(name);
    }
    match kind {
        FieldType::String => json!({ "type": "string" }),
        FieldType::Int32 => json!({ "type": "integer", "format": "int32" }),
        FieldType::Int64 => json!({ "type": "integer", "format": "int64" }),
        FieldType::Bool => json!({ "type": "boolean" }),
        FieldType::Double => json!({ "type": "number", "format": "double" }),
        FieldType::Bytes => json!({ "type": "string", "format": "byte" }),
        FieldType::Items => json!({ "type": "array", "items": { "type": "string" } }),
        FieldType::List(item) => json!({ "type": "array", "items": of_type(item) }),
        FieldType::Map(item) => json!({ "type": "object", "additionalProperties": of_type(item) }),
        FieldType::Object(object) => reference(&object.get().name),
        _ => json!({}),
    }
}

fn reference(name: &str) -> Value {
    json!({ "allOf": [{ "$ref": format!("#/components/schemas/{name}") }] })
}

macro_rules! extension {
    ($name:literal) => {
        concat!("io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.", $name)
    };
}

/// The name and schema of a type that has a name of its own, but no fields.
fn scalar(kind: &FieldType) -> Option<(&'static str, Value)> {
    let time = json!({ "type": "string", "format": "date-time" });
    let (name, schema) = match kind {
        FieldType::Time => ("io.k8s.apimachinery.pkg.apis.meta.v1.Time", time),
        FieldType::MicroTime => ("io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime", time),
        FieldType::Duration => ("io.k8s.apimachinery.pkg.apis.meta.v1.Duration", json!({ "type": "string" })),
        FieldType::FieldsV1 => ("io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1", json!({ "type": "object" })),
        FieldType::Raw => ("io.k8s.apimachinery.pkg.runtime.RawExtension", json!({ "type": "object" })),
        FieldType::Quantity => {
            let schema = json!({ "oneOf": [{ "type": "string" }, { "type": "number" }] });
            ("io.k8s.apimachinery.pkg.api.resource.Quantity", schema)
        }
        FieldType::IntOrString => {
            let one_of = json!([{ "type": "integer" }, { "type": "string" }]);
            let schema = json!({ "format": "int-or-string", "oneOf": one_of });
            ("io.k8s.apimachinery.pkg.util.intstr.IntOrString", schema)
        }
        // An empty schema would say the same, but is none to kubectl.
        FieldType::Json => (extension!("JSON"), json!({ "description": "Any JSON value." })),
        FieldType::SchemaOrArray => (
            extension!("JSONSchemaPropsOrArray"),
            json!({ "description": "A schema, or an array of schemas." }),
        ),
        FieldType::SchemaOrBool => {
            (extension!("JSONSchemaPropsOrBool"), json!({ "description": "A schema, or a boolean." }))
        }
        FieldType::SchemaOrStrings => {
            let text = "A schema, or an array of names.";
            (extension!("JSONSchemaPropsOrStringArray"), json!({ "description": text }))
        }
        _ => return None,
    };
    Some((name, schema))
}
