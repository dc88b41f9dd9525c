//! Discovery: which groups, versions, resources and verbs there are, all derived from the kinds that are served.

mod aggregated;
mod legacy;

use super::accept::{not_acceptable, ranges};
use super::answer::{self, Answer, JSON, whole};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use peapod_api::kind::Nature;
use peapod_api::{Error, Kind, Subresource};
use peapod_core::served::Kinds;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// The verbs of every kind.
const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Everything that discovery answers, made when it is first asked for after a change of the kinds.
pub(crate) struct Discovery {
    address: String,
    made: ArcSwapOption<Made>,
}

/// The documents of one set of kinds.
struct Made {
    kinds: Arc<Kinds>,
    /// By path: `/api`, `/apis`, `/api/v1`, `/apis/apps`, `/apis/apps/v1`.
    legacy: HashMap<String, Value>,
    /// By path and version.
    aggregated: HashMap<(&'static str, &'static str), Document>,
}

struct Document {
    body: Bytes,
    etag: String,
}

impl Made {
    fn new(kinds: &Arc<Kinds>, address: &str) -> Made {
        let mut aggregated = HashMap::new();
        for version in aggregated::VERSIONS {
            for path in ["/api", "/apis"] {
                let body = Bytes::from(aggregated::document(kinds, path, version).to_string());
                let etag = etag(&body);
                aggregated.insert((path, version), Document { body, etag });
            }
        }
        Made { kinds: kinds.clone(), legacy: legacy::documents(kinds, address), aggregated }
    }
}

impl Discovery {
    /// `address` is where clients reach the server: `127.0.0.1:6443`.
    pub(crate) fn new(address: &str) -> Discovery {
        Discovery { address: address.into(), made: ArcSwapOption::empty() }
    }

    fn made(&self, kinds: &Arc<Kinds>) -> Arc<Made> {
        let made = self.made.load_full().filter(|made| Arc::ptr_eq(&made.kinds, kinds));
        made.unwrap_or_else(|| {
            let made = Arc::new(Made::new(kinds, &self.address));
            self.made.store(Some(made.clone()));
            made
        })
    }

    /// The answer to a GET of `path`; none if it is no discovery path. Errors: 406.
    pub(crate) fn answer(
        &self,
        kinds: &Arc<Kinds>,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Result<Answer, Error>> {
        let made = self.made(kinds);
        let legacy = made.legacy.get(path)?;
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
        for range in ranges(accept) {
            let is_json = matches!(range.media_type, "application/json" | "application/*" | "*/*");
            match range.parameter("as") {
                "" if is_json || range.media_type == "application/yaml" => {
                    return Some(Ok(answer::json(legacy)));
                }
                "APIGroupDiscoveryList" if is_json && range.parameter("g") == "apidiscovery.k8s.io" => {
                    let version = aggregated::VERSIONS.into_iter().find(|v| *v == range.parameter("v"));
                    let key = version.zip(["/api", "/apis"].into_iter().find(|p| *p == path));
                    if let Some(document) =
                        key.and_then(|(version, path)| made.aggregated.get(&(path, version)))
                    {
                        let content_type = format!(
                            "{JSON};g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList",
                            range.parameter("v")
                        );
                        return Some(Ok(tagged(&document.body, &document.etag, &content_type, headers)));
                    }
                }
                _ => {}
            }
        }
        Some(Err(not_acceptable(JSON)))
    }
}

/// The strong tag of a body, quotes included.
pub(crate) fn etag(body: &[u8]) -> String {
    format!("\"{}\"", hash(body))
}

/// The SHA-256 of a body in upper-case hex, as Kubernetes writes it in tags and links.
pub(crate) fn hash(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02X}")).collect()
}

/// 200 with the body, or 304 if the client has it already.
pub(crate) fn tagged(body: &Bytes, etag: &str, content_type: &str, headers: &HeaderMap) -> Answer {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known =
        known.is_some_and(|tags| tags.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag));
    let mut answer = if is_known {
        let mut answer = Answer::default();
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        answer
    } else {
        whole(StatusCode::OK, content_type, body.clone())
    };
    answer::set_header(&mut answer, header::ETAG, etag);
    answer::set_header(&mut answer, header::VARY, "Accept");
    answer
}

/// A namespace goes with what is in it: there is no deleting of all of them.
fn verbs(kind: &Kind) -> Vec<&'static str> {
    match kind.nature {
        Nature::Asked => return vec!["create"],
        Nature::Told => return vec!["get", "list"],
        Nature::Stored => {}
    }
    let is_namespace = kind.group.is_empty() && kind.kind == "Namespace";
    VERBS.into_iter().filter(|verb| !(is_namespace && *verb == "deletecollection")).collect()
}

/// Group, version and kind of what a subresource's path takes or gives, and its verbs.
fn subresource(kind: &Kind, sub: Subresource) -> ([String; 3], &'static [&'static str]) {
    let is =
        |group: &str, version: &str, kind: &str| [group.to_string(), version.to_string(), kind.to_string()];
    match sub {
        Subresource::Status | Subresource::Approval => {
            (is(&kind.group, &kind.version, &kind.kind), &["get", "patch", "update"])
        }
        Subresource::Scale => (is("autoscaling", "v1", "Scale"), &["get", "patch", "update"]),
        Subresource::Binding => (is("", "v1", "Binding"), &["create"]),
        Subresource::Eviction => (is("policy", "v1", "Eviction"), &["create"]),
        Subresource::Finalize => (is(&kind.group, &kind.version, &kind.kind), &["update"]),
        Subresource::Log => (is(&kind.group, &kind.version, &kind.kind), &["get"]),
        Subresource::Token => (is("authentication.k8s.io", "v1", "TokenRequest"), &["create"]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use http_body_util::BodyExt;

    fn headers(accept: &str, tag: &str) -> HeaderMap {
        [(header::ACCEPT, accept), (header::IF_NONE_MATCH, tag)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name, value.parse().unwrap()))
            .collect()
    }

    fn body(answer: Answer) -> Value {
        let body = answer.into_body().collect().now_or_never().unwrap().unwrap();
        serde_json::from_slice(&body.to_bytes()).unwrap()
    }

    fn ask(path: &str, accept: &str) -> Value {
        let discovery = Discovery::new("127.0.0.1:6443");
        body(discovery.answer(&Arc::default(), path, &headers(accept, "")).unwrap().unwrap())
    }

    const AGGREGATED: &str =
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

    #[test]
    fn aggregated_discovery_is_tagged() {
        let discovery = Discovery::new("127.0.0.1:6443");
        let first = discovery.answer(&Arc::default(), "/apis", &headers(AGGREGATED, "")).unwrap().unwrap();
        let tag = first.headers()[header::ETAG].to_str().unwrap().to_string();
        assert!(first.headers()[header::CONTENT_TYPE].to_str().unwrap().contains("APIGroupDiscoveryList"));
        let again = discovery.answer(&Arc::default(), "/apis", &headers(AGGREGATED, &tag)).unwrap().unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        let core = ask("/api", AGGREGATED);
        let resources = core["items"][0]["versions"][0]["resources"].as_array().unwrap();
        let pods = resources.iter().find(|r| r["resource"] == "pods").unwrap();
        assert_eq!((&pods["scope"], &pods["shortNames"][0]), (&"Namespaced".into(), &"po".into()));
        let subs: Vec<_> =
            pods["subresources"].as_array().unwrap().iter().map(|s| &s["subresource"]).collect();
        assert_eq!(subs, ["status", "binding", "eviction", "log"]);
    }

    #[test]
    fn legacy_discovery_is_there_for_who_asks_for_plain_json() {
        assert_eq!(ask("/api", "application/json")["versions"][0], "v1");
        let groups = ask("/apis", "*/*");
        assert_eq!(groups["groups"][0]["preferredVersion"]["groupVersion"], "apps/v1");
        let list = ask("/api/v1", "application/json, */*");
        let names: Vec<_> =
            list["resources"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
        assert!(names.contains(&"pods") && names.contains(&"pods/eviction") && names.contains(&"namespaces"));
        assert_eq!(ask("/apis/apps", "*/*")["name"], "apps");
        assert_eq!(ask("/apis/apps/v1", "*/*")["groupVersion"], "apps/v1");
        assert!(Discovery::new("").answer(&Arc::default(), "/apis/none", &HeaderMap::new()).is_none());
        let refused = Discovery::new("").answer(&Arc::default(), "/api", &headers("text/html", "")).unwrap();
        assert_eq!(refused.unwrap_err().code(), 406);
    }
}
