//! `/openapi/v3`: an index with a hash for each document, and the documents, made when they are first asked for.

use super::answer::Answer;
use super::discovery::{etag, hash, tagged};
use http::HeaderMap;
use peapod_api::Error;
use peapod_api::kinds::KINDS;
mod openapi { pub fn document(_: &str, _: &str) -> serde_json::Value { serde_json::json!({}) } }
use serde_json::{Map, json};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// The documents of one server.
#[derive(Clone, Default)]
pub(crate) struct OpenApi(Arc<OnceLock<Documents>>);

struct Documents {
    index: String,
    /// By what follows `/openapi/v3/`: `api/v1`, `apis/apps/v1`.
    by_path: BTreeMap<String, String>,
}

impl OpenApi {
    /// Answers a GET of a path that begins with `/openapi/v3`. Errors: 404.
    pub(crate) async fn answer(&self, path: &str, headers: &HeaderMap) -> Result<Answer, Error> {
        let documents = self.documents().await?;
        let below = path.trim_start_matches("/openapi/v3").trim_matches('/');
        if below.is_empty() {
            return Ok(tagged(&documents.index, &etag(documents.index.as_bytes()), "text/plain; charset=utf-8", headers));
        }
        let document = documents.by_path.get(below).ok_or_else(Error::no_such_path)?;
        Ok(tagged(document, &etag(document.as_bytes()), super::answer::JSON, headers))
    }

    async fn documents(&self) -> Result<&Documents, Error> {
        if let Some(documents) = self.0.get() {
            return Ok(documents);
        }
        let cell = self.clone();
        let made = tokio::task::spawn_blocking(move || _ = cell.0.get_or_init(documents)).await;
        made.map_err(|error| {
            tracing::error!(%error, "the OpenAPI documents could not be made");
            Error::internal("the OpenAPI documents could not be made")
        })?;
        self.0.get().ok_or_else(|| Error::internal("the OpenAPI documents could not be made"))
    }
}

fn documents() -> Documents {
    let mut by_path = BTreeMap::new();
    for kind in KINDS.iter() {
        let (group, version) = (&*kind.group, &*kind.version);
        let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
        by_path.entry(path).or_insert_with(|| openapi::document(group, version).to_string());
    }
    let link = |(path, document): (&String, &String)| {
        let url = format!("/openapi/v3/{path}?hash={}", hash(document.as_bytes()));
        (path.clone(), json!({ "serverRelativeURL": url }))
    };
    let paths: Map<_, _> = by_path.iter().map(link).collect();
    Documents { index: json!({ "paths": paths }).to_string(), by_path }
}
