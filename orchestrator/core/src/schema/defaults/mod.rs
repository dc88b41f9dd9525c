//! Defaults: the published ones from the table, then those that Kubernetes applies by code, kind by kind.

mod network;
mod pod;
mod workload;

use super::lookup_kind;
use super::types::{FieldType, Type};
use super::validate::check_types;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_api::well_known::RBAC_GROUP;
use serde_json::{Map, Value, json};

/// Fills in every default of an object of that kind. The object is in its normal form (see [`super::normalize`]) and
/// stays in it. What needs an allocation (clusterIP, nodePort) is left to whoever allocates.
pub fn apply_defaults(kind: &str, api_version: &str, object: &mut Value) {
    if let Some(ty) = lookup_kind(api_version, kind) {
        if check_types(ty, object).is_err() {
            return; // the caller refuses it; nothing below may trip over it
        }
        published(ty, object);
    }
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    match (group, kind) {
        ("", "Pod") => pod::pod(object),
        ("", "PodTemplate") => pod::template(&mut object["template"]),
        ("", "Service") => network::service(object),
        ("", "Secret") => secret(object),
        ("", "Namespace") => namespace(object),
        ("", "Node") => node(object),
        ("", "PersistentVolume") => persistent_volume(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("", "LimitRange") => limit_range(object),
        ("", "ReplicationController") => workload::replication_controller(object),
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "ReplicaSet") => workload::replica_set(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("batch", "Job") => workload::job(object),
        ("batch", "CronJob") => workload::cron_job(object),
        ("autoscaling", "HorizontalPodAutoscaler") => workload::autoscaler(object),
        ("discovery.k8s.io", "EndpointSlice") => network::endpoint_slice(object),
        ("networking.k8s.io", "NetworkPolicy") => network::network_policy(object),
        ("networking.k8s.io", "IngressClass") => network::ingress_class(object),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => role_binding(object),
        ("storage.k8s.io", "StorageClass") => {
            set(object, "reclaimPolicy", "Delete");
            set(object, "volumeBindingMode", "Immediate");
        }
        ("storage.k8s.io", "CSIDriver") => csi_driver(object),
        ("apiregistration.k8s.io", "APIService") => {
            if let Some(service) = child(&mut object["spec"], "service") {
                set(service, "port", 443);
            }
        }
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => {
            set(made(object, "spec"), "matchingPrecedence", 1000)
        }
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => priority_level(object),
        ("scheduling.k8s.io", "PriorityClass") => set(object, "preemptionPolicy", "PreemptLowerPriority"),
        ("authentication.k8s.io", "TokenRequest") => set(&mut object["spec"], "expirationSeconds", 3600),
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        ) => {
            webhooks(object, kind == "MutatingWebhookConfiguration");
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        _ => {}
    }
}

/// Inserts the defaults that `ty` and the types below it publish into the objects that are there.
pub fn published(ty: &Type, value: &mut Value) {
    let Value::Object(map) = value else { return };
    for field in &ty.fields {
        match map.get_mut(&field.name) {
            Some(value) if !value.is_null() => published_below(&field.kind, value),
            _ => {
                let zero = |value: &Value| matches!(value.as_str(), Some("")) || value == 0 || value == false;
                if let Some(default) = &field.default
                    && (field.pointer || !zero(default))
                {
                    map.insert(field.name.clone(), default.clone());
                }
            }
        }
    }
}

fn published_below(kind: &FieldType, value: &mut Value) {
    match (kind, value) {
        (FieldType::Object(reference), value) => published(reference.get(), value),
        (FieldType::List(item), Value::Array(values)) => {
            values.iter_mut().for_each(|value| published_below(item, value));
        }
        (FieldType::Map(item), Value::Object(map)) => {
            map.values_mut().for_each(|value| published_below(item, value));
        }
        _ => {}
    }
}

/// Sets `key` of the object `value` unless it already has a value; does nothing to what is no object.
fn set(value: &mut Value, key: &str, default: impl Into<Value>) {
    if let Value::Object(map) = value
        && !map.get(key).is_some_and(|old| !old.is_null() && old.as_str() != Some(""))
    {
        map.insert(key.into(), default.into());
    }
}

/// The objects in the list `key` of `value`.
fn items<'a>(value: &'a mut Value, key: &str) -> impl Iterator<Item = &'a mut Value> {
    value.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten().filter(|item| item.is_object())
}

/// The object at `key` of `value`, if there is one.
fn child<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    value.get_mut(key).filter(|child| child.is_object())
}

/// The object at `key` of the object `value`, made if it is missing.
fn made<'a>(value: &'a mut Value, key: &str) -> &'a mut Value {
    set(value, key, json!({}));
    &mut value[key]
}

fn secret(object: &mut Value) {
    set(object, "type", "Opaque");
    let Some(plain) = object.as_object_mut().and_then(|map| map.remove("stringData")) else { return };
    let Value::Object(data) = made(object, "data") else { return };
    for (key, text) in plain.as_object().into_iter().flatten() {
        data.insert(key.clone(), STANDARD.encode(text.as_str().unwrap_or_default()).into());
    }
}

fn namespace(object: &mut Value) {
    let name = object["metadata"]["name"].clone();
    if name.as_str().is_some_and(|name| !name.is_empty()) {
        let labels = made(made(object, "metadata"), "labels");
        set(labels, "kubernetes.io/metadata.name", name);
    }
}

fn node(object: &mut Value) {
    if let Some(status) = child(object, "status")
        && let Some(capacity) = status.get("capacity").cloned()
    {
        set(status, "allocatable", capacity);
    }
}

fn persistent_volume(object: &mut Value) {
    let spec = made(object, "spec");
    set(spec, "persistentVolumeReclaimPolicy", "Retain");
    set(spec, "volumeMode", "Filesystem");
    if let Some(host_path) = child(spec, "hostPath") {
        set(host_path, "type", "");
    }
    set(made(object, "status"), "phase", "Pending");
}

/// A claim, or the template of one.
fn claim(object: &mut Value) {
    set(made(object, "spec"), "volumeMode", "Filesystem");
    set(made(object, "status"), "phase", "Pending");
}

fn csi_driver(object: &mut Value) {
    let spec = made(object, "spec");
    set(spec, "attachRequired", true);
    set(spec, "podInfoOnMount", false);
    set(spec, "storageCapacity", false);
    set(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    set(spec, "volumeLifecycleModes", json!(["Persistent"]));
    set(spec, "requiresRepublish", false);
    set(spec, "seLinuxMount", false);
}

/// Rule: Kubernetes, "API Priority and Fairness".
fn priority_level(object: &mut Value) {
    let spec = made(object, "spec");
    if let Some(exempt) = child(spec, "exempt") {
        set(exempt, "nominalConcurrencyShares", 0);
        set(exempt, "lendablePercent", 0);
    }
    let Some(limited) = child(spec, "limited") else { return };
    set(limited, "nominalConcurrencyShares", 30);
    set(limited, "lendablePercent", 0);
    if let Some(queueing) = child(limited, "limitResponse").and_then(|response| child(response, "queuing")) {
        set(queueing, "queues", 64);
        set(queueing, "handSize", 8);
        set(queueing, "queueLengthLimit", 50);
    }
}

fn limit_range(object: &mut Value) {
    for limit in items(&mut object["spec"], "limits").filter(|limit| limit["type"] == "Container") {
        for (from, to) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let amounts: Map<String, Value> = limit[from].as_object().cloned().unwrap_or_default();
            for (resource, amount) in amounts {
                set(made(limit, to), &resource, amount);
            }
        }
    }
}

fn role_binding(object: &mut Value) {
    set(made(object, "roleRef"), "apiGroup", RBAC_GROUP);
    for subject in items(object, "subjects").filter(|subject| subject["kind"] != "ServiceAccount") {
        set(subject, "apiGroup", RBAC_GROUP);
    }
}

fn webhooks(object: &mut Value, mutating: bool) {
    for webhook in items(object, "webhooks") {
        set(webhook, "failurePolicy", "Fail");
        set(webhook, "matchPolicy", "Equivalent");
        set(webhook, "namespaceSelector", json!({}));
        set(webhook, "objectSelector", json!({}));
        set(webhook, "timeoutSeconds", 10);
        if mutating {
            set(webhook, "reinvocationPolicy", "Never");
        }
        for rule in items(webhook, "rules") {
            set(rule, "scope", "*");
        }
        if let Some(service) = child(webhook, "clientConfig").and_then(|config| child(config, "service")) {
            set(service, "port", 443);
        }
    }
}

fn definition(object: &mut Value) {
    let spec = made(object, "spec");
    set(made(spec, "conversion"), "strategy", "None");
    let names = made(spec, "names");
    if let Some(kind) = names["kind"].as_str().map(str::to_string) {
        set(names, "singular", kind.to_lowercase());
        set(names, "listKind", format!("{kind}List"));
    }
}

#[cfg(test)]
mod tests;
