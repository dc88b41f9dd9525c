//! Rules for values that several kinds share, worded as Kubernetes words them.

pub mod container;
pub mod metadata;
pub mod pod_spec;
pub mod probe;
pub mod scheduling;
pub mod selector;
pub mod status;
pub mod volume;

pub use peapod_api::meta::items;
pub use peapod_api::names;
use peapod_api::{FieldError, Quantity};
use serde_json::Value;

/// What is wrong with an object, in the order in which it was found.
pub type Errors = Vec<FieldError>;

/// `path.name`, or `name` at the top.
pub fn child(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_string() } else { format!("{path}.{name}") }
}

/// The items of a list, each with its path.
pub fn indexed<'a, 'p>(
    value: &'a Value,
    path: &'p str,
) -> impl Iterator<Item = (String, &'a Value)> + use<'a, 'p> {
    items(value).enumerate().map(move |(index, item)| (format!("{path}[{index}]"), item))
}

/// The text, empty where there is none.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// One `Invalid value` for each of `complaints`.
pub fn invalid(errors: &mut Errors, path: &str, value: &Value, complaints: Vec<String>) {
    errors.extend(complaints.iter().map(|why| FieldError::invalid(path, value, why)));
}

/// The number at `path` must not be below zero; absence is fine.
pub fn not_negative(errors: &mut Errors, path: &str, value: &Value) {
    if value.as_i64().is_some_and(|n| n < 0) {
        errors.push(FieldError::invalid(path, value, "must be greater than or equal to 0"));
    }
}

/// The number at `path` must lie between the two; absence is fine.
pub fn between(errors: &mut Errors, path: &str, value: &Value, low: i64, high: i64) {
    if value.as_i64().is_some_and(|n| n < low || n > high) {
        let why = format!("must be between {low} and {high}, inclusive");
        errors.push(FieldError::invalid(path, value, &why));
    }
}

/// The text must be one of `supported`; absence is fine.
pub fn one_of(errors: &mut Errors, path: &str, value: &Value, supported: &[&str]) {
    if value.as_str().is_some_and(|text| !supported.contains(&text)) {
        errors.push(FieldError::not_supported(path, value, supported));
    }
}

/// The two must be equal.
pub fn immutable(errors: &mut Errors, path: &str, new: &Value, old: &Value) {
    if new != old {
        errors.push(FieldError::invalid(path, new, "field is immutable"));
    }
}

/// The number at `path` must be above zero; absence is fine.
pub fn positive(errors: &mut Errors, path: &str, value: &Value) {
    if value.as_i64().is_some_and(|n| n <= 0) {
        errors.push(FieldError::invalid(path, value, "must be greater than 0"));
    }
}

/// A number of pods or a percentage of them; the amount if it is one.
pub fn share(errors: &mut Errors, path: &str, value: &Value, at_most_all: bool) -> Option<i64> {
    let Value::String(text) = value else {
        not_negative(errors, path, value);
        return value.as_i64();
    };
    let digits = text.strip_suffix('%').filter(|n| n.bytes().all(|b| b.is_ascii_digit()));
    let Some(percent) = digits.and_then(|n| n.parse::<i64>().ok()) else {
        let why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
                   regex used for validation is '[0-9]+%')";
        errors.push(FieldError::invalid(path, value, why));
        return None;
    };
    if at_most_all && percent > 100 {
        errors.push(FieldError::invalid(path, value, "must not be greater than 100%"));
    }
    Some(percent)
}

/// The amount that a field of quantities holds.
pub fn quantity(value: &Value) -> Option<Quantity> {
    text(value).parse().ok()
}

/// The amount at `path` must not be below zero; absence is fine.
pub fn not_negative_amount(errors: &mut Errors, path: &str, amount: &Value) {
    if quantity(amount).is_some_and(|amount| amount.is_negative()) {
        errors.push(FieldError::invalid(path, amount, "must be greater than or equal to 0"));
    }
}

/// The reference must name something of a kind, and be made of segments of a path.
pub fn reference(errors: &mut Errors, path: &str, reference: &Value) {
    for field in ["kind", "name"] {
        let (path, value) = (child(path, field), &reference[field]);
        match text(value) {
            "" => errors.push(FieldError::required(&path, "")),
            segment => invalid(errors, &path, value, names::path_segment(segment, false)),
        }
    }
}
