//! Watches as clients read them.

use crate::client::{Client, Events, MERGE, World};
use http::Method;
use serde_json::json;
use std::time::Duration;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const JSON: &str = "application/json";

async fn create(admin: &mut Client, name: &str, color: &str) -> u64 {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"color": color}}});
    let created = admin.create(MAPS, &map).await;
    created["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}

async fn paint(admin: &mut Client, name: &str, color: &str) {
    let patch = json!({"metadata": {"labels": {"color": color}}}).to_string();
    assert_eq!(admin.ask(Method::PATCH, &format!("{MAPS}/{name}"), &MERGE, patch).await.status(), 200);
}

fn event(type_: &str, name: &str) -> (String, String) {
    (type_.into(), name.into())
}

#[tokio::test]
async fn a_selector_sees_objects_come_and_go() {
    let world = World::start().await;
    let (mut admin, mut watcher) = (world.admin().await, world.admin().await);
    create(&mut admin, "first", "red").await;
    let mut events =
        Events::of(&mut watcher, &format!("{MAPS}?watch=1&labelSelector=color%3Dred"), JSON).await;
    assert_eq!(events.brief().await, event("ADDED", "first"));
    create(&mut admin, "other", "blue").await;
    paint(&mut admin, "other", "red").await;
    assert_eq!(events.brief().await, event("ADDED", "other"));
    paint(&mut admin, "first", "blue").await;
    let gone = events.next().await.unwrap();
    assert_eq!((&gone["type"], &gone["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("first")));
    assert_eq!(gone["object"]["metadata"]["labels"]["color"], "red", "the state that was last seen");
    admin.ask(Method::DELETE, &format!("{MAPS}/other"), &[], "").await;
    assert_eq!(events.brief().await, event("DELETED", "other"));
}

#[tokio::test]
async fn a_watch_goes_on_after_a_revision() {
    let world = World::start().await;
    let (mut admin, mut watcher) = (world.admin().await, world.admin().await);
    let revision = create(&mut admin, "a", "x").await;
    create(&mut admin, "b", "x").await;
    let mut events =
        Events::of(&mut watcher, &format!("{MAPS}?watch=1&resourceVersion={revision}"), JSON).await;
    assert_eq!(events.brief().await, event("ADDED", "b"));
    create(&mut admin, "c", "x").await;
    assert_eq!(events.brief().await, event("ADDED", "c"));
}

#[tokio::test]
async fn a_streamed_list_ends_with_a_bookmark() {
    let world = World::start().await;
    let (mut admin, mut watcher) = (world.admin().await, world.admin().await);
    create(&mut admin, "a", "streamed").await;
    let query =
        "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let target = format!("{MAPS}?{query}&labelSelector=color%3Dstreamed");
    let mut events = Events::of(&mut watcher, &target, JSON).await;
    assert_eq!(events.brief().await, event("ADDED", "a"));
    let bookmark = events.next().await.unwrap();
    assert_eq!((&bookmark["type"], &bookmark["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
    let metadata = &bookmark["object"]["metadata"];
    assert_eq!(metadata["annotations"]["k8s.io/initial-events-end"], "true");
    assert!(metadata["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn events_can_be_tables() {
    let world = World::start().await;
    let (mut admin, mut watcher) = (world.admin().await, world.admin().await);
    let accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let target = format!("{MAPS}?watch=1&fieldSelector=metadata.name%3Dt");
    let mut events = Events::of(&mut watcher, &target, accept).await;
    create(&mut admin, "t", "x").await;
    let first = events.next().await.unwrap();
    assert_eq!(first["object"]["rows"][0]["cells"][0], "t");
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    paint(&mut admin, "t", "y").await;
    let second = events.next().await.unwrap();
    assert_eq!((&second["type"], &second["object"]["columnDefinitions"]), (&json!("MODIFIED"), &json!([])));
}

#[tokio::test]
async fn time_and_shutdown_end_watches_cleanly() {
    let world = World::start().await;
    let (mut short, mut long) = (world.admin().await, world.admin().await);
    let query = "watch=1&fieldSelector=metadata.name%3Dnone";
    let mut events = Events::of(&mut short, &format!("{MAPS}?{query}&timeoutSeconds=1"), JSON).await;
    assert_eq!(events.next().await, None);
    let mut events = Events::of(&mut long, &format!("{MAPS}?{query}"), JSON).await;
    let stopping = tokio::time::timeout(Duration::from_secs(60), world.plane.shutdown());
    let (ended, stopped) = tokio::join!(events.next(), stopping);
    assert_eq!(ended, None);
    stopped.expect("the server stops although a watch was open");
}

#[tokio::test]
async fn forgotten_history_is_an_event() {
    let world = World::start().await;
    let mut watcher = world.admin().await;
    // Heartbeats are not in the log, and after a start not in the ring either.
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    let mut admin = world.admin().await;
    let revision = create(&mut admin, "a", "x").await;
    drop((admin, watcher));
    world.plane.shutdown().await;
    let world = World::start_in(world.directory).await;
    watcher = world.admin().await;
    let mut events =
        Events::of(&mut watcher, &format!("{leases}?watch=1&resourceVersion={revision}"), JSON).await;
    let error = events.next().await.unwrap();
    assert_eq!((&error["type"], &error["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(events.next().await, None);
}
