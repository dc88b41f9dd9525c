//! Events about pods, as kubelet words them: equal ones are counted in one object, and a chatty one is held back.

use crate::api::{Api, MERGE_PATCH, escape};
use crate::pods::spec::Pod;
use jiff::Timestamp;
use peapod_api::meta;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Events that wait to be sent; more are dropped, and counted in the log.
const MAX_QUEUED: usize = 1024;
/// Different events that are remembered for counting.
const MAX_REMEMBERED: usize = 4096;
/// How long an event is remembered after it was last seen.
const REMEMBERED: Duration = Duration::from_secs(600);
/// Events about one object that may be sent at once.
const BURST: f64 = 25.0;
/// After a burst: one event about the object each this many seconds.
const REFILL_SECONDS: f64 = 20.0;

/// Whether an event is good or bad news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Warning,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) kind: &'static str,
    pub(crate) api_version: &'static str,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) field_path: String,
}

impl Subject {
    /// A pod, or one of its containers.
    pub(crate) fn pod(pod: &Pod, container: Option<&str>) -> Subject {
        let list = |name: &str| if pod.is_init(name) { "initContainers" } else { "containers" };
        Subject {
            kind: "Pod",
            api_version: "v1",
            namespace: pod.metadata.namespace.clone(),
            name: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            field_path: container.map_or(String::new(), |name| format!("spec.{}{{{name}}}", list(name))),
        }
    }
}

struct Event {
    subject: Subject,
    kind: Kind,
    reason: &'static str,
    message: String,
    at: Timestamp,
}

/// Takes events from anywhere; never waits.
#[derive(Clone)]
pub(crate) struct Events {
    queue: mpsc::Sender<Event>,
}

impl Events {
    /// The recorder, and the task that sends what it takes.
    pub(crate) fn new(
        api: Api,
        node: String,
        stop: CancellationToken,
    ) -> (Events, impl Future<Output = ()> + Send) {
        let (queue, events) = mpsc::channel(MAX_QUEUED);
        (
            Events { queue },
            send(Sender { api, node, known: HashMap::new(), budgets: HashMap::new() }, events, stop),
        )
    }

    /// Records one event.
    pub(crate) fn record(
        &self,
        subject: Subject,
        kind: Kind,
        reason: &'static str,
        message: impl Into<String>,
    ) {
        let event = Event { subject, kind, reason, message: message.into(), at: Timestamp::now() };
        if let Err(error) = self.queue.try_send(event) {
            tracing::debug!(%error, "an event is dropped");
        }
    }
}

async fn send(mut sender: Sender, mut events: mpsc::Receiver<Event>, stop: CancellationToken) {
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            () = stop.cancelled() => None,
        };
        let Some(event) = event else { return };
        tokio::select! {
            () = sender.send(event) => {}
            () = stop.cancelled() => return,
        }
    }
}

type Identity = (Subject, &'static str, String);

struct Known {
    path: String,
    count: u32,
    seen: Instant,
}

struct Sender {
    api: Api,
    node: String,
    known: HashMap<Identity, Known>,
    budgets: HashMap<String, Budget>,
}

/// A token bucket for the events of one object.
struct Budget {
    tokens: f64,
    at: Instant,
}

impl Budget {
    fn take(&mut self, now: Instant) -> bool {
        let refill = now.saturating_duration_since(self.at).as_secs_f64() / REFILL_SECONDS;
        self.tokens = (self.tokens + refill).min(BURST);
        self.at = now;
        let has = self.tokens >= 1.0;
        self.tokens -= f64::from(u8::from(has));
        has
    }
}

impl Sender {
    async fn send(&mut self, event: Event) {
        let now = Instant::now();
        self.forget(now);
        let budget = self.budgets.entry(event.subject.uid.clone());
        if !budget.or_insert(Budget { tokens: BURST, at: now }).take(now) {
            return;
        }
        let identity = (event.subject.clone(), event.reason, event.message.clone());
        if let Some(known) = self.known.get_mut(&identity) {
            known.count += 1;
            known.seen = now;
            let patch = json!({"count": known.count, "lastTimestamp": meta::time(event.at)});
            let path = known.path.clone();
            if self.api.patch(&path, MERGE_PATCH, &patch).await.is_ok() {
                return;
            }
        }
        let object = self.object(&event);
        let folder = format!("/api/v1/namespaces/{}/events", escape(&event.subject.namespace));
        let path = format!("{folder}/{}", object["metadata"]["name"].as_str().unwrap_or_default());
        match self.api.create(&folder, &object).await {
            Ok(_) => drop(self.known.insert(identity, Known { path, count: 1, seen: now })),
            Err(error) => tracing::debug!(%error, reason = event.reason, "an event could not be written"),
        }
    }

    fn forget(&mut self, now: Instant) {
        if self.known.len() < MAX_REMEMBERED && self.budgets.len() < MAX_REMEMBERED {
            return;
        }
        self.known.retain(|_, known| now.saturating_duration_since(known.seen) < REMEMBERED);
        self.budgets.retain(|_, budget| now.saturating_duration_since(budget.at) < REMEMBERED);
        if self.known.len() >= MAX_REMEMBERED {
            self.known.clear();
        }
        if self.budgets.len() >= MAX_REMEMBERED {
            self.budgets.clear();
        }
    }

    fn object(&self, event: &Event) -> Value {
        let subject = &event.subject;
        let suffix = format!("{:016x}", event.at.as_nanosecond() as u64 ^ (fastrand::u64(..) >> 44));
        let mut object = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": format!("{}.{suffix}", subject.name), "namespace": subject.namespace},
            "involvedObject": {"kind": subject.kind, "apiVersion": subject.api_version, "name": subject.name,
                "namespace": subject.namespace, "uid": subject.uid},
            "reason": event.reason, "message": event.message, "count": 1,
            "type": if event.kind == Kind::Normal { "Normal" } else { "Warning" },
            "firstTimestamp": meta::time(event.at), "lastTimestamp": meta::time(event.at),
            "source": {"component": "kubelet", "host": self.node},
            "reportingComponent": "kubelet", "reportingInstance": self.node,
        });
        if !subject.field_path.is_empty() {
            object["involvedObject"]["fieldPath"] = subject.field_path.as_str().into();
        }
        object
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_allows_a_burst_and_then_one_at_a_time() {
        let start = Instant::now();
        let mut budget = Budget { tokens: BURST, at: start };
        assert_eq!((0..100).filter(|_| budget.take(start)).count(), BURST as usize);
        assert!(!budget.take(start + Duration::from_secs(19)));
        assert!(budget.take(start + Duration::from_secs(20)));
        assert!(!budget.take(start + Duration::from_secs(21)));
    }
}
