//! Keeps the status of ResourceQuotas: what there may be, and what there is.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::quota::{self, QUOTAS};
use crate::snapshot::{Change, Snapshot};
use peapod_api::Key;
use serde_json::{Map, Value, json};

pub(super) const CONTROLLER: Controller = Controller { name: "resourcequota", triggers, reconcile };

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    let mut keys = Vec::new();
    if change.key.resource() == QUOTAS {
        keys.push(change.key.clone());
    }
    if quota::is_felt(change) {
        let quotas = snapshot.list(QUOTAS, Some(change.key.namespace()));
        keys.extend(quotas.map(|quota| quota.key.clone()).filter(|key| *key != change.key));
    }
    keys
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let Some(object) = snapshot.get(key).filter(|quota| quota.header.deleted.is_none()) else {
        return Outcome::nothing();
    };
    let value = object.value();
    let used = snapshot.quotas().used(key);
    let used: Map<String, Value> =
        used.into_iter().map(|(name, amount)| (name, amount.to_string().into())).collect();
    let mut status = json!({});
    if !used.is_empty() {
        status = json!({"hard": value["spec"]["hard"], "used": used});
    }
    if value["status"] == status {
        return Outcome::nothing();
    }
    vec![Action::SetStatus { key: key.clone(), status }].into()
}
