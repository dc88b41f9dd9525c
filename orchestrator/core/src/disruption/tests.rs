//! Budgets over small worlds of pods.

use super::*;
use crate::snapshot::Change;
use peapod_api::Draft;

fn now() -> Timestamp {
    Timestamp::from_second(1000).unwrap()
}

fn put(snapshot: &mut Snapshot, resource: &str, mut value: Value) -> Arc<Object> {
    value["metadata"]["namespace"] = "d".into();
    let key = Key::new(resource, "d", value["metadata"]["name"].as_str().unwrap());
    let kind = kinds::of_resource(resource).unwrap();
    let revision = snapshot.revision() + 1;
    let object = Arc::new(Draft::new(kind, key.clone(), value).at(revision));
    let before = snapshot.get(&key).cloned();
    snapshot.apply(&Change::new(revision, key, before, Some(object.clone())));
    object
}

fn pod(name: &str, ready: bool) -> Value {
    let status = if ready { "True" } else { "False" };
    json!({"metadata": {"name": name, "uid": name, "labels": {"app": "web"}, "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "set", "controller": true}]},
        "spec": {"nodeName": "n"}, "status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": status, "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})
}

/// A Deployment of `replicas` with a set and `ready` ready pods and one that is not.
fn world(replicas: i64, ready: usize) -> Snapshot {
    let mut snapshot = Snapshot::default();
    put(
        &mut snapshot,
        "deployments.apps",
        json!({"metadata": {"name": "web", "uid": "dep"}, "spec": {"replicas": replicas}}),
    );
    put(
        &mut snapshot,
        "replicasets.apps",
        json!({"metadata": {"name": "web-1", "uid": "set", "ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "dep", "controller": true}]},
        "spec": {"replicas": 1}}),
    );
    for index in 0..ready {
        put(&mut snapshot, "pods", pod(&format!("p{index}"), true));
    }
    put(&mut snapshot, "pods", pod("sick", false));
    snapshot
}

fn budget(spec: Value) -> Value {
    let mut spec = spec;
    spec["selector"] = json!({"matchLabels": {"app": "web"}});
    json!({"metadata": {"name": "b", "uid": "b", "generation": 1}, "spec": spec})
}

/// Puts the budget with its status, and gives how it stands.
fn judged(snapshot: &mut Snapshot, spec: Value) -> Standing {
    let object = put(snapshot, BUDGETS, budget(spec));
    let standing = standing(snapshot, &object, &BTreeMap::new());
    let mut value = object.value();
    value["status"] = status(&object, standing, &BTreeMap::new(), now());
    put(snapshot, BUDGETS, value);
    standing
}

#[test]
fn numbers_and_shares_are_counted_as_kubernetes_counts_them() {
    for (spec, expected, desired, allowed) in [
        (json!({"minAvailable": 2}), 4, 2, 1),
        (json!({"minAvailable": 3}), 4, 3, 0),
        (json!({"minAvailable": "50%"}), 5, 3, 0),
        (json!({"minAvailable": "40%"}), 5, 2, 1),
        (json!({"maxUnavailable": 3}), 5, 2, 1),
        (json!({"maxUnavailable": "30%"}), 5, 3, 0),
        (json!({"maxUnavailable": 9}), 5, 0, 3),
    ] {
        let found = judged(&mut world(5, 3), spec.clone());
        assert_eq!((found.expected, found.desired, found.healthy), (expected, desired, 3), "{spec}");
        assert_eq!(found.allowed(), allowed, "{spec}");
    }
}

#[test]
fn an_eviction_spends_the_budget() {
    let mut snapshot = world(3, 2);
    judged(&mut snapshot, json!({"minAvailable": 1}));
    let first = snapshot.find("pods", "d", "p0").unwrap().clone();
    let Cost::Disruption { status, .. } = evict(&snapshot, &first, now()).unwrap() else {
        panic!("it costs nothing")
    };
    assert_eq!(
        (&status["disruptionsAllowed"], &status["disruptedPods"]),
        (&json!(0), &json!({"p0": meta::time(now())}))
    );
    let mut spent = budget(json!({"minAvailable": 1}));
    spent["status"] = status;
    let spent = put(&mut snapshot, BUDGETS, spent);
    let second = snapshot.find("pods", "d", "p1").unwrap().clone();
    let error = evict(&snapshot, &second, now()).unwrap_err();
    let cause = "The disruption budget b needs 1 healthy pods and has 2 currently";
    assert_eq!(
        (error.code(), error.status()["details"]["causes"][0]["message"].as_str()),
        (429, Some(cause))
    );
    let under_way = disrupted(&snapshot, &spent, now());
    assert_eq!(under_way.len(), 1);
    assert_eq!(standing(&snapshot, &spent, &under_way).healthy, 1, "it counts as gone already");
    let later = now().checked_add(EVICTION_WITHIN).unwrap();
    assert!(disrupted(&snapshot, &spent, later).is_empty(), "it was not deleted after all");
}

#[test]
fn what_protects_nothing_is_free() {
    let mut snapshot = world(3, 2);
    judged(&mut snapshot, json!({"minAvailable": 2}));
    let get = |snapshot: &Snapshot, name: &str| snapshot.find("pods", "d", name).unwrap().clone();
    assert_eq!(
        evict(&snapshot, &get(&snapshot, "sick"), now()),
        Ok(Cost::Nothing),
        "the budget is healthy without it"
    );
    judged(&mut snapshot, json!({"minAvailable": 3}));
    assert!(evict(&snapshot, &get(&snapshot, "sick"), now()).is_err());
    judged(&mut snapshot, json!({"minAvailable": 3, "unhealthyPodEvictionPolicy": "AlwaysAllow"}));
    assert_eq!(evict(&snapshot, &get(&snapshot, "sick"), now()), Ok(Cost::Nothing));
    let mut done = pod("p0", true);
    done["status"]["phase"] = "Succeeded".into();
    let done = put(&mut snapshot, "pods", done);
    assert_eq!(evict(&snapshot, &done, now()), Ok(Cost::Nothing));
}

#[test]
fn a_budget_that_was_not_looked_at_yet_lets_nothing_go() {
    let mut snapshot = world(3, 2);
    put(&mut snapshot, BUDGETS, budget(json!({"minAvailable": 1})));
    let first = snapshot.find("pods", "d", "p0").unwrap().clone();
    let error = evict(&snapshot, &first, now()).unwrap_err();
    assert_eq!(error.status()["details"]["retryAfterSeconds"], 10);
    let mut other = budget(json!({"minAvailable": 1}));
    other["metadata"]["name"] = "c".into();
    put(&mut snapshot, BUDGETS, other);
    assert_eq!(evict(&snapshot, &first, now()).unwrap_err().code(), 500);
}
