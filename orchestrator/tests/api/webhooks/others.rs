//! Writes that are no requests for objects, and webhooks that are in pods.

use super::server::{Server, allow, patch, respond};
use super::{GROUP, Sort, create, map, register};
use crate::client::{Events, World};
use bytes::Bytes;
use http::Method;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use std::convert::Infallible;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_util::io::ReaderStream;

const PODS: &str = "/api/v1/namespaces/default/pods";

#[tokio::test]
async fn pods_that_controllers_make_are_asked_about() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let server = Server::start(|request| async move {
        match request["object"]["metadata"]["labels"]["app"].as_str() {
            Some("bad") => {
                respond(&request, json!({"allowed": false, "status": {"message": "bad pods stay out"}}))
            }
            _ => patch(&request, json!([{"op": "add", "path": "/metadata/labels/sidecar", "value": "yes"}])),
        }
    })
    .await;
    let mut hook = server.hook("pods.example.com", &["pods"]);
    hook["rules"][0]["operations"] = json!(["CREATE"]);
    register(&mut admin, Sort::Mutating, "pods", json!([hook])).await;
    let mut watcher = world.admin().await;
    let mut pods = Events::of(&mut watcher, &format!("{PODS}?watch=true"), "application/json").await;
    let mut watcher = world.admin().await;
    let events = "/api/v1/namespaces/default/events?watch=true&fieldSelector=reason=FailedCreate";
    let mut events = Events::of(&mut watcher, events, "application/json").await;
    let sets = "/apis/apps/v1/namespaces/default/replicasets";
    for name in ["bad", "good"] {
        let set = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": {"replicas": 1,
            "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "c", "image": "hello"}]}}}});
        admin.create(sets, &set).await;
    }
    let pod = pods.next().await.unwrap()["object"].clone();
    assert_eq!(pod["metadata"]["labels"], json!({"app": "good", "sidecar": "yes"}));
    let event = events.next().await.unwrap()["object"].clone();
    assert_eq!(event["involvedObject"]["name"], "bad");
    assert_eq!(
        event["message"],
        "Error creating: admission webhook \"pods.example.com\" denied the request: bad pods stay out"
    );
    let asked = server.seen();
    assert!(asked.iter().all(|request| {
        request["userInfo"]["username"] == "system:serviceaccount:kube-system:replicaset-controller"
    }));
    assert_eq!(admin.get(&format!("{sets}/bad")).await.json()["status"]["replicas"], json!(0));
}

#[tokio::test]
async fn bindings_tokens_and_evictions_are_asked_about_as_such() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let server = Server::start(|request| async move { allow(&request) }).await;
    let hook = server.hook("pods.example.com", &["pods/*", "serviceaccounts/token"]);
    register(&mut admin, Sort::Validating, "pods", json!([hook])).await;
    for name in ["p", "q"] {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"schedulerName": "mine",
            "containers": [{"name": "c", "image": "hello"}]}});
        admin.create(PODS, &pod).await;
    }
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}});
    admin.create(&format!("{PODS}/p/binding"), &binding).await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    admin.create("/api/v1/namespaces/default/serviceaccounts", &account).await;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    admin.create("/api/v1/namespaces/default/serviceaccounts/robot/token", &request).await;
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "q"}});
    admin.create(&format!("{PODS}/q/eviction"), &eviction).await;
    let asked: Vec<(String, String, String)> = server
        .seen()
        .iter()
        .filter(|request| request["userInfo"]["username"] == "kubernetes-admin")
        .map(|request| {
            let text = |field: &str| request[field].as_str().unwrap_or_default().to_string();
            (text("operation"), text("subResource"), request["kind"]["kind"].as_str().unwrap().into())
        })
        .collect();
    let pod = ("CREATE", "", "Pod");
    let expected = [
        pod,
        pod,
        ("CREATE", "binding", "Binding"),
        ("CREATE", "token", "TokenRequest"),
        ("CREATE", "eviction", "Eviction"),
    ];
    assert_eq!(asked, expected.map(|(a, b, c)| (a.into(), b.into(), c.into())));
}

#[tokio::test]
async fn questions_about_rights_are_put_to_webhooks_and_not_to_policies() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let server = Server::start(|request| async move {
        match request["object"]["spec"]["user"].as_str() {
            Some("mallory") => {
                respond(&request, json!({"allowed": false, "status": {"message": "not about her"}}))
            }
            Some("alias") => {
                patch(&request, json!([{"op": "replace", "path": "/spec/user", "value": "root"}]))
            }
            _ => allow(&request),
        }
    })
    .await;
    let mut hook = server.hook("reviews.example.com", &["*"]);
    hook["rules"][0]["apiGroups"] = json!(["authorization.k8s.io", "authentication.k8s.io"]);
    register(&mut admin, Sort::Mutating, "reviews", json!([hook])).await;
    let nothing = json!({"metadata": {"name": "nothing"}, "spec": {
        "matchConstraints": {"resourceRules": [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"],
            "resources": ["*"]}]}, "validations": [{"expression": "false"}]}});
    admin.create(&format!("{GROUP}/validatingadmissionpolicies"), &nothing).await;
    let binding = json!({"metadata": {"name": "nothing"}, "spec": {"policyName": "nothing", "validationActions": ["Deny"]}});
    admin.create(&format!("{GROUP}/validatingadmissionpolicybindings"), &binding).await;
    assert_eq!(create(&mut admin, &map("a")).await.0, 422, "the policy is in force");

    let reviews = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    let about = |user: &str| {
        json!({"spec": {"user": user, "groups": ["system:masters"],
        "resourceAttributes": {"verb": "get", "resource": "pods"}}})
    };
    let alias = admin.create(reviews, &about("alias")).await;
    assert_eq!((&alias["spec"]["user"], &alias["status"]["allowed"]), (&json!("root"), &json!(true)));
    let mallory = admin.ask(Method::POST, reviews, &[], about("mallory").to_string()).await;
    assert_eq!(mallory.status(), 400, "{}", mallory.text());
    assert_eq!(
        mallory.message(),
        "admission webhook \"reviews.example.com\" denied the request: not about her"
    );
    let local = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews";
    let mut here = about("bob");
    here["metadata"] = json!({"namespace": "default"});
    here["spec"]["resourceAttributes"]["namespace"] = "default".into();
    admin.create(local, &here).await;
    admin.create("/apis/authentication.k8s.io/v1/tokenreviews", &json!({"spec": {"token": "x"}})).await;
    admin.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", &json!({})).await;
    let asked: Vec<_> = server.seen().iter().map(|request| request["resource"]["resource"].clone()).collect();
    let expected = [
        "subjectaccessreviews",
        "subjectaccessreviews",
        "localsubjectaccessreviews",
        "tokenreviews",
        "selfsubjectreviews",
    ];
    assert_eq!(asked, expected.map(|name| json!(name)));
}

/// A node whose pods are all at `to`, for connections of the server.
fn node(world: &World, name: &str, to: SocketAddr) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    world.plane.attach_node(name, ours);
    let pass = hyper::service::service_fn(move |request: Request<Incoming>| async move {
        assert_eq!(request.headers()["peapod-source-node"], "");
        assert_eq!(request.headers()["peapod-destination"], "10.240.0.5:8443");
        let (read, mut write) = TcpStream::connect(to).await.unwrap().into_split();
        let mut body = request.into_body();
        tokio::spawn(async move {
            while let Some(Ok(frame)) = body.frame().await {
                write.write_all(frame.data_ref().unwrap()).await.unwrap();
            }
        });
        let frames =
            futures_util::StreamExt::map(ReaderStream::new(read), |piece| piece.map(Frame::<Bytes>::data));
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    });
    let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    tokio::spawn(server.serve_connection(TokioIo::new(theirs), pass));
}

#[tokio::test]
async fn a_webhook_in_a_pod_is_reached_by_its_service() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let server = Server::start(|request| async move { respond(&request, json!({"allowed": false})) }).await;
    let mut hook = server.hook("pod.example.com", &["configmaps"]);
    hook["clientConfig"]["url"] = json!(null);
    hook["clientConfig"]["service"] = json!({"name": "hook", "namespace": "default", "path": "/admit"});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook"},
        "spec": {"ports": [{"name": "https", "port": 443, "targetPort": 8443}]}});
    admin.create("/api/v1/namespaces/default/services", &service).await;
    register(&mut admin, Sort::Validating, "pod", json!([hook])).await;
    let failed = |why: &str| {
        let url = "https://hook.default.svc:443/admit?timeout=10s";
        let begin =
            "Internal error occurred: failed calling webhook \"pod.example.com\": failed to call webhook:";
        (500, format!("{begin} Post \"{url}\": {why}"))
    };
    let found = create(&mut admin, &map("a")).await;
    assert_eq!(found, failed("no endpoints available for service \"hook\""));
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": "hook", "labels": {"kubernetes.io/service-name": "hook"}},
        "ports": [{"name": "https", "port": 8443, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.240.0.5"], "nodeName": "n", "targetRef": {"kind": "Pod", "name": "hook", "namespace": "default"}}]});
    admin.create("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", &slice).await;
    let found = create(&mut admin, &map("a")).await;
    assert_eq!(found.0, 500);
    assert!(found.1.contains("dial tcp 10.240.0.5:8443: node \"n\" is not connected"), "{}", found.1);
    node(&world, "n", server.address);
    let denied = "admission webhook \"pod.example.com\" denied the request without explanation";
    loop {
        let found = create(&mut admin, &map("a")).await;
        if found == (400, denied.into()) {
            break;
        }
        assert!(found.1.contains("is not connected"), "{}", found.1);
        tokio::task::yield_now().await;
    }
    assert_eq!(create(&mut admin, &map("b")).await, (400, denied.into()));
    assert_eq!(server.connections(), 1, "the stream to the pod is used again");
    let path = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/hook";
    assert_eq!(admin.ask(Method::DELETE, path, &[], "").await.status(), 200);
}

#[tokio::test]
async fn webhooks_see_what_the_cluster_adds_and_what_they_add_is_completed() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let range = json!({"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "r"}, "spec": {"limits": [
        {"type": "Container", "default": {"memory": "64Mi"}}]}});
    admin.create("/api/v1/namespaces/default/limitranges", &range).await;
    let class = json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 9});
    admin.create("/apis/scheduling.k8s.io/v1/priorityclasses", &class).await;
    let server = Server::start(|request| async move {
        patch(&request, json!([{"op": "add", "path": "/spec/containers/-", "value": {"name": "sidecar", "image": "hello"}}]))
    })
    .await;
    register(&mut admin, Sort::Mutating, "pods", json!([server.hook("pods.example.com", &["pods"])])).await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"priorityClassName": "high", "containers": [{"name": "a", "image": "hello"}]}});
    let made = admin.create(PODS, &pod).await;
    let asked = server.seen();
    let seen = asked.iter().find(|request| request["operation"] == "CREATE").unwrap()["object"].clone();
    assert_eq!(
        (&seen["spec"]["priority"], &seen["spec"]["serviceAccountName"]),
        (&json!(9), &json!("default"))
    );
    assert_eq!(seen["spec"]["tolerations"].as_array().unwrap().len(), 2);
    let limits = json!({"memory": "64Mi"});
    assert_eq!(seen["spec"]["containers"][0]["resources"]["limits"], limits);
    assert!(seen["metadata"]["uid"].is_null() && seen["status"]["qosClass"].is_null(), "{seen}");
    assert_eq!(made["spec"]["containers"][1]["resources"]["limits"], limits);
    assert_eq!(made["spec"]["tolerations"], seen["spec"]["tolerations"]);
    let homeless = admin.ask(Method::POST, "/api/v1/namespaces/none/pods", &[], pod.to_string()).await;
    assert_eq!(
        (homeless.status(), homeless.json()["message"].clone()),
        (404, json!("namespaces \"none\" not found"))
    );
}

#[tokio::test]
async fn a_denial_is_passed_on_with_its_details() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let server = Server::start(|request| async move {
        let status = json!({"code": 422, "reason": "Invalid", "message": "no", "details": {"name": "n", "kind": "k",
            "causes": [{"reason": "FieldValueInvalid", "message": "too odd", "field": "data.x"}]}});
        respond(&request, json!({"allowed": false, "status": status}))
    })
    .await;
    let hook = server.hook("maps.example.com", &["configmaps"]);
    register(&mut admin, Sort::Validating, "maps", json!([hook])).await;
    let odd = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "odd"}});
    let refused =
        admin.ask(Method::POST, "/api/v1/namespaces/default/configmaps", &[], odd.to_string()).await;
    assert_eq!((refused.status(), refused.json()["reason"].clone()), (422, json!("Invalid")));
    let details = json!({"name": "n", "kind": "k",
        "causes": [{"reason": "FieldValueInvalid", "message": "too odd", "field": "data.x"}]});
    assert_eq!(refused.json()["details"], details);
}
