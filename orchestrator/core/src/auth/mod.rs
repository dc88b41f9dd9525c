//! Who may do what. Default deny.
//!
//! `system:masters` may do everything, a node what its agent needs for itself and for its pods, a machine that joins may
//! ask for a certificate; everything else is what roles and bindings say.

pub mod account;
mod attributes;
pub mod bootstrap;
mod impersonation;
mod node;
pub mod rbac;
mod restriction;
pub mod review;
mod user;

pub use attributes::Attributes;
pub use impersonation::impersonate;
pub use user::{ANONYMOUS, AUTHENTICATED, BOOTSTRAPPERS, MASTERS, NODE_PREFIX, NODES, UNAUTHENTICATED, User};

use crate::certificate;
use crate::snapshot::Snapshot;
use peapod_api::error::Reason;
use peapod_api::well_known::RBAC_GROUP;
use peapod_api::{Error, Kind, Object, Subresource};
use rbac::Held;
use serde_json::Value;

/// Why somebody may do something.
#[derive(Clone, Copy, Debug)]
pub enum Ground<'a> {
    /// As a member of `system:masters`.
    Master,
    /// As the agent of a node.
    Node,
    /// As a machine that joins, or a node that renews its certificate.
    Bootstrap,
    /// By a role.
    Role(Held<'a>),
}

impl Ground<'_> {
    /// As Kubernetes words it, empty where it has no words.
    pub fn reason(&self) -> String {
        match self {
            Ground::Role(held) => held.reason(),
            _ => String::new(),
        }
    }
}

/// Why `user` may do that. Errors: what there is to say of why not; often nothing.
pub fn allowed<'a>(
    snapshot: &'a Snapshot,
    user: &'a User,
    asked: &Attributes<'a>,
) -> Result<Ground<'a>, String> {
    if user.is_in(MASTERS) {
        return Ok(Ground::Master);
    }
    let node = user.node();
    if node.is_some_and(|name| node::may(snapshot, name, asked)) {
        return Ok(Ground::Node);
    }
    if bootstrap::may(snapshot, user, asked) {
        return Ok(Ground::Bootstrap);
    }
    if let Some(held) = snapshot.rbac().allows(user, asked) {
        return Ok(Ground::Role(held));
    }
    let missing = snapshot.rbac().missing(user, asked.namespace);
    let of_node = node.map(|name| format!("no relationship found between node '{name}' and this object"));
    Err(of_node.into_iter().chain(Some(missing).filter(|why| !why.is_empty())).collect::<Vec<_>>().join("\n"))
}

/// Whether `user` may do that. Errors: 403 worded as Kubernetes does.
pub fn authorize(snapshot: &Snapshot, user: &User, asked: &Attributes<'_>) -> Result<(), Error> {
    allowed(snapshot, user, asked).map(drop).map_err(|why| asked.forbidden(user, &why))
}

/// Why `user` may `verb` (`get`, ...) a path that names no resource. Errors: what there is to say of why not.
pub fn allowed_path<'a>(
    snapshot: &'a Snapshot,
    user: &'a User,
    verb: &str,
    path: &str,
) -> Result<Ground<'a>, String> {
    if user.is_in(MASTERS) {
        return Ok(Ground::Master);
    }
    let held = snapshot.rbac().allows_path(user, verb, path);
    held.map(Ground::Role).ok_or_else(|| snapshot.rbac().missing(user, ""))
}

/// Whether `user` may `verb` a path that names no resource. Errors: 403.
pub fn authorize_path(snapshot: &Snapshot, user: &User, verb: &str, path: &str) -> Result<(), Error> {
    allowed_path(snapshot, user, verb, path).map(drop).map_err(|why| {
        let why = if why.is_empty() { why } else { format!(": {why}") };
        let message = format!("forbidden: User {:?} cannot {verb} path {path:?}{why}", user.name);
        Error::new(Reason::Forbidden, message)
    })
}

/// What a prepared write by `user` has to fulfil besides being allowed; `old` is none for a creation. Errors: 403, 404.
pub fn admit_write(
    snapshot: &Snapshot,
    user: &User,
    kind: &Kind,
    part: Option<Subresource>,
    new: &Value,
    old: Option<&Object>,
) -> Result<(), Error> {
    if let Some(old) = old
        && part == Some(Subresource::Status)
        && kind.resource() == "pods"
    {
        return restriction::admit_pod_status(user, new, old);
    }
    let is_node = user.node().is_some() && kind.group.is_empty() && kind.plural == "nodes";
    if kind.group != RBAC_GROUP && kind.resource() != certificate::RESOURCE && !is_node {
        return Ok(());
    }
    let old = old.map(Object::value);
    let old = old.as_ref();
    rbac::admit_write(snapshot, user, kind, new, old)?;
    restriction::admit_write(user, kind, new, old)?;
    certificate::admit_write(snapshot, user, kind, part, new, old)
}

#[cfg(test)]
mod tests;
