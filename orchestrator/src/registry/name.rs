//! Names, tags, digests and the paths that they stand in. Pure.

use super::error::Refusal;
use sha2::{Digest as _, Sha256};
use std::fmt;

/// Longest repository name, in bytes.
const MAX_NAME_BYTES: usize = 255;
/// Longest tag, in bytes.
const MAX_TAG_BYTES: usize = 128;

/// `sha256:HEX`, checked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Digest(String);

impl Digest {
    /// Errors: another algorithm, or no 64 hex digits.
    pub(crate) fn parse(text: &str) -> Result<Digest, Refusal> {
        let hex = text.strip_prefix("sha256:").unwrap_or_default();
        let valid = hex.len() == 64 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if valid {
            Ok(Digest(text.into()))
        } else {
            Err(Refusal::digest_invalid(format!("invalid digest {text:?}")))
        }
    }

    /// The digest of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Digest {
        Digest::finish(Sha256::new().chain_update(bytes))
    }

    /// The digest of what `hasher` has seen.
    pub(crate) fn finish(hasher: Sha256) -> Digest {
        let hex: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Digest(format!("sha256:{hex}"))
    }

    /// Without the algorithm.
    pub(crate) fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What names a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reference {
    Tag(String),
    Digest(Digest),
}

/// What a path below `/v2/` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Base,
    Catalog,
    Tags { name: String },
    Manifest { name: String, reference: Reference },
    Blob { name: String, digest: Digest },
    Uploads { name: String },
    Upload { name: String, id: String },
}

impl Place {
    /// Reads a path that begins with `/v2`; none if it names nothing. Errors: a name, tag or digest is not valid.
    pub(crate) fn parse(path: &str) -> Result<Option<Place>, Refusal> {
        let rest = path.strip_prefix("/v2").unwrap_or_default().trim_start_matches('/');
        let segments: Vec<&str> = rest.split('/').collect();
        Ok(Some(match segments.as_slice() {
            [""] => Place::Base,
            ["_catalog"] => Place::Catalog,
            [name @ .., "tags", "list"] => Place::Tags { name: repository(name)? },
            [name @ .., "manifests", reference] => {
                Place::Manifest { name: repository(name)?, reference: Reference::parse(reference)? }
            }
            [name @ .., "blobs", "uploads"] | [name @ .., "blobs", "uploads", ""] => {
                Place::Uploads { name: repository(name)? }
            }
            [name @ .., "blobs", "uploads", id] => {
                Place::Upload { name: repository(name)?, id: id.to_string() }
            }
            [name @ .., "blobs", digest] => {
                Place::Blob { name: repository(name)?, digest: Digest::parse(digest)? }
            }
            _ => return Ok(None),
        }))
    }
}

impl Reference {
    /// A digest or a tag.
    pub(crate) fn parse(text: &str) -> Result<Reference, Refusal> {
        if text.contains(':') {
            return Digest::parse(text).map(Reference::Digest);
        }
        tag(text).map(Reference::Tag)
    }
}

/// A checked tag.
pub(crate) fn tag(text: &str) -> Result<String, Refusal> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let valid = text.len() <= MAX_TAG_BYTES
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'));
    if valid { Ok(text.into()) } else { Err(Refusal::name_invalid(text)) }
}

/// A checked repository name: lower-case components joined by slashes.
pub(crate) fn repository(components: &[&str]) -> Result<String, Refusal> {
    let name = components.join("/");
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let valid = |component: &&str| {
        let bytes = component.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-');
        edge(bytes.first().copied())
            && edge(bytes.last().copied())
            && bytes.iter().all(inner)
            && !component.contains("..")
    };
    let all = !components.is_empty() && name.len() <= MAX_NAME_BYTES && components.iter().all(valid);
    if all { Ok(name) } else { Err(Refusal::name_invalid(&name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_take_apart() {
        let digest = Digest::of(b"");
        let read = |path: &str| Place::parse(path).unwrap();
        assert_eq!(read("/v2/"), Some(Place::Base));
        assert_eq!(read("/v2/_catalog"), Some(Place::Catalog));
        assert_eq!(read("/v2/a/b/tags/list"), Some(Place::Tags { name: "a/b".into() }));
        let reference = Reference::Tag("v1.0".into());
        assert_eq!(read("/v2/a/manifests/v1.0"), Some(Place::Manifest { name: "a".into(), reference }));
        assert_eq!(read(&format!("/v2/a/blobs/{digest}")), Some(Place::Blob { name: "a".into(), digest }));
        assert_eq!(read("/v2/a/blobs/uploads/"), Some(Place::Uploads { name: "a".into() }));
        assert_eq!(read("/v2/a/blobs/uploads/x"), Some(Place::Upload { name: "a".into(), id: "x".into() }));
        assert_eq!(read("/v2/a/other"), None);
    }

    #[test]
    fn what_could_escape_is_refused() {
        for path in [
            "/v2/../manifests/x",
            "/v2/a/../b/manifests/x",
            "/v2/A/manifests/x",
            "/v2/a//b/manifests/x",
            "/v2/a/manifests/..",
            "/v2/a/manifests/-x",
            "/v2/a/blobs/sha256:00",
            "/v2/a/blobs/md5:00",
            "/v2/_a/tags/list",
            "/v2/manifests/x",
        ] {
            assert!(Place::parse(path).is_err(), "{path}");
        }
    }
}
