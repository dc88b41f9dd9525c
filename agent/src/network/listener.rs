//! Listening sockets: a bounded queue of connections that have been dialled and wait to be accepted.

use super::NetworkError;
use super::connection::{Connection, Dialled};
use super::pod::Seat;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::Notify;

/// Connections that may wait on one listener, whatever it asks for (the kernel's `somaxconn`).
pub const MAX_BACKLOG: usize = 4096;
/// Connections that may wait on a listener that does not ask.
pub const BACKLOG_DEFAULT: usize = 128;
/// Tasks that may wait for one listener; the ones before are woken to ask again when there are more.
const ACCEPTORS: usize = 64;
/// How long a dialer waits for room in a full backlog before it is told that it timed out.
const BACKLOG_WAIT: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Waiting {
    queue: VecDeque<Dialled>,
    limit: usize,
    closed: bool,
    acceptors: Vec<Waker>,
}

/// What a dialer sees of a listener.
#[derive(Default)]
pub(crate) struct Backlog {
    waiting: Mutex<Waiting>,
    room: Notify,
}

/// Why a connection was not queued.
enum Rejected {
    Full(Dialled),
    Closed,
}

impl Backlog {
    fn new(limit: usize) -> Backlog {
        let limit = limit.clamp(1, MAX_BACKLOG);
        Backlog { waiting: Mutex::new(Waiting { limit, ..Waiting::default() }), room: Notify::new() }
    }

    /// Queues a dialled connection, waiting for room when the backlog is full.
    pub(crate) async fn offer(&self, dialled: Dialled) -> Result<(), NetworkError> {
        match self.try_offer(dialled) {
            Ok(()) => Ok(()),
            Err(Rejected::Closed) => Err(NetworkError::ConnectionRefused),
            Err(Rejected::Full(dialled)) => {
                let patient = tokio::time::timeout(BACKLOG_WAIT, self.offer_when_room(dialled));
                patient.await.unwrap_or(Err(NetworkError::TimedOut))
            }
        }
    }

    async fn offer_when_room(&self, mut dialled: Dialled) -> Result<(), NetworkError> {
        loop {
            let room = self.room.notified();
            dialled = match self.try_offer(dialled) {
                Ok(()) => return Ok(()),
                Err(Rejected::Closed) => return Err(NetworkError::ConnectionRefused),
                Err(Rejected::Full(dialled)) => dialled,
            };
            room.await;
        }
    }

    fn try_offer(&self, dialled: Dialled) -> Result<(), Rejected> {
        let acceptors = {
            let mut waiting = self.waiting.lock();
            if waiting.closed {
                return Err(Rejected::Closed);
            }
            if waiting.queue.len() >= waiting.limit {
                return Err(Rejected::Full(dialled));
            }
            waiting.queue.push_back(dialled);
            std::mem::take(&mut waiting.acceptors)
        };
        acceptors.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Refuses new dialers. What is queued can still be accepted; after that, accepting is an error.
    pub(crate) fn close(&self) {
        let acceptors = {
            let mut waiting = self.waiting.lock();
            waiting.closed = true;
            std::mem::take(&mut waiting.acceptors)
        };
        acceptors.into_iter().for_each(Waker::wake);
        self.room.notify_waiters();
    }

    /// Closes, and resets what is queued.
    pub(crate) fn discard(&self) {
        self.close();
        let queue = std::mem::take(&mut self.waiting.lock().queue);
        queue.into_iter().for_each(Dialled::refuse);
    }

    /// Whether it takes new connections or still holds some.
    pub(crate) fn is_open(&self) -> bool {
        let waiting = self.waiting.lock();
        !waiting.closed || !waiting.queue.is_empty()
    }

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        let crowd = {
            let mut waiting = self.waiting.lock();
            if waiting.closed || !waiting.queue.is_empty() {
                return Poll::Ready(());
            }
            if waiting.acceptors.iter().any(|waker| waker.will_wake(context.waker())) {
                return Poll::Pending;
            }
            // Those that no longer wait cannot be told from those that do.
            let is_crowded = waiting.acceptors.len() == ACCEPTORS;
            let crowd = if is_crowded { std::mem::take(&mut waiting.acceptors) } else { Vec::new() };
            waiting.acceptors.push(context.waker().clone());
            crowd
        };
        crowd.into_iter().for_each(Waker::wake);
        Poll::Pending
    }

    /// The next connection with a seat for it, which is taken only when there is a connection.
    fn take(
        &self,
        seat: impl FnOnce() -> Result<Seat, NetworkError>,
    ) -> Result<(Dialled, Seat), NetworkError> {
        let taken = {
            let mut waiting = self.waiting.lock();
            if waiting.queue.is_empty() {
                let closed = waiting.closed;
                return Err(if closed { NetworkError::InvalidArgument } else { NetworkError::WouldBlock });
            }
            let seat = seat()?;
            waiting.queue.pop_front().map(|dialled| (dialled, seat))
        };
        self.room.notify_one();
        taken.ok_or(NetworkError::WouldBlock)
    }
}

/// A listening socket of a pod. Dropping it refuses new dialers and resets those that were never accepted.
pub struct Listener {
    backlog: Arc<Backlog>,
    seat: Seat,
    address: SocketAddr,
}

impl Listener {
    pub(crate) fn new(seat: Seat, address: SocketAddr, backlog: usize) -> (Listener, Arc<Backlog>) {
        let backlog = Arc::new(Backlog::new(backlog));
        (Listener { backlog: backlog.clone(), seat, address }, backlog)
    }

    /// The bound address: the wildcard if it was bound to that.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections may wait from now on; at least 1, at most [`MAX_BACKLOG`].
    pub fn set_backlog(&self, backlog: usize) {
        self.backlog.waiting.lock().limit = backlog.clamp(1, MAX_BACKLOG);
        self.backlog.room.notify_waiters();
    }

    /// The next connection, whose local address is the one that was dialled. `WouldBlock` when there is none yet,
    /// `InvalidArgument` once the listener is closed, `SocketLimit` (the connection goes on waiting) when the pod
    /// has no socket left.
    pub fn try_accept(&self) -> Result<Connection, NetworkError> {
        let (dialled, seat) = self.backlog.take(|| self.seat.pod().seat())?;
        let seat = seat.connected().serving(dialled.dialer().ip());
        Ok(dialled.accept(Some(seat)))
    }

    /// Ready when [`Listener::try_accept`] would not answer `WouldBlock`.
    pub fn poll_acceptable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.backlog.poll_ready(context)
    }

    /// [`Listener::try_accept`] that registers `context` when there is none yet.
    pub fn poll_accept(&self, context: &mut Context<'_>) -> Poll<Result<Connection, NetworkError>> {
        loop {
            match self.try_accept() {
                Err(NetworkError::WouldBlock) => std::task::ready!(self.poll_acceptable(context)),
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    /// The next connection; an error once the listener is closed or the pod has no socket left.
    pub async fn accept(&self) -> Result<Connection, NetworkError> {
        poll_fn(|context| self.poll_accept(context)).await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.backlog.discard();
    }
}

#[cfg(test)]
mod tests {
    use super::super::connection::{Ends, connection};
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn waiting_tasks_are_bounded_and_none_is_forgotten() {
        let backlog = Backlog::new(1);
        let tasks: Vec<Arc<Woken>> = (0..1000).map(|_| Arc::default()).collect();
        for task in &tasks {
            let waker = Waker::from(task.clone());
            assert!(backlog.poll_ready(&mut Context::from_waker(&waker)).is_pending());
            assert!(backlog.waiting.lock().acceptors.len() <= ACCEPTORS);
        }
        let address = SocketAddr::from(([10, 0, 0, 1], 80));
        let (dialer_budget, listener_budget) = (None, None);
        let ends =
            Ends { dialer: address, dialled: address, listener: address, dialer_budget, listener_budget };
        let (_near, dialled) = connection(ends, None);
        assert!(backlog.try_offer(dialled).is_ok());
        assert!(tasks.iter().all(|task| task.0.load(Ordering::Relaxed)));
        assert!(backlog.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
    }
}
