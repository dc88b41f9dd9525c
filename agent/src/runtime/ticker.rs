//! The clock of pre-emption: a thread that advances the engines' epochs while guests run, and sleeps when none does.
//!
//! A guest that runs longer than a slice yields to the executor at its next function entry or loop back-edge, so that
//! its neighbours get their turn and stop, kill and throttling can act.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use wasmtime::{Engine, Store, UpdateDeadline};

/// How long a guest runs before it yields to its neighbours.
pub(super) const SLICE: Duration = Duration::from_millis(1);

/// Ticks without a running guest after which the thread goes to sleep.
const IDLE_TICKS: u32 = 3;

/// Advances epochs while at least one guest is being polled.
pub(super) struct Ticker {
    running: AtomicUsize,
    /// Counts slices begun, so that the thread sees work that came and went between two ticks.
    begun: AtomicU64,
    asleep: AtomicBool,
    stopped: AtomicBool,
    thread: std::sync::OnceLock<std::thread::Thread>,
}

/// Owns the thread; dropping it ends the thread.
pub(super) struct TickerThread {
    ticker: Arc<Ticker>,
    join: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread for `engines`.
    pub(super) fn start(engines: Vec<Engine>) -> std::io::Result<(Arc<Ticker>, TickerThread)> {
        let ticker = Arc::new(Ticker {
            running: AtomicUsize::new(0),
            begun: AtomicU64::new(0),
            asleep: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        });
        let shared = ticker.clone();
        let join = std::thread::Builder::new().name("epoch".into()).spawn(move || shared.run(&engines))?;
        // A guest that begins before this is set finds no thread to wake, but the thread has not gone to sleep yet
        // either: it only does after `IDLE_TICKS`, and looks at `begun` again first.
        let _ = ticker.thread.set(join.thread().clone());
        Ok((ticker.clone(), TickerThread { ticker, join: Some(join) }))
    }

    fn run(&self, engines: &[Engine]) {
        let mut idle_ticks = 0;
        let mut seen = self.begun.load(Ordering::SeqCst);
        while !self.stopped.load(Ordering::SeqCst) {
            std::thread::sleep(SLICE);
            engines.iter().for_each(Engine::increment_epoch);
            let begun = self.begun.load(Ordering::SeqCst);
            let active = self.running.load(Ordering::SeqCst) > 0 || begun != seen;
            seen = begun;
            idle_ticks = if active { 0 } else { idle_ticks + 1 };
            if idle_ticks > IDLE_TICKS && self.thread.get().is_some() {
                seen = self.sleep_until_work(seen);
                idle_ticks = 0;
            }
        }
    }

    fn sleep_until_work(&self, seen: u64) -> u64 {
        self.asleep.store(true, Ordering::SeqCst);
        while self.begun.load(Ordering::SeqCst) == seen && !self.stopped.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.asleep.store(false, Ordering::SeqCst);
        self.begun.load(Ordering::SeqCst)
    }

    fn begin(&self) {
        self.running.fetch_add(1, Ordering::SeqCst);
        self.begun.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    fn end(&self) {
        self.running.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for TickerThread {
    fn drop(&mut self) {
        self.ticker.stopped.store(true, Ordering::SeqCst);
        if let Some(join) = self.join.take() {
            join.thread().unpark();
            let _ = join.join();
        }
    }
}

thread_local! {
    /// When the guest that this worker polls began its slice.
    static SLICE_BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// One uninterrupted run of a guest on a worker thread: from entering `poll` to leaving it.
pub(super) struct Slice<'a> {
    ticker: &'a Ticker,
    began: Instant,
}

impl<'a> Slice<'a> {
    pub(super) fn begin(ticker: &'a Ticker) -> Slice<'a> {
        ticker.begin();
        let began = Instant::now();
        SLICE_BEGAN.set(Some(began));
        Slice { ticker, began }
    }

    /// Ends the slice: the time now, and how long it took.
    pub(super) fn end(self) -> (Instant, Duration) {
        let now = Instant::now();
        (now, now.saturating_duration_since(self.began))
    }
}

impl Drop for Slice<'_> {
    fn drop(&mut self) {
        SLICE_BEGAN.set(None);
        self.ticker.end();
    }
}

/// Makes a store's guest yield once its slice is used up. A guest that was waiting has an old deadline when it goes on:
/// the callback sees that its slice has only begun and lets it run.
pub(super) fn pre_empt<T: 'static>(store: &mut Store<T>) {
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| {
        let used_up = SLICE_BEGAN.get().is_none_or(|began| began.elapsed() >= SLICE);
        Ok(if used_up { UpdateDeadline::Yield(1) } else { UpdateDeadline::Continue(1) })
    });
}
