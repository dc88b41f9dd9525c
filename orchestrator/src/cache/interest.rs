//! What a watcher wants to hear of.

use peapod_api::{Key, kinds};
use peapod_core::snapshot::Change;

/// The changes that concern a watcher: all conditions that are given hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// `pods`, `deployments.apps`; empty for every resource.
    pub resource: String,
    /// Only of this namespace.
    pub namespace: Option<String>,
    /// Only of this name.
    pub name: Option<String>,
    /// Only pods that are, or were until the change, on this node.
    pub node: Option<String>,
}

/// Where a cursor is registered: every change that concerns it belongs to this topic, and few others do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    /// Keys that begin so: a resource, a namespace of one, or one object.
    Prefix(String),
    /// Pods on a node.
    Node(String),
}

impl Interest {
    /// Everything.
    pub fn everything() -> Interest {
        Interest::default()
    }

    /// All objects of a resource.
    pub fn resource(resource: &str) -> Interest {
        Interest { resource: resource.into(), ..Interest::default() }
    }

    /// One object.
    pub fn object(key: &Key) -> Interest {
        Interest {
            resource: key.resource().into(),
            namespace: Some(key.namespace().into()),
            name: Some(key.name().into()),
            node: None,
        }
    }

    /// Cluster-wide kinds have the empty namespace, whether it was given or not.
    fn namespace(&self) -> Option<&str> {
        let cluster_wide = kinds::of_resource(&self.resource).is_some_and(|kind| !kind.namespaced());
        if cluster_wide { Some("") } else { self.namespace.as_deref() }
    }

    /// What all keys of interest begin with.
    pub(super) fn prefix(&self) -> String {
        match (self.resource.as_str(), self.namespace(), &self.name) {
            ("", ..) => String::new(),
            (resource, None, _) => format!("{resource}/"),
            (resource, Some(namespace), None) => format!("{resource}/{namespace}/"),
            (resource, Some(namespace), Some(name)) => Key::new(resource, namespace, name).to_string(),
        }
    }

    pub(super) fn topic(&self) -> Topic {
        match &self.node {
            Some(node) => Topic::Node(node.clone()),
            None => Topic::Prefix(self.prefix()),
        }
    }

    /// Whether some of it is never written to the log.
    pub(super) fn includes_volatile(&self) -> bool {
        kinds::includes_volatile(&self.resource, self.namespace())
    }

    /// Whether `change` concerns this watcher.
    pub fn takes(&self, change: &Change) -> bool {
        let key = &change.key;
        (self.resource.is_empty() || key.resource() == self.resource)
            && self.namespace.as_ref().is_none_or(|namespace| is_in(key, namespace))
            && self.name.as_ref().is_none_or(|name| key.name() == name)
            && self.node.as_ref().is_none_or(|node| nodes(change).any(|n| n == node))
    }
}

/// Whether the object is in the namespace, or in none as those of cluster-wide kinds.
fn is_in(key: &Key, namespace: &str) -> bool {
    let own = key.namespace();
    own.is_empty() || own == namespace
}

/// The nodes that a change concerns: where the pod was and where it is.
pub(super) fn nodes(change: &Change) -> impl Iterator<Item = &str> {
    [&change.before, &change.after].into_iter().flatten().filter_map(|object| object.header.node.as_deref())
}
