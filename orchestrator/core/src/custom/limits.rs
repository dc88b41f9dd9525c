//! What a schema says of values besides their types: lengths, bounds, patterns, formats, and combinations of schemas.

use super::check::{at, check};
use super::format;
use super::schema::{Bound, Limits, Schema};
use crate::validation::{Errors, child};
use peapod_api::FieldError;
use serde_json::{Map, Value};

/// What the limits have against a value of a type that fits.
pub(super) fn check_limits(limits: &Limits, value: &Value, path: &str, errors: &mut Errors) {
    if !limits.values.is_empty() && !limits.values.iter().any(|allowed| same(allowed, value)) {
        let texts: Vec<String> = limits.values.iter().map(text_of).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        errors.push(FieldError::not_supported(at(path), value, &texts));
    }
    match value {
        Value::String(text) => check_text(limits, text, path, errors),
        Value::Number(number) => check_number(limits, value, number.as_f64().unwrap_or(0.0), path, errors),
        Value::Array(values) => {
            check_count(limits.min_items, limits.max_items, values.len(), "items", path, errors)
        }
        Value::Object(map) => check_object(limits, map, path, errors),
        _ => {}
    }
    check_combinations(limits, value, path, errors);
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), String::from)
}

/// 1 and 1.0 are the same.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.is_number() && b.is_number() && a.as_f64() == b.as_f64()
}

fn invalid(errors: &mut Errors, path: &str, value: &Value, why: &str) {
    errors.push(FieldError::invalid(at(path), value, &format!("{path} in body {why}")));
}

fn check_text(limits: &Limits, text: &str, path: &str, errors: &mut Errors) {
    let length = text.chars().count() as u64;
    let value = Value::from(text);
    if let Some(max) = limits.max_length.filter(|max| length > *max) {
        errors.push(FieldError::too_long(at(path), usize::try_from(max).unwrap_or(usize::MAX)));
    }
    if let Some(min) = limits.min_length.filter(|min| length < *min) {
        invalid(errors, path, &value, &format!("should be at least {min} chars long"));
    }
    if let Some(pattern) = limits.pattern.as_ref().filter(|pattern| !pattern.regex.is_match(text)) {
        invalid(errors, path, &value, &format!("should match '{}'", pattern.text));
    }
    if !format::is(&limits.format, text) {
        let why = format!("must be of type {}: {value}", limits.format);
        invalid(errors, path, &value, &why);
    }
}

fn check_number(limits: &Limits, value: &Value, number: f64, path: &str, errors: &mut Errors) {
    let bound = |bound: &Bound| bound.value.as_f64().unwrap_or(0.0);
    if let Some(max) = &limits.maximum
        && (number > bound(max) || max.exclusive && number == bound(max))
    {
        let or_equal = if max.exclusive { "" } else { " or equal to" };
        invalid(errors, path, value, &format!("should be less than{or_equal} {}", max.value));
    }
    if let Some(min) = &limits.minimum
        && (number < bound(min) || min.exclusive && number == bound(min))
    {
        let or_equal = if min.exclusive { "" } else { " or equal to" };
        invalid(errors, path, value, &format!("should be greater than{or_equal} {}", min.value));
    }
    if let Some(factor) =
        limits.multiple_of.filter(|factor| *factor > 0.0 && (number / factor).fract() != 0.0)
    {
        invalid(errors, path, value, &format!("should be a multiple of {factor}"));
    }
    let in_format = match limits.format.as_str() {
        "int32" => value.as_i64().is_some_and(|n| i32::try_from(n).is_ok()),
        "int64" => value.as_i64().is_some(),
        _ => true,
    };
    if !in_format {
        invalid(errors, path, value, &format!("must be of type {}: {:?}", limits.format, value.to_string()));
    }
}

fn check_count(
    min: Option<u64>,
    max: Option<u64>,
    count: usize,
    what: &str,
    path: &str,
    errors: &mut Errors,
) {
    if let Some(max) = max.filter(|max| count as u64 > *max) {
        errors.push(FieldError::too_many(at(path), count, usize::try_from(max).unwrap_or(usize::MAX)));
    }
    if let Some(min) = min.filter(|min| (count as u64) < *min) {
        invalid(errors, path, &count.into(), &format!("should have at least {min} {what}"));
    }
}

fn check_object(limits: &Limits, map: &Map<String, Value>, path: &str, errors: &mut Errors) {
    check_count(limits.min_properties, limits.max_properties, map.len(), "properties", path, errors);
    for name in limits.required.iter().filter(|name| !map.contains_key(*name)) {
        errors.push(FieldError::required(&child(path, name), ""));
    }
}

fn check_combinations(limits: &Limits, value: &Value, path: &str, errors: &mut Errors) {
    let faults = |schema: &Schema| {
        let mut found = Errors::new();
        check(schema, value, path, &mut found);
        found
    };
    let mut say = |why: String, details: Errors| {
        errors.push(FieldError::invalid("<nil>", &"".into(), &format!("{path:?} must {why}")));
        errors.extend(details);
    };
    let fewest = |found: Vec<Errors>| found.into_iter().min_by_key(Vec::len).unwrap_or_default();
    if !limits.any_of.is_empty() {
        let found: Vec<Errors> = limits.any_of.iter().map(faults).collect();
        if found.iter().all(|faults| !faults.is_empty()) {
            say("validate at least one schema (anyOf)".into(), fewest(found));
        }
    }
    if !limits.one_of.is_empty() {
        let found: Vec<Errors> = limits.one_of.iter().map(faults).collect();
        match found.iter().filter(|faults| faults.is_empty()).count() {
            1 => {}
            0 => say("validate one and only one schema (oneOf). Found none valid".into(), fewest(found)),
            many => {
                let why =
                    format!("validate one and only one schema (oneOf). Found {many} valid alternatives");
                say(why, Errors::new());
            }
        }
    }
    let failed: Vec<Errors> = limits.all_of.iter().map(faults).filter(|faults| !faults.is_empty()).collect();
    if !failed.is_empty() {
        let none = if failed.len() == limits.all_of.len() { ". None validated" } else { "" };
        say(format!("validate all the schemas (allOf){none}"), failed.into_iter().flatten().collect());
    }
    if limits.not.as_ref().is_some_and(|schema| faults(schema).is_empty()) {
        say("not validate the schema (not)".into(), Errors::new());
    }
}
