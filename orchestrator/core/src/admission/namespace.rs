//! The life of namespaces: nothing is created in one that is missing or going, and some never go.

use super::is_core;
use crate::snapshot::Snapshot;
use crate::validation::text;
use peapod_api::error::Cause;
use peapod_api::{Error, Kind};
use serde_json::Value;

/// The namespaces that every cluster has.
pub const DEFAULT: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];
/// Those that cannot be deleted.
const IMMORTAL: [&str; 3] = ["default", "kube-public", "kube-system"];

/// 404 if the object's namespace is missing, 403 if it is being deleted.
pub(super) fn admit_create(snapshot: &Snapshot, kind: &Kind, object: &Value) -> Result<(), Error> {
    if !kind.namespaced() {
        return Ok(());
    }
    let metadata = &object["metadata"];
    let (name, namespace) = (text(&metadata["name"]), text(&metadata["namespace"]));
    let Some(found) = snapshot.find("namespaces", "", namespace) else {
        return Err(Error::not_found("namespaces", namespace));
    };
    if found.header.deleted.is_none() {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
    Err(Error::forbidden(&kind.resource(), name, &why).because(Cause {
        reason: "NamespaceTerminating".into(),
        message: format!("namespace {namespace} is being terminated"),
        field: "metadata.namespace".into(),
    }))
}

/// 403 for a namespace that every cluster needs.
pub fn admit_delete(kind: &Kind, name: &str) -> Result<(), Error> {
    if is_core(kind, "namespaces") && IMMORTAL.contains(&name) {
        return Err(Error::forbidden("namespaces", name, "this namespace may not be deleted"));
    }
    Ok(())
}
