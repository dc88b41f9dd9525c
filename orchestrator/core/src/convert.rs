//! Kinds that are stored as another kind: HorizontalPodAutoscalers of `autoscaling/v1` and Events of `events.k8s.io/v1`.
//! Rule: Kubernetes' own conversions; what an older version has no field for is kept in annotations.

mod autoscaler;

use peapod_api::{Kind, kinds};
use serde_json::Value;

/// Fields of Events: as stored, and in `events.k8s.io/v1`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
];

/// Brings a stored object into the form of `kind`. An object that is in it already stays.
pub fn show(kind: &Kind, object: &mut Value) {
    let api_version = kind.api_version();
    if object["apiVersion"] == api_version || kinds::stored_as(kind).is_none() {
        return;
    }
    match &*kind.kind {
        "Event" => rename(object, |(stored, shown)| (stored, shown)),
        "HorizontalPodAutoscaler" => autoscaler::show(object),
        _ => {}
    }
    object["apiVersion"] = api_version.into();
}

/// Brings an object of `kind` into the form in which it is stored. An object that is in it already stays.
pub fn store(kind: &Kind, object: &mut Value) {
    let Some(stored) = kinds::stored_as(kind) else { return };
    let api_version = stored.api_version();
    if object["apiVersion"] == api_version {
        return;
    }
    object["apiVersion"] = api_version.into();
    match &*kind.kind {
        "Event" => rename(object, |(stored, shown)| (shown, stored)),
        "HorizontalPodAutoscaler" => autoscaler::store(object),
        _ => {}
    }
}

fn rename(object: &mut Value, direction: fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(fields) = object.as_object_mut() else { return };
    for (from, to) in EVENT_FIELDS.map(direction) {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.into(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;
    use serde_json::json;

    fn stored_as(row: &Kind) -> String {
        kinds::stored_as(row).unwrap().api_version()
    }

    /// Shows `stored` as `kind` of that version, and stores it again.
    fn shown(api_version: &str, kind: &str, stored: &Value) -> Value {
        let row = kinds::of_object(api_version, kind).unwrap();
        let mut stored = stored.clone();
        schema::apply_defaults(kind, &stored_as(row), &mut stored);
        let mut object = stored.clone();
        show(row, &mut object);
        let mut again = object.clone();
        store(row, &mut again);
        assert_eq!(again, stored, "nothing is lost");
        store(row, &mut again);
        assert_eq!(again, stored, "storing twice changes nothing");
        object
    }

    #[test]
    fn events_have_other_names() {
        let stored = json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "message": "m", "count": 3,
            "involvedObject": {"kind": "Pod"}, "reportingComponent": "c", "source": {"component": "s"},
            "firstTimestamp": "2026-01-01T00:00:00Z", "reason": "R", "type": "Normal"});
        assert_eq!(
            shown("events.k8s.io/v1", "Event", &stored),
            json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"}, "note": "m",
                "deprecatedCount": 3, "regarding": {"kind": "Pod"}, "reportingController": "c",
                "deprecatedSource": {"component": "s"}, "deprecatedFirstTimestamp": "2026-01-01T00:00:00Z",
                "reason": "R", "type": "Normal"})
        );
    }

    #[test]
    fn an_autoscaler_keeps_in_annotations_what_v1_cannot_say() {
        let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}});
        let pods = json!({"type": "Pods", "pods": {"metric": {"name": "r"}, "target": {"type": "AverageValue", "averageValue": "5"}}});
        let current = json!({"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12, "averageValue": "3m"}}});
        let stored = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
            "spec": {"maxReplicas": 3, "metrics": [cpu, pods], "behavior": {"scaleUp": {"selectPolicy": "Max"}}},
            "status": {"currentReplicas": 1, "currentMetrics": [current], "conditions": [{"type": "AbleToScale", "status": "True"}]}});
        let v1 = shown("autoscaling/v1", "HorizontalPodAutoscaler", &stored);
        assert_eq!(
            v1["spec"],
            json!({"maxReplicas": 3, "minReplicas": 1, "targetCPUUtilizationPercentage": 60})
        );
        assert_eq!(v1["status"], json!({"currentReplicas": 1, "currentCPUUtilizationPercentage": 12}));
        let plain = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
            "spec": {"maxReplicas": 3, "metrics": [cpu]}, "status": {}});
        assert!(
            shown("autoscaling/v1", "HorizontalPodAutoscaler", &plain)["metadata"]["annotations"].is_null()
        );
    }
}
