//! What a pod says about where it may run: node selector, affinity, tolerations; and the taints of nodes.

use super::{Errors, between, child, indexed, invalid, names, one_of, selector, text};
use peapod_api::FieldError;
use serde_json::Value;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const OPERATORS: [&str; 6] = ["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"];

/// `spec.tolerations`.
pub fn tolerations(errors: &mut Errors, path: &str, list: &Value) {
    for (path, toleration) in indexed(list, path) {
        let (key, operator) = (text(&toleration["key"]), text(&toleration["operator"]));
        if !key.is_empty() {
            invalid(errors, &child(&path, "key"), &toleration["key"], names::label_key(key));
        } else if operator != "Exists" {
            let why =
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.push(FieldError::invalid(&child(&path, "operator"), &operator.into(), why));
        }
        if !toleration["tolerationSeconds"].is_null() && toleration["effect"] != "NoExecute" {
            let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.push(FieldError::invalid(
                &child(&path, "effect"),
                &text(&toleration["effect"]).into(),
                why,
            ));
        }
        let value = text(&toleration["value"]);
        match operator {
            "Exists" if !value.is_empty() => {
                let why = "value must be empty when `operator` is 'Exists'";
                errors.push(FieldError::invalid(&child(&path, "operator"), &toleration["value"], why));
            }
            "" | "Equal" => {
                invalid(errors, &child(&path, "operator"), &toleration["value"], names::label_value(value))
            }
            _ => one_of(errors, &child(&path, "operator"), &toleration["operator"], &["Equal", "Exists"]),
        }
        if !text(&toleration["effect"]).is_empty() {
            one_of(errors, &child(&path, "effect"), &toleration["effect"], &EFFECTS);
        }
    }
}

/// `spec.taints` of a node.
pub fn taints(errors: &mut Errors, path: &str, list: &Value) {
    let mut seen = std::collections::BTreeSet::new();
    for (path, taint) in indexed(list, path) {
        let key = text(&taint["key"]);
        if !key.is_empty() {
            invalid(errors, &child(&path, "key"), &taint["key"], names::label_key(key));
        }
        invalid(errors, &child(&path, "value"), &taint["value"], names::label_value(text(&taint["value"])));
        one_of(errors, &child(&path, "effect"), &taint["effect"], &EFFECTS);
        if !seen.insert((key, text(&taint["effect"]))) {
            errors.push(FieldError::duplicate(&path, taint));
        }
    }
}

/// `spec.affinity.nodeAffinity`.
pub fn node_affinity(errors: &mut Errors, path: &str, affinity: &Value) {
    let required = &affinity["requiredDuringSchedulingIgnoredDuringExecution"];
    if !required.is_null() {
        let path = child(path, "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms");
        if required["nodeSelectorTerms"].as_array().is_none_or(Vec::is_empty) {
            errors.push(FieldError::required(&path, "must have at least one node selector term"));
        }
        for (path, term) in indexed(&required["nodeSelectorTerms"], &path) {
            node_selector_term(errors, &path, term);
        }
    }
    let path = child(path, "preferredDuringSchedulingIgnoredDuringExecution");
    for (path, preference) in indexed(&affinity["preferredDuringSchedulingIgnoredDuringExecution"], &path) {
        if preference["weight"].as_i64().is_none_or(|w| !(1..=100).contains(&w)) {
            let why = "must be in the range 1-100";
            errors.push(FieldError::invalid(&child(&path, "weight"), &preference["weight"], why));
        }
        node_selector_term(errors, &child(&path, "preference"), &preference["preference"]);
    }
}

fn node_selector_term(errors: &mut Errors, path: &str, term: &Value) {
    for (path, expression) in indexed(&term["matchExpressions"], &child(path, "matchExpressions")) {
        selector::requirement(errors, &path, expression, &OPERATORS);
    }
    for (path, expression) in indexed(&term["matchFields"], &child(path, "matchFields")) {
        if expression["key"] != "metadata.name" {
            let why = "not a valid field selector key";
            errors.push(FieldError::invalid(&child(&path, "key"), &expression["key"], why));
        }
        one_of(errors, &child(&path, "operator"), &expression["operator"], &["In", "NotIn"]);
        if expression["values"].as_array().map_or(0, Vec::len) != 1 {
            let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
            errors.push(FieldError::required(&child(&path, "values"), why));
        }
    }
}

/// The scalar parts of a pod spec that concern scheduling.
pub fn placement(errors: &mut Errors, path: &str, spec: &Value) {
    selector::labels(errors, &child(path, "nodeSelector"), &spec["nodeSelector"]);
    for name in ["nodeName", "schedulerName", "priorityClassName"] {
        let value = text(&spec[name]);
        if !value.is_empty() {
            invalid(errors, &child(path, name), &spec[name], names::subdomain(value));
        }
    }
    between(
        errors,
        &child(path, "activeDeadlineSeconds"),
        &spec["activeDeadlineSeconds"],
        1,
        i64::from(i32::MAX),
    );
    node_affinity(errors, &child(path, "affinity.nodeAffinity"), &spec["affinity"]["nodeAffinity"]);
    tolerations(errors, &child(path, "tolerations"), &spec["tolerations"]);
}
