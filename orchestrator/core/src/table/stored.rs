//! A stored object as its row needs it: read once, and without its managed fields, which no column of a built-in kind shows
//! and which are often the larger half.

use peapod_api::Object;
use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer, Map, Value};
use std::fmt;

/// What a row is made of.
pub(super) struct Stored<'a> {
    /// `metadata` as it is stored, managed fields included.
    pub(super) metadata: &'a str,
    /// The object, with its managed fields if that was asked for.
    pub(super) object: Value,
}

/// Damaged bytes, which the store's check at load excludes, read as an object without fields.
pub(super) fn read(object: &Object, managers: bool) -> Stored<'_> {
    let mut from = Deserializer::from_slice(object.json());
    from.deserialize_map(Fields { managers }).unwrap_or(Stored { metadata: "{}", object: Value::Null })
}

struct Fields {
    managers: bool,
}

impl<'de> Visitor<'de> for Fields {
    type Value = Stored<'de>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Stored<'de>, A::Error> {
        let (mut metadata, mut fields) = ("{}", Map::new());
        while let Some(name) = map.next_key::<String>()? {
            let value = if name == "metadata" {
                metadata = map.next_value::<&RawValue>()?.get();
                let from = &mut Deserializer::from_str(metadata);
                let metadata = Metadata { managers: self.managers };
                from.deserialize_map(metadata).map_err(serde::de::Error::custom)?
            } else {
                map.next_value()?
            };
            fields.insert(name, value);
        }
        Ok(Stored { metadata, object: Value::Object(fields) })
    }
}

struct Metadata {
    managers: bool,
}

impl<'de> Visitor<'de> for Metadata {
    type Value = Value;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("metadata")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "managedFields" && !self.managers {
                map.next_value::<IgnoredAny>()?;
            } else {
                fields.insert(name, map.next_value()?);
            }
        }
        Ok(Value::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peapod_api::{Draft, Key, kinds};
    use serde_json::json;

    #[test]
    fn all_but_the_managed_fields_is_read() {
        let mut value = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"a\"b": "c\n"},
            "metadata": {"name": "c", "managedFields": [{"manager": "m"}], "labels": {"x": "y"}},
        });
        let kind = kinds::lookup("", "configmaps").expect("a kind");
        let stored = Draft::new(kind, Key::new("configmaps", "d", "c"), value.clone()).at(7);
        let read = read(&stored, false);
        let metadata: Value = serde_json::from_str(read.metadata).expect("JSON");
        assert_eq!(metadata, stored.value()["metadata"]);
        value["metadata"] = json!({"name": "c", "labels": {"x": "y"}, "resourceVersion": "7"});
        assert_eq!(read.object, value);
        assert_eq!(super::read(&stored, true).object, stored.value());
    }
}
