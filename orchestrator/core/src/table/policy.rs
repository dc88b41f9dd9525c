//! Cells of quotas, admission policies, flow control and API registration.

use super::cells::{NONE, UNSET, list};
use super::workload::selector;
use serde_json::Value;
use std::collections::BTreeMap;

/// `cpu: 1/2, pods: 3/10`: what is used of what there may be, the limits or everything else.
pub(super) fn quota(quota: &Value, limits: bool) -> String {
    let status = &quota["status"];
    let hard: BTreeMap<&String, &Value> = status["hard"].as_object().into_iter().flatten().collect();
    let chosen = hard.iter().filter(|(name, _)| name.starts_with("limits.") == limits);
    let parts: Vec<String> = chosen
        .map(|(name, hard)| {
            let used = status["used"][name.as_str()].as_str().unwrap_or("0");
            format!("{name}: {used}/{}", hard.as_str().unwrap_or("0"))
        })
        .collect();
    parts.join(", ")
}

/// The kind that a policy's parameters are of: `v1/ConfigMap`.
pub(super) fn param_kind(policy: &Value) -> String {
    let kind = &policy["spec"]["paramKind"];
    let part = |field: &str| kind[field].as_str().unwrap_or_default();
    if kind.is_object() { format!("{}/{}", part("apiVersion"), part("kind")) } else { UNSET.into() }
}

/// The parameters that a binding names or selects.
pub(super) fn param_ref(binding: &Value) -> String {
    let param = &binding["spec"]["paramRef"];
    let part = |field: &str| param[field].as_str().unwrap_or_default();
    match (part("namespace"), part("name")) {
        ("", "") if param["selector"].is_object() => selector(&param["selector"]),
        (_, "") => UNSET.into(),
        ("", name) => name.into(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

/// Whether a flow schema names a priority level that is not there.
pub(super) fn missing_level(schema: &Value) -> &str {
    let mut conditions = list(&schema["status"]["conditions"]);
    conditions.find(|c| c["type"] == "Dangling").and_then(|c| c["status"].as_str()).unwrap_or("?")
}

/// The share of a priority level.
pub(super) fn level_shares(level: &Value) -> Value {
    let spec = &level["spec"];
    let shares = |part: &str| spec[part]["nominalConcurrencyShares"].as_i64().map(Value::from);
    shares("limited").or_else(|| shares("exempt")).unwrap_or_else(|| NONE.into())
}

/// One number of a priority level's queues.
pub(super) fn level_queueing(level: &Value, field: &str) -> Value {
    let queueing = &level["spec"]["limited"]["limitResponse"]["queuing"];
    if queueing.is_object() { queueing[field].as_i64().unwrap_or(0).into() } else { NONE.into() }
}

/// Who serves an API: this server, or a Service.
pub(super) fn service_of_api(service: &Value) -> String {
    let own = &service["spec"]["service"];
    let part = |field: &str| own[field].as_str().unwrap_or_default();
    if own.is_object() { format!("{}/{}", part("namespace"), part("name")) } else { "Local".into() }
}

/// Whether it is served.
pub(super) fn api_available(service: &Value) -> String {
    let mut conditions = list(&service["status"]["conditions"]);
    let Some(condition) = conditions.find(|c| c["type"] == "Available") else { return "Unknown".into() };
    let part = |field: &str| condition[field].as_str().unwrap_or_default();
    match part("status") {
        "True" => "True".into(),
        status => format!("{status} ({})", part("reason")),
    }
}

/// The condition of a part of the control plane.
pub(super) fn component(object: &Value) -> &Value {
    let conditions = object["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().find(|condition| condition["type"] == "Healthy").unwrap_or(&Value::Null)
}

pub(super) fn component_status(object: &Value) -> &'static str {
    match component(object)["status"].as_str() {
        Some("True") => "Healthy",
        Some("False") => "Unhealthy",
        _ => "Unknown",
    }
}
