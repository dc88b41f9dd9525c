//! A Deployment's status and its conditions.

use super::{Rollout, Set};
use crate::action::Action;
use crate::controllers::replicaset::FAILURE;
use crate::validation::items;
use jiff::Timestamp;
use peapod_api::{Object, meta};
use serde_json::{Value, json};
use std::time::Duration;

impl Rollout<'_> {
    /// Writes the status if it changed; says when to look again for the progress deadline.
    pub(super) fn report(&mut self, now: Timestamp) -> Option<Duration> {
        let mut status = self.counts();
        let mut conditions = self.value["status"]["conditions"].as_array().cloned().unwrap_or_default();
        meta::set_condition(&mut conditions, self.available_condition(), now);
        let again_after = self.progress(&status, &mut conditions, now);
        self.carry_failure(&mut conditions);
        status["conditions"] = conditions.into();
        if status != self.value["status"] {
            self.actions.push(Action::SetStatus { key: self.object.key.clone(), status });
        }
        again_after
    }

    fn counts(&self) -> Value {
        let field = |name: &'static str| self.total(|set| set.count(name));
        let available = field("availableReplicas");
        let updated = self.new.as_ref().map_or(0, |set| set.count("replicas"));
        let mut status = json!({"observedGeneration": self.value["metadata"]["generation"]});
        for (name, count) in [
            ("replicas", field("replicas")),
            ("updatedReplicas", updated),
            ("readyReplicas", field("readyReplicas")),
            ("availableReplicas", available),
            ("terminatingReplicas", field("terminatingReplicas")),
            ("unavailableReplicas", (self.total(|set| set.replicas).max(self.replicas) - available).max(0)),
        ] {
            if count > 0 {
                status[name] = count.into();
            }
        }
        status
    }

    fn available_condition(&self) -> Value {
        if self.total(|set| set.available()) >= self.replicas - self.max_unavailable {
            condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            let message = "Deployment does not have minimum availability.";
            condition("Available", "False", "MinimumReplicasUnavailable", message)
        }
    }

    /// That a set's pods are refused is told by its Deployment too, first of the newest set.
    fn carry_failure(&self, conditions: &mut Vec<Value>) {
        let is_failure = |condition: &&Value| condition["type"] == FAILURE;
        let of = |set: &Set| items(&set.value["status"]["conditions"]).find(is_failure).cloned();
        match self.new.iter().chain(&self.old).find_map(of) {
            None => conditions.retain(|condition| !is_failure(&condition)),
            Some(_) if conditions.iter().any(|condition| is_failure(&condition)) => {}
            Some(mut failure) => {
                failure["lastUpdateTime"] = failure["lastTransitionTime"].clone();
                conditions.push(failure);
            }
        }
    }

    /// Sets the Progressing condition. Returns when it is to be judged again.
    fn progress(&self, status: &Value, conditions: &mut Vec<Value>, now: Timestamp) -> Option<Duration> {
        let deadline = deadline(&self.value["spec"])?;
        if self.value["spec"]["paused"] == true {
            let paused = condition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused");
            meta::set_condition(conditions, paused, now);
            return None;
        }
        let old = conditions.iter().find(|c| c["type"] == "Progressing").cloned().unwrap_or_default();
        let (new, again) = self.judge_progress(&old, status, Duration::from_secs(deadline), now);
        if let Some(mut new) = new {
            new["lastUpdateTime"] = meta::time(now).into();
            meta::set_condition(conditions, new, now);
        }
        again
    }

    /// The Progressing condition, after Kubernetes' rules: complete, progressing, or stuck past the deadline; none where
    /// `old` stays. With it, when it is to be judged again.
    fn judge_progress(
        &self,
        old: &Value,
        status: &Value,
        deadline: Duration,
        now: Timestamp,
    ) -> (Option<Value>, Option<Duration>) {
        let name = self.new.as_ref().map(|set| set.object.name().to_string()).unwrap_or_default();
        let say = |status: &str, reason: &str, what: &str| {
            Some(condition("Progressing", status, reason, &format!("ReplicaSet {name:?} {what}.")))
        };
        if let Some((reason, message)) = &self.turn {
            return (Some(condition("Progressing", "True", reason, message)), Some(deadline));
        }
        if self.is_complete(status) {
            let is_new = old["reason"] != "NewReplicaSetAvailable";
            let new = say("True", "NewReplicaSetAvailable", "has successfully progressed");
            return (new.filter(|_| is_new), None);
        }
        if self.is_progressing(status) || old.is_null() || old["reason"] == "DeploymentPaused" {
            return (say("True", "ReplicaSetUpdated", "is progressing"), Some(deadline));
        }
        if old["reason"] == "NewReplicaSetAvailable" || old["reason"] == "ProgressDeadlineExceeded" {
            return (None, None);
        }
        let since = meta::text(old, "lastUpdateTime").and_then(meta::parse_time).unwrap_or(now);
        let age = Duration::try_from(now.duration_since(since)).unwrap_or_default();
        match deadline.saturating_sub(age) {
            Duration::ZERO => (say("False", "ProgressDeadlineExceeded", "has timed out progressing"), None),
            left => (None, Some(left)),
        }
    }

    fn is_complete(&self, status: &Value) -> bool {
        let count = |name: &str| status[name].as_i64().unwrap_or(0);
        count("updatedReplicas") == self.replicas
            && count("replicas") == self.replicas
            && count("availableReplicas") == self.replicas
            && self.new.is_some()
    }

    /// Whether more pods are new, ready or available, or fewer are old, than the last status said.
    fn is_progressing(&self, status: &Value) -> bool {
        let before = &self.value["status"];
        let count = |status: &Value, name: &str| status[name].as_i64().unwrap_or(0);
        let old = |status: &Value| count(status, "replicas") - count(status, "updatedReplicas");
        let grown = ["updatedReplicas", "readyReplicas", "availableReplicas"];
        grown.iter().any(|name| count(status, name) > count(before, name)) || old(status) < old(before)
    }
}

/// What is told of a set called `name` that may not be created: reason and message.
pub(in crate::controllers) fn refusal(name: &str, why: &str) -> (&'static str, String) {
    ("ReplicaSetCreateError", format!("Failed to create new replica set {name:?}: {why}"))
}

/// The status of a Deployment once that is noted. None if it is already, or if the Deployment has no deadline.
pub(in crate::controllers) fn with_refusal(
    deployment: &Object,
    name: &str,
    why: &str,
    now: Timestamp,
) -> Option<Value> {
    let (value, (reason, message)) = (deployment.value(), refusal(name, why));
    let mut conditions: Vec<Value> = items(&value["status"]["conditions"]).cloned().collect();
    let is_known = |known: &Value| known["type"] == "Progressing" && known["reason"] == reason;
    if deadline(&value["spec"]).is_none() || conditions.iter().any(is_known) {
        return None;
    }
    let mut failed = condition("Progressing", "False", reason, &message);
    failed["lastUpdateTime"] = meta::time(now).into();
    meta::set_condition(&mut conditions, failed, now);
    let mut status = value["status"].clone();
    status["conditions"] = conditions.into();
    Some(status)
}

/// Seconds after which a Deployment that gets no further has failed; none if it never has.
fn deadline(spec: &Value) -> Option<u64> {
    spec["progressDeadlineSeconds"].as_u64().filter(|seconds| *seconds < i32::MAX as u64)
}

fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": reason, "message": message})
}
