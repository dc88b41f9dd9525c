//! What older clients ask: how the parts of the control plane are, bindings by themselves, Endpoints that users keep.

use crate::client::{Events, MERGE, TABLE, World};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn the_parts_of_the_control_plane_are_told_and_not_kept() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let components = "/api/v1/componentstatuses";
    let table = admin.get_as(components, TABLE).await;
    assert!(table.header("warning").contains("v1 ComponentStatus is deprecated in v1.19+"));
    let rows: Vec<_> =
        table.json()["rows"].as_array().unwrap().iter().map(|row| row["cells"].clone()).collect();
    let well = |name: &str| json!([name, "Healthy", "ok", ""]);
    assert_eq!(rows, [well("controller-manager"), well("etcd-0"), well("scheduler")]);
    let one = admin.get(&format!("{components}/scheduler")).await.json();
    assert_eq!(one["conditions"], json!([{"type": "Healthy", "status": "True", "message": "ok"}]));
    assert_eq!((&one["kind"], &one["apiVersion"]), (&json!("ComponentStatus"), &json!("v1")));
    let chosen = admin.get(&format!("{components}?fieldSelector=metadata.name%3Detcd-0")).await.json();
    assert_eq!(chosen["items"].as_array().unwrap().len(), 1);
    for (method, target, code) in [
        (Method::GET, format!("{components}/none"), 404),
        (Method::GET, format!("{components}?watch=1"), 405),
        (Method::POST, components.into(), 405),
        (Method::DELETE, format!("{components}/scheduler"), 405),
        (Method::DELETE, components.into(), 405),
    ] {
        assert_eq!(admin.ask(method.clone(), &target, &[], "{}").await.status(), code, "{method} {target}");
    }
    let resources = admin.get("/api/v1").await.json();
    let verbs = |name: &str| {
        let all = resources["resources"].as_array().unwrap();
        all.iter().find(|resource| resource["name"] == name).unwrap()["verbs"].clone()
    };
    assert_eq!((verbs("componentstatuses"), verbs("bindings")), (json!(["get", "list"]), json!(["create"])));
}

#[tokio::test]
async fn what_is_deprecated_is_told_with_every_answer() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let (endpoints, slices) = (
        "/api/v1/namespaces/default/endpoints",
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
    );
    let own = json!({"metadata": {"name": "own"}}).to_string();
    let one = format!("{endpoints}/own");
    for (method, path, body) in [
        (Method::POST, endpoints, own.as_str()),
        (Method::GET, endpoints, ""),
        (Method::GET, &one, ""),
        (Method::DELETE, &one, ""),
    ] {
        let answer = admin.ask(method.clone(), path, &[], body.to_string()).await;
        println!("{method} {path}: {} {}", answer.status(), answer.header("warning"));
        let expected =
            "299 - \"v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\"";
        assert!(answer.status() < 300 && answer.header("warning") == expected, "{method} {path}");
    }
    assert_eq!(admin.get(slices).await.header("warning"), "");
    let service = json!({"metadata": {"name": "s"}, "spec": {"clusterIP": "None", "ports": [{"port": 80}],
        "externalName": "x.example.com", "selector": {"a": "b"}}});
    let answer =
        admin.ask(Method::POST, "/api/v1/namespaces/default/services", &[], service.to_string()).await;
    assert_eq!(answer.status(), 201, "{}", answer.text());
    let expected = "spec.externalName is ignored when spec.type is not \\\"ExternalName\\\"";
    assert!(answer.header("warning").contains(expected), "{}", answer.header("warning"));
}

#[tokio::test]
async fn a_binding_by_itself_binds_the_pod_that_it_names() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    // Pods on a node that is not there do not stay.
    admin
        .create("/api/v1/nodes", &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}))
        .await;
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"schedulerName": "my", "containers": [{"name": "a", "image": "hello"}]}});
    admin.create("/api/v1/namespaces/default/pods", &pod).await;
    let bindings = "/api/v1/namespaces/default/bindings";
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "n1"}});
    assert_eq!(admin.create(bindings, &binding).await["status"], "Success");
    assert_eq!(admin.get("/api/v1/namespaces/default/pods/p").await.json()["spec"]["nodeName"], "n1");
    let again = admin.ask(Method::POST, bindings, &[], binding.to_string()).await;
    assert_eq!(again.status(), 409, "{}", again.text());
    let mut absent = binding.clone();
    absent["metadata"]["name"] = "q".into();
    assert_eq!(admin.ask(Method::POST, bindings, &[], absent.to_string()).await.status(), 404);
    absent["metadata"] = json!({});
    let nameless = admin.ask(Method::POST, bindings, &[], absent.to_string()).await;
    assert_eq!(nameless.status(), 400, "{}", nameless.text());
    assert_eq!(admin.get(bindings).await.status(), 405);
}

#[tokio::test]
async fn endpoints_that_users_keep_are_mirrored_to_slices() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"}, "spec": {"ports": [{"port": 5432}]}});
    admin.create("/api/v1/namespaces/default/services", &service).await;
    let endpoints = json!({"apiVersion": "v1", "kind": "Endpoints",
        "metadata": {"name": "db", "labels": {"own": "x"}, "annotations": {"note": "y"}}, "subsets": [{
        "addresses": [{"ip": "192.0.2.7", "hostname": "a"}, {"ip": "2001:db8::1"}],
        "notReadyAddresses": [{"ip": "192.0.2.8"}], "ports": [{"port": 5432, "protocol": "TCP"}]}]});
    let mut watcher = world.admin().await;
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
    let selected = "labelSelector=kubernetes.io%2Fservice-name%3Ddb";
    let mut events =
        Events::of(&mut watcher, &format!("{slices}?watch=1&{selected}"), "application/json").await;
    admin.create("/api/v1/namespaces/default/endpoints", &endpoints).await;
    let mut made = Vec::new();
    for _ in 0..2 {
        let event = events.next().await.unwrap();
        assert_eq!(event["type"], "ADDED");
        made.push(event["object"].clone());
    }
    made.sort_by_key(|slice| slice["addressType"].to_string());
    let ready = |address: &str, ready: bool| json!({"addresses": [address], "conditions": {"ready": ready}});
    let mut named = ready("192.0.2.7", true);
    named["hostname"] = "a".into();
    assert_eq!(made[0]["endpoints"], json!([named, ready("192.0.2.8", false)]));
    assert_eq!(made[0]["ports"], json!([{"name": "", "port": 5432, "protocol": "TCP"}]));
    assert_eq!(made[1]["endpoints"], json!([ready("2001:db8::1", true)]));
    let metadata = &made[0]["metadata"];
    assert_eq!((&metadata["labels"]["own"], &metadata["annotations"]["note"]), (&json!("x"), &json!("y")));
    assert_eq!(
        metadata["labels"]["endpointslice.kubernetes.io/managed-by"],
        "endpointslicemirroring-controller.k8s.io"
    );
    assert_eq!(metadata["ownerReferences"][0]["kind"], "Endpoints");

    let patch = json!({"subsets": [{"addresses": [{"ip": "192.0.2.9"}], "ports": [{"port": 5432, "protocol": "TCP"}]}]});
    let target = "/api/v1/namespaces/default/endpoints/db";
    admin.ask(Method::PATCH, target, &MERGE, patch.to_string()).await;
    let mut seen = [events.next().await.unwrap(), events.next().await.unwrap()];
    seen.sort_by_key(|event| event["type"].to_string());
    assert_eq!((&seen[0]["type"], &seen[0]["object"]["addressType"]), (&json!("DELETED"), &json!("IPv6")));
    assert_eq!(seen[1]["object"]["endpoints"], json!([ready("192.0.2.9", true)]));
    // What is said of the Endpoints no more is said of their slices no more.
    let relabel = json!({"metadata": {"labels": {"own": null, "other": "z"}, "annotations": {"note": null}}});
    admin.ask(Method::PATCH, target, &MERGE, relabel.to_string()).await;
    let relabelled = events.next().await.unwrap()["object"]["metadata"].clone();
    let labels: Vec<_> = relabelled["labels"].as_object().unwrap().keys().cloned().collect();
    let kept = ["endpointslice.kubernetes.io/managed-by", "kubernetes.io/service-name", "other"];
    assert_eq!((labels, &relabelled["annotations"]), (kept.map(String::from).to_vec(), &Value::Null));
    // A Service with a selector has slices of its own.
    let chooses = json!({"spec": {"selector": {"app": "db"}}});
    admin.ask(Method::PATCH, "/api/v1/namespaces/default/services/db", &MERGE, chooses.to_string()).await;
    loop {
        let event = events.next().await.unwrap();
        let by = &event["object"]["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"];
        if event["type"] == "DELETED" && by == "endpointslicemirroring-controller.k8s.io" {
            break;
        }
    }
}

#[tokio::test]
async fn what_tells_of_endpoints_has_the_labels_of_its_service() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "labels": {"tier": "front"}},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}});
    let headless = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "none"},
        "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 80}]}});
    for path in [
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        "/api/v1/namespaces/default/endpoints",
    ] {
        let mut watcher = world.admin().await;
        let mut events = Events::of(&mut watcher, &format!("{path}?watch=1"), "application/json").await;
        let mut next = async |tier: Option<&str>, headless: bool| {
            loop {
                let event = events.next().await.unwrap();
                let labels = &event["object"]["metadata"]["labels"];
                let is_headless = labels["service.kubernetes.io/headless"].is_string();
                if event["type"] != "DELETED" && labels["tier"].as_str() == tier && is_headless == headless {
                    break;
                }
            }
        };
        admin.create("/api/v1/namespaces/default/services", &service).await;
        next(Some("front"), false).await;
        for (tier, wanted) in [(json!("back"), Some("back")), (Value::Null, None)] {
            let patch = json!({"metadata": {"labels": {"tier": tier}}});
            admin
                .ask(Method::PATCH, "/api/v1/namespaces/default/services/web", &MERGE, patch.to_string())
                .await;
            next(wanted, false).await;
        }
        admin.create("/api/v1/namespaces/default/services", &headless).await;
        next(None, true).await;
        for name in ["web", "none"] {
            let gone = admin
                .ask(Method::DELETE, &format!("/api/v1/namespaces/default/services/{name}"), &[], "")
                .await;
            assert_eq!(gone.status(), 200);
        }
    }
}
