//! Reads: one, many, as a Table, by watch; and what discovery and the published schema tell.

use super::NAMESPACE;
use super::steps::Subject;
use crate::client::{Client, Events, TABLE};
use http::Method;
use serde_json::{Value, json};

const PARTIAL: &str = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";

impl Subject {
    /// By name, in a list of its namespace, and in one of all namespaces.
    pub(super) async fn is_read(&self, client: &mut Client, created: &Value) {
        let found = self.get(client).await;
        assert_eq!(found["metadata"]["uid"], created["metadata"]["uid"]);
        assert_eq!(
            (&found["kind"], &found["apiVersion"]),
            (&self.object["kind"], &self.object["apiVersion"])
        );
        let everywhere = self.collection.replace(&format!("/namespaces/{NAMESPACE}"), "");
        for collection in [&self.collection, &everywhere] {
            let list =
                client.get(&format!("{collection}?fieldSelector=metadata.name%3D{}", self.name)).await.json();
            assert_eq!(list["kind"], format!("{}List", self.kind.kind), "{list}");
            assert_eq!(list["apiVersion"], self.object["apiVersion"]);
            let items = list["items"].as_array().unwrap();
            let mine: Vec<_> =
                items.iter().filter(|item| item["metadata"]["uid"] == created["metadata"]["uid"]).collect();
            assert_eq!(mine.len(), 1, "{}: {list}", self.called());
            assert_eq!(mine[0]["apiVersion"], self.object["apiVersion"], "{}", self.called());
        }
        for field in &self.kind.fields {
            let path = format!("{}?fieldSelector={field}%3Dnothing-like-it", self.collection);
            let none = client.get(&path).await;
            assert_eq!(
                (none.status(), none.json()["items"].clone()),
                (200, json!([])),
                "{} {field}",
                self.called()
            );
        }
        let unknown = client.get(&format!("{}?fieldSelector=no.such%3Dfield", self.collection)).await;
        assert_eq!(unknown.status(), 400, "{}", self.called());
    }

    /// As a Table with the row's columns, and as metadata alone.
    pub(super) async fn is_printed(&self, client: &mut Client) {
        for path in [&self.path, &self.collection] {
            let table = client.get_as(path, TABLE).await.json();
            let names: Vec<_> =
                table["columnDefinitions"].as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
            assert_eq!(json!(names), json!(self.kind.columns.iter().map(|c| &c.name).collect::<Vec<_>>()));
            let row = table["rows"]
                .as_array()
                .unwrap()
                .iter()
                .find(|row| row["object"]["metadata"]["name"] == *self.name);
            let cells = row.unwrap()["cells"].as_array().unwrap();
            assert_eq!(cells.len(), names.len(), "{}: {table}", self.called());
            assert!(cells.iter().any(|cell| cell.as_str().is_some_and(|text| text.starts_with(&self.name))));
        }
        let partial = client.get_as(&self.path, PARTIAL).await.json();
        assert_eq!(
            (&partial["kind"], &partial["metadata"]["name"]),
            (&json!("PartialObjectMetadata"), &json!(self.name))
        );
        assert!(partial.get("spec").is_none());
    }

    /// A watch tells what is there, and that it was changed.
    pub(super) async fn is_watched(&self, client: &mut Client, watcher: &mut Client) {
        let path = format!("{}?watch=1&fieldSelector=metadata.name%3D{}", self.collection, self.name);
        let mut events = Events::of(watcher, &path, "application/json").await;
        let first = events.next().await.unwrap();
        assert_eq!(
            (&first["type"], &first["object"]["apiVersion"]),
            (&json!("ADDED"), &self.object["apiVersion"]),
            "{}",
            self.called()
        );
        let patch = br#"{"metadata":{"annotations":{"watched":"yes"}}}"#;
        self.ask(client, Method::PATCH, &self.path, "application/merge-patch+json", patch.to_vec(), 200)
            .await;
        loop {
            let event = events.next().await.unwrap();
            assert_eq!(
                (&event["type"], &event["object"]["kind"]),
                (&json!("MODIFIED"), &self.object["kind"]),
                "{}",
                self.called()
            );
            if event["object"]["metadata"]["annotations"]["watched"] == "yes" {
                return;
            }
        }
    }

    /// Discovery tells the row as it is.
    pub(super) async fn is_discovered(&self, client: &mut Client) {
        let root = if self.kind.group.is_empty() {
            "/api/v1".into()
        } else {
            format!("/apis/{}", self.kind.api_version())
        };
        let list = client.get(&root).await.json();
        let resources = list["resources"].as_array().unwrap();
        let find = |name: &str| {
            resources.iter().find(|r| r["name"] == *name).unwrap_or_else(|| panic!("{root}: {name}"))
        };
        let own = find(&self.kind.plural);
        assert_eq!(
            (&own["kind"], &own["namespaced"]),
            (&json!(self.kind.kind), &json!(self.kind.namespaced()))
        );
        let given = |field: &str| own.get(field).cloned().unwrap_or(json!([]));
        assert_eq!(
            (given("shortNames"), given("categories")),
            (json!(self.kind.short_names), json!(self.kind.categories))
        );
        for sub in &self.kind.subresources {
            find(&format!("{}/{}", self.kind.plural, sub.name()));
        }
    }

    /// The published schema has the kind, words for it, and where it is found.
    pub(super) async fn is_described(&self, client: &mut Client) {
        let root = if self.kind.group.is_empty() {
            "api/v1".into()
        } else {
            format!("apis/{}", self.kind.api_version())
        };
        let document = client.get(&format!("/openapi/v3/{root}")).await.json();
        assert!(
            document["paths"][format!(
                "/{root}/{}",
                if self.kind.namespaced() {
                    format!("namespaces/{{namespace}}/{}", self.kind.plural)
                } else {
                    self.kind.plural.to_string()
                }
            )]["post"]
                .is_object(),
            "{}",
            self.called()
        );
        let schemas = document["components"]["schemas"].as_object().unwrap();
        let is_own = |schema: &&Value| {
            schema["x-kubernetes-group-version-kind"].as_array().is_some_and(|list| {
                list.iter().any(|gvk| {
                    gvk["kind"] == *self.kind.kind
                        && gvk["group"] == *self.kind.group
                        && gvk["version"] == *self.kind.version
                })
            })
        };
        let schema =
            schemas.values().find(is_own).unwrap_or_else(|| panic!("{} has no schema", self.called()));
        assert!(schema["description"].is_string(), "{}", self.called());
        assert!(schema["properties"]["metadata"].is_object(), "{}", self.called());
    }
}
