//! Cells of nodes.

use super::cells::{NONE, list};
use serde_json::Value;

/// Label whose suffix is a role: `node-role.kubernetes.io/control-plane`.
const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
/// Label whose value is a role.
const ROLE_LABEL: &str = "kubernetes.io/role";

/// `Ready`, `NotReady` or `Unknown`, and `SchedulingDisabled` of a cordoned node.
pub(super) fn status(node: &Value) -> String {
    let ready = list(&node["status"]["conditions"]).find(|c| c["type"] == "Ready");
    let mut text = match ready {
        Some(condition) if condition["status"] == "True" => "Ready".to_string(),
        Some(_) => "NotReady".into(),
        None => "Unknown".into(),
    };
    if node["spec"]["unschedulable"] == true {
        text.push_str(",SchedulingDisabled");
    }
    text
}

/// The roles that the node's labels name, in order.
pub(super) fn roles(node: &Value) -> String {
    let labels = node["metadata"]["labels"].as_object().into_iter().flatten();
    let role = |(key, value): (&String, &Value)| match key.strip_prefix(ROLE_PREFIX) {
        Some(role) => Some(role.to_string()),
        None => value.as_str().filter(|_| key == ROLE_LABEL).map(Into::into),
    };
    let mut roles: Vec<String> = labels.filter_map(role).filter(|role| !role.is_empty()).collect();
    roles.sort();
    roles.dedup();
    if roles.is_empty() { NONE.into() } else { roles.join(",") }
}

/// The node's first address of a type.
pub(super) fn address<'a>(node: &'a Value, type_: &str) -> &'a str {
    let found = list(&node["status"]["addresses"]).find(|a| a["type"] == type_);
    found.and_then(|a| a["address"].as_str()).unwrap_or(NONE)
}
