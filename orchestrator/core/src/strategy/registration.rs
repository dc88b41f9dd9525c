//! Objects about the API itself: admission webhooks and policies, flow control, API services.

use super::{Findings, PLAIN, Strategy};
use crate::validation::names::NameRule;
use crate::validation::{Errors, child, indexed, invalid, items, names, text};
use peapod_api::FieldError;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Kinds that the schema describes well enough.
pub(super) static COUNTED: Strategy = Strategy { counts_generations: true, ..PLAIN };

pub(super) static WEBHOOKS: Strategy = Strategy {
    counts_generations: true,
    validate: |configuration, findings| {
        let mut seen = BTreeSet::new();
        for (path, webhook) in indexed(&configuration["webhooks"], "webhooks") {
            validate_webhook(&path, webhook, &mut findings.errors);
            if !seen.insert(text(&webhook["name"])) {
                findings.errors.push(FieldError::duplicate(&child(&path, "name"), &webhook["name"]));
            }
        }
    },
    ..PLAIN
};

pub(super) static API_SERVICE: Strategy = Strategy {
    name: NameRule::PathSegment,
    prepare_create: |service| {
        let (status, reason, message) = if service["spec"]["service"].is_null() {
            ("True", "Local", "Local APIServices are always available")
        } else {
            ("False", "NotPassedOn", "this server does not pass requests on to other API servers")
        };
        let since = &service["metadata"]["creationTimestamp"];
        service["status"] = json!({"conditions": [{"type": "Available", "status": status, "reason": reason,
            "message": message, "lastTransitionTime": since}]});
    },
    validate: validate_api_service,
    ..PLAIN
};

const TIMEOUT_MAX_SECONDS: i64 = 30;
const GROUP_PRIORITY_MAX: i64 = 20_000;
const VERSION_PRIORITY_MAX: i64 = 1000;

fn validate_webhook(path: &str, webhook: &Value, errors: &mut Errors) {
    let (at, name) = (child(path, "name"), &webhook["name"]);
    match text(name) {
        "" => errors.push(FieldError::required(&at, "")),
        full => {
            invalid(errors, &at, name, names::subdomain(full));
            if full.split('.').count() < 3 {
                let why = "should be a domain with at least three segments separated by dots";
                errors.push(FieldError::invalid(&at, name, why));
            }
        }
    }
    let at = child(path, "sideEffects");
    match text(&webhook["sideEffects"]) {
        "" => errors.push(FieldError::required(&at, "must specify one of None, NoneOnDryRun")),
        "None" | "NoneOnDryRun" => {}
        _ => errors.push(FieldError::not_supported(&at, &webhook["sideEffects"], &["None", "NoneOnDryRun"])),
    }
    let (at, versions) = (child(path, "admissionReviewVersions"), &webhook["admissionReviewVersions"]);
    if items(versions).next().is_none() {
        errors.push(FieldError::required(&at, "must specify one of v1, v1beta1"));
    } else if !items(versions).any(|version| version == "v1" || version == "v1beta1") {
        let why = "must include at least one of v1, v1beta1";
        errors.push(FieldError::invalid(&at, versions, why));
    }
    let timeout = &webhook["timeoutSeconds"];
    if timeout.as_i64().is_some_and(|seconds| !(1..=TIMEOUT_MAX_SECONDS).contains(&seconds)) {
        let why = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(&child(path, "timeoutSeconds"), timeout, why));
    }
    let config = &webhook["clientConfig"];
    if config["url"].is_string() == config["service"].is_object() {
        let why = "exactly one of url or service is required";
        errors.push(FieldError::required(&child(path, "clientConfig"), why));
    }
}

fn validate_api_service(service: &Value, findings: &mut Findings) {
    let (spec, errors) = (&service["spec"], &mut findings.errors);
    // The core group has no name: its APIService is called `v1.`.
    let wanted = format!("{}.{}", text(&spec["version"]), text(&spec["group"]));
    let name = &service["metadata"]["name"];
    if text(name) != wanted {
        let why = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
        errors.push(FieldError::invalid("metadata.name", name, &why));
    }
    for (field, max) in
        [("groupPriorityMinimum", GROUP_PRIORITY_MAX), ("versionPriority", VERSION_PRIORITY_MAX)]
    {
        if !(1..=max).contains(&spec[field].as_i64().unwrap_or(0)) {
            let why = format!("must be positive and less than {max}");
            errors.push(FieldError::invalid(&child("spec", field), &spec[field], &why));
        }
    }
    if spec["service"].is_null() {
        if !text(&spec["caBundle"]).is_empty() {
            let why = "local APIServices may not have a caBundle";
            errors.push(FieldError::invalid_whole("spec.caBundle", why));
        }
        if spec["insecureSkipTLSVerify"] == true {
            let why = "local APIServices may not have insecureSkipTLSVerify set";
            errors.push(FieldError::invalid("spec.insecureSkipTLSVerify", &true.into(), why));
        }
    }
}
