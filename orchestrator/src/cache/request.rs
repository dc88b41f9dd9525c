//! What a write asks for, and what becomes of it.

use peapod_api::{Draft, Error, Key, Object};
use peapod_core::snapshot::Snapshot;
use std::fmt;
use std::sync::Arc;

/// A condition on the state that a request finds: what was committed, and what requests before it in the same group
/// commit will commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// The object is there, at exactly this revision.
    Revision {
        /// Which object.
        key: Key,
        /// Its revision.
        revision: u64,
    },
    /// There is no such object.
    Absent {
        /// Which object.
        key: Key,
    },
    /// There is such an object, at whatever revision.
    Present {
        /// Which object.
        key: Key,
    },
    /// No object that names this owner has come, changed or gone after a revision.
    NothingChangedUnder {
        /// The owner's uid.
        uid: Arc<str>,
        /// The revision that the writer decided on.
        since: u64,
    },
}

/// One change that is asked for.
#[allow(clippy::large_enum_variant, reason = "nearly all writes are puts")]
#[derive(Clone, Debug)]
pub enum Write {
    /// Create or replace. Bytes equal to what is there change nothing and take no revision.
    Put(Draft),
    /// Remove. Of what is not there: nothing happens.
    Delete(Key),
}

/// A check across objects (quota, unique names), run on the state that the request finds, before its own writes.
/// It runs on the one writer thread: it must be quick and must not panic.
pub type Rule = Box<dyn Fn(&Snapshot) -> Result<(), Error> + Send>;

/// Writes that happen together or not at all.
#[derive(Default)]
pub struct Request {
    /// All must hold.
    pub guards: Vec<Guard>,
    /// Done in this order, each change at a revision of its own.
    pub writes: Vec<Write>,
    /// Asked once all guards hold.
    pub rule: Option<Rule>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("guards", &self.guards).field("writes", &self.writes).finish()
    }
}

/// A request that was done.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The revision of its last change; where nothing changed, the revision that it found.
    pub revision: u64,
    /// One per write. Put: the object as it now is. Delete: the last state at the revision of the deletion, none if there
    /// was nothing to delete.
    pub objects: Vec<Option<Arc<Object>>>,
}

/// Why a request was not done; nothing of it was, except where it says unknown.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// A guard did not hold.
    #[error("a guard does not hold: {guard:?}")]
    Guard {
        /// The first that did not.
        guard: Guard,
        /// The object that it names, as the request found it.
        current: Option<Arc<Object>>,
    },
    /// The rule said no.
    #[error(transparent)]
    Rule(Error),
    /// An object exceeds [`super::MAX_OBJECT_BYTES`].
    #[error("{key} has {size_bytes} bytes, more than the limit of {}", super::MAX_OBJECT_BYTES)]
    TooLarge {
        /// Which object.
        key: Key,
        /// Its size.
        size_bytes: usize,
    },
    /// The disk failed under it: it may or may not be there after the next start. The process is about to stop.
    #[error("the store failed; the outcome of the request is unknown")]
    Unknown,
    /// The store takes no writes any more: shutting down, or failed before this request was begun.
    #[error("the store takes no more writes")]
    Closed,
}
