//! What a node may not write though it may write the object. Rule: Kubernetes, the NodeRestriction admission.

use super::User;
use peapod_api::object::labels;
use peapod_api::{Error, Kind, Object};
use serde_json::Value;

/// Labels that administrators keep nodes apart by: no node sets them itself.
const RESTRICTED: &str = "node-restriction.kubernetes.io";
/// Kubernetes' own labels that a node sets.
const OWN: [&str; 11] = [
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
];
/// Domains of Kubernetes below which a node sets any label.
const OPEN: [&str; 2] = ["kubelet.kubernetes.io", "node.kubernetes.io"];

/// Whether `user`, if it is a node, may write this. Errors: 403.
pub(super) fn admit_write(user: &User, kind: &Kind, new: &Value, old: Option<&Value>) -> Result<(), Error> {
    let Some(node) = user.node().filter(|_| kind.group.is_empty() && kind.plural == "nodes") else {
        return Ok(());
    };
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    let refuse = |why: String| Err(Error::forbidden("nodes", name, &why));
    if name != node {
        return refuse(format!("node {node:?} is not allowed to modify node {name:?}"));
    }
    let labels = forbidden_labels(new, old).join(", ");
    match old {
        None if !labels.is_empty() => {
            refuse(format!("node {node:?} is not allowed to set the following labels: {labels}"))
        }
        Some(old) if new["spec"]["taints"] != old["spec"]["taints"] => {
            refuse(format!("node {node:?} is not allowed to modify taints"))
        }
        Some(_) if !labels.is_empty() => refuse(format!("is not allowed to modify labels: {labels}")),
        _ => Ok(()),
    }
}

/// Whether `user`, if it is a node, may write this status of a pod. Errors: 403.
pub(super) fn admit_pod_status(user: &User, new: &Value, old: &Object) -> Result<(), Error> {
    match user.node() {
        Some(node) if labels(&new["metadata"]["labels"]) != *old.header.labels => {
            let why = format!("node {node:?} cannot update labels through pod status");
            Err(Error::forbidden("pods", old.name(), &why))
        }
        _ => Ok(()),
    }
}

/// The labels that are added, changed or removed though they are not the node's to set, in order.
fn forbidden_labels<'a>(new: &'a Value, old: Option<&'a Value>) -> Vec<&'a str> {
    let (new, old) = (&new["metadata"]["labels"], old.map_or(&Value::Null, |old| &old["metadata"]["labels"]));
    let keys = |labels: &'a Value| labels.as_object().into_iter().flat_map(|map| map.keys());
    let mut changed: Vec<&str> = keys(new)
        .chain(keys(old))
        .filter(|key| new[*key] != old[*key] && is_forbidden(key))
        .map(|k| &**k)
        .collect();
    changed.sort_unstable();
    changed.dedup();
    changed
}

fn is_forbidden(label: &str) -> bool {
    let domain = label.split_once('/').map_or("", |(domain, _)| domain);
    let below = |parent: &str| {
        domain == parent || domain.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.'))
    };
    let known = OWN.contains(&label) || OPEN.iter().any(|open| below(open));
    below(RESTRICTED) || !known && (below("kubernetes.io") || below("k8s.io"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::NODES;
    use peapod_api::kinds;
    use serde_json::json;

    #[test]
    fn a_node_sets_its_own_labels_and_no_others() {
        for (label, forbidden) in [
            ("kubernetes.io/hostname", false),
            ("disk", false),
            ("example.com/rack", false),
            ("node.kubernetes.io/speed", false),
            ("x.kubelet.kubernetes.io/y", false),
            ("node-restriction.kubernetes.io/team", true),
            ("a.node-restriction.kubernetes.io/team", true),
            ("node-role.kubernetes.io/control-plane", true),
            ("kubernetes.io/unknown", true),
            ("x.k8s.io/y", true),
            ("notk8s.io/y", false),
        ] {
            assert_eq!(is_forbidden(label), forbidden, "{label}");
        }
    }

    #[test]
    fn a_node_writes_itself_without_taints_and_roles() {
        let (user, kind) = (User::new("system:node:n1", &[NODES]), kinds::lookup("", "nodes").unwrap());
        let node = |name: &str, labels: Value, taints: Value| json!({"metadata": {"name": name, "labels": labels}, "spec": {"taints": taints}});
        let plain = node("n1", json!({"a": "b"}), Value::Null);
        let admit = |new: &Value, old| admit_write(&user, kind, new, old).map_err(|error| error.to_string());
        assert_eq!(admit(&plain, None), Ok(()));
        assert!(admit(&node("n2", json!({}), Value::Null), None).unwrap_err().contains("modify node \"n2\""));
        let role = node("n1", json!({"a": "b", "node-role.kubernetes.io/x": ""}), Value::Null);
        assert!(admit(&role, None).unwrap_err().ends_with("following labels: node-role.kubernetes.io/x"));
        assert!(
            admit(&role, Some(&plain)).unwrap_err().ends_with("modify labels: node-role.kubernetes.io/x")
        );
        assert!(admit(&plain, Some(&role)).is_err(), "nor take them away");
        assert_eq!(admit(&role, Some(&role)), Ok(()), "what others have set stays");
        let tainted = node("n1", json!({"a": "b"}), json!([{"key": "k", "effect": "NoSchedule"}]));
        assert!(admit(&tainted, Some(&plain)).unwrap_err().ends_with("not allowed to modify taints"));
        assert_eq!(admit_write(&User::new("admin", &[]), kind, &role, None), Ok(()));
    }
}
