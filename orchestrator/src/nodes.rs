//! The connections that agents have opened to this server, used the other way round: the server asks, the agent answers.

use crate::tasks::Tasks;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use peapod_api::Error;
use peapod_api::error::Reason;
use peapod_api::pod_traffic::{CONNECTION_WINDOW_BYTES, FRAME_BYTES, LET_GO, STREAM_WINDOW_BYTES};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};

/// While an answer is awaited the agent is pinged this often...
const PING_EVERY: Duration = Duration::from_secs(10);
/// ...and is gone if it does not answer within this time.
const PONG_WITHIN: Duration = Duration::from_secs(8);
/// How long an agent may take to begin an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

type Body = UnsyncBoxBody<Bytes, hyper::Error>;
type Sender = SendRequest<Body>;

/// Who is connected. Clones are the same.
#[derive(Clone)]
pub(crate) struct Nodes {
    connections: Arc<Mutex<HashMap<String, Connection>>>,
    tasks: Tasks,
}

struct Connection {
    id: u64,
    sender: Sender,
}

impl Nodes {
    pub(crate) fn new(tasks: Tasks) -> Nodes {
        Nodes { connections: Arc::default(), tasks }
    }

    /// Where the work for connections is done.
    pub(crate) fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Takes over a connection that the agent of `node` has opened; a newer one replaces an older one. The handshake goes
    /// on in the background: an agent may attach before it serves.
    pub(crate) fn attach<I>(&self, node: &str, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (nodes, node) = (self.clone(), node.to_string());
        self.tasks.spawn(async move { nodes.hold(&node, io).await });
    }

    /// The same, for as long as the connection lasts or until the server stops.
    pub(crate) async fn hold<I>(&self, node: &str, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let serving = self.serve(node, io);
        if let Some(Err(error)) = self.tasks.stopping().run_until_cancelled(serving).await {
            tracing::info!(node, %error, "the connection of a node failed");
        }
    }

    async fn serve<I>(&self, node: &str, io: I) -> hyper::Result<()>
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, connection) = http2::Builder::new(self.tasks.clone())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_frame_size(FRAME_BYTES)
            .max_concurrent_reset_streams(LET_GO)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PONG_WITHIN)
            .handshake(TokioIo::new(io))
            .await?;
        let id = self.enter(node, sender);
        tracing::info!(node, "node connected");
        let result = connection.await;
        self.leave(node, id);
        tracing::info!(node, "node disconnected");
        result
    }

    fn enter(&self, node: &str, sender: Sender) -> u64 {
        let mut connections = self.connections.lock();
        let id = connections.get(node).map_or(0, |old| old.id + 1);
        connections.insert(node.into(), Connection { id, sender });
        id
    }

    fn leave(&self, node: &str, id: u64) {
        let mut connections = self.connections.lock();
        if connections.get(node).is_some_and(|connection| connection.id == id) {
            connections.remove(node);
        }
    }

    /// How many nodes are connected.
    pub(crate) fn len(&self) -> usize {
        self.connections.lock().len()
    }

    /// Asks `node` for `path_and_query`. Errors: 503 if it is not connected or does not answer.
    pub(crate) async fn get(&self, node: &str, path_and_query: &str) -> Result<Response<Incoming>, Error> {
        let request = Request::builder().method(Method::GET).uri(format!("http://{node}{path_and_query}"));
        let body = Empty::new().map_err(|never| match never {}).boxed_unsync();
        let request = request.body(body).map_err(|error| {
            tracing::error!(%error, path_and_query, "a path for a node is no URI");
            Error::internal("the request cannot be passed on to the node")
        })?;
        self.ask(node, request).await
    }

    /// Asks `node` this. Errors: 503 if it is not connected or does not answer.
    pub(crate) async fn ask(&self, node: &str, request: Request<Body>) -> Result<Response<Incoming>, Error> {
        let sender = self.connections.lock().get(node).map(|connection| connection.sender.clone());
        let mut sender = sender.ok_or_else(|| {
            unavailable(format!(
                "node {node:?} is not connected: its agent has no connection open to this server"
            ))
        })?;
        match tokio::time::timeout(ANSWER_WITHIN, sender.send_request(request)).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => {
                tracing::warn!(node, %error, "a node did not answer");
                Err(unavailable(format!("node {node:?} closed its connection before it answered")))
            }
            Err(_) => Err(unavailable(format!("node {node:?} did not answer within {ANSWER_WITHIN:?}"))),
        }
    }
}

fn unavailable(message: String) -> Error {
    Error::new(Reason::ServiceUnavailable, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};
    use hyper::service::service_fn;
    use std::convert::Infallible;

    #[tokio::test]
    async fn the_server_asks_over_the_connection_that_the_agent_opened() {
        let tasks = Tasks::default();
        let nodes = Nodes::new(tasks.clone());
        assert_eq!(nodes.get("n1", "/x").await.unwrap_err().code(), 503);
        let (ours, theirs) = tokio::io::duplex(4096);
        nodes.attach("n1", ours);
        let agent = hyper::server::conn::http2::Builder::new(tasks.clone());
        let answer = service_fn(|request: Request<Incoming>| async move {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(request.uri().to_string()))))
        });
        tasks.spawn(async move {
            let _ = agent.serve_connection(TokioIo::new(theirs), answer).await;
        });
        while nodes.len() == 0 {
            tokio::task::yield_now().await;
        }
        let response = nodes.get("n1", "/containerLogs/a/b/c?follow=true").await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(body.ends_with(b"/containerLogs/a/b/c?follow=true"));
        tasks.shutdown(Duration::from_secs(1)).await;
        assert_eq!(nodes.get("n1", "/x").await.unwrap_err().code(), 503);
    }
}
