//! Prepared writes before the admission policies.

use super::FrontDoor;
use super::request::Target;
use peapod_api::{Error, Object};
use peapod_core::auth::User;
use peapod_core::policy::{self, Write};
use peapod_core::served::Served;
use peapod_core::snapshot::Snapshot;
use serde_json::Value;

impl FrontDoor {
    /// Asks the policies about the creation of `object`. Returns the warnings. Errors: a policy denies it.
    pub(super) fn judge_create(
        &self,
        snapshot: &Snapshot,
        user: &User,
        kind: &Served,
        object: &Value,
        dry_run: bool,
    ) -> Result<Vec<String>, Error> {
        let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
        let (name, namespace, new) = (text("name"), text("namespace"), Some(object));
        policy::judge(snapshot, &Write { user, kind, part: None, name, namespace, new, old: None, dry_run })
    }

    /// Lets the policies change what a write shall make of `old`, or of nothing. Errors: a policy fails.
    pub(super) fn mutate(
        &self,
        snapshot: &Snapshot,
        user: &User,
        target: &Target,
        object: &mut Value,
        old: Option<&Object>,
        dry_run: bool,
    ) -> Result<(), Error> {
        if snapshot.policies().is_empty() {
            return Ok(());
        }
        let old = old.map(Object::value);
        let (kind, part, name, namespace) =
            (&target.kind, target.subresource, &*target.name, &*target.namespace);
        let write = Write { user, kind, part, name, namespace, new: None, old: old.as_ref(), dry_run };
        if policy::mutate(snapshot, &write, object)? {
            target.kind.complete(object)?;
        }
        Ok(())
    }

    /// As [`FrontDoor::judge_create`], of a change of `old`, or of its deletion where there is nothing new.
    pub(super) fn judge_change(
        &self,
        snapshot: &Snapshot,
        user: &User,
        target: &Target,
        new: Option<&Value>,
        old: &Object,
        dry_run: bool,
    ) -> Result<Vec<String>, Error> {
        if snapshot.policies().is_empty() {
            return Ok(Vec::new());
        }
        let old = Some(&old.value());
        let (kind, part, name, namespace) =
            (&target.kind, target.subresource, &*target.name, &*target.namespace);
        policy::judge(snapshot, &Write { user, kind, part, name, namespace, new, old, dry_run })
    }
}
