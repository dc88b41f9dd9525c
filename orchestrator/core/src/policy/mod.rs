//! Admission policies: rules in CEL that an administrator gives for writes of any kind.

mod compiled;
mod judge;
mod matching;
mod mutate;
mod types;
mod write;

pub(crate) use compiled::Compiled;
pub use judge::judge;
pub(crate) use judge::variables;
pub(crate) use matching::{in_namespace, is_selected, matched};
pub use mutate::{mutate, mutate_again};
pub(crate) use types::type_warnings;
pub use write::Write;
pub(crate) use write::request;

use crate::snapshot::{Change, Snapshot};
use crate::validation::text;
use peapod_api::Object;
use peapod_api::well_known::ADMISSION_GROUP;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

pub(crate) const VALIDATING: &str = "validatingadmissionpolicies.admissionregistration.k8s.io";
const VALIDATING_BINDINGS: &str = "validatingadmissionpolicybindings.admissionregistration.k8s.io";
const MUTATING: &str = "mutatingadmissionpolicies.admissionregistration.k8s.io";
const MUTATING_BINDINGS: &str = "mutatingadmissionpolicybindings.admissionregistration.k8s.io";

/// The policies of one snapshot; a value that is made anew only when one of them changes.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    validating: Set,
    mutating: Set,
}

/// Policies and their bindings by name.
#[derive(Clone, Debug, Default)]
struct Set {
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
        let resource = change.key.resource();
        if !matches!(resource, VALIDATING | VALIDATING_BINDINGS | MUTATING | MUTATING_BINDINGS) {
            return None;
        }
        let mut changed = self.clone();
        let is_validating = matches!(resource, VALIDATING | VALIDATING_BINDINGS);
        let set = if is_validating { &mut changed.validating } else { &mut changed.mutating };
        let name = change.key.name();
        let is_policy = matches!(change.key.resource(), VALIDATING | MUTATING);
        match (is_policy, change.after.as_deref().map(Object::value)) {
            (true, Some(object)) => {
                let policy = Policy { object, compiled: OnceLock::new() };
                set.policies.insert(name.into(), Arc::new(policy));
            }
            (true, None) => _ = set.policies.remove(name),
            (false, Some(object)) => _ = set.bindings.insert(name.into(), Arc::new(object)),
            (false, None) => _ = set.bindings.remove(name),
        }
        Some(changed)
    }

    /// Whether no write is judged or changed.
    pub fn is_empty(&self) -> bool {
        self.validating.is_empty() && self.mutating.is_empty()
    }
}

impl Set {
    /// Each binding with its policy.
    fn bound(&self) -> impl Iterator<Item = (&Policy, &Value)> {
        self.bindings.values().filter_map(|binding| {
            let policy = self.policies.get(text(&binding["spec"]["policyName"]))?;
            Some((&**policy, &**binding))
        })
    }

    fn is_empty(&self) -> bool {
        self.bindings.is_empty() || self.policies.is_empty()
    }
}

/// Nobody locks himself out: policies do not speak of policies, nor, as webhooks may, of questions about rights.
fn is_beyond_policies(write: &Write<'_>) -> bool {
    write.kind.group == ADMISSION_GROUP || !write.kind.stored()
}

/// The object of a namespace.
fn namespace_of(snapshot: &Snapshot, name: &str) -> Option<Value> {
    snapshot.find("namespaces", "", name).map(|namespace| namespace.value())
}

#[cfg(test)]
mod tests;
