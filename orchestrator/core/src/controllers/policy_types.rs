//! What the expressions of ValidatingAdmissionPolicies say that cannot be, of the kinds that their rules name: told in the
//! policy's status, as Kubernetes tells it.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::policy::{VALIDATING, type_warnings};
use crate::snapshot::{Change, Snapshot};
use peapod_api::Key;
use serde_json::{Value, json};

pub(super) const CONTROLLER: Controller =
    Controller { name: "validatingadmissionpolicy-status", triggers, reconcile };

fn triggers(_: &Snapshot, change: &Change) -> Vec<Key> {
    let is_policy = change.key.resource() == VALIDATING && change.after.is_some();
    is_policy.then(|| change.key.clone()).into_iter().collect()
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let Some(policy) = snapshot.get(key).map(|policy| policy.value()) else { return Outcome::nothing() };
    let generation = &policy["metadata"]["generation"];
    if policy["status"]["observedGeneration"] == *generation {
        return Outcome::nothing();
    }
    let mut status = policy["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    status["observedGeneration"] = generation.clone();
    status["typeChecking"] = json!({});
    let warnings = type_warnings(snapshot.kinds(), &policy["spec"]);
    if !warnings.is_empty() {
        let shown = |(field, warning): &(String, String)| json!({"fieldRef": field, "warning": warning});
        status["typeChecking"]["expressionWarnings"] =
            warnings.iter().map(shown).collect::<Vec<Value>>().into();
    }
    vec![Action::SetStatus { key: key.clone(), status }].into()
}
