//! The state of the cluster as everybody sees it: the newest [`Snapshot`], the changes that lead to the next, and the only
//! way to write.
//!
//! A write is committed, then the snapshot is published, then the writer is answered and watchers are woken, always in
//! this order. Readers never wait and never touch the disk.

mod cursor;
mod fold;
pub mod history;
mod interest;
mod request;
mod retention;
mod ring;
mod writer;

pub use cursor::{Batch, Cursor, Expired};
pub use interest::Interest;
pub use request::{Committed, Guard, Request, Rule, Write, WriteError};
pub use retention::HistoryLimits;
pub use ring::RingLimits;

use crate::store::{Backend, StoreError};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use peapod_api::{Draft, Key, Kind, Object, kinds};
use peapod_core::served::Kinds;
use peapod_core::snapshot::{Change, Snapshot};
use ring::Ring;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use writer::{Job, MAX_QUEUED_REQUESTS, Writer};

/// A stored object's limit, without its resourceVersion. etcd refuses requests of more than 1.5 MiB.
pub const MAX_OBJECT_BYTES: usize = 3 << 19;
/// Watchers that read the log at the same time; others that have fallen behind wait.
const LOG_READERS: usize = 4;

/// How much of the past is kept, in memory and in the log.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of the ring that watchers read.
    pub ring: RingLimits,
    /// Of the log that slow watchers read.
    pub history: HistoryLimits,
}

impl Default for Limits {
    /// The ring: what a burst of a few seconds makes. The log: five minutes, as kube-apiserver compacts etcd.
    fn default() -> Limits {
        Limits {
            ring: RingLimits { entries: 8192, bytes: 16 << 20 },
            history: HistoryLimits { age: Duration::from_secs(300), rows: 200_000, bytes: 256 << 20 },
        }
    }
}

/// The state of the cluster. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Job>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

/// What the writer, readers and cursors share.
struct Shared {
    snapshot: ArcSwap<Snapshot>,
    ring: Ring,
    revision: watch::Sender<u64>,
    failure: watch::Sender<Option<Arc<str>>>,
    compacted: AtomicU64,
    /// Gone once the store is closed, so that its files are free.
    backend: Mutex<Option<Arc<dyn Backend>>>,
    log_readers: Arc<Semaphore>,
}

impl Cache {
    /// Loads everything from `backend` and starts its writer. Errors: the store cannot be read, or holds objects that
    /// this version does not know.
    pub fn open(backend: impl Backend) -> Result<Cache, StoreError> {
        Cache::open_with(Arc::new(backend), Limits::default())
    }

    /// Like [`Cache::open`], with limits other than the usual.
    pub fn open_with(backend: Arc<dyn Backend>, limits: Limits) -> Result<Cache, StoreError> {
        let mut snapshot = Snapshot::default();
        // Custom resources can be read once their definitions have been.
        let mut custom = Vec::new();
        let loaded = backend.load(&mut |key, revision, value| {
            if kinds::of_resource(key.resource()).is_none() {
                custom.push((key, revision, value));
                return Ok(());
            }
            let object = Arc::new(decode(snapshot.kinds(), key.clone(), revision, value.into())?);
            snapshot.apply(&Change::new(revision, key, None, Some(object)));
            Ok(())
        })?;
        for (key, revision, value) in custom {
            let object = Arc::new(decode(snapshot.kinds(), key.clone(), revision, value.into())?);
            snapshot.apply(&Change::new(revision, key, None, Some(object)));
        }
        snapshot.advance(loaded.revision);
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(snapshot),
            ring: Ring::new(limits.ring, loaded.revision),
            revision: watch::Sender::new(loaded.revision),
            failure: watch::Sender::new(None),
            compacted: AtomicU64::new(loaded.compacted),
            backend: Mutex::new(Some(backend.clone())),
            log_readers: Arc::new(Semaphore::new(LOG_READERS)),
        });
        let (queue, jobs) = mpsc::channel(MAX_QUEUED_REQUESTS);
        let writer = Writer::new(backend, shared.clone(), jobs, limits);
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run());
        let thread = thread.map_err(|e| StoreError::Io(PathBuf::from("store-writer"), e.to_string()))?;
        Ok(Cache { shared, queue, writer: Arc::new(Mutex::new(Some(thread))) })
    }

    /// Does all of `request` or nothing, durably. A caller that goes away does not undo what it asked for.
    pub async fn write(&self, request: Request) -> Result<Committed, WriteError> {
        let (answer, result) = oneshot::channel();
        self.queue.send(Job::Write(request, answer)).await.map_err(|_| WriteError::Closed)?;
        result.await.unwrap_or(Err(WriteError::Closed))
    }

    /// The newest state.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// The newest state, and every change after it. Objects that are kept in memory only are among them, so a reader that
    /// falls behind the ring gets [`Expired`] and begins again here.
    pub fn changes(&self) -> (Arc<Snapshot>, Cursor) {
        let snapshot = self.snapshot();
        let cursor = Cursor::new(self.shared.clone(), Interest::everything(), snapshot.revision());
        (snapshot, cursor)
    }

    /// The changes after revision `after` that concern `interest`. A revision of the future is waited for. Errors: the
    /// changes that directly follow are not kept any more.
    pub fn watch(&self, interest: Interest, after: u64) -> Result<Cursor, Expired> {
        let oldest = if interest.includes_volatile() { self.shared.ring.floor() } else { self.oldest() };
        if after < oldest {
            return Err(Expired { requested: after, oldest });
        }
        Ok(Cursor::new(self.shared.clone(), interest, after))
    }

    /// Changes after this revision are kept.
    pub fn oldest(&self) -> u64 {
        self.shared.compacted()
    }

    /// Returns once the snapshot is at least at `revision`: what a read "not older than" has to wait for.
    pub async fn wait_for(&self, revision: u64) {
        let mut published = self.shared.revision.subscribe();
        // Fails only without a sender, and `self` holds it.
        let _ = published.wait_for(|published| *published >= revision).await;
    }

    /// Returns, with the reason, once the store has failed: the process has to stop, and what it was asked for last may or
    /// may not be there after the next start.
    pub async fn failed(&self) -> Arc<str> {
        let mut failure = self.shared.failure.subscribe();
        match failure.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Commits what is queued, refuses what comes later and releases the store's files. Reading goes on.
    pub async fn shutdown(&self) {
        let _ = self.queue.send(Job::Stop).await;
        let thread = self.writer.lock().take();
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Shared {
    fn compacted(&self) -> u64 {
        self.compacted.load(Ordering::Acquire)
    }

    fn set_compacted(&self, revision: u64) {
        self.compacted.store(revision, Ordering::Release);
    }

    fn fail(&self, reason: &str) {
        tracing::error!(reason, "the store failed; the process has to stop");
        self.failure.send_replace(Some(reason.into()));
    }

    fn close(&self) {
        *self.backend.lock() = None;
    }
}

/// An object from the bytes that the log keeps. The log may still know custom resources whose definition is gone.
fn decode(kinds: &Kinds, key: Key, revision: u64, value: bytes::Bytes) -> Result<Object, StoreError> {
    let damaged = |what: &str| StoreError::Corrupt(PathBuf::from(key.as_str()), what.into());
    let read = |kind: &Kind| Draft::from_stored(kind, key.clone(), value);
    let draft = match kinds.of_resource(key.resource()) {
        Some(kind) => read(&kind),
        None => read(&Kind::undefined(key.resource()).ok_or_else(|| damaged("unknown resource"))?),
    };
    let draft = draft.map_err(|e| damaged(&e.to_string()))?;
    Ok(draft.at(revision))
}

#[cfg(test)]
mod tests;
