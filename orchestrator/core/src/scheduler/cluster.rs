//! What the scheduler sees: nodes with what is used of them, kept up to date change by change.

use super::affinity::NodeAffinity;
use super::taint::Taint;
use crate::snapshot::Change;
use peapod_api::object::Header;
use peapod_api::pod::{self, Resources, is_terminal_phase};
use peapod_api::{Key, Object, Quantity};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A pod as the scheduler weighs it.
#[derive(Clone, Debug)]
pub struct PodView {
    /// What it asks for.
    pub requests: Resources,
    /// What it wants of a node's labels.
    pub affinity: NodeAffinity,
    /// Its tolerations, as in the spec.
    pub tolerations: Value,
    /// The uid of its controller, by which it is spread.
    pub controller: Option<Arc<str>>,
    /// Host ports that it binds.
    pub host_ports: Vec<u16>,
}

impl PodView {
    /// Reads a pod.
    pub fn read(pod: &Object) -> PodView {
        let spec = &pod.value()["spec"];
        PodView {
            requests: pod.header.requests,
            affinity: NodeAffinity::read(spec),
            tolerations: spec["tolerations"].clone(),
            controller: controller(&pod.header),
            host_ports: host_ports(spec),
        }
    }
}

fn controller(header: &Header) -> Option<Arc<str>> {
    header.controller().map(|owner| owner.uid.clone())
}

fn host_ports(spec: &Value) -> Vec<u16> {
    let ports = pod::containers(spec).flat_map(|c| c["ports"].as_array().into_iter().flatten());
    ports.filter_map(|p| u16::try_from(p["hostPort"].as_u64()?).ok()).filter(|p| *p != 0).collect()
}

/// What one pod takes of its node.
#[derive(Clone, Debug)]
struct Share {
    requests: Resources,
    controller: Option<Arc<str>>,
    host_ports: Vec<u16>,
}

/// A node as the scheduler weighs it.
#[derive(Clone, Debug, Default)]
pub struct NodeView {
    /// Its name.
    pub name: Arc<str>,
    /// Its labels.
    pub labels: Arc<BTreeMap<String, String>>,
    /// Its taints.
    pub taints: Vec<Taint>,
    /// `spec.unschedulable`.
    pub unschedulable: bool,
    /// What pods may ask of it in all.
    pub allocatable: Resources,
    /// How many pods it takes.
    pub max_pods: usize,
    /// Whether the Node object is there; pods may be bound to one that is gone.
    exists: bool,
    used: Resources,
    shares: HashMap<Key, Share>,
    per_controller: HashMap<Arc<str>, i64>,
}

impl NodeView {
    /// What is left of it.
    pub fn free(&self) -> Resources {
        Resources {
            cpu_millis: self.allocatable.cpu_millis - self.used.cpu_millis,
            memory_bytes: self.allocatable.memory_bytes - self.used.memory_bytes,
        }
    }

    /// How many pods are on it.
    pub fn pods(&self) -> usize {
        self.shares.len()
    }

    /// How many pods of that controller are on it.
    pub fn pods_of(&self, controller: &str) -> i64 {
        self.per_controller.get(controller).copied().unwrap_or(0)
    }

    /// Whether a host port is taken.
    pub fn binds(&self, port: u16) -> bool {
        self.shares.values().any(|share| share.host_ports.contains(&port))
    }

    fn describe(&mut self, object: &Object) {
        let node = object.value();
        let allocatable = &node["status"]["allocatable"];
        let pods = allocatable["pods"].as_str().and_then(|q| q.parse::<Quantity>().ok());
        let taints = node["spec"]["taints"].as_array().into_iter().flatten();
        self.labels = object.header.labels.clone();
        self.taints = taints.map(Taint::read).collect();
        self.unschedulable = node["spec"]["unschedulable"] == true;
        self.allocatable = Resources::read(allocatable);
        self.max_pods = pods.map_or(0, |q| usize::try_from(q.value()).unwrap_or(0));
        self.exists = true;
    }

    fn add(&mut self, key: Key, share: Share) {
        self.remove(&key);
        self.used = self.used.plus(share.requests);
        if let Some(uid) = &share.controller {
            *self.per_controller.entry(uid.clone()).or_default() += 1;
        }
        self.shares.insert(key, share);
    }

    fn remove(&mut self, key: &Key) {
        let Some(share) = self.shares.remove(key) else { return };
        self.used.cpu_millis -= share.requests.cpu_millis;
        self.used.memory_bytes -= share.requests.memory_bytes;
        if let Some(uid) = &share.controller
            && let Some(count) = self.per_controller.get_mut(uid)
        {
            *count -= 1;
            if *count == 0 {
                self.per_controller.remove(uid);
            }
        }
    }
}

/// All nodes.
#[derive(Clone, Debug, Default)]
pub struct ClusterView {
    nodes: BTreeMap<Arc<str>, NodeView>,
    /// Binds that were asked for and are not committed yet.
    assumed: BTreeSet<Key>,
}

impl ClusterView {
    /// The nodes that exist.
    pub fn nodes(&self) -> impl Iterator<Item = &NodeView> {
        self.nodes.values().filter(|node| node.exists)
    }

    /// Folds one change in. Returns whether it may let a pod in that did not fit before.
    pub fn apply(&mut self, change: &Change) -> bool {
        match change.key.resource() {
            "nodes" => self.apply_node(change),
            "pods" => self.apply_pod(change),
            _ => false,
        }
    }

    fn node(&mut self, name: &Arc<str>) -> &mut NodeView {
        self.nodes
            .entry(name.clone())
            .or_insert_with(|| NodeView { name: name.clone(), ..NodeView::default() })
    }

    fn apply_node(&mut self, change: &Change) -> bool {
        let name: Arc<str> = change.key.name().into();
        match &change.after {
            Some(object) => {
                let node = self.node(&name);
                let before = node.shape();
                node.describe(object);
                before != node.shape()
            }
            None => {
                self.node(&name).exists = false;
                false
            }
        }
    }

    fn apply_pod(&mut self, change: &Change) -> bool {
        let takes = |object: &&Arc<Object>| !object.header.phase.as_deref().is_some_and(is_terminal_phase);
        let node_of = |object: &Option<Arc<Object>>| {
            object.as_ref().filter(takes).and_then(|object| object.header.node.clone())
        };
        let (before, after) = (node_of(&change.before), node_of(&change.after));
        if let (Some(name), Some(pod)) = (&after, &change.after)
            && before.is_none()
        {
            self.assumed.remove(&change.key);
            let share = Share {
                requests: pod.header.requests,
                controller: controller(&pod.header),
                host_ports: host_ports(&pod.value()["spec"]),
            };
            self.node(name).add(change.key.clone(), share);
        }
        if change.after.is_none() && self.assumed.contains(&change.key) {
            self.forget(&change.key);
        }
        match before.filter(|_| after.is_none()) {
            Some(name) => {
                self.node(&name).remove(&change.key);
                true
            }
            None => false,
        }
    }

    /// Counts a pod as bound before the bind is committed.
    pub fn assume(&mut self, key: &Key, pod: &PodView, node: &Arc<str>) {
        let share = Share {
            requests: pod.requests,
            controller: pod.controller.clone(),
            host_ports: pod.host_ports.clone(),
        };
        self.node(node).add(key.clone(), share);
        self.assumed.insert(key.clone());
    }

    /// Takes an assumption back: the bind was refused.
    pub fn forget(&mut self, key: &Key) {
        if self.assumed.remove(key) {
            for node in self.nodes.values_mut() {
                node.remove(key);
            }
        }
    }
}

impl NodeView {
    /// What decides whether pods may fit now that did not before.
    fn shape(&self) -> impl PartialEq + use<> {
        let labels = self.labels.clone();
        (self.exists, labels, self.taints.clone(), self.unschedulable, self.allocatable, self.max_pods)
    }
}
