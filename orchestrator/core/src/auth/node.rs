//! What the agent of a node may do. Rule: Kubernetes, "Using Node Authorization" and the NodeRestriction admission.

use super::Attributes;
use crate::snapshot::Snapshot;
use crate::validation::{items, text};
use peapod_api::{Object, Subresource};
use serde_json::Value;

const HEARTBEATS: &str = "kube-node-lease";

/// Whether the agent of `node` may do that.
pub(super) fn may(snapshot: &Snapshot, node: &str, asked: &Attributes<'_>) -> bool {
    let resource = asked.kind.resource();
    match (resource.as_str(), asked.subresource) {
        ("nodes", None) => own_node(node, asked),
        ("nodes", Some(Subresource::Status)) => {
            asked.name == node && matches!(asked.verb, "get" | "update" | "patch")
        }
        ("leases.coordination.k8s.io", None) => heartbeat(node, asked),
        ("pods", None) => own_pods(snapshot, node, asked),
        ("pods", Some(Subresource::Status)) => {
            matches!(asked.verb, "get" | "update" | "patch") && is_mine(snapshot, node, asked)
        }
        ("events", None) => matches!(asked.verb, "create" | "patch" | "update"),
        ("services" | "namespaces" | "endpoints" | "endpointslices.discovery.k8s.io", None) => asked.reads(),
        ("configmaps" | "secrets", None) => asked.reads() && is_referenced(snapshot, node, asked),
        _ => false,
    }
}

/// A node creates and describes itself; it sees the other nodes, whose addresses it needs.
fn own_node(node: &str, asked: &Attributes<'_>) -> bool {
    match asked.verb {
        // The name of what is created stands in the body: the front door asks again once it has read it.
        "create" => asked.name.is_empty() || asked.name == node,
        "update" | "patch" => asked.name == node,
        _ => asked.reads(),
    }
}

fn heartbeat(node: &str, asked: &Attributes<'_>) -> bool {
    let named = asked.name() == node || asked.verb == "create" && asked.name.is_empty();
    asked.namespace == HEARTBEATS && named && !matches!(asked.verb, "deletecollection")
}

fn own_pods(snapshot: &Snapshot, node: &str, asked: &Attributes<'_>) -> bool {
    match asked.verb {
        "list" | "watch" => {
            let narrowed = asked.fields.and_then(|fields| fields.required("spec.nodeName")) == Some(node);
            narrowed || !asked.name().is_empty() && is_mine(snapshot, node, asked)
        }
        "get" | "delete" => is_mine(snapshot, node, asked),
        _ => false,
    }
}

fn is_mine(snapshot: &Snapshot, node: &str, asked: &Attributes<'_>) -> bool {
    let pod = snapshot.find("pods", asked.namespace, asked.name());
    pod.is_some_and(|pod| pod.header.node.as_deref() == Some(node))
}

/// A ConfigMap or Secret may be read by the nodes whose pods name it.
fn is_referenced(snapshot: &Snapshot, node: &str, asked: &Attributes<'_>) -> bool {
    let (name, secret) = (asked.name(), asked.kind.plural == "secrets");
    !name.is_empty()
        && snapshot.pods_on(node).any(|pod| pod.namespace() == asked.namespace && names(pod, name, secret))
}

/// Whether the pod's spec names that ConfigMap, or that Secret.
fn names(pod: &Object, name: &str, secret: bool) -> bool {
    // Most pods do not hold the name anywhere: decoding is for those that do.
    if !String::from_utf8_lossy(pod.json()).contains(name) {
        return false;
    }
    let pod = pod.value();
    let spec = &pod["spec"];
    let (volume, field) = if secret { ("secret", "secretName") } else { ("configMap", "name") };
    let (key, all) = if secret { ("secretKeyRef", "secretRef") } else { ("configMapKeyRef", "configMapRef") };
    let is_it = |value: &Value| text(value) == name;
    let in_container = |container: &Value| {
        items(&container["env"]).any(|env| is_it(&env["valueFrom"][key]["name"]))
            || items(&container["envFrom"]).any(|from| is_it(&from[all]["name"]))
    };
    items(&spec["volumes"]).any(|v| is_it(&v[volume][field]))
        || ["containers", "initContainers"].iter().any(|list| items(&spec[*list]).any(in_container))
        || secret && items(&spec["imagePullSecrets"]).any(|s| is_it(&s["name"]))
}
