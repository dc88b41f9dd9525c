//! Two lanes of worker threads: guests that answer and wait run in the interactive one; a guest that computes is moved to
//! the batch one until it rests again.
//!
//! In one lane a request would stand behind a whole slice of each computing neighbour. Between the lanes the kernel
//! decides: it lets a thread that has slept and asks for little go before one that has run.

use super::cpu::CpuAccount;
use super::metered::Metered;
use super::ticker::Ticker;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Instant;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// What the guests of one container are run with.
pub(super) struct Lanes {
    pub(super) cpu: Arc<CpuAccount>,
    pub(super) ticker: Arc<Ticker>,
    pub(super) batch: tokio::runtime::Handle,
    /// Its guests in the batch lane.
    pub(super) away: TaskTracker,
}

impl Lanes {
    /// Waits until none of the container's guests is in the batch lane; each must have ended or been dropped.
    pub(super) async fn empty(&self) {
        self.away.close();
        self.away.wait().await;
    }
}

/// A guest's future, polled in the task that holds it while it is interactive, else in a task of the batch lane. Dropping
/// it ends the guest, at the end of its slice at the latest.
pub(super) struct Laned<F: Future> {
    lanes: Arc<Lanes>,
    place: Place<F>,
}

enum Place<F: Future> {
    Here(Metered<F>),
    Away(AbortOnDropHandle<Leave<F>>),
    Ended,
}

/// How a guest leaves the batch lane.
enum Leave<F: Future> {
    Ended(F::Output),
    Rested(Metered<F>),
}

impl<F> Laned<F>
where
    F: Future<Output: Send> + Unpin + Send + 'static,
{
    pub(super) fn new(inner: F, lanes: Arc<Lanes>) -> Laned<F> {
        let metered = Metered::new(inner, lanes.cpu.clone(), lanes.ticker.clone());
        Laned { lanes, place: Place::Here(metered) }
    }

    fn poll_here(&mut self, context: &mut Context<'_>) -> Option<Poll<F::Output>> {
        let Place::Here(guest) = &mut self.place else { return None };
        let outcome = Pin::new(&mut *guest).poll(context);
        if outcome.is_pending() && !guest.is_busy() {
            return Some(Poll::Pending);
        }
        let Place::Here(guest) = std::mem::replace(&mut self.place, Place::Ended) else { return None };
        if outcome.is_ready() {
            return Some(outcome);
        }
        let stay = self.lanes.away.spawn_on(Stay::new(guest), &self.lanes.batch);
        self.place = Place::Away(AbortOnDropHandle::new(stay));
        None
    }

    fn poll_away(&mut self, context: &mut Context<'_>) -> Option<Poll<F::Output>> {
        let Place::Away(stay) = &mut self.place else { return None };
        let Poll::Ready(left) = Pin::new(stay).poll(context) else { return Some(Poll::Pending) };
        self.place = Place::Ended;
        match left {
            Ok(Leave::Ended(output)) => return Some(Poll::Ready(output)),
            Ok(Leave::Rested(guest)) => self.place = Place::Here(guest),
            Err(error) => {
                if let Ok(panic) = error.try_into_panic() {
                    std::panic::resume_unwind(panic);
                }
            }
        }
        None
    }
}

impl<F> Future for Laned<F>
where
    F: Future<Output: Send> + Unpin + Send + 'static,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        loop {
            if let Some(outcome) = this.poll_here(context).or_else(|| this.poll_away(context)) {
                return outcome;
            }
            // Only when the batch lane was shut down under it: nothing will come any more.
            if matches!(this.place, Place::Ended) {
                return Poll::Pending;
            }
        }
    }
}

/// A guest's stay in the batch lane.
struct Stay<F> {
    guest: Option<Metered<F>>,
    bell: Arc<Bell>,
}

impl<F> Stay<F> {
    fn new(guest: Metered<F>) -> Stay<F> {
        let bell = Bell { woken: Mutex::new(Some(Instant::now())), task: AtomicWaker::new() };
        Stay { guest: Some(guest), bell: Arc::new(bell) }
    }
}

/// Hears when a guest is woken: from then on it waits for its turn, which is no rest. Among many that compute each would
/// else count as rested when its turn comes, and all of them would compute in the interactive lane.
struct Bell {
    /// Since when it waits for its turn.
    woken: Mutex<Option<Instant>>,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.lock().get_or_insert_with(Instant::now);
        self.task.wake();
    }
}

impl<F: Future + Unpin> Future for Stay<F> {
    type Output = Leave<F>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Leave<F>> {
        let Stay { guest, bell } = &mut *self;
        let now = Instant::now();
        let woken = bell.woken.lock().take().unwrap_or(now);
        if let Some(guest) = guest.take_if(|guest| guest.has_rested(woken, now)) {
            return Poll::Ready(Leave::Rested(guest));
        }
        let Some(running) = guest else { return Poll::Pending };
        bell.task.register(context.waker());
        let waker = Waker::from(bell.clone());
        let output = ready!(Pin::new(running).poll(&mut Context::from_waker(&waker)));
        // The guest's store is dropped with its future, before anybody hears of its end.
        *guest = None;
        Poll::Ready(Leave::Ended(output))
    }
}

#[cfg(test)]
mod tests {
    use super::super::metered::LONGEST_REST;
    use super::super::ticker::SLICE;
    use super::super::workers::Workers;
    use super::*;

    fn lane() -> String {
        std::thread::current().name().unwrap_or_default().to_string()
    }

    /// Computes for one slice, then gives way.
    async fn compute() {
        let began = Instant::now();
        while began.elapsed() < SLICE {
            std::hint::spin_loop();
        }
        tokio::task::yield_now().await;
    }

    fn start() -> (Workers, Arc<Lanes>) {
        let (ticker, thread) = Ticker::start(Vec::new()).unwrap();
        let workers = Workers::start(Some(1), thread).unwrap();
        let batch = workers.executors().batch;
        let lanes = Lanes { cpu: CpuAccount::unlimited(), ticker, batch, away: TaskTracker::new() };
        (workers, Arc::new(lanes))
    }

    #[test]
    fn a_guest_that_computes_moves_to_the_batch_lane_and_comes_back_when_it_has_rested() {
        let (workers, lanes) = start();
        let guest = async {
            let before = lane();
            compute().await;
            let computing = lane();
            // What it owes after a slice that the kernel broke off, too.
            for _ in 0..100 {
                tokio::time::sleep(LONGEST_REST).await;
                if lane() == "guest" {
                    break;
                }
            }
            (before, computing, lane())
        };
        let guest = workers.executors().interactive.spawn(Laned::new(Box::pin(guest), lanes.clone()));
        let test = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (before, computing, rested) = test.block_on(guest).unwrap();
        assert_eq!((&*before, &*computing, &*rested), ("guest", "guest-batch", "guest"));
        assert!(lanes.away.is_empty());
        workers.shutdown();
    }

    #[test]
    fn dropping_a_guest_ends_it_in_the_batch_lane_too() {
        let (workers, lanes) = start();
        let held = Arc::new(());
        let kept = held.clone();
        let guest = async move {
            let _kept = kept;
            loop {
                compute().await;
            }
        };
        let guest: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(guest);
        let mut guest = Laned::new(guest, lanes.clone());
        workers.executors().interactive.block_on(async move {
            while !matches!(guest.place, Place::Away(_)) {
                assert!(futures_util::poll!(&mut guest).is_pending());
            }
            drop(guest);
            lanes.empty().await;
        });
        assert_eq!(Arc::strong_count(&held), 1);
        workers.shutdown();
    }
}
