//! Watches: a stream of events that begins with what there is, or after a revision, and goes on until the client leaves,
//! its time is up or the server stops.

use super::accept::{Encoding, Shape};
use super::answer::{self, Answer, JSON};
use super::encode::Form;
use super::query::{Selection, WatchQuery};
use super::socket::Framing;
use crate::cache::{Batch, Cache, Cursor, Expired, Interest};
use crate::metrics::Gauge;
use bytes::Bytes;
use futures_util::stream;
use peapod_api::{Error, Key, Object};
use peapod_core::custom::{Custom, DEFINITIONS};
use peapod_core::schema::protobuf;
use peapod_core::snapshot::{Change, Snapshot};
use peapod_core::table;
use serde_json::{Value, json};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Time between bookmarks.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// A watch that names no timeout ends after half an hour to an hour, so that clients spread over restarted servers.
const TIMEOUT_MIN: Duration = Duration::from_secs(1800);
/// Objects that are there at the start are sent in pieces of so many.
const INITIAL_PIECE: usize = 200;
/// The annotation of the bookmark after the last of them.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// What a watch is opened with.
pub(crate) struct Opening {
    pub(crate) form: Form,
    /// None: all namespaces. Empty: a cluster-wide kind.
    pub(crate) namespace: Option<String>,
    pub(crate) query: WatchQuery,
    pub(crate) stop: CancellationToken,
    pub(crate) open: Gauge,
}

/// The definition of a custom resource that is watched: with it the watch ends, so that clients begin anew with what the
/// resource is now.
struct Origin {
    changes: Cursor,
    cache: Cache,
    custom: Arc<Custom>,
}

impl Origin {
    fn of(cache: &Cache, form: &Form, revision: u64) -> Option<Origin> {
        let custom = form.kind.custom()?.clone();
        let definition = Key::new(DEFINITIONS, "", &custom.kind.resource());
        let changes = cache.watch(Interest::object(&definition), revision).ok()?;
        Some(Origin { changes, cache: cache.clone(), custom })
    }

    /// Returns once the definition makes something else of the kind, or is gone.
    async fn changed(&mut self) {
        while self.changes.next().await.is_ok() {
            let (snapshot, kind) = (self.cache.snapshot(), &self.custom.kind);
            let served = snapshot.kinds().lookup(&kind.group, &kind.version, &kind.plural);
            if !served.is_some_and(|now| now.custom().is_some_and(|now| Arc::ptr_eq(now, &self.custom))) {
                return;
            }
        }
    }
}

async fn changed(origin: &mut Option<Origin>) {
    match origin {
        Some(origin) => origin.changed().await,
        None => std::future::pending().await,
    }
}

/// One open watch.
struct Watch {
    form: Form,
    origin: Option<Origin>,
    selection: Selection,
    events: Events,
    initial: std::vec::IntoIter<Arc<Object>>,
    mark_end: bool,
    /// Tells where the initial objects were read.
    started_at: u64,
    headers_sent: bool,
    alarm: Alarm,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    _open: Gauge,
}

enum Events {
    Cursor(Box<Cursor>),
    /// History was gone at the start: one error, then the end.
    Expired(Expired),
    Over,
}

enum Woken {
    Batch(Result<Batch, Expired>),
    Bookmark,
    End,
}

/// When the clock has something to say in a watch: a bookmark every minute, and its end.
struct Alarm {
    bookmark_at: Option<Instant>,
    deadline: Instant,
    /// Sleeps on over the events between: to set a timer for each of them costs more than to send it.
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    fn new(now: Instant, bookmarks: bool, timeout: Duration) -> Alarm {
        let (bookmark_at, deadline) = (bookmarks.then(|| now + BOOKMARK_EVERY), now + timeout);
        let sleep = Box::pin(tokio::time::sleep_until(first(bookmark_at, deadline)));
        Alarm { bookmark_at, deadline, sleep }
    }

    /// What is due, now that the sleep is over.
    fn ring(&mut self, now: Instant) -> Woken {
        if now >= self.deadline {
            return Woken::End;
        }
        self.bookmark_at = Some(now + BOOKMARK_EVERY);
        self.sleep.as_mut().reset(first(self.bookmark_at, self.deadline));
        Woken::Bookmark
    }
}

fn first(bookmark_at: Option<Instant>, deadline: Instant) -> Instant {
    bookmark_at.unwrap_or(deadline).min(deadline)
}

/// Begins a watch. `snapshot` fulfils the query's version.
pub(crate) fn begin(cache: &Cache, snapshot: &Snapshot, opening: Opening) -> Answer {
    let Opening { form, namespace, query, stop, open } = opening;
    let resource = form.kind.stored_resource();
    let after = query.after.unwrap_or(snapshot.revision());
    let initial = if query.initial {
        super::pages::candidates(snapshot, &resource, namespace.as_deref(), "", &query.selection).collect()
    } else {
        Vec::new()
    };
    let interest = Interest {
        name: query.selection.fields.required("metadata.name").map(Into::into),
        node: query.selection.fields.required("spec.nodeName").filter(|_| resource == "pods").map(Into::into),
        resource,
        namespace,
    };
    let events = match cache.watch(interest, after) {
        Ok(cursor) => Events::Cursor(Box::new(cursor)),
        Err(expired) => Events::Expired(expired),
    };
    let now = Instant::now();
    let watch = Watch {
        origin: Origin::of(cache, &form, snapshot.revision()),
        form,
        selection: query.selection,
        events,
        initial: initial.into_iter(),
        mark_end: query.mark_end,
        started_at: after,
        headers_sent: false,
        alarm: Alarm::new(now, query.bookmarks, query.timeout.unwrap_or_else(default_timeout)),
        stop: Box::pin(stop.cancelled_owned()),
        _open: open,
    };
    let (content_type, encoding) = (watch.content_type(), watch.form.accept.encoding);
    let mut answer = answer::stream(
        content_type,
        stream::unfold(watch, |mut watch| async { Some((watch.next().await?, watch)) }),
    );
    if encoding == Encoding::Json {
        answer.extensions_mut().insert(Framing::Lines);
    }
    answer
}

fn default_timeout() -> Duration {
    TIMEOUT_MIN.mul_f64(1.0 + f64::from(uuid::Uuid::new_v4().as_bytes()[0]) / 256.0)
}

impl Watch {
    /// The next piece of the stream; none at its end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            let mut piece = Vec::new();
            if self.initial.len() > 0 {
                let objects: Vec<_> = self.initial.by_ref().take(INITIAL_PIECE).collect();
                objects.iter().for_each(|object| self.write(&mut piece, "ADDED", object));
            } else if std::mem::take(&mut self.mark_end) {
                self.write_bookmark(&mut piece, self.started_at, true);
            } else {
                self.follow(&mut piece).await?;
            }
            if !piece.is_empty() {
                return Some(piece.into());
            }
        }
    }

    /// Waits for what happens next and writes it; none at the end.
    async fn follow(&mut self, piece: &mut Vec<u8>) -> Option<()> {
        match self.wait().await {
            Woken::End => return None,
            Woken::Batch(Ok(batch)) => {
                for change in &batch.changes {
                    self.write_change(piece, change);
                }
            }
            Woken::Batch(Err(expired)) => {
                self.events = Events::Over;
                self.write_value(piece, "ERROR", &Error::expired(expired.to_string()).status());
            }
            Woken::Bookmark => {
                if let Events::Cursor(cursor) = &mut self.events {
                    let revision = cursor.bookmark();
                    self.write_bookmark(piece, revision, false);
                }
            }
        }
        Some(())
    }

    async fn wait(&mut self) -> Woken {
        let cursor = match &mut self.events {
            Events::Over => return Woken::End,
            Events::Expired(expired) => return Woken::Batch(Err(*expired)),
            Events::Cursor(cursor) => cursor,
        };
        tokio::select! {
            () = self.stop.as_mut() => Woken::End,
            batch = cursor.next() => Woken::Batch(batch),
            () = changed(&mut self.origin) => Woken::End,
            () = self.alarm.sleep.as_mut() => self.alarm.ring(Instant::now()),
        }
    }

    /// What a change is to somebody who sees only what the selection takes in.
    fn write_change(&mut self, piece: &mut Vec<u8>, change: &Change) {
        let matches = |object: &&Arc<Object>| self.selection.matches(object);
        let (before, after) = (change.before.as_ref().filter(matches), change.after.as_ref().filter(matches));
        match (before, after) {
            (None, Some(after)) => self.write(piece, "ADDED", after),
            (Some(_), Some(after)) => self.write(piece, "MODIFIED", after),
            (Some(_), None) => {
                if let Some(object) = change.deleted_object() {
                    self.write(piece, "DELETED", object);
                }
            }
            (None, None) => {}
        }
    }

    fn write(&mut self, piece: &mut Vec<u8>, type_: &str, object: &Arc<Object>) {
        let object = &self.form.kind.shown(object);
        match (self.form.accept.shape, self.form.accept.encoding) {
            (Shape::Object, Encoding::Json) => write_event(piece, type_, object.json()),
            (Shape::Metadata(version), Encoding::Json) => {
                write_event(piece, type_, &table::partial(object, version));
            }
            (Shape::Metadata(version), Encoding::Protobuf) => {
                self.write_value(piece, type_, &table::partial_value(&object.value(), version));
            }
            _ => self.write_value(piece, type_, &object.value()),
        }
    }

    fn write_value(&mut self, piece: &mut Vec<u8>, type_: &str, object: &Value) {
        match (self.form.accept.shape, self.form.accept.encoding) {
            (Shape::Table(_), _) if type_ != "ERROR" => {
                let style = self.form.style(!std::mem::replace(&mut self.headers_sent, true));
                let style = table::Style { now: jiff::Timestamp::now(), ..style };
                let table = table::table_of_one(&self.form.kind, object, style);
                write_event(piece, type_, &table);
            }
            (_, Encoding::Protobuf) => match protobuf::encode(object) {
                Ok(bytes) => piece.extend_from_slice(&protobuf::watch_frame(type_, &bytes)),
                Err(error) => tracing::error!(%error, "an event has no protobuf form and is left out"),
            },
            _ => write_event(piece, type_, object.to_string().as_bytes()),
        }
    }

    fn write_bookmark(&mut self, piece: &mut Vec<u8>, revision: u64, end_of_initial: bool) {
        let mut metadata = json!({ "resourceVersion": revision.to_string() });
        if end_of_initial {
            metadata["annotations"] = json!({ INITIAL_EVENTS_END: "true" });
        }
        let (kind, api_version) = match self.form.accept.shape {
            Shape::Metadata(version) => ("PartialObjectMetadata".into(), format!("meta.k8s.io/{version}")),
            _ => (self.form.kind.kind.to_string(), self.form.kind.api_version()),
        };
        let bookmark = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata });
        self.write_value(piece, "BOOKMARK", &bookmark);
    }

    fn content_type(&self) -> &'static str {
        match self.form.accept.encoding {
            Encoding::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
            // There is no stream of YAML: whoever asks for one is refused before.
            Encoding::Json | Encoding::Yaml => JSON,
        }
    }
}

fn write_event(piece: &mut Vec<u8>, type_: &str, object: &[u8]) {
    piece.extend_from_slice(b"{\"type\":\"");
    piece.extend_from_slice(type_.as_bytes());
    piece.extend_from_slice(b"\",\"object\":");
    piece.extend_from_slice(object);
    piece.extend_from_slice(b"}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bookmark_comes_every_minute_until_the_end() {
        let start = Instant::now();
        let seconds = |alarm: &Alarm| alarm.sleep.deadline().duration_since(start).as_secs();
        let mut alarm = Alarm::new(start, true, Duration::from_secs(150));
        for due in [60, 120] {
            assert_eq!(seconds(&alarm), due);
            let now = alarm.sleep.deadline();
            assert!(matches!(alarm.ring(now), Woken::Bookmark));
        }
        assert_eq!(seconds(&alarm), 150);
        let now = alarm.sleep.deadline();
        assert!(matches!(alarm.ring(now), Woken::End));
        let plain = Alarm::new(start, false, Duration::from_secs(150));
        assert_eq!(seconds(&plain), 150, "nobody asked for bookmarks");
    }
}
