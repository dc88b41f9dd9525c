//! One write for what many streams of a connection have to say at the same time. HTTP/2 flushes after each frame of data,
//! and a change that a hundred watches of a connection see would be a hundred records and system calls.

use parking_lot::Mutex;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is gathered before it is written on, in bytes.
const GATHER_BYTES: usize = 64 << 10;
/// A write of so many bytes goes its way without a copy, if nothing waits before it.
const PASS_FROM_BYTES: usize = 16 << 10;

/// What a connection writes to: keeps it while [`Driver`] polls the connection, passes it on otherwise.
pub(super) struct Gathering<I>(Arc<Mutex<Gatherer<I>>>);

/// Polls a connection and passes on what it has written.
pub(super) struct Driver<I> {
    gatherer: Arc<Mutex<Gatherer<I>>>,
    /// Whether the streams that were ready have had their turn.
    has_let_go: bool,
}

struct Gatherer<I> {
    io: I,
    waiting: Vec<u8>,
    /// Bytes of `waiting` that are passed on already.
    passed: usize,
    /// Whether the driver will flush.
    keeps: bool,
}

/// The two ends of `io`: what the connection is given, and what drives the connection.
pub(super) fn gather<I>(io: I) -> (Gathering<I>, Driver<I>) {
    let gatherer = Gatherer { io, waiting: Vec::new(), passed: 0, keeps: false };
    let gatherer = Arc::new(Mutex::new(gatherer));
    (Gathering(gatherer.clone()), Driver { gatherer, has_let_go: false })
}

impl<I: AsyncWrite + Unpin> Driver<I> {
    /// Runs the connection to its end. Cancel safe: it may be called again.
    pub(super) async fn run<C: Future>(&mut self, mut connection: Pin<&mut C>) -> C::Output {
        let ended = poll_fn(|context| self.poll(connection.as_mut(), context)).await;
        // A client that is gone hears no last words.
        let _ = poll_fn(|context| self.gatherer.lock().poll_flush(context)).await;
        ended
    }

    fn poll<C: Future>(&mut self, connection: Pin<&mut C>, context: &mut Context<'_>) -> Poll<C::Output> {
        self.has_let_go = !self.has_let_go;
        if self.has_let_go {
            // Streams that were woken together with this one speak first.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.gatherer.lock().keeps = true;
        let polled = connection.poll(context);
        let mut gatherer = self.gatherer.lock();
        gatherer.keeps = false;
        // The connection meets the error itself when it reads or writes next.
        let _ = gatherer.poll_flush(context);
        polled
    }
}

impl<I: AsyncWrite + Unpin> Gatherer<I> {
    fn poll_pass_on(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.passed < self.waiting.len() {
            let rest = &self.waiting[self.passed..];
            match ready!(Pin::new(&mut self.io).poll_write(context, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.passed += written,
            }
        }
        // An idle connection holds no buffer.
        self.waiting = Vec::new();
        self.passed = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_pass_on(context))?;
        Pin::new(&mut self.io).poll_flush(context)
    }

    /// Room for at least a byte.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.waiting.len() >= GATHER_BYTES {
            ready!(self.poll_pass_on(context))?;
        }
        Poll::Ready(Ok(GATHER_BYTES - self.waiting.len()))
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Gathering<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.lock().io).poll_read(context, into)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Gathering<I> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut gatherer = self.0.lock();
        if bytes.len() >= PASS_FROM_BYTES {
            ready!(gatherer.poll_pass_on(context))?;
            return Pin::new(&mut gatherer.io).poll_write(context, bytes);
        }
        let room = ready!(gatherer.poll_room(context))?.min(bytes.len());
        gatherer.waiting.extend_from_slice(&bytes[..room]);
        Poll::Ready(Ok(room))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut gatherer = self.0.lock();
        let mut room = ready!(gatherer.poll_room(context))?;
        let before = gatherer.waiting.len();
        for piece in pieces {
            let taken = piece.len().min(room);
            gatherer.waiting.extend_from_slice(&piece[..taken]);
            room -= taken;
        }
        Poll::Ready(Ok(gatherer.waiting.len() - before))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gatherer = self.0.lock();
        if gatherer.keeps { Poll::Ready(Ok(())) } else { gatherer.poll_flush(context) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut gatherer = self.0.lock();
        ready!(gatherer.poll_flush(context))?;
        Pin::new(&mut gatherer.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    /// Counts the writes that arrive.
    struct Counted(DuplexStream, Arc<Mutex<usize>>);

    impl AsyncWrite for Counted {
        fn poll_write(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            *self.1.lock() += 1;
            Pin::new(&mut self.0).poll_write(context, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_flush(context)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.0).poll_shutdown(context)
        }
    }

    /// What arrives of writes that are each flushed, and in how many pieces, through a pipe of so many bytes.
    async fn sent(writes: Vec<Vec<u8>>, pipe_bytes: usize) -> (Vec<u8>, usize) {
        let (ours, mut theirs) = duplex(pipe_bytes);
        let count = Arc::new(Mutex::new(0));
        let (mut gathering, mut driver) = gather(Counted(ours, count.clone()));
        let connection = async move {
            for write in writes {
                let (head, rest) = write.split_at(write.len().min(9));
                let mut pieces = [IoSlice::new(head), IoSlice::new(rest)];
                let mut pieces = &mut pieces[..];
                while pieces.iter().any(|piece| !piece.is_empty()) {
                    let written = gathering.write_vectored(pieces).await.unwrap();
                    IoSlice::advance_slices(&mut pieces, written);
                }
                gathering.flush().await.unwrap();
            }
            gathering
        };
        let mut received = Vec::new();
        let run = async {
            let mut gathering = driver.run(std::pin::pin!(connection)).await;
            gathering.shutdown().await.unwrap();
        };
        tokio::join!(run, async { theirs.read_to_end(&mut received).await.unwrap() });
        let count = *count.lock();
        (received, count)
    }

    #[tokio::test]
    async fn what_is_said_at_once_is_one_write() {
        let writes: Vec<Vec<u8>> = (0..100u8).map(|n| vec![n; 400]).collect();
        let (received, count) = sent(writes.clone(), 1 << 20).await;
        assert_eq!((received, count), (writes.concat(), 1));
    }

    #[tokio::test]
    async fn nothing_is_kept_from_who_flushes_outside_of_the_driver() {
        let (ours, mut theirs) = duplex(1024);
        let (mut gathering, _driver) = gather(ours);
        gathering.write_all(b"upgraded").await.unwrap();
        gathering.flush().await.unwrap();
        let mut received = [0; 8];
        theirs.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"upgraded");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn everything_arrives_in_order(sizes in proptest::collection::vec(0..100_000usize, 0..8), pipe in 1..10_000usize) {
            let writes: Vec<Vec<u8>> =
                sizes.iter().map(|size| (0..*size).map(|at| (at % 251) as u8).collect()).collect();
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let (received, _) = runtime.block_on(sent(writes.clone(), pipe));
            prop_assert_eq!(received, writes.concat());
        }
    }
}
