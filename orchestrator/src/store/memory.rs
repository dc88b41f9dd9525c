//! A backend without a disk: for tests, and for control planes that are meant to forget.

use super::{Backend, Chunk, Entry, Loaded, Logged, Part, ReadError, StoreError};
use bytes::Bytes;
use parking_lot::Mutex;
use peapod_api::Key;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Keeps the log in memory.
#[derive(Default)]
pub struct Memory(Mutex<Log>);

#[derive(Default)]
struct Log {
    entries: BTreeMap<u64, Entry>,
    heads: BTreeMap<Key, u64>,
    compacted: u64,
    reserved: u64,
    failure: Option<String>,
}

impl Memory {
    /// Makes every commit from now on fail with `reason`, as a disk would that is full.
    pub fn fail(&self, reason: &str) {
        self.0.lock().failure = Some(reason.into());
    }
}

fn broken(reason: impl Into<String>) -> StoreError {
    StoreError::Io(PathBuf::from("memory"), reason.into())
}

impl Log {
    fn append(&mut self, entry: &Entry) -> Result<(), StoreError> {
        if self.heads.get(&entry.key).copied() != entry.prev {
            return Err(broken(format!("{} is not at {:?}", entry.key, entry.prev)));
        }
        match entry.value {
            Some(_) => self.heads.insert(entry.key.clone(), entry.revision),
            None => self.heads.remove(&entry.key),
        };
        self.entries.insert(entry.revision, entry.clone());
        Ok(())
    }

    fn value(&self, revision: Option<u64>) -> Option<Bytes> {
        self.entries.get(&revision?)?.value.clone()
    }
}

impl Backend for Memory {
    fn load(
        &self,
        each: &mut dyn FnMut(Key, u64, Vec<u8>) -> Result<(), StoreError>,
    ) -> Result<Loaded, StoreError> {
        let log = self.0.lock();
        for (key, revision) in &log.heads {
            each(key.clone(), *revision, log.value(Some(*revision)).unwrap_or_default().to_vec())?;
        }
        let last = log.entries.last_key_value().map_or(0, |(revision, _)| *revision);
        Ok(Loaded { revision: last.max(log.reserved), compacted: log.compacted })
    }

    fn commit(&self, entries: &[Entry], reserve: Option<u64>) -> Result<(), StoreError> {
        let mut log = self.0.lock();
        if let Some(reason) = &log.failure {
            return Err(broken(reason));
        }
        log.reserved = log.reserved.max(reserve.unwrap_or_default());
        entries.iter().try_for_each(|entry| log.append(entry))
    }

    fn changes(&self, part: &Part) -> Result<Chunk, ReadError> {
        let log = self.0.lock();
        if part.after < log.compacted {
            return Err(ReadError::Compacted(log.compacted));
        }
        let mut chunk = Chunk { changes: Vec::new(), upto: part.upto };
        let mut bytes = 0;
        let range = log.entries.range(part.after + 1..=part.upto.max(part.after + 1));
        for (revision, entry) in
            range.filter(|(r, e)| **r <= part.upto && e.key.as_str().starts_with(&part.prefix))
        {
            if chunk.changes.len() == part.limit_rows || bytes >= part.limit_bytes {
                chunk.upto = chunk.changes.last().map_or(part.after, |last: &Logged| last.entry.revision);
                break;
            }
            let logged = Logged { entry: entry.clone(), before: log.value(entry.prev) };
            bytes += logged.size();
            debug_assert_eq!(*revision, logged.entry.revision);
            chunk.changes.push(logged);
        }
        Ok(chunk)
    }

    fn compact(&self, upto: u64, limit_rows: usize) -> Result<u64, StoreError> {
        let mut log = self.0.lock();
        if upto <= log.compacted {
            return Ok(log.compacted);
        }
        let range = log.entries.range(log.compacted + 1..=upto);
        let seen: Vec<(u64, Option<u64>, bool)> =
            range.take(limit_rows).map(|(r, e)| (*r, e.prev, e.value.is_none())).collect();
        for (revision, prev, deleted) in &seen {
            prev.and_then(|prev| log.entries.remove(&prev));
            if *deleted {
                log.entries.remove(revision);
            }
        }
        log.compacted = if seen.len() < limit_rows { upto } else { seen.last().map_or(upto, |(r, ..)| *r) };
        Ok(log.compacted)
    }
}
