//! The log: revisioned changes, kept by a [`Backend`]. Only [`crate::cache::Cache`] calls one.

mod checkpoint;
mod memory;
mod schema;
mod sqlite;
mod unsigned;

pub use memory::Memory;
pub use sqlite::{Sqlite, SqliteOptions};

use bytes::Bytes;
use peapod_api::Key;
use std::path::{Path, PathBuf};

/// What keeps the log. Calls block; [`Backend::commit`] and [`Backend::compact`] come from one thread only, the others
/// from any.
pub trait Backend: Send + Sync + 'static {
    /// Hands every live object (key, revision, stored bytes) to `each` and tells where the log stands.
    fn load(
        &self,
        each: &mut dyn FnMut(Key, u64, Vec<u8>) -> Result<(), StoreError>,
    ) -> Result<Loaded, StoreError>;

    /// Appends `entries`, in the order of their revisions, and raises the reserved revision to `reserve`: all or
    /// nothing, and durable on return. After an error the outcome is unknown and the backend must not be written again.
    fn commit(&self, entries: &[Entry], reserve: Option<u64>) -> Result<(), StoreError>;

    /// The changes of a part of the log, oldest first.
    fn changes(&self, part: &Part) -> Result<Chunk, ReadError>;

    /// Forgets history up to revision `upto` at most, looking at no more than `limit_rows` changes, and returns the
    /// revision up to which it is forgotten now. The newest value of each key at that revision stays.
    fn compact(&self, upto: u64, limit_rows: usize) -> Result<u64, StoreError>;
}

impl<B: Backend> Backend for std::sync::Arc<B> {
    fn load(
        &self,
        each: &mut dyn FnMut(Key, u64, Vec<u8>) -> Result<(), StoreError>,
    ) -> Result<Loaded, StoreError> {
        (**self).load(each)
    }

    fn commit(&self, entries: &[Entry], reserve: Option<u64>) -> Result<(), StoreError> {
        (**self).commit(entries, reserve)
    }

    fn changes(&self, part: &Part) -> Result<Chunk, ReadError> {
        (**self).changes(part)
    }

    fn compact(&self, upto: u64, limit_rows: usize) -> Result<u64, StoreError> {
        (**self).compact(upto, limit_rows)
    }
}

/// Where a log stands when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The highest revision that may ever have been given out.
    pub revision: u64,
    /// Changes up to this revision are forgotten.
    pub compacted: u64,
}

/// One change as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Greater than that of every entry before.
    pub revision: u64,
    /// What changed.
    pub key: Key,
    /// The revision of the value before; none for a creation.
    pub prev: Option<u64>,
    /// The new value, without resourceVersion; none for a deletion.
    pub value: Option<Bytes>,
}

/// One change as it is read: with the value before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The change.
    pub entry: Entry,
    /// The value that `entry.prev` names.
    pub before: Option<Bytes>,
}

impl Logged {
    /// What it weighs against [`Part::limit_bytes`].
    fn size(&self) -> usize {
        let len = |value: &Option<Bytes>| value.as_ref().map_or(0, Bytes::len);
        len(&self.entry.value) + len(&self.before)
    }
}

/// Which part of the log to read.
#[derive(Clone, Debug)]
pub struct Part {
    /// Changes with a greater revision.
    pub after: u64,
    /// Changes up to this revision.
    pub upto: u64,
    /// Changes whose key begins so.
    pub prefix: String,
    /// At most so many; at least one is returned if there is one.
    pub limit_rows: usize,
    /// No further change once this many bytes of values are read.
    pub limit_bytes: usize,
}

/// A part of the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chunk {
    /// The changes asked for, as far as the limits allowed.
    pub changes: Vec<Logged>,
    /// No change that was asked for is missing up to this revision.
    pub upto: u64,
}

/// Why a part of the log could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The part begins before what is still kept.
    #[error("the log is compacted up to revision {0}")]
    Compacted(u64),
    /// The backend failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a store cannot be opened or does not go on. One line each, for the person who runs it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error("{}: in use by another peapod process", .0.display())]
    Locked(PathBuf),
    /// A file that Peapod did not write.
    #[error("{path}: not a Peapod store: {}", .1, path = .0.display())]
    Foreign(PathBuf, String),
    /// Written by a later version.
    #[error("{}: written by a newer Peapod (format {found}; this one knows up to {known})", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest that this version reads.
        known: i64,
    },
    /// The content contradicts itself.
    #[error("{path}: the store is damaged: {}", .1, path = .0.display())]
    Corrupt(PathBuf, String),
    /// The file system or the database refused.
    #[error("{path}: {}", .1, path = .0.display())]
    Io(PathBuf, String),
}

impl StoreError {
    fn io(path: &Path, error: std::io::Error) -> StoreError {
        StoreError::Io(path.to_path_buf(), error.to_string())
    }
}

#[cfg(test)]
mod tests;
