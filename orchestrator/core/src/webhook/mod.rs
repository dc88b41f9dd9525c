//! Admission webhooks: which of them a write concerns, what they are asked, and what their answers mean. Nothing is called
//! here.

mod answer;
mod hook;
mod rounds;
mod service;

pub use answer::{Answer, Denial};
pub use hook::{Hook, Place};
pub use rounds::Rounds;
pub use service::{Backend, backends};

use crate::snapshot::Change;
use crate::validation::items;
use peapod_api::well_known::ADMISSION_GROUP;
use peapod_api::{Kind, Object};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const MUTATING: &str = "mutatingwebhookconfigurations.admissionregistration.k8s.io";
const VALIDATING: &str = "validatingwebhookconfigurations.admissionregistration.k8s.io";

/// The webhooks of one snapshot; a value that is made anew only when a configuration changes.
#[derive(Clone, Debug, Default)]
pub struct Webhooks {
    mutating: Side,
    validating: Side,
}

/// The webhooks of one sort by the resources that their rules name. Each list is in the order of the calls: by the names of
/// the configurations, and as they stand there.
#[derive(Clone, Debug, Default)]
struct Side {
    configurations: BTreeMap<Box<str>, Vec<Arc<Hook>>>,
    by_resource: BTreeMap<Box<str>, Vec<Arc<Hook>>>,
    /// Of a resource that no rule names.
    of_others: Vec<Arc<Hook>>,
}

impl Webhooks {
    /// The set after a change; none if it does not concern it.
    pub(crate) fn changed(&self, change: &Change) -> Option<Webhooks> {
        let resource = change.key.resource();
        if !matches!(resource, MUTATING | VALIDATING) {
            return None;
        }
        let mut changed = self.clone();
        let side = if resource == MUTATING { &mut changed.mutating } else { &mut changed.validating };
        match change.after.as_deref().map(Object::value) {
            Some(object) => {
                let hooks = items(&object["webhooks"]).map(|hook| Arc::new(Hook::read(hook)));
                side.configurations.insert(change.key.name().into(), hooks.collect());
            }
            None => drop(side.configurations.remove(change.key.name())),
        }
        side.index();
        Some(changed)
    }

    /// Those that may change a write of `kind`, in the order in which they are called.
    pub fn mutating(&self, kind: &Kind) -> &[Arc<Hook>] {
        self.mutating.of(kind)
    }

    /// Those that may deny a write of `kind`.
    pub fn validating(&self, kind: &Kind) -> &[Arc<Hook>] {
        self.validating.of(kind)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.mutating.configurations.is_empty() && self.validating.configurations.is_empty()
    }
}

impl Side {
    /// Nobody locks himself out: no webhook is asked about what says what is admitted. Of questions about rights they are, as
    /// in Kubernetes.
    fn of(&self, kind: &Kind) -> &[Arc<Hook>] {
        if kind.group == ADMISSION_GROUP {
            return &[];
        }
        self.by_resource.get(&*kind.plural).unwrap_or(&self.of_others)
    }

    fn index(&mut self) {
        let all: Vec<&Arc<Hook>> = self.configurations.values().flatten().collect();
        let naming = |name: &str| -> Vec<Arc<Hook>> {
            let names = |hook: &&&Arc<Hook>| hook.resources().any(|own| own == name || own == "*");
            all.iter().filter(names).map(|hook| (*hook).clone()).collect()
        };
        let names: BTreeSet<&str> = all.iter().flat_map(|hook| hook.resources()).collect();
        let by_resource =
            names.iter().filter(|name| **name != "*").map(|name| ((*name).into(), naming(name))).collect();
        let of_others = naming("*");
        (self.by_resource, self.of_others) = (by_resource, of_others);
    }
}

/// What a webhook's `clientConfig`, or another part of it, says in a field; empty where it says nothing.
fn text_of(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_default().into()
}

#[cfg(test)]
mod tests;
