//! The controllers, each a constant of one type, run by one driver.

use crate::action::Outcome;
use crate::snapshot::{Change, Snapshot};
use jiff::Timestamp;
use peapod_api::Key;

/// A control loop: from the world as it is to the writes that bring it nearer to what was asked for.
pub struct Controller {
    /// e.g. `replicaset`; actions are written as the user `system:serviceaccount:kube-system:NAME-controller`.
    pub name: &'static str,
    /// The resource that is reconciled, e.g. `replicasets.apps`; its objects are all reconciled at start.
    pub resource: &'static str,
    /// The keys to reconcile because of a change, seen against the snapshot that has folded it in.
    pub triggers: fn(&Snapshot, &Change) -> Vec<Key>,
    /// Pure: the same snapshot, key and time give the same outcome. The key may name an object that is gone.
    pub reconcile: fn(&Snapshot, &Key, now: Timestamp) -> Outcome,
}

/// Every controller.
pub static CONTROLLERS: &[Controller] = &[];
