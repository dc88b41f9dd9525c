//! The APIServices of the groups that the server itself serves, as every cluster has them.

use peapod_api::Object;
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

/// The resource of the objects.
pub const RESOURCE: &str = "apiservices.apiregistration.k8s.io";
/// Who keeps an object, and how: those of the table are made at each start, those of definitions come and go with these.
const KEPT: &str = "kube-aggregator.kubernetes.io/automanaged";
/// Priorities of a group that definitions make, and of each of its versions.
const CUSTOM: (i64, i64) = (1000, 100);

/// The object of a group and version that definitions serve.
pub fn custom(group: &str, version: &str) -> Value {
    let mut service = service(group, version);
    service["metadata"]["labels"][KEPT] = "true".into();
    (service["spec"]["groupPriorityMinimum"], service["spec"]["versionPriority"]) =
        (CUSTOM.0.into(), CUSTOM.1.into());
    service
}

/// Whether it comes and goes with definitions.
pub fn is_custom(service: &Object) -> bool {
    service.header.labels.get(KEPT).is_some_and(|kept| kept == "true")
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
            "labels": {KEPT: "onstart"}},
        "spec": {"group": group, "version": version, "groupPriorityMinimum": known.unwrap_or(OTHER_PRIORITY),
            "versionPriority": priority},
    })
}
