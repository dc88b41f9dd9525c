//! What the conformance test takes through its steps: one row and its minimal object.

use super::NAMESPACE;
use crate::client::{Answer, Client};
use http::Method;
use peapod_api::Kind;
use serde_json::Value;

pub(super) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// One row and its minimal object.
pub(super) struct Subject {
    pub(super) kind: &'static Kind,
    pub(super) object: Value,
    pub(super) name: String,
    pub(super) collection: String,
    /// The object's own path.
    pub(super) path: String,
}

impl Subject {
    pub(super) fn new(kind: &'static Kind, object: Value) -> Subject {
        let root = if kind.group.is_empty() { "/api".to_string() } else { format!("/apis/{}", kind.group) };
        let place = if kind.namespaced() { format!("/namespaces/{NAMESPACE}") } else { String::new() };
        let collection = format!("{root}/{}{place}/{}", kind.version, kind.plural);
        let name = object["metadata"]["name"].as_str().unwrap().to_string();
        let path = format!("{collection}/{name}");
        Subject { kind, object, name, collection, path }
    }

    pub(super) fn called(&self) -> String {
        format!("{} {}", self.kind.api_version(), self.kind.kind)
    }

    /// Asks, and expects `status`.
    pub(super) async fn ask(
        &self,
        client: &mut Client,
        method: Method,
        path: &str,
        type_: &str,
        body: Vec<u8>,
        status: u16,
    ) -> Answer {
        let answer = client.ask(method.clone(), path, &[("content-type", type_)], body).await;
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status(), status, "{}: {method} {path}: {text}", self.called());
        answer
    }

    pub(super) async fn get(&self, client: &mut Client) -> Value {
        let answer = client.get(&self.path).await;
        assert_eq!(answer.status(), 200, "{}: {}", self.called(), answer.text());
        answer.json()
    }

    /// A dry run stores nothing; a second creation is refused; nothing in the object is unknown to the schema. Leaves
    /// behind the object, which may have been there.
    pub(super) async fn creates(&self, client: &mut Client) -> Value {
        let body = || self.object.to_string().into_bytes();
        let strict = format!("{}?fieldValidation=Strict", self.collection);
        let dry = self
            .ask(client, Method::POST, &format!("{strict}&dryRun=All"), "application/json", body(), 201)
            .await;
        assert!(dry.json()["metadata"]["uid"].is_string(), "{}", self.called());
        assert_eq!(client.get(&self.path).await.status(), 404, "{}: a dry run leaves nothing", self.called());
        let created = self.ask(client, Method::POST, &strict, "application/json", body(), 201).await;
        assert_eq!(
            created.header("warning").contains("nothing acts on them yet"),
            !self.kind.acted_on,
            "{}",
            self.called()
        );
        let again = self.ask(client, Method::POST, &self.collection, "application/json", body(), 409).await;
        assert_eq!(again.json()["reason"], "AlreadyExists", "{}", self.called());
        let created = created.json();
        let (kind, api_version) = (&created["kind"], &created["apiVersion"]);
        assert_eq!((kind, api_version), (&self.object["kind"], &self.object["apiVersion"]));
        for field in ["uid", "creationTimestamp", "resourceVersion"] {
            assert!(created["metadata"][field].is_string(), "{}: {field}", self.called());
        }
        created
    }
}
