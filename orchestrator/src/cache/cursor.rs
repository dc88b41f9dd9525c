//! One watcher's place in the stream of changes.

use super::interest::Interest;
use super::ring::{Channel, Found};
use super::{Shared, decode};
use crate::store::{Backend, Chunk, Logged, Part, ReadError, StoreError};
use peapod_core::served::Kinds;
use peapod_core::snapshot::Change;
use std::sync::Arc;

/// At most so many changes are handed over at a time.
const MAX_BATCH_CHANGES: usize = 500;
/// A slow watcher's chunk of the log ends once it holds so many bytes.
const MAX_CHUNK_BYTES: usize = 4 << 20;

/// Changes that concern a watcher, oldest first.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The changes.
    pub changes: Vec<Arc<Change>>,
    /// No change that concerns the watcher is missing up to this revision.
    pub upto: u64,
}

/// The history that a watcher asked for is gone: it has to list again. Kubernetes' 410.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {requested} ({oldest})")]
pub struct Expired {
    /// Changes after this revision were asked for.
    pub requested: u64,
    /// Changes after this revision are kept.
    pub oldest: u64,
}

/// A place in the stream of changes. Reads from the ring; one that has fallen behind it reads the log in chunks.
/// Dropping it ends the watch.
pub struct Cursor {
    shared: Arc<Shared>,
    channel: Arc<Channel>,
    interest: Interest,
    position: u64,
}

impl Cursor {
    pub(super) fn new(shared: Arc<Shared>, interest: Interest, after: u64) -> Cursor {
        let channel = shared.ring.register(&interest, after);
        Cursor { shared, channel, interest, position: after }
    }

    /// The next changes, at least one. Cancel safe: a call that is dropped has taken nothing. Must run within tokio.
    /// Errors: history that was not read yet has been compacted away.
    pub async fn next(&mut self) -> Result<Batch, Expired> {
        let channel = self.channel.clone();
        loop {
            let mut more = std::pin::pin!(channel.more.notified());
            more.as_mut().enable();
            match self.shared.ring.read(&self.channel, &self.interest, self.position, MAX_BATCH_CHANGES) {
                Found::Changes { changes, upto } => {
                    self.position = upto;
                    if !changes.is_empty() {
                        return Ok(Batch { changes, upto });
                    }
                    more.await;
                }
                Found::Behind => {
                    let batch = self.read_log().await?;
                    // A list may be newer than what cursors have been told of so far.
                    self.position = self.position.max(batch.upto);
                    if !batch.changes.is_empty() {
                        return Ok(batch);
                    }
                }
            }
        }
    }

    /// A revision up to which everything that concerns the watcher has been handed over: what a bookmark may say. Moves
    /// on with the store as long as nothing waits to be handed over.
    pub fn bookmark(&mut self) -> u64 {
        let found = self.shared.ring.read(&self.channel, &self.interest, self.position, 1);
        if let Found::Changes { changes, upto } = found
            && changes.is_empty()
        {
            self.position = upto;
        }
        self.position
    }

    async fn read_log(&self) -> Result<Batch, Expired> {
        let expired = |oldest| Expired { requested: self.position, oldest };
        if self.interest.includes_volatile() {
            return Err(expired(self.shared.ring.floor()));
        }
        let permit = self.shared.log_readers.clone().acquire_owned().await;
        let backend = self.shared.backend.lock().clone();
        let (Ok(permit), Some(backend)) = (permit, backend) else { return Err(expired(self.position)) };
        let part = Part {
            after: self.position,
            upto: self.shared.ring.tip(),
            prefix: self.interest.prefix(),
            limit_rows: MAX_BATCH_CHANGES,
            limit_bytes: MAX_CHUNK_BYTES,
        };
        let kinds = self.shared.snapshot.load().kinds().clone();
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            read_part(&*backend, &kinds, &part)
        });
        let unreadable = |error: &dyn std::fmt::Display| {
            tracing::error!(%error, "a watch ends because the log cannot be read");
            expired(self.position)
        };
        match read.await.map_err(|e| unreadable(&e))? {
            Ok((mut changes, upto)) => {
                changes.retain(|change| self.interest.takes(change));
                Ok(Batch { changes, upto })
            }
            Err(ReadError::Compacted(oldest)) => Err(expired(oldest)),
            Err(ReadError::Store(error)) => Err(unreadable(&error)),
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        self.shared.ring.unregister(&self.interest);
    }
}

fn read_part(
    backend: &dyn Backend,
    kinds: &Kinds,
    part: &Part,
) -> Result<(Vec<Arc<Change>>, u64), ReadError> {
    let Chunk { changes, upto } = backend.changes(part)?;
    let changes =
        changes.into_iter().map(|logged| change(kinds, logged)).collect::<Result<Vec<_>, StoreError>>()?;
    Ok((changes, upto))
}

fn change(kinds: &Kinds, logged: Logged) -> Result<Arc<Change>, StoreError> {
    let Logged { entry, before } = logged;
    let object = |revision, value| decode(kinds, entry.key.clone(), revision, value).map(Arc::new);
    let before = entry.prev.zip(before).map(|(revision, value)| object(revision, value)).transpose()?;
    let after = entry.value.map(|value| object(entry.revision, value)).transpose()?;
    Ok(Arc::new(Change::new(entry.revision, entry.key, before, after)))
}
