//! StatefulSets.

use super::workload::{self, WORKLOAD};
use super::{Findings, Strategy};
use crate::pod_fields;
use crate::validation::names::NameRule;
use crate::validation::{Errors, items, not_negative, pod_spec, share, status, text};
use peapod_api::FieldError;
use serde_json::{Value, json};

pub(super) static STRATEGY: Strategy = Strategy {
    name: NameRule::Label,
    validate,
    validate_update,
    validate_status: status::stateful_set,
    ..WORKLOAD
};

/// What may change of a spec.
const CHANGEABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

fn validate(set: &Value, findings: &mut Findings) {
    workload::counts(set, findings);
    let (spec, errors) = (&set["spec"], &mut findings.errors);
    workload::chosen(errors, spec, "statefulset");
    not_negative(errors, "spec.ordinals.start", &spec["ordinals"]["start"]);
    strategy(&spec["updateStrategy"], errors);
    let template = &spec["template"];
    pod_spec::template_metadata(errors, "spec.template", template);
    pod_spec::pod_spec(errors, "spec.template.spec", &with_claims(spec));
    pod_spec::endless(errors, "spec.template.spec", &template["spec"], "StatefulSet");
    pod_fields::judge("spec.template.spec", &template["spec"], &mut findings.errors, &mut findings.warnings);
}

/// The template's spec with the volumes that the claims become.
fn with_claims(spec: &Value) -> Value {
    let mut pod = spec["template"]["spec"].clone();
    let claim = |template: &Value| {
        let name = &template["metadata"]["name"];
        json!({"name": name, "persistentVolumeClaim": {"claimName": name}})
    };
    let claims: Vec<Value> = items(&spec["volumeClaimTemplates"]).map(claim).collect();
    if !claims.is_empty() {
        let replaced = |volume: &&Value| claims.iter().any(|claim| claim["name"] == volume["name"]);
        let kept = items(&pod["volumes"]).filter(|volume| !replaced(volume)).cloned();
        pod["volumes"] = kept.chain(claims.iter().cloned()).collect();
    }
    pod
}

fn strategy(strategy: &Value, errors: &mut Errors) {
    const PATH: &str = "spec.updateStrategy.rollingUpdate";
    let rolling = &strategy["rollingUpdate"];
    match text(&strategy["type"]) {
        "OnDelete" if !rolling.is_null() => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            errors.push(FieldError::invalid(PATH, rolling, why));
        }
        "RollingUpdate" => {
            not_negative(errors, &format!("{PATH}.partition"), &rolling["partition"]);
            let (path, value) = (format!("{PATH}.maxUnavailable"), &rolling["maxUnavailable"]);
            if share(errors, &path, value, true) == Some(0) {
                errors.push(FieldError::invalid(&path, value, "cannot be 0"));
            }
        }
        _ => {}
    }
}

fn validate_update(new: &Value, old: &Value, findings: &mut Findings) {
    let fixed = |set: &Value| {
        let mut spec = set["spec"].clone();
        if let Some(spec) = spec.as_object_mut() {
            CHANGEABLE.iter().for_each(|field| _ = spec.remove(*field));
        }
        spec
    };
    if fixed(new) != fixed(old) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                   'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                   'minReadySeconds' are forbidden";
        findings.errors.push(FieldError::forbidden("spec", why));
    }
}
