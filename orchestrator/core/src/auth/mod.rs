//! Who may do what. Default deny.
//!
//! `system:masters` may do everything, a node what its agent needs for itself and for its pods, a machine that joins may
//! ask for a certificate, everybody who is authenticated may look at discovery, health and version, and anonymous
//! callers at health and version alone.

pub mod bootstrap;
mod node;

use crate::snapshot::Snapshot;
use peapod_api::selector::FieldSelector;
use peapod_api::{Error, Kind, Subresource};

/// Members may do everything.
pub const MASTERS: &str = "system:masters";
/// Members are the agents of nodes.
pub const NODES: &str = "system:nodes";
/// Members may join as nodes.
pub const BOOTSTRAPPERS: &str = "system:bootstrappers";
/// Everybody who proved who they are.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The name of those who did not.
pub const ANONYMOUS: &str = "system:anonymous";

/// Who makes a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// e.g. `system:node:edge-1`.
    pub name: String,
    /// Empty where the source of identities has none.
    pub uid: String,
    /// e.g. `system:nodes`.
    pub groups: Vec<String>,
    /// Whatever else the source of identities says.
    pub extra: Vec<(String, Vec<String>)>,
}

impl User {
    /// A user of the groups, authenticated.
    pub fn new(name: &str, groups: &[&str]) -> User {
        let groups = groups.iter().copied().chain([AUTHENTICATED]).map(String::from).collect();
        User { name: name.into(), groups, ..User::default() }
    }

    /// Nobody in particular.
    pub fn anonymous() -> User {
        User { name: ANONYMOUS.into(), groups: vec!["system:unauthenticated".into()], ..User::default() }
    }

    /// Whether the user belongs to `group`.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| g == group)
    }

    /// The node whose agent this is.
    pub fn node(&self) -> Option<&str> {
        self.name.strip_prefix("system:node:").filter(|name| self.is_in(NODES) && !name.is_empty())
    }
}

/// What a request wants to do with an object or a collection.
#[derive(Clone, Copy, Debug)]
pub struct Attributes<'a> {
    /// Kubernetes' verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'a str,
    /// What kind of object.
    pub kind: &'a Kind,
    /// Which part of it.
    pub subresource: Option<Subresource>,
    /// Empty for cluster-wide kinds and for requests over all namespaces.
    pub namespace: &'a str,
    /// Empty for collections.
    pub name: &'a str,
    /// How a list or watch is narrowed.
    pub fields: Option<&'a FieldSelector>,
}

impl Attributes<'_> {
    /// The object's name, also where a list is narrowed to it.
    fn name(&self) -> &str {
        let narrowed = || self.fields.and_then(|fields| fields.required("metadata.name"));
        if self.name.is_empty() { narrowed().unwrap_or_default() } else { self.name }
    }

    fn reads(&self) -> bool {
        matches!(self.verb, "get" | "list" | "watch")
    }

    fn forbidden(&self, user: &User) -> Error {
        let (group, plural) = (&self.kind.group, &self.kind.plural);
        let part = self.subresource.map(|sub| format!("/{}", sub.name())).unwrap_or_default();
        let place = match self.namespace {
            "" => "at the cluster scope".to_string(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        let why = format!(
            "User {:?} cannot {} resource \"{plural}{part}\" in API group {group:?} {place}",
            user.name, self.verb
        );
        Error::forbidden(&self.kind.resource(), self.name, &why)
    }
}

/// Whether `user` may do that. Errors: 403 worded as Kubernetes does.
pub fn authorize(snapshot: &Snapshot, user: &User, attributes: &Attributes<'_>) -> Result<(), Error> {
    let allowed = user.is_in(MASTERS)
        || user.node().is_some_and(|name| node::may(snapshot, name, attributes))
        || bootstrap::may(snapshot, user, attributes);
    if allowed { Ok(()) } else { Err(attributes.forbidden(user)) }
}

const PUBLIC: [&str; 4] = ["/healthz", "/livez", "/readyz", "/version"];
const DISCOVERY: [&str; 4] = ["/api", "/apis", "/openapi", "/version"];

/// Whether `user` may `verb` (`get`, ...) a path that names no resource.
pub fn authorize_path(user: &User, verb: &str, path: &str) -> Result<(), Error> {
    let below = |roots: &[&str]| {
        roots
            .iter()
            .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let reads = matches!(verb, "get" | "head");
    let known = user.is_in(AUTHENTICATED) && below(&DISCOVERY);
    if user.is_in(MASTERS) || reads && (below(&PUBLIC) || known) {
        return Ok(());
    }
    let why = format!("User {:?} cannot {verb} path {path:?}", user.name);
    Err(Error::new(peapod_api::error::Reason::Forbidden, format!("forbidden: {why}")))
}

#[cfg(test)]
mod tests;
