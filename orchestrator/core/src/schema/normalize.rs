//! The one form in which an object is stored and compared: what a round trip through Kubernetes' typed decoder leaves.
//!
//! Unknown fields, nulls and empty optional values go; embedded structs that are always written (`metadata`,
//! `spec.template.metadata`, `resources`, `status` …) are there; quantities are canonical. Below a kind's `status`,
//! required numbers, booleans and strings appear with their zero value, as Kubernetes shows them.

use super::types::{Field, FieldType, Type};
use peapod_api::Quantity;
use serde_json::{Map, Value};

/// Brings `value`, whose types were checked, into its one form.
pub fn normalize(ty: &Type, value: &mut Value) {
    if let Value::Object(map) = value {
        normalize_object(ty, map, false);
    }
}

/// Brings an applied configuration into comparable form without adding anything: unknown fields and nulls go,
/// quantities are canonical.
pub fn tidy(ty: &Type, value: &mut Value) {
    if let Value::Object(map) = value {
        map.retain(|name, value| {
            let Some(field) = ty.field(name) else { return ty.open };
            tidy_value(&field.kind, value);
            field.nullable || !value.is_null()
        });
    }
}

fn tidy_value(kind: &FieldType, value: &mut Value) {
    match (kind, value) {
        (FieldType::Object(reference), value) => tidy(reference.get(), value),
        (FieldType::List(item), Value::Array(values)) => {
            values.iter_mut().for_each(|value| tidy_value(item, value));
        }
        (FieldType::Map(item), Value::Object(map)) => {
            map.values_mut().for_each(|value| tidy_value(item, value));
        }
        (FieldType::Quantity, value) => normalize_value(&FieldType::Quantity, value, false),
        _ => {}
    }
}

/// The object of `ty` in which nothing is set.
pub fn zero(ty: &Type) -> Value {
    let mut value = Value::Object(Map::new());
    normalize(ty, &mut value);
    value
}

fn normalize_object(ty: &Type, map: &mut Map<String, Value>, show_zeros: bool) {
    map.retain(|name, value| match ty.field(name) {
        None => ty.open,
        Some(field) => {
            normalize_value(&field.kind, value, show_zeros || ty.top && name == "status");
            !is_left_out(field, value)
        }
    });
    for field in ty.fields.iter().filter(|field| !field.pointer && !field.omit_zero) {
        if !map.contains_key(&field.name)
            && let Some(empty) = always_written(field, show_zeros, ty.top && field.name == "status")
        {
            map.insert(field.name.clone(), empty);
        }
    }
}

fn normalize_value(kind: &FieldType, value: &mut Value, show_zeros: bool) {
    match (kind, value) {
        (FieldType::Object(reference), Value::Object(map)) => {
            normalize_object(reference.get(), map, show_zeros)
        }
        (FieldType::List(item), Value::Array(values)) => {
            for value in values {
                normalize_value(item, value, show_zeros);
            }
        }
        (FieldType::Map(item), Value::Object(map)) => {
            for (_, value) in map {
                if value.is_null() && matches!(**item, FieldType::String) {
                    *value = Value::String(String::new());
                }
                normalize_value(item, value, show_zeros);
            }
        }
        (FieldType::Quantity, value) => {
            let text = value.as_str().map(str::to_string).unwrap_or_else(|| value.to_string());
            if let Ok(quantity) = text.parse::<Quantity>() {
                *value = quantity.to_string().into();
            }
        }
        _ => {}
    }
}

fn is_left_out(field: &Field, value: &Value) -> bool {
    if value.is_null() {
        return !field.nullable;
    }
    let empty = match value {
        Value::String(text) => text.is_empty() && !field.pointer,
        Value::Bool(on) => !on && !field.pointer,
        Value::Number(n) => n.as_f64() == Some(0.0) && !field.pointer,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && matches!(field.kind, FieldType::Map(_)),
        Value::Null => true,
    };
    let is_plain = !matches!(field.kind, FieldType::IntOrString | FieldType::Any | FieldType::Json);
    let zero = field.omit_zero && !field.pointer && value.as_object().is_some_and(Map::is_empty);
    field.omit_empty && empty && is_plain || zero
}

fn always_written(field: &Field, show_zeros: bool, is_status: bool) -> Option<Value> {
    match &field.kind {
        FieldType::Object(reference) => {
            let mut map = Map::new();
            normalize_object(reference.get(), &mut map, show_zeros || is_status);
            Some(Value::Object(map))
        }
        FieldType::Quantity => Some("0".into()),
        _ if field.omit_empty || !show_zeros => None,
        FieldType::String => Some("".into()),
        FieldType::Int32 | FieldType::Int64 => Some(0.into()),
        FieldType::Bool => Some(false.into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::lookup_kind;
    use serde_json::json;

    fn normal(api_version: &str, kind: &str, mut value: Value) -> Value {
        normalize(lookup_kind(api_version, kind).unwrap(), &mut value);
        value
    }

    #[test]
    fn leaves_what_kubernetes_would_store() {
        let config = json!({"metadata": {"name": "a", "labels": {}, "creationTimestamp": null}, "dta": 1, "data": {"k": ""}});
        assert_eq!(normal("v1", "ConfigMap", config), json!({"metadata": {"name": "a"}, "data": {"k": ""}}));
        let pod = json!({"spec": {"hostNetwork": false, "containers": [{"name": "a", "securityContext": {},
            "resources": {"limits": {"memory": "1024Mi", "cpu": 0.5}}, "args": []}]}});
        assert_eq!(
            normal("v1", "Pod", pod),
            json!({"metadata": {}, "status": {}, "spec": {"containers": [{"name": "a", "securityContext": {},
                "resources": {"limits": {"memory": "1Gi", "cpu": "500m"}}}]}})
        );
    }

    #[test]
    fn required_zeros_show_in_status_only() {
        let set = normal("apps/v1", "DaemonSet", json!({"status": {"numberReady": 0}}));
        assert_eq!(set["status"]["numberReady"], 0);
        assert_eq!(set["status"]["desiredNumberScheduled"], 0);
        let service = normal("v1", "Service", json!({"spec": {"ports": [{}]}}));
        assert_eq!(service["spec"]["ports"][0], json!({}));
    }

    #[test]
    fn is_idempotent_for_every_kind() {
        for (api_version, kind) in crate::schema::kinds() {
            let ty = lookup_kind(api_version, kind).unwrap();
            let once = zero(ty);
            let mut twice = once.clone();
            normalize(ty, &mut twice);
            assert_eq!(once, twice, "{api_version} {kind}");
        }
    }
}
