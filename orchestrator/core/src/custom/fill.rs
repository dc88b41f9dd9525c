//! Pruning and defaulting by a structural schema.

use super::schema::Schema;
use serde_json::{Map, Value};

/// What every object of the API has, whatever its schema says.
const IDENTITY: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Drops what the schema does not know. `is_resource`: the value is a whole object of the API.
pub(super) fn prune(schema: &Schema, value: &mut Value, is_resource: bool) {
    match value {
        Value::Object(map) => {
            map.retain(|name, value| {
                if is_resource && IDENTITY.contains(&name.as_str()) {
                    return true;
                }
                let Some(below) = schema.below(name) else { return schema.open };
                prune(below, value, below.embedded);
                true
            });
        }
        Value::Array(values) => {
            if let Some(item) = &schema.items {
                values.iter_mut().for_each(|value| prune(item, value, item.embedded));
            }
        }
        _ => {}
    }
}

/// Drops fields that are null where the schema allows no null. Those that have a default get it later.
pub(super) fn drop_nulls(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => map.retain(|name, value| {
            let Some(below) = schema.below(name) else { return true };
            drop_nulls(below, value);
            !value.is_null() || below.nullable || below.default.is_some()
        }),
        Value::Array(values) => {
            if let Some(item) = &schema.items {
                values.iter_mut().for_each(|value| drop_nulls(item, value));
            }
        }
        _ => {}
    }
}

/// Fills in defaults where nothing is said. A null that may not be one counts as nothing if there is a default.
pub(super) fn default(schema: &Schema, value: &mut Value) {
    match value {
        Value::Object(map) => default_fields(schema, map),
        Value::Array(values) => {
            if let Some(item) = &schema.items {
                values.iter_mut().for_each(|value| default(item, value));
            }
        }
        _ => {}
    }
}

fn default_fields(schema: &Schema, map: &mut Map<String, Value>) {
    for (name, below) in &schema.properties {
        let Some(wanted) = &below.default else { continue };
        match map.get(name) {
            None => _ = map.insert(name.clone(), wanted.clone()),
            Some(Value::Null) if !below.nullable => _ = map.insert(name.clone(), wanted.clone()),
            Some(_) => {}
        }
    }
    for (name, value) in map {
        if let Some(below) = schema.below(name) {
            default(below, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unknown_fields_go_unless_the_schema_keeps_them() {
        let schema = Schema::read(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"b": {"type": "string"}}}},
                "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
                    "closed": {"type": "object", "properties": {}}}},
                "pod": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {}}}}}}));
        let mut value = json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "a"}, "other": 1, "spec": {
            "list": [{"a": "1", "x": 1}], "map": {"k": {"b": "1", "x": 1}}, "extra": {}, "open": {"y": {"z": 1}, "closed": {"x": 1}},
            "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": {}}}});
        prune(&schema, &mut value, true);
        assert_eq!(
            value,
            json!({"apiVersion": "v1", "kind": "K", "metadata": {"name": "a"}, "spec": {
            "list": [{"a": "1"}], "map": {"k": {"b": "1"}}, "open": {"y": {"z": 1}, "closed": {}},
            "pod": {"apiVersion": "v1", "kind": "Pod", "metadata": {}}}})
        );
    }

    #[test]
    fn nulls_go_where_they_mean_nothing() {
        let text = || json!({"type": "string"});
        let schema = Schema::read(&json!({"type": "object", "properties": {
            "gone": text(), "kept": {"type": "string", "nullable": true}, "default": {"type": "string", "default": "x"},
            "map": {"type": "object", "additionalProperties": text()}, "any": {"type": "object", "additionalProperties": true},
            "list": {"type": "array", "items": {"type": "object", "properties": {"gone": text()}}},
            "open": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}));
        let mut value = json!({"gone": null, "kept": null, "default": null, "map": {"a": null, "b": "1"},
            "any": {"a": null}, "list": [{"gone": null}, null], "open": {"a": null}});
        drop_nulls(&schema, &mut value);
        assert_eq!(
            value,
            json!({"kept": null, "default": null, "map": {"b": "1"}, "any": {"a": null}, "list": [{}, null],
                "open": {"a": null}})
        );
    }

    #[test]
    fn defaults_stand_in_for_what_is_missing_or_null() {
        let schema = Schema::read(&json!({"type": "object", "properties": {
            "a": {"type": "object", "default": {}, "properties": {"b": {"type": "integer", "default": 3}}},
            "n": {"type": "string", "default": "x"}, "m": {"type": "string", "default": "x", "nullable": true},
            "list": {"type": "array", "items": {"type": "object", "properties": {"p": {"type": "string", "default": "TCP"}}}}}}));
        let mut value = json!({"n": null, "m": null, "list": [{}, {"p": "UDP"}]});
        default(&schema, &mut value);
        assert_eq!(value, json!({"a": {"b": 3}, "n": "x", "m": null, "list": [{"p": "TCP"}, {"p": "UDP"}]}));
    }
}
