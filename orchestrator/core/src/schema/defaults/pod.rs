//! Pods and pod templates.

use super::{child, items, made, set};
use serde_json::{Value, json};

/// A Pod: what a template gets, and what only a pod of its own gets.
pub(super) fn pod(object: &mut Value) {
    let spec = made(object, "spec");
    set(spec, "enableServiceLinks", true);
    for list in ["containers", "initContainers"] {
        for container in items(spec, list) {
            requests_from_limits(container);
        }
    }
    pod_spec(spec);
}

/// The template of a workload.
pub(super) fn template(template: &mut Value) {
    if template.is_object() {
        pod_spec(made(template, "spec"));
    }
}

fn pod_spec(spec: &mut Value) {
    set(spec, "dnsPolicy", "ClusterFirst");
    set(spec, "restartPolicy", "Always");
    set(spec, "securityContext", json!({}));
    set(spec, "terminationGracePeriodSeconds", 30);
    set(spec, "schedulerName", "default-scheduler");
    let host_network = spec["hostNetwork"] == true;
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        for each in items(spec, list) {
            container(each, host_network);
        }
    }
    for each in items(spec, "volumes") {
        volume(each);
    }
}

fn requests_from_limits(container: &mut Value) {
    let resources = made(container, "resources");
    for (name, amount) in resources["limits"].as_object().cloned().unwrap_or_default() {
        set(made(resources, "requests"), &name, amount);
    }
}

fn container(container: &mut Value, host_network: bool) {
    let policy =
        if pulls_always(container["image"].as_str().unwrap_or_default()) { "Always" } else { "IfNotPresent" };
    set(container, "imagePullPolicy", policy);
    set(container, "terminationMessagePath", "/dev/termination-log");
    set(container, "terminationMessagePolicy", "File");
    for port in items(container, "ports").filter(|_| host_network) {
        let number = port["containerPort"].clone();
        set(port, "hostPort", number);
    }
    for env in items(container, "env") {
        if let Some(field) = child(env, "valueFrom").and_then(|from| child(from, "fieldRef")) {
            set(field, "apiVersion", "v1");
        }
    }
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(found) = child(container, key) {
            probe(found);
        }
    }
    for key in ["postStart", "preStop"] {
        if let Some(hook) = child(container, "lifecycle").and_then(|lifecycle| child(lifecycle, key)) {
            http_get(hook);
        }
    }
}

/// Images named `latest`, also by naming neither tag nor digest, may change under their name.
fn pulls_always(image: &str) -> bool {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.split_once(':') {
        Some((_, tag)) => tag == "latest",
        None => digest.is_none(),
    }
}

fn probe(probe: &mut Value) {
    for (key, number) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        set(probe, key, number);
    }
    http_get(probe);
}

fn http_get(handler: &mut Value) {
    if let Some(get) = child(handler, "httpGet") {
        set(get, "path", "/");
        set(get, "scheme", "HTTP");
    }
}

fn volume(volume: &mut Value) {
    if volume.as_object().is_some_and(|map| map.keys().all(|key| key == "name")) {
        volume["emptyDir"] = json!({});
    }
    for source in ["secret", "configMap", "downwardAPI", "projected"] {
        if let Some(found) = child(volume, source) {
            set(found, "defaultMode", 0o644);
        }
    }
    if let Some(downward) = child(volume, "downwardAPI") {
        downward_items(downward);
    }
    if let Some(host_path) = child(volume, "hostPath") {
        set(host_path, "type", "");
    }
    if let Some(projected) = child(volume, "projected") {
        for source in items(projected, "sources") {
            if let Some(token) = child(source, "serviceAccountToken") {
                set(token, "expirationSeconds", 3600);
            }
            if let Some(downward) = child(source, "downwardAPI") {
                downward_items(downward);
            }
        }
    }
    if let Some(template) = child(volume, "ephemeral").and_then(|source| child(source, "volumeClaimTemplate"))
    {
        set(made(template, "spec"), "volumeMode", "Filesystem");
    }
}

fn downward_items(source: &mut Value) {
    for item in items(source, "items") {
        if let Some(field) = child(item, "fieldRef") {
            set(field, "apiVersion", "v1");
        }
    }
}
