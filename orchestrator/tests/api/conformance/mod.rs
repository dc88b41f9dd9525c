//! What every kind can do, by the table: the same steps for each row, against the real server over TLS.

mod deletes;
mod reads;
mod refusals;
mod sample;
mod steps;
mod writes;

use crate::client::{Client, World};
use futures_util::FutureExt;
use peapod_api::{Kind, kinds};
use serde_json::Value;
use std::panic::AssertUnwindSafe;
use steps::Subject;

/// The namespace in which it all happens.
const NAMESPACE: &str = "demo";
/// Minimal valid objects, one a line; the unit tests of the kinds' strategies use them too.
const OBJECTS: &str = include_str!("../../../core/src/strategy/tests/objects.jsonl");

/// Takes every kind through `steps` with a client of its own, and tells of all that failed.
async fn every_kind(steps: impl AsyncFn(&World, &Subject, &mut Client)) {
    let directory = tempfile::tempdir().unwrap();
    let world = World::start_with(directory, |config| config.accept_network_policies = true).await;
    let namespace =
        serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    world.admin().await.create("/api/v1/namespaces", &namespace).await;
    let (mut count, mut failed) = (0, Vec::new());
    for kind in kinds::KINDS.iter().filter(|kind| kind.stored()) {
        let subject = Subject::new(kind, minimal(kind));
        let mut client = world.admin().await;
        let done = AssertUnwindSafe(steps(&world, &subject, &mut client)).catch_unwind().await;
        failed.extend(done.err().map(|_| subject.called()));
        count += 1;
    }
    println!("{count} kinds against a server at {}", world.plane.address());
    assert!(failed.is_empty(), "{failed:?}");
}

fn minimal(kind: &Kind) -> Value {
    let all = OBJECTS.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let own = |object: &Value| object["kind"] == *kind.kind && object["apiVersion"] == kind.api_version();
    let mut found = all.into_iter().find(own).unwrap_or_else(|| panic!("no object of {}", kind.resource()));
    if kind.namespaced() {
        found["metadata"]["namespace"] = NAMESPACE.into();
    }
    found
}

#[tokio::test]
async fn every_kind_is_created_read_and_watched() {
    every_kind(async |world, subject, client| {
        let created = subject.creates(client).await;
        subject.is_read(client, &created).await;
        subject.is_printed(client).await;
        subject.is_watched(client, &mut world.admin().await).await;
    })
    .await;
}

#[tokio::test]
async fn every_kind_is_patched_and_applied() {
    every_kind(async |_, subject, client| {
        subject.creates(client).await;
        subject.is_patched(client).await;
        subject.is_applied(client).await;
        subject.keeps_its_halves_apart(client).await;
    })
    .await;
}

#[tokio::test]
async fn every_kind_travels_as_protobuf() {
    every_kind(async |_, subject, client| {
        subject.creates(client).await;
        subject.travels(client).await;
    })
    .await;
}

#[tokio::test]
async fn every_kind_is_deleted() {
    every_kind(async |_, subject, client| {
        // These go when everything that is in them, or of them, has gone: that has tests of its own.
        if !["namespaces", "customresourcedefinitions"].contains(&&*subject.kind.plural) {
            subject.creates(client).await;
            subject.is_deleted(client).await;
            subject.creates(client).await;
            subject.is_deleted_with_others(client).await;
        }
    })
    .await;
}

#[tokio::test]
async fn every_kind_is_discovered_and_explained() {
    every_kind(async |_, subject, client| {
        subject.is_discovered(client).await;
        subject.is_described(client).await;
    })
    .await;
}

#[tokio::test]
async fn every_kind_refuses_what_it_is_not() {
    every_kind(async |_, subject, client| subject.is_not_fooled(client).await).await;
}

#[tokio::test]
async fn a_network_policy_is_refused_unless_it_is_asked_for() {
    let world = World::start().await;
    let policy = minimal(kinds::lookup("networking.k8s.io", "networkpolicies").unwrap());
    let path = "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies";
    let mut policy = policy;
    policy["metadata"]["namespace"] = "default".into();
    let refused = world.admin().await.ask(http::Method::POST, path, &[], policy.to_string()).await;
    assert_eq!(refused.status(), 403);
    let message = refused.json()["message"].as_str().unwrap().to_string();
    assert!(message.contains("network policies are not enforced by this server"), "{message}");
}
