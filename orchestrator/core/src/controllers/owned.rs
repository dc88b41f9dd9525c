//! What controllers of owned objects share.

use crate::snapshot::Change;
use peapod_api::{Key, Object, kinds};
use serde_json::{Value, json};

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
