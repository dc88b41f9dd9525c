//! Statuses that count pods.

use super::super::{Errors, child, not_negative};
use super::conditions;
use peapod_api::FieldError;
use serde_json::Value;

/// The numbers of a status.
struct Counts {
    /// None of them is below zero.
    fields: &'static [&'static str],
    /// The first is not above the second; the complaint where it is.
    bounds: &'static [(&'static str, &'static str, &'static str)],
}

const ABOVE_ALL: &str = "cannot be greater than status.replicas";
const ABOVE_READY: &str = "cannot be greater than readyReplicas";

static DEPLOYMENT: Counts = Counts {
    fields: &[
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ],
    bounds: &[
        ("updatedReplicas", "replicas", ABOVE_ALL),
        ("readyReplicas", "replicas", ABOVE_ALL),
        ("availableReplicas", "replicas", ABOVE_ALL),
        ("availableReplicas", "readyReplicas", ABOVE_READY),
    ],
};

static REPLICA_SET: Counts = Counts {
    fields: &[
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "terminatingReplicas",
        "observedGeneration",
    ],
    bounds: &[
        ("fullyLabeledReplicas", "replicas", ABOVE_ALL),
        ("readyReplicas", "replicas", ABOVE_ALL),
        ("availableReplicas", "replicas", ABOVE_ALL),
        ("availableReplicas", "readyReplicas", ABOVE_READY),
    ],
};

static STATEFUL_SET: Counts = Counts {
    fields: &[
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ],
    bounds: &[
        ("readyReplicas", "replicas", ABOVE_ALL),
        ("currentReplicas", "replicas", ABOVE_ALL),
        ("updatedReplicas", "replicas", ABOVE_ALL),
        ("availableReplicas", "replicas", ABOVE_ALL),
        ("availableReplicas", "readyReplicas", "cannot be greater than status.readyReplicas"),
    ],
};

static DAEMON_SET: Counts = Counts {
    fields: &[
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ],
    bounds: &[],
};

static AUTOSCALER: Counts = Counts { fields: &["currentReplicas", "desiredReplicas"], bounds: &[] };

static BUDGET: Counts = Counts {
    fields: &["disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"],
    bounds: &[],
};

impl Counts {
    fn check(&self, object: &Value, errors: &mut Errors) {
        let status = &object["status"];
        let number = |field: &str| status[field].as_i64().unwrap_or(0);
        for field in self.fields {
            not_negative(errors, &child("status", field), &status[*field]);
        }
        for (field, _, why) in self.bounds.iter().filter(|(field, bound, _)| number(field) > number(bound)) {
            errors.push(FieldError::invalid(&child("status", field), &number(field).into(), why));
        }
    }
}

/// How often a name was taken already is never forgotten.
fn collisions(new: &Value, old: &Value, errors: &mut Errors) {
    let count = |object: &Value| object["status"]["collisionCount"].as_i64();
    if count(old).is_some_and(|old| count(new).is_none_or(|new| new < old)) {
        let now = count(new).unwrap_or(0).into();
        errors.push(FieldError::invalid("status.collisionCount", &now, "cannot be decremented"));
    }
}

/// Of a Deployment.
pub fn deployment(new: &Value, old: &Value, errors: &mut Errors) {
    DEPLOYMENT.check(new, errors);
    collisions(new, old, errors);
}

/// Of a ReplicaSet or a ReplicationController.
pub fn replica_set(new: &Value, _: &Value, errors: &mut Errors) {
    REPLICA_SET.check(new, errors);
}

/// Of a StatefulSet.
pub fn stateful_set(new: &Value, old: &Value, errors: &mut Errors) {
    STATEFUL_SET.check(new, errors);
    collisions(new, old, errors);
}

/// Of a DaemonSet.
pub fn daemon_set(new: &Value, old: &Value, errors: &mut Errors) {
    DAEMON_SET.check(new, errors);
    collisions(new, old, errors);
}

/// Of a HorizontalPodAutoscaler.
pub fn autoscaler(new: &Value, _: &Value, errors: &mut Errors) {
    AUTOSCALER.check(new, errors);
}

/// Of a PodDisruptionBudget.
pub fn budget(new: &Value, _: &Value, errors: &mut Errors) {
    conditions::full(errors, "status.conditions", &new["status"]["conditions"]);
    BUDGET.check(new, errors);
}
