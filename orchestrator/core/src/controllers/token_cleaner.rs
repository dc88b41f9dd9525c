//! Removes join tokens that have expired.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::auth::bootstrap::{NAMESPACE, expiration};
use crate::snapshot::{Change, Snapshot};
use peapod_api::Key;
use peapod_api::well_known::{JOIN_TOKEN, JOIN_TOKEN_PREFIX};
use std::time::Duration;

pub(super) const CONTROLLER: Controller = Controller { name: "token-cleaner", triggers, reconcile };

fn triggers(_: &Snapshot, change: &Change) -> Vec<Key> {
    let key = &change.key;
    let is_token = key.resource() == "secrets"
        && key.namespace() == NAMESPACE
        && key.name().starts_with(JOIN_TOKEN_PREFIX);
    Vec::from_iter((is_token && change.after.is_some()).then(|| key.clone()))
}

fn reconcile(snapshot: &Snapshot, key: &Key, context: &Context) -> Outcome {
    let Some(object) = snapshot.get(key).filter(|object| object.header.deleted.is_none()) else {
        return Outcome::nothing();
    };
    let secret = object.value();
    let Some(end) = expiration(&secret).filter(|_| secret["type"] == JOIN_TOKEN) else {
        return Outcome::nothing();
    };
    let left = Duration::try_from(end.duration_since(context.now)).unwrap_or_default();
    if !left.is_zero() {
        return Outcome::again_after(left);
    }
    vec![Action::delete(object)].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use peapod_api::{Draft, kinds};
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn a_token_goes_when_it_has_expired() {
        let key = Key::new("secrets", NAMESPACE, "bootstrap-token-abcdef");
        let end = base64::engine::general_purpose::STANDARD.encode("2030-01-01T00:00:00Z");
        let value = json!({"type": JOIN_TOKEN, "data": {"expiration": end},
            "metadata": {"name": key.name(), "namespace": NAMESPACE, "uid": "u"}});
        let token = Arc::new(Draft::new(kinds::lookup("", "secrets").unwrap(), key.clone(), value).at(1));
        let change = Change::new(1, key.clone(), None, Some(token));
        let mut snapshot = Snapshot::default();
        snapshot.apply(&change);
        assert_eq!(triggers(&snapshot, &change), std::slice::from_ref(&key));
        let at = |text: &str| Context { now: text.parse().unwrap(), node_grace: Duration::from_secs(40) };
        let early = reconcile(&snapshot, &key, &at("2029-12-31T23:59:00Z"));
        assert_eq!((early.actions.len(), early.again_after), (0, Some(Duration::from_secs(60))));
        assert_eq!(reconcile(&snapshot, &key, &at("2030-01-01T00:00:00Z")).actions.len(), 1);
    }
}
