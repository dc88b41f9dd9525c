//! The control plane as its clients see it: over TLS, over connections inside the process, and with kubectl.
#![allow(clippy::unwrap_used, reason = "test code")]

mod client;
mod conformance;
mod custom;
mod evictions;
mod kubectl;
mod legacy;
mod limits;
mod nodes;
mod policies;
mod quotas;
mod reads;
mod rights;
mod statuses;
mod tokens;
mod watches;
mod webhooks;
mod writes;

use client::{Client, MERGE, World};
use http::Method;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use peapod_orchestrator::{Config, ControlPlane, Identity};
use serde_json::json;
use std::convert::Infallible;

#[tokio::test]
async fn credentials_decide_what_is_seen() {
    let (world, other) = (World::start().await, World::start().await);
    let mut nobody = world.connect().await;
    assert_eq!(nobody.get("/livez").await.text(), "ok");
    assert_eq!(nobody.get("/version").await.json()["minor"], "36");
    let refused = nobody.get("/api").await;
    assert_eq!(refused.status(), 403);
    assert_eq!(refused.json()["message"], "forbidden: User \"system:anonymous\" cannot get path \"/api\"");
    let refused = nobody.get("/api/v1/pods").await;
    assert_eq!(
        refused.json()["message"],
        "pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\" in API group \"\" at the cluster scope"
    );
    nobody.authorization = Some("Bearer wrong".into());
    assert_eq!(nobody.get("/livez").await.status(), 401);

    assert_eq!(world.admin().await.get("/api/v1/namespaces").await.status(), 200);
    let mut holder = world.connect_as(Some((world.directory.path(), "admin"))).await;
    assert_eq!(holder.get("/api/v1/secrets").await.status(), 200);
    let mut foreigner = world.connect_as(Some((other.directory.path(), "admin"))).await;
    let refused = foreigner.get("/api/v1/secrets").await;
    assert_eq!((refused.status(), refused.json()["reason"].clone()), (401, json!("Unauthorized")));
}

#[tokio::test]
async fn a_node_inside_the_process_is_a_node_and_no_more() {
    let world = World::start().await;
    let mut node = Client::over(world.plane.connect(Identity::node("n1"))).await;
    assert_eq!(node.get("/api/v1/services").await.status(), 200);
    assert_eq!(node.get("/api/v1/secrets").await.status(), 403);
    assert_eq!(node.get("/v2/").await.status(), 200);
    let mut admin = Client::over(world.plane.connect(Identity::admin())).await;
    assert_eq!(admin.get("/api/v1/secrets").await.status(), 200);
}

#[tokio::test]
async fn writes_are_answered_as_kubernetes_does() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let path = "/api/v1/namespaces/default/configmaps";
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"k": "v"}});
    let created = admin.create(path, &map).await;
    assert_eq!(created["metadata"]["namespace"], "default");
    let again = admin.ask(Method::POST, path, &[], map.to_string()).await;
    assert_eq!((again.status(), again.json()["reason"].clone()), (409, json!("AlreadyExists")));
    let patched = admin.ask(Method::PATCH, &format!("{path}/a"), &MERGE, r#"{"data":{"k":"w"}}"#).await;
    assert_eq!((patched.status(), patched.json()["data"]["k"].clone()), (200, json!("w")));
    let odd = admin.ask(Method::POST, path, &[("content-type", "text/html")], map.to_string()).await;
    assert_eq!(odd.status(), 415);
    assert_eq!(admin.get_as(path, "text/html").await.status(), 406);
    let large = admin.ask(Method::POST, path, &[], vec![b' '; (3 << 20) + 1]).await;
    assert_eq!(large.status(), 413);
    let mut unknown = map.clone();
    unknown["metadata"]["name"] = "b".into();
    unknown["dta"] = json!({});
    let warned =
        admin.ask(Method::POST, &format!("{path}?fieldValidation=Warn"), &[], unknown.to_string()).await;
    assert_eq!((warned.status(), warned.header("warning")), (201, r#"299 - "unknown field \"dta\"""#));
    let deleted = admin.ask(Method::DELETE, &format!("{path}/a"), &[], "").await;
    assert_eq!((deleted.status(), deleted.json()["status"].clone()), (200, json!("Success")));
    assert_eq!(admin.get(&format!("{path}/a")).await.status(), 404);
    for (method, target) in
        [(Method::PUT, path), (Method::POST, "/api/v1/configmaps"), (Method::DELETE, "/api/v1/namespaces")]
    {
        assert_eq!(admin.ask(method, target, &[], "{}").await.status(), 405, "{target}");
    }
}

#[tokio::test]
async fn logs_come_from_the_node_that_runs_the_pod() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    // A pod on a node that is not there would be collected.
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}});
    admin.create("/api/v1/nodes", &node).await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"},
        "spec": {"nodeName": "n1", "containers": [{"name": "a", "image": "x"}, {"name": "b", "image": "x"}]}});
    admin.create("/api/v1/namespaces/default/pods", &pod).await;
    let path = "/api/v1/namespaces/default/pods/p/log";
    let unchosen = admin.get(path).await;
    assert_eq!(unchosen.status(), 400);
    assert_eq!(
        unchosen.json()["message"],
        "a container name must be specified for pod p, choose one of: [a b]"
    );
    assert_eq!(admin.get(&format!("{path}?container=a")).await.status(), 503);

    let (ours, theirs) = tokio::io::duplex(4096);
    world.plane.attach_node("n1", ours);
    tokio::spawn(agent(theirs));
    let mut answer = admin.get(&format!("{path}?container=a&tailLines=3")).await;
    while answer.status() == 503 {
        answer = admin.get(&format!("{path}?container=a&tailLines=3")).await;
    }
    assert_eq!((answer.status(), answer.text()), (200, "/containerLogs/default/p/a?tailLines=3".into()));
    let waiting = admin.get(&format!("{path}?container=b")).await;
    assert_eq!(
        (waiting.status(), waiting.json()["message"].clone()),
        (400, json!("container b is waiting to start"))
    );
}

/// What an agent answers: the path that it was asked for, and a refusal for container b.
async fn agent(io: tokio::io::DuplexStream) {
    let answer = service_fn(|request: http::Request<Incoming>| async move {
        let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
        let waits = path.ends_with("/b");
        let body = if waits { "container b is waiting to start".to_string() } else { path };
        let mut response = http::Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = if waits { http::StatusCode::BAD_REQUEST } else { http::StatusCode::OK };
        Ok::<_, Infallible>(response)
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(io), answer).await;
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    let world = World::start().await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "kept"}});
    let created = world.admin().await.create("/api/v1/namespaces/default/configmaps", &map).await;
    let ca = std::fs::read(world.directory.path().join("pki/ca.crt")).unwrap();
    let second = Config { listen: "127.0.0.1:0".parse().unwrap(), ..Config::new(world.directory.path()) };
    assert!(ControlPlane::start(second).await.is_err(), "two processes on one directory");
    let busy = Config { listen: world.plane.address(), ..Config::new(tempfile::tempdir().unwrap().path()) };
    let error = format!("{:#}", ControlPlane::start(busy).await.err().unwrap());
    assert!(error.starts_with("cannot listen on 127.0.0.1:") && !error.contains('\n'), "{error}");

    world.plane.shutdown().await;
    let world = World::start_in(world.directory).await;
    assert_eq!(std::fs::read(world.directory.path().join("pki/ca.crt")).unwrap(), ca);
    let found = world.admin().await.get("/api/v1/namespaces/default/configmaps/kept").await.json();
    assert_eq!(found, created);
}

#[tokio::test]
async fn a_namespace_that_is_held_can_be_let_go() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let path = "/api/v1/namespaces/held";
    let mut namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "held"}});
    admin.create("/api/v1/namespaces", &namespace).await;
    // Something in it cannot go, so that the controller leaves the namespace as it is.
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "finalizers": ["example.com/x"]}});
    admin.create(&format!("{path}/configmaps"), &map).await;
    let dying = admin.ask(Method::DELETE, path, &[], "").await.json();
    assert_eq!(dying["status"]["phase"], "Terminating");
    assert_eq!(admin.get(path).await.status(), 200);
    namespace["spec"] = json!({"finalizers": []});
    let let_go = admin.ask(Method::PUT, &format!("{path}/finalize"), &[], namespace.to_string()).await;
    assert_eq!(let_go.status(), 200, "{}", let_go.text());
    assert_eq!(admin.get(path).await.status(), 404);
    assert_eq!(admin.get(&format!("{path}/finalize")).await.status(), 405);
}
