//! Telling the API: one patch at a time, only when something has changed, the latest state only.

use super::{Heard, Worker, status};
use crate::api::{ApiError, MERGE_PATCH, Retry};
use crate::pods::spec::Pod;
use jiff::{SignedDuration, Timestamp};
use peapod_api::meta;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a status that only says "not yet" waits for a better one: most pods run before it is over, and cost the
/// store one write less.
const PENDING_PATIENCE: SignedDuration = SignedDuration::from_millis(50);
/// Conditions that the agent writes.
const OWN_CONDITIONS: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "ContainersReady", "Ready", "PodScheduled"];

/// What the API has been told.
pub(super) struct Report {
    /// The status that the API is known to have; null if that is not known.
    told: Value,
    /// The last status made, for conditions' transition times.
    made: Value,
    under_way: bool,
    not_before: Option<Timestamp>,
    retry: Retry,
    delete_retry: Option<Retry>,
}

impl Report {
    pub(super) fn new(pod: &Pod) -> Report {
        Report {
            told: Value::Null,
            made: pod.status.clone(),
            under_way: false,
            not_before: None,
            retry: Retry::api(),
            delete_retry: None,
        }
    }

    /// Looks at the status that the API shows: if another has written our part, it is told again.
    pub(super) fn notice(&mut self, pod: &Pod) {
        if self.told.is_null() || self.under_way {
            return;
        }
        let of = |status: &Value| (status["phase"].clone(), ready(status));
        if of(&pod.status) != of(&self.told) {
            self.told = Value::Null;
        }
    }

    /// The task that was to tell is lost.
    pub(super) fn lost(&mut self) {
        self.under_way = false;
        self.told = Value::Null;
    }

    /// How long to wait before the next attempt to delete.
    pub(super) fn delete_delay(&mut self) -> Duration {
        match &mut self.delete_retry {
            None => {
                self.delete_retry = Some(Retry::api());
                Duration::ZERO
            }
            Some(retry) => retry.delay(),
        }
    }
}

fn ready(status: &Value) -> bool {
    meta::condition_is_true(&json!({ "status": status }), "Ready")
}

/// The conditions to go on from: our own as last made, those of others as the API has them.
fn before(pod: &Pod, made: &Value) -> Value {
    let own = |condition: &&Value| OWN_CONDITIONS.iter().any(|kind| condition["type"] == *kind);
    let list = |status: &Value| status["conditions"].as_array().cloned().unwrap_or_default();
    let mut conditions: Vec<Value> = list(made).iter().filter(own).cloned().collect();
    let foreign = list(&pod.status);
    conditions.extend(foreign.iter().filter(|condition| !own(condition)).cloned());
    json!({ "conditions": conditions })
}

impl Worker {
    /// Begins to tell the API what is new; gives the time to come again.
    pub(super) fn report(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.gone {
            return None;
        }
        let before = before(&self.pod, &self.report.made);
        let status = status::status(&self.pod, &self.seen, &before, self.context.host_ip, now);
        let report = &mut self.report;
        report.made = status.clone();
        if report.under_way {
            return None;
        }
        if status == report.told {
            report.not_before = None;
            self.note_final();
            return None;
        }
        if self.seen.reported && report.told.is_null() {
            // Taken up when it was over already: its status is the API's.
            return None;
        }
        let pending = |status: &Value| status["phase"] == "Pending";
        if pending(&status) && (report.told.is_null() || pending(&report.told)) && self.seen.ending.is_none()
        {
            report.not_before.get_or_insert(crate::pods::observed::after(now, PENDING_PATIENCE));
        } else if report.retry.is_fresh() {
            report.not_before = None;
        }
        if let Some(at) = report.not_before.filter(|at| *at > now) {
            return Some(at);
        }
        report.under_way = true;
        let (api, path) = (self.context.api.clone(), format!("{}/status", self.pod.path()));
        let patch = status::patch(&self.pod, status.clone());
        self.tasks.spawn(async move {
            let result = api.patch(&path, MERGE_PATCH, &patch).await.map(drop);
            Heard::Reported { status, result }
        });
        None
    }

    /// The API knows all that there is to know; if the pod is over, its object may go.
    fn note_final(&mut self) {
        if self.seen.cleaned && !self.seen.reported {
            self.seen.reported = true;
            self.again();
        }
    }

    pub(super) fn reported(&mut self, status: Value, result: Result<(), ApiError>) {
        self.report.under_way = false;
        match result {
            Ok(()) => {
                self.report.told = status;
                self.report.retry.reset();
                self.report.not_before = None;
            }
            // The object is gone, or is another by now: the watch will say so.
            Err(error) if matches!(error.code, 404 | 409) => {
                self.report.told = status;
                tracing::debug!(pod = self.pod.key(), %error, "the pod's status has no object any more");
            }
            Err(error) => {
                let delay = self.report.retry.delay();
                tracing::debug!(pod = self.pod.key(), %error, ?delay, "the pod's status could not be told");
                let delay = SignedDuration::try_from(delay).unwrap_or(SignedDuration::from_secs(1));
                self.report.not_before = Some(crate::pods::observed::after(Timestamp::now(), delay));
            }
        }
    }

    pub(super) fn deleted(&mut self, result: Result<(), ApiError>) {
        self.deleting = false;
        match result {
            Ok(()) => self.done = true,
            Err(error) if matches!(error.code, 404 | 409) => self.done = true,
            Err(error) => {
                tracing::debug!(pod = self.pod.key(), %error, "the pod could not be deleted, will try again");
            }
        }
    }

    /// Makes the worker decide once more at once.
    fn again(&mut self) {
        self.tasks.spawn(async { Heard::Again });
    }
}
