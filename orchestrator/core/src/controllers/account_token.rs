//! Tokens of service accounts that are kept in Secrets: those of type `kubernetes.io/service-account-token` are filled in, and
//! go with their account. Rule: Kubernetes, "Managing Service Accounts", token controller.

use super::namespace_defaults::{ROOT_CA, SYSTEM};
use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::auth::account::{self, NAME, TOKEN_SECRET};
use crate::snapshot::{Change, Snapshot};
use crate::validation::text;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_api::{Key, Object};
use serde_json::{Value, json};

pub(super) const CONTROLLER: Controller = Controller { name: "tokens", triggers, reconcile };

/// With the account's name, the annotations that say whose token it is.
const UID: &str = "kubernetes.io/service-account.uid";

fn is_token(secret: &Object) -> bool {
    secret.header.fields.iter().any(|(field, value)| &**field == "type" && &**value == TOKEN_SECRET)
}

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    let tokens_in = |namespace: Option<&str>| {
        let secrets = snapshot.list("secrets", namespace).filter(|secret| is_token(secret));
        secrets.map(|secret| secret.key.clone()).collect()
    };
    let key = &change.key;
    match key.resource() {
        "secrets" if change.after.as_ref().is_some_and(|secret| is_token(secret)) => vec![key.clone()],
        "serviceaccounts" => tokens_in(Some(key.namespace())),
        "configmaps" if key.namespace() == SYSTEM && key.name() == ROOT_CA => tokens_in(None),
        _ => Vec::new(),
    }
}

fn reconcile(snapshot: &Snapshot, key: &Key, context: &Context) -> Outcome {
    let Some(object) = snapshot.get(key).filter(|o| o.header.deleted.is_none() && is_token(o)) else {
        return Outcome::nothing();
    };
    let secret = object.value();
    let said = |annotation: &str| text(&secret["metadata"]["annotations"][annotation]);
    let account = snapshot.find("serviceaccounts", key.namespace(), said(NAME));
    let account = account.filter(|a| said(UID).is_empty() || *said(UID) == *a.header.uid);
    let Some(account) = account else {
        return vec![Action::delete(object)].into();
    };
    // Not before the authority is known, which is at the first start.
    let Some(authority) = snapshot.find("configmaps", SYSTEM, ROOT_CA) else { return Outcome::nothing() };
    let encode = |text: &str| Value::from(STANDARD.encode(text));
    let authority = encode(text(&authority.value()["data"]["ca.crt"]));
    let data = json!({"ca.crt": authority, "namespace": encode(key.namespace())});
    let is_so = |field: &str| secret["data"][field] == data[field];
    if !secret["data"]["token"].is_null() && is_so("ca.crt") && is_so("namespace") && !said(UID).is_empty() {
        return Outcome::nothing();
    }
    let patch = json!({"metadata": {"annotations": {UID: &*account.header.uid}}, "data": data});
    let key = key.clone();
    if !secret["data"]["token"].is_null() {
        return vec![Action::Patch { key, patch }].into();
    }
    let claims = account::kept(account, object, context.now);
    vec![Action::MintToken { key, claims: Box::new(claims), patch }].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::rbac::tests::put;
    use std::time::Duration;

    fn outcome(world: &Snapshot) -> Vec<Action> {
        let now = "2030-01-01T00:00:00Z".parse().unwrap();
        let context = Context { now, node_grace: Duration::from_secs(40) };
        reconcile(world, &Key::new("secrets", "a", "s"), &context).actions
    }

    fn secret(annotations: Value, data: Value) -> Value {
        json!({"type": TOKEN_SECRET, "metadata": {"uid": "s", "annotations": annotations}, "data": data})
    }

    #[test]
    fn a_secret_is_filled_in_and_goes_with_its_account() {
        let mut world = Snapshot::default();
        put(&mut world, "configmaps", SYSTEM, ROOT_CA, json!({"data": {"ca.crt": "CA"}}));
        put(&mut world, "serviceaccounts", "a", "robot", json!({"metadata": {"uid": "r"}}));
        put(&mut world, "secrets", "a", "s", secret(json!({NAME: "robot"}), Value::Null));
        let actions = outcome(&world);
        let [Action::MintToken { claims, patch, .. }] = &actions[..] else { panic!("{actions:?}") };
        let now = "2031-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(claims.user(&world, now).unwrap().name, "system:serviceaccount:a:robot");
        assert_eq!((&patch["data"]["ca.crt"], &patch["data"]["namespace"]), (&json!("Q0E="), &json!("YQ==")));

        let known = json!({NAME: "robot", UID: "r"});
        let full = json!({"token": "dA==", "ca.crt": "Q0E=", "namespace": "YQ=="});
        put(&mut world, "secrets", "a", "s", secret(known.clone(), full.clone()));
        assert_eq!(outcome(&world), []);
        put(&mut world, "configmaps", SYSTEM, ROOT_CA, json!({"data": {"ca.crt": "CB"}}));
        assert!(matches!(&outcome(&world)[..], [Action::Patch { .. }]), "another authority, the same token");
        put(&mut world, "serviceaccounts", "a", "robot", json!({"metadata": {"uid": "another"}}));
        assert!(matches!(&outcome(&world)[..], [Action::Delete { .. }]));
        put(&mut world, "secrets", "a", "s", json!({"type": "Opaque", "metadata": {"annotations": known}}));
        assert_eq!(outcome(&world), [], "others are not looked at");
    }
}
