//! Reads: get and watch, and what they share with lists. All are answered from a snapshot.

use super::accept::{Encoding, not_acceptable};
use super::answer::{Answer, whole};
use super::encode::Form;
use super::query::{Query, Version, WatchQuery, too_large};
use super::resource::Target;
use super::{Inner, Request, watch};
use http::StatusCode;
use jiff::Timestamp;
use peapod_api::Error;
use peapod_core::served::Served;
use peapod_core::snapshot::Snapshot;
use peapod_core::table::Include;
use std::sync::Arc;
use std::time::Duration;

/// How long a read waits for a revision that is not there yet.
const WAIT_FOR_REVISION: Duration = Duration::from_secs(3);
/// What objects and lists are encoded in.
const OBJECTS: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
/// What watches are encoded in.
const STREAMS: &str = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";
/// Watches that are open at a time.
const MAX_WATCHES: i64 = 20_000;

/// How the client wants its answer. Errors: 406, 400.
pub(super) fn form(kind: &Served, request: &Request) -> Result<Form, Error> {
    let accept = request.accept.ok_or_else(|| not_acceptable(OBJECTS))?;
    let policy = request.query.text("includeObject");
    let include = Include::parse(policy).ok_or_else(|| {
        Error::bad_request(format!(
            "includeObject: unsupported value {policy:?}: must be None, Metadata or Object"
        ))
    })?;
    Ok(Form { kind: kind.clone(), accept, include, now: Timestamp::now() })
}

/// GET of one object.
pub(super) async fn get(
    api: &Inner,
    target: &Target<'_>,
    form: &Form,
    query: &Query,
) -> Result<Answer, Error> {
    let snapshot = at_least(api, required_revision(query)?).await?;
    let resource = target.kind.resource();
    let object = snapshot
        .find(&target.kind.stored_resource(), target.namespace, target.name)
        .ok_or_else(|| Error::not_found(&resource, target.name))?;
    let (content_type, body) = form.object(object);
    Ok(whole(StatusCode::OK, content_type, body))
}

fn required_revision(query: &Query) -> Result<u64, Error> {
    Ok(query.number("resourceVersion")?.map_or(0, |revision| revision.max(0) as u64))
}

/// GET with `watch`.
pub(super) async fn watch(
    api: &Inner,
    target: &Target<'_>,
    form: Form,
    query: &Query,
) -> Result<Answer, Error> {
    if form.accept.encoding == Encoding::Yaml {
        return Err(not_acceptable(STREAMS));
    }
    let query = WatchQuery::read(&target.kind, query)?;
    if api.metrics.watches() >= MAX_WATCHES {
        let message = format!("more than {MAX_WATCHES} watches are open, please try again later");
        return Err(Error::new(peapod_api::error::Reason::TooManyRequests, message).retry_after(5));
    }
    // A watch that begins after a revision waits for it inside the stream.
    let needed = if query.initial { wanted(query.version) } else { 0 };
    let snapshot = at_least(api, needed).await?;
    let opening = watch::Opening {
        form,
        namespace: target.scope().map(Into::into),
        query,
        stop: api.stop.clone(),
        open: api.metrics.watch(),
    };
    Ok(watch::begin(&api.cache, &snapshot, opening))
}

pub(super) fn wanted(version: Version) -> u64 {
    match version {
        Version::Latest | Version::Any => 0,
        Version::AtLeast(revision) | Version::Exact(revision) => revision,
    }
}

/// The newest snapshot once it has reached `revision`. Errors: 504 if it does not.
pub(super) async fn at_least(api: &Inner, revision: u64) -> Result<Arc<Snapshot>, Error> {
    let snapshot = api.cache.snapshot();
    if snapshot.revision() >= revision {
        return Ok(snapshot);
    }
    let waited = tokio::time::timeout(WAIT_FOR_REVISION, api.cache.wait_for(revision)).await;
    let snapshot = api.cache.snapshot();
    waited.map_err(|_| too_large(revision, snapshot.revision()))?;
    Ok(snapshot)
}
