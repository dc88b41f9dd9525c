//! DaemonSets.

use super::workload::{self, WORKLOAD};
use super::{Findings, Strategy, pod};
use crate::validation::{Errors, pod_spec, share, status};
use peapod_api::FieldError;
use serde_json::Value;

pub(super) static STRATEGY: Strategy = Strategy {
    validate,
    validate_update: pod::immutable_selector,
    validate_status: status::daemon_set,
    ..WORKLOAD
};

fn validate(set: &Value, findings: &mut Findings) {
    workload::counts(set, findings);
    let (spec, errors) = (&set["spec"], &mut findings.errors);
    workload::chosen(errors, spec, "daemonset");
    if spec["updateStrategy"]["type"] == "RollingUpdate" {
        rolling(&spec["updateStrategy"]["rollingUpdate"], errors);
    }
    workload::template(set, findings);
    pod_spec::endless(&mut findings.errors, "spec.template.spec", &spec["template"]["spec"], "DaemonSet");
}

/// A node has one pod of the set, or for a moment two: exactly one of the two shares is above zero.
fn rolling(rolling: &Value, errors: &mut Errors) {
    const PATH: &str = "spec.updateStrategy.rollingUpdate";
    let path = |field: &str| format!("{PATH}.{field}");
    let unavailable = share(errors, &path("maxUnavailable"), &rolling["maxUnavailable"], true);
    let surge = share(errors, &path("maxSurge"), &rolling["maxSurge"], true);
    match (unavailable.is_some_and(|n| n != 0), surge.is_some_and(|n| n != 0)) {
        (true, true) => {
            let why = "may not be set when maxUnavailable is non-zero";
            errors.push(FieldError::invalid(&path("maxSurge"), &rolling["maxSurge"], why));
        }
        (false, false) => {
            errors.push(FieldError::required(&path("maxUnavailable"), "cannot be 0 when maxSurge is 0"));
        }
        _ => {}
    }
}
