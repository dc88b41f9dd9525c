//! Marks nodes that fall silent, taints those that are not ready, and evicts pods that do not tolerate it.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::scheduler::taint::{NOT_READY, Taint, UNREACHABLE, UNSCHEDULABLE, tolerates, toleration_seconds};
use crate::snapshot::{Change, Snapshot};
use jiff::Timestamp;
use peapod_api::pod::is_terminal_phase;
use peapod_api::well_known::NODE_LEASES;
use peapod_api::{Key, Object, meta};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const CONTROLLER: Controller = Controller { name: "node", triggers, reconcile };

const OWN_TAINTS: [&str; 3] = [NOT_READY, UNREACHABLE, UNSCHEDULABLE];

fn triggers(_: &Snapshot, change: &Change) -> Vec<Key> {
    let node = |name: &str| vec![Key::new("nodes", "", name)];
    let pod_node = || change.after.as_ref().and_then(|pod| pod.header.node.clone());
    match change.key.resource() {
        "nodes" => vec![change.key.clone()],
        // A renewal matters only to a node that was given up: the others are looked at again when their time is up.
        "leases.coordination.k8s.io" if change.key.namespace() == NODE_LEASES => node(change.key.name()),
        "pods" => pod_node().map(|name| node(&name)).unwrap_or_default(),
        _ => Vec::new(),
    }
}

fn reconcile(snapshot: &Snapshot, key: &Key, context: &Context) -> Outcome {
    let Some(object) = snapshot.get(key) else { return Outcome::nothing() };
    let node = object.value();
    let silent = silence(snapshot, object, context.now);
    let mut outcome = Outcome::nothing();
    let left = context.node_grace.saturating_sub(silent);
    if left.is_zero() {
        give_up(snapshot, object, &node, context.now, &mut outcome.actions);
    } else {
        outcome.again_after = Some(left);
    }
    let unreachable = left.is_zero() || ready_status(&node) == "Unknown";
    let taints = wanted_taints(&node, unreachable, context.now);
    let current = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    if taints != current {
        let taints = if taints.is_empty() { Value::Null } else { taints.clone().into() };
        outcome.actions.push(Action::Patch { key: key.clone(), patch: json!({"spec": {"taints": taints}}) });
    }
    evict(snapshot, key.name(), &taints, context.now, &mut outcome);
    outcome
}

/// How long the node has not been heard of. Its Lease carries the server's time of each renewal.
fn silence(snapshot: &Snapshot, node: &Object, now: Timestamp) -> Duration {
    let lease = snapshot.find("leases.coordination.k8s.io", NODE_LEASES, node.name());
    let renewed = lease.and_then(|lease| meta::parse_time(meta::text(&lease.value(), "spec.renewTime")?));
    let heard = renewed.or(node.header.created).unwrap_or(now);
    Duration::try_from(now.duration_since(heard)).unwrap_or_default()
}

/// The status of the Ready condition; a node that has not reported yet is not ready.
fn ready_status(node: &Value) -> &str {
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .into_iter()
        .find(|c| c["type"] == "Ready")
        .and_then(|c| c["status"].as_str())
        .unwrap_or("Unknown")
}

fn give_up(snapshot: &Snapshot, object: &Object, node: &Value, now: Timestamp, actions: &mut Vec<Action>) {
    let mut status = node["status"].clone();
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let known = conditions.iter().filter(|c| c["status"] != "Unknown").cloned().collect::<Vec<_>>();
    for condition in &known {
        let unknown = json!({
            "type": condition["type"], "status": "Unknown", "reason": "NodeStatusUnknown",
            "message": "Kubelet stopped posting node status.", "lastHeartbeatTime": condition["lastHeartbeatTime"],
        });
        meta::set_condition(&mut conditions, unknown, now);
    }
    if known.is_empty() {
        return;
    }
    status["conditions"] = conditions.into();
    actions.push(Action::SetStatus { key: object.key.clone(), status });
    actions.push(Action::Event {
        regarding: object.key.clone(),
        type_: "Normal",
        reason: "NodeNotReady".into(),
        message: format!("Node {} status is now: NodeNotReady", object.name()),
    });
    for pod in snapshot.pods_on(object.name()).filter(|pod| pod.header.ready_since.is_some()) {
        actions.push(Action::SetStatus { key: pod.key.clone(), status: not_ready(&pod.value(), now) });
    }
}

fn not_ready(pod: &Value, now: Timestamp) -> Value {
    let mut status = pod["status"].clone();
    let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
    let ready = json!({"type": "Ready", "status": "False", "reason": "NodeNotReady"});
    meta::set_condition(&mut conditions, ready, now);
    status["conditions"] = conditions.into();
    status
}

/// The node's taints with this controller's own brought up to date; the time of one that stays, stays.
fn wanted_taints(node: &Value, unreachable: bool, now: Timestamp) -> Vec<Value> {
    let current = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    let not_ready = !unreachable && ready_status(node) != "True";
    let mut wanted = Vec::new();
    for (key, applies) in [(UNREACHABLE, unreachable), (NOT_READY, not_ready)] {
        if applies {
            wanted.extend([(key, "NoSchedule"), (key, "NoExecute")]);
        }
    }
    if node["spec"]["unschedulable"] == true {
        wanted.push((UNSCHEDULABLE, "NoSchedule"));
    }
    let is = |taint: &Value, key: &str, effect: &str| taint["key"] == key && taint["effect"] == effect;
    let keep = |taint: &&Value| {
        let own = OWN_TAINTS.iter().any(|key| taint["key"] == *key);
        !own || wanted.iter().any(|(key, effect)| is(taint, key, effect))
    };
    let mut taints: Vec<Value> = current.iter().filter(keep).cloned().collect();
    for (key, effect) in wanted {
        if !taints.iter().any(|taint| is(taint, key, effect)) {
            let mut taint = json!({"key": key, "effect": effect});
            if effect == "NoExecute" {
                taint["timeAdded"] = meta::time(now).into();
            }
            taints.push(taint);
        }
    }
    taints
}

/// Deletes pods that do not tolerate a NoExecute taint, or not any longer.
fn evict(snapshot: &Snapshot, node: &str, taints: &[Value], now: Timestamp, outcome: &mut Outcome) {
    let executing: Vec<&Value> = taints.iter().filter(|taint| taint["effect"] == "NoExecute").collect();
    if executing.is_empty() {
        return;
    }
    let alive = snapshot.pods_on(node).filter(|pod| {
        pod.header.deleted.is_none() && !pod.header.phase.as_deref().is_some_and(is_terminal_phase)
    });
    for pod in alive {
        let tolerations = pod.value()["spec"]["tolerations"].clone();
        let left = executing.iter().filter_map(|taint| time_left(taint, &tolerations, now)).min();
        match left {
            Some(left) if left.is_zero() => outcome.actions.extend(eviction(pod)),
            Some(left) => {
                outcome.again_after = Some(outcome.again_after.map_or(left, |other| other.min(left)))
            }
            None => {}
        }
    }
}

/// How long a pod may stay under a taint; none: for ever.
fn time_left(taint: &Value, tolerations: &Value, now: Timestamp) -> Option<Duration> {
    let parsed = Taint::read(taint);
    if !tolerates(tolerations, &parsed) {
        return Some(Duration::ZERO);
    }
    let allowed = Duration::from_secs(toleration_seconds(tolerations, &parsed)?);
    let since = meta::text(taint, "timeAdded").and_then(meta::parse_time).unwrap_or(now);
    Some(allowed.saturating_sub(Duration::try_from(now.duration_since(since)).unwrap_or_default()))
}

fn eviction(pod: &Object) -> [Action; 2] {
    let event = Action::Event {
        regarding: pod.key.clone(),
        type_: "Normal",
        reason: "TaintManagerEviction".into(),
        message: format!("Marking for deletion Pod {}/{}", pod.namespace(), pod.name()),
    };
    [event, Action::delete(pod)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taint_is_borne_as_long_as_it_is_tolerated() {
        let taint = json!({"key": NOT_READY, "effect": "NoExecute", "timeAdded": "1970-01-01T00:00:10Z"});
        let left = |tolerations: Value, second: i64| {
            let now = Timestamp::from_second(second).unwrap();
            time_left(&taint, &tolerations, now).map(|left| left.as_secs())
        };
        let tolerating = |seconds: Value| json!([{"key": NOT_READY, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}]);
        assert_eq!(left(json!([]), 10), Some(0), "not tolerated");
        assert_eq!(left(tolerating(json!(30)), 15), Some(25));
        assert_eq!(left(tolerating(json!(30)), 99), Some(0));
        assert_eq!(left(tolerating(Value::Null), 99), None, "for ever");
    }
}
