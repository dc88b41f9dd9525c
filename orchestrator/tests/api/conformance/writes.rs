//! Patches, server-side apply, the two halves of an object, protobuf.

use super::sample;
use super::steps::{PROTOBUF, Subject};
use crate::client::{Answer, Client};
use http::Method;
use peapod_api::Subresource;
use peapod_core::schema::protobuf;
use peapod_core::strategy;
use serde_json::{Value, json};

impl Subject {
    /// Each of the patches changes what it names and nothing that counts as a new generation.
    pub(super) async fn is_patched(&self, client: &mut Client) {
        let before = self.get(client).await;
        for (type_, patch) in [
            ("application/merge-patch+json", json!({"metadata": {"labels": {"patched": "merge"}}})),
            (
                "application/json-patch+json",
                json!([{"op": "replace", "path": "/metadata/labels/patched", "value": "json"}]),
            ),
            (
                "application/strategic-merge-patch+json",
                json!({"metadata": {"labels": {"patched": "strategic"}}}),
            ),
        ] {
            let patched = self
                .ask(client, Method::PATCH, &self.path, type_, patch.to_string().into(), 200)
                .await
                .json();
            assert!(type_.contains(patched["metadata"]["labels"]["patched"].as_str().unwrap()), "{patched}");
            assert_eq!(
                patched["metadata"]["generation"],
                before["metadata"]["generation"],
                "{}",
                self.called()
            );
        }
        let dry = format!("{}?dryRun=All", self.path);
        let patch = br#"{"metadata":{"labels":{"patched":"dry"}}}"#;
        self.ask(client, Method::PATCH, &dry, "application/merge-patch+json", patch.to_vec(), 200).await;
        assert_eq!(self.get(client).await["metadata"]["labels"]["patched"], "strategic", "{}", self.called());
    }

    /// What is applied is owned: another manager is told of the conflict, and may force.
    pub(super) async fn is_applied(&self, client: &mut Client) {
        let config = |value: &str| {
            let mut config = self.object.clone();
            config["metadata"]["labels"] = json!({"applied": value});
            config.to_string().into_bytes()
        };
        let path = |manager: &str, more: &str| format!("{}?fieldManager={manager}{more}", self.path);
        let apply = "application/apply-patch+yaml";
        let applied = self
            .ask(client, Method::PATCH, &path("one", "&force=true"), apply, config("a"), 200)
            .await
            .json();
        let managers = applied["metadata"]["managedFields"].as_array().unwrap();
        let own =
            managers.iter().find(|entry| entry["manager"] == "one" && entry["operation"] == "Apply").unwrap();
        assert_eq!(own["apiVersion"], self.object["apiVersion"]);
        assert!(own["fieldsV1"]["f:metadata"]["f:labels"]["f:applied"].is_object(), "{own}");
        let refused = self.ask(client, Method::PATCH, &path("two", ""), apply, config("b"), 409).await.json();
        assert_eq!(refused["details"]["causes"][0]["field"], ".metadata.labels.applied", "{}", self.called());
        let forced = self
            .ask(client, Method::PATCH, &path("two", "&force=true"), apply, config("b"), 200)
            .await
            .json();
        assert_eq!(forced["metadata"]["labels"]["applied"], "b");
        let same = self.ask(client, Method::PATCH, &path("two", ""), apply, config("b"), 200).await.json();
        assert_eq!(
            same["metadata"]["resourceVersion"],
            self.get(client).await["metadata"]["resourceVersion"],
            "{}",
            self.called()
        );
    }

    /// The main endpoint does not write the status, nor the status endpoint anything else but the labels of some kinds.
    pub(super) async fn keeps_its_halves_apart(&self, client: &mut Client) {
        let Some(status) = sample::status(self.kind) else { return };
        let has = |object: &Value| includes(&object["status"], &status);
        let path = format!("{}/status", self.path);
        let patch =
            json!({"metadata": {"labels": {"half": "other"}}, "status": status}).to_string().into_bytes();
        let type_ = "application/merge-patch+json";
        if !self.kind.has(Subresource::Status) {
            self.ask(client, Method::PATCH, &path, type_, patch, 404).await;
            return;
        }
        let before = self.get(client).await;
        let main = self
            .ask(
                client,
                Method::PATCH,
                &self.path,
                type_,
                json!({ "status": status }).to_string().into(),
                200,
            )
            .await;
        assert!(!has(&main.json()), "{}: {}", self.called(), main.text());
        let written = self.ask(client, Method::PATCH, &path, type_, patch, 200).await.json();
        assert!(has(&written), "{}: {written}", self.called());
        let keeps_labels = strategy::of(self.kind).status_keeps.contains(&"labels");
        assert_eq!(written["metadata"]["labels"]["half"].is_null(), keeps_labels, "{}", self.called());
        assert_eq!(written["spec"], before["spec"], "{}", self.called());
        assert_eq!(written["metadata"]["generation"], before["metadata"]["generation"], "{}", self.called());
    }

    /// The object as protobuf, once it was read at the same revision as JSON: controllers and the scheduler write too.
    async fn twice(&self, client: &mut Client) -> Answer {
        loop {
            let json = self.get(client).await;
            let answer = client.get_as(&self.path, PROTOBUF).await;
            assert_eq!(answer.header("content-type"), PROTOBUF, "{}", self.called());
            let read = protobuf::decode(&answer.body).unwrap();
            if read["metadata"]["resourceVersion"] == json["metadata"]["resourceVersion"] {
                assert_eq!(read, json, "{}", self.called());
                return answer;
            }
        }
    }

    /// What is asked for as protobuf says the same as the JSON, and may be sent back.
    pub(super) async fn travels(&self, client: &mut Client) {
        let answer = self.twice(client).await;
        let list = client.get_as(&self.collection, PROTOBUF).await;
        let list = protobuf::decode(&list.body).unwrap();
        assert!(list["items"].as_array().unwrap().iter().any(|item| item["metadata"]["name"] == *self.name));
        let mut back = protobuf::decode(&answer.body).unwrap();
        back["metadata"]["labels"]["sent"] = "protobuf".into();
        back["metadata"]["resourceVersion"] = Value::Null;
        let body = protobuf::encode(&back).unwrap();
        let put = self.ask(client, Method::PUT, &self.path, PROTOBUF, body, 200).await.json();
        assert_eq!(put["metadata"]["labels"]["sent"], "protobuf", "{}", self.called());
    }
}

/// Whether everything that is `wanted` is somewhere in what was found.
fn includes(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, value)| found.get(name).is_some_and(|found| includes(found, value)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            wanted.iter().all(|value| found.iter().any(|found| includes(found, value)))
        }
        _ => found == wanted,
    }
}
