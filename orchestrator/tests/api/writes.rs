//! Dry runs, validation of fields, preconditions and many writers of one object, over HTTP.

use crate::client::{APPLY, Client, MERGE, World};
use http::Method;
use peapod_orchestrator::Identity;
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS: &str = "/api/v1/namespaces/default/pods";
const WEB: &str = "/apis/apps/v1/namespaces/default/deployments";

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "v"}})
}

/// A field of the metadata of all objects at `path`.
async fn all(client: &mut Client, path: &str, field: &str) -> Vec<Value> {
    let list = client.get(path).await.json();
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"][field].clone()).collect()
}

/// What the writes of the test below would change. The Deployment's status is its controller's.
async fn state(admin: &mut Client) -> [Vec<Value>; 3] {
    let (maps, pods) = (all(admin, MAPS, "resourceVersion").await, all(admin, PODS, "resourceVersion").await);
    [maps, pods, all(admin, WEB, "generation").await]
}

#[tokio::test]
async fn a_dry_run_of_any_write_changes_nothing() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    admin.create(MAPS, &map("a")).await;
    // Without a scheduler's help the pod stays where it is: nowhere.
    let pod = json!({"metadata": {"name": "p"}, "spec": {"schedulerName": "nobody", "containers": [{"name": "a", "image": "x"}]}});
    admin.create(PODS, &pod).await;
    admin.create("/api/v1/nodes", &json!({"metadata": {"name": "n1"}})).await;
    let web = json!({"metadata": {"name": "web"}, "spec": {"replicas": 0, "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}}}});
    admin.create(WEB, &web).await;
    let before = state(&mut admin).await;
    let (a, p, w) = (format!("{MAPS}/a"), format!("{PODS}/p"), format!("{WEB}/web"));
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}});
    let binding = json!({"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n1"}});
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": {"replicas": 3}});
    const NONE: &[(&str, &str)] = &[];
    for (method, path, headers, body, code) in [
        (Method::POST, MAPS.to_string(), NONE, map("b"), 201),
        (Method::PUT, a.clone(), NONE, map("a"), 200),
        (Method::PATCH, a.clone(), &MERGE, json!({"data": {"k": "w"}}), 200),
        (
            Method::PATCH,
            a.clone(),
            &[("content-type", "application/json-patch+json")],
            json!([{"op": "remove", "path": "/data"}]),
            200,
        ),
        (
            Method::PATCH,
            a.clone(),
            &[("content-type", "application/strategic-merge-patch+json")],
            json!({"data": null}),
            200,
        ),
        (Method::PATCH, format!("{MAPS}/new"), &APPLY, map("new"), 201),
        (Method::DELETE, a, NONE, Value::Null, 200),
        (Method::DELETE, MAPS.into(), NONE, Value::Null, 200),
        (Method::POST, format!("{p}/eviction"), NONE, eviction, 201),
        (Method::POST, format!("{p}/binding"), NONE, binding, 201),
        (Method::PATCH, format!("{p}/status"), &MERGE, json!({"status": {"phase": "Running"}}), 200),
        (Method::DELETE, p, NONE, Value::Null, 200),
        (Method::PUT, format!("{w}/scale"), NONE, scale, 200),
        (Method::PATCH, format!("{w}/scale"), &MERGE, json!({"spec": {"replicas": 2}}), 200),
    ] {
        let separator = if method == Method::PATCH { "?fieldManager=me&" } else { "?" };
        let target = format!("{path}{separator}dryRun=All");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let answer = admin.ask(method.clone(), &target, headers, body).await;
        assert_eq!(answer.status(), code, "{method} {target}: {}", answer.text());
    }
    assert_eq!(before, state(&mut admin).await);
}

#[tokio::test]
async fn sixty_four_writers_of_one_object_are_told_the_truth() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let made = admin.create(MAPS, &map("shared")).await;
    let mut writers = Vec::new();
    for _ in 0..64 {
        writers.push(Client::over(world.plane.connect(Identity::admin())).await);
    }
    let path = format!("{MAPS}/shared");
    // All replace what they have read: one is first, the others are told.
    let answers = futures_util::future::join_all(writers.iter_mut().enumerate().map(|(at, writer)| {
        let mut mine = made.clone();
        mine["data"]["k"] = at.to_string().into();
        let path = path.clone();
        async move { writer.ask(Method::PUT, &path, &[], mine.to_string()).await }
    }))
    .await;
    let codes: Vec<u16> = answers.iter().map(|answer| answer.status()).collect();
    assert_eq!(codes.iter().filter(|code| **code == 200).count(), 1, "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == 409).count(), 63, "{codes:?}");
    let winner = codes.iter().position(|code| *code == 200).unwrap().to_string();
    assert_eq!(admin.get(&path).await.json()["data"]["k"], winner.as_str());
    // All add something of their own: nothing is lost.
    let answers = futures_util::future::join_all(writers.iter_mut().enumerate().map(|(at, writer)| {
        let patch = json!({"data": {format!("w{at}"): "x"}}).to_string();
        let path = path.clone();
        async move { writer.ask(Method::PATCH, &path, &MERGE, patch).await.status() }
    }))
    .await;
    assert_eq!(answers, vec![200; 64]);
    let data = admin.get(&path).await.json()["data"].as_object().unwrap().len();
    assert_eq!(data, 65);
    // All let the server choose a name.
    let names = futures_util::future::join_all(writers.iter_mut().map(|writer| async move {
        let object = json!({"metadata": {"generateName": "chosen-"}});
        writer.create(MAPS, &object).await["metadata"]["name"].to_string()
    }))
    .await;
    let different: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(different.len(), 64);
}

#[tokio::test]
async fn what_is_written_wrongly_is_named() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let body = r#"{"metadata":{"name":"a","name":"b"},"data":{"k":"1","k":"2"},"dta":{}}"#;
    let strict = admin.ask(Method::POST, &format!("{MAPS}?fieldValidation=Strict"), &[], body).await;
    assert_eq!(strict.status(), 400);
    let said = "strict decoding error: duplicate field \"metadata.name\", duplicate field \"data.k\", unknown field \"dta\"";
    assert!(strict.json()["message"].as_str().unwrap().ends_with(said), "{}", strict.text());
    let warned = admin.ask(Method::POST, MAPS, &[], body).await;
    let warnings: Vec<_> =
        warned.head.headers.get_all("warning").iter().map(|w| w.to_str().unwrap()).collect();
    assert_eq!((warned.status(), warnings.len()), (201, 3), "{warnings:?}");
    let silent = admin.ask(Method::PUT, &format!("{MAPS}/b?fieldValidation=Ignore"), &[], body).await;
    assert_eq!((silent.status(), silent.header("warning")), (200, ""));
    assert_eq!(silent.json()["data"]["k"], "2", "the last value of a key wins");
    let policy = admin.ask(Method::DELETE, &format!("{MAPS}/b?propagationPolicy=Never"), &[], "").await;
    assert_eq!(
        (policy.status(), policy.json()["details"]["causes"][0]["field"].clone()),
        (422, json!("propagationPolicy"))
    );
    for preconditions in [json!({"uid": "other"}), json!({"resourceVersion": "1"})] {
        let options = json!({"kind": "DeleteOptions", "apiVersion": "v1", "preconditions": preconditions});
        let refused = admin.ask(Method::DELETE, &format!("{MAPS}/b"), &[], options.to_string()).await;
        assert_eq!((refused.status(), refused.json()["reason"].clone()), (409, json!("Conflict")));
    }
    let set =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "resourceVersion": "1"}});
    let refused = admin.ask(Method::POST, MAPS, &[], set.to_string()).await;
    assert_eq!(refused.json()["message"], "resourceVersion should not be set on objects to be created");
}

#[tokio::test]
async fn the_record_of_managers_can_be_cleared_and_begins_anew() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    admin.create(MAPS, &map("a")).await;
    let path = format!("{MAPS}/a");
    let clear = r#"[{"op":"replace","path":"/metadata/managedFields","value":[]}]"#;
    let cleared =
        admin.ask(Method::PATCH, &path, &[("content-type", "application/json-patch+json")], clear).await;
    assert!(cleared.json()["metadata"].get("managedFields").is_none(), "{}", cleared.text());
    let untracked = admin.ask(Method::PATCH, &path, &MERGE, r#"{"data":{"x":"y"}}"#).await;
    assert!(untracked.json()["metadata"].get("managedFields").is_none());
    let mut wanted = map("a");
    wanted["data"] = json!({"z": "1"});
    let applied =
        admin.ask(Method::PATCH, &format!("{path}?fieldManager=me"), &APPLY, wanted.to_string()).await;
    let entries = applied.json()["metadata"]["managedFields"].clone();
    let managers: Vec<_> = entries.as_array().unwrap().iter().map(|entry| entry["manager"].clone()).collect();
    assert_eq!(managers, ["me", "before-first-apply"]);
    let other = json!({"apiVersion": "apps/v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    let refused =
        admin.ask(Method::PATCH, &format!("{path}?fieldManager=me"), &APPLY, other.to_string()).await;
    assert_eq!(
        (refused.status(), refused.json()["message"].clone()),
        (400, json!("invalid object type: apps/v1, Kind=ConfigMap"))
    );
}

#[tokio::test]
async fn wrong_requests_are_refused_as_kubernetes_refuses_them() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let map = |name: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": "b"}});
    admin.create(maps, &map("real")).await;
    let real = format!("{maps}/real");
    let options = |kind: &str, why: &str| format!("{kind}.meta.k8s.io \"\" is invalid: {why}");
    let twice = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, name: z}\n";
    let (json, yaml) = ("application/json", "application/yaml");
    for (method, target, content_type, body, code, why) in [
        (Method::PUT, real.clone(), json, json!({"data": {}}).to_string(), 400,
            "the name of the object (real based on URL) was undeterminable: name must be provided".into()),
        (Method::DELETE, real.clone(), json, json!({"propagationPolicy": "Orphan", "orphanDependents": true}).to_string(), 422,
            options("DeleteOptions", "propagationPolicy: Invalid value: \"Orphan\": orphanDependents and deletionPropagation cannot be both set")),
        (Method::POST, format!("{maps}?fieldValidation=Bogus"), json, map("x").to_string(), 422,
            options("CreateOptions", "fieldValidation: Unsupported value: \"Bogus\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"")),
        (Method::PUT, format!("{real}?fieldManager={}", "x".repeat(129)), json, map("real").to_string(), 422,
            options("UpdateOptions", "fieldManager: Too long: may not be more than 128 bytes")),
        (Method::POST, maps.into(), json, json!({"metadata": {"name": "big"}, "data": {"a": "x".repeat((1 << 20) + 1)}}).to_string(), 422,
            "ConfigMap \"big\" is invalid: []: Too long: may not be more than 1048576 bytes".into()),
        (Method::POST, "/api/v1/namespaces/default/pods/p/eviction".into(), json, json!({"apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": {"name": "q"}}).to_string(), 400, "name in URL does not match name in Eviction object".into()),
        (Method::GET, format!("{maps}?limit=many"), json, String::new(), 400, "limit: parsing \"many\": invalid syntax".into()),
        (Method::POST, format!("{maps}?dryRun=All&fieldValidation=Strict"), yaml, twice.into(), 400,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: duplicate field \"metadata.name\"".into()),
    ] {
        let answer = admin.ask(method.clone(), &target, &[("content-type", content_type)], body).await;
        assert_eq!((answer.status(), answer.json()["message"].as_str()), (code, Some(&*why)), "{method} {target}");
    }
    let warned =
        admin.ask(Method::POST, &format!("{maps}?dryRun=All"), &[("content-type", yaml)], twice).await;
    assert_eq!((warned.status(), warned.json()["metadata"]["name"].as_str()), (201, Some("z")));
    assert!(warned.header("warning").contains("duplicate field"), "{}", warned.header("warning"));
    assert_eq!(admin.get(&real).await.json()["data"]["a"], "b", "nothing of it was done");
}

#[tokio::test]
async fn what_is_applied_has_to_fit_its_type_whatever_is_said_of_unknown_fields() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let mut odd = map("odd");
    odd["metadata"]["namespace"] = "default".into();
    odd["dta"] = json!({});
    let said = "failed to create typed patch object (default/odd; /v1, Kind=ConfigMap): .dta: field not declared in schema";
    for validation in ["", "&fieldValidation=Ignore", "&fieldValidation=Strict"] {
        let target = format!("{MAPS}/odd?fieldManager=me{validation}");
        let refused = admin.ask(Method::PATCH, &target, &APPLY, odd.to_string()).await;
        let wanted = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": said,
            "code": 500});
        assert_eq!((refused.status(), refused.json()), (500, wanted));
    }
    assert_eq!(admin.get(&format!("{MAPS}/odd")).await.status(), 404);
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": "2"}});
    let target = "/apis/apps/v1/namespaces/default/deployments/web/scale?fieldManager=me";
    let refused = admin.ask(Method::PATCH, target, &APPLY, scale.to_string()).await;
    let said = ".spec.replicas: expected numeric (int or float), got string";
    assert_eq!(refused.status(), 500);
    assert!(refused.text().contains(said), "{}", refused.text());
}

#[tokio::test]
async fn metadata_is_written_through_the_status_endpoint_and_owned_so() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let services = "/api/v1/namespaces/default/services";
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
    let before = admin.create(services, &service).await;
    let patch = json!({"metadata": {"labels": {"a": "b"}, "finalizers": ["example.com/f"]}, "spec": {"ports": null},
        "status": {"conditions": [{"type": "T", "status": "True", "reason": "R", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}});
    let target = format!("{services}/s/status?fieldManager=me");
    let written = admin.ask(Method::PATCH, &target, &MERGE, patch.to_string()).await.json();
    assert_eq!((&written["metadata"]["labels"], &written["spec"]), (&json!({"a": "b"}), &before["spec"]));
    let entries = written["metadata"]["managedFields"].as_array().unwrap();
    let own = entries.iter().find(|entry| entry["manager"] == "me").unwrap();
    assert_eq!(own["subresource"], "status");
    let owned =
        json!({"f:finalizers": {".": {}, "v:\"example.com/f\"": {}}, "f:labels": {".": {}, "f:a": {}}});
    assert_eq!(own["fieldsV1"]["f:metadata"], owned);
    assert!(own["fieldsV1"]["f:status"].is_object() && own["fieldsV1"].get("f:spec").is_none(), "{own}");
    // What waits for a finalizer ends when the status takes it away.
    assert_eq!(admin.ask(Method::DELETE, &format!("{services}/s"), &[], "").await.status(), 200);
    let release = json!({"metadata": {"finalizers": null}}).to_string();
    let ended = admin.ask(Method::PATCH, &target, &MERGE, release).await;
    assert_eq!(ended.status(), 200, "{}", ended.text());
    assert_eq!(admin.get(&format!("{services}/s")).await.status(), 404);
}
