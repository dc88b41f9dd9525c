//! What controllers of owned objects share.

use crate::snapshot::Change;
use peapod_api::{Key, Object, kinds};
use serde_json::{Map, Value, json};

/// The change's own key if it is of `resource`, and the keys of its controllers (before and after) that are.
pub(super) fn self_or_controller(change: &Change, resource: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    if change.key.resource() == resource {
        keys.push(change.key.clone());
    }
    for object in [&change.before, &change.after].into_iter().flatten() {
        if let Some(key) = controller_key(object).filter(|key| key.resource() == resource)
            && !keys.contains(&key)
        {
            keys.push(key);
        }
    }
    keys
}

/// Where the managing controller of `object` is stored.
pub(super) fn controller_key(object: &Object) -> Option<Key> {
    let owner = object.header.controller()?;
    let kind = kinds::of_object(&owner.api_version, &owner.kind)?;
    let namespace = if kind.namespaced() { object.namespace() } else { "" };
    Some(Key::new(&kind.resource(), namespace, &owner.name))
}

/// The `ownerReferences` entry by which `owner` manages a child.
pub(super) fn controller_reference(api_version: &str, kind: &str, owner: &Object) -> Value {
    json!({
        "apiVersion": api_version, "kind": kind, "name": owner.name(), "uid": &*owner.header.uid,
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// Whether `uid` manages the object.
pub(super) fn is_managed_by(object: &Object, uid: &str) -> bool {
    object.header.controller().is_some_and(|owner| &*owner.uid == uid)
}

/// The merge patch that makes the map `old` equal to `new`, an absent map standing for an empty one. None if it is, or if
/// `new` says nothing.
pub(super) fn map_changes(old: &Value, new: &Value) -> Option<Value> {
    let new = new.as_object()?;
    let nothing = Map::new();
    let old = old.as_object().unwrap_or(&nothing);
    let gone = old.keys().filter(|key| !new.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let set = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
    let changes: Map<_, _> = gone.chain(set.map(|(key, value)| (key.clone(), value.clone()))).collect();
    (!changes.is_empty()).then(|| changes.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patch::merge;

    #[test]
    fn a_map_follows_another_one() {
        let maps = [json!({}), json!({"a": "1"}), json!({"a": "2", "b": "1"}), json!({"c": "1"})];
        for old in &maps {
            for new in &maps {
                let changes = map_changes(old, new);
                assert_eq!(changes.is_none(), old == new, "{old} to {new}: {changes:?}");
                assert_eq!(merge::apply(old, &changes.unwrap_or(json!({}))).unwrap(), *new);
            }
        }
        assert_eq!(map_changes(&Value::Null, &json!({})), None);
        assert_eq!(map_changes(&maps[1], &Value::Null), None, "what is not spoken of stays");
    }
}
