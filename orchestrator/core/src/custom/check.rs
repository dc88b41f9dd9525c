//! Validation of a value by a structural schema, worded as Kubernetes words it.

use super::limits::check_limits;
use super::schema::Schema;
use crate::validation::{Errors, child};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::HashSet;

/// Most errors that are gathered for one object: what follows only repeats.
const MAX_ERRORS: usize = 100;

/// What is wrong with an object that takes the place of `old`: what stays as it was is not judged again.
pub(super) fn check_change(schema: &Schema, value: &Value, old: Option<&Value>, errors: &mut Errors) {
    let mut found = Errors::new();
    check(schema, value, "", &mut found);
    if let Some(old) = old.filter(|_| !found.is_empty()) {
        let mut before = Errors::new();
        check(schema, old, "", &mut before);
        found.retain(|error| !before.contains(error));
    }
    errors.extend(found);
}

/// What is wrong with `value` at `path`.
pub(super) fn check(schema: &Schema, value: &Value, path: &str, errors: &mut Errors) {
    if errors.len() >= MAX_ERRORS || value.is_null() && schema.nullable {
        return;
    }
    if !fits(schema, value) {
        let wanted = if schema.int_or_string { "integer,string" } else { &schema.type_ };
        let found = Value::from(type_of(value));
        let why = format!("{path} in body must be of type {wanted}: {found}");
        errors.push(FieldError::type_invalid(at(path), &found, &why));
        return;
    }
    check_limits(&schema.limits, value, path, errors);
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if let Some(below) = schema.below(name) {
                    check(below, value, &child(path, name), errors);
                }
            }
        }
        Value::Array(values) => {
            if let Some(item) = &schema.items {
                for (index, value) in values.iter().enumerate() {
                    check(item, value, &format!("{path}[{index}]"), errors);
                }
            }
            check_unique(schema, values, path, errors);
        }
        _ => {}
    }
}

/// Kubernetes' path of what has none.
pub(super) fn at(path: &str) -> &str {
    if path.is_empty() { "<nil>" } else { path }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(n) if n.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn fits(schema: &Schema, value: &Value) -> bool {
    let is_whole = |n: &serde_json::Number| !n.is_f64() || n.as_f64().is_some_and(|n| n.fract() == 0.0);
    match (schema.type_.as_str(), value) {
        ("", _) if schema.int_or_string => value.is_string() || value.as_number().is_some_and(is_whole),
        ("", Value::Null) => schema.open || schema.limits.values.contains(&Value::Null),
        ("", _) => true,
        ("integer", Value::Number(n)) => is_whole(n),
        ("number", Value::Number(_)) => true,
        (wanted, value) => wanted == type_of(value),
    }
}

/// Items of sets and keys of maps stand once.
fn check_unique(schema: &Schema, values: &[Value], path: &str, errors: &mut Errors) {
    let keys_of = |item: &Value| -> Value {
        let key = |name: &String| {
            let default = || schema.items.as_ref()?.properties.get(name)?.default.clone();
            Some((name.clone(), item.get(name).cloned().or_else(default)?))
        };
        Value::Object(schema.map_keys.iter().filter_map(key).collect())
    };
    let mut seen = HashSet::new();
    for (index, item) in values.iter().enumerate() {
        let identity = match schema.list_type.as_str() {
            "set" => item.clone(),
            "map" => keys_of(item),
            _ => return,
        };
        if !seen.insert(identity.to_string()) {
            errors.push(FieldError::duplicate(&format!("{path}[{index}]"), &identity));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn faults(schema: Value, value: Value) -> Vec<String> {
        let mut errors = Errors::new();
        check(&Schema::read(&schema), &value, "spec", &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_are_judged_in_kubernetes_words() {
        let words = |schema: Value, value: Value| faults(schema, value).join("; ");
        for (schema, value, expected) in [
            (
                json!({"type": "integer"}),
                json!("x"),
                r#"spec: Invalid value: "string": spec in body must be of type integer: "string""#,
            ),
            (
                json!({"type": "string"}),
                json!(null),
                r#"spec: Invalid value: "null": spec in body must be of type string: "null""#,
            ),
            (
                json!({"type": "string", "enum": ["a", "b"]}),
                json!("c"),
                r#"spec: Unsupported value: "c": supported values: "a", "b""#,
            ),
            (
                json!({"type": "integer", "minimum": 1}),
                json!(0),
                "spec: Invalid value: 0: spec in body should be greater than or equal to 1",
            ),
            (
                json!({"type": "integer", "maximum": 5, "exclusiveMaximum": true}),
                json!(5),
                "spec: Invalid value: 5: spec in body should be less than 5",
            ),
            (
                json!({"type": "string", "pattern": "^a+$"}),
                json!("b"),
                r#"spec: Invalid value: "b": spec in body should match '^a+$'"#,
            ),
            (
                json!({"type": "string", "minLength": 2}),
                json!("b"),
                r#"spec: Invalid value: "b": spec in body should be at least 2 chars long"#,
            ),
            (json!({"type": "object", "required": ["a"]}), json!({}), "spec.a: Required value"),
            (
                json!({"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}}),
                json!(["a", "a"]),
                r#"spec[1]: Duplicate value: "a""#,
            ),
            (
                json!({"type": "array", "maxItems": 1, "items": {"type": "string"}}),
                json!(["a", "b"]),
                "spec: Too many: 2: must have at most 1 items",
            ),
            (
                json!({"type": "string", "format": "date-time"}),
                json!("now"),
                r#"spec: Invalid value: "now": spec in body must be of type date-time: "now""#,
            ),
            (
                json!({"type": "integer", "format": "int32"}),
                json!(3_000_000_000u64),
                r#"spec: Invalid value: 3000000000: spec in body must be of type int32: "3000000000""#,
            ),
            (
                json!({"not": {"enum": ["a"]}, "type": "string"}),
                json!("a"),
                r#"<nil>: Invalid value: "": "spec" must not validate the schema (not)"#,
            ),
        ] {
            assert_eq!(words(schema, value), expected);
        }
    }

    #[test]
    fn keys_of_maps_are_unique_with_their_defaults() {
        let schema = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {"type": "object", "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}}}});
        let found = faults(schema, json!([{"port": 1}, {"port": 2}, {"port": 1, "protocol": "TCP"}]));
        assert_eq!(found, [r#"spec[2]: Duplicate value: {"port":1,"protocol":"TCP"}"#]);
    }

    #[test]
    fn combinations_are_judged() {
        let one = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}]});
        assert!(faults(one.clone(), json!({"a": "x"})).is_empty());
        assert!(faults(one.clone(), json!({"a": "x", "b": "y"}))[0].contains("Found 2 valid alternatives"));
        assert!(faults(one, json!({}))[0].contains("Found none valid"));
        let port =
            json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
        assert!(faults(port.clone(), json!(1)).is_empty() && faults(port.clone(), json!("50%")).is_empty());
        assert_eq!(faults(port, json!(true)).len(), 1);
        let all = json!({"type": "integer", "allOf": [{"minimum": 1}, {"maximum": 3}]});
        assert!(faults(all.clone(), json!(2)).is_empty());
        assert!(faults(all, json!(4))[0].ends_with("must validate all the schemas (allOf)"));
    }

    #[test]
    fn nullable_and_open_values_pass() {
        assert!(faults(json!({"type": "string", "nullable": true}), json!(null)).is_empty());
        assert!(
            faults(json!({"x-kubernetes-preserve-unknown-fields": true}), json!([1, {"a": null}])).is_empty()
        );
        assert!(faults(json!({"type": "number"}), json!(1)).is_empty());
        assert!(faults(json!({"type": "integer"}), json!(1.0)).is_empty());
    }
}
