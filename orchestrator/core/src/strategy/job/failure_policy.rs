//! What a Job says about failures and success of its pods.

use crate::validation::{Errors, child, indexed, invalid, items, names, not_negative, text};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::BTreeSet;

const MAX_RULES: usize = 20;
const MAX_CODES: usize = 255;

/// `podFailurePolicy`, `podReplacementPolicy` and `successPolicy` of `spec`.
pub(super) fn validate(path: &str, spec: &Value, errors: &mut Errors) {
    let policy = &spec["podFailurePolicy"];
    if policy.is_object() {
        let at = child(path, "podFailurePolicy.rules");
        at_most(errors, &at, &policy["rules"], MAX_RULES);
        for (path, rule) in indexed(&policy["rules"], &at) {
            failure_rule(&path, spec, rule, errors);
        }
        if !spec["podReplacementPolicy"].is_null() && spec["podReplacementPolicy"] != "Failed" {
            let (path, value) = (child(path, "podReplacementPolicy"), &spec["podReplacementPolicy"]);
            errors.push(FieldError::not_supported(&path, value, &["Failed"]));
        }
    }
    if spec["completionMode"] == "Indexed" && spec["successPolicy"].is_object() {
        success(&child(path, "successPolicy.rules"), spec, errors);
    }
}

fn at_most(errors: &mut Errors, path: &str, list: &Value, max: usize) {
    let count = items(list).count();
    if count > max {
        errors.push(FieldError::too_many(path, count, max));
    }
}

fn failure_rule(path: &str, spec: &Value, rule: &Value, errors: &mut Errors) {
    if rule["action"] == "FailIndex" && spec["backoffLimitPerIndex"].is_null() {
        let why = "requires the backoffLimitPerIndex to be set";
        errors.push(FieldError::invalid(&child(path, "action"), &rule["action"], why));
    }
    let codes = rule["onExitCodes"].is_object();
    let conditions = items(&rule["onPodConditions"]).next().is_some();
    if codes {
        exit_codes(&child(path, "onExitCodes"), spec, &rule["onExitCodes"], errors);
    }
    let at = child(path, "onPodConditions");
    at_most(errors, &at, &rule["onPodConditions"], MAX_RULES);
    for (path, pattern) in indexed(&rule["onPodConditions"], &at) {
        invalid(errors, &child(&path, "type"), &pattern["type"], names::label_key(text(&pattern["type"])));
    }
    let why = match (codes, conditions) {
        (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
        (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
        _ => return,
    };
    errors.push(FieldError::invalid_whole(path, why));
}

fn exit_codes(path: &str, spec: &Value, codes: &Value, errors: &mut Errors) {
    let pod = &spec["template"]["spec"];
    let mut containers = items(&pod["containers"]).chain(items(&pod["initContainers"]));
    let container = &codes["containerName"];
    if !container.is_null() && !containers.any(|c| c["name"] == *container) {
        let why = "must be one of the container or initContainer names in the pod template";
        errors.push(FieldError::invalid(&child(path, "containerName"), container, why));
    }
    let (at, list) = (child(path, "values"), &codes["values"]);
    at_most(errors, &at, list, MAX_CODES);
    if items(list).next().is_none() {
        errors.push(FieldError::invalid(&at, list, "at least one value is required"));
    }
    let mut seen = BTreeSet::new();
    let mut ordered = true;
    for (path, code) in indexed(list, &at) {
        if codes["operator"] == "In" && *code == 0 {
            errors.push(FieldError::invalid(&path, code, "must not be 0 for the In operator"));
        }
        let number = code.as_i64();
        ordered &= seen.last().is_none_or(|last| *last <= number);
        if !seen.insert(number) {
            errors.push(FieldError::duplicate(&path, code));
        }
    }
    if !ordered {
        errors.push(FieldError::invalid(&at, list, "must be ordered"));
    }
}

fn success(path: &str, spec: &Value, errors: &mut Errors) {
    let rules = &spec["successPolicy"]["rules"];
    if items(rules).next().is_none() {
        let why = "at least one rules must be specified when the successPolicy is specified";
        errors.push(FieldError::required(path, why));
    }
    at_most(errors, path, rules, MAX_RULES);
    for (path, rule) in indexed(rules, path) {
        let (count, at) = (&rule["succeededCount"], child(&path, "succeededCount"));
        if count.is_null() && rule["succeededIndexes"].is_null() {
            let why = "at least one of succeededCount or succeededIndexes must be specified";
            errors.push(FieldError::required(&path, why));
        }
        not_negative(errors, &at, count);
        if let (Some(n), Some(all)) = (count.as_i64(), spec["completions"].as_i64())
            && n > all
        {
            let why = format!("must be less than or equal to {all} (the number of specified completions)");
            errors.push(FieldError::invalid(&at, count, &why));
        }
    }
}
