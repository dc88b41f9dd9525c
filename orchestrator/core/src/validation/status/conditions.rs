//! Conditions: what is said of an object by whom it concerns.

use super::super::{Errors, child, indexed, invalid, names, text};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::BTreeSet;

const STATUSES: [&str; 3] = ["False", "True", "Unknown"];
const MAX_REASON_BYTES: usize = 1024;
const MAX_MESSAGE_BYTES: usize = 32 << 10;
const BAD_REASON: &str = "a condition reason must start with alphabetic character, optionally followed by a string of \
                          alphanumeric characters or '_,:', and must end with an alphanumeric character or '_' (e.g. \
                          'my_name',  or 'MY_NAME',  or 'MyName',  or 'ReasonA,ReasonB',  or 'ReasonA:ReasonB', regex \
                          used for validation is '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?')";

/// Conditions of the form that newer kinds share (`metav1.Condition`).
pub fn full(errors: &mut Errors, path: &str, conditions: &Value) {
    unique(errors, path, conditions);
    for (path, condition) in indexed(conditions, path) {
        let at = |field: &str| child(&path, field);
        let (type_, status) = (&condition["type"], &condition["status"]);
        invalid(errors, &at("type"), type_, names::label_key(text(type_)));
        if !STATUSES.contains(&text(status)) {
            errors.push(FieldError::not_supported(&at("status"), status, &STATUSES));
        }
        let generation = &condition["observedGeneration"];
        if generation.as_i64().is_some_and(|n| n < 0) {
            let why = "must be greater than or equal to zero";
            errors.push(FieldError::invalid(&at("observedGeneration"), generation, why));
        }
        if text(&condition["lastTransitionTime"]).is_empty() {
            errors.push(FieldError::required(&at("lastTransitionTime"), "must be set"));
        }
        reason(errors, &at("reason"), &condition["reason"]);
        if text(&condition["message"]).len() > MAX_MESSAGE_BYTES {
            errors.push(FieldError::too_long(&at("message"), MAX_MESSAGE_BYTES));
        }
    }
}

fn reason(errors: &mut Errors, path: &str, reason: &Value) {
    let text = text(reason);
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if text.is_empty() {
        return errors.push(FieldError::required(path, "must be set"));
    }
    let good = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.ends_with(word)
        && text.chars().all(|c| word(c) || matches!(c, ',' | ':'));
    if !good {
        errors.push(FieldError::invalid(path, reason, BAD_REASON));
    }
    if text.len() > MAX_REASON_BYTES {
        errors.push(FieldError::too_long(path, MAX_REASON_BYTES));
    }
}

fn unique(errors: &mut Errors, path: &str, conditions: &Value) {
    let mut seen = BTreeSet::new();
    for (path, condition) in indexed(conditions, path) {
        if !seen.insert(text(&condition["type"])) {
            errors.push(FieldError::duplicate(&child(&path, "type"), &condition["type"]));
        }
    }
}

/// Of the kinds of flow control: each condition has a type, and no two the same.
pub fn flow_control(new: &Value, _: &Value, errors: &mut Errors) {
    const PATH: &str = "status.conditions";
    let conditions = &new["status"]["conditions"];
    unique(errors, PATH, conditions);
    for (path, _) in indexed(conditions, PATH).filter(|(_, one)| text(&one["type"]).is_empty()) {
        errors.push(FieldError::required(&child(&path, "type"), "must not be empty"));
    }
}

/// Of APIServices: each condition is true, false or unknown.
pub fn api_service(new: &Value, _: &Value, errors: &mut Errors) {
    for (path, condition) in indexed(&new["status"]["conditions"], "status.conditions") {
        if !STATUSES.contains(&text(&condition["status"])) {
            let order = ["True", "False", "Unknown"];
            errors.push(FieldError::not_supported(&child(&path, "status"), &condition["status"], &order));
        }
    }
}
