//! What a delete request does to an object: nothing yet, a mark, or its end.

use crate::action::{FOREGROUND, ORPHAN, Propagation};
use crate::custom::{CLEANUP, DEFINITIONS};
use jiff::{SignedDuration, Timestamp};
use peapod_api::{Kind, meta, pod};
use serde_json::{Map, Value, json};

/// Grace of a pod that names none.
const DEFAULT_GRACE_SECONDS: i64 = 30;

/// What was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish {
    /// Seconds until a pod is ended by force; none: the pod's own.
    pub grace_seconds: Option<i64>,
    /// What happens to dependents; none: what the object's finalizers say, else background.
    pub propagation: Option<Propagation>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Deletion {
    /// It is being deleted already, and the wish changes nothing.
    Pending,
    /// Store this: the object, marked. What it waits for ends it.
    Mark(Value),
    /// Remove it.
    Remove,
}

/// Decides on the deletion of `object`.
pub fn delete(kind: &Kind, object: &Value, wish: Wish, now: Timestamp) -> Deletion {
    let is_core = |plural: &str| kind.group.is_empty() && kind.plural == plural;
    let mut next = object.clone();
    if let Some(finalizers) = finalizers_for(object, wish.propagation) {
        set(&mut next, "finalizers", finalizers);
    }
    let already = object["metadata"]["deletionTimestamp"].as_str().and_then(meta::parse_time);
    let grace = if is_core("pods") { pod_grace_seconds(object, wish.grace_seconds) } else { 0 };
    match already {
        None => mark(&mut next, now, grace),
        Some(end) => {
            let old = object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
            if grace < old && (wish.grace_seconds.is_some() || grace == 0) {
                mark(&mut next, end - SignedDuration::from_secs(old), grace);
            }
        }
    }
    if kind.resource() == DEFINITIONS && already.is_none() {
        hold(&mut next, CLEANUP);
    }
    if is_core("namespaces") {
        next["status"]["phase"] = "Terminating".into();
    }
    if is_over(&next) {
        Deletion::Remove
    } else if next == *object {
        Deletion::Pending
    } else {
        count_generation(&mut next);
        Deletion::Mark(next)
    }
}

/// Whether an object that is being deleted waits for nothing any more.
pub fn is_over(object: &Value) -> bool {
    let metadata = &object["metadata"];
    let waits = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    // `spec.finalizers` is a field of namespaces alone.
    let held = waits(&metadata["finalizers"])
        || object["kind"] == "Namespace" && waits(&object["spec"]["finalizers"]);
    let graceful = metadata["deletionGracePeriodSeconds"].as_i64().unwrap_or(0) > 0;
    metadata["deletionTimestamp"].is_string() && !held && !graceful
}

/// A pod that no node runs needs no grace.
fn pod_grace_seconds(pod: &Value, wish: Option<i64>) -> i64 {
    let unscheduled = meta::text(pod, "spec.nodeName").is_none_or(str::is_empty);
    let phase = meta::text(pod, "status.phase").unwrap_or_default();
    if unscheduled || pod::is_terminal_phase(phase) {
        return 0;
    }
    let own = || pod["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(DEFAULT_GRACE_SECONDS);
    match wish.unwrap_or_else(own) {
        negative if negative < 0 => 1,
        seconds => seconds,
    }
}

fn hold(object: &mut Value, finalizer: &str) {
    let mut finalizers = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|other| other == finalizer) {
        finalizers.push(finalizer.into());
        set(object, "finalizers", finalizers.into());
    }
}

fn set(object: &mut Value, field: &str, value: Value) {
    let Some(metadata) = object["metadata"].as_object_mut() else { return };
    if value.as_array().is_some_and(Vec::is_empty) {
        metadata.remove(field);
    } else {
        metadata.insert(field.into(), value);
    }
}

/// The grace of clients may be absurd; the time stays within what a timestamp can hold.
fn mark(object: &mut Value, since: Timestamp, grace_seconds: i64) {
    let end = since.checked_add(SignedDuration::from_secs(grace_seconds)).unwrap_or(Timestamp::MAX);
    set(object, "deletionTimestamp", meta::time(end).into());
    set(object, "deletionGracePeriodSeconds", grace_seconds.into());
}

fn count_generation(object: &mut Value) {
    if let Some(n) = object["metadata"]["generation"].as_i64() {
        object["metadata"]["generation"] = (n + 1).into();
    }
}

/// The finalizers once the wish about dependents is written into them; none if they stay.
fn finalizers_for(object: &Value, wish: Option<Propagation>) -> Option<Value> {
    let wanted = match wish? {
        Propagation::Background => None,
        Propagation::Foreground => Some(FOREGROUND),
        Propagation::Orphan => Some(ORPHAN),
    };
    let old = object["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let mut new: Vec<Value> = old.iter().filter(|f| **f != FOREGROUND && **f != ORPHAN).cloned().collect();
    new.extend(wanted.map(Value::from));
    (new != old).then(|| new.into())
}

/// The `Status` that answers the removal of an object.
pub fn success(kind: &Kind, name: &str, uid: &str) -> Value {
    let mut details = Map::new();
    details.insert("name".into(), name.into());
    if !kind.group.is_empty() {
        details.insert("group".into(), (*kind.group).into());
    }
    details.insert("kind".into(), (*kind.plural).into());
    details.insert("uid".into(), uid.into());
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

#[cfg(test)]
mod tests {
    use super::*;
    use peapod_api::kinds;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn pod(node: &str, phase: &str) -> Value {
        json!({"kind": "Pod", "metadata": {"name": "a", "generation": 1}, "status": {"phase": phase},
            "spec": {"nodeName": node, "terminationGracePeriodSeconds": 30}})
    }

    fn of_pod(pod: &Value, grace_seconds: Option<i64>, now: i64) -> Deletion {
        let kind = kinds::lookup("", "pods").unwrap();
        delete(kind, pod, Wish { grace_seconds, propagation: None }, at(now))
    }

    fn marked(deletion: Deletion) -> Value {
        match deletion {
            Deletion::Mark(value) => value,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_running_pod_gets_its_grace_which_may_only_shrink() {
        let dying = marked(of_pod(&pod("n", "Running"), None, 100));
        assert_eq!(dying["metadata"]["deletionTimestamp"], "1970-01-01T00:02:10Z");
        assert_eq!(dying["metadata"]["deletionGracePeriodSeconds"], 30);
        assert_eq!(dying["metadata"]["generation"], 2);
        assert_eq!(of_pod(&dying, None, 101), Deletion::Pending);
        assert_eq!(of_pod(&dying, Some(60), 101), Deletion::Pending);
        let sooner = marked(of_pod(&dying, Some(5), 101));
        assert_eq!(sooner["metadata"]["deletionTimestamp"], "1970-01-01T00:01:45Z");
        assert_eq!(of_pod(&dying, Some(0), 101), Deletion::Remove);
        assert_eq!(
            marked(of_pod(&pod("n", "Running"), Some(i64::MAX), 1))["metadata"]["deletionTimestamp"],
            "9999-12-30T22:00:00Z"
        );
    }

    #[test]
    fn a_pod_that_nobody_runs_goes_at_once() {
        assert_eq!(of_pod(&pod("", "Pending"), None, 1), Deletion::Remove);
        assert_eq!(of_pod(&pod("n", "Succeeded"), None, 1), Deletion::Remove);
        // Also one that ended while it was being deleted.
        let mut dying = marked(of_pod(&pod("n", "Running"), None, 1));
        dying["status"]["phase"] = "Failed".into();
        assert_eq!(of_pod(&dying, None, 2), Deletion::Remove);
    }

    #[test]
    fn finalizers_hold_an_object() {
        let kind = kinds::lookup("apps", "deployments").unwrap();
        let deployment = json!({"kind": "Deployment", "metadata": {"name": "a"}});
        let wish = |propagation| Wish { grace_seconds: None, propagation: Some(propagation) };
        assert_eq!(delete(kind, &deployment, wish(Propagation::Background), at(1)), Deletion::Remove);
        let waiting = marked(delete(kind, &deployment, wish(Propagation::Foreground), at(1)));
        assert_eq!(waiting["metadata"]["finalizers"], json!([FOREGROUND]));
        assert_eq!(delete(kind, &waiting, Wish::default(), at(2)), Deletion::Pending);
        let orphaning = marked(delete(kind, &waiting, wish(Propagation::Orphan), at(2)));
        assert_eq!(orphaning["metadata"]["finalizers"], json!([ORPHAN]));
        assert!(!is_over(&orphaning) && !is_over(&deployment));
    }

    #[test]
    fn a_namespace_terminates() {
        let kind = kinds::lookup("", "namespaces").unwrap();
        let namespace = json!({"kind": "Namespace", "metadata": {"name": "a"}, "status": {"phase": "Active"},
            "spec": {"finalizers": ["kubernetes"]}});
        let mut dying = marked(delete(kind, &namespace, Wish::default(), at(1)));
        assert_eq!(dying["status"]["phase"], "Terminating");
        dying["spec"] = json!({});
        assert!(is_over(&dying));
    }
}
