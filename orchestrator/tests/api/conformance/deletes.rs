//! Deletions of one and of many.

use super::steps::Subject;
use crate::client::Client;
use http::Method;
use serde_json::json;

impl Subject {
    /// Not by a dry run, nor on a condition that does not hold, but otherwise.
    pub(super) async fn is_deleted(&self, client: &mut Client) {
        let type_ = "application/json";
        self.ask(client, Method::DELETE, &format!("{}?dryRun=All", self.path), type_, Vec::new(), 200).await;
        let other = json!({"preconditions": {"uid": "other"}}).to_string().into_bytes();
        self.ask(client, Method::DELETE, &self.path, type_, other, 409).await;
        self.get(client).await;
        self.ask(client, Method::DELETE, &self.path, type_, Vec::new(), 200).await;
        self.is_gone(client).await;
    }

    /// By the deletion of all that a selector selects, and of nothing else.
    pub(super) async fn is_deleted_with_others(&self, client: &mut Client) {
        let path = |selector: &str| format!("{}?labelSelector={selector}", self.collection);
        let patch = br#"{"metadata":{"labels":{"doomed":"yes"}}}"#;
        self.ask(client, Method::PATCH, &self.path, "application/merge-patch+json", patch.to_vec(), 200)
            .await;
        self.ask(client, Method::DELETE, &path("doomed=no"), "application/json", Vec::new(), 200).await;
        self.get(client).await;
        self.ask(client, Method::DELETE, &path("doomed=yes"), "application/json", Vec::new(), 200).await;
        self.is_gone(client).await;
    }

    async fn is_gone(&self, client: &mut Client) {
        let answer = client.get(&self.path).await;
        assert_eq!(answer.status(), 404, "{}: {}", self.called(), answer.text());
        assert_eq!(answer.json()["details"]["kind"], *self.kind.plural);
        let events =
            client.get(&format!("{}?fieldSelector=metadata.name%3D{}", self.collection, self.name)).await;
        assert_eq!(events.json()["items"], json!([]));
    }
}
