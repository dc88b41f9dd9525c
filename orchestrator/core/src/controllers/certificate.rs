//! Certificate signing requests: approves those that machines that join and nodes may make, has approved ones signed,
//! forgets what is over. Whoever asks first for the name of a node that does not exist yet gets it; a name that is taken
//! is refused until its Node is deleted.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::certificate::{RESOURCE, Wanted, is_expected, is_joining, pem_of, usages};
use crate::snapshot::{Change, Snapshot};
use crate::validation::{items, text};
use jiff::SignedDuration;
use peapod_api::{Key, Object, meta};
use serde_json::{Value, json};
use std::time::Duration;

pub(super) const CONTROLLER: Controller = Controller { name: "certificate", triggers, reconcile };

/// How long a request is kept after it was decided; as kube-controller-manager does.
const DECIDED_KEPT: SignedDuration = SignedDuration::from_hours(1);
/// How long one is kept that nobody decides.
const PENDING_KEPT: SignedDuration = SignedDuration::from_hours(24);

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    match change.key.resource() {
        RESOURCE if change.after.is_some() => vec![change.key.clone()],
        // The name that a request was approved for is a Node's now.
        "nodes" if change.before.is_none() => snapshot.list(RESOURCE, None).map(|r| r.key.clone()).collect(),
        _ => Vec::new(),
    }
}

fn reconcile(snapshot: &Snapshot, key: &Key, context: &Context) -> Outcome {
    let Some(object) = snapshot.get(key).filter(|object| object.header.deleted.is_none()) else {
        return Outcome::nothing();
    };
    let request = object.value();
    let Ok(wanted) = Wanted::of(&request) else { return Outcome::nothing() };
    let has = |type_: &str| has_condition(&request, type_);
    let issued = !text(&request["status"]["certificate"]).is_empty();
    let kept = if has("Approved") || has("Denied") { DECIDED_KEPT } else { PENDING_KEPT };
    let age = context.now.duration_since(object.header.created.unwrap_or(context.now));
    let registered = issued && is_joining(&request) && is_node(snapshot, wanted.node());
    if age >= kept || registered {
        return vec![Action::delete(object)].into();
    }
    let actions = match (has("Denied") || has("Failed") || issued, has("Approved")) {
        (true, _) => Vec::new(),
        (false, true) => vec![sign(key, &request, &wanted, context)],
        (false, false) => Vec::from_iter(decide(snapshot, object, &request, &wanted, context)),
    };
    Outcome { actions, again_after: Duration::try_from(kept - age).ok() }
}

fn has_condition(request: &Value, type_: &str) -> bool {
    items(&request["status"]["conditions"]).any(|condition| condition["type"] == type_)
}

fn is_node(snapshot: &Snapshot, name: Option<&str>) -> bool {
    name.is_some_and(|name| snapshot.find("nodes", "", name).is_some())
}

/// Approves or denies what machines and nodes ask for; the rest waits for an administrator.
fn decide(
    snapshot: &Snapshot,
    object: &Object,
    request: &Value,
    wanted: &Wanted,
    context: &Context,
) -> Option<Action> {
    if !is_expected(request, wanted) {
        return None;
    }
    let verdict = |type_: &str, reason: &str, message: &str| {
        let status = with_condition(request, type_, reason, message, context);
        Some(Action::Decide { key: object.key.clone(), status })
    };
    if let Err(why) = wanted.permit(text(&request["spec"]["signerName"]), &usages(request)) {
        return verdict("Denied", "NotPermitted", &why);
    }
    let name = wanted.node().unwrap_or_default();
    if is_joining(request) && is_node(snapshot, Some(name)) {
        let why = format!("the name {name:?} is taken: a node of this name has joined already");
        return verdict("Denied", "NameTaken", &why);
    }
    if is_joining(request) && is_promised(snapshot, object, wanted) {
        let why = format!("the name {name:?} is taken: another machine is joining with it");
        return verdict("Denied", "NameTaken", &why);
    }
    verdict("Approved", "AutoApproved", "a node may have a certificate of its own name")
}

/// Whether the name was given to another key, or somebody with another key asked for it earlier. What waits for a
/// decision has not changed since it was created: its revision is its age.
fn is_promised(snapshot: &Snapshot, object: &Object, wanted: &Wanted) -> bool {
    let others = snapshot.list(RESOURCE, None).filter(|other| other.key != object.key);
    others.map(|other| (other.revision, other.value())).any(|(revision, other)| {
        let is_rival = Wanted::of(&other).is_ok_and(|rival| {
            rival.node() == wanted.node()
                && rival.public_key != wanted.public_key
                && is_expected(&other, &rival)
        });
        let has = |type_: &str| has_condition(&other, type_);
        is_rival && !has("Denied") && !has("Failed") && (has("Approved") || revision < object.revision)
    })
}

/// The request's status with one more condition.
fn with_condition(request: &Value, type_: &str, reason: &str, message: &str, context: &Context) -> Value {
    let mut status = request["status"].as_object().cloned().unwrap_or_default();
    let mut conditions: Vec<Value> = items(&request["status"]["conditions"]).cloned().collect();
    let condition = json!({"type": type_, "status": "True", "reason": reason, "message": message,
        "lastUpdateTime": meta::time(context.now)});
    meta::set_condition(&mut conditions, condition, context.now);
    status.insert("conditions".into(), conditions.into());
    status.into()
}

/// An approved request is signed, unless its signer must not.
fn sign(key: &Key, request: &Value, wanted: &Wanted, context: &Context) -> Action {
    let fail = |why: &str| {
        let status = with_condition(request, "Failed", "SignerValidationFailure", why, context);
        Action::SetStatus { key: key.clone(), status }
    };
    let usages = usages(request);
    if let Err(why) = wanted.permit(text(&request["spec"]["signerName"]), &usages) {
        return fail(&why);
    }
    Action::Sign {
        key: key.clone(),
        request_pem: pem_of(request).unwrap_or_default(),
        usages: usages.into_iter().map(String::from).collect(),
        lifetime_seconds: request["spec"]["expirationSeconds"].as_u64(),
        status: request["status"].clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{BOOTSTRAPPERS, NODES};
    use crate::certificate::tests::object;
    use peapod_api::{Draft, kinds};
    use std::sync::Arc;

    const NOW: &str = "2030-01-01T12:00:00Z";

    fn at(time: &str) -> Context {
        Context { now: time.parse().unwrap(), node_grace: Duration::from_secs(40) }
    }

    fn put(snapshot: &mut Snapshot, resource: &str, name: &str, mut value: Value) -> Key {
        let key = Key::new(resource, "", name);
        value["metadata"]["name"] = name.into();
        value["metadata"]["uid"] = name.into();
        if value["metadata"]["creationTimestamp"].is_null() {
            value["metadata"]["creationTimestamp"] = NOW.into();
        }
        let kind = kinds::of_resource(resource).unwrap();
        let revision = snapshot.revision() + 1;
        let after = Some(Arc::new(Draft::new(kind, key.clone(), value).at(revision)));
        snapshot.apply(&Change::new(revision, key.clone(), snapshot.get(&key).cloned(), after));
        key
    }

    fn joining() -> Value {
        object(&[BOOTSTRAPPERS], "system:bootstrap:abcdef")
    }

    /// The type and reason of the condition that an outcome sets.
    fn verdict(snapshot: &Snapshot, key: &Key) -> (String, String) {
        match reconcile(snapshot, key, &at(NOW)).actions.as_slice() {
            [Action::SetStatus { status, .. } | Action::Decide { status, .. }] => {
                let last = status["conditions"].as_array().unwrap().last().unwrap();
                (text(&last["type"]).into(), text(&last["reason"]).into())
            }
            other => panic!("{other:?}"),
        }
    }

    fn decided(mut request: Value, type_: &str) -> Value {
        request["status"]["conditions"] = json!([{"type": type_, "status": "True"}]);
        request
    }

    #[test]
    fn who_joins_under_a_free_name_is_approved_and_then_signed() {
        let mut snapshot = Snapshot::default();
        let key = put(&mut snapshot, RESOURCE, "a", joining());
        assert_eq!(verdict(&snapshot, &key), ("Approved".into(), "AutoApproved".into()));
        put(&mut snapshot, RESOURCE, "a", decided(joining(), "Approved"));
        let outcome = reconcile(&snapshot, &key, &at(NOW));
        assert!(
            matches!(&outcome.actions[..], [Action::Sign { request_pem, .. }] if request_pem.contains("BEGIN"))
        );
        let mut issued = decided(joining(), "Approved");
        issued["status"]["certificate"] = "LS0=".into();
        put(&mut snapshot, RESOURCE, "a", issued);
        assert_eq!(reconcile(&snapshot, &key, &at(NOW)).actions, []);
        put(&mut snapshot, "nodes", "edge-1", json!({}));
        assert!(matches!(reconcile(&snapshot, &key, &at(NOW)).actions[..], [Action::Delete { .. }]));
    }

    #[test]
    fn a_taken_name_is_refused_and_a_node_renews_its_own() {
        let mut snapshot = Snapshot::default();
        put(&mut snapshot, "nodes", "edge-1", json!({}));
        let key = put(&mut snapshot, RESOURCE, "a", joining());
        assert_eq!(verdict(&snapshot, &key), ("Denied".into(), "NameTaken".into()));
        let own = put(&mut snapshot, RESOURCE, "b", object(&[NODES], "system:node:edge-1"));
        assert_eq!(verdict(&snapshot, &own).0, "Approved");
        let other = put(&mut snapshot, RESOURCE, "c", object(&[NODES], "system:node:edge-2"));
        assert_eq!(reconcile(&snapshot, &other, &at(NOW)).actions, []);
    }

    #[test]
    fn of_two_machines_the_first_gets_the_name() {
        let mut snapshot = Snapshot::default();
        let mut early = joining();
        early["spec"]["request"] = base64_of(include_str!("../certificate/rival.csr"));
        let first = put(&mut snapshot, RESOURCE, "z", early.clone());
        let second = put(&mut snapshot, RESOURCE, "a", joining());
        assert_eq!(verdict(&snapshot, &first).0, "Approved");
        assert_eq!(verdict(&snapshot, &second), ("Denied".into(), "NameTaken".into()));
        put(&mut snapshot, RESOURCE, "z", decided(early, "Denied"));
        assert_eq!(verdict(&snapshot, &second).0, "Approved");
        // The same key asks again: it is the same machine.
        let third = put(&mut snapshot, RESOURCE, "b", joining());
        assert_eq!(verdict(&snapshot, &third).0, "Approved");
    }

    fn base64_of(text: &str) -> Value {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(text).into()
    }

    #[test]
    fn requests_do_not_stay_for_ever() {
        let mut snapshot = Snapshot::default();
        let key = put(&mut snapshot, RESOURCE, "a", decided(joining(), "Denied"));
        let outcome = reconcile(&snapshot, &key, &at(NOW));
        assert_eq!((outcome.actions.len(), outcome.again_after), (0, Some(Duration::from_secs(3600))));
        let outcome = reconcile(&snapshot, &key, &at("2030-01-01T13:00:00Z"));
        assert!(matches!(outcome.actions[..], [Action::Delete { .. }]));
        let waiting = put(&mut snapshot, RESOURCE, "b", object(&[], "jane"));
        assert_eq!(reconcile(&snapshot, &waiting, &at("2030-01-01T13:00:00Z")).actions, []);
        assert_eq!(reconcile(&snapshot, &waiting, &at("2030-01-02T12:00:00Z")).actions.len(), 1);
    }
}
