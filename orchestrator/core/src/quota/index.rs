//! The quotas of all namespaces, each with what is used of it: counted once when a quota comes or changes, and kept with each
//! change of what it counts. What a check costs does not depend on how much there is.

use super::{Amounts, IN_HEADER, PODS, QUOTAS, hard, in_header, resource_of, takes_in, unsaid, usage};
use crate::snapshot::{Change, Snapshot};
use crate::validation::text;
use imbl::OrdMap;
use peapod_api::{Error, Key, Kind, Object, Quantity};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// All quotas. Cloning costs a few reference counts.
#[derive(Clone, Debug, Default)]
pub struct Index(OrdMap<Key, Arc<Count>>);

/// One quota, read, and what is used of it.
#[derive(Clone, Debug)]
struct Count {
    spec: Value,
    hard: Amounts,
    /// The resources whose objects it counts.
    resources: BTreeSet<String>,
    /// Whether the header of a pod tells what the pod uses.
    in_header: bool,
    used: Amounts,
}

impl Count {
    /// A quota of which nothing is used.
    fn new(quota: &Object) -> Count {
        let spec = quota.value()["spec"].take();
        let hard = hard(&spec);
        let resources = hard.keys().map(|name| resource_of(name).to_string()).collect();
        let of_pods = |name: &&String| resource_of(name) == PODS;
        let in_header = spec["scopes"].is_null()
            && spec["scopeSelector"].is_null()
            && hard.keys().filter(of_pods).all(|name| IN_HEADER.contains(&name.as_str()));
        let used = hard.keys().map(|name| (name.clone(), Quantity::whole(0))).collect();
        Count { spec, hard, resources, in_header, used }
    }

    /// The same with everything that is there.
    fn counted(mut self, snapshot: &Snapshot, namespace: &str) -> Count {
        for resource in self.resources.clone() {
            for object in snapshot.list(&resource, Some(namespace)) {
                let asked = self.asked_by(object);
                self.note(&asked, Quantity::plus);
            }
        }
        self
    }

    /// What an object uses of it.
    fn asked_by(&self, object: &Object) -> Amounts {
        match object.key.resource() {
            PODS if self.in_header => self.limited(in_header(object)),
            resource => self.asked(resource, &object.value()),
        }
    }

    fn asked(&self, resource: &str, object: &Value) -> Amounts {
        if self.resources.contains(resource) && takes_in(&self.spec, resource, object) {
            return self.limited(usage(resource, object));
        }
        Amounts::new()
    }

    fn limited(&self, mut amounts: Amounts) -> Amounts {
        amounts.retain(|name, _| self.hard.contains_key(name));
        amounts
    }

    fn note(&mut self, amounts: &Amounts, how: fn(Quantity, Quantity) -> Quantity) {
        for (name, amount) in amounts {
            if let Some(used) = self.used.get_mut(name) {
                *used = how(*used, *amount);
            }
        }
    }

    /// What would be used too much, of what is asked for beyond `had`; none if there is room. In Kubernetes' words.
    fn exceeded(&self, name: &str, asked: &Amounts, had: &Amounts) -> Option<String> {
        let more: Vec<(&String, Quantity)> = asked
            .iter()
            .map(|(name, amount)| (name, had.get(name).map_or(*amount, |had| amount.minus(*had))))
            .filter(|(name, more)| {
                *more > Quantity::whole(0) && self.used[*name].plus(*more) > self.hard[*name]
            })
            .collect();
        let list = |of: &dyn Fn(&(&String, Quantity)) -> Quantity| {
            more.iter().map(|entry| format!("{}={}", entry.0, of(entry))).collect::<Vec<_>>().join(",")
        };
        (!more.is_empty()).then(|| {
            format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                list(&|(_, more)| *more),
                list(&|(name, _)| self.used[*name]),
                list(&|(name, _)| self.hard[*name]),
            )
        })
    }
}

impl Index {
    /// Whether a change can make a difference.
    pub fn concerns(&self, change: &Change) -> bool {
        change.key.resource() == QUOTAS || !self.0.is_empty()
    }

    /// Folds one change in, which `snapshot` holds already.
    pub fn apply(&mut self, snapshot: &Snapshot, change: &Change) {
        self.feel(change);
        if change.key.resource() != QUOTAS {
            return;
        }
        let Some(quota) = &change.after else { return drop(self.0.remove(&change.key)) };
        let fresh = Count::new(quota);
        if self.0.get(&change.key).is_none_or(|known| known.spec != fresh.spec) {
            self.0.insert(change.key.clone(), Arc::new(fresh.counted(snapshot, change.key.namespace())));
        }
    }

    fn feel(&mut self, change: &Change) {
        let asked = |count: &Count, object: &Option<Arc<Object>>| {
            object.as_ref().map(|object| count.asked_by(object)).unwrap_or_default()
        };
        let mut moved = Vec::new();
        for (key, count) in self.of(change.key.namespace()) {
            if count.resources.contains(change.key.resource()) {
                let (before, after) = (asked(count, &change.before), asked(count, &change.after));
                if before != after {
                    moved.push((key.clone(), before, after));
                }
            }
        }
        for (key, before, after) in moved {
            let Some(count) = self.0.get_mut(&key).map(Arc::make_mut) else { continue };
            count.note(&before, Quantity::minus);
            count.note(&after, Quantity::plus);
        }
    }

    /// The quotas of a namespace.
    fn of<'a>(&'a self, namespace: &str) -> impl Iterator<Item = (&'a Key, &'a Arc<Count>)> + use<'a> {
        let prefix = if self.0.is_empty() { String::new() } else { format!("{QUOTAS}/{namespace}/") };
        let from: &str = &prefix;
        let range = self.0.range::<_, str>((std::ops::Bound::Included(from), std::ops::Bound::Unbounded));
        range.take_while(move |(key, _)| key.as_str().starts_with(&prefix))
    }

    /// What is used of what the quota at `key` limits; what nothing uses is 0.
    pub fn used(&self, key: &Key) -> Amounts {
        self.0.get(key).map(|count| count.used.clone()).unwrap_or_default()
    }

    /// Whether the quotas of its namespace leave room for a new object, or for what a change of `old` asks for besides.
    /// Errors: 403.
    pub fn admit(&self, kind: &Kind, object: &Value, old: Option<&Value>) -> Result<(), Error> {
        if self.0.is_empty() {
            return Ok(());
        }
        let (resource, metadata) = (kind.stored_resource(), &object["metadata"]);
        for (key, count) in self.of(text(&metadata["namespace"])) {
            if !count.resources.contains(&resource) || !takes_in(&count.spec, &resource, object) {
                continue;
            }
            let missing = (resource == PODS && old.is_none())
                .then(|| unsaid(&count.hard, &object["spec"]))
                .flatten()
                .map(|missing| format!("failed quota: {}: must specify {missing}", key.name()));
            let had = old.map(|old| count.asked(&resource, old)).unwrap_or_default();
            let why = missing.or_else(|| count.exceeded(key.name(), &count.asked(&resource, object), &had));
            if let Some(why) = why {
                let name = if text(&metadata["name"]).is_empty() { "generateName" } else { "name" };
                return Err(Error::forbidden(&kind.resource(), text(&metadata[name]), &why));
            }
        }
        Ok(())
    }

    /// Counts an object that is about to be written, in the place of `old`.
    pub fn reserve(&mut self, kind: &Kind, object: &Value, old: Option<&Value>) {
        let resource = kind.stored_resource();
        let keys: Vec<Key> =
            self.of(text(&object["metadata"]["namespace"])).map(|(key, _)| key.clone()).collect();
        for key in keys {
            let Some(count) = self.0.get_mut(&key).map(Arc::make_mut) else { continue };
            let had = old.map(|old| count.asked(&resource, old)).unwrap_or_default();
            count.note(&had, Quantity::minus);
            let asked = count.asked(&resource, object);
            count.note(&asked, Quantity::plus);
        }
    }
}
