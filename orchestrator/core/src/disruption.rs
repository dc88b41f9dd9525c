//! How many pods may be disrupted of one's own will. Rule: Kubernetes, "Specifying a Disruption Budget".

use crate::snapshot::Snapshot;
use crate::validation::items;
use jiff::{SignedDuration, Timestamp};
use peapod_api::error::{Cause, Reason};
use peapod_api::selector::LabelSelector;
use peapod_api::{Error, Key, Object, kinds, meta};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The resource of the budgets.
pub const BUDGETS: &str = "poddisruptionbudgets.policy";
/// An evicted pod that is still there after so long was not deleted after all.
pub const EVICTION_WITHIN: SignedDuration = SignedDuration::from_secs(120);
/// Evictions under way of one budget.
const MAX_DISRUPTED: usize = 2000;

/// How a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Pods that there should be.
    pub expected: i64,
    /// Pods that have to stay healthy.
    pub desired: i64,
    /// Pods that are.
    pub healthy: i64,
}

impl Standing {
    /// Pods that may go.
    pub fn allowed(&self) -> i64 {
        if self.expected == 0 { 0 } else { (self.healthy - self.desired).max(0) }
    }
}

/// Whether the budget is about the pod.
pub fn covers(budget: &Object, pod: &Object) -> bool {
    let selector = LabelSelector::from_object(&budget.value()["spec"]["selector"]);
    budget.namespace() == pod.namespace()
        && selector.is_some_and(|selector| selector.matches(&pod.header.labels))
}

/// How `budget` stands; `disrupted` are the pods whose eviction is under way.
pub fn standing(snapshot: &Snapshot, budget: &Object, disrupted: &BTreeMap<String, Timestamp>) -> Standing {
    let spec = budget.value()["spec"].take();
    let pods = snapshot.list("pods", Some(budget.namespace()));
    let pods: Vec<&Arc<Object>> = pods.filter(|pod| covers(budget, pod)).collect();
    let is_healthy = |pod: &&&Arc<Object>| {
        pod.header.deleted.is_none()
            && pod.header.ready_since.is_some()
            && !disrupted.contains_key(pod.name())
    };
    let healthy = count(pods.iter().filter(is_healthy).count());
    let (expected, desired) = match (&spec["minAvailable"], &spec["maxUnavailable"]) {
        (Value::Number(n), _) => (count(pods.len()), n.as_i64().unwrap_or(0)),
        (Value::String(share), _) => {
            let expected = replicas(snapshot, &pods);
            (expected, share_of(share, expected))
        }
        (_, most) => {
            let expected = replicas(snapshot, &pods);
            let most =
                most.as_str().map_or_else(|| most.as_i64().unwrap_or(0), |share| share_of(share, expected));
            (expected, (expected - most).max(0))
        }
    };
    Standing { expected, desired, healthy }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A percentage of `all`, rounded up.
fn share_of(share: &str, all: i64) -> i64 {
    let percent: i64 = share.trim_end_matches('%').parse().unwrap_or(0);
    percent.saturating_mul(all).saturating_add(99) / 100
}

/// What those who manage the pods ask for together. Pods that nobody manages are not expected.
fn replicas(snapshot: &Snapshot, pods: &[&Arc<Object>]) -> i64 {
    let mut managers = BTreeMap::new();
    for pod in pods {
        if let Some(manager) = manager(snapshot, pod) {
            managers.insert(manager.key.clone(), manager);
        }
    }
    managers.values().map(|manager| manager.value()["spec"]["replicas"].as_i64().unwrap_or(0)).sum()
}

/// The uppermost controller that has a number of replicas.
fn manager<'a>(snapshot: &'a Snapshot, object: &Object) -> Option<&'a Arc<Object>> {
    let owner = object.header.controller()?;
    let kind = kinds::of_object(&owner.api_version, &owner.kind)?;
    let found = snapshot.find(&kind.stored_resource(), object.namespace(), &owner.name)?;
    if found.header.uid != owner.uid {
        return None;
    }
    manager(snapshot, found).or(Some(found))
}

/// The evictions under way that a budget's status tells, without those that have come to an end.
pub fn disrupted(snapshot: &Snapshot, budget: &Object, now: Timestamp) -> BTreeMap<String, Timestamp> {
    let value = budget.value();
    let told = value["status"]["disruptedPods"].as_object().into_iter().flatten();
    told.filter_map(|(name, at)| Some((name.clone(), meta::parse_time(at.as_str()?)?)))
        .filter(|(name, at)| {
            let pod = snapshot.find("pods", budget.namespace(), name);
            let is_there = pod.is_some_and(|pod| pod.header.deleted.is_none());
            is_there && now.duration_since(*at) < EVICTION_WITHIN
        })
        .collect()
}

/// What an eviction costs.
#[derive(Clone, Debug, PartialEq)]
pub enum Cost {
    /// No budget has anything against it.
    Nothing,
    /// The budget's status has to become this, if the budget is still at this revision.
    Disruption {
        /// The budget.
        key: Key,
        /// Its revision.
        revision: u64,
        /// Its new status.
        status: Value,
    },
}

/// Whether `pod` may be evicted at `now`. Errors: 429 if its budget is spent, 500 if it has several.
pub fn evict(snapshot: &Snapshot, pod: &Object, now: Timestamp) -> Result<Cost, Error> {
    let over = matches!(pod.header.phase.as_deref(), Some("Succeeded" | "Failed" | "Pending"));
    if over || pod.header.deleted.is_some() {
        return Ok(Cost::Nothing);
    }
    let budgets = snapshot.list(BUDGETS, Some(pod.namespace())).filter(|budget| covers(budget, pod));
    let budget = match budgets.collect::<Vec<_>>()[..] {
        [] => return Ok(Cost::Nothing),
        [budget] => budget,
        _ => {
            let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(Error::internal(why));
        }
    };
    let mut value = budget.value();
    let number = |field: &str| value["status"][field].as_i64().unwrap_or(0);
    if pod.header.ready_since.is_none() {
        let always = value["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow";
        let desired = number("desiredHealthy");
        if always || desired > 0 && number("currentHealthy") >= desired {
            return Ok(Cost::Nothing);
        }
    }
    if number("observedGeneration") < budget.header.generation {
        let why = format!("The disruption budget {} is still being processed by the server.", budget.name());
        return Err(refused(&why).retry_after(10));
    }
    let allowed = number("disruptionsAllowed");
    if value["status"]["disruptedPods"].as_object().is_some_and(|pods| pods.len() > MAX_DISRUPTED) {
        let why = "DisruptedPods map too big - too many evictions not confirmed by PDB controller";
        return Err(Error::forbidden(BUDGETS, budget.name(), why));
    }
    if allowed <= 0 {
        let (name, desired, healthy) = (budget.name(), number("desiredHealthy"), number("currentHealthy"));
        let why =
            format!("The disruption budget {name} needs {desired} healthy pods and has {healthy} currently");
        return Err(refused(&why));
    }
    value["status"]["disruptionsAllowed"] = (allowed - 1).into();
    value["status"]["disruptedPods"][pod.name()] = meta::time(now).into();
    Ok(Cost::Disruption {
        key: budget.key.clone(),
        revision: budget.revision,
        status: value["status"].take(),
    })
}

fn refused(why: &str) -> Error {
    let message = "Cannot evict pod as it would violate the pod's disruption budget.";
    let cause = Cause { reason: "DisruptionBudget".into(), message: why.into(), field: String::new() };
    Error::new(Reason::TooManyRequests, message).because(cause)
}

/// The status of a budget that stands so.
pub fn status(
    budget: &Object,
    standing: Standing,
    disrupted: &BTreeMap<String, Timestamp>,
    now: Timestamp,
) -> Value {
    let old = budget.value()["status"].take();
    let mut conditions: Vec<Value> = items(&old["conditions"]).cloned().collect();
    let allowed = standing.allowed();
    let (state, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let condition = json!({"type": "DisruptionAllowed", "status": state, "reason": reason, "message": "",
        "observedGeneration": budget.header.generation});
    meta::set_condition(&mut conditions, condition, now);
    let mut status = json!({
        "observedGeneration": budget.header.generation, "disruptionsAllowed": allowed,
        "currentHealthy": standing.healthy, "desiredHealthy": standing.desired,
        "expectedPods": standing.expected, "conditions": conditions,
    });
    if !disrupted.is_empty() {
        let times = disrupted.iter().map(|(name, at)| (name.clone(), Value::from(meta::time(*at))));
        status["disruptedPods"] = Value::Object(times.collect());
    }
    status
}

#[cfg(test)]
mod tests;
