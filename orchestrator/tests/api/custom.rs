//! Custom resources over HTTP: definitions, what they serve, and what becomes of their objects.

use crate::client::{Client, Events, World};
use http::Method;
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const WIDGETS: &str = "/apis/example.com/v1/namespaces/default/widgets";

fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]},
            "versions": [
                {"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema()},
                 "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.count", "statusReplicasPath": ".status.count",
                    "labelSelectorPath": ".status.selector"}},
                 "selectableFields": [{"jsonPath": ".spec.color"}],
                 "additionalPrinterColumns": [{"name": "Color", "type": "string", "jsonPath": ".spec.color", "description": "As seen.",
                        "format": "password", "priority": 0},
                    {"name": "Ready", "type": "string", "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]},
                {"name": "v1beta1", "served": true, "storage": false, "schema": {"openAPIV3Schema": schema()}},
                {"name": "v1alpha1", "served": false, "storage": false, "schema": {"openAPIV3Schema": schema()}}]}})
}

fn schema() -> Value {
    json!({"type": "object", "properties": {
        "spec": {"type": "object", "required": ["color"], "properties": {
            "color": {"type": "string", "enum": ["red", "green"]},
            "count": {"type": "integer", "default": 1, "minimum": 0},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                "items": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "port": {"type": "integer"}}}}}},
        "status": {"type": "object", "properties": {"count": {"type": "integer"}, "selector": {"type": "string"},
            "conditions": {"type": "array", "items": {"type": "object", "properties": {"type": {"type": "string"}, "status": {"type": "string"}}}}}}}})
}

fn widget(name: &str, color: &str) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"color": color}})
}

/// Creates a definition and waits, by watch, until it is established.
async fn establish(world: &World, definition: &Value) {
    let mut admin = world.admin().await;
    let name = definition["metadata"]["name"].as_str().unwrap();
    let target = format!("{DEFINITIONS}?watch=true&fieldSelector=metadata.name={name}");
    let mut watcher = world.admin().await;
    let mut events = Events::of(&mut watcher, &target, "application/json").await;
    admin.create(DEFINITIONS, definition).await;
    loop {
        let event = events.next().await.expect("the definition is established");
        let conditions = event["object"]["status"]["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|c| c["type"] == "Established" && c["status"] == "True") {
            return;
        }
    }
}

async fn patch(client: &mut Client, target: &str, content_type: &str, patch: &Value) -> (u16, Value) {
    let answer =
        client.ask(Method::PATCH, target, &[("content-type", content_type)], patch.to_string()).await;
    (answer.status(), answer.json())
}

#[tokio::test]
async fn a_definition_serves_what_it_defines() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    assert_eq!(admin.get(WIDGETS).await.status(), 404);
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let before = admin.get_as("/apis", aggregated).await.header("etag").to_string();
    establish(&world, &definition()).await;
    let status = admin.get(&format!("{DEFINITIONS}/widgets.example.com")).await.json()["status"].clone();
    assert_eq!(status["acceptedNames"]["listKind"], "WidgetList");
    assert_eq!(status["storedVersions"], json!(["v1"]));

    let after = admin.get_as("/apis", aggregated).await;
    assert_ne!(after.header("etag"), before);
    assert!(after.text().contains("\"example.com\""));
    let group = admin.get("/apis/example.com").await.json();
    let versions: Vec<&Value> = group["versions"].as_array().unwrap().iter().map(|v| &v["version"]).collect();
    assert_eq!(versions, ["v1", "v1beta1"]);
    let list = admin.get("/apis/example.com/v1").await.json();
    let names: Vec<&Value> = list["resources"].as_array().unwrap().iter().map(|r| &r["name"]).collect();
    assert_eq!(names, ["widgets", "widgets/status", "widgets/scale"]);
    assert_eq!(list["resources"][0]["shortNames"], json!(["wd"]));

    let index = admin.get("/openapi/v3").await.json();
    let url = index["paths"]["apis/example.com/v1"]["serverRelativeURL"].as_str().unwrap().to_string();
    let schemas = admin.get(&url).await.json()["components"]["schemas"].clone();
    let own = &schemas["com.example.v1.Widget"];
    assert_eq!(own["properties"]["spec"]["properties"]["color"]["enum"], json!(["red", "green"]));
    assert_eq!(own["x-kubernetes-group-version-kind"][0]["kind"], "Widget");
    let old = admin.get("/openapi/v2").await.json();
    assert!(old["definitions"]["com.example.v1.Widget"]["properties"]["spec"].is_object());
    let protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
    assert_eq!(admin.get_as("/openapi/v2", protobuf).await.status(), 200);

    let created = admin.create(WIDGETS, &widget("a", "red")).await;
    assert_eq!((&created["spec"]["count"], &created["metadata"]["generation"]), (&json!(1), &json!(1)));
    let table = "application/json;as=Table;v=v1;g=meta.k8s.io";
    let table = admin.get_as(WIDGETS, table).await.json();
    let headings: Vec<&Value> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(headings, ["Name", "Color", "Ready", "Age"]);
    assert_eq!(table["rows"][0]["cells"][1], "red");
    assert_eq!(admin.get("/apis/example.com/v1alpha1/widgets").await.status(), 404);
}

#[tokio::test]
async fn objects_are_pruned_defaulted_and_judged() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    establish(&world, &definition()).await;
    let mut odd = widget("odd", "red");
    odd["spec"]["colour"] = "red".into();
    let strict = format!("{WIDGETS}?fieldValidation=Strict");
    let refused = admin.ask(Method::POST, &strict, &[], odd.to_string()).await;
    let message = refused.json()["message"].as_str().unwrap().to_string();
    assert_eq!(refused.status(), 400);
    assert!(message.ends_with(r#"strict decoding error: unknown field "spec.colour""#), "{message}");
    let warned = admin.ask(Method::POST, WIDGETS, &[], odd.to_string()).await;
    assert_eq!(
        (warned.status(), warned.header("warning")),
        (201, r#"299 - "unknown field \"spec.colour\"""#)
    );
    assert_eq!(warned.json()["spec"], json!({"color": "red", "count": 1}));

    let mut bad = widget("bad", "blue");
    bad["spec"]["count"] = "many".into();
    let refused = admin.ask(Method::POST, WIDGETS, &[], bad.to_string()).await;
    assert_eq!(refused.status(), 422);
    let status = refused.json();
    let causes: Vec<(&str, &str)> = status["details"]["causes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cause| (cause["field"].as_str().unwrap(), cause["message"].as_str().unwrap()))
        .collect();
    assert_eq!(
        causes,
        [
            ("spec.color", r#"Unsupported value: "blue": supported values: "red", "green""#),
            (
                "spec.count",
                r#"Invalid value: "string": spec.count in body must be of type integer: "string""#
            ),
        ]
    );
    let missing =
        json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "m"}, "spec": {}});
    let refused = admin.ask(Method::POST, WIDGETS, &[], missing.to_string()).await.json();
    assert_eq!(refused["message"], r#"Widget.example.com "m" is invalid: spec.color: Required value"#);
}

#[tokio::test]
async fn patches_and_subresources_work_by_the_schema() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    establish(&world, &definition()).await;
    let path = format!("{WIDGETS}/a");
    let apply = |manager: &str, port: &str| {
        let mut config = widget("a", "red");
        config["spec"]["ports"] = json!([{"name": port, "port": 1}]);
        (format!("{path}?fieldManager={manager}"), config)
    };
    for (manager, port) in [("one", "x"), ("two", "y")] {
        let (target, config) = apply(manager, port);
        let (code, object) = patch(&mut admin, &target, "application/apply-patch+yaml", &config).await;
        assert!(code < 300, "{object}");
    }
    let object = admin.get(&path).await.json();
    let mut ports: Vec<&Value> =
        object["spec"]["ports"].as_array().unwrap().iter().map(|port| &port["name"]).collect();
    ports.sort_by_key(|port| port.to_string());
    assert_eq!(ports, ["x", "y"]);
    let (target, mut config) = apply("two", "y");
    config["spec"]["color"] = "green".into();
    let (code, conflict) = patch(&mut admin, &target, "application/apply-patch+yaml", &config).await;
    assert_eq!((code, &conflict["details"]["causes"][0]["field"]), (409, &json!(".spec.color")));
    config["spec"]["colour"] = "red".into();
    let (code, refused) = patch(&mut admin, &target, "application/apply-patch+yaml", &config).await;
    let said = "failed to create typed patch object (/a; example.com/v1, Kind=Widget): .spec.colour: field not declared in schema";
    assert_eq!((code, refused["message"].as_str()), (500, Some(said)));

    let strategic = "application/strategic-merge-patch+json";
    let (code, refused) = patch(&mut admin, &path, strategic, &json!({"spec": {"count": 2}})).await;
    assert_eq!((code, &refused["reason"]), (415, &json!("UnsupportedMediaType")));
    let merge = "application/merge-patch+json";
    let (code, patched) =
        patch(&mut admin, &path, merge, &json!({"spec": {"count": 2}, "status": {"count": 9}})).await;
    assert_eq!((code, &patched["spec"]["count"], patched.get("status")), (200, &json!(2), None));
    assert_eq!(patched["metadata"]["generation"], 3);

    let status = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"count": 7}, "status": {"count": 2, "selector": "a=b"}});
    let (code, patched) = patch(&mut admin, &format!("{path}/status"), merge, &status).await;
    assert_eq!((code, &patched["spec"]["count"], &patched["status"]["count"]), (200, &json!(2), &json!(2)));
    assert_eq!(patched["metadata"].get("labels"), None);
    let scale = admin.get(&format!("{path}/scale")).await.json();
    assert_eq!(
        (&scale["spec"], &scale["status"]),
        (&json!({"replicas": 2}), &json!({"replicas": 2, "selector": "a=b"}))
    );
    let (code, scale) =
        patch(&mut admin, &format!("{path}/scale"), merge, &json!({"spec": {"replicas": 5}})).await;
    assert_eq!((code, &scale["spec"]["replicas"]), (200, &json!(5)));
    assert_eq!(admin.get(&path).await.json()["spec"]["count"], 5);
}

#[tokio::test]
async fn versions_show_the_same_object() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    establish(&world, &definition()).await;
    let beta = WIDGETS.replace("/v1/", "/v1beta1/");
    let mut widget = widget("a", "red");
    widget["apiVersion"] = "example.com/v1beta1".into();
    assert_eq!(admin.create(&beta, &widget).await["apiVersion"], "example.com/v1beta1");
    assert_eq!(admin.get(&format!("{WIDGETS}/a")).await.json()["apiVersion"], "example.com/v1");
    let list = admin.get(&beta).await.json();
    assert_eq!(
        (&list["apiVersion"], &list["items"][0]["apiVersion"]),
        (&json!("example.com/v1beta1"), &json!("example.com/v1beta1"))
    );
    let mut watcher = world.admin().await;
    let mut events = Events::of(&mut watcher, &format!("{beta}?watch=true"), "application/json").await;
    let event = events.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["apiVersion"]),
        (&json!("ADDED"), &json!("example.com/v1beta1"))
    );
    let merge = "application/merge-patch+json";
    let (code, patched) =
        patch(&mut admin, &format!("{beta}/a"), merge, &json!({"spec": {"count": 4}})).await;
    assert_eq!((code, &patched["apiVersion"]), (200, &json!("example.com/v1beta1")));
    let selected = admin.get(&format!("{WIDGETS}?fieldSelector=spec.color%3Dgreen")).await.json();
    assert_eq!(selected["items"], json!([]));
    let selected = admin.get(&format!("{WIDGETS}?fieldSelector=spec.color%3Dred")).await.json();
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_definition_goes_with_its_objects_and_outlives_a_restart() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    establish(&world, &definition()).await;
    admin.create(WIDGETS, &widget("a", "red")).await;
    let World { plane, directory } = world;
    plane.shutdown().await;
    let world = World::start_in(directory).await;
    let mut admin = world.admin().await;
    assert_eq!(admin.get(&format!("{WIDGETS}/a")).await.json()["spec"]["color"], "red");

    let mut held = widget("held", "green");
    held["metadata"]["finalizers"] = json!(["example.com/held"]);
    admin.create(WIDGETS, &held).await;
    let mut watcher = world.admin().await;
    let mut events = Events::of(&mut watcher, &format!("{DEFINITIONS}?watch=true"), "application/json").await;
    assert_eq!(events.brief().await.0, "ADDED");
    let mut onlooker = world.admin().await;
    let mut instances = Events::of(&mut onlooker, &format!("{WIDGETS}?watch=true"), "application/json").await;
    let name = format!("{DEFINITIONS}/widgets.example.com");
    assert_eq!(admin.ask(Method::DELETE, &name, &[], "").await.status(), 200);
    let refused = admin.ask(Method::POST, WIDGETS, &[], widget("late", "red").to_string()).await;
    assert_eq!(refused.status(), 405);
    let merge = "application/merge-patch+json";
    let released = json!({"metadata": {"finalizers": null}});
    assert_eq!(patch(&mut admin, &format!("{WIDGETS}/held"), merge, &released).await.0, 200);
    while events.brief().await.0 != "DELETED" {}
    while let Some(event) = instances.next().await {
        assert_eq!(event["object"]["kind"], "Widget");
    }
    assert_eq!(admin.get(WIDGETS).await.status(), 404);
    assert_eq!(admin.get("/apis/example.com").await.status(), 404);
}

#[tokio::test]
async fn owners_and_namespaces_take_custom_resources_along() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    establish(&world, &definition()).await;
    admin
        .create(
            "/api/v1/namespaces",
            &json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}}),
        )
        .await;
    let widgets = "/apis/example.com/v1/namespaces/demo/widgets";
    let owner = admin.create(widgets, &widget("owner", "red")).await;
    let mut map =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "owned", "namespace": "demo"}});
    map["metadata"]["ownerReferences"] = json!([{"apiVersion": "example.com/v1", "kind": "Widget", "name": "owner", "uid": owner["metadata"]["uid"]}]);
    let maps = "/api/v1/namespaces/demo/configmaps";
    admin.create(maps, &map).await;
    let mut watcher = world.admin().await;
    let target = format!("{maps}?watch=true&fieldSelector=metadata.name%3Downed");
    let mut events = Events::of(&mut watcher, &target, "application/json").await;
    assert_eq!(events.brief().await.0, "ADDED");
    assert_eq!(admin.ask(Method::DELETE, &format!("{widgets}/owner"), &[], "").await.status(), 200);
    assert_eq!(events.brief().await.0, "DELETED");

    admin.create(widgets, &widget("left", "red")).await;
    let mut watcher = world.admin().await;
    let mut events = Events::of(&mut watcher, &format!("{widgets}?watch=true"), "application/json").await;
    assert_eq!(events.brief().await, ("ADDED".into(), "left".into()));
    assert_eq!(admin.ask(Method::DELETE, "/api/v1/namespaces/demo", &[], "").await.status(), 200);
    assert_eq!(events.brief().await, ("DELETED".into(), "left".into()));
}

#[tokio::test]
async fn columns_carry_what_the_definition_says_of_them() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    establish(&world, &definition()).await;
    let table = admin.get_as(WIDGETS, "application/json;as=Table;v=v1;g=meta.k8s.io").await.json();
    let columns = table["columnDefinitions"].as_array().unwrap();
    assert_eq!((&columns[0]["name"], &columns[0]["format"]), (&json!("Name"), &json!("name")));
    let color = json!({"name": "Color", "type": "string", "format": "password", "description": "As seen.", "priority": 0});
    assert_eq!(columns[1], color);
    assert_eq!(columns[3]["description"], "The value at .metadata.creationTimestamp");
}

#[tokio::test]
async fn served_versions_have_api_services() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let services = "/apis/apiregistration.k8s.io/v1/apiservices";
    let apps = admin.get(&format!("{services}/v1.apps")).await.json();
    assert_eq!(apps["metadata"]["labels"]["kube-aggregator.kubernetes.io/automanaged"], "onstart");
    let mut watcher = world.admin().await;
    let from = admin.get(services).await.json()["metadata"]["resourceVersion"].as_str().unwrap().to_string();
    let target = format!("{services}?watch=1&resourceVersion={from}");
    let mut events = Events::of(&mut watcher, &target, "application/json").await;
    establish(&world, &definition()).await;
    let mut names = Vec::new();
    for _ in 0..2 {
        let event = events.next().await.unwrap();
        let service = &event["object"];
        assert_eq!(
            (&event["type"], &service["spec"]["groupPriorityMinimum"]),
            (&json!("ADDED"), &json!(1000))
        );
        let available = &service["status"]["conditions"][0];
        assert_eq!((&available["type"], &available["status"]), (&json!("Available"), &json!("True")));
        names.push(service["metadata"]["name"].as_str().unwrap().to_string());
    }
    names.sort();
    assert_eq!(names, ["v1.example.com", "v1beta1.example.com"], "v1alpha1 is not served");
    admin.ask(Method::DELETE, &format!("{services}/v1.example.com"), &[], "").await;
    assert_eq!(events.brief().await, ("DELETED".into(), "v1.example.com".into()));
    assert_eq!(events.brief().await, ("ADDED".into(), "v1.example.com".into()), "it is still served");
    admin.ask(Method::DELETE, &format!("{DEFINITIONS}/widgets.example.com"), &[], "").await;
    let mut gone = [events.brief().await, events.brief().await];
    gone.sort();
    assert_eq!(
        gone.map(|(type_, name)| format!("{type_} {name}")),
        ["DELETED v1.example.com", "DELETED v1beta1.example.com"]
    );
}

#[tokio::test]
async fn a_status_belongs_to_who_wrote_it_where_it_is_no_endpoint() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    establish(&world, &definition()).await;
    let applied = json!({"metadata": {"name": "w"}, "spec": {"color": "red"}, "status": {"count": 1}});
    let owned = |object: &Value| {
        let entries = object["metadata"]["managedFields"].as_array().unwrap();
        let own = entries.iter().find(|entry| entry["manager"] == "me").unwrap();
        own["fieldsV1"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
    };
    for (version, name, expected) in
        [("v1", "a", &["f:spec"][..]), ("v1beta1", "b", &["f:spec", "f:status"][..])]
    {
        let target = format!("/apis/example.com/{version}/namespaces/default/widgets/{name}?fieldManager=me");
        let mut config = applied.clone();
        config["apiVersion"] = format!("example.com/{version}").into();
        config["kind"] = "Widget".into();
        config["metadata"]["name"] = name.into();
        let (code, object) = patch(&mut admin, &target, "application/apply-patch+yaml", &config).await;
        assert_eq!(code, 201, "{object}");
        assert_eq!(owned(&object), expected, "{version}");
        assert_eq!(object["status"].is_null(), version == "v1");
    }
    let status = json!({"apiVersion": "example.com/v1", "kind": "Widget", "status": {"count": 2},
        "metadata": {"name": "a", "labels": {"x": "y"}}, "spec": {"color": "red"}});
    let target = "/apis/example.com/v1/namespaces/default/widgets/a/status?fieldManager=controller";
    let (code, object) = patch(&mut admin, target, "application/apply-patch+yaml", &status).await;
    assert_eq!((code, &object["metadata"]["labels"]), (200, &Value::Null));
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let own = entries.iter().find(|entry| entry["manager"] == "controller").unwrap();
    assert_eq!(
        (&own["subresource"], &own["fieldsV1"]),
        (&json!("status"), &json!({"f:status": {"f:count": {}}}))
    );
}
