//! Pods: their first status, and how little of a pod may change.

use super::{Findings, PLAIN, Strategy};
use crate::pod_fields;
use crate::validation::{child, immutable, items, pod_spec, status, text};
use peapod_api::{FieldError, Quantity};
use serde_json::{Value, json};

pub(super) static STRATEGY: Strategy = Strategy {
    counts_generations: true,
    prepare_create,
    validate: |pod, findings| {
        pod_spec::pod_spec(&mut findings.errors, "spec", &pod["spec"]);
        pod_fields::judge("spec", &pod["spec"], &mut findings.errors, &mut findings.warnings);
    },
    validate_update,
    status_keeps: &["ownerReferences"],
    // The class is found out once, when the pod is created.
    prepare_status: |new, old| {
        if text(&new["status"]["qosClass"]).is_empty() && old["status"]["qosClass"].is_string() {
            new["status"]["qosClass"] = old["status"]["qosClass"].clone();
        }
    },
    validate_status: status::pod,
    ..PLAIN
};

fn prepare_create(pod: &mut Value) {
    name_account_twice(&mut pod["spec"]);
    pod["status"] = json!({"phase": "Pending", "qosClass": qos_class(&pod["spec"])});
}

/// `serviceAccount` is the old name of `serviceAccountName`; both are shown.
pub fn name_account_twice(spec: &mut Value) {
    let Some(spec) = spec.as_object_mut() else { return };
    let named = |field: &str| spec.get(field).filter(|v| !text(v).is_empty()).cloned();
    if let Some(account) = named("serviceAccountName").or_else(|| named("serviceAccount")) {
        spec.insert("serviceAccountName".into(), account.clone());
        spec.insert("serviceAccount".into(), account);
    }
}

/// Rule: Kubernetes, "Pod Quality of Service Classes".
pub fn qos_class(spec: &Value) -> &'static str {
    const COUNTED: [&str; 2] = ["cpu", "memory"];
    let containers = || items(&spec["containers"]).chain(items(&spec["initContainers"]));
    let amount = |container: &Value, list: &str, name: &str| {
        text(&container["resources"][list][name]).parse::<Quantity>().ok().filter(|q| *q > Quantity::whole(0))
    };
    let asks = |container: &Value| {
        COUNTED.iter().any(|name| ["limits", "requests"].iter().any(|l| amount(container, l, name).is_some()))
    };
    if !containers().any(asks) {
        return "BestEffort";
    }
    let is_sure = |container: &Value| {
        COUNTED.iter().all(|name| {
            let (limit, request) = (amount(container, "limits", name), amount(container, "requests", name));
            limit.is_some() && (request.is_none() || request == limit)
        })
    };
    if containers().all(is_sure) { "Guaranteed" } else { "Burstable" }
}

const CHANGEABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

fn validate_update(new: &Value, old: &Value, findings: &mut Findings) {
    let (new, old) = (&new["spec"], &old["spec"]);
    for list in ["containers", "initContainers"] {
        if items(&new[list]).count() != items(&old[list]).count() {
            let why = "pod updates may not add or remove containers";
            findings.errors.push(FieldError::forbidden(&child("spec", list), why));
            return;
        }
    }
    deadline(&new["activeDeadlineSeconds"], &old["activeDeadlineSeconds"], findings);
    tolerations(&new["tolerations"], &old["tolerations"], findings);
    let (reset, fixed) = (without_changeable(new), without_changeable(old));
    if reset != fixed {
        let changed = changed_fields(&reset, &fixed).join(", ");
        findings.errors.push(FieldError::forbidden("spec", &format!("{CHANGEABLE}\nchanged: {changed}")));
    }
}

fn deadline(new: &Value, old: &Value, findings: &mut Findings) {
    const PATH: &str = "spec.activeDeadlineSeconds";
    let why = match (new.as_i64(), old.as_i64()) {
        (None, Some(_)) => "must not update from a positive integer to nil value",
        (Some(later), Some(earlier)) if later > earlier => "must be less than or equal to previous value",
        _ => return,
    };
    findings.errors.push(FieldError::invalid(PATH, new, why));
}

/// Tolerations may be added, and the time of one may change.
fn tolerations(new: &Value, old: &Value, findings: &mut Findings) {
    let timeless = |toleration: &Value| without(toleration, &["tolerationSeconds"]);
    let kept = |old: &Value| items(new).any(|new| timeless(new) == timeless(old));
    if !items(old).all(kept) {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        findings.errors.push(FieldError::forbidden("spec.tolerations", why));
    }
}

fn without(object: &Value, fields: &[&str]) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.retain(|name, _| !fields.contains(&name.as_str()));
    }
    object
}

fn without_changeable(spec: &Value) -> Value {
    let mut spec = without(spec, &["activeDeadlineSeconds", "tolerations"]);
    for list in ["containers", "initContainers"] {
        if let Some(containers) = spec.get_mut(list).and_then(Value::as_array_mut) {
            containers.iter_mut().for_each(|container| *container = without(container, &["image"]));
        }
    }
    spec
}

fn changed_fields(new: &Value, old: &Value) -> Vec<String> {
    let names =
        |spec: &Value| spec.as_object().into_iter().flatten().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    let mut all = [names(new), names(old)].concat();
    all.sort();
    all.dedup();
    all.into_iter()
        .filter(|name| new[name.as_str()] != old[name.as_str()])
        .map(|n| format!("spec.{n}"))
        .collect()
}

/// For workloads: a selector never changes.
pub(super) fn immutable_selector(new: &Value, old: &Value, findings: &mut Findings) {
    immutable(&mut findings.errors, "spec.selector", &new["spec"]["selector"], &old["spec"]["selector"]);
}
