//! `/openapi/v3`: an index with a hash for each document, and the documents; `/openapi/v2`: one document for clients
//! that know no other. All are made when they are first asked for.

mod components;
mod gnostic;
mod paths;
mod v2;

use super::accept::{not_acceptable, ranges};
use super::answer::{Answer, JSON};
use super::discovery::{etag, hash, tagged};
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, header};
use peapod_api::Error;
use peapod_api::kinds::KINDS;
use peapod_core::served::{Kinds, Served};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, OnceLock};

/// The media type of the v2 document in protobuf, in both spellings that are asked for; the first is answered.
const V2_PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
];

/// The documents of one server, made anew after a change of the kinds.
#[derive(Default)]
pub(crate) struct OpenApi(ArcSwap<Cells>);

/// The documents of one set of kinds.
#[derive(Default)]
struct Cells {
    kinds: Arc<Kinds>,
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

#[derive(Clone)]
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
    pub(crate) async fn answer(
        &self,
        kinds: &Arc<Kinds>,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Answer, Error> {
        let cells = self.cells(kinds);
        if path == "/openapi/v2" {
            return answer_v2(cells, headers).await;
        }
        let below = path.strip_prefix("/openapi/v3").ok_or_else(Error::no_such_path)?;
        let cells = made(cells, |cells| _ = cells.v3.get_or_init(|| documents(&cells.kinds))).await?;
        let documents = cells.v3.get().ok_or_else(|| not_made("nothing was made"))?;
        if below.is_empty() {
            return Ok(documents.index.answer("text/plain; charset=utf-8", headers));
        }
        let found = below.strip_prefix('/').and_then(|below| documents.by_path.get(below));
        Ok(found.ok_or_else(Error::no_such_path)?.answer(JSON, headers))
    }

    fn cells(&self, kinds: &Arc<Kinds>) -> Arc<Cells> {
        let cells = self.0.load_full();
        if Arc::ptr_eq(&cells.kinds, kinds) {
            return cells;
        }
        let cells = Arc::new(Cells { kinds: kinds.clone(), ..Cells::default() });
        self.0.store(cells.clone());
        cells
    }
}

async fn answer_v2(cells: Arc<Cells>, headers: &HeaderMap) -> Result<Answer, Error> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let accept = accept.filter(|text| !text.trim().is_empty()).unwrap_or("*/*");
    let is_protobuf = ranges(accept).iter().find_map(|range| match range.media_type {
        "application/json" | "application/*" | "*/*" => Some(false),
        other => V2_PROTOBUF.contains(&other).then_some(true),
    });
    let is_protobuf = is_protobuf.ok_or_else(|| not_acceptable(&format!("{JSON}, {}", V2_PROTOBUF[0])))?;
    let cells = made(cells, |cells| _ = cells.v2.get_or_init(|| old(&cells.kinds))).await?;
    let old = cells.v2.get().ok_or_else(|| not_made("nothing was made"))?;
    if !is_protobuf {
        return Ok(old.json.answer(JSON, headers));
    }
    let document = old.protobuf.as_ref().map_err(|why| not_made(why))?;
    Ok(document.answer(V2_PROTOBUF[0], headers))
}

/// The cells once `make` has filled one of them, off the executor.
async fn made(cells: Arc<Cells>, make: fn(&Cells)) -> Result<Arc<Cells>, Error> {
    let making = tokio::task::spawn_blocking(move || {
        make(&cells);
        cells
    });
    making.await.map_err(|error| not_made(&error.to_string()))
}

fn not_made(why: &str) -> Error {
    tracing::error!(why, "the OpenAPI documents could not be made");
    Error::internal("the OpenAPI documents could not be made")
}

fn documents(kinds: &Kinds) -> Documents {
    let mut by_path = TABLE.clone();
    by_path.extend(custom(kinds).map(|(path, value)| (path, Document::json(&value))));
    let link = |(path, document): (&String, &Document)| {
        let url = format!("/openapi/v3/{path}?hash={}", hash(&document.body));
        (path.clone(), json!({ "serverRelativeURL": url }))
    };
    let links: Map<_, _> = by_path.iter().map(link).collect();
    Documents { index: Document::json(&json!({ "paths": links })), by_path }
}

/// The documents of the kinds table alone, which never change.
static TABLE: LazyLock<BTreeMap<String, Document>> =
    LazyLock::new(|| of_table().map(|(path, value)| (path, Document::json(&value))).collect());

fn old(kinds: &Kinds) -> Old {
    let custom = custom(kinds).map(|(_, document)| components::without_newer_words(document));
    let document = v2::document(of_table().map(|(_, value)| value).chain(custom));
    Old { json: Document::json(&document), protobuf: gnostic::encode(&document).map(Document::new) }
}

/// One v3 document for each group and version of the kinds table, with its path.
fn of_table() -> impl Iterator<Item = (String, Value)> {
    by_path(KINDS.iter().map(Served::Row))
}

/// One v3 document for each group and version that has custom resources.
fn custom(kinds: &Kinds) -> impl Iterator<Item = (String, Value)> {
    let mixed: BTreeSet<String> = kinds.custom().map(|kind| paths::root(&kind)).collect();
    by_path(kinds.iter().filter(|kind| mixed.contains(&paths::root(kind))).collect::<Vec<_>>().into_iter())
}

fn by_path(kinds: impl Iterator<Item = Served>) -> impl Iterator<Item = (String, Value)> {
    let mut by_path: BTreeMap<String, Vec<Served>> = BTreeMap::new();
    for kind in kinds {
        by_path.entry(paths::root(&kind)).or_default().push(kind);
    }
    by_path.into_iter().map(|(path, kinds)| (path, document(&kinds)))
}

fn document(kinds: &[Served]) -> Value {
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
        serde_json::from_slice(&documents(&Kinds::default()).by_path[path].body).unwrap()
    }

    #[test]
    fn each_group_has_a_document_with_a_hash() {
        let documents = documents(&Kinds::default());
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
        for (path, document) in of_table() {
            check(&path, &document, "#/components/schemas/", &document["components"]["schemas"]);
        }
        let old = v2::document(of_table().map(|(_, value)| value));
        assert!(!old.to_string().contains("#/components/"));
        check("v2", &old, "#/definitions/", &old["definitions"]);
    }

    #[test]
    fn the_old_document_names_every_kind_and_fits_its_messages() {
        let old = old(&Kinds::default());
        let document: Value = serde_json::from_slice(&old.json.body).unwrap();
        let definitions = document["definitions"].as_object().unwrap();
        for kind in KINDS.iter() {
            let own = json!({ "group": kind.group, "version": kind.version, "kind": kind.kind });
            let kinds =
                |d: &Value| d["x-kubernetes-group-version-kind"].as_array().cloned().unwrap_or_default();
            let found = definitions.values().any(|definition| kinds(definition).contains(&own));
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
            let answer = openapi.answer(&Arc::default(), "/openapi/v2", &headers).await;
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
