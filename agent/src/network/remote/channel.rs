//! HTTP/2 connections for pod traffic, over any byte stream: the side that calls and the side that answers.

use super::body::PodBody;
use super::call::{Call, CallError};
use super::dial::Answered;
use super::serve::PodService;
use hyper::client::conn::http2::{self as client, SendRequest};
use hyper::server::conn::http2 as server;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use peapod_api::pod_traffic::{
    CONNECTION_WINDOW_BYTES, FRAME_BYTES, LET_GO, PING_EVERY, PONG_WITHIN, STREAM_WINDOW_BYTES,
    STREAMS_PER_NODE,
};
use std::convert::Infallible;
use std::future::Future;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection on which calls are made. Clones are the same.
#[derive(Clone)]
pub struct Channel(SendRequest<PodBody>);

impl Channel {
    /// A channel over `io`, and what drives it: it resolves when the connection has ended.
    ///
    /// # Errors
    /// The peer does not speak HTTP/2.
    pub async fn over<IO>(io: IO) -> hyper::Result<(Channel, impl Future<Output = hyper::Result<()>> + Send)>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = client::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES)
            .max_concurrent_reset_streams(LET_GO)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .handshake(TokioIo::new(io))
            .await?;
        Ok((Channel(sender), connection))
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Makes a call and waits for its answer. Errors: the connection ends before.
    pub async fn call(&self, call: &Call) -> Result<Answered, CallError> {
        let (body, feed) = PodBody::later();
        let request = call.request(body).map_err(CallError::Unreachable)?;
        let response = self.0.clone().send_request(request).await;
        let response = response.map_err(|error| CallError::Unreachable(error.to_string()))?;
        Ok(Answered { feed, response })
    }
}

/// Answers the calls that come over `io` until the peer closes it.
///
/// # Errors
/// The connection breaks, or the peer does not speak HTTP/2.
pub async fn serve<IO>(io: IO, service: PodService) -> hyper::Result<()>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let answer = hyper::service::service_fn(move |request| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service.answer(request).await) }
    });
    let mut server = server::Builder::new(TokioExecutor::new());
    server
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_concurrent_streams(STREAMS_PER_NODE)
        // Streams that end early are the ordinary case here, not a sign of malice.
        .max_local_error_reset_streams(None)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN);
    server.serve_connection(TokioIo::new(io), answer).await
}
