//! What webhooks and policies have in common: rules that say which writes they are about, and expressions.

use crate::cel::{Declared, Program, check};
use crate::validation::{Errors, child, indexed, invalid, items, names, text};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Most match conditions of one webhook or policy.
const MAX_CONDITIONS: usize = 64;

/// Each rule of a list names operations, groups, versions and resources that fit together. Which operations and scopes there
/// are, the schema says.
pub(super) fn rules(rules: &Value, path: &str, errors: &mut Errors) {
    for (path, rule) in indexed(rules, path) {
        for (field, words) in
            [("operations", "operations"), ("apiGroups", "API groups"), ("apiVersions", "API versions")]
        {
            let (at, list) = (child(&path, field), &rule[field]);
            let count = items(list).count();
            if count == 0 {
                errors.push(FieldError::required(&at, ""));
            } else if count > 1 && items(list).any(|value| value == "*") {
                let why = format!("if '*' is present, must not specify other {words}");
                errors.push(FieldError::invalid(&at, list, &why));
            }
        }
        for (at, _) in indexed(&rule["apiVersions"], &child(&path, "apiVersions")).filter(|(_, v)| v == &"") {
            errors.push(FieldError::required(&at, ""));
        }
        resources(&rule["resources"], &child(&path, "resources"), errors);
    }
}

/// No name of the list is in what another one says with an asterisk.
fn resources(list: &Value, path: &str, errors: &mut Errors) {
    let count = items(list).count();
    if count == 0 {
        errors.push(FieldError::required(path, ""));
    }
    let (mut all_parts_of, mut of_all) = (BTreeSet::new(), BTreeSet::new());
    for (at, value) in indexed(list, path) {
        let name = text(value);
        if name.is_empty() {
            errors.push(FieldError::required(&at, ""));
        }
        let Some((resource, part)) = name.split_once('/') else { continue };
        if all_parts_of.contains(resource) {
            let why = format!("if '{resource}/*' is present, must not specify {name}");
            errors.push(FieldError::invalid(&at, value, &why));
        }
        if of_all.contains(part) {
            let why = format!("if '*/{part}' is present, must not specify {name}");
            errors.push(FieldError::invalid(&at, value, &why));
        }
        if part == "*" {
            all_parts_of.insert(resource);
        }
        if resource == "*" {
            of_all.insert(part);
        }
    }
    let has = |is: &dyn Fn(&str) -> bool| items(list).any(|name| is(text(name)));
    if count > 1 && has(&|name| name == "*/*") {
        let why = "if '*/*' is present, must not specify other resources";
        errors.push(FieldError::invalid(path, list, why));
    }
    if has(&|name| name == "*") && has(&|name| name != "*" && !name.contains('/')) {
        let why = "if '*' is present, must not specify other resources without subresources";
        errors.push(FieldError::invalid(path, list, why));
    }
}

/// Match conditions, each with a name of its own, that speak of `subjects`.
pub(super) fn conditions(conditions: &Value, path: &str, subjects: &[&str], errors: &mut Errors) {
    let count = items(conditions).count();
    if count > MAX_CONDITIONS {
        errors.push(FieldError::too_many(path, count, MAX_CONDITIONS));
    }
    let mut seen = BTreeSet::new();
    for (at, condition) in indexed(conditions, path) {
        expression(&condition["expression"], &child(&at, "expression"), subjects, "bool", errors);
        let (at, name) = (child(&at, "name"), &condition["name"]);
        match text(name) {
            "" => errors.push(FieldError::required(&at, "")),
            own => invalid(errors, &at, name, names::label_key(own)),
        }
        if !seen.insert(text(name)) {
            errors.push(FieldError::duplicate(&at, name));
        }
    }
}

/// An expression that speaks of `subjects` and gives a value of type `wanted`; any, where that is empty.
pub(super) fn expression(value: &Value, path: &str, subjects: &[&str], wanted: &str, errors: &mut Errors) {
    let source = text(value);
    if source.trim().is_empty() {
        errors.push(FieldError::required(path, ""));
        return;
    }
    let variables: BTreeMap<&str, Declared<'_>> =
        subjects.iter().map(|name| (*name, Declared::Any)).collect();
    let checked = Program::parse(source).and_then(|program| check(&program, &variables, wanted));
    match checked {
        Err(why) if why.starts_with("must evaluate") && wanted.is_empty() => {}
        Err(why) => errors.push(FieldError::invalid(path, value, &format!("compilation failed: {why}"))),
        Ok(()) => {}
    }
}
