//! Carries the write-ahead log over into the database file, on a thread and a connection of its own, so that no commit
//! waits for it.

use super::StoreError;
use super::schema::Place;
use parking_lot::Mutex;
use rusqlite::Connection;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Past this many pages (16 MiB) writers wait until the log can begin anew: it may not grow for ever under a load that
/// never pauses. What they wait for is short, because a passive checkpoint has just carried most of it over.
const LOG_LIMIT_PAGES: i64 = 4096;

/// The checkpoint thread. Dropping it ends the thread.
pub(super) struct Checkpoint {
    logged_bytes: AtomicU64,
    due_bytes: u64,
    due: Option<SyncSender<()>>,
    failure: Arc<Mutex<Option<StoreError>>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoint {
    /// `writer` is what every transaction holds; one is due after about `due_bytes` were logged.
    pub(super) fn start(
        place: Place,
        writer: Arc<Mutex<Connection>>,
        due_bytes: u64,
    ) -> Result<Checkpoint, StoreError> {
        let connection = place.connect()?;
        let failure = Arc::new(Mutex::new(None));
        let (due, work) = sync_channel(1);
        let run = {
            let (place, failure) = (place.clone(), failure.clone());
            move || run(&place, &connection, &writer, &work, &failure)
        };
        let thread = thread::Builder::new().name("store-checkpoint".into()).spawn(run);
        let thread = thread.map_err(|e| StoreError::io(&place.path, e))?;
        let (due, thread) = (Some(due), Some(thread));
        Ok(Checkpoint { logged_bytes: AtomicU64::new(0), due_bytes, due, failure, thread })
    }

    /// Notes that `bytes` were logged; wakes the thread when it is due.
    pub(super) fn logged(&self, bytes: u64) {
        if self.logged_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes < self.due_bytes {
            return;
        }
        self.logged_bytes.store(0, Ordering::Relaxed);
        if let Some(due) = &self.due {
            // Full means that the thread has one to do already.
            let _ = due.try_send(());
        }
    }

    /// The failure of a checkpoint since the last call: the disk is no longer to be trusted.
    pub(super) fn failure(&self) -> Option<StoreError> {
        self.failure.lock().take()
    }
}

impl Drop for Checkpoint {
    fn drop(&mut self) {
        self.due = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    place: &Place,
    connection: &Connection,
    writer: &Mutex<Connection>,
    work: &Receiver<()>,
    failure: &Mutex<Option<StoreError>>,
) {
    while work.recv().is_ok() {
        if let Err(error) = checkpoint(connection, writer) {
            *failure.lock() = Some(place.error(error));
        }
    }
}

/// A passive checkpoint never blocks a writer; only a log past its limit is worth making it wait. SQLite's own lock would
/// starve us under a busy writer, ours is fair.
fn checkpoint(connection: &Connection, writer: &Mutex<Connection>) -> Result<(), rusqlite::Error> {
    let run = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(1));
    if run("PRAGMA wal_checkpoint(PASSIVE)")? > LOG_LIMIT_PAGES {
        let _no_transaction = writer.lock();
        run("PRAGMA wal_checkpoint(RESTART)")?;
    }
    Ok(())
}
