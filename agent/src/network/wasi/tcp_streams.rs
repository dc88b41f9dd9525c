//! The two directions of a connection as `wasi:io` streams. Chunks pass from writer to reader without a copy.

use crate::network::{NetworkError, ReadHalf, WriteHalf};
use bytes::Bytes;
use std::future::poll_fn;
use std::io;
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// The most that one write may bring.
const MAX_WRITE_BYTES: usize = 64 * 1024;

/// The receiving direction.
pub(super) struct TcpInput {
    half: ReadHalf,
    failed: bool,
}

impl TcpInput {
    pub(super) fn new(half: ReadHalf) -> TcpInput {
        TcpInput { half, failed: false }
    }
}

#[async_trait::async_trait]
impl InputStream for TcpInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if self.failed {
            return Err(StreamError::Closed);
        }
        if size == 0 {
            return if self.half.is_ended() { Err(StreamError::Closed) } else { Ok(Bytes::new()) };
        }
        match self.half.try_read(size) {
            Ok(bytes) if bytes.is_empty() => Err(StreamError::Closed),
            Ok(bytes) => Ok(bytes),
            Err(NetworkError::WouldBlock) => Ok(Bytes::new()),
            Err(error) => {
                self.failed = true;
                Err(StreamError::LastOperationFailed(io::Error::from(error).into()))
            }
        }
    }
}

#[async_trait::async_trait]
impl Pollable for TcpInput {
    async fn ready(&mut self) {
        poll_fn(|context| self.half.poll_readable(context)).await;
    }
}

/// The sending direction.
pub(super) struct TcpOutput {
    half: WriteHalf,
    permit_bytes: usize,
    failed: bool,
}

impl TcpOutput {
    pub(super) fn new(half: WriteHalf) -> TcpOutput {
        TcpOutput { half, permit_bytes: 0, failed: false }
    }

    fn check(&mut self, outcome: Result<usize, NetworkError>) -> StreamResult<usize> {
        match outcome {
            _ if self.failed => Err(StreamError::Closed),
            Ok(bytes) => Ok(bytes),
            Err(NetworkError::BrokenPipe) => Err(StreamError::Closed),
            Err(error) => {
                self.failed = true;
                Err(StreamError::LastOperationFailed(io::Error::from(error).into()))
            }
        }
    }
}

#[async_trait::async_trait]
impl OutputStream for TcpOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > self.permit_bytes {
            return Err(StreamError::trap("write exceeds what check-write permitted"));
        }
        self.permit_bytes -= bytes.len();
        let outcome = self.half.write(bytes).map(|()| 0);
        self.check(outcome).map(drop)
    }

    fn flush(&mut self) -> StreamResult<()> {
        let room = self.half.room_bytes();
        self.check(room).map(drop)
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        let room = self.half.room_bytes();
        self.permit_bytes = self.check(room)?.min(MAX_WRITE_BYTES);
        Ok(self.permit_bytes)
    }
}

#[async_trait::async_trait]
impl Pollable for TcpOutput {
    async fn ready(&mut self) {
        poll_fn(|context| self.half.poll_writable(context)).await;
    }
}
