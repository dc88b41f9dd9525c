//! An APIService for each group and version that custom resource definitions serve.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::api_services::{self, RESOURCE};
use crate::custom::DEFINITIONS;
use crate::snapshot::{Change, Snapshot};
use crate::validation::{items, text};
use peapod_api::Key;
use std::collections::BTreeSet;

pub(super) const CONTROLLER: Controller = Controller { name: "apiservice", triggers, reconcile };

fn triggers(_: &Snapshot, change: &Change) -> Vec<Key> {
    match change.key.resource() {
        RESOURCE => vec![change.key.clone()],
        DEFINITIONS => {
            let mut names = BTreeSet::new();
            for definition in [&change.before, &change.after].into_iter().flatten() {
                let spec = definition.value()["spec"].take();
                let name = |version: &serde_json::Value| {
                    format!("{}.{}", text(&version["name"]), text(&spec["group"]))
                };
                names.extend(items(&spec["versions"]).map(name));
            }
            names.iter().map(|name| Key::new(RESOURCE, "", name)).collect()
        }
        _ => Vec::new(),
    }
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let Some((version, group)) = key.name().split_once('.') else { return Outcome::nothing() };
    let is_served = snapshot.kinds().custom().any(|kind| kind.is(group, version));
    let action = match snapshot.get(key) {
        None if is_served => Action::Create { object: api_services::custom(group, version) },
        Some(service) if !is_served && api_services::is_custom(service) => Action::delete(service),
        _ => return Outcome::nothing(),
    };
    vec![action].into()
}
