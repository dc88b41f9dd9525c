//! Manifests: checked when they come in, and stored.

use super::artifact::{Artifact, MANIFEST_TYPE};
use super::error::Refusal;
use super::name::{Digest, Reference, repository, tag};
use super::{Shelves, created, text_of};
use crate::http::answer::Answer;
use crate::http::{Body, read_body};
use http::{HeaderMap, header};
use serde_json::Value;

/// Largest manifest.
pub(super) const MAX_MANIFEST_BYTES: usize = 4 << 20;
/// What manifests may be.
const MANIFEST_TYPES: [&str; 4] = [
    MANIFEST_TYPE,
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
];

/// PUT: everything that the manifest names has to be there.
pub(super) async fn put(
    shelves: &Shelves,
    name: &str,
    reference: &Reference,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answer, Refusal> {
    let bytes = read_body(body, MAX_MANIFEST_BYTES)
        .await
        .map_err(|_| Refusal::too_large(MAX_MANIFEST_BYTES as u64))?;
    let manifest: Value =
        serde_json::from_slice(&bytes).map_err(|e| Refusal::manifest_invalid(e.to_string()))?;
    let header_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = manifest["mediaType"].as_str().or(header_type).unwrap_or(MANIFEST_TYPE);
    if !MANIFEST_TYPES.contains(&media_type) {
        return Err(Refusal::manifest_invalid(format!("media type {media_type:?} is no manifest's")));
    }
    check(shelves, name, &manifest)?;
    let digest = Digest::of(&bytes);
    if let Reference::Digest(wanted) = reference
        && *wanted != digest
    {
        return Err(Refusal::digest_invalid(format!(
            "the manifest's digest is {digest}, not {}",
            text_of(reference)
        )));
    }
    shelves.blobs.put(&bytes)?;
    let tag = match reference {
        Reference::Tag(tag) => Some(tag.as_str()),
        Reference::Digest(_) => None,
    };
    shelves.repositories.put(name, &digest, media_type, tag)?;
    Ok(created(name, "manifests", &digest))
}

fn check(shelves: &Shelves, name: &str, manifest: &Value) -> Result<(), Refusal> {
    let list = |key: &str| manifest[key].as_array().cloned().unwrap_or_default();
    let own = manifest.get("config").into_iter().cloned().chain(list("layers"));
    for descriptor in own {
        let digest = Digest::parse(descriptor["digest"].as_str().unwrap_or_default())?;
        if shelves.blobs.size(&digest).is_none() {
            return Err(Refusal::blob_unknown(digest.as_str()));
        }
    }
    for descriptor in list("manifests") {
        let digest = Digest::parse(descriptor["digest"].as_str().unwrap_or_default())?;
        shelves.repositories.find(name, &Reference::Digest(digest))?;
    }
    Ok(())
}

/// Stores a wasm file as `name:tag`.
pub(super) fn push(shelves: &Shelves, name: &str, tag_text: &str, wasm: &[u8]) -> Result<Digest, Refusal> {
    let name = repository(&name.split('/').collect::<Vec<_>>())?;
    let tag = tag(tag_text)?;
    let artifact = Artifact::of(wasm).map_err(Refusal::manifest_invalid)?;
    if wasm.len() as u64 > super::blobs::MAX_BLOB_BYTES {
        return Err(Refusal::too_large(super::blobs::MAX_BLOB_BYTES));
    }
    for blob in [wasm, artifact.config.as_bytes()] {
        shelves.blobs.put(blob)?;
    }
    let digest = shelves.blobs.put(artifact.manifest.as_bytes())?;
    shelves.repositories.put(&name, &digest, MANIFEST_TYPE, Some(&tag))?;
    Ok(digest)
}
