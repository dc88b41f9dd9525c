//! A world of values: objects, controllers with stale eyes, a scheduler and a fake kubelet.

use jiff::Timestamp;
use peapod_api::{Draft, Key, kinds, meta};
use peapod_core::action::Action;
use peapod_core::controllers::{CONTROLLERS, Context};
use peapod_core::scheduler::{self, ClusterView, PodView};
use peapod_core::snapshot::{Change, Snapshot};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const MAX_STEPS: usize = 20_000;
/// Snapshots back in time that a controller may still see.
const STALENESS: usize = 6;

pub(crate) struct World {
    seed: u64,
    now: Timestamp,
    past: Vec<Snapshot>,
    cluster: ClusterView,
    queues: Vec<BTreeSet<Key>>,
    timers: BTreeMap<(usize, Key), Timestamp>,
    silent: BTreeSet<String>,
    uids: u64,
}

impl World {
    pub(crate) fn new(seed: u64, nodes: usize) -> World {
        let mut world = World {
            seed: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) + 1,
            now: Timestamp::from_second(1_800_000_000).unwrap(),
            past: vec![Snapshot::default()],
            cluster: ClusterView::default(),
            queues: vec![BTreeSet::new(); CONTROLLERS.len()],
            timers: BTreeMap::new(),
            silent: BTreeSet::new(),
            uids: 0,
        };
        for index in 0..nodes {
            world.create(
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("node-{index}")},
                "status": {"allocatable": {"cpu": "8", "memory": "8Gi", "pods": "100"},
                    "conditions": [{"type": "Ready", "status": "True"}]}}),
            );
            world.renew(&format!("node-{index}"));
        }
        world
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        self.past.last().unwrap()
    }

    pub(crate) fn value(&self, resource: &str, namespace: &str, name: &str) -> Value {
        self.snapshot()
            .find(resource, namespace, name)
            .unwrap_or_else(|| panic!("no {resource} {name}"))
            .value()
    }

    pub(crate) fn ready_pods(&self, namespace: &str) -> usize {
        let pods = self.snapshot().list("pods", Some(namespace));
        pods.filter(|p| p.header.ready_since.is_some() && p.header.deleted.is_none()).count()
    }

    fn random(&mut self, below: usize) -> usize {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        (self.seed % below as u64) as usize
    }

    /// The store: folds a change in and wakes whom it concerns.
    fn commit(&mut self, key: Key, after: Option<Value>) {
        let mut snapshot = self.snapshot().clone();
        let before = snapshot.get(&key).cloned();
        let revision = snapshot.revision() + 1;
        let kind = kinds::of_resource(key.resource()).unwrap();
        let after = after.map(|value| Arc::new(Draft::new(kind, key.clone(), value).at(revision)));
        let change = Change::new(revision, key, before, after);
        snapshot.apply(&change);
        self.cluster.apply(&change);
        for (index, controller) in CONTROLLERS.iter().enumerate() {
            self.queues[index].extend((controller.triggers)(&snapshot, &change));
        }
        self.past.push(snapshot);
    }

    fn key_of(object: &Value) -> Key {
        let kind = kinds::of_object(object["apiVersion"].as_str().unwrap(), object["kind"].as_str().unwrap())
            .unwrap();
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        Key::new(&kind.resource(), namespace, object["metadata"]["name"].as_str().unwrap())
    }

    pub(crate) fn create(&mut self, mut object: Value) {
        let key = World::key_of(&object);
        assert!(self.snapshot().get(&key).is_none(), "{key} exists");
        self.uids += 1;
        object["metadata"]["uid"] = format!("uid-{}", self.uids).into();
        object["metadata"]["generation"] = 1.into();
        object["metadata"]["creationTimestamp"] = meta::time(self.now).into();
        self.commit(key, Some(object));
    }

    pub(crate) fn patch(&mut self, resource: &str, namespace: &str, name: &str, patch: Value) {
        let key = Key::new(resource, namespace, name);
        let mut object = self.value(resource, namespace, name);
        let before = object["spec"].clone();
        merge(&mut object, &patch);
        if object["spec"] != before {
            let generation = object["metadata"]["generation"].as_i64().unwrap_or(0) + 1;
            object["metadata"]["generation"] = generation.into();
        }
        self.finish(key, object);
    }

    pub(crate) fn apply(&mut self, object: Value) {
        let key = World::key_of(&object);
        match self.snapshot().get(&key) {
            Some(_) => self.patch(key.resource(), key.namespace(), key.name(), object),
            None => self.create(object),
        }
    }

    /// Stores an object, or lets it go if it is being deleted and nothing holds it.
    fn finish(&mut self, key: Key, object: Value) {
        let held = |list: &Value| list.as_array().is_some_and(|l| !l.is_empty());
        let dying = object["metadata"]["deletionTimestamp"].is_string();
        let pod = key.resource() == "pods";
        let free =
            dying && !pod && !held(&object["metadata"]["finalizers"]) && !held(&object["spec"]["finalizers"]);
        self.commit(key, (!free).then_some(object));
    }

    pub(crate) fn delete(&mut self, resource: &str, namespace: &str, name: &str) {
        self.delete_with(resource, namespace, name, "");
    }

    pub(crate) fn delete_with(&mut self, resource: &str, namespace: &str, name: &str, finalizer: &str) {
        let mut object = self.value(resource, namespace, name);
        object["metadata"]["deletionTimestamp"] = meta::time(self.now).into();
        if !finalizer.is_empty() {
            object["metadata"]["finalizers"] = json!([finalizer]);
        }
        let unbound_pod = resource == "pods" && object["spec"]["nodeName"].is_null();
        let key = Key::new(resource, namespace, name);
        if unbound_pod { self.commit(key, None) } else { self.finish(key, object) }
    }

    pub(crate) fn silence(&mut self, node: &str) {
        self.silent.insert(node.into());
    }

    fn renew(&mut self, node: &str) {
        let key = Key::new("leases.coordination.k8s.io", "kube-node-lease", node);
        let uid = self.value("nodes", "", node)["metadata"]["uid"].clone();
        let owner = json!({"apiVersion": "v1", "kind": "Node", "name": node, "uid": uid});
        let lease = json!({
            "metadata": {"name": node, "namespace": "kube-node-lease", "ownerReferences": [owner]},
            "spec": {"renewTime": meta::micro_time(self.now)}});
        self.commit(key, Some(lease));
    }

    /// Lets time pass in steps of ten seconds, as heartbeats come.
    pub(crate) fn pass(&mut self, time: Duration) {
        for _ in 0..time.as_secs().div_ceil(10) {
            self.now += Duration::from_secs(10);
            let nodes: Vec<String> =
                self.snapshot().list("nodes", None).map(|n| n.name().to_string()).collect();
            for node in nodes.iter().filter(|n| !self.silent.contains(*n)).cloned().collect::<Vec<_>>() {
                self.renew(&node);
            }
            let due: Vec<_> =
                self.timers.iter().filter(|(_, at)| **at <= self.now).map(|(k, _)| k.clone()).collect();
            for (index, key) in due {
                self.timers.remove(&(index, key.clone()));
                self.queues[index].insert(key);
            }
            self.settle();
        }
    }

    pub(crate) fn settle(&mut self) {
        self.settle_while(|_| {});
    }

    /// Runs until nobody has anything to do; `check` holds after every step.
    pub(crate) fn settle_while(&mut self, check: impl Fn(&World)) {
        for _ in 0..MAX_STEPS {
            if !self.step() {
                return;
            }
            check(self);
        }
        panic!("the world does not come to rest");
    }

    /// One random actor takes one turn. False: there was nothing left to do.
    fn step(&mut self) -> bool {
        let mut actors: Vec<usize> = (0..CONTROLLERS.len()).filter(|i| !self.queues[*i].is_empty()).collect();
        let kubelet = CONTROLLERS.len();
        let pods = self.pods_to_move();
        let unbound = self.unbound();
        if !pods.is_empty() {
            actors.push(kubelet);
        }
        if !unbound.is_empty() {
            actors.push(kubelet + 1);
        }
        if actors.is_empty() {
            return false;
        }
        match actors[self.random(actors.len())] {
            actor if actor == kubelet => {
                let key = pods[self.random(pods.len())].clone();
                self.kubelet(&key);
            }
            actor if actor > kubelet => self.bind(&unbound[0]),
            index => self.control(index),
        }
        true
    }

    fn control(&mut self, index: usize) {
        let pick = self.random(self.queues[index].len());
        let key = self.queues[index].iter().nth(pick).unwrap().clone();
        self.queues[index].remove(&key);
        let back = self.random(STALENESS.min(self.past.len()));
        let seen = self.past[self.past.len() - 1 - back].clone();
        let context = Context { now: self.now, node_grace: Duration::from_secs(40) };
        let outcome = (CONTROLLERS[index].reconcile)(&seen, &key, &context);
        if let Some(after) = outcome.again_after {
            self.timers.insert((index, key.clone()), self.now + after);
        }
        if back > 0 {
            // What a stale eye saw is looked at again with a fresh one.
            self.queues[index].insert(key.clone());
        }
        if outcome.actions.is_empty() || !self.is_current(&seen, &key) {
            return;
        }
        for action in outcome.actions {
            self.act(action);
        }
    }

    /// The guard of the front door: the object and what it owns are as the decision saw them.
    fn is_current(&self, seen: &Snapshot, key: &Key) -> bool {
        let revision = |snapshot: &Snapshot| snapshot.get(key).map(|object| object.revision);
        let uid = self.snapshot().get(key).map(|object| object.header.uid.clone()).unwrap_or_default();
        revision(seen) == revision(self.snapshot())
            && self.snapshot().last_change_under(&uid) <= seen.revision()
    }

    fn act(&mut self, action: Action) {
        let there = |world: &World, key: &Key| world.snapshot().get(key).is_some();
        match action {
            Action::Create { object } if there(self, &World::key_of(&object)) => {}
            Action::Create { object } => self.create(object),
            Action::SetStatus { key, status } if there(self, &key) => {
                let mut object = self.value(key.resource(), key.namespace(), key.name());
                object["status"] = status;
                self.commit(key, Some(object));
            }
            Action::Patch { key, patch } if there(self, &key) => {
                self.patch(key.resource(), key.namespace(), key.name(), patch);
            }
            Action::Delete { key, uid, propagation, .. } => {
                let current =
                    self.snapshot().get(&key).filter(|o| *o.header.uid == *uid && o.header.deleted.is_none());
                if current.is_some() {
                    let foreground = propagation == Some(peapod_core::action::Propagation::Foreground);
                    let finalizer =
                        if foreground && key.resource() != "pods" { "foregroundDeletion" } else { "" };
                    self.delete_with(key.resource(), key.namespace(), key.name(), finalizer);
                }
            }
            _ => {}
        }
    }

    fn unbound(&self) -> Vec<Key> {
        let pods = self.snapshot().list("pods", None);
        pods.filter(|p| p.header.node.is_none() && p.header.deleted.is_none())
            .map(|p| p.key.clone())
            .collect()
    }

    fn bind(&mut self, key: &Key) {
        let pod = PodView::read(self.snapshot().get(key).unwrap());
        let seed = self.random(1000) as u64;
        let place = scheduler::schedule(&pod, &self.cluster, seed).unwrap_or_else(|e| panic!("{e}"));
        let mut object = self.value("pods", key.namespace(), key.name());
        object["spec"]["nodeName"] = place.node.to_string().into();
        self.commit(key.clone(), Some(object));
    }

    fn pods_to_move(&self) -> Vec<Key> {
        let pods = self.snapshot().list("pods", None);
        let moving = pods.filter(|p| {
            let heard = p.header.node.as_ref().is_some_and(|node| !self.silent.contains(&**node));
            heard && (p.header.deleted.is_some() || p.header.ready_since.is_none())
        });
        moving.map(|p| p.key.clone()).collect()
    }

    /// Starts a pod that is bound, and finishes one that is being deleted.
    fn kubelet(&mut self, key: &Key) {
        let mut object = self.value("pods", key.namespace(), key.name());
        if object["metadata"]["deletionTimestamp"].is_string() {
            self.commit(key.clone(), None);
            return;
        }
        self.uids += 1;
        object["status"] = json!({"phase": "Running", "podIP": format!("10.0.{}.{}", self.uids / 250, self.uids % 250),
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": meta::time(self.now)}]});
        self.commit(key.clone(), Some(object));
    }
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    let object = target.as_object_mut().unwrap();
    for (name, value) in fields {
        match value {
            Value::Null => {
                object.remove(name);
            }
            _ => merge(object.entry(name.clone()).or_insert(Value::Null), value),
        }
    }
}
