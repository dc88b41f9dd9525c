//! Requests that mean harm, drawn from real ones, against a whole control plane: every answer is a Status with a reason, none
//! is the server's fault, and the server serves on.
#![allow(clippy::unwrap_used, reason = "test code")]

#[path = "api/client.rs"]
#[allow(dead_code, reason = "the other test of the module uses the rest")]
mod client;

use client::{Client, World};
use http::Method;
use peapod_core::schema::yaml::yaml;
use peapod_orchestrator::Identity;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

/// Requests by default; `PEAPOD_FUZZ_SECONDS` goes on for so long.
const REQUESTS: usize = 1_500;

/// Small numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }

    fn one<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.roll(of.len())]
    }

    /// Up to six pieces of damage, half of the time none.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.roll(13).saturating_sub(6) {
            let at = self.roll(bytes.len() + 1);
            match self.roll(4) {
                0 => bytes.insert(at, self.roll(256) as u8),
                1 if at < bytes.len() => bytes[at] = *self.one(b"0-9[]{}\",:\n \x00\xff$&*"),
                2 => drop(bytes.drain(at..(at + self.roll(9)).min(bytes.len()))),
                _ => {
                    let from = self.roll(bytes.len() + 1);
                    let piece = bytes[from..(from + self.roll(40)).min(bytes.len())].to_vec();
                    drop(bytes.splice(at..at, piece));
                }
            }
        }
    }
}

/// Bodies: the stored documents and patches made of words that patches know.
fn bodies() -> Vec<Vec<u8>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("core/tests/corpus");
    let mut bodies = Vec::new();
    for directory in ["documents", "protobuf"] {
        let entries = std::fs::read_dir(corpus.join(directory)).unwrap();
        bodies.extend(entries.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()));
    }
    let manifests = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests")).unwrap();
    bodies.extend(manifests.map(|entry| std::fs::read(entry.unwrap().path()).unwrap()));
    let patches: [&[u8]; 8] = [
        br#"[{"op":"add","path":"/metadata/labels","value":{"a":"b"}},{"op":"copy","from":"","path":"/spec/x"}]"#,
        br#"{"metadata":{"labels":{"a":null},"finalizers":["a.b/c"],"$deleteFromPrimitiveList/finalizers":["d"]}}"#,
        br#"{"spec":{"$retainKeys":["replicas"],"replicas":2,"template":{"spec":{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"a","$patch":"delete"}]}}}}"#,
        br#"{"data":{"$patch":"replace","k":"v"},"metadata":{"managedFields":[{}]}}"#,
        b"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {k: &x v, l: *x}\n",
        br#"{"kind":"DeleteOptions","apiVersion":"v1","propagationPolicy":"Orphan","preconditions":{"uid":"x"}}"#,
        br#"{"apiVersion":"autoscaling/v1","kind":"Scale","metadata":{"name":"web"},"spec":{"replicas":-1}}"#,
        b"",
    ];
    bodies.extend(patches.map(<[u8]>::to_vec));
    bodies
}

const PATHS: [&str; 20] = [
    "/api/v1/namespaces/default/pods",
    "/api/v1/namespaces/default/pods/p",
    "/api/v1/namespaces/default/pods/p/status",
    "/api/v1/namespaces/default/pods/p/eviction",
    "/api/v1/namespaces/default/pods/p/binding",
    "/api/v1/namespaces/default/pods/p/log",
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/configmaps/m",
    "/api/v1/namespaces/default/secrets",
    "/api/v1/namespaces/default/services",
    "/api/v1/namespaces/default/serviceaccounts/default/token",
    "/apis/apps/v1/namespaces/default/deployments",
    "/apis/apps/v1/namespaces/default/deployments/web",
    "/apis/apps/v1/namespaces/default/deployments/web/scale",
    "/apis/batch/v1/namespaces/default/cronjobs",
    "/apis/networking.k8s.io/v1/namespaces/default/ingresses",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
    "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases",
];
const QUERIES: [&str; 22] = [
    "",
    "dryRun=All",
    "dryRun=Some",
    "fieldValidation=Strict",
    "fieldValidation=Never",
    "fieldManager=me&force=true",
    "fieldManager=me",
    "force=true",
    "limit=1",
    "limit=-5&continue=abc",
    "continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiJhIn0",
    "resourceVersion=0&resourceVersionMatch=Exact",
    "resourceVersion=1&resourceVersionMatch=Exact",
    "resourceVersion=18446744073709551616",
    "labelSelector=a%20in%20(b%2C",
    "labelSelector=%00%ff%2C%2C%3D",
    "fieldSelector=metadata.name%3Dm%2Cspec.x%3D1",
    "includeObject=Everything",
    "gracePeriodSeconds=-1&propagationPolicy=Never",
    "timeout=1e9h",
    "pretty=true&watch=false",
    "%%%=%&&&==",
];
const CONTENT_TYPES: [&str; 9] = [
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/apply-patch+cbor",
    "text/html; charset=\"",
];
const ACCEPTS: [&str; 7] = [
    "",
    "*/*",
    "application/yaml",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/vnd.kubernetes.protobuf",
    "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/json;as=Nothing;v=v9",
];

async fn attack(client: &mut Client, dice: &mut Dice, bodies: &[Vec<u8>]) {
    let mut body = dice.one(bodies).clone();
    dice.damage(&mut body);
    let method =
        dice.one(&[Method::POST, Method::PUT, Method::PATCH, Method::PATCH, Method::DELETE, Method::GET]);
    let target = format!("{}?{}", dice.one(&PATHS), dice.one(&QUERIES));
    let headers = [("content-type", *dice.one(&CONTENT_TYPES)), ("accept", *dice.one(&ACCEPTS))];
    let answer = client.ask(method.clone(), &target, &headers, body.clone()).await;
    let said = || {
        format!("{method} {target} {headers:?} {:?}: {}", body.escape_ascii().to_string(), answer.status())
    };
    if answer.status() >= 400 {
        let status = match answer.header("content-type") {
            "application/yaml" => yaml(&answer.body).ok().map(|decoded| decoded.value),
            _ => serde_json::from_slice(&answer.body).ok(),
        };
        let status: Value = status.unwrap_or_else(|| panic!("{}: no Status", said()));
        let complete = status["kind"] == "Status" && status["code"] == answer.status();
        let message = status["message"].as_str().unwrap_or_default();
        assert!(complete && !message.is_empty(), "{}", said());
        // What is applied and does not fit its type fails without a reason, as in Kubernetes.
        let does_not_fit =
            answer.status() == 500 && message.starts_with("failed to create typed patch object");
        assert_eq!(status["reason"].as_str().is_none_or(str::is_empty), does_not_fit, "{} {message}", said());
        // 503: the log of a pod that runs nowhere. 504: a revision that nobody has reached.
        let is_expected = answer.status() < 500 || matches!(answer.status(), 503 | 504) || does_not_fit;
        assert!(is_expected, "{} {message}", said());
    }
}

#[tokio::test]
async fn no_request_is_too_much() {
    let world = World::start().await;
    let mut client = Client::over(world.plane.connect(Identity::admin())).await;
    let seconds = std::env::var("PEAPOD_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let until = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (mut dice, bodies, mut asked) = (Dice(2026), bodies(), 0);
    client.create("/api/v1/namespaces/default/configmaps", &json!({"metadata": {"name": "m"}})).await;
    for (path, file) in [
        ("/api/v1/namespaces/default/pods", "pod"),
        ("/apis/apps/v1/namespaces/default/deployments", "deployment"),
    ] {
        let document =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("core/tests/corpus/documents/{file}.json"));
        let made = client.ask(Method::POST, path, &[], std::fs::read(document).unwrap()).await;
        assert_eq!(made.status(), 201, "{}", made.text());
    }
    while asked < REQUESTS || until.is_some_and(|until| Instant::now() < until) {
        attack(&mut client, &mut dice, &bodies).await;
        asked += 1;
    }
    assert_eq!(client.get("/readyz").await.status(), 200, "after {asked} requests");
    println!("{asked} requests to a whole server");
}
