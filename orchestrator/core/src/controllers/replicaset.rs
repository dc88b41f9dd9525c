//! Keeps as many pods running as a ReplicaSet asks for.

use super::owned::{controller_reference, is_managed_by, self_or_controller};
use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::name;
use crate::snapshot::{Change, Snapshot};
use crate::validation::items;
use jiff::Timestamp;
use peapod_api::meta;
use peapod_api::pod::is_terminal_phase;
use peapod_api::selector::LabelSelector;
use peapod_api::{Key, Object};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

pub(super) const CONTROLLER: Controller = Controller { name: "replicaset", triggers, reconcile };

pub(super) const RESOURCE: &str = "replicasets.apps";
/// The condition of a set whose pods are refused.
pub(super) const FAILURE: &str = "ReplicaFailure";
/// Pods created or deleted in one write; the write itself brings the controller back for the rest.
const BURST: usize = 500;

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    let mut keys = self_or_controller(change, RESOURCE);
    if let Some(pod) = change.after.as_ref().filter(|pod| is_orphan(pod)) {
        let sets = snapshot.list(RESOURCE, Some(pod.namespace()));
        keys.extend(
            sets.filter(|set| selector(&set.value()).matches(&pod.header.labels)).map(|set| set.key.clone()),
        );
    }
    keys
}

fn is_orphan(object: &Object) -> bool {
    object.key.resource() == "pods" && object.header.controller().is_none() && is_active(object)
}

fn selector(set: &Value) -> LabelSelector {
    LabelSelector::from_object(&set["spec"]["selector"]).unwrap_or_default()
}

/// Neither finished nor on its way out.
fn is_active(pod: &Object) -> bool {
    pod.header.deleted.is_none() && !pod.header.phase.as_deref().is_some_and(is_terminal_phase)
}

fn reconcile(snapshot: &Snapshot, key: &Key, context: &Context) -> Outcome {
    let Some(object) = snapshot.get(key).filter(|object| object.header.deleted.is_none()) else {
        return Outcome::nothing();
    };
    let set = object.value();
    let selector = selector(&set);
    let managed: Vec<&Arc<Object>> = snapshot
        .owned_by(&object.header.uid)
        .filter(|o| o.key.resource() == "pods" && is_managed_by(o, &object.header.uid))
        .collect();
    let (mut pods, strays): (Vec<_>, Vec<_>) =
        managed.into_iter().partition(|pod| selector.matches(&pod.header.labels));
    let mut actions: Vec<Action> = strays.into_iter().map(|pod| release(pod, &object.header.uid)).collect();
    for pod in snapshot.orphan_pods(object.namespace()).filter(|pod| is_orphan(pod)) {
        if selector.matches(&pod.header.labels) {
            actions.push(adopt(pod, object));
            pods.push(pod);
        }
    }
    let wanted = usize::try_from(set["spec"]["replicas"].as_i64().unwrap_or(1)).unwrap_or(0);
    let active: Vec<_> = pods.iter().copied().filter(|pod| is_active(pod)).collect();
    if active.len() < wanted {
        actions.extend(create(snapshot, object, &set, (wanted - active.len()).min(BURST)));
    } else if active.len() > wanted {
        actions.extend(delete(object, &active, (active.len() - wanted).min(BURST)));
    }
    let (status, again_after) = status(&set, &pods, active.len() < wanted, context.now);
    if status != set["status"] {
        actions.push(Action::SetStatus { key: key.clone(), status });
    }
    Outcome { actions, again_after }
}

fn release(pod: &Object, uid: &str) -> Action {
    let value = pod.value();
    let kept =
        value["metadata"]["ownerReferences"].as_array().into_iter().flatten().filter(|o| o["uid"] != uid);
    let owners: Vec<Value> = kept.cloned().collect();
    let owners = if owners.is_empty() { Value::Null } else { owners.into() };
    Action::Patch { key: pod.key.clone(), patch: json!({"metadata": {"ownerReferences": owners}}) }
}

fn adopt(pod: &Object, set: &Object) -> Action {
    let value = pod.value();
    let mut owners = value["metadata"]["ownerReferences"].as_array().cloned().unwrap_or_default();
    owners.push(controller_reference("apps/v1", "ReplicaSet", set));
    Action::Patch { key: pod.key.clone(), patch: json!({"metadata": {"ownerReferences": owners}}) }
}

fn create(snapshot: &Snapshot, set: &Object, value: &Value, count: usize) -> Vec<Action> {
    let revision = snapshot.revision().to_le_bytes();
    let names = (0u64..).map(|ordinal| {
        let suffix = name::suffix(&[set.header.uid.as_bytes(), &revision, &ordinal.to_le_bytes()], 5);
        name::child(set.name(), &suffix)
    });
    let free = names.filter(|name| snapshot.find("pods", set.namespace(), name).is_none());
    let mut actions = Vec::with_capacity(2 * count);
    for pod_name in free.take(count) {
        actions.push(Action::Event {
            regarding: set.key.clone(),
            type_: "Normal",
            reason: "SuccessfulCreate".into(),
            message: format!("Created pod: {pod_name}"),
        });
        actions.push(Action::Create { object: pod_from_template(set, &value["spec"]["template"], pod_name) });
    }
    actions
}

fn pod_from_template(set: &Object, template: &Value, pod_name: String) -> Value {
    let mut metadata = json!({
        "name": pod_name,
        "generateName": format!("{}-", set.name()),
        "namespace": set.namespace(),
        "ownerReferences": [controller_reference("apps/v1", "ReplicaSet", set)],
    });
    for field in ["labels", "annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            metadata[field] = template["metadata"][field].clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
}

fn delete(set: &Object, active: &[&Arc<Object>], count: usize) -> Vec<Action> {
    let mut per_node: HashMap<&str, usize> = HashMap::new();
    for pod in active {
        *per_node.entry(pod.header.node.as_deref().unwrap_or_default()).or_default() += 1;
    }
    let mut ranked: Vec<_> = active.iter().map(|pod| (rank(pod, &per_node), *pod)).collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.key.cmp(&b.1.key)));
    let doomed = ranked.into_iter().take(count).map(|(_, pod)| pod);
    doomed
        .flat_map(|pod| {
            [
                Action::Event {
                    regarding: set.key.clone(),
                    type_: "Normal",
                    reason: "SuccessfulDelete".into(),
                    message: format!("Deleted pod: {}", pod.name()),
                },
                Action::delete(pod),
            ]
        })
        .collect()
}

/// Which pod goes first: the least. Kubernetes' order: unassigned, pending, not ready, cheap by annotation, crowded
/// nodes, ready for a shorter time, restarted more often, younger.
fn rank(pod: &Object, per_node: &HashMap<&str, usize>) -> impl Ord + use<> {
    const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
    let value = pod.value();
    let cost =
        value["metadata"]["annotations"][COST].as_str().and_then(|c| c.parse::<i32>().ok()).unwrap_or(0);
    let statuses = value["status"]["containerStatuses"].as_array().into_iter().flatten();
    let restarts: i64 = statuses.filter_map(|s| s["restartCount"].as_i64()).sum();
    let phase = match pod.header.phase.as_deref() {
        Some("Running") => 2,
        Some("Unknown") => 1,
        _ => 0,
    };
    let crowd = per_node[pod.header.node.as_deref().unwrap_or_default()];
    let youngest_first = |at: Option<Timestamp>| std::cmp::Reverse(at);
    (
        pod.header.node.is_some(),
        phase,
        pod.header.ready_since.is_some(),
        cost,
        std::cmp::Reverse(crowd),
        youngest_first(pod.header.ready_since),
        std::cmp::Reverse(restarts),
        youngest_first(pod.header.created),
    )
}

/// The status of a set that owns `pods`. That it may not have more is true for as long as it `is_short` of them.
fn status(set: &Value, pods: &[&Arc<Object>], is_short: bool, now: Timestamp) -> (Value, Option<Duration>) {
    let min_ready = Duration::from_secs(set["spec"]["minReadySeconds"].as_u64().unwrap_or(0));
    let template_labels = peapod_api::object::labels(&set["spec"]["template"]["metadata"]["labels"]);
    let (mut replicas, mut labelled, mut ready, mut available, mut terminating) = (0, 0, 0, 0, 0);
    let mut again_after: Option<Duration> = None;
    for pod in pods {
        if !is_active(pod) {
            terminating += usize::from(pod.header.deleted.is_some());
            continue;
        }
        replicas += 1;
        labelled += usize::from(template_labels.iter().all(|(k, v)| pod.header.labels.get(k) == Some(v)));
        let Some(since) = pod.header.ready_since else { continue };
        ready += 1;
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        match min_ready.checked_sub(age).filter(|left| !left.is_zero()) {
            Some(left) => again_after = Some(again_after.map_or(left, |other| other.min(left))),
            None => available += 1,
        }
    }
    let mut status = json!({"replicas": replicas, "observedGeneration": set["metadata"]["generation"]});
    for (field, count) in [
        ("fullyLabeledReplicas", labelled),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("terminatingReplicas", terminating),
    ] {
        if count > 0 {
            status[field] = count.into();
        }
    }
    let conditions = items(&set["status"]["conditions"]);
    let conditions: Vec<&Value> = conditions.filter(|c| is_short || c["type"] != FAILURE).collect();
    if !conditions.is_empty() {
        status["conditions"] = json!(conditions);
    }
    (status, again_after)
}

/// The status of a set once it is noted that a pod of it is refused. None if it is noted already.
pub(super) fn with_refusal(set: &Object, why: &str, now: Timestamp) -> Option<Value> {
    let mut status = set.value()["status"].clone();
    let mut conditions: Vec<Value> = items(&status["conditions"]).cloned().collect();
    if conditions.iter().any(|condition| condition["type"] == FAILURE) {
        return None;
    }
    let condition = json!({"type": FAILURE, "status": "True", "reason": "FailedCreate", "message": why});
    meta::set_condition(&mut conditions, condition, now);
    status["conditions"] = conditions.into();
    Some(status)
}
