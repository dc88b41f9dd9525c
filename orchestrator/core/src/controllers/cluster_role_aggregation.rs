//! ClusterRoles that are the sum of others: their rules are those of every ClusterRole that a selector matches.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::auth::rbac::CLUSTER_ROLES;
use crate::snapshot::{Change, Snapshot};
use crate::validation::items;
use peapod_api::selector::LabelSelector;
use peapod_api::{Key, Object};
use serde_json::{Value, json};

pub(super) const CONTROLLER: Controller = Controller { name: "clusterrole-aggregation", triggers, reconcile };

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    if change.key.resource() != CLUSTER_ROLES {
        return Vec::new();
    }
    let aggregated = |role: &&std::sync::Arc<Object>| !role.value()["aggregationRule"].is_null();
    snapshot.list(CLUSTER_ROLES, None).filter(aggregated).map(|role| role.key.clone()).collect()
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let Some(object) = snapshot.get(key).filter(|object| object.header.deleted.is_none()) else {
        return Outcome::nothing();
    };
    let role = object.value();
    if role["aggregationRule"].is_null() {
        return Outcome::nothing();
    }
    let rules = gather(snapshot, object, &role);
    if Value::from(rules.clone()) == role["rules"] || rules.is_empty() && items(&role["rules"]).count() == 0 {
        return Outcome::nothing();
    }
    vec![Action::Patch { key: key.clone(), patch: json!({ "rules": rules }) }].into()
}

/// The rules of every other ClusterRole that a selector matches, selector by selector in the order of names, each once.
fn gather(snapshot: &Snapshot, own: &Object, role: &Value) -> Vec<Value> {
    let mut rules = Vec::new();
    for selector in items(&role["aggregationRule"]["clusterRoleSelectors"]) {
        let Some(selector) = LabelSelector::from_object(selector) else { continue };
        let others = snapshot.list(CLUSTER_ROLES, None).filter(|other| other.key != own.key);
        for other in others.filter(|other| selector.matches(&other.header.labels)) {
            for rule in items(&other.value()["rules"]) {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    rules
}
