//! What the agent of a node may do. Rule: Kubernetes, "Using Node Authorization".

use super::Attributes;
use crate::snapshot::Snapshot;
use crate::validation::{items, text};
use peapod_api::Object;
use peapod_api::well_known::NODE_LEASES;
use serde_json::Value;

/// Whether the agent of `node` may do that.
pub(super) fn may(snapshot: &Snapshot, node: &str, asked: &Attributes<'_>) -> bool {
    let mine = || is_mine(snapshot, node, asked);
    let referenced = |names: fn(&Value, &str) -> bool| {
        asked.reads() && is_referenced(snapshot, node, asked.namespace, asked.name, names)
    };
    match (asked.group, asked.resource, asked.subresource) {
        ("", "nodes", "") => own_node(node, asked),
        ("", "nodes", "status") => asked.name == node && matches!(asked.verb, "get" | "update" | "patch"),
        ("coordination.k8s.io", "leases", "") => heartbeat(node, asked),
        ("", "pods", "") => own_pods(snapshot, node, asked),
        ("", "pods", "status") => matches!(asked.verb, "get" | "update" | "patch") && mine(),
        ("", "pods", "eviction") => asked.verb == "create" && mine(),
        ("", "events", "") | ("events.k8s.io", "events", "") => {
            matches!(asked.verb, "create" | "patch" | "update")
        }
        ("", "services" | "namespaces" | "endpoints", "")
        | ("discovery.k8s.io", "endpointslices", "")
        | ("node.k8s.io", "runtimeclasses", "")
        | ("storage.k8s.io", "csidrivers", "") => asked.reads(),
        ("storage.k8s.io", "csinodes", "") => {
            named(node, asked) && !matches!(asked.verb, "list" | "watch" | "deletecollection")
        }
        ("", "configmaps", "") => referenced(names_config_map),
        ("", "secrets", "") => referenced(names_secret),
        ("", "persistentvolumeclaims", "") => asked.verb == "get" && referenced(names_claim),
        ("", "persistentvolumeclaims", "status") => {
            matches!(asked.verb, "get" | "update" | "patch")
                && is_referenced(snapshot, node, asked.namespace, asked.name, names_claim)
        }
        ("", "persistentvolumes", "") => asked.verb == "get" && is_claimed(snapshot, node, asked.name),
        ("", "serviceaccounts", "token") => {
            let names = |pod: &Value, name: &str| pod["spec"]["serviceAccountName"] == name;
            asked.verb == "create" && is_referenced(snapshot, node, asked.namespace, asked.name, names)
        }
        ("authentication.k8s.io", "tokenreviews", "")
        | ("authorization.k8s.io", "subjectaccessreviews" | "localsubjectaccessreviews", "") => {
            asked.verb == "create"
        }
        _ => false,
    }
}

/// The name of what is created may stand in the body: the front door asks again once it has read it.
fn named(node: &str, asked: &Attributes<'_>) -> bool {
    asked.name == node || asked.verb == "create" && asked.name.is_empty()
}

/// A node creates and describes itself; it sees the other nodes, whose addresses it needs.
fn own_node(node: &str, asked: &Attributes<'_>) -> bool {
    match asked.verb {
        "create" | "update" | "patch" => named(node, asked),
        _ => asked.reads(),
    }
}

fn heartbeat(node: &str, asked: &Attributes<'_>) -> bool {
    asked.namespace == NODE_LEASES && named(node, asked) && asked.verb != "deletecollection"
}

fn own_pods(snapshot: &Snapshot, node: &str, asked: &Attributes<'_>) -> bool {
    match asked.verb {
        "list" | "watch" => {
            let narrowed = asked.fields.and_then(|fields| fields.required("spec.nodeName")) == Some(node);
            narrowed || !asked.name.is_empty() && is_mine(snapshot, node, asked)
        }
        "get" | "delete" => is_mine(snapshot, node, asked),
        _ => false,
    }
}

fn is_mine(snapshot: &Snapshot, node: &str, asked: &Attributes<'_>) -> bool {
    let pod = snapshot.find("pods", asked.namespace, asked.name);
    pod.is_some_and(|pod| pod.header.node.as_deref() == Some(node))
}

/// Whether a pod of the node names that object.
fn is_referenced(
    snapshot: &Snapshot,
    node: &str,
    namespace: &str,
    name: &str,
    names: fn(&Value, &str) -> bool,
) -> bool {
    let names = |pod: &Object| {
        // Most pods do not hold the name anywhere: decoding is for those that do.
        String::from_utf8_lossy(pod.json()).contains(name) && names(&pod.value(), name)
    };
    !name.is_empty() && snapshot.pods_on(node).any(|pod| pod.namespace() == namespace && names(pod))
}

/// Whether a pod of the node names the claim that the volume is bound to.
fn is_claimed(snapshot: &Snapshot, node: &str, name: &str) -> bool {
    let Some(volume) = snapshot.find("persistentvolumes", "", name) else { return false };
    let claim = &volume.value()["spec"]["claimRef"];
    is_referenced(snapshot, node, text(&claim["namespace"]), text(&claim["name"]), names_claim)
}

fn names_config_map(pod: &Value, name: &str) -> bool {
    names(&pod["spec"], name, ("configMap", "name"), ("configMapKeyRef", "configMapRef"))
}

fn names_secret(pod: &Value, name: &str) -> bool {
    names(&pod["spec"], name, ("secret", "secretName"), ("secretKeyRef", "secretRef"))
        || items(&pod["spec"]["imagePullSecrets"]).any(|secret| secret["name"] == name)
}

fn names_claim(pod: &Value, name: &str) -> bool {
    let of_template = |volume: &Value| {
        !volume["ephemeral"].is_null()
            && name == format!("{}-{}", text(&pod["metadata"]["name"]), text(&volume["name"]))
    };
    items(&pod["spec"]["volumes"])
        .any(|volume| volume["persistentVolumeClaim"]["claimName"] == name || of_template(volume))
}

/// Whether volumes, projected ones too, or the environment of a container name that object. The pairs are how a volume
/// and how an environment name it.
fn names(spec: &Value, name: &str, (volume, field): (&str, &str), (key, all): (&str, &str)) -> bool {
    let in_volume = |one: &Value| {
        one[volume][field] == name
            || items(&one["projected"]["sources"]).any(|source| source[volume]["name"] == name)
    };
    let in_container = |container: &Value| {
        items(&container["env"]).any(|env| env["valueFrom"][key]["name"] == name)
            || items(&container["envFrom"]).any(|from| from[all]["name"] == name)
    };
    items(&spec["volumes"]).any(in_volume)
        || ["containers", "initContainers"].iter().any(|list| items(&spec[*list]).any(in_container))
}
