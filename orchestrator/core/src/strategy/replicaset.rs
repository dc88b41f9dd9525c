//! ReplicaSets, and ReplicationControllers, their older kin.

use super::workload::{self, WORKLOAD};
use super::{Findings, Strategy, pod};
use crate::validation::{not_negative, pod_spec, selector, status};
use peapod_api::FieldError;
use peapod_api::object::labels;
use peapod_api::selector::LabelSelector;
use serde_json::Value;

pub(super) static STRATEGY: Strategy = Strategy {
    validate: workload::validate,
    validate_update: pod::immutable_selector,
    validate_status: status::replica_set,
    ..WORKLOAD
};

pub(super) static CONTROLLER: Strategy =
    Strategy { validate: validate_controller, validate_status: status::replica_set, ..WORKLOAD };

/// The selector of a ReplicationController is a map of labels.
fn validate_controller(controller: &Value, findings: &mut Findings) {
    let (spec, errors) = (&controller["spec"], &mut findings.errors);
    for name in ["replicas", "minReadySeconds"] {
        not_negative(errors, &format!("spec.{name}"), &spec[name]);
    }
    let wanted = labels(&spec["selector"]);
    if wanted.is_empty() {
        errors.push(FieldError::required("spec.selector", ""));
    }
    selector::labels(errors, "spec.selector", &spec["selector"]);
    if !spec["template"].is_object() {
        errors.push(FieldError::required("spec.template", ""));
        return;
    }
    let own = &spec["template"]["metadata"]["labels"];
    if !LabelSelector::from_map(&wanted).matches(&labels(own)) {
        workload::mismatch(errors, own);
    }
    workload::template(controller, findings);
    let template = &spec["template"]["spec"];
    pod_spec::endless(&mut findings.errors, "spec.template.spec", template, "ReplicationController");
}
