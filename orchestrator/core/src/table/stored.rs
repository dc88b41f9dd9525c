//! A stored object as its row needs it: what no column shows is passed over, which is most of it.

use super::parts::Parts;
use peapod_api::Object;
use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Deserializer, Map, Value};
use std::fmt;

/// What a row is made of.
pub(super) struct Stored<'a> {
    /// All of `metadata`, as it is stored.
    pub(super) metadata: &'a str,
    /// The parts of the object that were asked for.
    pub(super) object: Value,
}

/// Damaged bytes, which the store's check at load excludes, read as an object without fields.
pub(super) fn read<'a>(object: &'a Object, parts: &Parts) -> Stored<'a> {
    let mut from = Deserializer::from_slice(object.json());
    from.deserialize_map(Root(parts)).unwrap_or(Stored { metadata: "{}", object: Value::Null })
}

struct Root<'p>(&'p Parts);

impl<'de> Visitor<'de> for Root<'_> {
    type Value = Stored<'de>;

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Stored<'de>, A::Error> {
        let (mut metadata, mut fields) = ("{}", Map::new());
        while let Some(name) = map.next_key::<String>()? {
            let parts = self.0.of(&name);
            if name == "metadata" {
                metadata = map.next_value::<&RawValue>()?.get();
                let read = parts.map(|parts| parts.read(&mut Deserializer::from_str(metadata)));
                let read = read.transpose().map_err(serde::de::Error::custom)?;
                fields.extend(read.map(|value| (name, value)));
            } else if let Some(parts) = parts {
                fields.insert(name, map.next_value_seed(parts)?);
            } else {
                map.next_value::<serde::de::IgnoredAny>()?;
            }
        }
        Ok(Stored { metadata, object: Value::Object(fields) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{cells, conditions};
    use super::*;
    use crate::schema::{lookup_kind, samples::filled};
    use peapod_api::kinds::KINDS;
    use peapod_api::{Draft, Key};

    /// Objects with every field that their type has: a part that a cell reads and that nobody names would show.
    #[test]
    fn rows_are_what_whole_objects_say() {
        let now = "2026-01-01T01:00:00Z".parse().expect("a time");
        for kind in KINDS.iter().filter(|kind| lookup_kind(&kind.api_version(), &kind.kind).is_some()) {
            let ty = lookup_kind(&kind.api_version(), &kind.kind).expect("a type");
            for mut seed in 0..16 {
                let mut object = filled(ty, &mut seed, 0);
                object["metadata"]["name"] = "sample".into();
                object["metadata"]["managedFields"] = serde_json::json!([{"manager": "m"}]);
                let stored = Draft::new(kind, Key::new(&kind.resource(), "d", "sample"), object).at(7);
                let whole = stored.value();
                let read = read(&stored, &Parts::of_row(kind));
                let metadata: Value = serde_json::from_str(read.metadata).expect("JSON");
                assert_eq!(metadata, whole["metadata"], "{}", kind.kind);
                assert_eq!(cells(kind, &read.object, now), cells(kind, &whole, now), "{}", kind.kind);
                assert_eq!(conditions(kind, &read.object), conditions(kind, &whole), "{}", kind.kind);
            }
        }
    }
}
