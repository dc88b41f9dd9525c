//! Checks of an object against its type: JSON types, unknown fields, required fields and enumerations.

use super::path::Path;
use super::types::{Field, FieldType, Type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_api::meta::parse_time;
use peapod_api::{FieldError, Quantity};
use serde_json::{Map, Value};
use std::fmt;

/// Required lists and strings that the server itself accepts empty or absent.
const MAY_BE_EMPTY: [(&str, &str); 6] = [
    ("HTTPHeader", "value"),
    ("EndpointSlice", "endpoints"),
    ("Sysctl", "value"),
    ("Condition", "message"),
    ("ControllerRevision", "data"),
    ("Eviction", "metadata"),
];

/// A value whose JSON type or format is not its field's. `Display` is worded as Go's decoder does.
#[derive(Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Another JSON type.
    Type {
        /// e.g. `string` or `number 1.5`.
        found: String,
        /// e.g. `DeploymentSpec.spec.replicas`; empty for the object itself.
        field: String,
        /// e.g. `int32`.
        expected: String,
    },
    /// The right JSON type in the wrong format.
    Format(String),
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Type { found, field, expected } if field.is_empty() => {
                write!(f, "json: cannot unmarshal {found} into Go value of type {expected}")
            }
            Mismatch::Type { found, field, expected } => {
                write!(f, "json: cannot unmarshal {found} into Go struct field {field} of type {expected}")
            }
            Mismatch::Format(text) => f.write_str(text),
        }
    }
}

/// Whether every known field of `value` has the JSON type that `ty` demands; null stands for absence everywhere.
pub fn check_types(ty: &Type, value: &Value) -> Result<(), Mismatch> {
    match value {
        Value::Object(map) => check_object(ty, map, &mut Path::default()),
        other => Err(Mismatch::Type {
            found: found(other),
            field: String::new(),
            expected: format!("v1.{}", ty.short_name()),
        }),
    }
}

fn check_object(ty: &Type, map: &Map<String, Value>, path: &mut Path) -> Result<(), Mismatch> {
    for (name, value) in map {
        if let Some(field) = ty.field(name) {
            path.field(name, |path| check_value(ty, &field.kind, value, path))?;
        }
    }
    Ok(())
}

fn check_value(owner: &Type, kind: &FieldType, value: &Value, path: &mut Path) -> Result<(), Mismatch> {
    let mismatch = |expected: &str| {
        Err(Mismatch::Type {
            found: found(value),
            field: format!("{}.{}", owner.short_name(), path.as_str()),
            expected: expected.into(),
        })
    };
    let format = |ok: bool, text: String| if ok { Ok(()) } else { Err(Mismatch::Format(text)) };
    let quantity = |text: &str| match text.parse::<Quantity>() {
        Ok(_) => Ok(()),
        Err(why) => Err(Mismatch::Format(why.to_string())),
    };
    match (kind, value) {
        (_, Value::Null) => Ok(()),
        (FieldType::String | FieldType::Duration, Value::String(_)) | (FieldType::Bool, Value::Bool(_)) => {
            Ok(())
        }
        (FieldType::Int32, Value::Number(n)) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {
            Ok(())
        }
        (FieldType::Int64, Value::Number(n)) if n.is_i64() => Ok(()),
        (FieldType::Double, Value::Number(_)) => Ok(()),
        (FieldType::Bytes, Value::String(text)) => {
            format(STANDARD.decode(text).is_ok(), format!("illegal base64 data in field {}", path.as_str()))
        }
        (FieldType::Time | FieldType::MicroTime, Value::String(text)) => format(
            parse_time(text).is_some(),
            format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\" in field {}", path.as_str()),
        ),
        (FieldType::Quantity, Value::String(text)) => quantity(text),
        (FieldType::Quantity, Value::Number(n)) => quantity(&n.to_string()),
        (FieldType::IntOrString, Value::String(_)) => Ok(()),
        (FieldType::IntOrString, Value::Number(n))
            if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) =>
        {
            Ok(())
        }
        (FieldType::FieldsV1 | FieldType::Raw, Value::Object(_)) => Ok(()),
        (
            FieldType::Json
            | FieldType::Any
            | FieldType::SchemaOrArray
            | FieldType::SchemaOrBool
            | FieldType::SchemaOrStrings,
            _,
        ) => Ok(()),
        (FieldType::Items, Value::Array(items)) => {
            items.iter().try_for_each(|item| check_value(owner, &FieldType::String, item, path))
        }
        (FieldType::List(item), Value::Array(items)) => {
            items.iter().try_for_each(|value| check_value(owner, item, value, path))
        }
        (FieldType::Map(item), Value::Object(map)) => {
            map.values().try_for_each(|value| check_value(owner, item, value, path))
        }
        (FieldType::Object(reference), Value::Object(map)) => check_object(reference.get(), map, path),
        (kind, _) => mismatch(&go_name(kind)),
    }
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(_) => "bool".into(),
        Value::Number(n) if n.is_i64() && n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => {
            "number".into()
        }
        Value::Number(n) => format!("number {n}"),
        Value::String(_) => "string".into(),
        Value::Array(_) => "array".into(),
        Value::Object(_) => "object".into(),
    }
}

fn go_name(kind: &FieldType) -> String {
    match kind {
        FieldType::String => "string".into(),
        FieldType::Int32 => "int32".into(),
        FieldType::Int64 => "int64".into(),
        FieldType::Bool => "bool".into(),
        FieldType::Double => "float64".into(),
        FieldType::Bytes => "[]uint8".into(),
        FieldType::Time => "v1.Time".into(),
        FieldType::MicroTime => "v1.MicroTime".into(),
        FieldType::Duration => "v1.Duration".into(),
        FieldType::Quantity => "resource.Quantity".into(),
        FieldType::IntOrString => "intstr.IntOrString".into(),
        FieldType::Items => "[]string".into(),
        FieldType::List(item) => format!("[]{}", go_name(item)),
        FieldType::Map(item) => format!("map[string]{}", go_name(item)),
        FieldType::Object(reference) => format!("v1.{}", reference.get().short_name()),
        FieldType::FieldsV1 | FieldType::Raw | FieldType::Json | FieldType::Any => {
            "map[string]interface {}".into()
        }
        FieldType::SchemaOrArray | FieldType::SchemaOrBool | FieldType::SchemaOrStrings => "v1.JSON".into(),
    }
}

/// Paths of fields that the type does not know, in the order of the object's keys.
pub fn unknown_fields(ty: &Type, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    find_unknown(ty, value, &mut Path::default(), &mut found);
    found
}

fn find_unknown(ty: &Type, value: &Value, path: &mut Path, found: &mut Vec<String>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        path.field(name, |path| match ty.field(name) {
            Some(field) => find_unknown_below(&field.kind, value, path, found),
            None if ty.open => {}
            None => found.push(path.as_str().to_string()),
        });
    }
}

fn find_unknown_below(kind: &FieldType, value: &Value, path: &mut Path, found: &mut Vec<String>) {
    match (kind, value) {
        (FieldType::Object(reference), value) => find_unknown(reference.get(), value, path, found),
        (FieldType::List(item), Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                path.index(index, |path| find_unknown_below(item, value, path, found));
            }
        }
        (FieldType::Map(item), Value::Object(map)) => {
            for (key, value) in map {
                path.field(key, |path| find_unknown_below(item, value, path, found));
            }
        }
        _ => {}
    }
}

/// Required fields that are missing and values outside of their enumeration. The status is not looked at: it is the
/// system's own. Run it after defaulting.
pub fn validate(ty: &Type, value: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let path = &mut Path::default();
    for field in ty.fields.iter().filter(|field| !(ty.top && field.name == "status")) {
        check_field(ty, field, value.get(&field.name), path, &mut errors);
    }
    errors
}

fn validate_object(ty: &Type, value: &Value, path: &mut Path, errors: &mut Vec<FieldError>) {
    for field in &ty.fields {
        check_field(ty, field, value.get(&field.name), path, errors);
    }
}

fn check_field(
    ty: &Type,
    field: &Field,
    value: Option<&Value>,
    path: &mut Path,
    errors: &mut Vec<FieldError>,
) {
    path.field(&field.name, |path| match value.filter(|value| !value.is_null()) {
        Some(value) if !(is_empty_text(value) && (field.required || field.omit_empty)) => {
            check_enum(field, value, path, errors);
            validate_below(&field.kind, value, path, errors);
        }
        _ if field.required && !may_be_empty(ty, field) => {
            errors.push(FieldError::required(path.as_str(), ""))
        }
        _ => {}
    });
}

fn validate_below(kind: &FieldType, value: &Value, path: &mut Path, errors: &mut Vec<FieldError>) {
    match (kind, value) {
        (FieldType::Object(reference), value) => validate_object(reference.get(), value, path, errors),
        (FieldType::List(item), Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                path.index(index, |path| validate_below(item, value, path, errors));
            }
        }
        (FieldType::Map(item), Value::Object(map)) => {
            for (key, value) in map {
                path.index(key, |path| validate_below(item, value, path, errors));
            }
        }
        _ => {}
    }
}

fn check_enum(field: &Field, value: &Value, path: &mut Path, errors: &mut Vec<FieldError>) {
    let supported: Vec<&str> = field.values.iter().map(String::as_str).collect();
    let outside = |value: &Value| value.as_str().is_some_and(|text| !supported.contains(&text));
    if supported.is_empty() {
        return;
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate().filter(|(_, item)| outside(item)) {
                path.index(index, |path| {
                    errors.push(FieldError::not_supported(path.as_str(), item, &supported));
                });
            }
        }
        value if outside(value) => errors.push(FieldError::not_supported(path.as_str(), value, &supported)),
        _ => {}
    }
}

fn is_empty_text(value: &Value) -> bool {
    value.as_str().is_some_and(str::is_empty)
}

fn may_be_empty(ty: &Type, field: &Field) -> bool {
    MAY_BE_EMPTY.contains(&(ty.short_name(), &field.name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::lookup_kind;
    use serde_json::json;

    fn complaints(api_version: &str, kind: &str, value: Value) -> Vec<String> {
        let ty = lookup_kind(api_version, kind).unwrap();
        validate(ty, &value).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn required_fields_and_enumerations_are_named_by_path() {
        let pod = json!({"spec": {
            "restartPolicy": "Sometimes",
            "containers": [{"name": "", "ports": [{"containerPort": 80, "protocol": "tcp"}]}],
        }});
        assert_eq!(
            complaints("v1", "Pod", pod),
            [
                "spec.containers[0].name: Required value",
                "spec.containers[0].ports[0].protocol: Unsupported value: \"tcp\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
                "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"Never\", \"OnFailure\"",
            ]
        );
        assert_eq!(complaints("v1", "Pod", json!({"spec": {}})), ["spec.containers: Required value"]);
    }

    #[test]
    fn status_is_not_validated_and_absent_parts_are_not_entered() {
        assert!(complaints("v1", "Pod", json!({"status": {"conditions": [{}]}})).is_empty());
        let slice = json!({"addressType": "IPv4"});
        assert!(complaints("discovery.k8s.io/v1", "EndpointSlice", slice).is_empty());
    }

    #[test]
    fn types_are_checked_everywhere() {
        let check = |value| check_types(lookup_kind("v1", "Pod").unwrap(), &value).map_err(|m| m.to_string());
        assert_eq!(check(json!({"spec": {"containers": null, "hostNetwork": true}})), Ok(()));
        let labels = json!({"metadata": {"labels": {"a": 1}}});
        assert_eq!(
            check(labels).unwrap_err(),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string"
        );
        let big = json!({"spec": {"priority": 3_000_000_000_i64}});
        assert_eq!(
            check(big).unwrap_err(),
            "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32"
        );
        assert!(check(json!({"spec": {"overhead": {"cpu": "much"}}})).is_err());
        assert!(check(json!({"metadata": {"creationTimestamp": "yesterday"}})).is_err());
        assert!(check(json!([])).unwrap_err().starts_with("json: cannot unmarshal array into Go value"));
    }

    #[test]
    fn unknown_fields_are_found_below_lists() {
        let pod = json!({"spec": {"containers": [{"name": "a", "imagee": "x"}]}, "metadata": {"labels": {"any": "x"}}});
        assert_eq!(unknown_fields(lookup_kind("v1", "Pod").unwrap(), &pod), ["spec.containers[0].imagee"]);
    }
}
