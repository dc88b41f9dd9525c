//! HorizontalPodAutoscalers of both versions; only the newer has metrics and behavior.

use super::{Findings, PLAIN, Strategy};
use crate::validation::{Errors, child, indexed, items, names, positive, quantity, reference, status, text};
use peapod_api::{FieldError, Quantity};
use serde_json::Value;

pub(super) static STRATEGY: Strategy = Strategy { validate, validate_status: status::autoscaler, ..PLAIN };

/// Where each type of metric keeps what it is about.
const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];
const MAX_WINDOW_SECONDS: i64 = 3600;
const MAX_PERIOD_SECONDS: i64 = 1800;

fn validate(autoscaler: &Value, findings: &mut Findings) {
    let (spec, errors) = (&autoscaler["spec"], &mut findings.errors);
    let (min, max) = (spec["minReplicas"].as_i64(), spec["maxReplicas"].as_i64().unwrap_or(0));
    if min.is_some_and(|n| n < 1) {
        let why = "must be greater than or equal to 1";
        errors.push(FieldError::invalid("spec.minReplicas", &spec["minReplicas"], why));
    }
    positive(errors, "spec.maxReplicas", &max.into());
    if min.is_some_and(|min| max < min) {
        let why = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid("spec.maxReplicas", &spec["maxReplicas"], why));
    }
    reference(errors, "spec.scaleTargetRef", &spec["scaleTargetRef"]);
    positive(errors, "spec.targetCPUUtilizationPercentage", &spec["targetCPUUtilizationPercentage"]);
    for (path, metric) in indexed(&spec["metrics"], "spec.metrics") {
        validate_metric(&path, metric, errors);
    }
    for direction in ["scaleUp", "scaleDown"] {
        let rules = &spec["behavior"][direction];
        if rules.is_object() {
            behavior(&format!("spec.behavior.{direction}"), rules, errors);
        }
    }
}

fn validate_metric(path: &str, metric: &Value, errors: &mut Errors) {
    let type_ = text(&metric["type"]);
    if type_.is_empty() {
        let why = "must specify a metric source type";
        errors.push(FieldError::required(&child(path, "type"), why));
    }
    let Some((_, own)) = SOURCES.iter().find(|(name, _)| *name == type_) else {
        let supported = SOURCES.map(|(name, _)| name);
        errors.push(FieldError::not_supported(&child(path, "type"), &metric["type"], &supported));
        return;
    };
    for (_, source) in SOURCES {
        let (at, given) = (child(path, source), metric[source].is_object());
        if source == *own && !given {
            let why = "must populate information for the given metric source";
            errors.push(FieldError::required(&at, why));
        } else if source != *own && given {
            errors.push(FieldError::forbidden(&at, "must populate the given metric source only"));
        }
    }
    if metric[*own].is_object() {
        source(&child(path, own), own, &metric[*own], errors);
    }
}

fn source(path: &str, kind: &str, source: &Value, errors: &mut Errors) {
    let about = if kind.ends_with("esource") { "resource" } else { "metric" };
    let (at, name) = if about == "resource" {
        (child(path, "name"), &source["name"])
    } else {
        (child(path, "metric.name"), &source["metric"]["name"])
    };
    match text(name) {
        "" => errors.push(FieldError::required(&at, &format!("must specify a {about} name"))),
        given if about == "metric" => {
            crate::validation::invalid(errors, &at, name, names::path_segment(given, false));
        }
        _ => {}
    }
    if kind == "containerResource" && text(&source["container"]).is_empty() {
        errors.push(FieldError::required(&child(path, "container"), "must specify a container"));
    }
    if kind == "object" {
        reference(errors, &child(path, "describedObject"), &source["describedObject"]);
    }
    target(&child(path, "target"), kind, &source["target"], errors);
}

fn target(path: &str, kind: &str, target: &Value, errors: &mut Errors) {
    let at = |field: &str| child(path, field);
    if text(&target["type"]).is_empty() {
        errors.push(FieldError::required(&at("type"), "must specify a metric target type"));
    } else if !["Utilization", "Value", "AverageValue"].contains(&text(&target["type"])) {
        let why = "must be either Utilization, Value, or AverageValue";
        errors.push(FieldError::invalid(&at("type"), &target["type"], why));
    }
    for field in ["value", "averageValue"] {
        if quantity(&target[field]).is_some_and(|amount| amount <= Quantity::whole(0)) {
            errors.push(FieldError::invalid(&at(field), &target[field], "must be positive"));
        }
    }
    positive(errors, &at("averageUtilization"), &target["averageUtilization"]);
    let given = |field: &str| !target[field].is_null();
    match kind {
        "resource" | "containerResource" => match (given("averageUtilization"), given("averageValue")) {
            (false, false) => {
                let why = "must set either a target raw value or a target utilization";
                errors.push(FieldError::required(&at("averageUtilization"), why));
            }
            (true, true) => {
                let why = "may not set both a target raw value and a target utilization";
                errors.push(FieldError::forbidden(&at("averageValue"), why));
            }
            _ => {}
        },
        "pods" if !given("averageValue") => {
            let why = "must specify a positive target averageValue";
            errors.push(FieldError::required(&at("averageValue"), why));
        }
        "object" if !given("value") && !given("averageValue") => {
            let why = "must set either a target value or averageValue";
            errors.push(FieldError::required(&at("averageValue"), why));
        }
        "external" => match (given("value"), given("averageValue")) {
            (true, true) => {
                let why = "may not set both a target value for metric and a per-pod target";
                errors.push(FieldError::forbidden(&at("value"), why));
            }
            (false, false) => {
                let why = "must set either a target value for metric or a per-pod target";
                errors.push(FieldError::required(&at("averageValue"), why));
            }
            _ => {}
        },
        _ => {}
    }
}

/// How fast it may go in one direction.
fn behavior(path: &str, rules: &Value, errors: &mut Errors) {
    let bounded = |errors: &mut Errors, path: &str, value: &Value, low: i64, max: i64| {
        let Some(n) = value.as_i64() else { return };
        if n < low {
            let why =
                if low == 0 { "must be greater than or equal to zero" } else { "must be greater than zero" };
            errors.push(FieldError::invalid(path, value, why));
        } else if n > max {
            let why = format!("must be less than or equal to {max}");
            errors.push(FieldError::invalid(path, value, &why));
        }
    };
    let window = &rules["stabilizationWindowSeconds"];
    bounded(errors, &child(path, "stabilizationWindowSeconds"), window, 0, MAX_WINDOW_SECONDS);
    let at = child(path, "policies");
    if items(&rules["policies"]).next().is_none() {
        errors.push(FieldError::required(&at, "must specify at least one Policy"));
    }
    for (path, policy) in indexed(&rules["policies"], &at) {
        let supported = ["Percent", "Pods"];
        if !supported.contains(&text(&policy["type"])) {
            errors.push(FieldError::not_supported(&child(&path, "type"), &policy["type"], &supported));
        }
        bounded(errors, &child(&path, "value"), &policy["value"], 1, i64::MAX);
        bounded(errors, &child(&path, "periodSeconds"), &policy["periodSeconds"], 1, MAX_PERIOD_SECONDS);
    }
}
