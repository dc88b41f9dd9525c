//! The fold of the log: every object at one revision, cheap to clone and shared by all readers.

use crate::auth::rbac;
use crate::custom::DEFINITIONS;
use crate::policy::Policies;
use crate::quota;
use crate::served::Kinds;
use crate::webhook::Webhooks;
use imbl::{OrdMap, OrdSet};
use peapod_api::object::Owner;
use peapod_api::{Key, Object};
use std::ops::Bound;
use std::sync::{Arc, OnceLock};

/// One committed change. At least one of `before` and `after` is there.
#[derive(Clone, Debug)]
pub struct Change {
    /// The revision that the change was given.
    pub revision: u64,
    /// What changed.
    pub key: Key,
    /// The object before, absent for a creation.
    pub before: Option<Arc<Object>>,
    /// The object after, absent for a deletion.
    pub after: Option<Arc<Object>>,
    deleted: OnceLock<Arc<Object>>,
}

impl Change {
    /// The change at `key` from `before` to `after`.
    pub fn new(revision: u64, key: Key, before: Option<Arc<Object>>, after: Option<Arc<Object>>) -> Change {
        Change { revision, key, before, after, deleted: OnceLock::new() }
    }

    /// What a watcher is told of an object that is gone, or that its selector no longer takes in: the state before, at
    /// the revision of this change (as the apiserver sends DELETED). Built once and shared; none for a creation.
    pub fn deleted_object(&self) -> Option<&Arc<Object>> {
        let before = self.before.as_ref()?;
        Some(self.deleted.get_or_init(|| Arc::new(before.at_revision(self.revision))))
    }
}

/// The objects that one owner, node or namespace holds, and when one of them last changed.
#[derive(Clone, Debug, Default)]
struct Group {
    keys: OrdSet<Key>,
    last_change: u64,
}

/// All objects at one revision. Cloning costs a few reference counts.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    revision: u64,
    objects: OrdMap<Key, Arc<Object>>,
    by_owner: OrdMap<Arc<str>, Group>,
    by_node: OrdMap<Arc<str>, OrdSet<Key>>,
    orphan_pods: OrdSet<Key>,
    kinds: Arc<Kinds>,
    policies: Arc<Policies>,
    webhooks: Arc<Webhooks>,
    rbac: rbac::Index,
    quotas: quota::Index,
}

/// Between what the keys of a resource, or of one namespace of it, lie: all begin with the first, and `0` follows on `/`. Bounds spare a walk over many objects the look at each key.
fn bounds(resource: &str, namespace: Option<&str>) -> (String, String) {
    let within = match namespace {
        Some(namespace) => format!("{resource}/{namespace}"),
        None => resource.into(),
    };
    (format!("{within}/"), format!("{within}0"))
}

impl Snapshot {
    /// The revision of the last change folded in.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The kinds that are served. The same pointer as long as no definition changes.
    pub fn kinds(&self) -> &Arc<Kinds> {
        &self.kinds
    }

    /// The admission policies. The same pointer as long as none changes.
    pub fn policies(&self) -> &Arc<Policies> {
        &self.policies
    }

    /// The admission webhooks. The same pointer as long as none changes.
    pub fn webhooks(&self) -> &Arc<Webhooks> {
        &self.webhooks
    }

    /// Raises the revision without a change: revisions are reserved in blocks and never reused after a restart.
    pub fn advance(&mut self, revision: u64) {
        self.revision = self.revision.max(revision);
    }

    /// The object at `key`.
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// The object of that resource, namespace (empty for cluster-wide kinds) and name.
    pub fn find(&self, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Object>> {
        self.get(&Key::new(resource, namespace, name))
    }

    /// All objects of a resource, or of one namespace of it, in the order of their keys.
    pub fn list(
        &self,
        resource: &str,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = &Arc<Object>> + use<'_> {
        let (first, end) = bounds(resource, namespace);
        let range = self.objects.range::<_, str>((Bound::Included(&*first), Bound::Excluded(&*end)));
        range.map(|(_, object)| object)
    }

    /// Like [`Snapshot::list`], beginning after `key`: the next page.
    pub fn list_after(
        &self,
        resource: &str,
        namespace: Option<&str>,
        key: &str,
    ) -> impl Iterator<Item = &Arc<Object>> + use<'_> {
        let (first, end) = bounds(resource, namespace);
        // Whoever made up the key sees nothing of what is listed before.
        let start = if key < &*first { Bound::Included(&*first) } else { Bound::Excluded(key) };
        let range = self.objects.range::<_, str>((start, Bound::Excluded(&*end)));
        range.map(|(_, object)| object)
    }

    /// Every object.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The objects that name `uid` in their owner references.
    pub fn owned_by<'a>(&'a self, uid: &str) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let keys = self.by_owner.get(uid).into_iter().flat_map(|group| group.keys.iter());
        keys.filter_map(|key| self.objects.get(key))
    }

    /// The revision at which an object of this owner last appeared, changed or went; 0 if there never was one.
    pub fn last_change_under(&self, uid: &str) -> u64 {
        self.by_owner.get(uid).map_or(0, |group| group.last_change)
    }

    /// The pods bound to a node.
    pub fn pods_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let keys = self.by_node.get(node).into_iter().flat_map(|keys| keys.iter());
        keys.filter_map(|key| self.objects.get(key))
    }

    /// The pods of a namespace that no controller manages.
    pub fn orphan_pods<'a>(&'a self, namespace: &str) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let (first, end) = bounds("pods", Some(namespace));
        let keys = self.orphan_pods.range::<_, str>((Bound::Included(&*first), Bound::Excluded(&*end)));
        keys.filter_map(|key| self.objects.get(key))
    }

    /// Who was given which roles.
    pub fn rbac(&self) -> &rbac::Index {
        &self.rbac
    }

    /// The quotas, and what is used of them.
    pub fn quotas(&self) -> &quota::Index {
        &self.quotas
    }

    /// Folds one change in. Changes come in the order of their revisions.
    pub fn apply(&mut self, change: &Change) {
        self.revision = self.revision.max(change.revision);
        self.rbac.apply(change);
        if let Some(before) = &change.before {
            self.leave_indexes(before, change.revision);
        }
        match &change.after {
            Some(after) => {
                self.enter_indexes(after, change.revision);
                self.objects.insert(change.key.clone(), after.clone());
            }
            None => {
                self.objects.remove(&change.key);
                self.forget_owner_without_dependents(change);
            }
        }
        if self.quotas.concerns(change) {
            let mut quotas = std::mem::take(&mut self.quotas);
            quotas.apply(self, change);
            self.quotas = quotas;
        }
        if let Some(policies) = self.policies.changed(change) {
            self.policies = Arc::new(policies);
        }
        if let Some(webhooks) = self.webhooks.changed(change) {
            self.webhooks = Arc::new(webhooks);
        }
        if change.key.resource() == DEFINITIONS
            && let Some(kinds) = self.kinds.changed(change.key.name(), change.after.as_deref())
        {
            self.kinds = Arc::new(kinds);
            self.read_headers_again(change.key.name());
        }
    }

    /// The definition of a custom resource may select other fields than it did when its objects were written.
    fn read_headers_again(&mut self, resource: &str) {
        let Some(kind) = self.kinds.of_resource(resource) else { return };
        let is_other = |object: &&Arc<Object>| {
            !object.header.fields.iter().map(|(name, _)| &**name).eq(kind.fields.iter().map(|f| &**f))
        };
        let others: Vec<Arc<Object>> = self.list(resource, None).filter(is_other).cloned().collect();
        for object in others {
            self.objects.insert(object.key.clone(), Arc::new(object.with_header_of(&kind)));
        }
    }

    fn enter_indexes(&mut self, object: &Object, revision: u64) {
        for owner in &object.header.owners {
            let group = self.by_owner.entry(owner.uid.clone()).or_default();
            group.keys.insert(object.key.clone());
            group.last_change = revision;
        }
        if object.key.resource() == "pods" && object.header.controller().is_none() {
            self.orphan_pods.insert(object.key.clone());
        }
        if let Some(node) = &object.header.node {
            self.by_node.entry(node.clone()).or_default().insert(object.key.clone());
        }
    }

    fn leave_indexes(&mut self, object: &Object, revision: u64) {
        for owner in &object.header.owners {
            if let Some(group) = self.by_owner.get_mut(&owner.uid) {
                group.keys.remove(&object.key);
                group.last_change = revision;
                if group.keys.is_empty() && !self.owner_exists(owner, &object.key) {
                    self.by_owner.remove(&owner.uid);
                }
            }
        }
        self.orphan_pods.remove(&object.key);
        if let Some(node) = &object.header.node
            && let Some(keys) = self.by_node.get_mut(node)
        {
            keys.remove(&object.key);
            if keys.is_empty() {
                self.by_node.remove(node);
            }
        }
    }

    /// A group outlives its last dependent while the owner is there (its last change still guards writes), not longer.
    fn owner_exists(&self, owner: &Owner, dependent: &Key) -> bool {
        let Some(kind) = self.kinds.of_object(&owner.api_version, &owner.kind) else { return false };
        let namespace = if kind.namespaced() { dependent.namespace() } else { "" };
        let object = self.find(&kind.resource(), namespace, &owner.name);
        object.is_some_and(|object| object.header.uid == owner.uid)
    }

    fn forget_owner_without_dependents(&mut self, change: &Change) {
        let Some(owner) = &change.before else { return };
        let uid = &owner.header.uid;
        if self.by_owner.get(uid).is_some_and(|group| group.keys.is_empty()) {
            self.by_owner.remove(uid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use peapod_api::{Draft, kinds};
    use serde_json::json;

    fn pod(name: &str, owner: &str, node: &str, revision: u64) -> Arc<Object> {
        let kind = kinds::lookup("", "pods").unwrap();
        let value = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": node},
            "metadata": {"name": name, "namespace": "d", "uid": name, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": owner, "uid": owner}]}});
        Arc::new(Draft::new(kind, Key::new("pods", "d", name), value).at(revision))
    }

    fn change(before: Option<Arc<Object>>, after: Option<Arc<Object>>, revision: u64) -> Change {
        let key = before.as_ref().or(after.as_ref()).unwrap().key.clone();
        Change::new(revision, key, before, after)
    }

    fn replica_set(revision: u64) -> Arc<Object> {
        let kind = kinds::lookup("apps", "replicasets").unwrap();
        let value = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {"name": "rs", "namespace": "d", "uid": "rs"}});
        Arc::new(Draft::new(kind, Key::new("replicasets.apps", "d", "rs"), value).at(revision))
    }

    #[test]
    fn the_last_change_under_an_owner_is_known_as_long_as_the_owner_is_there() {
        let mut snapshot = Snapshot::default();
        let (rs, a) = (replica_set(1), pod("a", "rs", "", 2));
        snapshot.apply(&change(None, Some(rs.clone()), 1));
        snapshot.apply(&change(None, Some(a.clone()), 2));
        snapshot.apply(&change(Some(a), None, 3));
        snapshot.apply(&change(Some(rs.clone()), Some(replica_set(4)), 4));
        assert_eq!(snapshot.last_change_under("rs"), 3);
        let b = pod("b", "rs", "", 5);
        snapshot.apply(&change(None, Some(b.clone()), 5));
        snapshot.apply(&change(Some(replica_set(4)), None, 6));
        assert_eq!((snapshot.last_change_under("rs"), snapshot.by_owner.len()), (5, 1));
        snapshot.apply(&change(Some(b), None, 7));
        assert_eq!(snapshot.by_owner.len(), 0);
    }

    #[test]
    fn a_deleted_object_has_the_revision_of_its_deletion() {
        let deletion = change(Some(pod("a", "rs", "n1", 9)), None, 1234);
        let object = deletion.deleted_object().unwrap();
        assert_eq!(
            (object.revision, object.value()["metadata"]["resourceVersion"].as_str()),
            (1234, Some("1234"))
        );
        assert_eq!(object.value()["spec"], json!({"nodeName": "n1"}));
        assert!(change(None, Some(pod("a", "rs", "", 1)), 1).deleted_object().is_none());
    }

    /// Every list, and every next page after any key, is what the keys that begin so say, whatever lies beside them.
    #[test]
    fn lists_hold_what_begins_with_their_prefix() {
        let mut snapshot = Snapshot::default();
        let kind = kinds::lookup("", "pods").unwrap();
        let resources = ["pod", "pods", "pods-x", "pods.apps", "pods0", "podsa", "a", "z"];
        let namespaces = ["", "d", "d-e", "d.e", "d0", "da", "e"];
        let mut keys = Vec::new();
        for resource in resources {
            for namespace in namespaces {
                keys.extend((0..20).map(|n| Key::new(resource, namespace, &format!("n{n}"))));
            }
        }
        for (revision, key) in (1..).zip(&keys) {
            let object = Arc::new(Draft::new(kind, key.clone(), json!({})).at(revision));
            snapshot.apply(&Change::new(revision, key.clone(), None, Some(object)));
        }
        keys.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        let starts = keys.iter().step_by(7).map(Key::as_str).chain(["", "pods/", "pods0", "~"]);
        let starts: Vec<_> = starts.collect();
        for resource in resources.into_iter().chain(["nothing"]) {
            for namespace in [None].into_iter().chain(namespaces.map(Some)).chain([Some("d1")]) {
                let prefix = namespace.map_or(format!("{resource}/"), |n| format!("{resource}/{n}/"));
                let within = keys.iter().map(Key::as_str).filter(|key| key.starts_with(&prefix));
                let within: Vec<_> = within.collect();
                let listed = snapshot.list(resource, namespace).map(|object| object.key.as_str());
                assert_eq!(listed.collect::<Vec<_>>(), within, "{prefix}");
                for start in &starts {
                    let rest = snapshot.list_after(resource, namespace, start).map(|o| o.key.as_str());
                    let expected = within.iter().filter(|key| *key > start).copied();
                    assert!(rest.eq(expected), "{prefix} after {start}");
                }
            }
        }
    }

    #[test]
    fn indexes_follow_changes() {
        let (a1, a2, b) = (pod("a", "rs", "", 1), pod("a", "rs", "n1", 2), pod("b", "rs", "n1", 3));
        let mut snapshot = Snapshot::default();
        snapshot.apply(&change(None, Some(a1.clone()), 1));
        let older = snapshot.clone();
        snapshot.apply(&change(Some(a1), Some(a2.clone()), 2));
        snapshot.apply(&change(None, Some(b), 3));
        assert_eq!(snapshot.pods_on("n1").count(), 2);
        assert_eq!(snapshot.owned_by("rs").count(), 2);
        snapshot.apply(&change(Some(a2), None, 4));
        assert_eq!(snapshot.pods_on("n1").map(|o| o.name().to_string()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(snapshot.last_change_under("rs"), 4);
        assert_eq!((older.revision(), older.pods_on("n1").count(), older.len()), (1, 0, 1));
    }

    #[test]
    fn lists_are_ranges() {
        let mut snapshot = Snapshot::default();
        for (revision, name) in ["c", "a", "b"].iter().enumerate() {
            snapshot.apply(&change(None, Some(pod(name, "o", "", 1)), revision as u64 + 1));
        }
        let names =
            |i: &mut dyn Iterator<Item = &Arc<Object>>| i.map(|o| o.name().to_string()).collect::<Vec<_>>();
        assert_eq!(names(&mut snapshot.list("pods", Some("d"))), ["a", "b", "c"]);
        assert_eq!(names(&mut snapshot.list_after("pods", None, "pods/d/a")), ["b", "c"]);
        assert_eq!(snapshot.list("pod", None).count(), 0);
        assert_eq!(snapshot.list("pods", Some("other")).count(), 0);
    }
}
