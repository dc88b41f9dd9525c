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
    CONNECTION_WINDOW_BYTES, DESTINATION_NODE, FRAME_BYTES, PING_EVERY, PONG_WITHIN, SOURCE_NODE,
    STREAM_WINDOW_BYTES, STREAMS_PER_NODE, TCP_PATH, UDP_PATH,
};
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio_util::sync::CancellationToken;

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

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::StreamBody;
    use hyper::body::Frame;
    use hyper::client::conn::http2 as client;
    use std::time::Duration;
    use tokio::sync::mpsc;

    type Pieces = mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>;

    fn body() -> (Pieces, UnsyncBoxBody<Bytes, std::io::Error>) {
        let (sender, mut receiver) = mpsc::channel(1);
        let pieces = futures_util::stream::poll_fn(move |context| receiver.poll_recv(context));
        (sender, StreamBody::new(pieces).boxed_unsync())
    }

    /// An agent that says who asked and then sends back what it gets.
    async fn agent(nodes: &Nodes, tasks: &Tasks, name: &str) {
        let (ours, theirs) = tokio::io::duplex(DUPLEX_BYTES);
        nodes.attach(name, ours);
        let executor = tasks.clone();
        tasks.spawn(async move {
            let echo = hyper::service::service_fn(|request: Request<Incoming>| async move {
                let asker = request.headers()[SOURCE_NODE].clone();
                let mut response = Response::new(request.into_body());
                response.headers_mut().insert("asker", asker);
                Ok::<_, Infallible>(response)
            });
            let _ = http2::Builder::new(executor).serve_connection(TokioIo::new(theirs), echo).await;
        });
        while nodes.len() == 0 {
            tokio::task::yield_now().await;
        }
    }

    async fn source(
        relay: &Relay,
        tasks: &Tasks,
        name: &str,
    ) -> client::SendRequest<UnsyncBoxBody<Bytes, std::io::Error>> {
        let io = TokioIo::new(relay.connect(name));
        let (sender, connection) = client::Builder::new(tasks.clone()).handshake(io).await.unwrap();
        tasks.spawn(async move {
            let _ = connection.await;
        });
        sender
    }

    fn call(
        to: &str,
        claimed: &str,
        body: UnsyncBoxBody<Bytes, std::io::Error>,
    ) -> Request<UnsyncBoxBody<Bytes, std::io::Error>> {
        let request = Request::post(format!("http://peapod{TCP_PATH}"));
        request.header(DESTINATION_NODE, to).header(SOURCE_NODE, claimed).body(body).unwrap()
    }

    #[tokio::test]
    async fn pieces_pass_both_ways_and_the_source_is_who_it_is() {
        let tasks = Tasks::default();
        let nodes = Nodes::new(tasks.clone());
        let relay = Relay::new(nodes.clone(), tasks.clone());
        agent(&nodes, &tasks, "b").await;
        let mut sender = source(&relay, &tasks, "a").await;
        let (pieces, request) = body();
        let response = sender.send_request(call("b", "c", request)).await.unwrap();
        assert_eq!(response.headers()["asker"], "a");
        let mut echoed = response.into_body();
        for piece in ["one", "two"] {
            pieces.send(Ok(Frame::data(piece.into()))).await.unwrap();
            assert_eq!(echoed.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
        }
        drop(pieces);
        assert!(echoed.collect().await.unwrap().to_bytes().is_empty());

        for (to, path, code) in [("nobody", TCP_PATH, 503), ("b", "/containerLogs/a/b/c", 404)] {
            let (_pieces, request) = body();
            let mut request = call(to, "a", request);
            *request.uri_mut() = format!("http://peapod{path}").parse().unwrap();
            assert_eq!(sender.send_request(request).await.unwrap().status().as_u16(), code, "{to} {path}");
        }
        tasks.shutdown(Duration::from_secs(1)).await;
    }

    #[tokio::test]
    async fn a_node_that_leaves_or_comes_again_ends_its_streams() {
        let tasks = Tasks::default();
        let nodes = Nodes::new(tasks.clone());
        let relay = Relay::new(nodes.clone(), tasks.clone());
        agent(&nodes, &tasks, "b").await;
        let mut first = source(&relay, &tasks, "a").await;
        let (_pieces, request) = body();
        let mut echoed = first.send_request(call("b", "a", request)).await.unwrap().into_body();
        // Its newer connection replaces the older one.
        let mut second = source(&relay, &tasks, "a").await;
        assert!(echoed.frame().await.unwrap().is_err());
        let (_pieces, request) = body();
        let mut echoed = second.send_request(call("b", "a", request)).await.unwrap().into_body();
        tasks.shutdown(Duration::ZERO).await;
        assert!(echoed.frame().await.unwrap().is_err());
    }
}
