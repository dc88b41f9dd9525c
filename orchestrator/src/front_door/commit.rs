//! From prepared steps to one guarded request, and from its failure to what the client is told.

use super::FrontDoor;
use super::prepare::Step;
use super::request::Shown;
use crate::cache::{Guard, Request, Rule, Write, WriteError};
use peapod_api::error::Reason;
use peapod_api::{Draft, Error, Key, Object};
use peapod_core::admission;
use peapod_core::served::Served;
use serde_json::Value;
use std::sync::Arc;

/// How a commit ended without being done.
pub(super) enum Failure {
    /// The object of that key is not what the step was decided on; this is what it is.
    Moved(Key, Option<Arc<Object>>),
    /// What was allocated, or the namespace, is gone since.
    Rule(Error),
    /// One of the caller's own guards does not hold.
    Stale,
    /// Anything else.
    Other(Error),
}

impl Failure {
    /// For a caller that does not try again.
    pub(super) fn into_error(self) -> Error {
        match self {
            Failure::Moved(key, None) => Error::not_found(key.resource(), key.name()),
            Failure::Moved(key, Some(_)) => Error::modified(key.resource(), key.name()),
            Failure::Stale => Error::new(Reason::Conflict, "the decision rests on a state that has changed"),
            Failure::Rule(error) | Failure::Other(error) => error,
        }
    }
}

impl FrontDoor {
    /// Writes all steps or none, if the caller's `guards` hold and no step's object has moved. Returns the committed
    /// objects, step by step; the last state of one that was removed.
    pub(super) async fn commit(
        &self,
        guards: Vec<Guard>,
        steps: Vec<Step>,
    ) -> Result<Vec<Option<Arc<Object>>>, Failure> {
        let own: Vec<Guard> = steps.iter().map(guard).collect();
        let rule = rule(&steps);
        let writes = steps.into_iter().map(write).collect();
        let own_count = own.len();
        let request = Request { guards: own.into_iter().chain(guards).collect(), writes, rule };
        let own: Vec<Guard> = request.guards[..own_count].to_vec();
        match self.cache().write(request).await {
            Ok(committed) => Ok(committed.objects),
            Err(error) => Err(failure(error, &own)),
        }
    }

    /// What would have been shown, without a commit.
    pub(super) fn rehearse(step: &Step) -> Shown {
        let mut object = step.object.clone();
        if step.before.is_none()
            && let Some(metadata) = object["metadata"].as_object_mut()
        {
            metadata.remove("resourceVersion");
        }
        Shown::Value(object)
    }
}

fn guard(step: &Step) -> Guard {
    match &step.before {
        Some(object) => Guard::Revision { key: step.key.clone(), revision: object.revision },
        None => Guard::Absent { key: step.key.clone() },
    }
}

fn write(mut step: Step) -> Write {
    if step.removes {
        return Write::Delete(step.key);
    }
    let kind = step.kind.store(&mut step.object);
    Write::Put(Draft::new(kind, step.key, step.object))
}

/// Everything that must still be true across objects when the write is done.
fn rule(steps: &[Step]) -> Option<Rule> {
    let checks: Vec<(Served, Value, Option<Arc<Object>>)> = steps
        .iter()
        .filter(|step| !step.removes && admission::needs_recheck(&step.kind, step.before.is_none()))
        .map(|step| (step.kind.clone(), essentials(step), step.before.clone()))
        .collect();
    if checks.is_empty() {
        return None;
    }
    Some(Box::new(move |snapshot| {
        let mut quotas = snapshot.quotas().clone();
        checks.iter().try_for_each(|(kind, object, before)| {
            let old = before.as_ref().map(|before| before.value());
            admission::recheck(snapshot, &mut quotas, kind, object, old.as_ref())
        })
    }))
}

/// The part of an object that a recheck reads: a copy of a whole ConfigMap would be waste.
fn essentials(step: &Step) -> Value {
    let mut object =
        serde_json::json!({"metadata": {"name": step.key.name(), "namespace": step.key.namespace()}});
    if matches!(&*step.kind.plural, "services" | "nodes" | "pods" | "persistentvolumeclaims") {
        object["spec"] = step.object["spec"].clone();
    }
    object
}

fn failure(error: WriteError, own: &[Guard]) -> Failure {
    match error {
        WriteError::Guard { guard, current } => match &guard {
            Guard::Revision { key, .. } | Guard::Absent { key } if own.contains(&guard) => {
                Failure::Moved(key.clone(), current)
            }
            _ => Failure::Stale,
        },
        WriteError::Rule(error) => Failure::Rule(error),
        WriteError::TooLarge { .. } => {
            Failure::Other(Error::new(Reason::RequestEntityTooLarge, error.to_string()))
        }
        WriteError::Unknown => Failure::Other(Error::internal("the outcome of the write is unknown")),
        WriteError::Closed => {
            let why = "the server is shutting down and takes no more writes";
            Failure::Other(Error::new(Reason::ServiceUnavailable, why).retry_after(1))
        }
    }
}
