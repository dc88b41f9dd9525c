//! Statuses that programs write by each of the verbs: what is wrong with one is told as of a spec, and nothing is kept of it.

use crate::client::{APPLY, MERGE, World};
use http::Method;
use serde_json::{Value, json};

const SETS: &str = "/apis/apps/v1/namespaces/default/statefulsets";

#[tokio::test]
async fn a_status_that_cannot_be_is_refused_by_each_verb() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let set = json!({"metadata": {"name": "db"}, "spec": {"serviceName": "db", "replicas": 0,
        "selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "a", "image": "x"}]}}}});
    let mut kept = admin.create(SETS, &set).await;
    let path = format!("{SETS}/db/status");
    let wrong = json!({"replicas": 1, "readyReplicas": 2});
    kept["status"] = wrong.clone();
    let applied =
        json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "status": wrong});
    let apply = format!("{path}?fieldManager=me");
    for (method, path, headers, body) in [
        (Method::PUT, &path, &[][..], kept.clone()),
        (Method::PATCH, &path, &MERGE[..], json!({"status": wrong})),
        (Method::PATCH, &apply, &APPLY[..], applied),
    ] {
        let answer = admin.ask(method.clone(), path, headers, body.to_string()).await;
        println!("{method} {path}: {} {}", answer.status(), answer.message());
        assert_eq!(answer.status(), 422);
        let cause = &answer.json()["details"]["causes"][0];
        assert_eq!(cause["field"], "status.readyReplicas");
        assert_eq!(cause["message"], "Invalid value: 2: cannot be greater than status.replicas");
    }
    assert_eq!(admin.get(&path).await.json()["status"]["readyReplicas"], Value::Null);
    let right = json!({"status": {"replicas": 2, "readyReplicas": 2}}).to_string();
    assert_eq!(admin.ask(Method::PATCH, &path, &MERGE, right).await.status(), 200);
}
