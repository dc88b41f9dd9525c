//! The built-in image registry: the part of the OCI distribution API that pushing and pulling need, over files in
//! `DATA/registry`.

mod artifact;
mod blobs;
mod error;
mod manifest;
mod name;
mod reading;
mod repositories;

use crate::http::Body;
use crate::http::answer::{Answer, set_header};
use crate::http::query::Query;
use anyhow::Context;
pub use artifact::Artifact;
use blobs::Blobs;
use error::Refusal;
use http::{HeaderMap, Method, StatusCode, header};
use name::{Digest, Place, Reference};
use peapod_core::auth::{self, ANONYMOUS, User};
use peapod_core::snapshot::Snapshot;
use repositories::Repositories;
use std::path::Path;
use std::sync::Arc;

/// The registry. Clones are the same.
#[derive(Clone)]
pub(crate) struct Registry(Arc<Shelves>);

struct Shelves {
    blobs: Blobs,
    repositories: Repositories,
}

/// One request to the registry.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    pub(crate) query: &'a Query,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Body,
}

impl Registry {
    /// Opens the registry in `directory`. Errors: it cannot be read or written.
    pub(crate) fn open(directory: &Path) -> anyhow::Result<Registry> {
        let cannot = || format!("cannot open the registry in {}", directory.display());
        let blobs = Blobs::open(directory).with_context(cannot)?;
        let repositories = Repositories::open(directory).with_context(cannot)?;
        Ok(Registry(Arc::new(Shelves { blobs, repositories })))
    }

    /// Answers a request below `/v2/` of `user`, who needs the right to its verb on its path: `nonResourceURLs: [/v2/*]`.
    pub(crate) async fn answer(&self, snapshot: &Snapshot, user: &User, asked: Asked<'_>) -> Answer {
        let is_head = asked.method == Method::HEAD;
        let answered = match permit(snapshot, user, &asked) {
            Ok(()) => self.dispatch(asked).await,
            Err(refusal) => Err(refusal),
        };
        let mut answer = answered.unwrap_or_else(|refusal| {
            let mut answer = refusal.answer();
            if refusal.status == StatusCode::UNAUTHORIZED {
                set_header(&mut answer, header::WWW_AUTHENTICATE, "Bearer");
            }
            answer
        });
        if is_head {
            *answer.body_mut() = Default::default();
        }
        set_header(
            &mut answer,
            header::HeaderName::from_static("docker-distribution-api-version"),
            "registry/2.0",
        );
        answer
    }

    async fn dispatch(&self, asked: Asked<'_>) -> Result<Answer, Refusal> {
        let place = Place::parse(asked.path)?.ok_or_else(Refusal::unsupported)?;
        let reads = matches!(*asked.method, Method::GET | Method::HEAD);
        match place {
            Place::Base if reads => Ok(crate::http::answer::json(&serde_json::json!({}))),
            Place::Catalog if reads => reading::catalog(&self.0, asked.query),
            Place::Tags { name } if reads => reading::tags(&self.0, &name, asked.query),
            Place::Manifest { name, reference } if reads => reading::manifest(&self.0, &name, &reference),
            Place::Manifest { name, reference } if asked.method == Method::PUT => {
                manifest::put(&self.0, &name, &reference, asked.headers, asked.body).await
            }
            Place::Blob { digest, .. } if reads => reading::blob(&self.0, &digest, asked.headers).await,
            Place::Uploads { name } if asked.method == Method::POST => self.begin_upload(&name, asked).await,
            Place::Upload { name, id } => self.go_on_with_upload(&name, &id, asked).await,
            _ => Err(Refusal::unsupported()),
        }
    }

    /// POST: a new upload, or with `?digest=` the whole blob at once.
    async fn begin_upload(&self, name: &str, asked: Asked<'_>) -> Result<Answer, Refusal> {
        let blobs = &self.0.blobs;
        let mounted = asked.query.get("mount").map(Digest::parse).transpose()?;
        if let Some(digest) = mounted.filter(|digest| blobs.size(digest).is_some()) {
            return Ok(created(name, "blobs", &digest));
        }
        let digest = asked.query.get("digest").map(Digest::parse).transpose()?;
        let id = blobs.begin().await?;
        let Some(digest) = digest else { return Ok(accepted(name, &id, 0, StatusCode::ACCEPTED)) };
        blobs.append(&id, None, asked.body).await?;
        blobs.finish(&id, &digest).await?;
        Ok(created(name, "blobs", &digest))
    }

    async fn go_on_with_upload(&self, name: &str, id: &str, asked: Asked<'_>) -> Result<Answer, Refusal> {
        let blobs = &self.0.blobs;
        match *asked.method {
            Method::GET => Ok(accepted(name, id, blobs.uploaded(id).await?, StatusCode::NO_CONTENT)),
            Method::PATCH => {
                let size = blobs.append(id, offset(asked.headers)?, asked.body).await?;
                Ok(accepted(name, id, size, StatusCode::ACCEPTED))
            }
            Method::PUT => {
                let digest = Digest::parse(asked.query.text("digest"))?;
                blobs.append(id, offset(asked.headers)?, asked.body).await?;
                blobs.finish(id, &digest).await?;
                Ok(created(name, "blobs", &digest))
            }
            Method::DELETE => {
                blobs.cancel(id)?;
                let mut answer = Answer::default();
                *answer.status_mut() = StatusCode::NO_CONTENT;
                Ok(answer)
            }
            _ => Err(Refusal::unsupported()),
        }
    }

    /// Stores a wasm file as image `name:tag`. Returns the manifest's digest. Errors: the name, the tag or the bytes are
    /// not valid, or the disk fails.
    pub(crate) fn push(&self, name: &str, tag: &str, wasm: &[u8]) -> anyhow::Result<String> {
        Ok(manifest::push(&self.0, name, tag, wasm)?.to_string())
    }
}

fn permit(snapshot: &Snapshot, user: &User, asked: &Asked<'_>) -> Result<(), Refusal> {
    let verb = asked.method.as_str().to_lowercase();
    match auth::allowed_path(snapshot, user, &verb, asked.path) {
        Ok(_) => Ok(()),
        Err(_) if user.name == ANONYMOUS => Err(Refusal::unauthorized()),
        Err(_) => Err(Refusal::denied()),
    }
}

/// Where a chunk begins: `Content-Range: 0-99`.
fn offset(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(value) = headers.get(header::CONTENT_RANGE) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim_start_matches("bytes ");
    let start = text.split_once('-').and_then(|(start, _)| start.parse().ok());
    start.map(Some).ok_or_else(|| Refusal::range_invalid(format!("invalid Content-Range {text:?}")))
}

fn accepted(name: &str, id: &str, size: u64, status: StatusCode) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = status;
    set_header(&mut answer, header::LOCATION, &format!("/v2/{name}/blobs/uploads/{id}"));
    set_header(&mut answer, header::RANGE, &format!("0-{}", size.saturating_sub(1)));
    set_header(&mut answer, header::HeaderName::from_static("docker-upload-uuid"), id);
    answer
}

fn created(name: &str, what: &str, digest: &Digest) -> Answer {
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::CREATED;
    set_header(&mut answer, header::LOCATION, &format!("/v2/{name}/{what}/{digest}"));
    set_header(&mut answer, CONTENT_DIGEST, digest.as_str());
    answer
}

/// The header that names what a body has to hash to.
const CONTENT_DIGEST: header::HeaderName = header::HeaderName::from_static("docker-content-digest");

/// A reference in words.
fn text_of(reference: &Reference) -> &str {
    match reference {
        Reference::Tag(tag) => tag,
        Reference::Digest(digest) => digest.as_str(),
    }
}

#[cfg(test)]
mod tests;
