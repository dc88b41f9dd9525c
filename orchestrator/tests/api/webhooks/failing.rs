//! Webhooks that cannot be asked, answer nonsense, or are not honest.

use super::server::{Server, allow, page, patch, respond};
use super::{MAPS, Sort, create, map, register};
use crate::client::{MERGE, World};
use futures_util::future;
use http::Method;
use peapod_core::patch::merge;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;

const NAME: &str = "x.example.com";

/// What the creation of a ConfigMap ends with, for each name of one, under `hook`.
async fn refusals(hook: Value, sort: Sort, names: &[&str]) -> Vec<(u16, String)> {
    let world = World::start().await;
    let mut admin = world.admin().await;
    register(&mut admin, sort, "x", json!([hook])).await;
    let mut found = Vec::new();
    for name in names {
        found.push(create(&mut admin, &map(name)).await);
    }
    found
}

#[tokio::test]
async fn one_that_cannot_be_asked_fails_the_write_or_is_passed_over() {
    let never = Server::start(|_| future::pending()).await;
    let gone = "127.0.0.1:1";
    for (change, why) in [
        (json!({"timeoutSeconds": 1}), "context deadline exceeded".to_string()),
        (
            json!({"clientConfig": {"url": format!("https://{gone}/admit")}, "timeoutSeconds": 7}),
            format!("dial tcp {gone}: connect: connection refused"),
        ),
        (
            json!({"clientConfig": {"caBundle": Server::allowing().await.hook("", &[])["clientConfig"]["caBundle"]}}),
            "tls: failed to verify certificate: x509: certificate signed by unknown authority".into(),
        ),
        (
            json!({"clientConfig": {"url": format!("https://localhost:{}/", never.address.port())}}),
            "tls: failed to verify certificate: x509: certificate is valid for".into(),
        ),
        (
            json!({"clientConfig": {"url": null, "service": {"name": "hook", "namespace": "default"}}}),
            "service \"hook\" not found".into(),
        ),
    ] {
        let mut hook = merge::apply(&never.hook(NAME, &["configmaps"]), &change).unwrap();
        let (code, message) = refusals(hook.clone(), Sort::Validating, &["a"]).await.remove(0);
        let begin = format!(
            "Internal error occurred: failed calling webhook \"{NAME}\": failed to call webhook: Post \"https://"
        );
        assert!(code == 500 && message.starts_with(&begin) && message.contains(&why), "{code} {message}");
        hook["failurePolicy"] = "Ignore".into();
        assert_eq!(refusals(hook.clone(), Sort::Validating, &["a"]).await[0].0, 201, "{why}");
        assert_eq!(refusals(hook, Sort::Mutating, &["a"]).await[0].0, 201, "{why}");
    }
}

#[tokio::test]
async fn what_is_no_answer_is_told_in_words() {
    let server = Server::start(|request| async move {
        let review = |version: &str, response: Value| {
            page(
                200,
                json!({"kind": "AdmissionReview", "apiVersion": version, "response": response}).to_string(),
            )
        };
        match request["name"].as_str().unwrap() {
            "text" => page(200, "certainly"),
            "large" => page(200, vec![b' '; 50 << 20]),
            "absent" => page(200, "{}"),
            "uid" => review("admission.k8s.io/v1", json!({"uid": "another", "allowed": true})),
            "version" => review("admission.k8s.io/v2", json!({"uid": request["uid"], "allowed": true})),
            "patch" => patch(&request, json!([])),
            "broken" => page(500, "out of order"),
            "missing" => page(404, ""),
            "moved" => {
                let mut moved = page(302, "");
                moved.headers_mut().insert("location", "https://127.0.0.1:1/".parse().unwrap());
                moved
            }
            _ => respond(&request, json!({"allowed": "maybe"})),
        }
    })
    .await;
    let expected = [
        ("text", "couldn't get version/kind; json parse error: "),
        ("large", "the answer is larger than 8388608 bytes"),
        ("absent", "received invalid webhook response: webhook response was absent"),
        ("uid", "received invalid webhook response: expected response.uid=\""),
        (
            "version",
            "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview, got admission.k8s.io/v2, Kind=AdmissionReview",
        ),
        ("patch", "received invalid webhook response: validating webhook may not return response.patch"),
        ("broken", "an error on the server (\"out of order\") has prevented the request from succeeding"),
        ("missing", "failed to call webhook: the server could not find the requested resource"),
        ("moved", "the server responded with the status code 302"),
        ("maybe", "response.allowed must be a boolean, got \"maybe\""),
    ];
    let hook = server.hook(NAME, &["configmaps"]);
    let names = expected.map(|(name, _)| name);
    let found = refusals(hook, Sort::Validating, &names).await;
    for ((name, why), (code, message)) in expected.iter().zip(found) {
        assert!(
            code == 500 && message.contains("failed calling webhook") && message.contains(why),
            "{name}: {code} {message}"
        );
    }
}

#[tokio::test]
async fn patches_cannot_make_what_is_no_object() {
    let server = Server::start(|request| async move {
        let operation = match request["name"].as_str().unwrap() {
            "missing" => json!({"op": "remove", "path": "/metadata/labels/none"}),
            "type" => json!({"op": "replace", "path": "/data", "value": "text"}),
            "label" => json!({"op": "add", "path": "/metadata/labels", "value": {"a b": "c"}}),
            "kind" => json!({"op": "replace", "path": "/kind", "value": "Secret"}),
            "namespace" => json!({"op": "replace", "path": "/metadata/namespace", "value": "kube-system"}),
            "unknown" => json!({"op": "add", "path": "/spec", "value": {"x": 1}}),
            _ => json!({"op": "jump"}),
        };
        patch(&request, json!([operation]))
    })
    .await;
    let names = ["missing", "type", "kind", "namespace", "jump", "label", "unknown"];
    let found = refusals(server.hook(NAME, &["configmaps"]), Sort::Mutating, &names).await;
    for (name, (code, message)) in names.iter().zip(&found).take(5) {
        let begin =
            format!("Internal error occurred: the patch of admission webhook \"{NAME}\" cannot be applied: ");
        assert!(*code == 500 && message.starts_with(&begin), "{name}: {code} {message}");
    }
    assert!(
        found[5].0 == 422 && found[5].1.contains("metadata.labels: Invalid value: \"a b\""),
        "{:?}",
        found[5]
    );
    assert_eq!(found[6].0, 201, "a field that nobody knows is dropped: {}", found[6].1);
}

#[tokio::test]
async fn a_write_is_asked_again_of_an_object_that_has_changed_meanwhile() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let created = admin.create(MAPS, &map("a")).await;
    let (rival, has_come) = (Arc::new(Mutex::new(world.admin().await)), Arc::new(AtomicBool::new(false)));
    let server = Server::start(move |request| {
        let (rival, has_come) = (rival.clone(), has_come.clone());
        async move {
            // The rival's own write is asked about, too.
            if !has_come.swap(true, Ordering::SeqCst) {
                let change = json!({"data": {"rival": "was here"}}).to_string();
                let answer =
                    rival.lock().await.ask(Method::PATCH, &format!("{MAPS}/a"), &MERGE, change).await;
                assert_eq!(answer.status(), 200, "{}", answer.text());
            }
            allow(&request)
        }
    })
    .await;
    register(&mut admin, Sort::Validating, "x", json!([server.hook(NAME, &["configmaps"])])).await;
    let change = json!({"data": {"mine": "too"}}).to_string();
    let patched = admin.ask(Method::PATCH, &format!("{MAPS}/a"), &MERGE, change).await.json();
    assert_eq!(patched["data"], json!({"a": "1", "rival": "was here", "mine": "too"}));
    let last = server.seen().pop().unwrap();
    assert_eq!(
        last["oldObject"]["data"],
        json!({"a": "1", "rival": "was here"}),
        "it was asked of what is kept"
    );
    assert_eq!(server.seen().len(), 3);
    let stale = admin.ask(Method::PUT, &format!("{MAPS}/a"), &[], created.to_string()).await;
    assert_eq!((stale.status(), stale.json()["reason"].clone()), (409, json!("Conflict")));
}

#[tokio::test]
async fn nobody_locks_himself_out() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let server = Server::start(|request| async move { respond(&request, json!({"allowed": false})) }).await;
    let mut hook = server.hook(NAME, &["*/*"]);
    hook["rules"][0]["apiGroups"] = json!(["*"]);
    hook["rules"][0]["apiVersions"] = json!(["*"]);
    register(&mut admin, Sort::Validating, "x", json!([hook.clone()])).await;
    register(&mut admin, Sort::Mutating, "x", json!([hook])).await;
    assert_eq!(create(&mut admin, &map("a")).await.0, 400);
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}});
    let reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let asked = admin.ask(Method::POST, reviews, &[], review.to_string()).await;
    assert_eq!(asked.status(), 400, "as in Kubernetes, questions are put to webhooks: {}", asked.text());
    for resource in ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"] {
        let path = format!("{}/{resource}/x", super::GROUP);
        assert_eq!(admin.ask(Method::DELETE, &path, &[], "").await.status(), 200);
    }
    assert_eq!(create(&mut admin, &map("a")).await.0, 201);
}
