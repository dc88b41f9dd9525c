//! A connected stream: two pipes crosswise, with an address at each end.

use super::NetworkError;
use super::chunk::{CHUNK_BYTES, copy_to_chunk};
use super::pipe::{Budget, Pipe};
use super::pod::Seat;
use bytes::{Buf, Bytes};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The two directions of a connection: `[from the dialer, from the listener]`.
struct Wire([Pipe; 2]);

/// One end of a connection, shared by its halves and, in a guest, by its socket. When the last of them is dropped the
/// peer sees the end of the stream.
pub struct End {
    wire: Arc<Wire>,
    side: usize,
    local: SocketAddr,
    peer: SocketAddr,
    deaf: AtomicBool,
    seat: Option<Seat>,
}

impl End {
    fn outgoing(&self) -> &Pipe {
        &self.wire.0[self.side]
    }

    fn incoming(&self) -> &Pipe {
        &self.wire.0[1 - self.side]
    }

    /// The address of this end.
    pub fn local_address(&self) -> SocketAddr {
        self.local
    }

    /// The address of the other end, as it was dialled.
    pub fn peer_address(&self) -> SocketAddr {
        self.peer
    }

    /// Shuts down one direction or both: what has been written is still delivered, the other direction goes on.
    pub fn shutdown(&self, how: Shutdown) {
        if matches!(how, Shutdown::Write | Shutdown::Both) {
            self.outgoing().finish();
        }
        if matches!(how, Shutdown::Read | Shutdown::Both) {
            self.deaf.store(true, Ordering::Relaxed);
            self.incoming().discard();
        }
    }

    /// Reads no more: what the peer writes from now on fails.
    pub(crate) fn leave(&self) {
        self.incoming().leave();
    }

    /// Tears the connection down: both sides see a reset.
    pub fn reset(&self) {
        self.outgoing().reset();
        self.incoming().reset();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.outgoing().finish();
        self.incoming().leave();
        drop(self.seat.take());
    }
}

/// The receiving half of a connection.
pub struct ReadHalf {
    end: Arc<End>,
    unread: Bytes,
}

impl ReadHalf {
    /// The end that this half belongs to.
    pub fn end(&self) -> &Arc<End> {
        &self.end
    }

    /// Up to `limit_bytes` of what has arrived, handed over without a copy; empty at the end of the stream, an error
    /// when there is nothing yet ([`NetworkError::WouldBlock`]) or the connection was reset. `limit_bytes` is not 0.
    pub fn try_read(&mut self, limit_bytes: usize) -> Result<Bytes, NetworkError> {
        if self.end.deaf.load(Ordering::Relaxed) {
            self.unread = Bytes::new();
        }
        if self.unread.is_empty() {
            self.unread = self.end.incoming().pop()?;
        }
        Ok(self.unread.split_to(limit_bytes.min(self.unread.len())))
    }

    /// Looks at the next bytes without taking them, as [`ReadHalf::try_read`] would return them.
    pub fn try_peek(&mut self) -> Result<Bytes, NetworkError> {
        if self.unread.is_empty() {
            self.unread = self.end.incoming().pop()?;
        }
        Ok(self.unread.clone())
    }

    /// Ready when [`ReadHalf::try_read`] would not answer `WouldBlock`.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        if self.unread.is_empty() { self.end.incoming().poll_readable(context) } else { Poll::Ready(()) }
    }

    /// Bytes that can be read at once.
    pub fn available_bytes(&self) -> usize {
        self.unread.len() + self.end.incoming().unread_bytes()
    }

    /// Whether nothing is left to be read, now or later.
    pub fn is_ended(&self) -> bool {
        self.unread.is_empty() && self.end.incoming().is_ended()
    }

    fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), NetworkError>> {
        if self.end.deaf.load(Ordering::Relaxed) {
            self.unread = Bytes::new();
        }
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.unread.is_empty() {
            let incoming = self.end.incoming();
            if ready!(incoming.poll_copy_tail(context, buffer))? {
                return Poll::Ready(Ok(()));
            }
            self.unread = ready!(incoming.poll_pop(Some(context)))?;
        }
        loop {
            let length = buffer.remaining().min(self.unread.len());
            buffer.put_slice(&self.unread[..length]);
            self.unread.advance(length);
            if buffer.remaining() == 0 || !self.unread.is_empty() {
                return Poll::Ready(Ok(()));
            }
            match self.end.incoming().pop() {
                Ok(more) if !more.is_empty() => self.unread = more,
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

/// The sending half of a connection.
pub struct WriteHalf {
    end: Arc<End>,
}

impl WriteHalf {
    /// The end that this half belongs to.
    pub fn end(&self) -> &Arc<End> {
        &self.end
    }

    /// How many bytes may be written now; 0 when the writer has to wait.
    pub fn room_bytes(&self) -> Result<usize, NetworkError> {
        self.end.outgoing().room()
    }

    /// Ready when [`WriteHalf::room_bytes`] is not 0.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.end.outgoing().poll_room(context).map(drop)
    }

    /// Sends `bytes`, handed over without a copy when they are many. Takes them whole; ask for room first.
    pub fn write(&self, bytes: Bytes) -> Result<(), NetworkError> {
        self.end.outgoing().push(bytes)
    }

    /// Sends as many of `bytes` as there is room for, by copying; the number is 0 only when `bytes` is empty.
    pub fn try_write(&self, bytes: &[u8]) -> Result<usize, NetworkError> {
        match self.room_bytes()? {
            0 if !bytes.is_empty() => Err(NetworkError::WouldBlock),
            room => self.send_slice(bytes, room),
        }
    }

    fn send_slice(&self, bytes: &[u8], room: usize) -> Result<usize, NetworkError> {
        let length = bytes.len().min(room).min(CHUNK_BYTES);
        let outgoing = self.end.outgoing();
        if Pipe::is_small(length) {
            outgoing.push_slice(&bytes[..length])?;
        } else {
            outgoing.push(copy_to_chunk(&bytes[..length]))?;
        }
        Ok(length)
    }

    fn poll_send(&mut self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, NetworkError>> {
        let room = ready!(self.end.outgoing().poll_room(context))?;
        Poll::Ready(self.send_slice(bytes, room))
    }
}

/// A connected stream of the fabric. Dropping it sends what has been written and then the end of the stream.
pub struct Connection {
    read: ReadHalf,
    write: WriteHalf,
}

impl Connection {
    fn new(end: End) -> Connection {
        let end = Arc::new(end);
        Connection { read: ReadHalf { end: end.clone(), unread: Bytes::new() }, write: WriteHalf { end } }
    }

    /// The address of this end.
    pub fn local_address(&self) -> SocketAddr {
        self.read.end.local
    }

    /// The address of the other end, as it was dialled.
    pub fn peer_address(&self) -> SocketAddr {
        self.read.end.peer
    }

    /// The end that both halves share.
    pub fn end(&self) -> &Arc<End> {
        &self.read.end
    }

    /// The halves, to be used apart.
    pub fn into_halves(self) -> (ReadHalf, WriteHalf) {
        (self.read, self.write)
    }

    /// The receiving half.
    pub fn read_half(&self) -> &ReadHalf {
        &self.read
    }

    /// The sending half.
    pub fn write_half(&self) -> &WriteHalf {
        &self.write
    }

    /// Both halves, to be used through one reference.
    pub fn halves(&mut self) -> (&mut ReadHalf, &mut WriteHalf) {
        (&mut self.read, &mut self.write)
    }
}

/// The far end of a connection that has been dialled but not accepted yet.
pub(crate) struct Dialled {
    wire: Arc<Wire>,
    local: SocketAddr,
    peer: SocketAddr,
}

impl Dialled {
    /// Who dialled.
    pub(crate) fn dialer(&self) -> SocketAddr {
        self.peer
    }

    /// Becomes the accepted end, held by `seat`.
    pub(crate) fn accept(self, seat: Option<Seat>) -> Connection {
        let (wire, local, peer) = (self.wire, self.local, self.peer);
        Connection::new(End { wire, side: 1, local, peer, deaf: AtomicBool::new(false), seat })
    }

    /// Nobody will accept it: the dialer sees a reset.
    pub(crate) fn refuse(self) {
        for pipe in &self.wire.0 {
            pipe.reset();
        }
    }
}

/// Who is connected: the ends as each sees them, and who pays for what is queued.
pub(crate) struct Ends {
    /// The dialer's own address.
    pub(crate) dialer: SocketAddr,
    /// The address that was dialled: a Service's stays one.
    pub(crate) dialled: SocketAddr,
    /// The listener's address.
    pub(crate) listener: SocketAddr,
    pub(crate) dialer_budget: Option<Arc<Budget>>,
    pub(crate) listener_budget: Option<Arc<Budget>>,
}

/// A new connection: the dialer's end and the far end to be queued for acceptance.
pub(crate) fn connection(ends: Ends, seat: Option<Seat>) -> (Connection, Dialled) {
    let wire = Arc::new(Wire([Pipe::new(ends.dialer_budget), Pipe::new(ends.listener_budget)]));
    let far = Dialled { wire: wire.clone(), local: ends.listener, peer: ends.dialer };
    let (local, peer) = (ends.dialer, ends.dialled);
    (Connection::new(End { wire, side: 0, local, peer, deaf: AtomicBool::new(false), seat }), far)
}

impl AsyncRead for ReadHalf {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_fill(context, buffer).map_err(io::Error::from)
    }
}

impl AsyncWrite for WriteHalf {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(context, bytes).map_err(io::Error::from)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end.shutdown(Shutdown::Write);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().read).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().write).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().write).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().write).poll_shutdown(context)
    }
}
