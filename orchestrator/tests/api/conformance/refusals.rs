//! What is refused.

use super::steps::{PROTOBUF, Subject};
use crate::client::Client;
use http::Method;
use serde_json::{Value, json};

impl Subject {
    /// What is no object of the kind is refused in words, and nothing is stored.
    pub(super) async fn is_not_fooled(&self, client: &mut Client) {
        let object = |change: &dyn Fn(&mut Value)| {
            let mut object = self.object.clone();
            change(&mut object);
            object.to_string()
        };
        let deep = (0..500).fold("1".to_string(), |inner, _| format!("[{inner}]"));
        let deep = object(&|o| o["metadata"]["annotations"] = "DEEP".into()).replace("\"DEEP\"", &deep);
        let twice = self.object.to_string().replacen('{', "{\"kind\":\"Other\",", 1);
        for (body, status, message) in [
            (String::new(), 400, ""),
            ("{".into(), 400, ""),
            ("[]".into(), 400, ""),
            ("null".into(), 400, ""),
            (deep, 400, "nested deeper than"),
            (twice, 400, "duplicate field \"kind\""),
            (object(&|o| o["apiVersion"] = "example.com/v9".into()), 400, "does not match the expected"),
            (object(&|o| o["kind"] = "Nonsense".into()), 400, "Nonsense"),
            (object(&|o| o["nonsense"] = 1.into()), 400, "strict decoding error: unknown field \"nonsense\""),
            (object(&|o| o["metadata"] = "x".into()), 400, "cannot unmarshal string into Go struct field"),
            (
                object(&|o| o["metadata"]["labels"] = json!({"a": 1})),
                400,
                "cannot unmarshal number into Go struct field",
            ),
            (object(&|o| o["metadata"]["name"] = "".into()), 422, "name or generateName is required"),
            (
                object(&|o| o["metadata"]["annotations"] = json!({"a": "x".repeat(300_000)})),
                422,
                "Too long: may not be more than 262144 bytes",
            ),
        ] {
            let path = format!("{}?fieldValidation=Strict", self.collection);
            let shown: String = body.chars().take(200).collect();
            let answer = client.ask(Method::POST, &path, &[("content-type", "application/json")], body).await;
            let text = answer.text();
            assert_eq!(answer.status(), status, "{}: {shown}: {text}", self.called());
            assert!(
                answer.json()["message"].as_str().unwrap().contains(message),
                "{}: {shown}: {text}",
                self.called()
            );
        }
        assert_eq!(client.get(&self.path).await.status(), 404, "{}", self.called());
        let damaged = client
            .ask(Method::POST, &self.collection, &[("content-type", PROTOBUF)], &b"k8s\0\xff\xff"[..])
            .await;
        assert_eq!(damaged.status(), 400, "{}: {}", self.called(), damaged.text());
    }
}
