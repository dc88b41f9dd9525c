//! Events: what happened, told to people. Repetitions within an hour are counted in one object, and so is what is similar.

use super::FrontDoor;
use super::commit::Failure;
use super::prepare::{self, Step};
use futures_util::{StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use peapod_api::correlation::{Moment, Occurrence, Told};
use peapod_api::{Error, Key, Object, kinds, meta};
use peapod_core::action::Action;
use peapod_core::served::{Kinds, Served};
use peapod_core::snapshot::Snapshot;
use peapod_core::strategy::Endpoint;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::sync::Arc;

/// A repetition after so long a silence begins to count anew.
const COUNTED_TOGETHER: SignedDuration = SignedDuration::from_hours(1);
/// An event for which there is no room after so many tries is dropped.
const MAX_ATTEMPTS: usize = 4;
/// Events of one list that are written at a time.
const AT_A_TIME: usize = 16;

/// What happened to what.
struct Telling<'a> {
    regarding: &'a Key,
    type_: &'a str,
    reason: &'a str,
    message: Cow<'a, str>,
    source: &'a str,
    at: Timestamp,
    /// The event's own key.
    key: Key,
}

impl FrontDoor {
    /// The moment of an event that happens now.
    pub(super) fn event_moment(&self) -> Moment {
        let now = self.now();
        self.0.correlator.lock().moment(now)
    }

    /// Writes events. One that cannot be written is dropped: it is told in the log.
    pub(super) async fn record_all(&self, user: &str, events: Vec<(Moment, Action)>) {
        let source = source(user);
        let write = |(moment, event): (Moment, Action)| async move {
            let Action::Event { regarding, type_, reason, message } = event else { return };
            let Some(told) = self.correlated(moment, source, &regarding, type_, &reason, &message) else {
                return;
            };
            let (at, message, key) = (moment.time(), told.message(&message), key(&regarding, &told));
            let telling = Telling { regarding: &regarding, type_, reason: &reason, message, source, at, key };
            if let Err(error) = self.record(&telling).await {
                tracing::debug!(%regarding, reason, %error, "an event was dropped");
            }
        };
        stream::iter(events).for_each_concurrent(AT_A_TIME, write).await;
    }

    /// How to tell of it; none if there is too much told already.
    fn correlated(
        &self,
        moment: Moment,
        source: &str,
        regarding: &Key,
        type_: &str,
        reason: &str,
        message: &str,
    ) -> Option<Told> {
        let snapshot = self.cache().snapshot();
        let uid = snapshot.get(regarding).map_or("", |object| &*object.header.uid);
        let regarding = regarding.as_str();
        let occurrence = Occurrence { source, regarding, uid, part: "", type_, reason, message };
        self.0.correlator.lock().judge(&occurrence, moment)
    }

    async fn record(&self, telling: &Telling<'_>) -> Result<(), Error> {
        let mut last = None;
        for _ in 0..MAX_ATTEMPTS {
            let snapshot = self.cache().snapshot();
            match self.commit(Vec::new(), vec![self.told(&snapshot, telling)?]).await {
                Ok(_) => return Ok(()),
                Err(failure @ Failure::Moved(..)) => {
                    self.cache().wait_for(snapshot.revision() + 1).await;
                    last = Some(failure.into_error());
                }
                Err(other) => return Err(other.into_error()),
            }
        }
        Err(last.unwrap_or_else(|| Error::internal("no attempt was made")))
    }

    /// The step that counts what is told, or tells it for the first time.
    fn told(&self, snapshot: &Snapshot, telling: &Telling<'_>) -> Result<Step, Error> {
        let kind: Served = kinds::lookup("", "events")
            .map(Served::Row)
            .ok_or_else(|| Error::internal("events are not served"))?;
        let moment = self.moment(snapshot);
        let (now, subject) = (telling.at, snapshot.get(telling.regarding));
        let Some(known) = snapshot.get(&telling.key) else {
            let mut event = first(telling, subject, snapshot.kinds(), now);
            kind.complete(&mut event)?;
            return prepare::create(&moment, &kind, event, None);
        };
        let mut event = known.value();
        let last = meta::text(&event, "lastTimestamp").and_then(meta::parse_time);
        let lately = last.is_some_and(|last| now.duration_since(last) < COUNTED_TOGETHER);
        let count = if lately { event["count"].as_i64().unwrap_or(1).saturating_add(1) } else { 1 };
        event["count"] = count.into();
        event["message"] = telling.message.as_ref().into();
        event["lastTimestamp"] = meta::time(now).into();
        if !lately {
            event["firstTimestamp"] = meta::time(now).into();
        }
        prepare::update(&moment, &kind, Endpoint::System, known, event, None)
    }
}

/// The component that speaks: a controller's name as people know it.
fn source(user: &str) -> &str {
    let name = user.rsplit(':').next().unwrap_or(user);
    if name == "kube-scheduler" { "default-scheduler" } else { name }
}

/// Events about what has no namespace live in `default`.
fn key(regarding: &Key, told: &Told) -> Key {
    let namespace = if regarding.namespace().is_empty() { "default" } else { regarding.namespace() };
    Key::new("events", namespace, &told.name(regarding.name()))
}

fn first(telling: &Telling<'_>, subject: Option<&Arc<Object>>, kinds: &Kinds, now: Timestamp) -> Value {
    let (regarding, key) = (telling.regarding, &telling.key);
    let kind = kinds.of_resource(regarding.resource());
    let mut involved = json!({
        "kind": kind.as_ref().map_or("", |kind| &*kind.kind), "name": regarding.name(), "namespace": regarding.namespace(),
        "apiVersion": kind.as_ref().map(|kind| kind.api_version()).unwrap_or_default(),
    });
    if let Some(subject) = subject {
        involved["uid"] = (*subject.header.uid).into();
        involved["resourceVersion"] = subject.revision.to_string().into();
    }
    json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": key.name(), "namespace": key.namespace()},
        "involvedObject": involved, "type": telling.type_, "reason": telling.reason, "message": telling.message,
        "source": {"component": telling.source}, "reportingComponent": telling.source, "reportingInstance": "",
        "count": 1, "firstTimestamp": meta::time(now), "lastTimestamp": meta::time(now), "eventTime": null,
    })
}
