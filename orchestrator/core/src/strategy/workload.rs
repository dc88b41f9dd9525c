//! What workloads with a selector and a pod template share.

use super::{Findings, pod};
use crate::pod_fields;
use crate::validation::{Errors, not_negative, pod_spec, selector};
use peapod_api::FieldError;
use peapod_api::object::labels;
use peapod_api::selector::LabelSelector;
use serde_json::Value;

/// Brings the template into the form in which it is stored.
pub(super) fn prepare(workload: &mut Value) {
    if let Some(spec) = workload.pointer_mut("/spec/template/spec") {
        pod::name_account_twice(spec);
    }
}

/// Replicas, selector and template.
pub(super) fn validate(workload: &Value, findings: &mut Findings) {
    let (spec, errors) = (&workload["spec"], &mut findings.errors);
    for name in ["replicas", "minReadySeconds"] {
        not_negative(errors, &format!("spec.{name}"), &spec[name]);
    }
    if spec["selector"].is_object() {
        chosen(errors, &spec["selector"], &spec["template"]["metadata"]["labels"]);
    }
    pod_spec::template(errors, "spec.template", &spec["template"]);
    let template = &spec["template"]["spec"];
    pod_fields::judge("spec.template.spec", template, &mut findings.errors, &mut findings.warnings);
}

/// The selector must choose the template's own pods.
fn chosen(errors: &mut Errors, chosen: &Value, own: &Value) {
    selector::label_selector(errors, "spec.selector", chosen);
    match LabelSelector::from_object(chosen) {
        Some(parsed) if parsed.is_empty() => {
            let why = "empty selector is invalid for deployment";
            errors.push(FieldError::invalid("spec.selector", chosen, why));
        }
        Some(parsed) if !parsed.matches(&labels(own)) => {
            let why = "`selector` does not match template `labels`";
            errors.push(FieldError::invalid("spec.template.metadata.labels", own, why));
        }
        _ => {}
    }
}
