//! YAML bodies: read into what JSON would have said, and written of it.

use super::decode::{self, Decoded, Item, MAX_DEPTH, Reader};
use peapod_api::Error;
use serde::de::DeserializeSeed;
use serde_json::Value;

/// Most values, aliases expanded.
const MAX_NODES: usize = 200_000;
/// What aliases may add to the values that a body has bytes for, so that a small one cannot cost much.
const ALIASED_NODES: usize = 5_000;
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
        max_nodes: MAX_NODES.min(bytes.len() + ALIASED_NODES),
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

/// Writes one YAML document, which readers of YAML 1.1 and 1.2 understand alike. Errors: 500, which no value is known to
/// lead to (held to a law).
pub fn written(value: &Value) -> Result<String, Error> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| Error::internal(format!("no YAML can be made of the answer: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_small_body_holds_little_however_it_repeats_itself() {
        let ten = "x, ".repeat(10);
        let repeated = |times: usize| {
            format!("a: &a [{ten}]\nb: &b [{}]\nc: [{}]\n", "*a, ".repeat(9), "*b, ".repeat(times))
        };
        assert!(yaml(repeated(10).as_bytes()).is_ok());
        let refused = yaml(repeated(80).as_bytes()).err().map(|error| error.to_string()).unwrap_or_default();
        assert!(refused.contains("budget breached: Nodes"), "{refused}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let value = json!({"a": [], "b": {}, "c": null, "texts": ["yes", "1", "1e3", "012", "0x1f", "1:30", "~", "", " a ",
            "two\nlines\n", "#x", "a: b", "- a", "\u{7}", "é", "x".repeat(200)], "n": [1, -2, 1.5, true], "d": [[{"e": [1]}]]});
        assert_eq!(yaml(written(&value).unwrap().as_bytes()).unwrap().value, value);
        assert_eq!(written(&json!({"kind": "Status", "code": 404})).unwrap(), "code: 404\nkind: Status\n");
    }
}
