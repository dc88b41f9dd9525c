//! What a decision costs among 10,000 bindings, and what folding one more binding in costs. Run with
//! `cargo bench -p peapod-core --bench rbac`.

use peapod_api::{Draft, Key, Kind, kinds};
use peapod_core::auth::rbac::{BINDINGS, CLUSTER_BINDINGS, CLUSTER_ROLES, defaults};
use peapod_core::auth::{Attributes, User, authorize};
use peapod_core::snapshot::{Change, Snapshot};
use serde_json::{Value, json};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const BOUND: usize = 10_000;
const NAMESPACES: usize = 500;
const DECISIONS: usize = 200_000;
/// Median of so many rounds.
const ROUNDS: usize = 5;

fn row(resource: &str) -> &'static Kind {
    kinds::of_resource(resource).unwrap_or_else(|| panic!("{resource} are not served"))
}

fn put(snapshot: &mut Snapshot, resource: &str, namespace: &str, name: &str, mut value: Value) {
    value["metadata"]["name"] = name.into();
    let (key, revision) = (Key::new(resource, namespace, name), snapshot.revision() + 1);
    let after = Some(Arc::new(Draft::new(row(resource), key.clone(), value).at(revision)));
    snapshot.apply(&Change::new(revision, key, None, after));
}

fn cluster() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for object in defaults::objects() {
        let resource = if object["kind"] == "ClusterRole" { CLUSTER_ROLES } else { CLUSTER_BINDINGS };
        let name = object["metadata"]["name"].as_str().unwrap_or_default().to_string();
        put(&mut snapshot, resource, "", &name, object);
    }
    for number in 0..BOUND {
        bind(&mut snapshot, number);
    }
    snapshot
}

/// A user of his own, and one of ten groups, in one of the namespaces.
fn bind(snapshot: &mut Snapshot, number: usize) {
    let role = ["view", "edit", "admin"][number % 3];
    let subjects = json!([{"kind": "User", "name": format!("user-{number}")},
        {"kind": "Group", "name": format!("group-{}", number % 10)}]);
    let binding = json!({"roleRef": {"kind": "ClusterRole", "name": role}, "subjects": subjects});
    let namespace = format!("namespace-{}", number % NAMESPACES);
    put(snapshot, BINDINGS, &namespace, &format!("binding-{number}"), binding);
}

fn median_ns(mut round: impl FnMut(), count: usize) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_secs_f64() * 1e9 / count as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

fn main() {
    let mut snapshot = cluster();
    let user = User::new("user-4242", &["group-2", "a", "b", "c", "d"]);
    let ask = |verb, resource, namespace| {
        let asked = Attributes::new(verb, row(resource), namespace, "some");
        let decide = || {
            for _ in 0..DECISIONS {
                let _ = black_box(authorize(&snapshot, black_box(&user), &asked));
            }
        };
        (authorize(&snapshot, &user, &asked).is_ok(), median_ns(decide, DECISIONS))
    };
    for (what, verb, resource, namespace) in [
        ("by an edit role", "update", "deployments.apps", "namespace-242"),
        ("by the last rules of admin", "get", "configmaps", "namespace-242"),
        ("refused in a namespace", "delete", "nodes", "namespace-242"),
        ("refused cluster-wide", "list", "secrets", ""),
    ] {
        let (allowed, took) = ask(verb, resource, namespace);
        println!("{BOUND} bindings, {what} (allowed: {allowed}): {took:.0} ns a decision");
    }
    let took = median_ns(|| (0..1000).for_each(|number| bind(&mut snapshot, BOUND + number)), 1000);
    println!("{BOUND} bindings, one more: {took:.0} ns");
}
