//! Limits, quotas and priorities of a namespace, under many writers at a time.

use crate::client::{Events, MERGE, World};
use futures_util::future::join_all;
use http::Method;
use serde_json::json;

const PODS: &str = "/api/v1/namespaces/default/pods";
const QUOTAS: &str = "/api/v1/namespaces/default/resourcequotas";

#[tokio::test]
async fn a_quota_holds_under_many_writers() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "5"}}});
    admin.create(QUOTAS, &quota).await;
    let attempts = (0..32).map(|index| {
        let world = &world;
        async move {
            let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("p{index}")},
                "spec": {"containers": [{"name": "a", "image": "hello"}]}});
            world.admin().await.ask(Method::POST, PODS, &[], pod.to_string()).await
        }
    });
    let answers = join_all(attempts).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status() == 403).collect();
    assert_eq!((answers.iter().filter(|answer| answer.status() == 201).count(), refused.len()), (5, 27));
    let message = refused[0].json()["message"].as_str().unwrap().to_string();
    assert!(
        message.contains("is forbidden: exceeded quota: few, requested: pods=1, used: pods="),
        "{message}"
    );
    let mut watcher = world.admin().await;
    let mut events = Events::of(&mut watcher, &format!("{QUOTAS}?watch=1"), "application/json").await;
    let full = json!({"hard": {"pods": "5"}, "used": {"pods": "5"}});
    while events.next().await.unwrap()["object"]["status"] != full {}
}

#[tokio::test]
async fn limits_and_priorities_reach_new_pods() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "r"}, "spec": {"limits": [
        {"type": "Container", "default": {"memory": "64Mi"}, "max": {"memory": "128Mi"}}]}});
    admin.create("/api/v1/namespaces/default/limitranges", &range).await;
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 9});
    admin.create("/apis/scheduling.k8s.io/v1/priorityclasses", &class).await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"priorityClassName": "high", "containers": [{"name": "a", "image": "hello"}]}});
    let made = admin.create(PODS, &pod).await;
    assert_eq!(made["spec"]["priority"], 9);
    assert_eq!(made["spec"]["containers"][0]["resources"]["limits"], json!({"memory": "64Mi"}));
    assert_eq!(made["status"]["qosClass"], "Burstable");
    let mut large = pod.clone();
    large["metadata"]["name"] = "q".into();
    large["spec"]["containers"][0]["resources"] = json!({"limits": {"memory": "1Gi"}});
    let refused = admin.ask(Method::POST, PODS, &[], large.to_string()).await;
    let message = refused.json()["message"].as_str().unwrap().to_string();
    assert_eq!(refused.status(), 403);
    assert!(message.contains("maximum memory usage per Container is 128Mi, but limit is 1Gi"), "{message}");
}

#[tokio::test]
async fn a_set_of_pods_gets_what_a_quota_leaves_and_says_why_not_more() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "3"}}});
    admin.create(QUOTAS, &quota).await;
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "hello"}]}});
    let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "many"},
        "spec": {"replicas": 10, "selector": {"matchLabels": {"a": "b"}}, "template": template}});
    admin.create("/apis/apps/v1/namespaces/default/replicasets", &set).await;
    let mut watcher = world.admin().await;
    let told = "/api/v1/namespaces/default/events?watch=1&fieldSelector=reason%3DFailedCreate";
    let mut events = Events::of(&mut watcher, told, "application/json").await;
    let event = events.next().await.unwrap()["object"].clone();
    assert_eq!((&event["type"], &event["involvedObject"]["name"]), (&json!("Warning"), &json!("many")));
    let message = event["message"].as_str().unwrap();
    assert!(message.starts_with("Error creating: pods \"many-"), "{message}");
    assert!(
        message.ends_with("exceeded quota: few, requested: pods=1, used: pods=3, limited: pods=3"),
        "{message}"
    );
    assert_eq!(admin.get(PODS).await.json()["items"].as_array().unwrap().len(), 3);
    let created = "/api/v1/namespaces/default/events?fieldSelector=reason%3DSuccessfulCreate";
    let created = admin.get(created).await.json();
    assert_eq!(
        created["items"].as_array().unwrap().len(),
        3,
        "none tells of a pod that is not there: {created}"
    );
}

#[tokio::test]
async fn pods_that_are_refused_are_told_of_in_conditions_for_as_long_as_they_are() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}});
    admin.create(QUOTAS, &quota).await;
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "hello"}]}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "many"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let failure = |object: &serde_json::Value| {
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == "ReplicaFailure")
    };
    let apps = "/apis/apps/v1/namespaces/default";
    let (mut of_sets, mut of_deployments) = (world.admin().await, world.admin().await);
    let sets = format!("{apps}/replicasets?watch=1");
    let mut sets = Events::of(&mut of_sets, &sets, "application/json").await;
    let deployments = format!("{apps}/deployments?watch=1");
    let mut deployments = Events::of(&mut of_deployments, &deployments, "application/json").await;
    admin.create(&format!("{apps}/deployments"), &deployment).await;
    for events in [&mut sets, &mut deployments] {
        let told = loop {
            if let Some(told) = failure(&events.next().await.unwrap()["object"]) {
                break told;
            }
        };
        assert_eq!((&told["status"], &told["reason"]), (&json!("True"), &json!("FailedCreate")));
        let message = told["message"].as_str().unwrap();
        assert!(message.starts_with("pods \"many-"), "{message}");
        assert!(message.contains("is forbidden: exceeded quota: few"), "{message}");
        assert!(told["lastTransitionTime"].is_string());
    }
    let scaled = admin
        .ask(Method::PATCH, &format!("{apps}/deployments/many"), &MERGE, r#"{"spec":{"replicas":1}}"#)
        .await;
    assert_eq!(scaled.status(), 200);
    for events in [&mut sets, &mut deployments] {
        while failure(&events.next().await.unwrap()["object"]).is_some() {}
    }
}

#[tokio::test]
async fn a_deployment_whose_set_is_refused_says_so() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let none = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"},
        "spec": {"hard": {"count/replicasets.apps": "0"}}});
    admin.create(QUOTAS, &none).await;
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "hello"}]}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let path = "/apis/apps/v1/namespaces/default/deployments";
    let mut watcher = world.admin().await;
    let mut deployments = Events::of(&mut watcher, &format!("{path}?watch=1"), "application/json").await;
    let mut watcher = world.admin().await;
    let told = "/api/v1/namespaces/default/events?watch=1&fieldSelector=reason%3DReplicaSetCreateError";
    let mut events = Events::of(&mut watcher, told, "application/json").await;
    admin.create(path, &deployment).await;
    let progressing = loop {
        let seen = deployments.next().await.unwrap()["object"].clone();
        let conditions = seen["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if let Some(found) =
            conditions.into_iter().find(|condition| condition["reason"] == "ReplicaSetCreateError")
        {
            break found;
        }
    };
    assert_eq!((&progressing["type"], &progressing["status"]), (&json!("Progressing"), &json!("False")));
    let message = events.next().await.unwrap()["object"]["message"].as_str().unwrap().to_string();
    for text in [&message, progressing["message"].as_str().unwrap()] {
        assert!(text.starts_with("Failed to create new replica set \"web-"), "{text}");
        assert!(text.contains("exceeded quota: none"), "{text}");
    }
}
