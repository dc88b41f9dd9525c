//! Feeds the scheduler with changes and writes what it decides.

use super::{creations, until};
use crate::cache::Cache;
use crate::front_door::FrontDoor;
use peapod_api::{Key, Object, meta};
use peapod_core::action::Action;
use peapod_core::scheduler::{ClusterView, DEFAULT_SCHEDULER, PodView, schedule};
use peapod_core::snapshot::{Change, Snapshot};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Binds that may be under way at once.
const CONCURRENT: usize = 256;
/// How long a pod waits after its bind was refused.
const RETRY: Duration = Duration::from_millis(100);
const USER: &str = "system:kube-scheduler";

struct Scheduling {
    cache: Cache,
    door: FrontDoor,
    cluster: ClusterView,
    /// To be tried now.
    ready: BTreeSet<Key>,
    /// Fit nowhere; the message that was reported of each.
    waiting: BTreeMap<Key, String>,
    /// Refused by the front door; tried again at this time.
    refused: BTreeMap<Key, Instant>,
    writes: JoinSet<(Key, bool)>,
}

/// Schedules until `stop`.
pub async fn run(cache: Cache, door: FrontDoor, stop: CancellationToken) {
    let (start, mut changes) = cache.changes();
    let mut state = Scheduling::new(cache, door, &start);
    loop {
        state.schedule_ready();
        tokio::select! {
            () = stop.cancelled() => return,
            batch = changes.next() => match batch {
                Ok(batch) => batch.changes.iter().for_each(|change| state.see(change)),
                Err(_) => {
                    let (start, anew) = state.cache.changes();
                    changes = anew;
                    state = Scheduling::new(state.cache, state.door, &start);
                }
            },
            () = until(state.refused.values().min().copied()) => state.retry_refused(),
            Some(ended) = state.writes.join_next() => match ended {
                Ok((key, bound)) => state.written(key, bound),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
        }
    }
}

/// A pod that waits for this scheduler.
fn is_pending(pod: &Object) -> bool {
    let scheduler = pod.header.fields.iter().find(|(field, _)| &**field == "spec.schedulerName");
    let ours = scheduler.is_none_or(|(_, name)| name.is_empty() || &**name == DEFAULT_SCHEDULER);
    ours && pod.header.node.is_none() && pod.header.deleted.is_none()
}

fn bind(pod: &Object, node: &str) -> Vec<Action> {
    let message = format!("Successfully assigned {}/{} to {node}", pod.namespace(), pod.name());
    let bind = Action::Bind { key: pod.key.clone(), uid: pod.header.uid.to_string(), node: node.into() };
    let event =
        Action::Event { regarding: pod.key.clone(), type_: "Normal", reason: "Scheduled".into(), message };
    vec![bind, event]
}

impl Scheduling {
    fn new(cache: Cache, door: FrontDoor, start: &Snapshot) -> Scheduling {
        let mut state = Scheduling {
            cache,
            door,
            cluster: ClusterView::default(),
            ready: BTreeSet::new(),
            waiting: BTreeMap::new(),
            refused: BTreeMap::new(),
            writes: JoinSet::new(),
        };
        creations(start).for_each(|change| state.see(&change));
        state
    }

    fn see(&mut self, change: &Change) {
        if self.cluster.apply(change) {
            self.ready.extend(std::mem::take(&mut self.waiting).into_keys());
        }
        if change.key.resource() != "pods" {
            return;
        }
        match &change.after {
            Some(pod) if is_pending(pod) => {
                let spec_changed =
                    change.before.as_ref().is_none_or(|b| b.header.generation != pod.header.generation);
                if spec_changed {
                    self.ready.insert(change.key.clone());
                }
            }
            _ => {
                self.ready.remove(&change.key);
                self.waiting.remove(&change.key);
                self.refused.remove(&change.key);
            }
        }
    }

    fn schedule_ready(&mut self) {
        let snapshot = self.cache.snapshot();
        while self.writes.len() < CONCURRENT
            && let Some(key) = self.ready.pop_first()
        {
            let Some(pod) = snapshot.get(&key).filter(|pod| is_pending(pod)) else { continue };
            if pod.value()["spec"]["schedulingGates"].as_array().is_some_and(|gates| !gates.is_empty()) {
                continue;
            }
            let view = PodView::read(pod);
            match schedule(&view, &self.cluster, snapshot.revision()) {
                Ok(place) => {
                    self.cluster.assume(&key, &view, &place.node);
                    self.write(key, bind(pod, &place.node), true);
                }
                Err(unschedulable) => {
                    let actions = self.report(pod, unschedulable.to_string());
                    self.write(key, actions, false);
                }
            }
        }
    }

    /// Says once per reason why a pod is pending.
    fn report(&mut self, pod: &Object, message: String) -> Vec<Action> {
        self.waiting.insert(pod.key.clone(), message.clone());
        let value = pod.value();
        let mut status = value["status"].clone();
        let mut conditions = status["conditions"].as_array().cloned().unwrap_or_default();
        if conditions.iter().any(|c| c["type"] == "PodScheduled" && c["message"] == message.as_str()) {
            return Vec::new();
        }
        let condition = json!({
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        });
        meta::set_condition(&mut conditions, condition, self.door.now());
        status["conditions"] = conditions.into();
        let event = Action::Event {
            regarding: pod.key.clone(),
            type_: "Warning",
            reason: "FailedScheduling".into(),
            message,
        };
        vec![Action::SetStatus { key: pod.key.clone(), status }, event]
    }

    fn write(&mut self, key: Key, actions: Vec<Action>, bind: bool) {
        if actions.is_empty() {
            return;
        }
        let door = self.door.clone();
        self.writes.spawn(async move {
            let written = door.act(USER, Vec::new(), actions).await;
            if let Err(error) = &written {
                tracing::debug!(%key, %error, "the scheduler's write was refused");
            }
            (key, written.is_ok() || !bind)
        });
    }

    fn written(&mut self, key: Key, accepted: bool) {
        if !accepted {
            self.cluster.forget(&key);
            self.refused.insert(key, Instant::now() + RETRY);
        }
    }

    fn retry_refused(&mut self) {
        let now = Instant::now();
        let due: Vec<Key> =
            self.refused.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect();
        for key in due {
            self.refused.remove(&key);
            self.ready.insert(key);
        }
    }
}
