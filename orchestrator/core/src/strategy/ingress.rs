//! Ingresses and IngressClasses.

use super::{Findings, PLAIN, Strategy};
use crate::classes::INGRESS;
use crate::validation::{
    Errors, between, child, immutable, indexed, invalid, items, names, reference, status, text,
};
use peapod_api::FieldError;
use serde_json::Value;
use std::net::IpAddr;

pub(super) static STRATEGY: Strategy = Strategy {
    counts_generations: true,
    validate,
    validate_status: status::ingress,
    validate_create: |ingress, findings| {
        let old = &ingress["metadata"]["annotations"][INGRESS.annotation];
        if !text(old).is_empty() && !ingress["spec"]["ingressClassName"].is_null() {
            let (path, why) = (
                format!("annotations.{}", INGRESS.annotation),
                "can not be set when the class field is also set",
            );
            findings.errors.push(FieldError::invalid(&path, old, why));
        }
    },
    ..PLAIN
};

pub(super) static CLASS: Strategy = Strategy {
    counts_generations: true,
    validate: validate_class,
    validate_update: |new, old, findings| {
        let (new, old) = (&new["spec"]["controller"], &old["spec"]["controller"]);
        immutable(&mut findings.errors, "spec.controller", new, old);
    },
    ..PLAIN
};

/// What a path that is compared must not hold, and must not end with.
const BAD_PARTS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDS: [&str; 2] = ["/..", "/."];

fn validate(ingress: &Value, findings: &mut Findings) {
    let (spec, errors) = (&ingress["spec"], &mut findings.errors);
    if spec["defaultBackend"].is_null() && items(&spec["rules"]).next().is_none() {
        let why = "either `defaultBackend` or `rules` must be specified";
        errors.push(FieldError::invalid("spec", &serde_json::json!([]), why));
    }
    if spec["defaultBackend"].is_object() {
        backend("spec.defaultBackend", &spec["defaultBackend"], errors);
    }
    for (path, tls) in indexed(&spec["tls"], "spec.tls") {
        for (path, name) in indexed(&tls["hosts"], &child(&path, "hosts")) {
            host(&path, name, errors);
        }
        let secret = &tls["secretName"];
        if !text(secret).is_empty() {
            invalid(errors, &child(&path, "secretName"), secret, names::subdomain(text(secret)));
        }
    }
    for (path, rule) in indexed(&spec["rules"], "spec.rules") {
        validate_rule(&path, rule, errors);
    }
    if let Some(class) = spec["ingressClassName"].as_str() {
        invalid(errors, "spec.ingressClassName", &spec["ingressClassName"], names::subdomain(class));
    }
}

fn host(path: &str, name: &Value, errors: &mut Errors) {
    let text = text(name);
    let complaints =
        if text.contains('*') { names::wildcard_subdomain(text) } else { names::subdomain(text) };
    invalid(errors, path, name, complaints);
}

fn validate_rule(path: &str, rule: &Value, errors: &mut Errors) {
    let name = &rule["host"];
    if !text(name).is_empty() {
        let at = child(path, "host");
        if text(name).parse::<IpAddr>().is_ok() {
            errors.push(FieldError::invalid(&at, name, "must be a DNS name, not an IP address"));
        }
        host(&at, name, errors);
    }
    if !rule["http"].is_object() {
        return;
    }
    let at = child(path, "http.paths");
    if items(&rule["http"]["paths"]).next().is_none() {
        errors.push(FieldError::required(&at, ""));
    }
    for (path, one) in indexed(&rule["http"]["paths"], &at) {
        url_path(&path, one, errors);
        backend(&child(&path, "backend"), &one["backend"], errors);
    }
}

fn url_path(path: &str, one: &Value, errors: &mut Errors) {
    const TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
    let (at, value, type_) = (child(path, "path"), &one["path"], &one["pathType"]);
    let is_absolute = text(value).starts_with('/');
    match text(type_) {
        "" => errors.push(FieldError::required(&child(path, "pathType"), "pathType must be specified")),
        "Exact" | "Prefix" => {
            if !is_absolute {
                errors.push(FieldError::invalid(&at, value, "must be an absolute path"));
            }
            for part in BAD_PARTS.iter().filter(|part| text(value).contains(*part)) {
                errors.push(FieldError::invalid(&at, value, &format!("must not contain '{part}'")));
            }
            for end in BAD_ENDS.iter().filter(|end| text(value).ends_with(*end)) {
                errors.push(FieldError::invalid(&at, value, &format!("cannot end with '{end}'")));
            }
        }
        "ImplementationSpecific" if !text(value).is_empty() && !is_absolute => {
            errors.push(FieldError::invalid(&at, value, "must be an absolute path"));
        }
        "ImplementationSpecific" => {}
        _ => errors.push(FieldError::not_supported(&child(path, "pathType"), type_, &TYPES)),
    }
}

fn backend(path: &str, backend: &Value, errors: &mut Errors) {
    let (service, resource) = (&backend["service"], &backend["resource"]);
    let nothing = Value::from("");
    match (service.is_object(), resource.is_object()) {
        (true, true) => {
            let why = "cannot set both resource and service backends";
            errors.push(FieldError::invalid(path, &nothing, why));
        }
        (false, false) => {
            errors.push(FieldError::invalid(path, &nothing, "resource or service backend is required"));
        }
        (false, true) => reference(errors, &child(path, "resource"), resource),
        (true, false) => service_backend(path, service, errors),
    }
}

fn service_backend(path: &str, service: &Value, errors: &mut Errors) {
    let at = |field: &str| child(path, &format!("service.{field}"));
    match text(&service["name"]) {
        "" => errors.push(FieldError::required(&at("name"), "")),
        name => invalid(errors, &at("name"), &service["name"], names::dns1035_label(name)),
    }
    let port = &service["port"];
    let (name, number) = (text(&port["name"]), port["number"].as_i64().unwrap_or(0));
    match (name.is_empty(), number) {
        (true, 0) => errors.push(FieldError::required(path, "port name or number is required")),
        (true, _) => between(errors, &at("port.number"), &port["number"], 1, 65535),
        (false, 0) => invalid(errors, &at("port.name"), &port["name"], names::port_name(name)),
        (false, _) => {
            let why = "cannot set both port name & port number";
            errors.push(FieldError::invalid(path, &"".into(), why));
        }
    }
}

fn validate_class(class: &Value, findings: &mut Findings) {
    let (spec, errors) = (&class["spec"], &mut findings.errors);
    match text(&spec["controller"]) {
        "" => errors.push(FieldError::required("spec.controller", "")),
        controller => invalid(errors, "spec.controller", &spec["controller"], names::domain_path(controller)),
    }
    let parameters = &spec["parameters"];
    if !parameters.is_object() {
        return;
    }
    const PATH: &str = "spec.parameters";
    reference(errors, PATH, parameters);
    let (at, namespaced) = (child(PATH, "namespace"), !text(&parameters["namespace"]).is_empty());
    match text(&parameters["scope"]) {
        "Namespace" if !namespaced => {
            errors.push(FieldError::required(&at, "`parameters.scope` is set to 'Namespace'"));
        }
        "Cluster" if namespaced => {
            errors.push(FieldError::forbidden(&at, "`parameters.scope` is set to 'Cluster'"));
        }
        "Namespace" | "Cluster" => {}
        _ => {
            let supported = ["Cluster", "Namespace"];
            errors.push(FieldError::not_supported(&child(PATH, "scope"), &parameters["scope"], &supported));
        }
    }
}
