//! Role-based access control: roles and bindings, compiled as they change, and the decisions that they lead to.

pub mod defaults;
mod escalation;
mod rule;

pub use escalation::admit_write;
pub use rule::Rule;

use super::{Attributes, User};
use crate::snapshot::Change;
use crate::validation::{items, text};
use imbl::OrdMap;
use peapod_api::well_known::RBAC_GROUP;
use peapod_api::{Key, Object};
use serde_json::Value;
use std::sync::Arc;

/// Resources as storage keys name them.
pub const ROLES: &str = "roles.rbac.authorization.k8s.io";
/// See [`ROLES`].
pub const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
/// See [`ROLES`].
pub const BINDINGS: &str = "rolebindings.rbac.authorization.k8s.io";
/// See [`ROLES`].
pub const CLUSTER_BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";

/// What names a binding's subject in a refusal or an approval: `User`, `Group` or `ServiceAccount`.
type SubjectKind = &'static str;
/// The roles of one subject in one place, each with the bindings that give it.
type Bound = OrdMap<Key, OrdMap<Key, SubjectKind>>;

/// What one user or group was given. The empty namespace stands for the whole cluster.
type Given = OrdMap<Arc<str>, Bound>;

/// All roles and bindings, ready for decisions. Cloning costs a few reference counts; what a decision costs depends on
/// what the user was given, not on how many bindings there are.
#[derive(Clone, Debug, Default)]
pub struct Index {
    rules: OrdMap<Key, Arc<[Rule]>>,
    users: OrdMap<Arc<str>, Given>,
    groups: OrdMap<Arc<str>, Given>,
}

/// A role that a user holds.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// Its rules; none if there is no such role.
    pub rules: Option<&'a [Rule]>,
    role: &'a Key,
    bindings: &'a OrdMap<Key, SubjectKind>,
    subject: &'a str,
}

impl Held<'_> {
    /// Why the user holds it, as Kubernetes words it.
    pub fn reason(&self) -> String {
        let Some((binding, kind)) = self.bindings.iter().next() else { return String::new() };
        let role = if self.role.resource() == ROLES { "Role" } else { "ClusterRole" };
        let (what, place) = match binding.namespace() {
            "" => ("ClusterRoleBinding", String::new()),
            namespace => ("RoleBinding", format!("/{namespace}")),
        };
        let subject = match self.subject.strip_prefix(ACCOUNT_PREFIX).and_then(|name| name.split_once(':')) {
            Some((namespace, name)) if *kind == "ServiceAccount" => format!("{name}/{namespace}"),
            _ => self.subject.into(),
        };
        format!(
            "RBAC: allowed by {what} \"{}{place}\" of {role} {:?} to {kind} {subject:?}",
            binding.name(),
            self.role.name()
        )
    }

    /// Which role is missing, as a refusal adds it; none if it is there.
    pub fn missing(&self) -> Option<String> {
        let what = if self.role.resource() == ROLES { "role" } else { "clusterrole" };
        let name = self.role.name();
        self.rules.is_none().then(|| format!("{what}.{RBAC_GROUP} {name:?} not found"))
    }
}

/// What the names of service accounts begin with.
pub const ACCOUNT_PREFIX: &str = "system:serviceaccount:";

impl Index {
    /// Folds one change in.
    pub fn apply(&mut self, change: &Change) {
        match change.key.resource() {
            ROLES | CLUSTER_ROLES => match &change.after {
                Some(role) => {
                    self.rules.insert(change.key.clone(), Rule::read_all(&role.value()["rules"]).into());
                }
                None => drop(self.rules.remove(&change.key)),
            },
            BINDINGS | CLUSTER_BINDINGS => {
                change.before.iter().for_each(|binding| self.unbind(binding));
                change.after.iter().for_each(|binding| self.bind(binding));
            }
            _ => {}
        }
    }

    fn bind(&mut self, binding: &Object) {
        let value = binding.value();
        let Some(role) = role_of(&value["roleRef"], binding.namespace()) else { return };
        for (kind, name) in subjects(&value, binding.namespace()) {
            let given = self.side(kind).entry(name.into()).or_default();
            let bound = given.entry(binding.namespace().into()).or_default();
            bound.entry(role.clone()).or_default().insert(binding.key.clone(), kind);
        }
    }

    fn unbind(&mut self, binding: &Object) {
        let value = binding.value();
        let Some(role) = role_of(&value["roleRef"], binding.namespace()) else { return };
        for (kind, name) in subjects(&value, binding.namespace()) {
            let side = self.side(kind);
            let Some(given) = side.get_mut(&*name) else { continue };
            let Some(bound) = given.get_mut(binding.namespace()) else { continue };
            let Some(bindings) = bound.get_mut(&role) else { continue };
            bindings.remove(&binding.key);
            if bindings.is_empty() {
                bound.remove(&role);
            }
            if bound.is_empty() {
                given.remove(binding.namespace());
            }
            if given.is_empty() {
                side.remove(&*name);
            }
        }
    }

    fn side(&mut self, kind: SubjectKind) -> &mut OrdMap<Arc<str>, Given> {
        if kind == "Group" { &mut self.groups } else { &mut self.users }
    }

    /// The rules of a role.
    pub fn rules(&self, role: &Key) -> Option<&[Rule]> {
        self.rules.get(role).map(|rules| &**rules)
    }

    /// Every role that `user` holds in `namespace`, cluster-wide ones first. The empty namespace: cluster-wide ones alone.
    pub fn held<'a>(&'a self, user: &'a User, namespace: &'a str) -> impl Iterator<Item = Held<'a>> {
        let places = ["", namespace].into_iter().take(if namespace.is_empty() { 1 } else { 2 });
        places.flat_map(move |place| {
            let of = |side: &'a OrdMap<Arc<str>, Given>, subject: &'a str| {
                let bound = side.get(subject).and_then(|given| given.get(place));
                bound.into_iter().flatten().map(move |(role, bindings)| (role, bindings, subject))
            };
            let by_name = of(&self.users, &user.name);
            let by_group = user.groups.iter().flat_map(move |group| of(&self.groups, group));
            by_name.chain(by_group).map(|(role, bindings, subject)| Held {
                rules: self.rules(role),
                role,
                bindings,
                subject,
            })
        })
    }

    /// Why `user` may do that, if he may.
    pub fn allows<'a>(&'a self, user: &'a User, asked: &Attributes<'a>) -> Option<Held<'a>> {
        let allows = |held: &Held<'_>| held.rules.is_some_and(|rules| rules.iter().any(|r| r.allows(asked)));
        self.held(user, asked.namespace).find(allows)
    }

    /// Why `user` may `verb` a path that names no resource, if he may.
    pub fn allows_path<'a>(&'a self, user: &'a User, verb: &str, path: &str) -> Option<Held<'a>> {
        let allows =
            |held: &Held<'_>| held.rules.is_some_and(|rules| rules.iter().any(|r| r.allows_path(verb, path)));
        self.held(user, "").find(allows)
    }

    /// What a refusal adds: the roles that were given to the user and are not there.
    pub fn missing(&self, user: &User, namespace: &str) -> String {
        let missing: Vec<String> = self.held(user, namespace).filter_map(|held| held.missing()).collect();
        match missing.len() {
            0 => String::new(),
            1 => format!("RBAC: {}", missing[0]),
            _ => format!("RBAC: [{}]", missing.join(", ")),
        }
    }
}

/// The role that a `roleRef` of a binding in `namespace` names.
pub fn role_of(reference: &Value, namespace: &str) -> Option<Key> {
    let name = text(&reference["name"]);
    match text(&reference["kind"]) {
        "ClusterRole" => Some(Key::new(CLUSTER_ROLES, "", name)),
        "Role" if !namespace.is_empty() => Some(Key::new(ROLES, namespace, name)),
        _ => None,
    }
}

/// Kinds and names of a binding's subjects; service accounts by the names that they act under.
fn subjects(binding: &Value, namespace: &str) -> Vec<(SubjectKind, String)> {
    let read = |subject: &Value| {
        let name = text(&subject["name"]);
        match text(&subject["kind"]) {
            "User" => Some(("User", name.to_string())),
            "Group" => Some(("Group", name.to_string())),
            "ServiceAccount" => {
                let own = Some(text(&subject["namespace"])).filter(|own| !own.is_empty());
                let own = own.unwrap_or(namespace);
                Some(("ServiceAccount", format!("{ACCOUNT_PREFIX}{own}:{name}")))
            }
            _ => None,
        }
    };
    items(&binding["subjects"]).filter_map(read).collect()
}

#[cfg(test)]
pub(crate) mod tests;
