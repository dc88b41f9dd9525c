//! Admission policies: rules in CEL that an administrator gives for writes of any kind.

mod compiled;
mod judge;
mod matching;

pub(crate) use compiled::Compiled;
pub use judge::judge;

use crate::auth::User;
use crate::served::Served;
use crate::snapshot::{Change, Snapshot};
use crate::validation::text;
use peapod_api::{Object, Subresource};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

const POLICIES: &str = "validatingadmissionpolicies.admissionregistration.k8s.io";
const BINDINGS: &str = "validatingadmissionpolicybindings.admissionregistration.k8s.io";

/// What a write is, as policies see it.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// Who writes.
    pub user: &'a User,
    /// What kind of object.
    pub kind: &'a Served,
    /// Which part of it.
    pub part: Option<Subresource>,
    /// Its name.
    pub name: &'a str,
    /// Its namespace; empty for a cluster-wide kind.
    pub namespace: &'a str,
    /// As it shall be; none for a deletion.
    pub new: Option<&'a Value>,
    /// As it is; none for a creation.
    pub old: Option<&'a Value>,
    /// Whether nothing is to be kept.
    pub dry_run: bool,
}

impl Write<'_> {
    /// Kubernetes' word for it.
    fn operation(&self) -> &'static str {
        match (self.new, self.old) {
            (_, None) => "CREATE",
            (None, _) => "DELETE",
            _ => "UPDATE",
        }
    }
}

/// The policies and bindings of one snapshot; a value that is made anew only when one of them changes.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    policies: BTreeMap<Box<str>, Arc<Policy>>,
    bindings: BTreeMap<Box<str>, Arc<Value>>,
}

#[derive(Debug)]
struct Policy {
    object: Value,
    compiled: OnceLock<Compiled>,
}

impl Policy {
    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| Compiled::read(&self.object["spec"]))
    }
}

impl Policies {
    /// The set after a change; none if it does not concern it.
    pub(crate) fn changed(&self, change: &Change) -> Option<Policies> {
        let (resource, name) = (change.key.resource(), change.key.name());
        if resource != POLICIES && resource != BINDINGS {
            return None;
        }
        let (mut changed, object) = (self.clone(), change.after.as_deref().map(Object::value));
        match (resource == POLICIES, object) {
            (true, Some(object)) => {
                let policy = Policy { object, compiled: OnceLock::new() };
                changed.policies.insert(name.into(), Arc::new(policy));
            }
            (true, None) => _ = changed.policies.remove(name),
            (false, Some(object)) => _ = changed.bindings.insert(name.into(), Arc::new(object)),
            (false, None) => _ = changed.bindings.remove(name),
        }
        Some(changed)
    }

    /// Each binding with its policy.
    fn bound(&self) -> impl Iterator<Item = (&Policy, &Value)> {
        self.bindings.values().filter_map(|binding| {
            let policy = self.policies.get(text(&binding["spec"]["policyName"]))?;
            Some((&**policy, &**binding))
        })
    }

    /// Whether no write is judged.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty() || self.policies.is_empty()
    }
}

/// The object of a namespace.
fn namespace_of(snapshot: &Snapshot, name: &str) -> Option<Value> {
    snapshot.find("namespaces", "", name).map(|namespace| namespace.value())
}

#[cfg(test)]
mod tests;
