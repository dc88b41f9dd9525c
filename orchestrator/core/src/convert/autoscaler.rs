//! HorizontalPodAutoscalers: `autoscaling/v1` knows one metric, how much of the CPU is used.

use crate::schema;
use crate::validation::items;
use serde_json::{Map, Value, json};

/// Where v1 keeps what only v2 has a field for: the half of the object, the field, and the annotation.
const KEPT: [(&str, &str, &str); 4] = [
    ("spec", "metrics", "autoscaling.alpha.kubernetes.io/metrics"),
    ("spec", "behavior", "autoscaling.alpha.kubernetes.io/behavior"),
    ("status", "currentMetrics", "autoscaling.alpha.kubernetes.io/current-metrics"),
    ("status", "conditions", "autoscaling.alpha.kubernetes.io/conditions"),
];
const TARGET: &str = "targetCPUUtilizationPercentage";
const CURRENT: &str = "currentCPUUtilizationPercentage";

/// Takes a field out of a part of the object, if both are there.
fn take(object: &mut Value, part: &str, field: &str) -> Option<Value> {
    object.get_mut(part)?.as_object_mut()?.remove(field)
}

fn is_cpu_share(metric: &Value) -> bool {
    let target = &metric["resource"]["target"];
    metric["type"] == "Resource" && metric["resource"]["name"] == "cpu" && target["type"] == "Utilization"
}

pub(super) fn show(object: &mut Value) {
    for (half, field, annotation) in KEPT {
        let Some(value) = take(object, half, field) else { continue };
        let first = items(&value).next();
        let is_plain = field == "metrics" && items(&value).count() == 1 && first.is_some_and(is_cpu_share);
        if field == "metrics"
            && let Some(cpu) = items(&value).find(|metric| is_cpu_share(metric))
        {
            object["spec"][TARGET] = cpu["resource"]["target"]["averageUtilization"].clone();
        }
        if field == "currentMetrics"
            && let Some(cpu) = items(&value).find(|m| m["resource"]["name"] == "cpu")
        {
            object["status"][CURRENT] = cpu["resource"]["current"]["averageUtilization"].clone();
        }
        if !is_plain {
            object["metadata"]["annotations"][annotation] = value.to_string().into();
        }
    }
}

pub(super) fn store(object: &mut Value) {
    let (target, current) = (take(object, "spec", TARGET), take(object, "status", CURRENT));
    for (half, field, annotation) in KEPT {
        let annotations = object.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut);
        let kept = annotations.and_then(|annotations| annotations.remove(annotation));
        let kept = kept.and_then(|text| serde_json::from_str::<Value>(text.as_str()?).ok());
        if let Some(value) = kept.filter(|value| value.is_array() || field == "behavior" && value.is_object())
        {
            object[half][field] = value;
        }
    }
    if object["metadata"]["annotations"].as_object().is_some_and(Map::is_empty) {
        take(object, "metadata", "annotations");
    }
    if let Some(share) = target {
        aim_at(object, &share);
    }
    if let Some(share) = current {
        has_reached(object, &share);
    }
    schema::apply_defaults("HorizontalPodAutoscaler", "autoscaling/v2", object);
}

/// The share of the CPU that v1 names stands first among the metrics, or in its old place.
fn aim_at(object: &mut Value, share: &Value) {
    let metric = json!({"type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": share}}});
    let mut metrics = object["spec"]["metrics"].as_array().cloned().unwrap_or_default();
    match metrics.iter_mut().find(|metric| is_cpu_share(metric)) {
        Some(old) => *old = metric,
        None => metrics.insert(0, metric),
    }
    object["spec"]["metrics"] = metrics.into();
}

/// The same for what the status says.
fn has_reached(object: &mut Value, share: &Value) {
    let mut metrics = object["status"]["currentMetrics"].as_array().cloned().unwrap_or_default();
    match metrics.iter_mut().find(|metric| metric["resource"]["name"] == "cpu") {
        Some(old) => old["resource"]["current"]["averageUtilization"] = share.clone(),
        None => metrics.push(json!({"type": "Resource",
            "resource": {"name": "cpu", "current": {"averageUtilization": share}}})),
    }
    object["status"]["currentMetrics"] = metrics.into();
}
