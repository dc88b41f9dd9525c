//! From the bytes of a request to an object of a known type: duplicate keys, depth, JSON types, unknown fields.

use super::path::Path;
use super::types::Type;
use super::validate::{check_types, unknown_fields};
use peapod_api::{Error, FieldError};
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Deepest nesting of objects and lists, or of messages, that is read, in whatever encoding.
pub const MAX_DEPTH: usize = 100;
/// Most unknown or duplicate fields that are named to a client.
const MAX_COMPLAINTS: usize = 100;

/// The request parameter `fieldValidation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Unknown and duplicate fields are dropped silently.
    Ignore,
    /// They are dropped with a warning each.
    #[default]
    Warn,
    /// They fail the request.
    Strict,
}

impl FieldValidation {
    /// Reads the parameter; empty means `Warn`.
    pub fn parse(text: &str) -> Result<FieldValidation, FieldError> {
        match text {
            "" | "Warn" => Ok(FieldValidation::Warn),
            "Ignore" => Ok(FieldValidation::Ignore),
            "Strict" => Ok(FieldValidation::Strict),
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                Err(FieldError::not_supported("fieldValidation", &other.into(), &supported))
            }
        }
    }
}

/// JSON as it was sent, and what a plain map cannot hold of it.
#[derive(Debug)]
pub struct Decoded {
    /// The last value of a duplicate key wins.
    pub value: Value,
    /// Paths of keys that stood more than once in their object.
    pub duplicates: Vec<String>,
}

impl From<Value> for Decoded {
    fn from(value: Value) -> Decoded {
        Decoded { value, duplicates: Vec::new() }
    }
}

/// Reads one JSON document. 400 if it is none or is nested deeper than [`MAX_DEPTH`].
pub fn json(bytes: &[u8]) -> Result<Decoded, Error> {
    let mut reader = Reader::default();
    let mut source = serde_json::Deserializer::from_slice(bytes);
    let value = Item::top(&mut reader)
        .deserialize(&mut source)
        .and_then(|value| source.end().map(|()| value))
        .map_err(|error| Error::bad_request(format!("the body is no valid JSON: {error}")))?;
    Ok(reader.decoded(value))
}

/// Checks `decoded` against `ty` and applies `validation`. Returns the object, which may still hold unknown fields and
/// nulls (see [`super::normalize`]), and the warnings. 400 on a wrong JSON type, or in strict mode on any complaint.
pub fn object(
    ty: &Type,
    api_version: &str,
    kind: &str,
    decoded: Decoded,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Error> {
    object_by([ty, ty], api_version, kind, decoded, validation)
}

/// As [`object`], where JSON types are checked by the first type and unknown fields found by the second.
pub(crate) fn object_by(
    [ty, known]: [&Type; 2],
    api_version: &str,
    kind: &str,
    decoded: Decoded,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Error> {
    let version = api_version.rsplit('/').next().unwrap_or(api_version);
    let refuse = |why: String| {
        Error::bad_request(format!("{kind} in version {version:?} cannot be handled as a {kind}: {why}"))
    };
    check_types(ty, &decoded.value).map_err(|mismatch| refuse(mismatch.to_string()))?;
    if validation == FieldValidation::Ignore {
        return Ok((decoded.value, Vec::new()));
    }
    let duplicate = |path: &String| format!("duplicate field {path:?}");
    let mut complaints: Vec<String> = decoded.duplicates.iter().map(duplicate).collect();
    complaints
        .extend(unknown_fields(known, &decoded.value).iter().map(|path| format!("unknown field {path:?}")));
    complaints.truncate(MAX_COMPLAINTS);
    if validation == FieldValidation::Strict && !complaints.is_empty() {
        return Err(refuse(format!("strict decoding error: {}", complaints.join(", "))));
    }
    Ok((decoded.value, complaints))
}

/// What is noted while a document is read.
#[derive(Default)]
pub(super) struct Reader {
    path: Path,
    duplicates: Vec<String>,
}

impl Reader {
    /// The document, with what was noted.
    pub(super) fn decoded(self, value: Value) -> Decoded {
        Decoded { value, duplicates: self.duplicates }
    }
}

/// One value of a document.
pub(super) struct Item<'r> {
    reader: &'r mut Reader,
    depth: usize,
}

impl<'r> Item<'r> {
    /// The whole document.
    pub(super) fn top(reader: &'r mut Reader) -> Item<'r> {
        Item { reader, depth: 0 }
    }
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        if self.depth > MAX_DEPTH {
            return Err(D::Error::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }
    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Item { reader, depth } = self;
        let mut items = Vec::new();
        loop {
            let mut path = std::mem::take(&mut reader.path);
            let next = path.index(items.len(), |path| {
                reader.path = std::mem::take(path);
                let next = access.next_element_seed(Item { reader, depth: depth + 1 });
                *path = std::mem::take(&mut reader.path);
                next
            });
            reader.path = path;
            match next? {
                Some(item) => items.push(item),
                None => return Ok(Value::Array(items)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Item { reader, depth } = self;
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let mut path = std::mem::take(&mut reader.path);
            let value = path.field(&key, |path| {
                if map.contains_key(&key) && reader.duplicates.len() < MAX_COMPLAINTS {
                    reader.duplicates.push(path.as_str().to_string());
                }
                reader.path = std::mem::take(path);
                let value = access.next_value_seed(Item { reader, depth: depth + 1 });
                *path = std::mem::take(&mut reader.path);
                value
            });
            reader.path = path;
            map.insert(key, value?);
        }
        Ok(Value::Object(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::lookup_kind;
    use proptest::prelude::*;

    #[test]
    fn duplicate_keys_are_reported_with_their_path() {
        let body = br#"{"a":1,"spec":{"x":[{"b":1},{"b":1,"b":2}]},"a":2}"#;
        let decoded = json(body).unwrap();
        assert_eq!(decoded.duplicates, ["spec.x[1].b", "a"]);
        assert_eq!(decoded.value["a"], 2);
    }

    #[test]
    fn depth_and_trailing_bytes_are_refused() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(json(deep(MAX_DEPTH).as_bytes()).is_ok());
        assert!(json(deep(MAX_DEPTH + 2).as_bytes()).is_err());
        assert!(json(deep(100_000).as_bytes()).is_err());
        assert!(json(b"{} {}").is_err());
    }

    #[test]
    fn strict_and_warn_use_kubernetes_words() {
        let ty = lookup_kind("v1", "ConfigMap").unwrap();
        let body = || json(br#"{"apiVersion":"v1","kind":"ConfigMap","dta":{"a":"b"}}"#).unwrap();
        let (_, warnings) = object(ty, "v1", "ConfigMap", body(), FieldValidation::Warn).unwrap();
        assert_eq!(warnings, [r#"unknown field "dta""#]);
        let error = object(ty, "v1", "ConfigMap", body(), FieldValidation::Strict).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "dta""#
        );
    }

    #[test]
    fn a_wrong_type_is_refused_as_go_words_it() {
        let ty = lookup_kind("apps/v1", "Deployment").unwrap();
        let body = json(br#"{"spec":{"replicas":"three"}}"#).unwrap();
        let error = object(ty, "apps/v1", "Deployment", body, FieldValidation::Warn).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal string into Go \
             struct field DeploymentSpec.spec.replicas of type int32"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = json(&bytes);
        }

        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}:,"a0-9.e -]{0,40}"#) {
            let ours = json(text.as_bytes()).ok().map(|d| d.value);
            prop_assert_eq!(ours, serde_json::from_str::<Value>(&text).ok());
        }
    }
}
