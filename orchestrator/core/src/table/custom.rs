//! The cells of custom resources, by the type of their column.

use super::age;
use jiff::Timestamp;
use peapod_api::meta;
use serde_json::Value;

/// The cell of a column of `type_` that shows `value`; nothing for what is absent or of another type.
pub(super) fn cell(type_: &str, value: Option<&Value>, now: Timestamp) -> Value {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Value::Null };
    match (type_, value) {
        ("string", Value::String(_)) => value.clone(),
        ("string", other) => other.to_string().into(),
        ("integer", Value::Number(n)) => n.as_i64().or_else(|| n.as_f64().map(|n| n as i64)).into(),
        ("number", Value::Number(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        ("date", Value::String(text)) if meta::parse_time(text).is_none() => "<invalid>".into(),
        ("date", Value::String(text)) => age::since(meta::parse_time(text), now).into(),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_have_the_type_of_their_column() {
        let now = Timestamp::from_second(86_400 * 3).unwrap();
        for (type_, value, expected) in [
            ("string", json!("a"), json!("a")),
            ("string", json!(["a"]), json!("[\"a\"]")),
            ("string", json!(3), json!("3")),
            ("integer", json!(3), json!(3)),
            ("integer", json!("3"), json!(null)),
            ("boolean", json!(true), json!(true)),
            ("date", json!("1970-01-01T00:00:00Z"), json!("3d")),
            ("date", json!("yesterday"), json!("<invalid>")),
            ("string", json!(null), json!(null)),
        ] {
            assert_eq!(cell(type_, Some(&value), now), expected, "{type_} {value}");
        }
    }
}
