//! Byte streams to webhooks: by the machine's network, or, where a pod of a Service is meant, by the connection that the
//! pod's node has opened.

use super::words;
use crate::cache::Cache;
use crate::nodes::Nodes;
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, future};
use http::{Method, Request};
use http_body_util::{BodyExt, BodyStream, StreamBody};
use hyper::body::Frame;
use peapod_api::pod_traffic::{
    DESTINATION, DESTINATION_NODE, FAILURE, SERVER, SOURCE, SOURCE_NODE, TCP_PATH,
};
use peapod_core::webhook::{Backend, backends};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_util::io::{ReaderStream, StreamReader};

/// What a stream to a pod buffers on its way out.
const BUFFER_BYTES: usize = 64 << 10;
/// Whom a pod sees as the other end: the server's own Service, from no port in particular.
const OWN_ADDRESS: &str = "10.96.0.1:443";

/// A byte stream.
pub(super) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Opens byte streams. Clones are the same.
#[derive(Clone)]
pub(super) struct Reach {
    cache: Cache,
    nodes: Nodes,
    /// Whose turn it is among the endpoints of a Service.
    turn: Arc<AtomicUsize>,
}

impl Reach {
    pub(super) fn new(cache: Cache, nodes: Nodes) -> Reach {
        Reach { cache, nodes, turn: Arc::default() }
    }

    /// A stream to a host, or to an endpoint of the Service `NAME.NAMESPACE.svc`. Errors: nothing there answers, in Go's
    /// words.
    pub(super) async fn open(&self, host: &str, port: u16) -> io::Result<Box<dyn Io>> {
        let Some((name, namespace)) = service_of(host) else { return dial(host, port).await };
        let found = backends(&self.cache.snapshot(), namespace, name, port).map_err(io::Error::other)?;
        let first = self.turn.fetch_add(1, Ordering::Relaxed) % found.len();
        let mut failed = None;
        for backend in found[first..].iter().chain(&found[..first]) {
            match self.open_one(backend).await {
                Ok(io) => return Ok(io),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed
            .unwrap_or_else(|| io::Error::other(format!("no endpoints available for service {name:?}"))))
    }

    async fn open_one(&self, backend: &Backend) -> io::Result<Box<dyn Io>> {
        match &backend.node {
            Some(node) => self.open_pod(node, &joined(&backend.host, backend.port)).await,
            None => dial(&backend.host, backend.port).await,
        }
    }

    /// A stream to a pod, as pods of other nodes open them.
    async fn open_pod(&self, node: &str, address: &str) -> io::Result<Box<dyn Io>> {
        let (out, written) = tokio::io::simplex(BUFFER_BYTES);
        let pieces =
            ReaderStream::with_capacity(out, BUFFER_BYTES).filter_map(|piece| future::ready(piece.ok()));
        let body = StreamBody::new(pieces.map(|piece: Bytes| Ok::<_, hyper::Error>(Frame::data(piece))));
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("http://peapod{TCP_PATH}"))
            .header(SOURCE_NODE, SERVER)
            .header(DESTINATION_NODE, node)
            .header(SOURCE, OWN_ADDRESS)
            .header(DESTINATION, address)
            .body(BodyExt::boxed_unsync(body))
            .map_err(io::Error::other)?;
        let refused = |why: &str| io::Error::other(format!("dial tcp {address}: {why}"));
        let response = self.nodes.ask(node, request).await.map_err(|error| refused(&error.to_string()))?;
        if !response.status().is_success() {
            let why = response.headers().get(FAILURE).and_then(|why| why.to_str().ok());
            let why = why.map_or("the node does not answer for it".into(), |why| why.replace('-', " "));
            return Err(refused(&format!("connect: {why}")));
        }
        let frames = BodyStream::new(response.into_body());
        let data = frames.try_filter_map(|frame| future::ready(Ok(frame.into_data().ok())));
        Ok(Box::new(tokio::io::join(StreamReader::new(data.map_err(io::Error::other)), written)))
    }
}

/// Name and namespace of the Service that a host stands for.
fn service_of(host: &str) -> Option<(&str, &str)> {
    let (name, namespace) = host.strip_suffix(".svc")?.split_once('.')?;
    (!namespace.contains('.')).then_some((name, namespace))
}

/// `HOST:PORT`, in brackets where it must be.
fn joined(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

async fn dial(host: &str, port: u16) -> io::Result<Box<dyn Io>> {
    let stream = TcpStream::connect((host, port)).await;
    let stream = stream.map_err(|error| io::Error::other(words::of_dial(&joined(host, port), &error)))?;
    // A question is one small write.
    let _ = stream.set_nodelay(true);
    Ok(Box::new(stream))
}
