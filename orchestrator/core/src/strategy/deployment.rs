//! Deployments: how they roll.

use super::workload::{self, WORKLOAD};
use super::{Findings, Strategy, pod};
use crate::validation::{Errors, not_negative, share, status};
use peapod_api::FieldError;
use serde_json::Value;

pub(super) static STRATEGY: Strategy = Strategy {
    validate,
    validate_update: pod::immutable_selector,
    status_keeps: &["labels"],
    validate_status: status::deployment,
    ..WORKLOAD
};

fn validate(deployment: &Value, findings: &mut Findings) {
    workload::validate(deployment, findings);
    let (spec, errors) = (&deployment["spec"], &mut findings.errors);
    not_negative(errors, "spec.revisionHistoryLimit", &spec["revisionHistoryLimit"]);
    let deadline = &spec["progressDeadlineSeconds"];
    not_negative(errors, "spec.progressDeadlineSeconds", deadline);
    let ready = spec["minReadySeconds"].as_i64().unwrap_or(0);
    if deadline.as_i64().is_some_and(|seconds| seconds <= ready) {
        let why = "must be greater than minReadySeconds";
        errors.push(FieldError::invalid("spec.progressDeadlineSeconds", deadline, why));
    }
    strategy(&spec["strategy"], errors);
}

fn strategy(strategy: &Value, errors: &mut Errors) {
    const PATH: &str = "spec.strategy.rollingUpdate";
    let rolling = &strategy["rollingUpdate"];
    if strategy["type"] == "Recreate" && !rolling.is_null() {
        let why = "may not be specified when strategy `type` is 'Recreate'";
        errors.push(FieldError::forbidden(PATH, why));
        return;
    }
    let surge = share(errors, &format!("{PATH}.maxSurge"), &rolling["maxSurge"], false);
    let unavailable = share(errors, &format!("{PATH}.maxUnavailable"), &rolling["maxUnavailable"], true);
    if rolling.is_object() && surge == Some(0) && unavailable == Some(0) {
        let (path, value) = (format!("{PATH}.maxUnavailable"), &rolling["maxUnavailable"]);
        errors.push(FieldError::invalid(&path, value, "may not be 0 when `maxSurge` is 0"));
    }
}
