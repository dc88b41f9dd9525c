//! What is told and not kept: that the parts of the control plane are well. They live and die with the process that says so.

use super::answer::{Answer, whole};
use super::encode::{Form, ListMetadata};
use super::query::{ListQuery, Query};
use super::read::form;
use super::resource::Target;
use super::{Inner, Request};
use http::StatusCode;
use peapod_api::{Draft, Error, Key, Object};
use peapod_core::served::Served;
use serde_json::json;
use std::sync::Arc;

/// Under the names by which clients know them.
const PARTS: [&str; 3] = ["controller-manager", "etcd-0", "scheduler"];

/// GET of one or of all. Errors: 404.
pub(super) fn answer(
    api: &Inner,
    verb: &str,
    target: &Target<'_>,
    request: &Request,
) -> Result<Answer, Error> {
    let form = form(&target.kind, request)?;
    let (content_type, body) = match verb {
        "list" => list(api, &form, &target.kind, &request.query)?,
        _ => {
            let name = PARTS.into_iter().find(|name| *name == target.name);
            let name = name.ok_or_else(|| Error::not_found(&target.kind.resource(), target.name))?;
            form.object(&component(&target.kind, name))
        }
    };
    Ok(whole(StatusCode::OK, content_type, body))
}

fn list(api: &Inner, form: &Form, kind: &Served, query: &Query) -> Result<super::encode::Encoded, Error> {
    let query = ListQuery::read(kind, query)?;
    let all = PARTS.into_iter().map(|name| component(kind, name));
    let chosen: Vec<Arc<Object>> = all.filter(|object| query.selection.matches(object)).collect();
    let metadata = ListMetadata { revision: api.cache.snapshot().revision(), ..ListMetadata::default() };
    Ok(form.list(&chosen, &metadata))
}

fn component(kind: &Served, name: &str) -> Arc<Object> {
    let object = json!({"kind": kind.kind, "apiVersion": kind.api_version(), "metadata": {"name": name},
        "conditions": [{"type": "Healthy", "status": "True", "message": "ok"}]});
    Arc::new(Draft::new(kind, Key::new(&kind.resource(), "", name), object).at(0))
}
