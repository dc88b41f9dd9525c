//! Keeps the status of PodDisruptionBudgets: how many of their pods may go.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::disruption::{self, BUDGETS, EVICTION_WITHIN};
use crate::snapshot::{Change, Snapshot};
use peapod_api::{Key, kinds};
use std::time::Duration;

pub(super) const CONTROLLER: Controller = Controller { name: "disruption", triggers, reconcile };

/// A budget's own changes, those of its pods, and those of who says how many pods there should be.
fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    let key = &change.key;
    if key.resource() == BUDGETS {
        return vec![key.clone()];
    }
    let budgets = || snapshot.list(BUDGETS, Some(key.namespace()));
    if key.resource() == "pods" {
        let pods = || [&change.before, &change.after].into_iter().flatten();
        let concerned = budgets().filter(|budget| pods().any(|pod| disruption::covers(budget, pod)));
        return concerned.map(|budget| budget.key.clone()).collect();
    }
    let scales =
        kinds::of_resource(key.resource()).is_some_and(|kind| kind.has(peapod_api::Subresource::Scale));
    if scales { budgets().map(|budget| budget.key.clone()).collect() } else { Vec::new() }
}

fn reconcile(snapshot: &Snapshot, key: &Key, context: &Context) -> Outcome {
    let Some(budget) = snapshot.get(key).filter(|budget| budget.header.deleted.is_none()) else {
        return Outcome::nothing();
    };
    let under_way = disruption::disrupted(snapshot, budget, context.now);
    let standing = disruption::standing(snapshot, budget, &under_way);
    let status = disruption::status(budget, standing, &under_way, context.now);
    let again_after =
        (!under_way.is_empty()).then(|| Duration::try_from(EVICTION_WITHIN).unwrap_or_default());
    if budget.value()["status"] == status {
        return Outcome { actions: Vec::new(), again_after };
    }
    Outcome { actions: vec![Action::SetStatus { key: key.clone(), status }], again_after }
}
