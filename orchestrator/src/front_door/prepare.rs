//! From a decoded object to what is written: the same steps for users, controllers and dry runs.

use super::request::Target;
use jiff::Timestamp;
use peapod_api::{Error, Key, Kind, Object, Subresource};
use peapod_core::admission::{self, Ranges};
use peapod_core::patch::{Operation, managed_fields};
use peapod_core::served::Served;
use peapod_core::snapshot::Snapshot;
use peapod_core::strategy::deletion::{self, Deletion, Wish};
use peapod_core::strategy::{self, Endpoint, Stamp};
use serde_json::Value;
use std::sync::Arc;

/// One write that is ready for the store.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) kind: Served,
    pub(super) key: Key,
    /// What it was decided on; none for a creation.
    pub(super) before: Option<Arc<Object>>,
    /// The half of it that is written, where it is not the main one.
    pub(super) part: Option<Subresource>,
    /// The object as it shall be; as it last was, if it is removed.
    pub(super) object: Value,
    /// Whether the object goes.
    pub(super) removes: bool,
    pub(super) warnings: Vec<String>,
}

/// What preparing needs to know of the moment.
pub(super) struct Moment<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) ranges: &'a Ranges,
    pub(super) stamp: Stamp,
    /// Whether NetworkPolicies are kept although nothing enforces them.
    pub(super) accept_network_policies: bool,
}

/// A policy that nobody enforces would protect nobody.
fn refuse_unenforced(moment: &Moment<'_>, kind: &Kind, object: &Value) -> Result<(), Error> {
    let concerned = kind.plural == "networkpolicies" && kind.resource() == NETWORK_POLICIES;
    if moment.accept_network_policies || !concerned {
        return Ok(());
    }
    let why = "network policies are not enforced by this server; started with --accept-network-policies it keeps them \
               all the same";
    Err(Error::forbidden(NETWORK_POLICIES, object["metadata"]["name"].as_str().unwrap_or_default(), why))
}

const NETWORK_POLICIES: &str = "networkpolicies.networking.k8s.io";

fn key_of(kind: &Kind, object: &Value) -> Key {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    Key::new(&kind.stored_resource(), text("namespace"), text("name"))
}

/// Prepares the creation of `object`, decoded and complete. `operation` is recorded in the managed fields; an applied
/// object has recorded its own. Errors: whatever speaks against the object.
pub(super) fn create(
    moment: &Moment<'_>,
    kind: &Served,
    mut object: Value,
    operation: Option<&Operation<'_>>,
) -> Result<Step, Error> {
    let ty = kind.ty()?;
    refuse_unenforced(moment, kind, &object)?;
    strategy::prepare_create(kind, &mut object, &moment.stamp);
    let mut warnings =
        admission::admit_create(moment.snapshot, kind, &mut object, moment.ranges, &moment.stamp)?;
    kind.normalize(&mut object)?;
    if let Some(operation) = operation {
        managed_fields::update(ty, None, &mut object, operation);
    }
    warnings.extend(strategy::validate_create(kind, &object)?);
    if !kind.acted_on {
        warnings.push(format!("{} are stored, but nothing acts on them yet", kind.resource()));
    }
    let key = key_of(kind, &object);
    if moment.snapshot.get(&key).is_some() {
        return Err(Error::already_exists(&kind.resource(), key.name()));
    }
    Ok(Step { kind: kind.clone(), key, before: None, part: None, object, removes: false, warnings })
}

/// Prepares the replacement of `before` by `object`, decoded and complete.
pub(super) fn update(
    moment: &Moment<'_>,
    kind: &Served,
    endpoint: Endpoint,
    before: &Arc<Object>,
    mut object: Value,
    operation: Option<&Operation<'_>>,
) -> Result<Step, Error> {
    let ty = kind.ty()?;
    let old = before.value();
    same_object(kind, before, &object)?;
    strategy::prepare_update(kind, endpoint, &mut object, &old);
    let mut warnings = admission::admit_update(
        moment.snapshot,
        kind,
        endpoint,
        &mut object,
        &old,
        moment.ranges,
        &moment.stamp,
    )?;
    kind.normalize(&mut object)?;
    object["metadata"]["resourceVersion"] = before.revision.to_string().into();
    if let Some(operation) = operation {
        managed_fields::update(ty, Some(&old), &mut object, operation);
    }
    warnings.extend(strategy::validate_update(kind, endpoint, &object, &old)?);
    let removes = deletion::is_over(&object);
    let (key, before, part) = (before.key.clone(), Some(before.clone()), part(endpoint));
    Ok(Step { kind: kind.clone(), key, before, part, object, removes, warnings })
}

/// Prepares the deletion of `before`; none if it is being deleted already and nothing changes that.
pub(super) fn delete(kind: &Served, before: &Arc<Object>, wish: Wish, now: Timestamp) -> Option<Step> {
    let value = before.value();
    let (object, removes) = match deletion::delete(kind, &value, wish, now) {
        Deletion::Pending => return None,
        Deletion::Mark(marked) => (marked, false),
        Deletion::Remove => (value, true),
    };
    let (kind, key, warnings) = (kind.clone(), before.key.clone(), Vec::new());
    Some(Step { kind, key, before: Some(before.clone()), part: None, object, removes, warnings })
}

fn part(endpoint: Endpoint) -> Option<Subresource> {
    match endpoint {
        Endpoint::Main | Endpoint::System => None,
        Endpoint::Status => Some(Subresource::Status),
        Endpoint::Binding => Some(Subresource::Binding),
        Endpoint::Approval => Some(Subresource::Approval),
    }
}

/// What the writer says of uid and resourceVersion must be so. Errors: 409.
fn same_object(kind: &Kind, before: &Object, object: &Value) -> Result<(), Error> {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let (uid, version) = (text("uid"), text("resourceVersion"));
    if !uid.is_empty() && uid != &*before.header.uid {
        return Err(Error::precondition(&kind.resource(), before.name(), "UID", uid, &before.header.uid));
    }
    if !version.is_empty() && version != before.revision.to_string() {
        return Err(Error::modified(&kind.resource(), before.name()));
    }
    Ok(())
}

/// The half of the object that `target` names. Errors: 405 for a part that is not written this way.
pub(super) fn endpoint(target: &Target) -> Result<Endpoint, Error> {
    match target.subresource {
        None => Ok(Endpoint::Main),
        Some(Subresource::Status) => Ok(Endpoint::Status),
        Some(Subresource::Approval) => Ok(Endpoint::Approval),
        Some(Subresource::Finalize) => Ok(Endpoint::System),
        Some(_) => Err(Error::method_not_allowed()),
    }
}
