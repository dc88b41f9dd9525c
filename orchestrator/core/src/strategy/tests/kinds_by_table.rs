//! Every kind of the table: its minimal object is good, and what is wrong with bad ones is said in Kubernetes' words.

mod batch;
mod cluster;
mod network;
mod storage;
mod workloads;

use super::{create, update, with};
use peapod_api::kinds;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A minimal valid object of every kind, one a line.
const OBJECTS: &str = include_str!("objects.jsonl");

fn objects() -> impl Iterator<Item = Value> {
    OBJECTS.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// The minimal object of a kind, in a namespace if it has to be in one.
fn minimal(kind: &str) -> Value {
    let mut object = objects().find(|object| object["kind"] == *kind).unwrap();
    let row = kinds::of_object(object["apiVersion"].as_str().unwrap(), kind);
    if row.is_some_and(|row| row.namespaced()) {
        object["metadata"]["namespace"] = "demo".into();
    }
    object
}

/// Each line is a pointer into the minimal object of `kind`, the value that is put there, and the complaint.
fn refused(kind: &str, lines: &[(&str, Value, &str)]) {
    assert!(create(minimal(kind)).is_ok(), "{kind}: {:?}", create(minimal(kind)));
    for (pointer, value, complaint) in lines {
        let error = create(with(minimal(kind), pointer, value.clone())).expect_err(pointer);
        assert!(error.contains(complaint), "{kind} {pointer} {value}\n  said {error}\n  not  {complaint}");
    }
}

/// As [`refused`], for changes of an object that is there.
fn unchangeable(kind: &str, lines: &[(&str, Value, &str)]) {
    let old = create(minimal(kind)).unwrap();
    for (pointer, value, complaint) in lines {
        let error = update(&old, |new| *new = with(new.take(), pointer, value.clone())).expect_err(pointer);
        assert!(error.contains(complaint), "{kind} {pointer} {value}\n  said {error}\n  not  {complaint}");
    }
}

#[test]
fn every_kind_has_a_minimal_object_that_is_good() {
    let mut seen = BTreeSet::new();
    for object in objects() {
        let (api_version, kind) = (object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap());
        let Some(row) = kinds::of_object(api_version, kind) else { continue };
        let mut object = object.clone();
        if row.namespaced() {
            object["metadata"]["namespace"] = "demo".into();
        }
        let created = create(object).unwrap_or_else(|error| panic!("{error}"));
        assert!(created["metadata"]["uid"].is_string());
        assert_eq!(
            update(&created, |_| {}).unwrap()["metadata"]["generation"],
            created["metadata"]["generation"]
        );
        seen.insert((row.api_version(), row.kind.to_string()));
    }
    let missing: Vec<_> = kinds::KINDS
        .iter()
        .filter(|row| row.stored())
        .filter(|row| !seen.contains(&(row.api_version(), row.kind.to_string())))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn names_and_labels_are_judged_for_every_kind() {
    for row in kinds::KINDS.iter() {
        let Some(base) = objects().find(|o| o["kind"] == *row.kind && o["apiVersion"] == row.api_version())
        else {
            continue;
        };
        let base = if row.namespaced() { with(base, "/metadata/namespace", json!("demo")) } else { base };
        for (pointer, value, path) in [
            ("/metadata/name", json!("a/b"), "metadata.name: Invalid value: \"a/b\""),
            (
                "/metadata/name",
                json!(null),
                "metadata.name: Required value: name or generateName is required",
            ),
            (
                "/metadata/labels",
                json!({"-a": "b"}),
                "metadata.labels: Invalid value: \"-a\": name part must consist",
            ),
            (
                "/metadata/labels",
                json!({"a": "b c"}),
                "metadata.labels: Invalid value: \"b c\": a valid label must be",
            ),
            ("/metadata/annotations", json!({"a b": ""}), "metadata.annotations: Invalid value: \"a b\""),
            ("/metadata/finalizers", json!(["a b"]), "metadata.finalizers: Invalid value: \"a b\""),
        ] {
            let error = create(with(base.clone(), pointer, value)).expect_err(pointer);
            assert!(error.contains(path), "{} {pointer}: {error}", row.resource());
        }
    }
}

#[test]
fn generations_count_what_users_ask_for() {
    for (kind, pointer, value) in [
        ("ReplicationController", "/spec/replicas", json!(3)),
        ("Deployment", "/spec/replicas", json!(3)),
        ("ReplicaSet", "/spec/replicas", json!(3)),
        ("StatefulSet", "/spec/replicas", json!(3)),
        ("DaemonSet", "/spec/minReadySeconds", json!(3)),
        ("Job", "/spec/parallelism", json!(3)),
        ("CronJob", "/spec/schedule", json!("@daily")),
        ("PodDisruptionBudget", "/spec/minAvailable", json!(2)),
        ("Ingress", "/spec/rules/0/host", json!("b.example.com")),
        ("NetworkPolicy", "/spec/ingress", json!([])),
        ("CSIDriver", "/spec/podInfoOnMount", json!(true)),
        ("FlowSchema", "/spec/matchingPrecedence", json!(5)),
        ("ValidatingAdmissionPolicyBinding", "/spec/policyName", json!("other")),
        ("MutatingWebhookConfiguration", "/webhooks/0/timeoutSeconds", json!(3)),
    ] {
        let old = create(minimal(kind)).unwrap();
        assert_eq!(old["metadata"]["generation"], 1, "{kind}");
        let changed = update(&old, |new| *new = with(new.take(), pointer, value.clone())).unwrap();
        assert_eq!(changed["metadata"]["generation"], 2, "{kind}");
        let labelled = update(&old, |new| new["metadata"]["labels"]["a"] = "b".into()).unwrap();
        assert_eq!(labelled["metadata"]["generation"], 1, "{kind}");
    }
}
