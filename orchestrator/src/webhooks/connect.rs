//! Connections to webhooks: TLS over whatever reaches them.

use super::reach::{Io, Reach};
use super::words;
use futures_util::future::BoxFuture;
use http::Uri;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The port of a URL that names none.
const HTTPS_PORT: u16 = 443;

/// Opens connections for a client.
#[derive(Clone)]
pub(super) struct Connector {
    reach: Reach,
    tls: TlsConnector,
}

impl Connector {
    pub(super) fn new(reach: Reach, config: Arc<ClientConfig>) -> Connector {
        Connector { reach, tls: TlsConnector::from(config) }
    }

    async fn connect(self, uri: Uri) -> io::Result<TokioIo<Secured>> {
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_string();
        let io = self.reach.open(&host, uri.port_u16().unwrap_or(HTTPS_PORT)).await?;
        let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
        let secured = self.tls.connect(name, io).await;
        secured
            .map(|io| TokioIo::new(Secured(io)))
            .map_err(|error| io::Error::other(words::of_tls(&host, &error)))
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Secured>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Secured>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection whose other end has shown its certificate.
pub(super) struct Secured(TlsStream<Box<dyn Io>>);

impl Connection for Secured {
    fn connected(&self) -> Connected {
        let connected = Connected::new();
        if self.0.get_ref().1.alpn_protocol() == Some(b"h2") { connected.negotiated_h2() } else { connected }
    }
}

impl AsyncRead for Secured {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
