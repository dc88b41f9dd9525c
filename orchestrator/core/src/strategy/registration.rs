//! Objects about the API itself: flow control, API services.

use super::{ALL_METADATA, Findings, PLAIN, Strategy};
use crate::validation::names::NameRule;
use crate::validation::status::conditions;
use crate::validation::{child, text};
use peapod_api::FieldError;
use serde_json::{Value, json};

/// Kinds that the schema describes well enough.
pub(super) static COUNTED: Strategy =
    Strategy { counts_generations: true, status_keeps: ALL_METADATA, ..PLAIN };

/// FlowSchemas and PriorityLevelConfigurations.
pub(super) static FLOW_CONTROL: Strategy = Strategy {
    counts_generations: true,
    status_keeps: ALL_METADATA,
    validate_status: conditions::flow_control,
    ..PLAIN
};

pub(super) static API_SERVICE: Strategy = Strategy {
    name: NameRule::PathSegment,
    validate_status: conditions::api_service,
    status_keeps: ALL_METADATA,
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
    validate_create: |service, findings| {
        if service["spec"]["service"].is_object() {
            let why =
                "spec.service has no effect: this server does not pass requests on to other API servers";
            findings.warnings.push(why.into());
        }
    },
    ..PLAIN
};

const MAX_GROUP_PRIORITY: i64 = 20_000;
const MAX_VERSION_PRIORITY: i64 = 1000;

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
        [("groupPriorityMinimum", MAX_GROUP_PRIORITY), ("versionPriority", MAX_VERSION_PRIORITY)]
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
