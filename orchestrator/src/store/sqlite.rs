//! The log in an SQLite database: `log` holds every change that is kept, `head` the newest revision of each live key.
//!
//! Durable means: write-ahead log, `synchronous = FULL`, so a commit has returned from a sync before it is
//! acknowledged. One connection writes, a few read old changes, one carries the write-ahead log over.

use super::checkpoint::Checkpoint;
use super::schema::{self, Place};
use super::unsigned::Unsigned;
use super::{Backend, Chunk, Entry, Loaded, Logged, Part, ReadError, StoreError};
use bytes::Bytes;
use parking_lot::Mutex;
use peapod_api::Key;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

/// The database's name in the data directory.
const FILE: &str = "store.db";
/// Reading connections that are kept open while nobody reads.
const IDLE_READERS: usize = 4;
/// What a change costs in the write-ahead log besides its value: about one page of each table.
const ENTRY_OVERHEAD_BYTES: u64 = 3 * 4096;

/// How the file is used. The defaults are meant for everybody but tests.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The name of a registered SQLite VFS; none for the operating system's own.
    pub vfs: Option<String>,
    /// A checkpoint is due when about so many bytes were logged since the last. The log of a store that is not idle is laid
    /// out to this size.
    pub checkpoint_bytes: u64,
}

impl Default for SqliteOptions {
    fn default() -> SqliteOptions {
        SqliteOptions { vfs: None, checkpoint_bytes: 4 << 20 }
    }
}

/// The log in `DIR/store.db`.
pub struct Sqlite {
    place: Place,
    writer: Arc<Mutex<Connection>>,
    readers: Mutex<Vec<Connection>>,
    checkpoint: Checkpoint,
    /// Locked for as long as this lives.
    _directory: File,
}

impl Sqlite {
    /// Opens or creates the store in the directory `dir`, which then belongs to this process. Errors: another process
    /// has it, the file is not ours, newer than this version or damaged, or the file system refuses.
    pub fn open(dir: &Path) -> Result<Sqlite, StoreError> {
        Sqlite::open_with(dir, &SqliteOptions::default())
    }

    /// Like [`Sqlite::open`], with options other than the usual.
    pub fn open_with(dir: &Path, options: &SqliteOptions) -> Result<Sqlite, StoreError> {
        let directory = schema::lock(dir)?;
        let place = Place { path: dir.join(FILE), vfs: options.vfs.clone() };
        let writer = Arc::new(Mutex::new(schema::open(&place)?));
        let checkpoint = Checkpoint::start(place.clone(), writer.clone(), options.checkpoint_bytes)?;
        let readers = Mutex::new(Vec::new());
        Ok(Sqlite { place, writer, readers, checkpoint, _directory: directory })
    }

    fn sql<T>(&self, result: Result<T, rusqlite::Error>) -> Result<T, StoreError> {
        result.map_err(|e| self.place.error(e))
    }

    /// Runs `read` on a connection of the pool.
    fn reading<T, E: From<StoreError>>(
        &self,
        read: impl FnOnce(&mut Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let idle = self.readers.lock().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.place.connect()?,
        };
        let result = read(&mut connection);
        let mut readers = self.readers.lock();
        if readers.len() < IDLE_READERS {
            readers.push(connection);
        }
        result
    }

    /// Writes one change to both tables. The guard on `prev` makes a log that contradicts the snapshot an error.
    fn append(&self, transaction: &Transaction<'_>, entry: &Entry) -> Result<(), StoreError> {
        let (key, revision) = (entry.key.as_str(), Unsigned(entry.revision));
        let prev = entry.prev.map(Unsigned);
        let created: Option<Unsigned> = match (prev, &entry.value) {
            (None, Some(_)) => {
                let mut insert = self.sql(transaction.prepare_cached(INSERT_HEAD))?;
                (self.sql(insert.execute(params![key, revision]))? == 1).then_some(revision)
            }
            (Some(prev), Some(_)) => {
                let mut update = self.sql(transaction.prepare_cached(UPDATE_HEAD))?;
                self.sql(update.query_row(params![key, prev, revision], |row| row.get(0)).optional())?
            }
            (Some(prev), None) => {
                let mut delete = self.sql(transaction.prepare_cached(DELETE_HEAD))?;
                self.sql(delete.query_row(params![key, prev], |row| row.get(0)).optional())?
            }
            (None, None) => None,
        };
        let Some(created) = created else {
            return Err(self.place.corrupt(format!("{key} is not at revision {:?} as expected", entry.prev)));
        };
        let mut insert = self.sql(transaction.prepare_cached(INSERT_LOG))?;
        let value = entry.value.as_deref();
        self.sql(insert.execute(params![revision, key, prev, created, value.is_none(), value]))?;
        Ok(())
    }
}

const INSERT_HEAD: &str =
    "INSERT INTO head(key, revision, created) VALUES (?1, ?2, ?2) ON CONFLICT DO NOTHING";
const UPDATE_HEAD: &str = "UPDATE head SET revision = ?3 WHERE key = ?1 AND revision = ?2 RETURNING created";
const DELETE_HEAD: &str = "DELETE FROM head WHERE key = ?1 AND revision = ?2 RETURNING created";
const INSERT_LOG: &str =
    "INSERT INTO log(revision, key, prev, created, deleted, value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
const LOAD: &str = "SELECT head.key, head.revision, log.key, log.value FROM head
    LEFT JOIN log ON log.revision = head.revision ORDER BY head.key";
const CHANGES: &str = "SELECT log.revision, log.key, log.prev, log.value, old.value FROM log
    LEFT JOIN log AS old ON old.revision = log.prev
    WHERE log.revision > ?1 AND log.revision <= ?2 AND substr(log.key, 1, length(?3)) = ?3
    ORDER BY log.revision";
const COMPACT_END: &str = "SELECT revision FROM log WHERE revision > ?1 AND revision <= ?2
    ORDER BY revision LIMIT 1 OFFSET ?3";
/// Of what is forgotten, the value before each change and every deletion itself are of no use to anybody.
const COMPACT_VALUES: &str = "DELETE FROM log WHERE revision IN
    (SELECT prev FROM log WHERE revision > ?1 AND revision <= ?2 AND prev IS NOT NULL)";
const COMPACT_DELETIONS: &str = "DELETE FROM log WHERE revision > ?1 AND revision <= ?2 AND deleted";

fn meta(connection: &Connection, name: &str) -> Result<u64, rusqlite::Error> {
    connection.prepare_cached("SELECT value FROM meta WHERE name = ?1")?.query_row([name], number)
}

fn number(row: &Row<'_>) -> Result<u64, rusqlite::Error> {
    row.get(0).map(|Unsigned(number)| number)
}

fn set_meta(connection: &Connection, name: &str, value: u64) -> Result<(), rusqlite::Error> {
    let mut update = connection.prepare_cached("UPDATE meta SET value = max(value, ?2) WHERE name = ?1")?;
    update.execute(params![name, Unsigned(value)]).map(|_| ())
}

impl Backend for Sqlite {
    fn load(
        &self,
        each: &mut dyn FnMut(Key, u64, Vec<u8>) -> Result<(), StoreError>,
    ) -> Result<Loaded, StoreError> {
        let connection = self.writer.lock();
        let mut select = self.sql(connection.prepare(LOAD))?;
        let mut rows = self.sql(select.query([]))?;
        while let Some(row) = self.sql(rows.next())? {
            let key: String = self.sql(row.get(0))?;
            let Unsigned(revision) = self.sql(row.get(1))?;
            let logged: Option<String> = self.sql(row.get(2))?;
            let value: Option<Vec<u8>> = self.sql(row.get(3))?;
            match (Key::parse(&key), value) {
                (Some(parsed), Some(value)) if logged.as_ref() == Some(&key) => {
                    each(parsed, revision, value)?
                }
                _ => {
                    return Err(self
                        .place
                        .corrupt(format!("the value of {key} at revision {revision} is missing")));
                }
            }
        }
        let sql = "SELECT ifnull(max(revision), 0) FROM log";
        let last = self.sql(connection.query_row(sql, [], number))?;
        let reserved = self.sql(meta(&connection, "reserved"))?;
        let compacted = self.sql(meta(&connection, "compacted"))?;
        Ok(Loaded { revision: last.max(reserved).max(compacted), compacted })
    }

    fn commit(&self, entries: &[Entry], reserve: Option<u64>) -> Result<(), StoreError> {
        if let Some(failure) = self.checkpoint.failure() {
            return Err(failure);
        }
        let mut connection = self.writer.lock();
        let transaction = self.sql(connection.transaction_with_behavior(TransactionBehavior::Immediate))?;
        for entry in entries {
            self.append(&transaction, entry)?;
        }
        if let Some(reserve) = reserve {
            self.sql(set_meta(&transaction, "reserved", reserve))?;
        }
        self.sql(transaction.commit())?;
        let bytes = |entry: &Entry| ENTRY_OVERHEAD_BYTES + entry.value.as_ref().map_or(0, |v| v.len() as u64);
        self.checkpoint.logged(ENTRY_OVERHEAD_BYTES + entries.iter().map(bytes).sum::<u64>());
        Ok(())
    }

    fn changes(&self, part: &Part) -> Result<Chunk, ReadError> {
        self.reading(|connection| {
            let transaction = self.sql(connection.transaction())?;
            let compacted = self.sql(meta(&transaction, "compacted"))?;
            if part.after < compacted {
                return Err(ReadError::Compacted(compacted));
            }
            let mut select = self.sql(transaction.prepare_cached(CHANGES))?;
            let mut rows =
                self.sql(select.query(params![Unsigned(part.after), Unsigned(part.upto), part.prefix]))?;
            let mut chunk = Chunk { changes: Vec::new(), upto: part.upto };
            let mut bytes = 0;
            while let Some(row) = self.sql(rows.next())? {
                if chunk.changes.len() == part.limit_rows || bytes >= part.limit_bytes {
                    chunk.upto = chunk.changes.last().map_or(part.after, |last: &Logged| last.entry.revision);
                    break;
                }
                let logged = self.sql(logged(row))?;
                let logged = logged.ok_or_else(|| self.place.corrupt("a change has no readable key"))?;
                bytes += logged.size();
                chunk.changes.push(logged);
            }
            Ok(chunk)
        })
    }

    fn compact(&self, upto: u64, limit_rows: usize) -> Result<u64, StoreError> {
        let mut connection = self.writer.lock();
        let transaction = self.sql(connection.transaction_with_behavior(TransactionBehavior::Immediate))?;
        let from = self.sql(meta(&transaction, "compacted"))?;
        if upto <= from {
            return Ok(from);
        }
        let last = [from, upto, limit_rows.saturating_sub(1) as u64].map(Unsigned);
        let end = self.sql(transaction.query_row(COMPACT_END, last, number).optional())?.unwrap_or(upto);
        let part = [from, end].map(Unsigned);
        let forget = || {
            let rows =
                transaction.execute(COMPACT_VALUES, part)? + transaction.execute(COMPACT_DELETIONS, part)?;
            set_meta(&transaction, "compacted", end)?;
            Ok(rows)
        };
        let rows = self.sql(forget())?;
        self.sql(transaction.commit())?;
        self.checkpoint.logged(ENTRY_OVERHEAD_BYTES + rows as u64 * 4096);
        Ok(end)
    }
}

/// None if the key is not one.
fn logged(row: &Row<'_>) -> Result<Option<Logged>, rusqlite::Error> {
    let Some(key) = Key::parse(&row.get::<_, String>(1)?) else { return Ok(None) };
    let prev = row.get::<_, Option<Unsigned>>(2)?.map(|Unsigned(prev)| prev);
    let entry = Entry { revision: number(row)?, key, prev, value: blob(row, 3)? };
    Ok(Some(Logged { entry, before: blob(row, 4)? }))
}

fn blob(row: &Row<'_>, column: usize) -> Result<Option<Bytes>, rusqlite::Error> {
    Ok(match row.get_ref(column)? {
        ValueRef::Blob(bytes) => Some(Bytes::copy_from_slice(bytes)),
        _ => None,
    })
}
