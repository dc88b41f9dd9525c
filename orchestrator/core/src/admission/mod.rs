//! What the cluster adds to an object, or has against it, before it is validated and written.

mod lease;
mod limit_range;
pub mod namespace;
mod node;
mod pod;
mod pod_security;
mod priority;
pub mod service;

use crate::classes;
use crate::custom;
use crate::quota;
use crate::snapshot::Snapshot;
use crate::strategy::{Endpoint, Stamp, certificate};
use peapod_api::{Error, Kind};
use serde_json::Value;

pub use node::Block;
pub use service::Ranges;

fn is_core(kind: &Kind, plural: &str) -> bool {
    kind.group.is_empty() && kind.plural == plural
}

/// Adds to a new object what is missing, as Kubernetes does before it lets policies and webhooks change it. Done again it adds to
/// what they have changed. Errors: 403, 404, 405 if the object cannot be created here, or names what is not there.
pub fn complete(snapshot: &Snapshot, kind: &Kind, object: &mut Value, seed: u64) -> Result<(), Error> {
    namespace::admit_create(snapshot, kind, object)?;
    custom::admit_create(snapshot, kind)?;
    if is_core(kind, "pods") {
        pod::complete(snapshot, object, seed)?;
    }
    if is_core(kind, "persistentvolumeclaims") {
        classes::STORAGE.complete(snapshot, object);
    }
    if kind.group == "networking.k8s.io" && kind.plural == "ingresses" {
        classes::INGRESS.complete(snapshot, object);
    }
    Ok(())
}

/// Admits a prepared new object. The same snapshot and seed give the same allocations. Returns warnings.
pub fn admit_create(
    snapshot: &Snapshot,
    kind: &Kind,
    object: &mut Value,
    ranges: &Ranges,
    stamp: &Stamp,
) -> Result<Vec<String>, Error> {
    complete(snapshot, kind, object, stamp.seed)?;
    if is_core(kind, "pods") {
        limit_range::admit_pod(snapshot, object)?;
    }
    settled(snapshot, kind, object)?;
    if is_core(kind, "services") {
        service::allocate(snapshot, object, ranges, stamp.seed)?;
    }
    if is_core(kind, "nodes") {
        node::allocate(snapshot, object, ranges)?;
    }
    lease::stamp(kind, object, stamp.now);
    let warnings = secure(snapshot, kind, object, None)?;
    snapshot.quotas().admit(kind, object, None)?;
    Ok(warnings)
}

/// What the security levels of namespaces say.
fn secure(
    snapshot: &Snapshot,
    kind: &Kind,
    object: &Value,
    old: Option<&Value>,
) -> Result<Vec<String>, Error> {
    if is_core(kind, "namespaces") {
        return pod_security::admit_namespace(snapshot, object, old);
    }
    pod_security::admit(snapshot, kind, object, old)
}

/// What holds for new and for changed objects alike.
fn settled(snapshot: &Snapshot, kind: &Kind, object: &Value) -> Result<(), Error> {
    if is_core(kind, "persistentvolumeclaims") {
        limit_range::admit_claim(snapshot, object)?;
    }
    if kind.plural == "priorityclasses" && kind.group == "scheduling.k8s.io" {
        priority::only_one_default(snapshot, object)?;
    }
    Ok(())
}

/// Admits a prepared change of `old`. Returns warnings.
pub fn admit_update(
    snapshot: &Snapshot,
    kind: &Kind,
    endpoint: Endpoint,
    object: &mut Value,
    old: &Value,
    ranges: &Ranges,
    stamp: &Stamp,
) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    if matches!(endpoint, Endpoint::Main | Endpoint::System) {
        settled(snapshot, kind, object)?;
        warnings = secure(snapshot, kind, object, Some(old))?;
    }
    if is_core(kind, "services") && endpoint != Endpoint::Status {
        service::allocate(snapshot, object, ranges, stamp.seed)?;
    }
    lease::stamp(kind, object, stamp.now);
    certificate::date(kind, object, old, stamp.now);
    if quota::grows(kind) && endpoint != Endpoint::Status {
        snapshot.quotas().admit(kind, object, Some(old))?;
    }
    Ok(warnings)
}

/// What must still be true on the state that the write finds: the namespace is alive and has room, what was
/// allocated is free. `quotas` are those of the snapshot and of what is written together with the object before it.
pub fn recheck(
    snapshot: &Snapshot,
    quotas: &mut quota::Index,
    kind: &Kind,
    object: &Value,
    old: Option<&Value>,
) -> Result<(), Error> {
    if old.is_none() {
        namespace::admit_create(snapshot, kind, object)?;
        custom::admit_create(snapshot, kind)?;
    }
    if old.is_none() || quota::grows(kind) {
        quotas.admit(kind, object, old)?;
        quotas.reserve(kind, object, old);
    }
    if is_core(kind, "services") {
        service::check_free(snapshot, object)?;
    }
    if is_core(kind, "nodes") {
        node::check_free(snapshot, object)?;
    }
    Ok(())
}

/// Whether [`recheck`] can find anything.
pub fn needs_recheck(kind: &Kind, is_new: bool) -> bool {
    is_new && (kind.namespaced() || kind.custom || is_core(kind, "nodes")) || quota::grows(kind)
}
