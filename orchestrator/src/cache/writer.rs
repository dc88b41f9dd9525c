//! The one thread that writes: it commits whatever has queued up in one transaction, publishes the snapshot, answers
//! and wakes watchers, in this order.

use super::fold::{Step, fold};
use super::request::{Committed, Request, Write, WriteError};
use super::retention::Retention;
use super::{Limits, Shared};
use crate::store::{Backend, Entry, StoreError};
use peapod_core::snapshot::Snapshot;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};

/// Requests that wait for the writer; who comes later waits for a place.
pub(super) const MAX_QUEUED_REQUESTS: usize = 4096;
/// A group commit ends once it has so many requests,
const MAX_GROUP_REQUESTS: usize = 512;
/// or so many bytes of values.
const MAX_GROUP_BYTES: usize = 8 << 20;
/// Revisions of changes that are kept in memory only are reserved in blocks of so many.
const RESERVED_BLOCK: u64 = 10_000;
/// Between two group commits at most so many changes are forgotten: a few milliseconds.
const MAX_COMPACTED_ROWS: usize = 1000;

/// Where the answer to a request goes.
type Asker = oneshot::Sender<Result<Committed, WriteError>>;

pub(super) enum Job {
    Write(Request, Asker),
    /// Commit what is queued and end.
    Stop,
}

type Answer = (Asker, Result<Committed, WriteError>);

pub(super) struct Writer {
    backend: Arc<dyn Backend>,
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Job>,
    reserved: u64,
    retention: Retention,
    /// History up to here is to be forgotten, and up to there it is.
    forget: u64,
    compacted: u64,
}

impl Writer {
    pub(super) fn new(
        backend: Arc<dyn Backend>,
        shared: Arc<Shared>,
        queue: mpsc::Receiver<Job>,
        limits: Limits,
    ) -> Writer {
        let (revision, compacted) = (shared.ring.tip(), shared.compacted());
        let retention = Retention::new(limits.history, revision, Instant::now());
        Writer { backend, shared, queue, reserved: revision, retention, forget: compacted, compacted }
    }

    /// Runs until it is told to stop, nobody can write any more, or the backend fails.
    pub(super) fn run(mut self) {
        let mut ended = EndedUnasked { shared: self.shared.clone(), armed: true };
        while let Some(job) = self.queue.blocking_recv() {
            let (group, stop) = self.gather(job);
            if let Err(error) = self.commit(group) {
                self.shared.fail(&error.to_string());
                self.queue.close();
                break;
            }
            if stop {
                self.queue.close();
            }
        }
        ended.armed = false;
        self.shared.close();
    }

    /// What is queued already, up to the limits of a group.
    fn gather(&mut self, first: Job) -> (Vec<(Request, Asker)>, bool) {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Stop => return (group, true),
                Job::Write(request, answer) => {
                    bytes += size_bytes(&request);
                    group.push((request, answer));
                }
            }
            let full = group.len() == MAX_GROUP_REQUESTS || bytes >= MAX_GROUP_BYTES;
            next = if full { None } else { self.queue.try_recv().ok() };
        }
        (group, false)
    }

    fn commit(&mut self, group: Vec<(Request, Asker)>) -> Result<(), StoreError> {
        let mut working = Snapshot::clone(&self.shared.snapshot.load());
        let mut steps = Vec::new();
        let mut answers: Vec<Answer> = Vec::with_capacity(group.len());
        for (request, answer) in group {
            let result = fold(request, &mut working, &mut steps);
            answers.push((answer, result));
        }
        let entries: Vec<Entry> = steps.iter().filter_map(Step::entry).collect();
        if let Err(error) = self.log(&entries, working.revision()) {
            // Those that were refused, too: they may have been refused for a neighbour that was not committed.
            for (answer, _) in answers {
                let _ = answer.send(Err(WriteError::Unknown));
            }
            return Err(error);
        }
        self.publish(working, steps, answers);
        self.compact(&entries)
    }

    /// Makes the group durable. What is kept in memory only needs a reserved revision, and mostly has one.
    fn log(&mut self, entries: &[Entry], revision: u64) -> Result<(), StoreError> {
        let short = revision > self.reserved;
        let renew = short || (!entries.is_empty() && revision + RESERVED_BLOCK / 2 > self.reserved);
        if entries.is_empty() && !short {
            return Ok(());
        }
        let reserve = renew.then_some(revision + RESERVED_BLOCK);
        self.backend.commit(entries, reserve)?;
        self.reserved = reserve.unwrap_or(self.reserved);
        Ok(())
    }

    fn publish(&self, working: Snapshot, steps: Vec<Step>, answers: Vec<Answer>) {
        let revision = working.revision();
        if !steps.is_empty() {
            self.shared.snapshot.store(Arc::new(working));
            self.shared.revision.send_replace(revision);
        }
        let channels = self.shared.ring.push(steps.into_iter().map(|step| step.change).collect());
        for (answer, result) in answers {
            // Who asked may be gone.
            let _ = answer.send(result);
        }
        for channel in channels {
            channel.more.notify_waiters();
        }
    }

    /// Only after writes: a server at rest writes nothing.
    fn compact(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let Some(last) = entries.last() else { return Ok(()) };
        let bytes: usize = entries.iter().filter_map(|entry| Some(entry.value.as_ref()?.len())).sum();
        let now = Instant::now();
        if let Some(revision) = self.retention.note(last.revision, entries.len() as u64, bytes as u64, now) {
            self.forget = self.forget.max(revision);
        }
        if self.forget > self.compacted {
            self.compacted = self.backend.compact(self.forget, MAX_COMPACTED_ROWS)?;
            self.shared.set_compacted(self.compacted);
        }
        Ok(())
    }
}

fn size_bytes(request: &Request) -> usize {
    let size = |write: &Write| match write {
        Write::Put(draft) => draft.json().len(),
        Write::Delete(_) => 0,
    };
    request.writes.iter().map(size).sum()
}

/// A writer that panics must not leave a server behind that looks alive.
struct EndedUnasked {
    shared: Arc<Shared>,
    armed: bool,
}

impl Drop for EndedUnasked {
    fn drop(&mut self) {
        if self.armed {
            self.shared.fail("the store's writer ended unexpectedly");
            self.shared.close();
        }
    }
}
