//! `/openapi/v2`: what the documents of `/openapi/v3` tell, in one document of the older form.

use serde_json::{Map, Value, json};

/// One document made of the v3 `documents`.
pub(super) fn document(documents: impl Iterator<Item = Value>) -> Value {
    let (mut paths, mut definitions) = (Map::new(), Map::new());
    for mut document in documents {
        for (name, item) in object(document["paths"].take()) {
            paths.insert(name, path(item));
        }
        for (name, type_) in object(document["components"]["schemas"].take()) {
            add(&mut definitions, name, schema(type_));
        }
    }
    json!({
        "swagger": "2.0",
        "info": { "title": "Kubernetes", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "definitions": definitions,
    })
}

/// A type that several groups use is the same in all of them, but only its own group says which kind it is, or several versions
/// of it do.
fn add(definitions: &mut Map<String, Value>, name: String, mut definition: Value) {
    const KINDS: &str = "x-kubernetes-group-version-kind";
    let Some(known) = definitions.get(&name) else {
        definitions.insert(name, definition);
        return;
    };
    let known = known[KINDS].as_array().cloned().unwrap_or_default();
    if let Some(Value::Array(kinds)) = definition.get_mut(KINDS) {
        kinds.splice(0..0, known);
        definitions.insert(name, definition);
    }
}

/// A schema: references stand alone, and what is one of several types is a string.
fn schema(value: Value) -> Value {
    let mut old = Map::new();
    for (key, value) in object(value) {
        match key.as_str() {
            "allOf" => {
                let parts = value.as_array().into_iter().flatten().cloned();
                old.extend(parts.flat_map(|part| object(schema(part))));
            }
            "oneOf" => _ = old.insert("type".into(), "string".into()),
            "$ref" => {
                let name = value.as_str().and_then(|text| text.rsplit('/').next()).unwrap_or_default();
                old.insert(key, format!("#/definitions/{name}").into());
            }
            "properties" => {
                let converted = object(value).into_iter().map(|(name, value)| (name, schema(value)));
                old.insert(key, Value::Object(converted.collect()));
            }
            "items" | "additionalProperties" => _ = old.insert(key, schema(value)),
            _ => _ = old.insert(key, value),
        }
    }
    Value::Object(old)
}

fn path(item: Value) -> Value {
    let convert = |(key, value): (String, Value)| match key.as_str() {
        "parameters" => (key, parameters(value)),
        _ => (key, operation(value)),
    };
    Value::Object(object(item).into_iter().map(convert).collect())
}

/// A body is a parameter, and its media types are said beside it.
fn operation(mut operation: Value) -> Value {
    operation["parameters"] = parameters(operation["parameters"].take());
    let body = operation.as_object_mut().and_then(|fields| fields.remove("requestBody"));
    if let Some(mut body) = body {
        let types: Vec<String> = object(body["content"].take()).into_iter().map(|(name, _)| name).collect();
        operation["consumes"] = json!(types);
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            let schema = json!({ "type": "object" });
            parameters.push(json!({ "name": "body", "in": "body", "required": true, "schema": schema }));
        }
    }
    operation
}

/// A parameter says its type itself.
fn parameters(mut list: Value) -> Value {
    for parameter in list.as_array_mut().into_iter().flatten() {
        let Some(fields) = parameter.as_object_mut() else { continue };
        let type_ = fields.remove("schema").map(object).unwrap_or_default();
        fields.extend(type_);
    }
    list
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_stand_alone_and_variants_are_strings() {
        let v3 = json!({
            "type": "object",
            "properties": {
                "spec": { "allOf": [{ "$ref": "#/components/schemas/a.Spec" }], "description": "d" },
                "list": { "type": "array", "items": { "allOf": [{ "$ref": "#/components/schemas/a.Item" }] } },
                "port": { "format": "int-or-string", "oneOf": [{ "type": "integer" }, { "type": "string" }] },
            },
        });
        let v2 = json!({
            "type": "object",
            "properties": {
                "spec": { "$ref": "#/definitions/a.Spec", "description": "d" },
                "list": { "type": "array", "items": { "$ref": "#/definitions/a.Item" } },
                "port": { "format": "int-or-string", "type": "string" },
            },
        });
        assert_eq!(schema(v3), v2);
    }

    #[test]
    fn a_body_is_a_parameter() {
        let v3 = json!({
            "parameters": [{ "name": "dryRun", "in": "query", "schema": { "type": "string" } }],
            "requestBody": { "content": { "application/json": {} } },
        });
        let v2 = operation(v3);
        assert_eq!(v2["consumes"], json!(["application/json"]));
        assert_eq!(v2["parameters"][0], json!({ "name": "dryRun", "in": "query", "type": "string" }));
        assert_eq!(v2["parameters"][1]["in"], "body");
        assert!(v2.get("requestBody").is_none());
    }

    #[test]
    fn a_kind_is_named_by_its_own_group() {
        let mut definitions = Map::new();
        let kind = json!({ "x-kubernetes-group-version-kind": [{ "kind": "Pod" }] });
        add(&mut definitions, "Pod".into(), json!({}));
        add(&mut definitions, "Pod".into(), kind.clone());
        add(&mut definitions, "Pod".into(), json!({}));
        assert_eq!(definitions["Pod"], kind);
    }
}
