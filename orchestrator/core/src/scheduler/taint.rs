//! Taints and tolerations. Rule: Kubernetes, "Taints and Tolerations".

use serde_json::Value;

/// Key of the taint of a node that says that it is not ready.
pub const NOT_READY: &str = "node.kubernetes.io/not-ready";
/// Of one that says nothing any more.
pub const UNREACHABLE: &str = "node.kubernetes.io/unreachable";
/// Of one that takes no more pods.
pub const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// One taint of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Its key.
    pub key: String,
    /// Its value, often empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl Taint {
    /// Reads an entry of `spec.taints`.
    pub fn read(value: &Value) -> Taint {
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_string();
        Taint { key: text("key"), value: text("value"), effect: text("effect") }
    }
}

fn matching<'a>(tolerations: &'a Value, taint: &Taint) -> impl Iterator<Item = &'a Value> {
    let list = tolerations.as_array().into_iter().flatten();
    let taint = taint.clone();
    list.filter(move |toleration| matches(toleration, &taint))
}

fn matches(toleration: &Value, taint: &Taint) -> bool {
    let text = |key: &str| toleration[key].as_str().unwrap_or_default();
    let exists = text("operator") == "Exists";
    let key = text("key");
    (text("effect").is_empty() || text("effect") == taint.effect)
        && (if key.is_empty() { exists } else { key == taint.key })
        && (exists || text("value") == taint.value)
}

/// Whether some toleration matches the taint.
pub fn tolerates(tolerations: &Value, taint: &Taint) -> bool {
    matching(tolerations, taint).next().is_some()
}

/// For how many seconds the pod tolerates the taint: the shortest of the tolerations that match; none: for ever.
pub fn toleration_seconds(tolerations: &Value, taint: &Taint) -> Option<u64> {
    let seconds = matching(tolerations, taint).filter_map(|t| t["tolerationSeconds"].as_i64());
    seconds.min().map(|seconds| u64::try_from(seconds).unwrap_or(0))
}
