//! Cells of workloads that keep pods running, and of Events.

use super::cells::{NONE, first_age, labels, list, number};
use jiff::Timestamp;
use serde_json::Value;

/// `READY/DESIRED`.
pub(super) fn deployment_ready(deployment: &Value) -> String {
    let ready = number(&deployment["status"]["readyReplicas"]);
    format!("{ready}/{}", number(&deployment["spec"]["replicas"]))
}

/// One field of each container of a pod template, joined by commas.
pub(super) fn column(template: &Value, field: &str) -> String {
    let containers = list(&template["spec"]["containers"]);
    containers.filter_map(|c| c[field].as_str()).collect::<Vec<_>>().join(",")
}

/// A `metav1.LabelSelector` in the form that `kubectl -l` takes.
pub(super) fn selector(selector: &Value) -> String {
    let mut parts = Vec::new();
    if selector["matchLabels"].as_object().is_some_and(|map| !map.is_empty()) {
        parts.push(labels(&selector["matchLabels"]));
    }
    parts.extend(list(&selector["matchExpressions"]).map(expression));
    if parts.is_empty() { NONE.into() } else { parts.join(",") }
}

fn expression(expression: &Value) -> String {
    let key = expression["key"].as_str().unwrap_or_default();
    let values: Vec<&str> = list(&expression["values"]).filter_map(Value::as_str).collect();
    match expression["operator"].as_str().unwrap_or_default() {
        "Exists" => key.into(),
        "DoesNotExist" => format!("!{key}"),
        operator => format!("{key} {} ({})", operator.to_lowercase(), values.join(",")),
    }
}

/// The managing controller of a revision: `statefulset.apps/web`.
pub(super) fn controller(object: &Value) -> String {
    let mut owners = list(&object["metadata"]["ownerReferences"]);
    let Some(owner) = owners.find(|owner| owner["controller"] == true) else { return NONE.into() };
    let part = |field: &str| owner[field].as_str().unwrap_or_default();
    let kind = part("kind").to_lowercase();
    match part("apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", part("name")),
        None => format!("{kind}/{}", part("name")),
    }
}

/// When the event was last observed.
pub(super) fn event_last_seen(event: &Value, now: Timestamp) -> String {
    let times = [
        &event["series"]["lastObservedTime"],
        &event["lastTimestamp"],
        &event["firstTimestamp"],
        &event["eventTime"],
    ];
    first_age(&times, now)
}

/// When the event was first observed.
pub(super) fn event_first_seen(event: &Value, now: Timestamp) -> String {
    first_age(&[&event["firstTimestamp"], &event["eventTime"]], now)
}

/// `pod/hello-1`.
pub(super) fn event_object(event: &Value) -> String {
    let regarding = &event["involvedObject"];
    let kind = regarding["kind"].as_str().unwrap_or_default().to_lowercase();
    match regarding["name"].as_str().filter(|name| !name.is_empty()) {
        Some(name) => format!("{kind}/{name}"),
        None => kind,
    }
}

/// `COMPONENT, INSTANCE`.
pub(super) fn event_source(event: &Value) -> String {
    let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(str::to_string);
    let source = &event["source"];
    let (component, instance) = match text(&source["component"]) {
        Some(component) => (Some(component), text(&source["host"])),
        None => (text(&event["reportingComponent"]), text(&event["reportingInstance"])),
    };
    [component, instance].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How often the event was observed.
pub(super) fn event_count(event: &Value) -> i64 {
    let series = event["series"]["count"].as_i64();
    series.unwrap_or_else(|| number(&event["count"])).max(1)
}
