//! What workloads with a selector and a pod template share.

use super::{Findings, PLAIN, Strategy, pod};
use crate::pod_fields;
use crate::validation::{Errors, immutable, not_negative, pod_spec, selector};
use peapod_api::FieldError;
use peapod_api::object::labels;
use peapod_api::selector::LabelSelector;
use serde_json::Value;

/// What the strategies of the workloads begin with.
pub(super) const WORKLOAD: Strategy = Strategy {
    counts_generations: true,
    prepare_create: prepare,
    prepare_update: |new, _| prepare(new),
    ..PLAIN
};

/// PodTemplates.
pub(super) static POD_TEMPLATE: Strategy = Strategy {
    counts_generations: true,
    validate: |object, findings| pod_spec::template(&mut findings.errors, "template", &object["template"]),
    ..PLAIN
};

/// ControllerRevisions.
pub(super) static REVISION: Strategy = Strategy {
    validate: |revision, findings| {
        not_negative(&mut findings.errors, "revision", &revision["revision"]);
        if revision["data"].is_null() {
            findings.errors.push(FieldError::required("data", "data is mandatory"));
        }
    },
    validate_update: |new, old, findings| {
        immutable(&mut findings.errors, "data", &new["data"], &old["data"]);
    },
    ..PLAIN
};

/// Brings the template into the form in which it is stored.
pub(super) fn prepare(workload: &mut Value) {
    if let Some(spec) = workload.pointer_mut("/spec/template/spec") {
        pod::name_account_twice(spec);
    }
}

/// Replicas, selector and template of a Deployment or a ReplicaSet.
pub(super) fn validate(workload: &Value, findings: &mut Findings) {
    counts(workload, findings);
    chosen(&mut findings.errors, &workload["spec"], "deployment");
    template(workload, findings);
    let spec = &workload["spec"]["template"]["spec"];
    pod_spec::endless(&mut findings.errors, "spec.template.spec", spec, "ReplicaSet");
}

/// Numbers that every workload has in the same place.
pub(super) fn counts(workload: &Value, findings: &mut Findings) {
    let (spec, errors) = (&workload["spec"], &mut findings.errors);
    for name in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        not_negative(errors, &format!("spec.{name}"), &spec[name]);
    }
}

/// The template, and what its pods ask for that a WASI pod cannot have.
pub(super) fn template(workload: &Value, findings: &mut Findings) {
    let template = &workload["spec"]["template"];
    pod_spec::template(&mut findings.errors, "spec.template", template);
    let (errors, warnings) = (&mut findings.errors, &mut findings.warnings);
    pod_fields::judge("spec.template.spec", &template["spec"], errors, warnings);
}

/// The selector must choose the template's own pods. `owner` is what the workload is called in complaints.
pub(super) fn chosen(errors: &mut Errors, spec: &Value, owner: &str) {
    let (chosen, own) = (&spec["selector"], &spec["template"]["metadata"]["labels"]);
    if !chosen.is_object() {
        return;
    }
    selector::label_selector(errors, "spec.selector", chosen);
    match LabelSelector::from_object(chosen) {
        Some(parsed) if parsed.is_empty() => {
            let why = format!("empty selector is invalid for {owner}");
            errors.push(FieldError::invalid("spec.selector", chosen, &why));
        }
        Some(parsed) if !parsed.matches(&labels(own)) => mismatch(errors, own),
        _ => {}
    }
}

/// The template's labels are not those that the selector asks for.
pub(super) fn mismatch(errors: &mut Errors, own: &Value) {
    let why = "`selector` does not match template `labels`";
    errors.push(FieldError::invalid("spec.template.metadata.labels", own, why));
}
