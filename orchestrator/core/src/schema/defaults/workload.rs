//! Workloads: what makes pods from a template.

use super::{child, claim, items, made, pod, set};
use serde_json::{Value, json};

pub(super) fn deployment(object: &mut Value) {
    let spec = made(object, "spec");
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "progressDeadlineSeconds", 600);
    let strategy = made(spec, "strategy");
    set(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = made(strategy, "rollingUpdate");
        set(rolling, "maxUnavailable", "25%");
        set(rolling, "maxSurge", "25%");
    }
    pod::template(made(spec, "template"));
}

pub(super) fn replica_set(object: &mut Value) {
    let spec = made(object, "spec");
    set(spec, "replicas", 1);
    if let Some(template) = child(spec, "template") {
        pod::template(template);
    }
}

pub(super) fn replication_controller(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        set(made(object, "spec"), "selector", labels.clone());
        set(made(object, "metadata"), "labels", labels);
    }
    replica_set(object);
}

pub(super) fn stateful_set(object: &mut Value) {
    let spec = made(object, "spec");
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set(spec, "podManagementPolicy", "OrderedReady");
    let strategy = made(spec, "updateStrategy");
    set(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        set(made(strategy, "rollingUpdate"), "partition", 0);
    }
    let retention = made(spec, "persistentVolumeClaimRetentionPolicy");
    set(retention, "whenDeleted", "Retain");
    set(retention, "whenScaled", "Retain");
    for template in items(spec, "volumeClaimTemplates") {
        set(template, "apiVersion", "v1");
        set(template, "kind", "PersistentVolumeClaim");
        claim(template);
    }
    pod::template(made(spec, "template"));
}

pub(super) fn daemon_set(object: &mut Value) {
    let spec = made(object, "spec");
    set(spec, "revisionHistoryLimit", 10);
    let strategy = made(spec, "updateStrategy");
    set(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = made(strategy, "rollingUpdate");
        set(rolling, "maxUnavailable", 1);
        set(rolling, "maxSurge", 0);
    }
    pod::template(made(spec, "template"));
}

pub(super) fn job(object: &mut Value) {
    let labels = object["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        set(made(object, "metadata"), "labels", labels);
    }
    let spec = made(object, "spec");
    if spec["parallelism"].is_null() && spec["completions"].is_null() {
        set(spec, "completions", 1);
    }
    set(spec, "parallelism", 1);
    let per_index = !spec["backoffLimitPerIndex"].is_null();
    set(spec, "backoffLimit", if per_index { i32::MAX } else { 6 });
    set(spec, "completionMode", "NonIndexed");
    set(spec, "suspend", false);
    set(spec, "manualSelector", false);
    let replacement = if spec["podFailurePolicy"].is_object() { "Failed" } else { "TerminatingOrFailed" };
    set(spec, "podReplacementPolicy", replacement);
    if spec["podFailurePolicy"].is_object() {
        for rule in items(&mut spec["podFailurePolicy"], "rules") {
            for condition in items(rule, "onPodConditions") {
                set(condition, "status", "True");
            }
        }
    }
    pod::template(made(spec, "template"));
}

pub(super) fn cron_job(object: &mut Value) {
    let spec = made(object, "spec");
    set(spec, "concurrencyPolicy", "Allow");
    set(spec, "suspend", false);
    set(spec, "successfulJobsHistoryLimit", 3);
    set(spec, "failedJobsHistoryLimit", 1);
    pod::template(made(made(made(spec, "jobTemplate"), "spec"), "template"));
}

/// How fast an autoscaler goes where its behaviour is given but not all of it.
fn behavior(rules: &mut Value, up: bool) {
    set(rules, "selectPolicy", "Max");
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    if up {
        set(rules, "stabilizationWindowSeconds", 0);
        set(rules, "policies", json!([{"type": "Pods", "value": 4, "periodSeconds": 15}, percent]));
    } else {
        set(rules, "policies", json!([percent]));
    }
}

/// Both versions; only v2 has `metrics` and `behavior`.
pub(super) fn autoscaler(object: &mut Value) {
    let is_v2 = object["apiVersion"] == "autoscaling/v2";
    let spec = made(object, "spec");
    set(spec, "minReplicas", 1);
    let target = json!({"type": "Utilization", "averageUtilization": 80});
    if is_v2 {
        set(spec, "metrics", json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]));
        if let Some(given) = child(spec, "behavior") {
            behavior(made(given, "scaleUp"), true);
            behavior(made(given, "scaleDown"), false);
        }
    }
}
