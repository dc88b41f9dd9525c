//! `/openapi/v3`: an index with a hash for each document, and the documents; `/openapi/v2`: one document for clients
//! that know no other. All are made when they are first asked for.

mod components;
mod gnostic;
mod paths;
mod v2;

use super::accept::{not_acceptable, ranges};
use super::answer::{Answer, JSON};
use super::discovery::{etag, hash, tagged};
use bytes::Bytes;
use http::{HeaderMap, header};
use peapod_api::kinds::KINDS;
use peapod_api::{Error, Kind};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The media type of the v2 document in protobuf, in both spellings that are asked for; the first is answered.
const V2_PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

/// The documents of one server.
#[derive(Clone, Default)]
pub(crate) struct OpenApi(Arc<Cells>);

#[derive(Default)]
struct Cells {
    v3: OnceLock<Documents>,
    v2: OnceLock<Old>,
}

struct Documents {
    index: Document,
    /// By what follows `/openapi/v3/`: `api/v1`, `apis/apps/v1`.
    by_path: BTreeMap<String, Document>,
}

/// The v2 document in its two encodings.
struct Old {
    json: Document,
    protobuf: Result<Document, String>,
}

struct Document {
    body: Bytes,
    etag: String,
}

impl Document {
    fn new(body: impl Into<Bytes>) -> Document {
        let body = body.into();
        Document { etag: etag(&body), body }
    }

    fn json(value: &Value) -> Document {
        Document::new(value.to_string())
    }

    fn answer(&self, content_type: &str, headers: &HeaderMap) -> Answer {
        tagged(&self.body, &self.etag, content_type, headers)
    }
}

impl OpenApi {
    /// Answers a GET of a path that begins with `/openapi/`. Errors: 404, 406.
    pub(crate) async fn answer(&self, path: &str, headers: &HeaderMap) -> Result<Answer, Error> {
        if path == "/openapi/v2" {
            return self.answer_v2(headers).await;
        }
        let below = path.strip_prefix("/openapi/v3").ok_or_else(Error::no_such_path)?;
        let documents = self.made(|cells| &cells.v3, documents).await?;
        if below.is_empty() {
            return Ok(documents.index.answer("text/plain; charset=utf-8", headers));
        }
        let found = below.strip_prefix('/').and_then(|below| documents.by_path.get(below));
        Ok(found.ok_or_else(Error::no_such_path)?.answer(JSON, headers))
    }

    async fn answer_v2(&self, headers: &HeaderMap) -> Result<Answer, Error> {
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let accept = accept.filter(|text| !text.trim().is_empty()).unwrap_or("*/*");
        let is_protobuf = ranges(accept).iter().find_map(|range| match range.media_type {
            "application/json" | "application/*" | "*/*" => Some(false),
            other => V2_PROTOBUF.contains(&other).then_some(true),
        });
        let is_protobuf =
            is_protobuf.ok_or_else(|| not_acceptable(&format!("{JSON}, {}", V2_PROTOBUF[0])))?;
        let old = self.made(|cells| &cells.v2, old).await?;
        if !is_protobuf {
            return Ok(old.json.answer(JSON, headers));
        }
        let document = old.protobuf.as_ref().map_err(|why| not_made(why))?;
        Ok(document.answer(V2_PROTOBUF[0], headers))
    }

    /// What the cell holds, made off the executor when it is first asked for.
    async fn made<T: Send + Sync + 'static>(
        &self,
        cell: fn(&Cells) -> &OnceLock<T>,
        make: fn() -> T,
    ) -> Result<&T, Error> {
        if cell(&self.0).get().is_none() {
            let cells = self.0.clone();
            let made = tokio::task::spawn_blocking(move || _ = cell(&cells).get_or_init(make)).await;
            made.map_err(|error| not_made(&error.to_string()))?;
        }
        cell(&self.0).get().ok_or_else(|| not_made("nothing was made"))
    }
}

fn not_made(why: &str) -> Error {
    tracing::error!(why, "the OpenAPI documents could not be made");
    Error::internal("the OpenAPI documents could not be made")
}

fn documents() -> Documents {
    let by_path: BTreeMap<String, Document> =
        values().map(|(path, value)| (path, Document::json(&value))).collect();
    let link = |(path, document): (&String, &Document)| {
        let url = format!("/openapi/v3/{path}?hash={}", hash(&document.body));
        (path.clone(), json!({ "serverRelativeURL": url }))
    };
    let links: Map<_, _> = by_path.iter().map(link).collect();
    Documents { index: Document::json(&json!({ "paths": links })), by_path }
}

fn old() -> Old {
    let document = v2::document(values().map(|(_, value)| value));
    Old { json: Document::json(&document), protobuf: gnostic::encode(&document).map(Document::new) }
}

/// One v3 document for each group and version of the kinds table, with its path.
fn values() -> impl Iterator<Item = (String, Value)> {
    let mut kinds: BTreeMap<String, Vec<&Kind>> = BTreeMap::new();
    for kind in KINDS.iter() {
        kinds.entry(paths::root(kind)).or_default().push(kind);
    }
    kinds.into_iter().map(|(path, kinds)| (path, document(&kinds)))
}

fn document(kinds: &[&Kind]) -> Value {
    let paths: Map<String, Value> = kinds.iter().flat_map(|kind| paths::of(kind)).collect();
    json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "schemas": components::of(kinds) },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Value {
        serde_json::from_slice(&documents().by_path[path].body).unwrap()
    }

    #[test]
    fn each_group_has_a_document_with_a_hash() {
        let documents = documents();
        let index: Value = serde_json::from_slice(&documents.index.body).unwrap();
        for path in ["api/v1", "apis/apps/v1"] {
            let url = index["paths"][path]["serverRelativeURL"].as_str().unwrap();
            assert!(url.starts_with(&format!("/openapi/v3/{path}?hash=")), "{url}");
        }
    }

    #[test]
    fn patches_name_their_kind_and_their_parameters() {
        let apps = read("apis/apps/v1");
        let patch = &apps["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
        let kind = json!({"group": "apps", "version": "v1", "kind": "Deployment"});
        assert_eq!(patch["x-kubernetes-group-version-kind"], kind);
        let names: Vec<_> = patch["parameters"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
        assert!(names.contains(&&json!("fieldValidation")) && names.contains(&&json!("force")));
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let check = |path: &str, document: &Value, prefix: &str, schemas: &Value| {
            for part in document.to_string().split(&format!("\"$ref\":\"{prefix}")).skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(schemas.get(name).is_some(), "{path}: {name}");
            }
        };
        for (path, document) in values() {
            check(&path, &document, "#/components/schemas/", &document["components"]["schemas"]);
        }
        let old = v2::document(values().map(|(_, value)| value));
        assert!(!old.to_string().contains("#/components/"));
        check("v2", &old, "#/definitions/", &old["definitions"]);
    }

    #[test]
    fn the_old_document_names_every_kind_and_fits_its_messages() {
        let old = old();
        let document: Value = serde_json::from_slice(&old.json.body).unwrap();
        let definitions = document["definitions"].as_object().unwrap();
        for kind in KINDS.iter() {
            let own = json!([{ "group": kind.group, "version": kind.version, "kind": kind.kind }]);
            let found = definitions.values().any(|d| d["x-kubernetes-group-version-kind"] == own);
            assert!(found, "{}", kind.resource());
        }
        let containers = &definitions["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["items"]["$ref"], "#/definitions/io.k8s.api.core.v1.Container");
        assert_eq!(old.protobuf.as_ref().err(), None);
    }

    #[tokio::test]
    async fn the_old_document_is_negotiated() {
        let openapi = OpenApi::default();
        for (accept, expected) in [
            ("", JSON),
            ("application/json", JSON),
            ("*/*", JSON),
            (V2_PROTOBUF[0], V2_PROTOBUF[0]),
            (V2_PROTOBUF[1], V2_PROTOBUF[0]),
            ("text/html", "406"),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            let answer = openapi.answer("/openapi/v2", &headers).await;
            let found = answer.map_err(|error| error.code().to_string());
            let found = found.map(|a| a.headers()[header::CONTENT_TYPE].to_str().unwrap().to_string());
            assert_eq!(found.unwrap_or_else(|code| code), expected, "{accept}");
        }
    }

    #[test]
    fn schemas_tell_types_and_merge_keys() {
        let core = read("api/v1");
        let spec = &core["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"];
        let containers = &spec["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
        assert_eq!(spec["required"], json!(["containers"]));
        let pod = &core["components"]["schemas"]["io.k8s.api.core.v1.Pod"];
        assert_eq!(pod["x-kubernetes-group-version-kind"][0]["kind"], "Pod");
    }
}
