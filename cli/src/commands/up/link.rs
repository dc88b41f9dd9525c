//! The two connections between the control plane and the agent of one process, both in memory.

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use peapod_agent::Agent;
use peapod_orchestrator::ControlPlane;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

/// Bytes that a connection inside the process buffers per direction.
const BUFFER_BYTES: usize = 256 << 10;

/// A Kubernetes client that speaks HTTP/2 over `stream`.
pub(crate) async fn client(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> anyhow::Result<kube::Client> {
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await?;
    // It ends with the stream, that is with the control plane.
    tokio::spawn(connection);
    let service = tower::service_fn(move |mut request: Request<kube::client::Body>| {
        let mut sender = sender.clone();
        async move {
            absolute(request.uri_mut());
            sender.ready().await?;
            let response: Response<Incoming> = sender.send_request(request).await?;
            Ok::<_, hyper::Error>(response)
        }
    });
    Ok(kube::Client::new(service, "default"))
}

/// HTTP/2 wants a scheme and an authority in each request.
fn absolute(uri: &mut http::Uri) {
    let path = uri.path_and_query().cloned();
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(http::uri::Scheme::HTTP);
    parts.authority = Some(http::uri::Authority::from_static("kubernetes.default.svc"));
    parts.path_and_query = path.or_else(|| Some(http::uri::PathAndQuery::from_static("/")));
    if let Ok(whole) = http::Uri::from_parts(parts) {
        *uri = whole;
    }
}

/// Keeps the reversed connection, on which the agent serves kubelet's paths; gives the reason when it ends.
pub(crate) async fn keep(plane: &ControlPlane, agent: &Agent, node_name: &str) -> String {
    let (ours, theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(BUFFER_BYTES);
    plane.attach_node(node_name, ours);
    agent.serve(theirs).await;
    "the connection between control plane and agent ended".into()
}
