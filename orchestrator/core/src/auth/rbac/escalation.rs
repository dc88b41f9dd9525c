//! Nobody gives what he does not have: who writes roles and bindings must hold what they grant. Rule: Kubernetes, "Using
//! RBAC Authorization", privilege escalation prevention.

use super::{ROLES, Rule, role_of};
use crate::auth::{Attributes, MASTERS, User, allowed};
use crate::snapshot::Snapshot;
use peapod_api::well_known::RBAC_GROUP;
use peapod_api::{Error, Kind};
use serde_json::Value;

/// Whether `user` may write this role or binding, `old` being what it was. Errors: 403, 404 for a role that is not there.
pub fn admit_write(
    snapshot: &Snapshot,
    user: &User,
    kind: &Kind,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), Error> {
    if kind.group != RBAC_GROUP || user.is_in(MASTERS) || old.is_some_and(|old| only_lets_go(new, old)) {
        return Ok(());
    }
    match &*kind.plural {
        "roles" | "clusterroles" => admit_role(snapshot, user, kind, new, old),
        _ => admit_binding(snapshot, user, kind, new),
    }
}

/// Whether nothing but owners and finalizers changes: the garbage collector may do that.
fn only_lets_go(new: &Value, old: &Value) -> bool {
    let strip = |object: &Value| {
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            for field in ["ownerReferences", "finalizers", "managedFields", "resourceVersion"] {
                metadata.remove(field);
            }
        }
        object
    };
    strip(new) == strip(old)
}

fn place(object: &Value) -> (&str, &str) {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    (text("namespace"), text("name"))
}

fn admit_role(
    snapshot: &Snapshot,
    user: &User,
    kind: &Kind,
    new: &Value,
    old: Option<&Value>,
) -> Result<(), Error> {
    let (namespace, name) = place(new);
    if allowed(snapshot, user, &Attributes::new("escalate", kind, namespace, name)).is_ok() {
        return Ok(());
    }
    let refuse = |why: &str| Error::forbidden(&kind.resource(), name, why);
    holds(snapshot, user, namespace, &Rule::read_all(&new["rules"])).map_err(|why| refuse(&why))?;
    // What is gathered can grow later, whoever makes the roles that it is gathered from.
    let gathers = |role: &Value| !role["aggregationRule"].is_null();
    if gathers(new) || old.is_some_and(gathers) {
        let why = "must have cluster-admin privileges to use the aggregationRule";
        holds(snapshot, user, "", &Rule::everything()).map_err(|_| refuse(why))?;
    }
    Ok(())
}

fn admit_binding(snapshot: &Snapshot, user: &User, kind: &Kind, new: &Value) -> Result<(), Error> {
    let (namespace, name) = place(new);
    // What is no role is told by the validation.
    let Some(role) = role_of(&new["roleRef"], namespace) else { return Ok(()) };
    let resource = if role.resource() == ROLES { "roles" } else { "clusterroles" };
    let (verb, group) = ("bind", RBAC_GROUP);
    let bind = Attributes { verb, group, resource, namespace, name: role.name(), ..Attributes::default() };
    if allowed(snapshot, user, &bind).is_ok() {
        return Ok(());
    }
    let Some(rules) = snapshot.rbac().rules(&role) else {
        return Err(Error::not_found(role.resource(), role.name()));
    };
    holds(snapshot, user, namespace, rules).map_err(|why| Error::forbidden(&kind.resource(), name, &why))
}

/// Whether `user` holds all of `rules` in `namespace`. Errors: which he does not, in Kubernetes' words.
fn holds(snapshot: &Snapshot, user: &User, namespace: &str, rules: &[Rule]) -> Result<(), String> {
    let own: Vec<&Rule> =
        snapshot.rbac().held(user, namespace).filter_map(|held| held.rules).flatten().collect();
    let wanted = rules.iter().flat_map(Rule::single);
    let mut lacking: Vec<Rule> = Vec::new();
    for single in wanted.filter(|single| !own.iter().any(|rule| rule.covers(single))) {
        if !lacking.iter_mut().any(|rule| rule.join(&single)) {
            lacking.push(single);
        }
    }
    if lacking.is_empty() {
        return Ok(());
    }
    let mut lines: Vec<String> = lacking.iter().map(Rule::describe).collect();
    lines.sort();
    lines.dedup();
    let groups: Vec<String> = user.groups.iter().map(|group| format!("{group:?}")).collect();
    Err(format!(
        "user {:?} (groups=[{}]) is attempting to grant RBAC permissions not currently held:\n{}",
        user.name,
        groups.join(" "),
        lines.join("\n")
    ))
}
