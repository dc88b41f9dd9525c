//! Carries the write-ahead log over into the database file, on a thread and a connection of its own, so that commits hardly
//! wait for it, and keeps the log's file at one size: a sync takes two to five times as long while its file grows.

use super::StoreError;
use super::schema::Place;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::Connection;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

/// Frames that may be left for the last step of a checkpoint, for which writers wait.
const LEFT_FRAMES: i64 = 64;
/// So much is logged before the log's file is laid out: flash is worn by zeros that nobody writes over.
const LAY_OUT_FROM_BYTES: u64 = 256 << 10;
/// It is laid out in steps of so many bytes, so that a commit waits for one of them at most.
const STEP_BYTES: usize = 256 << 10;

/// The checkpoint thread. Dropping it ends the thread.
pub(super) struct Checkpoint {
    /// Since the start.
    logged_bytes: AtomicU64,
    due_bytes: u64,
    due: Option<SyncSender<Work>>,
    failure: Arc<Mutex<Option<StoreError>>>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread is woken for.
#[derive(Clone, Copy)]
enum Work {
    LayOut,
    Checkpoint,
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
        let (due, work) = sync_channel(2);
        let run = {
            let (place, failure) = (place.clone(), failure.clone());
            move || {
                let ended = work.iter().try_for_each(|work| match work {
                    Work::LayOut => {
                        lay_out(&place, &writer, due_bytes);
                        Ok(())
                    }
                    Work::Checkpoint => checkpoint(&connection, &writer),
                });
                *failure.lock() = ended.err().map(|error| place.error(error));
            }
        };
        let thread = thread::Builder::new().name("store-checkpoint".into()).spawn(run);
        let thread = thread.map_err(|e| StoreError::io(&place.path, e))?;
        let (due, thread) = (Some(due), Some(thread));
        Ok(Checkpoint { logged_bytes: AtomicU64::new(0), due_bytes: due_bytes.max(1), due, failure, thread })
    }

    /// Notes that `bytes` were logged; wakes the thread when it has something to do.
    pub(super) fn logged(&self, bytes: u64) {
        let before = self.logged_bytes.fetch_add(bytes, Ordering::Relaxed);
        let now = before + bytes;
        let (is_no_longer_idle, is_due) = (
            before < LAY_OUT_FROM_BYTES && now >= LAY_OUT_FROM_BYTES,
            before / self.due_bytes < now / self.due_bytes,
        );
        let work = [(is_no_longer_idle, Work::LayOut), (is_due, Work::Checkpoint)];
        for (_, work) in work.into_iter().filter(|(wanted, _)| *wanted) {
            // Full means that the thread has a checkpoint to do already.
            self.due.as_ref().map(|due| due.try_send(work));
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

/// Lengthens the log's file to `bytes`, with zeros, which SQLite takes for no frame of its own. A disk that has no room for
/// that may have some for the log as it grows.
fn lay_out(place: &Place, writer: &Mutex<Connection>, bytes: u64) {
    // What another file system than the system's keeps is in no file.
    let file = place.vfs.is_none().then(|| OpenOptions::new().write(true).open(place.log()));
    let Some(Ok(file)) = file else { return };
    loop {
        let no_transaction = writer.lock();
        match lengthen(&file, bytes) {
            Ok(true) => MutexGuard::unlock_fair(no_transaction),
            Ok(false) => return,
            Err(error) => return tracing::debug!(%error, "the write-ahead log could not be laid out"),
        }
    }
}

/// One step, or nothing of it; whether there was one to do.
fn lengthen(file: &File, bytes: u64) -> io::Result<bool> {
    let length = file.metadata()?.len();
    if length >= bytes {
        return Ok(false);
    }
    let step = file.write_all_at(&[0; STEP_BYTES], length).and_then(|()| file.sync_data());
    step.or_else(|error| file.set_len(length).and(Err(error)))?;
    Ok(true)
}

/// Passive checkpoints block no writer, and never get to the end of a log that grows meanwhile. Once little is left, writers
/// wait for that, and the log begins anew. SQLite's own lock would starve us under a busy writer, ours is fair.
fn checkpoint(connection: &Connection, writer: &Mutex<Connection>) -> Result<(), rusqlite::Error> {
    if frames_left(connection, "PASSIVE")? > LEFT_FRAMES {
        frames_left(connection, "PASSIVE")?;
    }
    let _no_transaction = writer.lock();
    frames_left(connection, "RESTART").map(drop)
}

/// Runs a checkpoint and tells how many frames of the log it has not carried over.
fn frames_left(connection: &Connection, mode: &str) -> Result<i64, rusqlite::Error> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| {
        Ok(row.get::<_, i64>("log")? - row.get::<_, i64>("checkpointed")?)
    })
}
