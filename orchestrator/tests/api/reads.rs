//! Gets, lists, Tables, discovery, and what else is read.

use crate::client::World;
use http::Method;
use serde_json::{Value, json};

const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn world_with_maps(names: &[&str]) -> World {
    let world = World::start().await;
    let mut admin = world.admin().await;
    for name in names {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"test": "yes", "name": name}}, "data": {"a": "b"}});
        admin.create(MAPS, &map).await;
    }
    world
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lists_are_selected_and_paged() {
    let world = world_with_maps(&["a", "b", "c", "d", "e"]).await;
    let mut admin = world.admin().await;
    let all = admin.get(&format!("{MAPS}?labelSelector=test")).await.json();
    assert_eq!((names(&all), &all["kind"]), (vec!["a", "b", "c", "d", "e"], &json!("ConfigMapList")));
    assert_eq!(all["items"][0]["apiVersion"], "v1");
    let some = admin
        .get(&format!("{MAPS}?labelSelector=name+in+(b,d)&fieldSelector=metadata.name!%3Dd"))
        .await
        .json();
    assert_eq!(names(&some), ["b"]);

    let first = admin.get(&format!("{MAPS}?labelSelector=test&limit=2")).await.json();
    admin.ask(Method::DELETE, &format!("{MAPS}/e"), &[], "").await;
    let (mut seen, mut token) =
        (names(&first).len(), first["metadata"]["continue"].as_str().unwrap().to_string());
    while !token.is_empty() {
        let page = admin.get(&format!("{MAPS}?labelSelector=test&limit=2&continue={token}")).await.json();
        assert_eq!(page["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
        seen += names(&page).len();
        token = page["metadata"]["continue"].as_str().unwrap_or_default().into();
    }
    assert_eq!(seen, 5, "the deletion came after the first page");
    let expired = admin.get(&format!("{MAPS}?resourceVersion=1&resourceVersionMatch=Exact")).await;
    assert_eq!((expired.status(), expired.json()["reason"].clone()), (410, json!("Expired")));
    let ahead = admin.get(&format!("{MAPS}?resourceVersion=999999&resourceVersionMatch=NotOlderThan")).await;
    assert_eq!((ahead.status(), ahead.header("retry-after")), (504, "1"));
    assert_eq!(ahead.json()["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
    let streamed = admin.get(&format!("{MAPS}?sendInitialEvents=true")).await;
    assert_eq!(
        streamed.json()["message"],
        "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"
    );
}

#[tokio::test]
async fn forms_are_negotiated() {
    let world = world_with_maps(&["a"]).await;
    let mut admin = world.admin().await;
    let table = admin.get_as(&format!("{MAPS}?labelSelector=test"), TABLE).await.json();
    assert_eq!((&table["kind"], &table["rows"][0]["cells"][1]), (&json!("Table"), &json!(1)));
    let one = admin.get_as(&format!("{MAPS}/a"), TABLE).await.json();
    assert_eq!(one["rows"][0]["object"]["metadata"]["name"], "a");
    let partial = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    let metadata = admin.get_as(&format!("{MAPS}/a"), partial).await.json();
    assert_eq!((&metadata["kind"], metadata.get("data")), (&json!("PartialObjectMetadata"), None));
    let protobuf =
        admin.get_as(&format!("{MAPS}/a"), "application/vnd.kubernetes.protobuf,application/json").await;
    assert_eq!(protobuf.header("content-type"), "application/vnd.kubernetes.protobuf");
    assert!(protobuf.body.starts_with(b"k8s\0"));
    let missing = admin.get_as(&format!("{MAPS}/nope"), TABLE).await;
    assert_eq!((missing.status(), missing.json()["kind"].clone()), (404, json!("Status")));
}

#[tokio::test]
async fn the_server_describes_itself() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";
    let first = admin.get_as("/apis?timeout=32s", aggregated).await;
    assert_eq!(first.json()["kind"], "APIGroupDiscoveryList");
    let headers = [("accept", aggregated), ("if-none-match", first.header("etag"))];
    let again = admin.ask(Method::GET, "/apis", &headers, "").await;
    assert_eq!((again.status(), again.body.len()), (304, 0));
    let ready = admin.get("/readyz?verbose").await.text();
    assert!(ready.contains("[+]bootstrap ok") && ready.ends_with("readyz check passed\n"), "{ready}");
    let metrics = admin.get("/metrics").await.text();
    assert!(metrics.contains("apiserver_storage_objects{resource=\"namespaces\"} 4"), "{metrics}");
    let lost = admin.get("/api/v1/unicorns").await;
    assert_eq!(lost.status(), 404);
    let said = lost.json()["message"].as_str().unwrap_or_default().to_string();
    assert!(said.starts_with("the server could not find the requested resource"), "{said}");
    assert!(said.contains("does not serve unicorns/v1"), "{said}");
    assert!(!lost.header("audit-id").is_empty());
}

#[tokio::test]
async fn what_every_cluster_has_is_there() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let spaces = admin.get("/api/v1/namespaces").await.json();
    assert_eq!(names(&spaces), ["default", "kube-node-lease", "kube-public", "kube-system"]);
    let service = admin.get("/api/v1/namespaces/default/services/kubernetes").await.json();
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
}

#[tokio::test]
async fn yaml_is_answered_where_it_was_asked_for() {
    use peapod_core::schema::yaml::yaml;
    let world = world_with_maps(&["a"]).await;
    let mut admin = world.admin().await;
    for target in [
        &format!("{MAPS}/a"),
        MAPS,
        "/api",
        "/apis",
        "/api/v1",
        "/apis/apps",
        "/apis/apps/v1",
        &format!("{MAPS}/missing"),
    ] {
        let (json, read) = (admin.get(target).await, admin.get_as(target, "application/yaml").await);
        assert_eq!(
            (read.status(), read.header("content-type")),
            (json.status(), "application/yaml"),
            "{target}"
        );
        assert!(!read.text().starts_with('{'), "{}", read.text());
        assert_eq!(yaml(read.text().as_bytes()).unwrap().value, json.json(), "{target}");
    }
    let table = admin.get_as(MAPS, "application/yaml;as=Table;v=v1;g=meta.k8s.io").await;
    assert!(table.text().contains("\nkind: Table\n"), "{}", table.text());
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: of-yaml\ndata: {a: 'yes'}\n";
    let headers = [("content-type", "application/yaml"), ("accept", "application/yaml")];
    let made = admin.ask(Method::POST, MAPS, &headers, map).await;
    assert_eq!((made.status(), made.header("content-type")), (201, "application/yaml"));
    assert_eq!(yaml(made.text().as_bytes()).unwrap().value["data"]["a"], "yes");
    let watch = admin.get_as(&format!("{MAPS}?watch=1"), "application/yaml").await;
    assert_eq!(watch.status(), 406, "{}", watch.text());
    let plain = admin.get_as("/version", "application/yaml").await;
    assert_eq!(plain.header("content-type"), "application/json");
}
