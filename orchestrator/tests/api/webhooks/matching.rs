//! Which writes webhooks are asked about.

use super::server::{Server, patch, respond};
use super::{MAPS, Sort, create, map, register};
use crate::client::{MERGE, World};
use http::Method;
use serde_json::{Value, json};

const NAME: &str = "x.example.com";

#[tokio::test]
async fn selectors_and_conditions_leave_writes_out() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let space = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "prod", "labels": {"env": "prod"}}});
    admin.create("/api/v1/namespaces", &space).await;
    let server = Server::start(|request| async move { respond(&request, json!({"allowed": false})) }).await;
    let mut hook = server.hook(NAME, &["configmaps"]);
    hook["rules"][0]["operations"] = json!(["CREATE", "UPDATE"]);
    hook["namespaceSelector"] = json!({"matchLabels": {"env": "prod"}});
    hook["objectSelector"] = json!({"matchExpressions": [{"key": "judged", "operator": "Exists"}]});
    hook["matchConditions"] = json!([{"name": "not-root", "expression": "request.userInfo.username != 'root' && object.data.a == '1'"}]);
    register(&mut admin, Sort::Validating, "x", json!([hook])).await;
    let mut judged = map("a");
    judged["metadata"]["labels"] = json!({"judged": ""});
    let mut other = judged.clone();
    other["data"]["a"] = "2".into();
    let prod = "/api/v1/namespaces/prod/configmaps";
    for (path, object, code) in
        [(prod, &map("b"), 201), (MAPS, &judged, 201), (prod, &other, 201), (prod, &judged, 400)]
    {
        let answer = admin.ask(Method::POST, path, &[], object.to_string()).await;
        assert_eq!(answer.status(), code, "{path} {object}: {}", answer.text());
        admin.ask(Method::DELETE, &format!("{path}/a"), &[], "").await;
    }
    let without_label = json!({"metadata": {"labels": null}}).to_string();
    let mut kept = judged.clone();
    kept["data"]["a"] = "3".into();
    admin.create(prod, &kept).await;
    let change = json!({"metadata": {"labels": null}, "data": {"a": "1"}}).to_string();
    let refused = admin.ask(Method::PATCH, &format!("{prod}/a"), &MERGE, change).await;
    assert_eq!(refused.status(), 400, "the object as it was has the label");
    assert_eq!(admin.ask(Method::PATCH, &format!("{prod}/a"), &MERGE, without_label).await.status(), 200);
}

#[tokio::test]
async fn a_condition_that_fails_does_what_the_failure_policy_says() {
    let server = Server::allowing().await;
    for (policy, expected) in [("Fail", 403), ("Ignore", 201)] {
        let world = World::start().await;
        let mut admin = world.admin().await;
        let mut hook = server.hook(NAME, &["configmaps"]);
        hook["failurePolicy"] = policy.into();
        hook["matchConditions"] =
            json!([{"name": "labelled", "expression": "object.metadata.labels.a == 'b'"}]);
        register(&mut admin, Sort::Validating, "x", json!([hook])).await;
        let (code, message) = create(&mut admin, &map("a")).await;
        assert_eq!(code, expected);
        if policy == "Fail" {
            assert_eq!(
                message,
                "configmaps \"a\" is forbidden: expression 'object.metadata.labels.a == 'b'' resulted in error: no such key: labels"
            );
        }
    }
    assert_eq!(server.seen().len(), 0, "it is not asked");
}

#[tokio::test]
async fn other_forms_of_a_kind_are_taken_in_unless_the_match_is_exact() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let server = Server::start(|request| async move {
        patch(
            &request,
            json!([{"op": "replace", "path": "/spec/targetCPUUtilizationPercentage", "value": 42}]),
        )
    })
    .await;
    let mut hook = server.hook(NAME, &["horizontalpodautoscalers"]);
    hook["rules"][0]["apiGroups"] = json!(["autoscaling"]);
    let mut exact = hook.clone();
    exact["matchPolicy"] = "Exact".into();
    exact["name"] = "exact.example.com".into();
    register(&mut admin, Sort::Mutating, "x", json!([exact, hook])).await;
    let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}});
    let scaler = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"maxReplicas": 3, "metrics": [metric], "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}});
    let created =
        admin.create("/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", &scaler).await;
    assert_eq!(created["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 42);
    let [request] = &server.seen()[..] else { panic!("asked {} times", server.seen().len()) };
    assert_eq!(
        (&request["kind"]["version"], &request["requestKind"]["version"]),
        (&json!("v1"), &json!("v2"))
    );
    assert_eq!(request["object"]["apiVersion"], "autoscaling/v1");
}

#[tokio::test]
async fn parts_are_asked_about_in_their_own_form() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let server = Server::start(|request| async move {
        match request["subResource"].as_str() {
            Some("scale") => {
                patch(&request, json!([{"op": "replace", "path": "/spec/replicas", "value": 2}]))
            }
            Some("status") => respond(&request, json!({"allowed": false})),
            _ => respond(&request, json!({"allowed": true})),
        }
    })
    .await;
    let mut hook = server.hook(NAME, &["deployments/scale", "deployments/status"]);
    hook["rules"][0]["apiGroups"] = json!(["apps"]);
    hook["matchConditions"] =
        json!([{"name": "people", "expression": "request.userInfo.username == 'kubernetes-admin'"}]);
    register(&mut admin, Sort::Mutating, "x", json!([hook])).await;
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {"replicas": 0,
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "hello"}]}}}});
    let path = "/apis/apps/v1/namespaces/default/deployments";
    admin.create(path, &deployment).await;
    assert_eq!(server.seen().len(), 0);
    let scale = json!({"spec": {"replicas": 7}}).to_string();
    let scaled = admin.ask(Method::PATCH, &format!("{path}/web/scale"), &MERGE, scale).await;
    assert_eq!(scaled.json()["spec"]["replicas"], 2, "{}", scaled.text());
    let request: Value = server.seen().remove(0);
    assert_eq!(request["kind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
    assert_eq!(request["resource"]["resource"], "deployments");
    assert_eq!(request["object"]["spec"]["replicas"], 7);
    let status = json!({"status": {"replicas": 9}}).to_string();
    let refused = admin.ask(Method::PATCH, &format!("{path}/web/status"), &MERGE, status).await;
    assert_eq!(refused.status(), 400, "{}", refused.text());
}
