//! Admission webhooks over real HTTPS.

mod failing;
mod matching;
mod others;
mod server;

use crate::client::{APPLY, Client, MERGE, World};
use http::Method;
use serde_json::{Value, json};
use server::{Server, allow, patch, respond};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

pub(crate) enum Sort {
    Mutating,
    Validating,
}

/// Registers the webhooks under a configuration of that name.
pub(crate) async fn register(admin: &mut Client, sort: Sort, name: &str, hooks: Value) {
    let (kind, resource) = match sort {
        Sort::Mutating => ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations"),
        Sort::Validating => ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations"),
    };
    let object = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "webhooks": hooks});
    admin.create(&format!("{GROUP}/{resource}"), &object).await;
}

pub(crate) fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "1"}})
}

/// Creates a ConfigMap: code and message.
pub(crate) async fn create(admin: &mut Client, object: &Value) -> (u16, String) {
    let answer = admin.ask(Method::POST, MAPS, &[], object.to_string()).await;
    (answer.status(), answer.json()["message"].as_str().unwrap_or_default().into())
}

#[tokio::test]
async fn a_mutating_webhook_is_told_all_and_changes_what_is_written() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let label = |request: Value| async move {
        let labels = request["object"]["metadata"]["labels"].is_object();
        let create = json!([{"op": "add", "path": "/metadata/labels", "value": {"seen": "yes"}}]);
        match request["operation"].as_str() {
            Some("CREATE" | "UPDATE") if !labels => patch(&request, create),
            _ => allow(&request),
        }
    };
    let server = Server::start(label).await;
    register(&mut admin, Sort::Mutating, "label", json!([server.hook("label.example.com", &["configmaps"])]))
        .await;

    let created = admin.create(&format!("{MAPS}?fieldManager=me"), &map("a")).await;
    assert_eq!(created["metadata"]["labels"], json!({"seen": "yes"}));
    let request = &server.seen()[0];
    let gvk = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    let gvr = json!({"group": "", "version": "v1", "resource": "configmaps"});
    for (field, expected) in [
        ("kind", gvk.clone()),
        ("requestKind", gvk),
        ("resource", gvr.clone()),
        ("requestResource", gvr),
        ("name", json!("a")),
        ("namespace", json!("default")),
        ("operation", json!("CREATE")),
        ("oldObject", Value::Null),
        ("dryRun", json!(false)),
        ("subResource", json!("")),
    ] {
        assert_eq!(request[field], expected, "{field}");
    }
    assert_eq!(request["object"]["data"], json!({"a": "1"}));
    assert_eq!(request["options"]["kind"], "CreateOptions");
    assert_eq!(request["options"]["fieldManager"], "me");
    assert_eq!(request["userInfo"]["username"], "kubernetes-admin");
    assert!(request["userInfo"]["groups"].as_array().unwrap().contains(&json!("system:masters")));

    let strip = json!({"metadata": {"labels": null}, "data": {"a": "2"}}).to_string();
    let patched = admin.ask(Method::PATCH, &format!("{MAPS}/a"), &MERGE, strip).await.json();
    assert_eq!((&patched["metadata"]["labels"]["seen"], &patched["data"]["a"]), (&json!("yes"), &json!("2")));
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}).to_string();
    let path = format!("{MAPS}/b?fieldManager=me");
    let applied = admin.ask(Method::PATCH, &path, &APPLY, applied).await.json();
    assert_eq!(applied["metadata"]["labels"]["seen"], "yes");
    let owned = applied["metadata"]["managedFields"].to_string();
    assert!(!owned.contains("f:seen"), "what a webhook adds belongs to no applier: {owned}");

    let dry = admin.ask(Method::POST, &format!("{MAPS}?dryRun=All"), &[], map("c").to_string()).await.json();
    assert_eq!(dry["metadata"]["labels"]["seen"], "yes");
    assert_eq!(server.seen().last().unwrap()["dryRun"], true);
    assert_eq!(admin.ask(Method::DELETE, &format!("{MAPS}/a"), &[], "").await.status(), 200);
    let deletion = server.seen().pop().unwrap();
    assert_eq!((&deletion["operation"], &deletion["object"]), (&json!("DELETE"), &Value::Null));
    assert_eq!(deletion["oldObject"]["data"], json!({"a": "2"}));
    assert_eq!(server.connections(), 1, "one connection serves all");
}

#[tokio::test]
async fn a_validating_webhook_denies_in_its_own_words() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    admin.create(MAPS, &map("there")).await;
    let server = Server::start(|request| async move {
        let status = match request["name"].as_str().unwrap() {
            "silent" => json!({}),
            "reasoned" => json!({"reason": "BecauseISaySo", "code": 200}),
            "forbidden" => json!({"message": "not here", "reason": "Forbidden", "code": 403}),
            _ => json!({"message": "no"}),
        };
        respond(&request, json!({"allowed": false, "status": status, "warnings": ["it was \"tried\""]}))
    })
    .await;
    register(&mut admin, Sort::Validating, "deny", json!([server.hook("deny.example.com", &["configmaps"])]))
        .await;

    let denied = "admission webhook \"deny.example.com\" denied the request";
    for (name, code, message) in [
        ("silent", 400, format!("{denied} without explanation")),
        ("reasoned", 400, format!("{denied}: BecauseISaySo")),
        ("forbidden", 403, format!("{denied}: not here")),
        ("other", 400, format!("{denied}: no")),
    ] {
        assert_eq!(create(&mut admin, &map(name)).await, (code, message), "{name}");
    }
    let there = format!("{MAPS}/there");
    let merge = json!({"data": {"a": "2"}}).to_string();
    for (method, path, headers, body) in [
        (Method::PATCH, there.as_str(), MERGE.as_slice(), merge.as_str()),
        (Method::DELETE, there.as_str(), &[], ""),
        (Method::DELETE, MAPS, &[], ""),
    ] {
        let refused = admin.ask(method.clone(), path, headers, body.to_string()).await;
        assert_eq!(
            (refused.status(), refused.json()["message"].clone()),
            (400, json!(format!("{denied}: no"))),
            "{method} {path}"
        );
        assert_eq!(refused.header("warning"), "299 - \"it was \\\"tried\\\"\"");
        assert!(refused.json()["reason"].is_null());
    }
    let update = server.seen().into_iter().find(|request| request["operation"] == "UPDATE").unwrap();
    assert_eq!(
        (&update["object"]["data"]["a"], &update["oldObject"]["data"]["a"]),
        (&json!("2"), &json!("1"))
    );
    assert_eq!(admin.get(&there).await.json()["data"]["a"], "1");

    let name = format!("{GROUP}/validatingwebhookconfigurations/deny");
    assert_eq!(admin.ask(Method::DELETE, &name, &[], "").await.status(), 200);
    assert_eq!(create(&mut admin, &map("other")).await.0, 201);
}

#[tokio::test]
async fn mutating_webhooks_go_by_name_and_again_if_they_wish() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let server = Server::start(|request| async move {
        let data = request["object"]["data"].as_object().unwrap().len();
        let add = json!([{"op": "add", "path": format!("/data/step{data}"), "value": "x"}]);
        if data > 2 { allow(&request) } else { patch(&request, add) }
    })
    .await;
    let quiet = Server::allowing().await;
    let mut first = quiet.hook("first.example.com", &["configmaps"]);
    first["reinvocationPolicy"] = "IfNeeded".into();
    let second = server.hook("second.example.com", &["configmaps"]);
    register(&mut admin, Sort::Mutating, "b", json!([second])).await;
    register(&mut admin, Sort::Mutating, "a", json!([first])).await;
    let created = admin.create(MAPS, &map("m")).await;
    assert_eq!(created["data"], json!({"a": "1", "step1": "x"}));
    let asked: Vec<usize> =
        quiet.seen().iter().map(|request| request["object"]["data"].as_object().unwrap().len()).collect();
    assert_eq!(asked, [1, 2], "the first is asked again, of what the second made");
    assert_eq!(server.seen().len(), 1);
}
