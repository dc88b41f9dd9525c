//! `/openapi/v3`: an index with a hash for each document, and the documents, made when they are first asked for.

mod components;
mod paths;

use super::answer::{Answer, JSON};
use super::discovery::{etag, hash, tagged};
use http::HeaderMap;
use peapod_api::kinds::KINDS;
use peapod_api::{Error, Kind};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The documents of one server.
#[derive(Clone, Default)]
pub(crate) struct OpenApi(Arc<OnceLock<Documents>>);

struct Documents {
    index: Document,
    /// By what follows `/openapi/v3/`: `api/v1`, `apis/apps/v1`.
    by_path: BTreeMap<String, Document>,
}

struct Document {
    body: String,
    etag: String,
}

impl From<Value> for Document {
    fn from(value: Value) -> Document {
        let body = value.to_string();
        Document { etag: etag(body.as_bytes()), body }
    }
}

impl OpenApi {
    /// Answers a GET of a path that begins with `/openapi/v3`. Errors: 404.
    pub(crate) async fn answer(&self, path: &str, headers: &HeaderMap) -> Result<Answer, Error> {
        let documents = self.documents().await?;
        let below = path.strip_prefix("/openapi/v3").unwrap_or_default();
        if below.is_empty() {
            let index = &documents.index;
            return Ok(tagged(&index.body, &index.etag, "text/plain; charset=utf-8", headers));
        }
        let found = below.strip_prefix('/').and_then(|below| documents.by_path.get(below));
        let document = found.ok_or_else(Error::no_such_path)?;
        Ok(tagged(&document.body, &document.etag, JSON, headers))
    }

    async fn documents(&self) -> Result<&Documents, Error> {
        if self.0.get().is_none() {
            let cell = self.clone();
            let made = tokio::task::spawn_blocking(move || _ = cell.0.get_or_init(documents)).await;
            made.map_err(|error| {
                tracing::error!(%error, "the OpenAPI documents could not be made");
                Error::internal("the OpenAPI documents could not be made")
            })?;
        }
        self.0.get().ok_or_else(|| Error::internal("the OpenAPI documents could not be made"))
    }
}

/// One document for each group and version of the kinds table.
fn documents() -> Documents {
    let mut kinds: BTreeMap<String, Vec<&Kind>> = BTreeMap::new();
    for kind in KINDS.iter() {
        kinds.entry(paths::root(kind)).or_default().push(kind);
    }
    let by_path: BTreeMap<String, Document> =
        kinds.into_iter().map(|(path, kinds)| (path, Document::from(document(&kinds)))).collect();
    let link = |(path, document): (&String, &Document)| {
        let url = format!("/openapi/v3/{path}?hash={}", hash(document.body.as_bytes()));
        (path.clone(), json!({ "serverRelativeURL": url }))
    };
    let links: Map<_, _> = by_path.iter().map(link).collect();
    Documents { index: json!({ "paths": links }).into(), by_path }
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
        serde_json::from_str(&documents().by_path[path].body).unwrap()
    }

    #[test]
    fn each_group_has_a_document_with_a_hash() {
        let documents = documents();
        let index: Value = serde_json::from_str(&documents.index.body).unwrap();
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
        for (path, document) in documents().by_path {
            let value: Value = serde_json::from_str(&document.body).unwrap();
            for part in document.body.split("\"$ref\":\"#/components/schemas/").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(value["components"]["schemas"].get(name).is_some(), "{path}: {name}");
            }
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
