//! Evictions and the budgets that limit them.

use crate::client::{Client, MERGE, World};
use http::Method;
use serde_json::{Value, json};

const PODS: &str = "/api/v1/namespaces/default/pods";
const BUDGET: &str = "/apis/policy/v1/namespaces/default/poddisruptionbudgets";

async fn ready_pod(admin: &mut Client, name: &str) {
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "a", "image": "hello"}]}});
    admin.create(PODS, &pod).await;
    let status = json!({"status": {"phase": "Running", "conditions": [
        {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}]}});
    let answer = admin.ask(Method::PATCH, &format!("{PODS}/{name}/status"), &MERGE, status.to_string()).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
}

async fn evict(admin: &mut Client, name: &str, query: &str) -> (u16, Value) {
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}});
    let answer =
        admin.ask(Method::POST, &format!("{PODS}/{name}/eviction{query}"), &[], eviction.to_string()).await;
    (answer.status(), answer.json())
}

/// Waits until the budget's status says that so many pods may go.
async fn allowed(world: &World, wanted: i64) {
    let mut watcher = world.admin().await;
    let mut events =
        crate::client::Events::of(&mut watcher, &format!("{BUDGET}?watch=1"), "application/json").await;
    while events.next().await.unwrap()["object"]["status"]["disruptionsAllowed"] != wanted {}
}

#[tokio::test]
async fn a_budget_lets_so_many_pods_go_and_no_more() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    admin
        .create("/api/v1/nodes", &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}))
        .await;
    for name in ["a", "b", "c"] {
        ready_pod(&mut admin, name).await;
    }
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "web"}}}});
    admin.create(BUDGET, &budget).await;
    allowed(&world, 1).await;
    assert_eq!(evict(&mut admin, "a", "?dryRun=All").await.0, 201);
    assert_eq!(evict(&mut admin, "a", "").await.0, 201);
    let (code, status) = evict(&mut admin, "b", "").await;
    assert_eq!((code, &status["reason"]), (429, &json!("TooManyRequests")), "{status}");
    assert_eq!(status["message"], "Cannot evict pod as it would violate the pod's disruption budget.");
    assert_eq!(status["details"]["causes"][0]["reason"], "DisruptionBudget");
    let found = admin.get(&format!("{PODS}/b")).await.json();
    assert!(found["metadata"]["deletionTimestamp"].is_null(), "it stays");
    assert_eq!(evict(&mut admin, "none", "").await.0, 404);
}
