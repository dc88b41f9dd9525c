//! A stored object as its row needs it: what no column shows is passed over, which is most of it.

use super::parts::Parts;
use peapod_api::Object;
use serde_json::{Deserializer, Map, Value};

/// The parts of `object` that were asked for, as a tree. `scratch` is where the bytes are laid out; a caller with many rows
/// hands in the same one. Damaged bytes, which the store's check at load excludes, read as an object without fields.
pub(super) fn read(object: &Object, parts: &Parts, scratch: &mut Vec<u8>) -> Value {
    let mut tree = match parts.beside("metadata") {
        true => rest(object, parts, scratch),
        false => Value::Object(Map::new()),
    };
    let metadata = parts.of("metadata").filter(|wanted| !is_known_absent(object, wanted));
    let read = metadata.map(|wanted| wanted.read(&mut Deserializer::from_slice(object.metadata_json())));
    if let (Some(Ok(metadata)), Some(fields)) = (read, tree.as_object_mut()) {
        fields.insert("metadata".into(), metadata);
    }
    tree
}

/// Everything but the metadata.
fn rest(object: &Object, parts: &Parts, scratch: &mut Vec<u8>) -> Value {
    scratch.clear();
    scratch.push(b'{');
    let fields = object.rest_json();
    scratch.extend_from_slice(fields.strip_prefix(b",").unwrap_or(fields));
    parts.read(&mut Deserializer::from_slice(scratch)).unwrap_or_default()
}

/// Most rows ask of the metadata only whether the object is under deletion, and the header tells that.
fn is_known_absent(object: &Object, wanted: &Parts) -> bool {
    object.header.deleted.is_none() && wanted.are_only("deletionTimestamp")
}

#[cfg(test)]
mod tests {
    use super::super::{Subject, cells, conditions};
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
                let read = read(&stored, &Parts::of_row(kind), &mut Vec::new());
                let (shown, of_whole) = (Subject::stored(&stored, &read), Subject::tree(&whole));
                assert_eq!(cells(kind, &shown, now), cells(kind, &of_whole, now), "{}", kind.kind);
                assert_eq!(conditions(kind, &shown), conditions(kind, &of_whole), "{}", kind.kind);
            }
        }
    }
}
