//! The controllers, each a constant of one type, run by one driver.

mod account_token;
mod api_service;
mod certificate;
mod cluster_role_aggregation;
mod definition;
mod deployment;
mod disruption;
mod endpoints;
mod endpointslice;
mod endpointslice_mirroring;
mod event_ttl;
mod garbage;
mod namespace;
pub mod namespace_defaults;
mod node_lifecycle;
mod owned;
mod pod_garbage;
mod policy_types;
mod quota;
mod replicaset;
mod token_cleaner;

use crate::action::Outcome;
use crate::snapshot::{Change, Snapshot};
use jiff::Timestamp;
use peapod_api::{Key, Object};
use serde_json::Value;
use std::time::Duration;

/// What a reconciliation may know besides the snapshot.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// The server's time, which never runs backwards while the process lives.
    pub now: Timestamp,
    /// A node that has not renewed its Lease for so long is unreachable.
    pub node_grace: Duration,
}

/// What is told, in an event, of a dependent of `owner` called `name` that may not be created: reason and message.
pub fn refusal(owner: &Key, name: &str, why: &str) -> (&'static str, String) {
    match owner.resource() {
        deployment::RESOURCE => deployment::refusal(name, why),
        _ => ("FailedCreate", format!("Error creating: {why}")),
    }
}

/// The status of `owner` once that is noted in it. None if it is already, and for kinds that have no place for it.
pub fn with_refusal(owner: &Object, name: &str, why: &str, now: Timestamp) -> Option<Value> {
    match owner.key.resource() {
        deployment::RESOURCE => deployment::with_refusal(owner, name, why, now),
        replicaset::RESOURCE => replicaset::with_refusal(owner, why, now),
        _ => None,
    }
}

/// A control loop: from the world as it is to the writes that bring it nearer to what was asked for.
pub struct Controller {
    /// e.g. `replicaset`; actions are written as the user `system:serviceaccount:kube-system:NAME-controller`.
    pub name: &'static str,
    /// The keys to reconcile because of a change, seen against the snapshot that has folded it in. At start every object
    /// counts as just created.
    pub triggers: fn(&Snapshot, &Change) -> Vec<Key>,
    /// Pure: the same snapshot, key and context give the same outcome. The key may name an object that is gone.
    pub reconcile: fn(&Snapshot, &Key, &Context) -> Outcome,
}

/// Every controller.
pub static CONTROLLERS: &[Controller] = &[
    replicaset::CONTROLLER,
    deployment::CONTROLLER,
    endpointslice::CONTROLLER,
    endpoints::CONTROLLER,
    endpointslice_mirroring::CONTROLLER,
    namespace::CONTROLLER,
    definition::CONTROLLER,
    api_service::CONTROLLER,
    namespace_defaults::CONTROLLER,
    event_ttl::CONTROLLER,
    garbage::CONTROLLER,
    node_lifecycle::CONTROLLER,
    pod_garbage::CONTROLLER,
    policy_types::CONTROLLER,
    account_token::CONTROLLER,
    certificate::CONTROLLER,
    cluster_role_aggregation::CONTROLLER,
    disruption::CONTROLLER,
    quota::CONTROLLER,
    token_cleaner::CONTROLLER,
];
