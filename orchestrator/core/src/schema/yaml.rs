//! YAML bodies, read into what JSON would have said.

use super::decode::{self, Decoded, Item, Reader};
use peapod_api::Error;
use serde::de::DeserializeSeed;

/// Deepest nesting.
const MAX_DEPTH: usize = 100;
/// Most values, aliases expanded.
const MAX_NODES: usize = 200_000;
/// Most aliases.
const MAX_ALIASES: usize = 100;

/// Reads one YAML document. Of a key that stands twice the last value counts, as in JSON. Errors: 400 for what is none, is
/// nested too deep or holds too much.
pub fn yaml(bytes: &[u8]) -> Result<Decoded, Error> {
    // What begins like JSON is JSON, which clients also send under YAML's name.
    if bytes.trim_ascii_start().first() == Some(&b'{')
        && let Ok(decoded) = decode::json(bytes)
    {
        return Ok(decoded);
    }
    let budget = serde_saphyr::budget! {
        max_depth: MAX_DEPTH,
        max_nodes: MAX_NODES,
        max_aliases: MAX_ALIASES,
        max_documents: 1,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins,
    };
    let mut reader = Reader::default();
    let read = serde_saphyr::with_deserializer_from_slice_with_options(bytes, options, |source| {
        Item::top(&mut reader).deserialize(source)
    });
    let value = read.map_err(|error| Error::bad_request(format!("error decoding YAML: {error}")))?;
    Ok(reader.decoded(value))
}
