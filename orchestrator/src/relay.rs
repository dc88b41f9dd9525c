//! Pod traffic from node to node by the server: what one agent asks of another on its own connection to the server is
//! asked on the connection that the other has opened. Bodies are passed on frame by frame, each at the speed of its reader.

use crate::nodes::Nodes;
use crate::tasks::Tasks;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use parking_lot::Mutex;
use peapod_api::pod_traffic::{
    CONNECTION_WINDOW_BYTES, DESTINATION_NODE, FRAME_BYTES, SOURCE_NODE, STREAM_WINDOW_BYTES,
    STREAMS_PER_NODE, TCP_PATH, UDP_PATH,
};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio_util::sync::CancellationToken;

/// While streams are open the node is pinged this often...
const PING_EVERY: Duration = Duration::from_secs(5);
/// ...and is gone if it does not answer within this time.
const PONG_WITHIN: Duration = Duration::from_secs(5);
/// What a connection inside the process buffers in each direction.
const DUPLEX_BYTES: usize = 256 << 10;

type Body = UnsyncBoxBody<Bytes, hyper::Error>;

/// Relays between the nodes that are connected. Clones are the same.
#[derive(Clone)]
pub(crate) struct Relay {
    nodes: Nodes,
    tasks: Tasks,
    /// The connection of each node. There is one, so that what one node may open is limited.
    sources: Arc<Mutex<HashMap<String, CancellationToken>>>,
}

impl Relay {
    pub(crate) fn new(nodes: Nodes, tasks: Tasks) -> Relay {
        Relay { nodes, tasks, sources: Arc::default() }
    }

    /// The node's end of a connection inside this process.
    pub(crate) fn connect(&self, node: &str) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(DUPLEX_BYTES);
        let (relay, node) = (self.clone(), node.to_string());
        self.tasks.spawn(async move { relay.serve(&node, ours).await });
        theirs
    }

    /// Answers what `node` asks on `io`, until it leaves, comes again, or the server stops.
    pub(crate) async fn serve<I>(&self, node: &str, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let replaced = self.tasks.stopping().child_token();
        if let Some(old) = self.sources.lock().insert(node.into(), replaced.clone()) {
            old.cancel();
        }
        let answer = hyper::service::service_fn(|request| {
            let (nodes, node) = (self.nodes.clone(), node.to_string());
            async move { Ok::<_, Infallible>(pass(&nodes, &node, request).await) }
        });
        let mut server = http2::Builder::new(self.tasks.clone());
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
        let serving = server.serve_connection(TokioIo::new(io), answer);
        if let Some(Err(error)) = replaced.run_until_cancelled(serving).await {
            tracing::debug!(node, %error, "the pod traffic of a node broke off");
        }
        let mut sources = self.sources.lock();
        if !replaced.is_cancelled() {
            sources.remove(node);
        }
    }
}

/// Asks the destination node what `source` asks. Answers: what it answers; 503 if it is not reached.
async fn pass(nodes: &Nodes, source: &str, mut request: Request<Incoming>) -> Response<Body> {
    if request.method() != Method::POST || !matches!(request.uri().path(), TCP_PATH | UDP_PATH) {
        return status(StatusCode::NOT_FOUND);
    }
    let headers = request.headers_mut();
    let destination = headers.get(DESTINATION_NODE).and_then(|name| name.to_str().ok()).map(str::to_string);
    // Whatever it says of itself.
    let own_name = HeaderValue::from_str(source);
    let (Some(destination), Ok(own_name)) = (destination, own_name) else {
        return status(StatusCode::BAD_REQUEST);
    };
    headers.insert(HeaderName::from_static(SOURCE_NODE), own_name);
    match nodes.ask(&destination, request.map(BodyExt::boxed_unsync)).await {
        Ok(response) => response.map(BodyExt::boxed_unsync),
        Err(error) => {
            tracing::debug!(source, destination, %error, "pod traffic was not relayed");
            status(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response
}
