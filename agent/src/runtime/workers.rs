//! The threads that guests run on.

use super::promptness::{be_patient, be_prompt};
use super::ticker::TickerThread;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};

/// Threads of each lane for guests' file operations, which block.
const MAX_BLOCKING_THREADS: usize = 64;
/// Polls after which a worker looks for timers and sockets: a guest's slice is a poll, so a higher number would delay
/// its neighbours.
const EVENT_INTERVAL: u32 = 4;
/// Polls after which a worker looks at the queue of tasks woken from other threads.
const GLOBAL_QUEUE_INTERVAL: u32 = 2;
/// How long shutdown waits for worker threads.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

/// Where guests are run.
pub(super) struct Executors {
    /// For guests that answer and wait, and for the work of ours that belongs to them.
    pub(super) interactive: Handle,
    /// For guests that compute.
    pub(super) batch: Handle,
}

/// Owns the threads.
pub(super) struct Workers {
    interactive: Runtime,
    batch: Runtime,
    ticker: TickerThread,
}

impl Workers {
    /// Starts `count` threads for each lane; `None` is one for each core.
    ///
    /// # Errors
    /// When they cannot be started.
    pub(super) fn start(count: Option<usize>, ticker: TickerThread) -> std::io::Result<Workers> {
        let count = count.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
        let count = count.unwrap_or(1).max(1);
        Ok(Workers {
            interactive: lane("guest", be_prompt, count)?,
            batch: lane("guest-batch", be_patient, count)?,
            ticker,
        })
    }

    pub(super) fn executors(&self) -> Executors {
        Executors { interactive: self.interactive.handle().clone(), batch: self.batch.handle().clone() }
    }

    /// Ends the threads. Blocks until they have ended, or for `SHUTDOWN_TIMEOUT` each lane.
    pub(super) fn shutdown(self) {
        self.interactive.shutdown_timeout(SHUTDOWN_TIMEOUT);
        self.batch.shutdown_timeout(SHUTDOWN_TIMEOUT);
        drop(self.ticker);
    }

    /// Ends the threads without waiting for them.
    pub(super) fn abandon(self) {
        self.interactive.shutdown_background();
        self.batch.shutdown_background();
    }
}

fn lane(name: &str, begin: fn(), count: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(count)
        .max_blocking_threads(MAX_BLOCKING_THREADS)
        .event_interval(EVENT_INTERVAL)
        .global_queue_interval(GLOBAL_QUEUE_INTERVAL)
        .thread_name(name)
        .on_thread_start(begin)
        .enable_all()
        .build()
}
