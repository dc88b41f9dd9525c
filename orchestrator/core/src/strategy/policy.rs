//! Admission policies and their bindings.

use super::admission_rules::{self, expression};
use super::{ALL_METADATA, Findings, PLAIN, Strategy};
use crate::cel::MUTATION;
use crate::validation::{Errors, child, indexed, invalid, items, names, status, text};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) static POLICY: Strategy = Strategy {
    counts_generations: true,
    status_keeps: ALL_METADATA,
    validate: policy,
    validate_status: status::policy,
    ..PLAIN
};
pub(super) static MUTATING: Strategy =
    Strategy { counts_generations: true, status_keeps: ALL_METADATA, validate: mutating, ..PLAIN };
pub(super) static MUTATING_BINDING: Strategy = Strategy {
    counts_generations: true,
    validate: |binding, findings| reference(&binding["spec"], &mut findings.errors),
    ..PLAIN
};
pub(super) static BINDING: Strategy = Strategy { counts_generations: true, validate: binding, ..PLAIN };

/// What every expression may speak of; a policy's later variables and its validations also of `variables`.
const SUBJECTS: [&str; 6] = ["object", "oldObject", "request", "params", "namespaceObject", "authorizer"];
/// What those that come after the variables may speak of. What mutations are made of is declared beside it.
const ALL: [&str; 8] =
    ["object", "oldObject", "request", "params", "namespaceObject", "authorizer", "variables", MUTATION];

fn policy(policy: &Value, findings: &mut Findings) {
    let (spec, errors) = (&policy["spec"], &mut findings.errors);
    common(spec, errors);
    if items(&spec["validations"]).chain(items(&spec["auditAnnotations"])).next().is_none() {
        let why = "validations or auditAnnotations must contain at least one item";
        errors.push(FieldError::required("spec.validations", why));
    }
    if items(&spec["auditAnnotations"]).next().is_some() {
        findings
            .warnings
            .push("spec.auditAnnotations: this server keeps no audit log to write them into".into());
    }
    annotations(policy, errors);
    for (path, validation) in indexed(&spec["validations"], "spec.validations") {
        self::validation(validation, &path, errors);
    }
}

const MAX_ANNOTATIONS: usize = 20;

fn annotations(policy: &Value, errors: &mut Errors) {
    let (list, path) = (&policy["spec"]["auditAnnotations"], "spec.auditAnnotations");
    if items(list).count() > MAX_ANNOTATIONS {
        errors.push(FieldError::invalid(path, list, "must not have more than 20 auditAnnotations"));
    }
    let (name, mut seen) = (text(&policy["metadata"]["name"]), BTreeSet::new());
    for (path, annotation) in indexed(list, path) {
        let (at, key) = (child(&path, "key"), &annotation["key"]);
        let full = format!("{name}/{}", text(key));
        invalid(errors, &at, &full.as_str().into(), names::label_key(&full));
        if !seen.insert(text(key)) {
            errors.push(FieldError::duplicate(&at, key));
        }
        expression(&annotation["valueExpression"], &child(&path, "valueExpression"), &ALL, "string", errors);
    }
}

/// What policies of both kinds have.
fn common(spec: &Value, errors: &mut Errors) {
    let constraints = &spec["matchConstraints"];
    if !constraints.is_object() {
        errors.push(FieldError::required("spec.matchConstraints", ""));
    } else if items(&constraints["resourceRules"]).next().is_none() {
        errors.push(FieldError::required("spec.matchConstraints.resourceRules", ""));
    }
    rules(constraints, "spec.matchConstraints", errors);
    admission_rules::conditions(&spec["matchConditions"], "spec.matchConditions", &SUBJECTS, errors);
    for (path, variable) in indexed(&spec["variables"], "spec.variables") {
        expression(&variable["expression"], &child(&path, "expression"), &ALL, "", errors);
    }
    if spec["paramKind"].is_object() {
        for field in
            ["apiVersion", "kind"].into_iter().filter(|field| text(&spec["paramKind"][*field]).is_empty())
        {
            errors.push(FieldError::required(&format!("spec.paramKind.{field}"), ""));
        }
    }
}

fn validation(validation: &Value, path: &str, errors: &mut Errors) {
    expression(&validation["expression"], &child(path, "expression"), &ALL, "bool", errors);
    if !text(&validation["messageExpression"]).trim().is_empty() {
        let path = child(path, "messageExpression");
        expression(&validation["messageExpression"], &path, &ALL, "string", errors);
    }
    let (reason, at) = (&validation["reason"], child(path, "reason"));
    let known = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"];
    if reason.as_str().is_some_and(|reason| !known.contains(&reason)) {
        errors.push(FieldError::not_supported(&at, reason, &known));
    }
    if text(&validation["message"]).contains('\n') {
        let why = "message must not contain line breaks";
        errors.push(FieldError::invalid(&child(path, "message"), &validation["message"], why));
    }
}

fn mutating(policy: &Value, findings: &mut Findings) {
    let (spec, errors) = (&policy["spec"], &mut findings.errors);
    common(spec, errors);
    if items(&spec["mutations"]).next().is_none() {
        errors.push(FieldError::required("spec.mutations", "mutations must contain at least one item"));
    }
    for (path, mutation) in indexed(&spec["mutations"], "spec.mutations") {
        let field = match text(&mutation["patchType"]) {
            "JSONPatch" => "jsonPatch",
            "ApplyConfiguration" => "applyConfiguration",
            _ => continue, // the schema says which there are
        };
        let other = if field == "jsonPatch" { "applyConfiguration" } else { "jsonPatch" };
        if mutation[other].is_object() {
            let why = format!("{other} must be omitted when patchType is {}", text(&mutation["patchType"]));
            errors.push(FieldError::invalid(&child(&path, other), &mutation[other], &why));
        }
        let path = format!("{path}.{field}.expression");
        expression(&mutation[field]["expression"], &path, &ALL, "", errors);
    }
    if text(&spec["reinvocationPolicy"]).is_empty() {
        errors.push(FieldError::required("spec.reinvocationPolicy", ""));
    }
}

/// What is bound, or left out, by each list of rules.
fn rules(constraints: &Value, path: &str, errors: &mut Errors) {
    for list in ["resourceRules", "excludeResourceRules"] {
        admission_rules::rules(&constraints[list], &child(path, list), errors);
    }
}

fn binding(binding: &Value, findings: &mut Findings) {
    let (spec, errors) = (&binding["spec"], &mut findings.errors);
    reference(spec, errors);
    let (actions, path) = (&spec["validationActions"], "spec.validationActions");
    let distinct: BTreeSet<&str> = items(actions).map(text).collect();
    if distinct.is_empty() {
        errors.push(FieldError::required(path, "at least one validation action is required"));
    } else if distinct.contains("Deny") && distinct.contains("Warn") {
        let why = "must not contain both Deny and Warn (repeating the same validation failure information in the API \
                   response and headers serves no purpose)";
        errors.push(FieldError::invalid(path, actions, why));
    } else if distinct == BTreeSet::from(["Audit"]) {
        findings.warnings.push(format!("{path}: this server keeps no audit log: Audit alone has no effect"));
    }
}

/// What bindings of both kinds have.
fn reference(spec: &Value, errors: &mut Errors) {
    if text(&spec["policyName"]).is_empty() {
        errors.push(FieldError::required("spec.policyName", ""));
    }
    rules(&spec["matchResources"], "spec.matchResources", errors);
    let reference = &spec["paramRef"];
    if reference.is_object() {
        let (name, selector) = (!text(&reference["name"]).is_empty(), reference["selector"].is_object());
        if name == selector {
            let why = "exactly one of name or selector must be specified";
            errors.push(FieldError::invalid("spec.paramRef", reference, why));
        }
        let action = &reference["parameterNotFoundAction"];
        if text(action).is_empty() {
            errors.push(FieldError::required("spec.paramRef.parameterNotFoundAction", ""));
        } else if action != "Allow" && action != "Deny" {
            let path = "spec.paramRef.parameterNotFoundAction";
            errors.push(FieldError::not_supported(path, action, &["Allow", "Deny"]));
        }
    }
}
