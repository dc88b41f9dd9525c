//! Removes pods whose node is gone: no agent is left to finish their deletion.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::snapshot::{Change, Snapshot};
use peapod_api::Key;

pub(super) const CONTROLLER: Controller = Controller { name: "pod-garbage-collector", triggers, reconcile };

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    match change.key.resource() {
        "nodes" if change.after.is_none() => {
            snapshot.pods_on(change.key.name()).map(|pod| pod.key.clone()).collect()
        }
        "pods" if change.after.is_some() => vec![change.key.clone()],
        _ => Vec::new(),
    }
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let Some(pod) = snapshot.get(key) else { return Outcome::nothing() };
    let Some(node) = &pod.header.node else { return Outcome::nothing() };
    if snapshot.find("nodes", "", node).is_some() {
        return Outcome::nothing();
    }
    vec![Action::Delete {
        key: key.clone(),
        uid: pod.header.uid.to_string(),
        propagation: None,
        grace_seconds: Some(0),
    }]
    .into()
}
