//! Events about pods, as kubelet words them: equal ones are counted in one object, and so are similar ones; who tells too much is
//! held back.

use crate::api::{Api, MERGE_PATCH, escape};
use crate::pods::spec::Pod;
use jiff::Timestamp;
use peapod_api::correlation::{Correlator, Occurrence, Told};
use peapod_api::meta;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Events that wait to be sent; more are dropped, and counted in the log.
const MAX_QUEUED: usize = 1024;
/// Who tells of them.
const SOURCE: &str = "kubelet";

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
        (Events { queue }, send(Sender { api, node, correlator: Correlator::default() }, events, stop))
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

impl Event {
    fn type_(&self) -> &'static str {
        match self.kind {
            Kind::Normal => "Normal",
            Kind::Warning => "Warning",
        }
    }
}

struct Sender {
    api: Api,
    node: String,
    correlator: Correlator,
}

impl Sender {
    async fn send(&mut self, event: Event) {
        let Some(told) = self.judge(&event) else { return };
        let folder = format!("/api/v1/namespaces/{}/events", escape(&event.subject.namespace));
        if told.count > 1 {
            let patch = json!({"count": told.count, "message": told.message(&event.message),
                "lastTimestamp": meta::time(event.at)});
            let path = format!("{folder}/{}", escape(&told.name(&event.subject.name)));
            if self.api.patch(&path, MERGE_PATCH, &patch).await.is_ok() {
                return;
            }
        }
        if let Err(error) = self.api.create(&folder, &self.object(&event, &told)).await {
            tracing::debug!(%error, reason = event.reason, "an event could not be written");
        }
    }

    fn judge(&mut self, event: &Event) -> Option<Told> {
        let Subject { namespace, name, uid, field_path, .. } = &event.subject;
        let regarding = format!("{namespace}/{name}");
        let occurrence = Occurrence {
            source: SOURCE,
            regarding: &regarding,
            uid,
            part: field_path,
            type_: event.type_(),
            reason: event.reason,
            message: &event.message,
        };
        let at = self.correlator.moment(event.at);
        self.correlator.judge(&occurrence, at)
    }

    fn object(&self, event: &Event, told: &Told) -> Value {
        let subject = &event.subject;
        let mut object = json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": {"name": told.name(&subject.name), "namespace": subject.namespace},
            "involvedObject": {"kind": subject.kind, "apiVersion": subject.api_version, "name": subject.name,
                "namespace": subject.namespace, "uid": subject.uid},
            "reason": event.reason, "message": told.message(&event.message), "count": told.count,
            "type": event.type_(),
            "firstTimestamp": meta::time(event.at), "lastTimestamp": meta::time(event.at),
            "source": {"component": SOURCE, "host": self.node},
            "reportingComponent": SOURCE, "reportingInstance": self.node,
        });
        if !subject.field_path.is_empty() {
            object["involvedObject"]["fieldPath"] = subject.field_path.as_str().into();
        }
        object
    }
}
