//! The APIServices of the groups that the server itself serves, as every cluster has them.

use peapod_api::kinds::KINDS;
use serde_json::{Value, json};

/// Which group goes first where several have a resource of the same name. Kubernetes' own numbers.
const PRIORITIES: [(&str, i64); 18] = [
    ("", 18_000),
    ("apps", 17_800),
    ("events.k8s.io", 17_750),
    ("authentication.k8s.io", 17_700),
    ("authorization.k8s.io", 17_600),
    ("autoscaling", 17_500),
    ("batch", 17_400),
    ("certificates.k8s.io", 17_300),
    ("networking.k8s.io", 17_200),
    ("policy", 17_100),
    ("rbac.authorization.k8s.io", 17_000),
    ("storage.k8s.io", 16_800),
    ("apiextensions.k8s.io", 16_700),
    ("admissionregistration.k8s.io", 16_700),
    ("scheduling.k8s.io", 16_600),
    ("coordination.k8s.io", 16_500),
    ("node.k8s.io", 16_300),
    ("discovery.k8s.io", 16_200),
];
/// Of a group that is not named above.
const OTHER_PRIORITY: i64 = 16_100;

/// One object for each group and version of the table.
pub fn local() -> Vec<Value> {
    let mut seen = std::collections::BTreeSet::new();
    let versions = KINDS.iter().filter(|kind| seen.insert((kind.group.clone(), kind.version.clone())));
    versions.map(|kind| service(&kind.group, &kind.version)).collect()
}

fn service(group: &str, version: &str) -> Value {
    let known = PRIORITIES.iter().find(|(name, _)| *name == group).map(|(_, priority)| *priority);
    let priority = match (group, version) {
        ("", _) => 1,
        (_, "v2") => 30,
        _ => 15,
    };
    json!({
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": format!("{version}.{group}"),
            "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}},
        "spec": {"group": group, "version": version, "groupPriorityMinimum": known.unwrap_or(OTHER_PRIORITY),
            "versionPriority": priority},
    })
}
