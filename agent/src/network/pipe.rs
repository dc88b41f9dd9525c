//! One direction of a connection: a bounded queue of byte chunks between one writer and one reader.
//!
//! Chunks are handed over, not copied, when they are large; small writes gather in a tail buffer. The lock is held
//! for the queue operation only: copies happen outside, wakers are called outside.

use super::NetworkError;
use bytes::{Buf, Bytes, BytesMut};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use tokio::io::ReadBuf;

/// Bytes that one direction holds before its writer waits: clients that send 700 kB before they read exist.
pub(crate) const BUFFER_BYTES: usize = 1024 * 1024;
/// What one direction may still hold when its pod is above [`POD_BUFFER_BYTES`].
const BUFFER_BYTES_UNDER_PRESSURE: usize = 16 * 1024;
/// Bytes that all connections of the sending pod hold together before each is cut to its minimum.
const POD_BUFFER_BYTES: usize = 128 * 1024 * 1024;
/// Less room than this is none: a writer that waits a little longer writes larger pieces.
const LEAST_ROOM_BYTES: usize = 4 * 1024;
/// What a queued chunk costs beside its bytes.
const CHUNK_OVERHEAD_BYTES: usize = 128;
/// Writes below this are copied into the tail, larger ones are queued as they are.
const HAND_OVER_BYTES: usize = 2 * 1024;
/// The tail is queued as a chunk when it would grow past this.
const TAIL_BYTES: usize = 16 * 1024;
/// A drained tail larger than this is given back: idle connections are many.
const IDLE_TAIL_BYTES: usize = 512;

/// Bytes queued by all the connections of one sender.
#[derive(Debug, Default)]
pub(crate) struct Budget(AtomicUsize);

/// What the reading side still wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Open,
    /// Shut down for receiving: bytes are accepted and discarded.
    Discarding,
    /// Gone: writes fail.
    Gone,
}

struct State {
    chunks: VecDeque<Bytes>,
    tail: BytesMut,
    charged_bytes: usize,
    reading: Reading,
    finished: bool,
    reset: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One direction of a connection.
pub(crate) struct Pipe {
    state: Mutex<State>,
    budget: Option<Arc<Budget>>,
}

impl Pipe {
    /// An empty pipe whose content is charged to `budget`.
    pub(crate) fn new(budget: Option<Arc<Budget>>) -> Pipe {
        let state = State {
            chunks: VecDeque::new(),
            tail: BytesMut::new(),
            charged_bytes: 0,
            reading: Reading::Open,
            finished: false,
            reset: false,
            reader: None,
            writer: None,
        };
        Pipe { state: Mutex::new(state), budget }
    }

    /// How many bytes a write may bring now: zero when it has to wait.
    pub(crate) fn room(&self) -> Result<usize, NetworkError> {
        self.room_of(&self.state.lock())
    }

    /// Registers for the moment when [`Pipe::room`] is an error or above zero.
    pub(crate) fn poll_room(&self, context: &mut Context<'_>) -> Poll<Result<usize, NetworkError>> {
        let mut state = self.state.lock();
        match self.room_of(&state) {
            Ok(0) => {
                register(&mut state.writer, context);
                Poll::Pending
            }
            outcome => Poll::Ready(outcome),
        }
    }

    fn room_of(&self, state: &State) -> Result<usize, NetworkError> {
        if state.reset {
            return Err(NetworkError::ConnectionReset);
        }
        if state.finished || state.reading == Reading::Gone {
            return Err(NetworkError::BrokenPipe);
        }
        let under_pressure =
            self.budget.as_ref().is_some_and(|budget| budget.0.load(Ordering::Relaxed) > POD_BUFFER_BYTES);
        let limit = if under_pressure { BUFFER_BYTES_UNDER_PRESSURE } else { BUFFER_BYTES };
        let room = limit.saturating_sub(state.charged_bytes);
        Ok(if room < LEAST_ROOM_BYTES { 0 } else { room })
    }

    /// Queues `bytes`. The caller has asked for room; what it brings is taken whole.
    pub(crate) fn push(&self, bytes: Bytes) -> Result<(), NetworkError> {
        if bytes.len() < HAND_OVER_BYTES {
            return self.push_slice(&bytes);
        }
        self.queue(bytes.len() + CHUNK_OVERHEAD_BYTES, |state| {
            if !state.tail.is_empty() {
                let tail = std::mem::take(&mut state.tail).freeze();
                state.chunks.push_back(tail);
            }
            state.chunks.push_back(bytes);
        })
    }

    /// Like [`Pipe::push`], by copying into the tail: for small writes.
    pub(crate) fn push_slice(&self, bytes: &[u8]) -> Result<(), NetworkError> {
        if bytes.is_empty() {
            return self.room().map(drop);
        }
        self.queue(bytes.len(), |state| {
            if state.tail.len() + bytes.len() > TAIL_BYTES {
                let tail = std::mem::take(&mut state.tail).freeze();
                state.charged_bytes += CHUNK_OVERHEAD_BYTES;
                self.charge(CHUNK_OVERHEAD_BYTES);
                state.chunks.push_back(tail);
            }
            state.tail.extend_from_slice(bytes);
        })
    }

    /// Whether a write of this size is copied by [`Pipe::push_slice`] rather than handed over.
    pub(crate) fn is_small(length: usize) -> bool {
        length < HAND_OVER_BYTES
    }

    fn queue(&self, cost_bytes: usize, add: impl FnOnce(&mut State)) -> Result<(), NetworkError> {
        let waker = {
            let mut state = self.state.lock();
            self.room_of(&state)?;
            if state.reading == Reading::Discarding {
                return Ok(());
            }
            state.charged_bytes += cost_bytes;
            self.charge(cost_bytes);
            add(&mut state);
            state.reader.take()
        };
        wake(waker);
        Ok(())
    }

    fn charge(&self, bytes: usize) {
        if let Some(budget) = &self.budget {
            budget.0.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    fn discharge(&self, bytes: usize) {
        if let Some(budget) = &self.budget {
            budget.0.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// Takes the next bytes, which the reader keeps: a whole chunk, or a copy of what has gathered in the tail. Empty
    /// at the end of the stream.
    pub(crate) fn pop(&self) -> Result<Bytes, NetworkError> {
        match self.poll_pop(None) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Err(NetworkError::WouldBlock),
        }
    }

    /// [`Pipe::pop`] that registers `context` when there is nothing yet.
    pub(crate) fn poll_pop(&self, context: Option<&mut Context<'_>>) -> Poll<Result<Bytes, NetworkError>> {
        let (bytes, waker) = {
            let mut state = self.state.lock();
            if let Some(chunk) = state.chunks.pop_front() {
                let waker = self.release(&mut state, chunk.len() + CHUNK_OVERHEAD_BYTES);
                (chunk, waker)
            } else if !state.tail.is_empty() {
                let bytes = Bytes::copy_from_slice(&state.tail);
                let waker = self.drain_tail(&mut state, bytes.len());
                (bytes, waker)
            } else {
                return end_of(&mut state, context).map_ok(|()| Bytes::new());
            }
        };
        wake(waker);
        Poll::Ready(Ok(bytes))
    }

    /// Copies what has gathered in the tail, when that is all there is, without a buffer between: the short way for
    /// small messages. Returns whether it did; not when there is a chunk to be popped or the stream has ended.
    pub(crate) fn poll_copy_tail(
        &self,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<Result<bool, NetworkError>> {
        let waker = {
            let mut state = self.state.lock();
            if !state.chunks.is_empty() {
                return Poll::Ready(Ok(false));
            }
            if state.tail.is_empty() {
                return end_of(&mut state, Some(context)).map_ok(|()| false);
            }
            let length = state.tail.len().min(into.remaining());
            into.put_slice(&state.tail[..length]);
            self.drain_tail(&mut state, length)
        };
        wake(waker);
        Poll::Ready(Ok(true))
    }

    fn drain_tail(&self, state: &mut State, length: usize) -> Option<Waker> {
        state.tail.advance(length);
        if state.tail.is_empty() {
            if state.tail.capacity() > IDLE_TAIL_BYTES {
                state.tail = BytesMut::new();
            } else {
                state.tail.clear();
            }
        }
        self.release(state, length)
    }

    /// Gives room back; the writer is woken when half of the buffer is free, not for every chunk.
    fn release(&self, state: &mut State, bytes: usize) -> Option<Waker> {
        state.charged_bytes = state.charged_bytes.saturating_sub(bytes);
        self.discharge(bytes);
        if state.charged_bytes <= BUFFER_BYTES / 2 { state.writer.take() } else { None }
    }

    /// Registers for the moment when [`Pipe::pop`] would not block.
    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state.lock();
        if state.is_readable() {
            return Poll::Ready(());
        }
        register(&mut state.reader, context);
        Poll::Pending
    }

    /// Bytes that wait for the reader.
    pub(crate) fn unread_bytes(&self) -> usize {
        let state = self.state.lock();
        state.tail.len() + state.chunks.iter().map(Bytes::len).sum::<usize>()
    }

    /// Whether everything that will ever be written has been read, or the pipe was reset.
    pub(crate) fn is_ended(&self) -> bool {
        let state = self.state.lock();
        state.reset || (state.finished && state.chunks.is_empty() && state.tail.is_empty())
    }

    /// The writer has written everything: the reader sees the end of the stream after what is queued.
    pub(crate) fn finish(&self) {
        self.change(|state| state.finished = true);
    }

    /// The reader wants no more, the writer need not know.
    pub(crate) fn discard(&self) {
        self.stop_reading(Reading::Discarding);
    }

    /// The reader has gone: writes fail from now on.
    pub(crate) fn leave(&self) {
        self.stop_reading(Reading::Gone);
    }

    fn stop_reading(&self, reading: Reading) {
        let queued = self.change(|state| {
            state.reading = reading;
            let queued = (std::mem::take(&mut state.chunks), std::mem::take(&mut state.tail));
            self.discharge(std::mem::take(&mut state.charged_bytes));
            queued
        });
        drop(queued);
    }

    /// Both sides see a reset: the reader after what is queued.
    pub(crate) fn reset(&self) {
        self.change(|state| state.reset = true);
    }

    fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let (outcome, reader, writer) = {
            let mut state = self.state.lock();
            let outcome = change(&mut state);
            (outcome, state.reader.take(), state.writer.take())
        };
        wake(reader);
        wake(writer);
        outcome
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let charged_bytes = self.state.get_mut().charged_bytes;
        self.discharge(charged_bytes);
    }
}

impl State {
    fn is_readable(&self) -> bool {
        !self.chunks.is_empty()
            || !self.tail.is_empty()
            || self.finished
            || self.reset
            || self.reading != Reading::Open
    }
}

/// The outcome of a read that finds nothing queued.
fn end_of(state: &mut State, context: Option<&mut Context<'_>>) -> Poll<Result<(), NetworkError>> {
    if state.reading == Reading::Open && state.reset {
        return Poll::Ready(Err(NetworkError::ConnectionReset));
    }
    if state.is_readable() {
        return Poll::Ready(Ok(()));
    }
    if let Some(context) = context {
        register(&mut state.reader, context);
    }
    Poll::Pending
}

fn register(place: &mut Option<Waker>, context: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(context.waker()),
        None => *place = Some(context.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
