//! Empties a namespace that is being deleted, then lets it go.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::snapshot::{Change, Snapshot};
use peapod_api::Key;
use serde_json::json;

pub(super) const CONTROLLER: Controller = Controller { name: "namespace", triggers, reconcile };

/// Objects deleted in one write; their deletion brings the controller back for the rest.
const BURST: usize = 500;

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    if change.key.resource() == "namespaces" {
        return vec![change.key.clone()];
    }
    let namespace = Key::new("namespaces", "", change.key.namespace());
    let dying = snapshot.get(&namespace).is_some_and(|n| n.header.deleted.is_some());
    Vec::from_iter(dying.then_some(namespace))
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let Some(namespace) = snapshot.get(key).filter(|n| n.header.deleted.is_some()) else {
        return Outcome::nothing();
    };
    let kinds = snapshot.kinds().resources().filter(|kind| kind.namespaced());
    let left: Vec<_> =
        kinds.flat_map(|kind| snapshot.list(&kind.resource(), Some(key.name()))).take(BURST).collect();
    if left.is_empty() {
        let finalizers = namespace.value()["spec"]["finalizers"].clone();
        let done = finalizers.as_array().is_none_or(Vec::is_empty);
        let patch = json!({"spec": {"finalizers": null}});
        return Vec::from_iter((!done).then(|| Action::Patch { key: key.clone(), patch })).into();
    }
    let doomed = left.into_iter().filter(|object| object.header.deleted.is_none());
    let actions: Vec<Action> = doomed.map(|object| Action::delete(object)).collect();
    actions.into()
}
