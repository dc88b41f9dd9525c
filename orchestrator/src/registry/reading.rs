//! What clients read: manifests, blobs with ranges, tags, the catalogue.

use super::error::Refusal;
use super::name::{Digest, Reference};
use super::{CONTENT_DIGEST, Shelves, text_of};
use crate::http::answer::{Answer, json, set_header, stream, whole};
use crate::http::query::Query;
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use std::io::SeekFrom;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

/// Blobs are read in pieces of so many bytes.
const PIECE_BYTES: usize = 64 << 10;

pub(super) fn manifest(shelves: &Shelves, name: &str, reference: &Reference) -> Result<Answer, Refusal> {
    let (digest, media_type) = shelves.repositories.find(name, reference)?;
    let bytes =
        shelves.blobs.read(&digest).map_err(|_| Refusal::manifest_unknown(name, text_of(reference)))?;
    let length = bytes.len();
    let mut answer = whole(StatusCode::OK, &media_type, bytes);
    set_header(&mut answer, header::CONTENT_LENGTH, &length.to_string());
    set_header(&mut answer, CONTENT_DIGEST, digest.as_str());
    set_header(&mut answer, header::ETAG, &format!("\"{digest}\""));
    Ok(answer)
}

pub(super) async fn blob(shelves: &Shelves, digest: &Digest, headers: &HeaderMap) -> Result<Answer, Refusal> {
    let unknown = || Refusal::blob_unknown(digest.as_str());
    let size = shelves.blobs.size(digest).ok_or_else(unknown)?;
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let (start, end) = match range.map(|text| byte_range(text, size)) {
        None => (0, size),
        Some(range) => range.ok_or_else(|| Refusal::range_invalid(format!("the blob has {size} bytes")))?,
    };
    let mut file = File::open(shelves.blobs.path(digest)).await.map_err(|_| unknown())?;
    file.seek(SeekFrom::Start(start)).await?;
    let pieces = ReaderStream::with_capacity(file.take(end - start), PIECE_BYTES);
    let whole_pieces = pieces.scan((), |(), piece| async { piece.ok() });
    let mut answer = stream("application/octet-stream", whole_pieces);
    if range.is_some() {
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
        set_header(
            &mut answer,
            header::CONTENT_RANGE,
            &format!("bytes {start}-{}/{size}", end.saturating_sub(1)),
        );
    }
    // A read that fails ends the body early, which the length makes an error at the client.
    set_header(&mut answer, header::CONTENT_LENGTH, &(end - start).to_string());
    set_header(&mut answer, header::ACCEPT_RANGES, "bytes");
    set_header(&mut answer, CONTENT_DIGEST, digest.as_str());
    Ok(answer)
}

/// The first and the one past the last byte of `bytes=A-B`, `bytes=A-` or `bytes=-N`; none if there are no such bytes.
fn byte_range(text: &str, size: u64) -> Option<(u64, u64)> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (start, end) = match (start.parse::<u64>(), end.parse::<u64>()) {
        (Ok(start), Ok(end)) => (start, end.checked_add(1)?.min(size)),
        (Ok(start), Err(_)) if end.is_empty() => (start, size),
        (Err(_), Ok(last)) if start.is_empty() => (size.saturating_sub(last), size),
        _ => return None,
    };
    (start < end).then_some((start, end))
}

pub(super) fn tags(shelves: &Shelves, name: &str, query: &Query) -> Result<Answer, Refusal> {
    let tags = page(shelves.repositories.tags(name)?, query)?;
    Ok(json(&json!({ "name": name, "tags": tags })))
}

pub(super) fn catalog(shelves: &Shelves, query: &Query) -> Result<Answer, Refusal> {
    let names = page(shelves.repositories.names()?, query)?;
    Ok(json(&json!({ "repositories": names })))
}

/// At most `n` entries after `last`.
fn page(all: Vec<String>, query: &Query) -> Result<Vec<String>, Refusal> {
    let last = query.text("last").to_string();
    let n = query.number("n").map_err(|error| Refusal::name_invalid(&error.to_string()))?;
    let rest = all.into_iter().filter(|entry| last.is_empty() || *entry > last);
    Ok(rest.take(n.map_or(usize::MAX, |n| n.max(0) as usize)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stay_within_the_blob() {
        for (text, expected) in [
            ("bytes=0-3", Some((0, 4))),
            ("bytes=4-", Some((4, 10))),
            ("bytes=-3", Some((7, 10))),
            ("bytes=5-99", Some((5, 10))),
            ("bytes=10-", None),
            ("bytes=4-2", None),
            ("bytes=0-18446744073709551615", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(byte_range(text, 10), expected, "{text}");
        }
    }
}
