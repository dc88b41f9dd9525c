//! HTTP handlers: served here, with a fresh instance for every request and none in between.

use super::container::Life;
use super::exit::Exit;
use super::guest::ComponentGuest;
use super::request::{self, Answer};
use crate::network::{Connection, Listener, NetworkError};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

/// Requests of one container that run at the same time; more of them wait for their turn.
pub const MAX_INSTANCES_PER_CONTAINER: usize = 1_000;
/// Connections of one container that are open at the same time; more of them wait to be accepted.
pub const MAX_CONNECTIONS_PER_CONTAINER: usize = 10_000;
/// Streams that one HTTP/2 connection may have open.
const MAX_STREAMS_PER_CONNECTION: u32 = 200;
/// Bytes of a request's head, and of buffered body per connection.
const MAX_BUFFER_BYTES: usize = 64 * 1024;
/// How long a connection may take to send a request's head, and how long it may idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// The port of a handler that names none.
const DEFAULT_PORT: u16 = 80;

/// One container's server.
pub(super) struct Server {
    pub(super) life: Arc<Life>,
    pub(super) pre: ProxyPre<ComponentGuest>,
    pub(super) instances: Arc<Semaphore>,
    connections: Arc<Semaphore>,
    pub(super) tasks: TaskTracker,
    /// Cancelled when the container is over: what is still running is dropped.
    pub(super) over: CancellationToken,
    pub(super) executor: tokio::runtime::Handle,
    http: auto::Builder<Executor>,
}

/// Runs what an HTTP/2 connection wants to run beside itself.
#[derive(Clone)]
struct Executor {
    tasks: TaskTracker,
    over: CancellationToken,
}

impl<F> hyper::rt::Executor<F> for Executor
where
    F: Future<Output: Send> + Send + 'static,
{
    fn execute(&self, task: F) {
        let over = self.over.clone();
        self.tasks.spawn(async move { over.run_until_cancelled(task).await.map(drop) });
    }
}

/// Serves until the container is stopped and drained, or killed.
pub(super) async fn run(life: Arc<Life>, pre: ProxyPre<ComponentGuest>) -> Exit {
    let listeners = match listen(&life) {
        Ok(listeners) => listeners,
        Err(message) => return Exit::not_started(message),
    };
    // What cannot be mounted is known now, not at the first request.
    if let Err(message) = life.nursery.component(pre.engine()) {
        return Exit::not_started(message);
    }
    let over = life.kill.child_token();
    let _over = over.clone().drop_guard();
    let server = Arc::new(Server::new(life.clone(), pre, over));
    life.set_running();
    let memory = life.nursery.memory.clone();
    tokio::select! {
        biased;
        () = memory.out_of_memory() => Exit::out_of_memory("the handler's instances hold more memory than their limit"),
        () = life.kill.cancelled() => Exit::killed(),
        () = server.serve(listeners) => Exit::exited(0),
    }
}

fn listen(life: &Life) -> Result<Vec<Listener>, String> {
    let ports = if life.ports.is_empty() { &[DEFAULT_PORT][..] } else { &life.ports };
    let mut listeners = Vec::with_capacity(ports.len());
    for &port in ports {
        let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let listener = life.nursery.network.listen(address);
        listeners
            .push(listener.map_err(|error| format!("cannot listen on port {port} of the pod: {error}"))?);
    }
    Ok(listeners)
}

impl Server {
    fn new(life: Arc<Life>, pre: ProxyPre<ComponentGuest>, over: CancellationToken) -> Server {
        let tasks = TaskTracker::new();
        let mut http = auto::Builder::new(Executor { tasks: tasks.clone(), over: over.clone() });
        http.http1()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_buf_size(MAX_BUFFER_BYTES)
            .pipeline_flush(true)
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(HEAD_TIMEOUT)
            .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
            .max_header_list_size(MAX_BUFFER_BYTES as u32);
        Server {
            life,
            pre,
            instances: Arc::new(Semaphore::new(MAX_INSTANCES_PER_CONTAINER)),
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS_PER_CONTAINER)),
            tasks,
            over,
            executor: tokio::runtime::Handle::current(),
            http,
        }
    }

    /// Accepts until the container is stopped, then waits until what is in flight is answered.
    async fn serve(self: &Arc<Self>, listeners: Vec<Listener>) {
        let accepting = listeners.iter().map(|listener| self.accept(listener));
        let _ = self.life.stop.run_until_cancelled(futures_util::future::join_all(accepting)).await;
        drop(listeners);
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Until the listener is closed from outside.
    async fn accept(self: &Arc<Self>, listener: &Listener) {
        loop {
            let Ok(permit) = self.connections.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok(connection) => self.spawn(connection, permit),
                Err(NetworkError::SocketLimit) => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(_) => return,
            }
        }
    }

    fn spawn(self: &Arc<Self>, connection: Connection, permit: OwnedSemaphorePermit) {
        let server = self.clone();
        self.tasks.spawn(async move {
            let _permit = permit;
            let over = server.over.clone();
            over.run_until_cancelled(server.connection(connection)).await;
        });
    }

    async fn connection(self: Arc<Self>, connection: Connection) {
        let local_address = connection.local_address();
        let service = hyper::service::service_fn(|request| {
            let server = self.clone();
            async move { Ok::<_, Infallible>(request::answer(server, local_address, request).await) }
        });
        let serving = self.http.serve_connection(TokioIo::new(connection), service);
        let mut serving = std::pin::pin!(serving);
        let outcome = tokio::select! {
            outcome = serving.as_mut() => outcome,
            () = self.life.stop.cancelled() => {
                serving.as_mut().graceful_shutdown();
                serving.await
            }
        };
        if let Err(error) = outcome {
            tracing::debug!(container = self.life.name, error, "a connection ended early");
        }
    }
}

/// What the server answers with.
pub(super) type Response = hyper::Response<Answer>;
