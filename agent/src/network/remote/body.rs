//! One direction of a stream between nodes: from a fabric's connection into a body, and from a body into a connection.
//! Bytes are handed over, not copied.

use crate::network::{NetworkError, ReadHalf, WriteHalf};
use bytes::Bytes;
use futures_util::Stream;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use std::error::Error;
use std::future::poll_fn;
use std::net::Shutdown;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::sync::{mpsc, oneshot};

/// Bytes of one frame.
const FRAME_BYTES: usize = peapod_api::pod_traffic::FRAME_BYTES as usize;

/// Where the bytes of a [`PodBody`] come from.
pub enum Feed {
    /// A connection. What its end writes after the body is gone fails.
    Stream(ReadHalf),
    /// Datagrams, framed.
    Datagrams(mpsc::Receiver<Bytes>),
}

/// A body that is fed once the call has been answered.
#[derive(Default)]
pub struct PodBody(State);

#[derive(Default)]
enum State {
    Waiting(oneshot::Receiver<Feed>),
    Fed(Feed),
    #[default]
    Ended,
}

impl PodBody {
    /// A body and the place where its feed is put. Dropped, the body ends.
    pub fn later() -> (PodBody, oneshot::Sender<Feed>) {
        let (sender, receiver) = oneshot::channel();
        (PodBody(State::Waiting(receiver)), sender)
    }

    /// The bytes of a connection.
    pub fn of(read: ReadHalf) -> PodBody {
        PodBody(State::Fed(Feed::Stream(read)))
    }
}

impl Body for PodBody {
    type Data = Bytes;
    type Error = NetworkError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, NetworkError>>> {
        let this = self.get_mut();
        if let State::Waiting(receiver) = &mut this.0 {
            this.0 = match ready!(Pin::new(receiver).poll(context)) {
                Ok(feed) => State::Fed(feed),
                Err(_) => State::Ended,
            };
        }
        let next = match &mut this.0 {
            State::Fed(Feed::Stream(read)) => ready!(poll_read(read, context)),
            State::Fed(Feed::Datagrams(frames)) => ready!(frames.poll_recv(context)).map(Ok),
            State::Waiting(_) | State::Ended => None,
        };
        if !matches!(next, Some(Ok(_))) {
            this.0 = State::Ended;
        }
        Poll::Ready(next.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, State::Ended)
    }
}

fn poll_read(read: &mut ReadHalf, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, NetworkError>>> {
    loop {
        match read.try_read(FRAME_BYTES) {
            Ok(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Err(NetworkError::WouldBlock) => ready!(read.poll_readable(context)),
            outcome => return Poll::Ready(Some(outcome)),
        }
    }
}

impl Drop for PodBody {
    fn drop(&mut self) {
        if let State::Fed(Feed::Stream(read)) = &self.0 {
            read.end().leave();
        }
    }
}

/// Writes what arrives until it ends. A connection that was lost resets the fabric's; a far reader that left is the end
/// of the stream and no more.
pub(super) async fn receive(body: Incoming, write: WriteHalf) {
    let mut body = std::pin::pin!(pieces(body));
    loop {
        match poll_fn(|context| body.as_mut().poll_next(context)).await {
            Some(Ok(bytes)) => {
                poll_fn(|context| write.poll_writable(context)).await;
                // The body that is dropped tells the sender.
                if write.write(bytes).is_err() {
                    return;
                }
            }
            Some(Err(error)) if !has_left(&error) => return write.end().reset(),
            _ => return write.end().shutdown(Shutdown::Write),
        }
    }
}

/// The data of a body, without its empty pieces.
pub(super) fn pieces(body: Incoming) -> impl Stream<Item = Result<Bytes, hyper::Error>> + Send {
    futures_util::stream::unfold(body, |mut body| async move {
        loop {
            let piece = match body.frame().await? {
                Ok(frame) => frame.into_data().ok().filter(|bytes| !bytes.is_empty()).map(Ok),
                Err(error) => Some(Err(error)),
            };
            if let Some(piece) = piece {
                return Some((piece, body));
            }
        }
    })
}

/// Whether the peer has only let go of the stream: a reset, without an error, of it alone.
fn has_left(error: &hyper::Error) -> bool {
    let reason =
        error.source().and_then(|inner| inner.downcast_ref::<h2::Error>()).and_then(h2::Error::reason);
    matches!(reason, Some(h2::Reason::CANCEL | h2::Reason::NO_ERROR))
}
