//! Connections: accepted from the network with TLS, or made inside the process. Both are served by the same filter.

use super::gather::gather;
use super::{Api, filter};
use crate::authn::Peer;
use crate::metrics::Gauge;
use crate::pki::ClientCertificates;
use crate::relay::Relay;
use crate::tasks::Tasks;
use anyhow::Context;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use jiff::Timestamp;
use peapod_api::pod_traffic;
use peapod_api::well_known::NODE_PROTOCOL;
use peapod_core::auth::User;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Connections from the network that are open at a time; others wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// Connections that the kernel holds until they are accepted.
const BACKLOG: u32 = 1024;
/// How long a client may take for the TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// How long a client may take to send the head of a request, and how long an HTTP/1.1 connection may idle.
const HEAD_WITHIN: Duration = Duration::from_secs(90);
/// After an accept that failed, for example because there are no more file descriptors.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_millis(100);
/// Requests on one HTTP/2 connection at a time.
const MAX_STREAMS: u32 = 250;
/// An HTTP/2 client that does not answer pings for so long is gone.
const PING_EVERY: Duration = Duration::from_secs(30);
/// What one in-memory connection buffers in each direction.
const DUPLEX_BYTES: usize = 64 << 10;
/// How long requests in flight may take after the server was told to stop.
const DRAIN_FOR: Duration = Duration::from_millis(300);
/// Nearer than [`HEAD_WITHIN`] and the timeouts of requests.
const PULSE_EVERY: Duration = Duration::from_secs(20);
/// The first byte of a TLS handshake.
const TLS_HANDSHAKE: u8 = 0x16;
/// What a client is told that speaks plain HTTP.
const NOT_TLS: &[u8] = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";

/// The socket that clients connect to.
pub(crate) struct Listener {
    tcp: TcpListener,
    tls: TlsAcceptor,
    certificates: ClientCertificates,
    server: Server,
    relay: Relay,
}

/// Serves connections of any kind. Clones are the same.
#[derive(Clone)]
pub(crate) struct Server {
    api: Api,
    tasks: Tasks,
}

/// Binds the socket. Errors: the address is in use or not ours, in one line.
pub(crate) fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let socket = || -> io::Result<TcpListener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        // Inherited by what is accepted: clients that vanish are noticed.
        socket.set_keepalive(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    socket().with_context(|| format!("cannot listen on {address}"))
}

impl Listener {
    pub(crate) fn new(
        tcp: TcpListener,
        tls: TlsAcceptor,
        certificates: ClientCertificates,
        server: Server,
        relay: Relay,
    ) -> Listener {
        Listener { tcp, tls, certificates, server, relay }
    }

    /// Accepts until the tasks are told to stop.
    pub(crate) async fn run(self) {
        let (limit, stop) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), self.server.tasks.stopping().clone());
        let this = Arc::new(self);
        let accepting = async {
            loop {
                let Ok(permit) = limit.clone().acquire_owned().await else { return };
                match this.tcp.accept().await {
                    Ok((stream, _)) => {
                        let serving = this.clone().serve(stream, permit);
                        this.server.tasks.spawn(serving);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        tokio::time::sleep(PAUSE_AFTER_FAILURE).await;
                    }
                }
            }
        };
        stop.run_until_cancelled(async { tokio::join!(accepting, pulse()) }).await;
    }

    async fn serve(self: Arc<Self>, stream: TcpStream, _permit: OwnedSemaphorePermit) {
        let _open = self.server.api.metrics().connection();
        let _ = stream.set_nodelay(true);
        let handshake = tokio::time::timeout(HANDSHAKE_WITHIN, self.handshake(stream));
        let stop = self.server.tasks.stopping();
        let Some(Ok(Ok(Some(stream)))) = stop.run_until_cancelled(handshake).await else { return };
        let peer = self.peer_of(&stream);
        match stream.get_ref().1.alpn_protocol() {
            Some(protocol) if protocol == NODE_PROTOCOL || protocol == pod_traffic::PROTOCOL => {
                let asks = protocol == pod_traffic::PROTOCOL;
                self.serve_node(stream, &peer, asks).await;
            }
            _ => self.server.serve(stream, peer).await,
        }
    }

    fn peer_of(&self, stream: &TlsStream<TcpStream>) -> Peer {
        let Some(chain) = stream.get_ref().1.peer_certificates() else { return Peer::Unknown };
        match self.certificates.verify(chain) {
            Ok(proven) => {
                let groups: Vec<&str> = proven.groups.iter().map(String::as_str).collect();
                Peer::Known(User::new(&proven.name, &groups), Some(proven.until))
            }
            Err(error) => {
                tracing::info!(error, "a client certificate was refused");
                Peer::Invalid
            }
        }
    }

    /// A connection on which the node asks for pod traffic, or one on which the server asks and the node answers, for as
    /// long as it lasts.
    async fn serve_node(&self, stream: TlsStream<TcpStream>, peer: &Peer, asks: bool) {
        let Peer::Known(user, _) = peer else { return };
        match user.node() {
            Some(node) if asks => self.relay.serve(node, stream).await,
            Some(node) => self.server.api.nodes().hold(node, stream).await,
            None => tracing::info!(user = user.name, "who is no node wanted to be treated as one"),
        }
    }

    async fn handshake(&self, mut stream: TcpStream) -> io::Result<Option<TlsStream<TcpStream>>> {
        let mut first = [0];
        if stream.peek(&mut first).await? == 1 && first[0] != TLS_HANDSHAKE {
            stream.write_all(NOT_TLS).await?;
            stream.shutdown().await?;
            return Ok(None);
        }
        self.tls.accept(stream).await.map(Some)
    }
}

impl Server {
    pub(crate) fn new(api: Api, tasks: Tasks) -> Server {
        Server { api, tasks }
    }

    /// The client's end of a connection inside this process, on which everything is done as `user`.
    pub(crate) fn connect(&self, user: User) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(DUPLEX_BYTES);
        let server = self.clone();
        let open = self.api.metrics().connection();
        self.tasks.spawn(async move {
            let _open: Gauge = open;
            server.serve(ours, Peer::Known(user, None)).await;
        });
        theirs
    }

    /// Speaks HTTP/1.1 or HTTP/2 until the client leaves, its certificate ends or the server stops.
    async fn serve<I>(&self, io: I, peer: Peer)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut builder = Builder::new(self.tasks.clone());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(PING_EVERY);
        let certificate_ends = end_of(peer.clone());
        let service =
            WithPeer { inner: TowerToHyperService::new(warp::service(filter(self.api.clone()))), peer };
        let (io, mut driver) = gather(io);
        let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = driver.run(connection.as_mut()) => Some(ended),
            () = self.tasks.stopping().cancelled() => None,
            () = certificate_ends => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                connection.as_mut().graceful_shutdown();
                tokio::time::timeout(DRAIN_FOR, driver.run(connection)).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
    }
}

/// Who sets a timer that rings before all others wakes the thread that waits for timers, to make it wait anew: for each
/// request, twice. One that always rings before them spares that.
async fn pulse() -> Infallible {
    loop {
        tokio::time::sleep(PULSE_EVERY).await;
    }
}

/// Waits for the end of the certificate with which the client came; for ever if there is none. By then it has another one,
/// which it shows on a new connection.
pub(super) async fn end_of(peer: Peer) {
    match peer {
        Peer::Known(_, Some(until)) => {
            let left = until.duration_since(Timestamp::now());
            tokio::time::sleep(left.try_into().unwrap_or_default()).await;
        }
        _ => std::future::pending().await,
    }
}

/// Tells each request of a connection whose it is.
struct WithPeer<S> {
    inner: S,
    peer: Peer,
}

impl<S, B> Service<http::Request<B>> for WithPeer<S>
where
    S: Service<http::Request<B>, Response = super::answer::Answer, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Infallible>> + Send>>;

    fn call(&self, mut request: http::Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.peer.clone());
        Box::pin(self.inner.call(request))
    }
}
