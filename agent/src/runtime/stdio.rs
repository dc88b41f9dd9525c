//! Guests' standard streams: output goes to a [`LogSink`], input is empty or stays open until the container stops.

use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// Bytes that a guest may write in one call.
pub(super) const MAX_WRITE_BYTES: usize = 64 * 1024;

/// Where a container's output goes. Called from the guests' executor: it must neither block nor grow without bound.
pub trait LogSink: Send + Sync {
    /// Takes one write of the guest, as it came (lines may be split or joined).
    fn write(&self, bytes: &[u8]);

    /// Ready when the sink has room; a guest that writes faster waits here. The default never makes it wait.
    fn poll_ready(&self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// A sink that keeps nothing.
#[derive(Debug, Default)]
pub struct Discard;

impl LogSink for Discard {
    fn write(&self, _bytes: &[u8]) {}
}

/// A guest's stdout or stderr.
#[derive(Clone)]
pub(super) struct Output(pub(super) Arc<dyn LogSink>);

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        std::future::poll_fn(|context| self.0.poll_ready(context)).await;
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > MAX_WRITE_BYTES {
            return Err(StreamError::trap("write exceeds the permit that check-write gave"));
        }
        self.0.write(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let mut context = Context::from_waker(std::task::Waker::noop());
        Ok(if self.0.poll_ready(&mut context).is_ready() { MAX_WRITE_BYTES } else { 0 })
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        ready!(self.0.poll_ready(context));
        let taken = &bytes[..bytes.len().min(MAX_WRITE_BYTES)];
        self.0.write(taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A stdin that nobody writes to, at its end once the token is cancelled.
#[derive(Clone)]
pub(super) struct OpenInput(pub(super) CancellationToken);

impl IsTerminal for OpenInput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for OpenInput {
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(OpenInputReader(Box::pin(self.0.clone().cancelled_owned())))
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for OpenInput {
    async fn ready(&mut self) {
        self.0.cancelled().await;
    }
}

impl InputStream for OpenInput {
    fn read(&mut self, _size: usize) -> StreamResult<Bytes> {
        if self.0.is_cancelled() { Err(StreamError::Closed) } else { Ok(Bytes::new()) }
    }
}

struct OpenInputReader(Pin<Box<WaitForCancellationFutureOwned>>);

impl AsyncRead for OpenInputReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        _buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        self.0.as_mut().poll(context).map(Ok)
    }
}
