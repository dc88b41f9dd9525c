//! Objects of any type for tests, with values that the type takes.

use super::types::{FieldType, Type};
use serde_json::{Map, Value, json};

/// A value for every field of `ty`, different each time by `seed`; recursion ends at `depth`.
pub(crate) fn filled(ty: &Type, seed: &mut u64, depth: usize) -> Value {
    let mut map = Map::new();
    for field in ty.fields.iter().filter(|field| field.number > 0) {
        if let Some(value) = sample(&field.kind, seed, depth) {
            map.insert(field.name.clone(), value);
        }
    }
    Value::Object(map)
}

fn sample(kind: &FieldType, seed: &mut u64, depth: usize) -> Option<Value> {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    let n = (*seed >> 40) as i32;
    let quarter = *seed >> 33 & 3;
    let value = match kind {
        _ if quarter == 0 && depth > 0 => return None,
        FieldType::String => format!("text {n}").into(),
        FieldType::Int32 => (n - (1 << 22)).into(),
        FieldType::Int64 => (seed.cast_signed() | 1).into(),
        FieldType::Bool => (n & 1 == 1).into(),
        FieldType::Double => (f64::from(n) / 8.0).into(),
        FieldType::Bytes => "AAEC/w==".into(),
        FieldType::Time => "2024-05-06T07:08:09Z".into(),
        FieldType::MicroTime => "2024-05-06T07:08:09.123456Z".into(),
        FieldType::Duration => "1h2m3.5s".into(),
        FieldType::Quantity => format!("{}Mi", n * 2 + 1).into(),
        FieldType::IntOrString => {
            if n & 1 == 1 {
                n.into()
            } else {
                "25%".into()
            }
        }
        FieldType::FieldsV1 | FieldType::Raw => json!({"f:a": {"x": n}}),
        FieldType::Json => json!([n, "x"]),
        FieldType::Any => return None,
        FieldType::SchemaOrBool => true.into(),
        FieldType::SchemaOrArray => json!([{"type": "string"}]),
        FieldType::SchemaOrStrings => json!(["a", "b"]),
        FieldType::Items => json!(["a", "b"]),
        FieldType::List(item) => Value::Array((0..2).filter_map(|_| sample(item, seed, depth + 1)).collect()),
        FieldType::Map(item) => (0..2)
            .filter_map(|at| Some((format!("k{at}"), sample(item, seed, depth + 1)?)))
            .collect::<Map<_, _>>()
            .into(),
        FieldType::Object(_) if depth > 9 => return None,
        FieldType::Object(reference) => filled(reference.get(), seed, depth + 1),
    };
    // Protobuf does not tell an empty list or map from an absent one.
    let empty = |value: &Value| match kind {
        FieldType::Map(_) => value.as_object().is_some_and(Map::is_empty),
        _ => value.as_array().is_some_and(Vec::is_empty),
    };
    Some(value).filter(|value| !empty(value))
}
