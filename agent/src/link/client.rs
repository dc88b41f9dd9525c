//! Kubernetes clients: over one stream, or over a connection that is made anew when it is lost.

use super::API_PROTOCOL;
use super::dial::Dialer;
use crate::api::Retry;
use http::{HeaderValue, Request, Response, header};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, Connection, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube::client::Body;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How often a connection is tried, also while nothing is asked: a link that died in silence is noticed.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(10);
/// How long the answer may take.
pub(crate) const PONG_WITHIN: Duration = Duration::from_secs(8);
/// What requests inside one process call the server.
const IN_PROCESS: &str = "kubernetes.default.svc";

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A client over `stream`, which ends with it.
///
/// # Errors
/// The stream does not speak HTTP/2.
pub async fn over(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> anyhow::Result<kube::Client> {
    Ok(of_stream(stream, IN_PROCESS, None).await?)
}

/// The same, with a token.
pub(super) async fn of_stream(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    authority: &str,
    token: Option<&str>,
) -> hyper::Result<kube::Client> {
    let (sender, connection) = handshake(stream).await?;
    let (address, mut tasks) = (Address::new(authority, token), JoinSet::new());
    tasks.spawn(run(connection));
    // The connection's task lives as long as the client.
    let (address, tasks) = (Arc::new(address), Arc::new(tasks));
    let service = tower::service_fn(move |request: Request<Body>| {
        let (mut sender, address, tasks) = (sender.clone(), address.clone(), tasks.clone());
        async move {
            let _tasks = tasks;
            sender.ready().await?;
            sender.send_request(address.complete(request)).await
        }
    });
    Ok(kube::Client::new(service, "default"))
}

/// A client of the server that `dialer` leads to. Its connection is opened when something is asked and there is none;
/// after a failure the next attempt waits, longer each time, and what is asked meanwhile fails at once.
pub fn client(dialer: Arc<Dialer>) -> kube::Client {
    let link = Arc::new(Link {
        address: Address::new(&dialer.server().authority(), None),
        dialer,
        slot: Mutex::new(Slot::new()),
    });
    let service = tower::service_fn(move |request: Request<Body>| {
        let link = link.clone();
        async move { link.send(request).await }
    });
    kube::Client::new(service, "default")
}

async fn handshake<IO>(
    stream: IO,
) -> hyper::Result<(SendRequest<Body>, Connection<TokioIo<IO>, Body, TokioExecutor>)>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN)
        .keep_alive_while_idle(true)
        .handshake(TokioIo::new(stream))
        .await
}

async fn run(connection: impl Future<Output = hyper::Result<()>>) {
    if let Err(error) = connection.await {
        tracing::info!(%error, "the connection to the API was lost");
    }
}

/// What completes a request that holds a path only.
struct Address {
    authority: http::uri::Authority,
    authorization: Option<HeaderValue>,
}

impl Address {
    fn new(authority: &str, token: Option<&str>) -> Address {
        let authority = authority.parse().unwrap_or_else(|_| http::uri::Authority::from_static(IN_PROCESS));
        let authorization = token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
        Address { authority, authorization }
    }

    /// HTTP/2 wants a scheme and an authority in each request.
    fn complete(&self, mut request: Request<Body>) -> Request<Body> {
        let path = request.uri().path_and_query().cloned();
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(http::uri::Scheme::HTTPS);
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = path.or_else(|| Some(http::uri::PathAndQuery::from_static("/")));
        if let Ok(whole) = http::Uri::from_parts(parts) {
            *request.uri_mut() = whole;
        }
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::AUTHORIZATION, authorization.clone());
        }
        request
    }
}

struct Link {
    dialer: Arc<Dialer>,
    address: Address,
    slot: Mutex<Slot>,
}

/// The connection in use, and when the next one may be tried.
struct Slot {
    sender: Option<SendRequest<Body>>,
    connection: JoinSet<()>,
    retry: Retry,
    not_before: Instant,
    failure: String,
}

impl Slot {
    fn new() -> Slot {
        Slot {
            sender: None,
            connection: JoinSet::new(),
            retry: Retry::api(),
            not_before: Instant::now(),
            failure: String::new(),
        }
    }

    fn fail(&mut self, why: &str) -> BoxError {
        self.not_before = Instant::now() + self.retry.delay();
        self.failure = why.to_string();
        why.into()
    }
}

impl Link {
    async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, BoxError> {
        let mut sender = self.sender().await?;
        sender.ready().await?;
        let response = sender.send_request(self.address.complete(request)).await?;
        self.dialer.clock().hear(response.headers());
        Ok(response)
    }

    async fn sender(&self) -> Result<SendRequest<Body>, BoxError> {
        let mut slot = self.slot.lock().await;
        if let Some(sender) = slot.sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        slot.sender = None;
        if Instant::now() < slot.not_before {
            return Err(slot.failure.as_str().into());
        }
        let stream = match self.dialer.dial(API_PROTOCOL).await {
            Ok(stream) => stream,
            Err(error) => return Err(slot.fail(&error.to_string())),
        };
        let (sender, connection) = match handshake(stream).await {
            Ok(both) => both,
            Err(error) => return Err(slot.fail(&error.to_string())),
        };
        slot.retry.reset();
        slot.connection.abort_all();
        slot.connection.detach_all();
        slot.connection.spawn(run(connection));
        slot.sender = Some(sender.clone());
        Ok(sender)
    }
}
