//! Rolls a Deployment's pod template out over its ReplicaSets.

mod history;
mod rollout;
mod scale;
mod status;

pub(super) use status::{refusal, with_refusal};

use super::owned::{is_managed_by, self_or_controller};
use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::snapshot::{Change, Snapshot};
use peapod_api::{Key, Object};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) const CONTROLLER: Controller = Controller { name: "deployment", triggers, reconcile };

pub(super) const RESOURCE: &str = "deployments.apps";
const HASH_LABEL: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";

/// One ReplicaSet of the Deployment, with the numbers that the rollout turns on.
struct Set {
    object: Arc<Object>,
    value: Value,
    /// `spec.replicas` as the actions so far leave it.
    replicas: i64,
}

impl Set {
    fn read(object: &Arc<Object>) -> Set {
        let value = object.value();
        let replicas = value["spec"]["replicas"].as_i64().unwrap_or(1);
        Set { object: object.clone(), value, replicas }
    }

    fn count(&self, field: &str) -> i64 {
        self.value["status"][field].as_i64().unwrap_or(0)
    }

    fn available(&self) -> i64 {
        self.count("availableReplicas")
    }

    fn revision(&self) -> i64 {
        annotation(&self.value, REVISION).and_then(|r| r.parse().ok()).unwrap_or(0)
    }
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][name].as_str()
}

/// A Deployment and its ReplicaSets as one reconciliation sees them; `actions` collects what is to be written.
struct Rollout<'a> {
    object: &'a Object,
    value: Value,
    replicas: i64,
    max_surge: i64,
    max_unavailable: i64,
    /// The set whose template is the Deployment's.
    new: Option<Set>,
    /// The others, oldest first.
    old: Vec<Set>,
    /// Reason and message of a new turn: a set was created, or an older one became the newest again.
    turn: Option<(&'static str, String)>,
    actions: Vec<Action>,
}

fn triggers(_: &Snapshot, change: &Change) -> Vec<Key> {
    self_or_controller(change, RESOURCE)
}

fn reconcile(snapshot: &Snapshot, key: &Key, context: &Context) -> Outcome {
    let Some(object) = snapshot.get(key).filter(|object| object.header.deleted.is_none()) else {
        return Outcome::nothing();
    };
    let mut rollout = Rollout::read(snapshot, object);
    let paused = rollout.value["spec"]["paused"] == true;
    if paused || rollout.is_scaling() {
        rollout.scale_proportionally();
    } else {
        rollout.ensure_new_set(snapshot);
        match rollout.value["spec"]["strategy"]["type"].as_str() {
            Some("Recreate") => rollout.recreate(snapshot),
            _ => rollout.roll(),
        }
    }
    rollout.forget_history();
    let again_after = rollout.report(context.now);
    Outcome { actions: rollout.actions, again_after }
}

impl<'a> Rollout<'a> {
    fn read(snapshot: &Snapshot, object: &'a Object) -> Rollout<'a> {
        let value = object.value();
        let uid = &object.header.uid;
        let owned = snapshot.owned_by(uid).filter(|o| o.key.resource() == "replicasets.apps");
        let mut sets: Vec<Set> =
            owned.filter(|o| is_managed_by(o, uid) && o.header.deleted.is_none()).map(Set::read).collect();
        sets.sort_by(|a, b| {
            (a.object.header.created, &a.object.key).cmp(&(b.object.header.created, &b.object.key))
        });
        let template = &value["spec"]["template"];
        let new = sets.iter().position(|set| same_template(&set.value["spec"]["template"], template));
        let new = new.map(|index| sets.remove(index));
        let replicas = value["spec"]["replicas"].as_i64().unwrap_or(1);
        let (max_surge, max_unavailable) = limits(&value["spec"]["strategy"], replicas);
        Rollout {
            object,
            value,
            replicas,
            max_surge,
            max_unavailable,
            new,
            old: sets,
            turn: None,
            actions: Vec::new(),
        }
    }

    fn sets(&self) -> impl Iterator<Item = &Set> {
        self.old.iter().chain(&self.new)
    }

    fn total(&self, count: impl Fn(&Set) -> i64) -> i64 {
        self.sets().map(count).sum()
    }

    fn event(&mut self, reason: &str, message: String) {
        let regarding = self.object.key.clone();
        self.actions.push(Action::Event { regarding, type_: "Normal", reason: reason.into(), message });
    }
}

fn same_template(of_set: &Value, of_deployment: &Value) -> bool {
    let mut of_set = of_set.clone();
    if let Some(labels) = of_set["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH_LABEL);
    }
    of_set == *of_deployment
}

/// (maxSurge, maxUnavailable) in pods: surge rounds up, unavailability down, and both cannot be 0.
fn limits(strategy: &Value, replicas: i64) -> (i64, i64) {
    if strategy["type"] == "Recreate" {
        return (0, replicas);
    }
    let rolling = &strategy["rollingUpdate"];
    let surge = share(&rolling["maxSurge"], replicas, 99);
    let unavailable = share(&rolling["maxUnavailable"], replicas, 0);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable.min(replicas)) }
}

/// A count or a percentage of `replicas` (25% if absent); `round` is added before dividing by 100.
fn share(value: &Value, replicas: i64, round: i64) -> i64 {
    let percent =
        value.as_str().map_or(Some("25"), |text| text.strip_suffix('%')).and_then(|p| p.parse::<i64>().ok());
    let part = percent.map(|percent| (replicas.saturating_mul(percent) + round) / 100);
    value.as_i64().or(part).unwrap_or(0).max(0)
}

fn scale_patch(replicas: i64, desired: i64, max: i64) -> Value {
    json!({
        "metadata": {"annotations": {DESIRED: desired.to_string(), MAX: max.to_string()}},
        "spec": {"replicas": replicas},
    })
}
