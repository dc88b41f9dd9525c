//! Deletes what has lost its last owner, and carries out foreground and orphan deletion.

use super::{Context, Controller};
use crate::action::{Action, FOREGROUND, ORPHAN, Outcome, Propagation};
use crate::snapshot::{Change, Snapshot};
use peapod_api::object::Owner;
use peapod_api::{Key, Object};
use serde_json::{Value, json};

pub(super) const CONTROLLER: Controller =
    Controller { name: "generic-garbage-collector", triggers, reconcile };

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    let mut keys = Vec::new();
    match (&change.before, &change.after) {
        (Some(gone), None) => {
            keys.extend(snapshot.owned_by(&gone.header.uid).map(|dependent| dependent.key.clone()));
            keys.extend(gone.header.owners.iter().filter_map(|owner| dying_owner(snapshot, gone, owner)));
        }
        (_, Some(object)) => {
            if !object.header.owners.is_empty() || object.header.deleted.is_some() {
                keys.push(object.key.clone());
            }
            let relieved =
                change.before.as_ref().filter(|before| before.header.owners != object.header.owners);
            let owners = relieved.iter().flat_map(|before| &before.header.owners);
            keys.extend(owners.filter_map(|owner| dying_owner(snapshot, object, owner)));
        }
        (None, None) => {}
    }
    keys
}

fn dying_owner(snapshot: &Snapshot, dependent: &Object, owner: &Owner) -> Option<Key> {
    find(snapshot, dependent, owner).filter(|o| o.header.deleted.is_some()).map(|o| o.key.clone())
}

fn find<'a>(snapshot: &'a Snapshot, dependent: &Object, owner: &Owner) -> Option<&'a Object> {
    let kind = snapshot.kinds().of_object(&owner.api_version, &owner.kind)?;
    let namespace = if kind.namespaced() { dependent.namespace() } else { "" };
    let object = snapshot.find(&kind.resource(), namespace, &owner.name)?;
    (object.header.uid == owner.uid).then_some(object)
}

/// An owner of a kind that is not served cannot be checked and counts as alive.
fn is_unknown(snapshot: &Snapshot, owner: &Owner) -> bool {
    snapshot.kinds().of_object(&owner.api_version, &owner.kind).is_none()
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let Some(object) = snapshot.get(key) else { return Outcome::nothing() };
    if object.header.deleted.is_some() {
        let has = |finalizer: &str| object.header.finalizers.iter().any(|f| &**f == finalizer);
        return match (has(ORPHAN), has(FOREGROUND)) {
            (true, _) => orphan_dependents(snapshot, object),
            (_, true) => delete_dependents_first(snapshot, object),
            _ => Outcome::nothing(),
        };
    }
    let (alive, lost): (Vec<&Owner>, Vec<&Owner>) = object
        .header
        .owners
        .iter()
        .partition(|o| is_unknown(snapshot, o) || find(snapshot, object, o).is_some());
    if lost.is_empty() {
        Outcome::nothing()
    } else if alive.is_empty() {
        vec![delete(object, Propagation::Background)].into()
    } else {
        let gone: Vec<&str> = lost.iter().map(|owner| &*owner.uid).collect();
        vec![without_owners(object, &gone)].into()
    }
}

fn orphan_dependents(snapshot: &Snapshot, object: &Object) -> Outcome {
    let uid = &*object.header.uid;
    let mut actions: Vec<Action> =
        snapshot.owned_by(uid).map(|dependent| without_owners(dependent, &[uid])).collect();
    if actions.is_empty() {
        actions.push(without_finalizer(object, ORPHAN));
    }
    actions.into()
}

fn delete_dependents_first(snapshot: &Snapshot, object: &Object) -> Outcome {
    let uid = &object.header.uid;
    let blocks =
        |dependent: &Object| dependent.header.owners.iter().any(|o| o.uid == *uid && o.blocks_deletion);
    let dependents: Vec<_> = snapshot.owned_by(uid).collect();
    let mut actions: Vec<Action> = dependents
        .iter()
        .filter(|dependent| dependent.header.deleted.is_none())
        .map(|dependent| delete(dependent, Propagation::Foreground))
        .collect();
    if !dependents.iter().any(|dependent| blocks(dependent)) {
        actions.push(without_finalizer(object, FOREGROUND));
    }
    actions.into()
}

fn delete(object: &Object, propagation: Propagation) -> Action {
    Action::Delete {
        key: object.key.clone(),
        uid: object.header.uid.to_string(),
        propagation: Some(propagation),
        grace_seconds: None,
    }
}

fn without_owners(object: &Object, uids: &[&str]) -> Action {
    let value = object.value();
    let owners = value["metadata"]["ownerReferences"].as_array().into_iter().flatten();
    let kept: Vec<Value> =
        owners.filter(|o| !o["uid"].as_str().is_some_and(|uid| uids.contains(&uid))).cloned().collect();
    let kept = if kept.is_empty() { Value::Null } else { kept.into() };
    Action::Patch { key: object.key.clone(), patch: json!({"metadata": {"ownerReferences": kept}}) }
}

fn without_finalizer(object: &Object, finalizer: &str) -> Action {
    let kept: Vec<&str> = object.header.finalizers.iter().map(|f| &**f).filter(|f| *f != finalizer).collect();
    let kept = if kept.is_empty() { Value::Null } else { json!(kept) };
    Action::Patch { key: object.key.clone(), patch: json!({"metadata": {"finalizers": kept}}) }
}
