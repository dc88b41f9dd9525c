//! What a definition's rules say of the schema that they stand in.

use crate::cel::{Declared, check};
use crate::custom::schema::{Rule, Schema};
use crate::validation::{Errors, child, text};
use peapod_api::{FieldError, JsonPath};
use serde_json::Value;
use std::collections::BTreeMap;

const MESSAGE_MAX_BYTES: usize = 2048;

/// Checks the rules of a version's schema, whose path in the definition is `path`.
pub(super) fn validate(schema: &Value, path: &str, errors: &mut Errors) {
    let read = Schema::read(schema);
    if read.has_rules {
        walk(&read, path, Place { is_resource: true, correlates: true }, errors);
    }
}

/// Where a schema stands.
#[derive(Clone, Copy)]
struct Place {
    /// It is that of a whole object of the API.
    is_resource: bool,
    /// It is known which old value a value takes the place of.
    correlates: bool,
}

fn walk(schema: &Schema, path: &str, place: Place, errors: &mut Errors) {
    for (index, rule) in schema.rules.iter().enumerate() {
        let path = format!("{path}.x-kubernetes-validations[{index}]");
        one(rule, schema, &path, place, errors);
    }
    let inside = |below: &Schema, correlates| Place { is_resource: below.embedded, correlates };
    let correlates = place.correlates && !schema.atomic;
    for (name, below) in &schema.properties {
        walk(below, &format!("{path}.properties[{name}]"), inside(below, correlates), errors);
    }
    if let Some(below) = schema.additional.as_deref() {
        walk(below, &child(path, "additionalProperties"), inside(below, correlates), errors);
    }
    if let Some(below) = schema.items.as_deref() {
        let correlates = place.correlates && schema.list_type == "map";
        walk(below, &child(path, "items"), inside(below, correlates), errors);
    }
}

fn one(rule: &Rule, schema: &Schema, path: &str, place: Place, errors: &mut Errors) {
    let at = |field: &str| child(path, field);
    if rule.rule.trim().is_empty() {
        errors.push(FieldError::required(&at("rule"), "rule is not specified"));
        return;
    }
    message(rule, path, errors);
    let declared = Declared::Schema(schema, place.is_resource);
    let old = if rule.optional_old_self { Declared::Any } else { declared };
    let variables = BTreeMap::from([("self", declared), ("oldSelf", old)]);
    let mut complain = |field: &str, source: &str, why: String| {
        errors.push(FieldError::invalid(&at(field), &source.into(), &why));
    };
    match &rule.program {
        Err(why) => complain("rule", &rule.rule, format!("compilation failed: {why}")),
        Ok(program) => {
            if let Err(why) = check(program, &variables, "bool") {
                complain("rule", &rule.rule, worded(&why));
            }
            if program.mentions("oldSelf") && !place.correlates {
                let why = "oldSelf cannot be used on the uncorrelatable portion of the schema";
                complain("rule", &rule.rule, why.into());
            }
            if rule.optional_old_self && !program.mentions("oldSelf") {
                complain("optionalOldSelf", "true", "may not be set if oldSelf is not used in rule".into());
            }
        }
    }
    match &rule.message_program {
        Some(Err(why)) => complain("messageExpression", &rule.message, format!("compilation failed: {why}")),
        Some(Ok(program)) => {
            if let Err(why) = check(program, &variables, "string") {
                complain("messageExpression", &rule.message, worded(&why));
            }
        }
        None => {}
    }
    field_path(rule, schema, path, errors);
}

fn worded(why: &str) -> String {
    match why.strip_prefix("must evaluate") {
        Some(_) => format!("cel expression {why}"),
        None => format!("compilation failed: {why}"),
    }
}

fn message(rule: &Rule, path: &str, errors: &mut Errors) {
    let (at, value) = (child(path, "message"), Value::from(rule.message.as_str()));
    if rule.message.len() > MESSAGE_MAX_BYTES {
        errors.push(FieldError::too_long(&at, MESSAGE_MAX_BYTES));
    } else if !rule.message.is_empty() && text(&value).trim().is_empty() {
        errors.push(FieldError::invalid(&at, &value, "message must be non-empty if specified"));
    } else if rule.message.trim().contains('\n') {
        errors.push(FieldError::invalid(&at, &value, "message must not contain line breaks"));
    } else if rule.message.is_empty() && rule.message_program.is_none() && rule.rule.trim().contains('\n') {
        let why = "message must be specified if rule contains line breaks";
        errors.push(FieldError::required(&at, why));
    }
}

/// The path leads to a field of the schema.
fn field_path(rule: &Rule, schema: &Schema, path: &str, errors: &mut Errors) {
    if rule.field_path.is_empty() {
        return;
    }
    let parsed = JsonPath::parse(&rule.field_path).ok();
    let found = parsed
        .as_ref()
        .and_then(JsonPath::fields)
        .and_then(|names| names.into_iter().try_fold(schema, |schema, name| schema.below(name)));
    if found.is_none() || !rule.field_path.starts_with(['.', '[']) {
        let value = rule.field_path.as_str().into();
        let why = "fieldPath must be a valid path: it does not refer to a valid field";
        errors.push(FieldError::invalid(&child(path, "fieldPath"), &value, why));
    }
}
