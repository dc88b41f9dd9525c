//! The database file: how it is opened, recognised, checked and created.

use super::StoreError;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// SQLite's `application_id` of our files: "PEAP".
const APPLICATION_ID: i64 = 0x5045_4150;
/// SQLite's `user_version` of our files.
const FORMAT: i64 = 1;
/// Files up to this size are checked whole at open; of larger ones only what is live is read (and checked) by load.
const MAX_CHECKED_BYTES: u64 = 32 << 20;
/// How long a connection waits for another of the same process (a checkpoint) before it gives up.
const BUSY_MILLIS: u32 = 20_000;
/// What the write-ahead log is cut down to when it begins anew.
const WAL_KEPT_BYTES: u32 = 16 << 20;

const TABLES: &str = "
    CREATE TABLE log(
        revision INTEGER PRIMARY KEY,
        key TEXT NOT NULL,
        prev INTEGER,
        created INTEGER NOT NULL,
        deleted INTEGER NOT NULL,
        value BLOB
    ) STRICT;
    CREATE TABLE head(
        key TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        created INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE meta(name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO meta VALUES ('reserved', 0), ('compacted', 0);";

/// Where the database lives, and how to reach it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// The name of a registered SQLite VFS; none for the operating system's own.
    pub(super) vfs: Option<String>,
}

impl Place {
    /// A connection with the settings that all of ours share.
    pub(super) fn connect(&self) -> Result<Connection, StoreError> {
        let connection = match &self.vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, OpenFlags::default(), vfs.as_str()),
            None => Connection::open(&self.path),
        };
        let connection = connection.map_err(|e| self.error(e))?;
        let settings = format!(
            "PRAGMA busy_timeout = {BUSY_MILLIS}; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
             PRAGMA journal_size_limit = {WAL_KEPT_BYTES}; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;"
        );
        connection.execute_batch(&settings).map_err(|e| self.error(e))?;
        Ok(connection)
    }

    /// SQLite's write-ahead log.
    pub(super) fn log(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push("-wal");
        path.into()
    }

    /// What a failure of SQLite means to the person who runs the server.
    pub(super) fn error(&self, error: rusqlite::Error) -> StoreError {
        let path = self.path.clone();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => StoreError::Foreign(path, "the file is no database".into()),
            Some(ErrorCode::DatabaseCorrupt) => StoreError::Corrupt(path, error.to_string()),
            _ => StoreError::Io(path, error.to_string()),
        }
    }

    pub(super) fn corrupt(&self, what: impl Into<String>) -> StoreError {
        StoreError::Corrupt(self.path.clone(), what.into())
    }
}

/// Makes the directory if need be (for its owner only) and takes it for this process for as long as the file is open.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    let io = |e| StoreError::io(dir, e);
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io)?;
    let file = private_file(&dir.join("lock")).map_err(io)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(dir.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(io(error)),
    }
}

fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(0o600).open(path)
}

/// Opens the database for writing; a new or empty file becomes a store, any other must be one of ours and sound.
pub(super) fn open(place: &Place) -> Result<Connection, StoreError> {
    let size_bytes = {
        let file = private_file(&place.path).map_err(|e| StoreError::io(&place.path, e))?;
        file.metadata().map_err(|e| StoreError::io(&place.path, e))?.len()
    };
    let connection = place.connect()?;
    if recognise(place, &connection)? {
        if size_bytes <= MAX_CHECKED_BYTES {
            check(place, &connection)?;
        }
    } else {
        create(place, &connection)?;
    }
    Ok(connection)
}

/// Whether the file is one of our stores already; an error if it is anything but that or empty.
fn recognise(place: &Place, connection: &Connection) -> Result<bool, StoreError> {
    let number =
        |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(|e| place.error(e));
    let (id, format) = (number("PRAGMA application_id")?, number("PRAGMA user_version")?);
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    match (id, format, tables) {
        (0, 0, 0) => Ok(false),
        (APPLICATION_ID, FORMAT, _) => Ok(true),
        (APPLICATION_ID, found, _) if found > FORMAT => {
            Err(StoreError::Newer { path: place.path.clone(), found, known: FORMAT })
        }
        _ => Err(StoreError::Foreign(place.path.clone(), "the database belongs to another program".into())),
    }
}

fn check(place: &Place, connection: &Connection) -> Result<(), StoreError> {
    let sql = "PRAGMA quick_check(1)";
    let verdict: String = connection.query_row(sql, [], |row| row.get(0)).map_err(|e| place.error(e))?;
    if verdict == "ok" { Ok(()) } else { Err(place.corrupt(verdict.lines().collect::<Vec<_>>().join(" "))) }
}

fn create(place: &Place, connection: &Connection) -> Result<(), StoreError> {
    let sql = format!(
        "PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; {TABLES}
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
    );
    connection.execute_batch(&sql).map_err(|e| place.error(e))?;
    let dir = place.path.parent().unwrap_or(Path::new("."));
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|e| StoreError::io(dir, e))
}
