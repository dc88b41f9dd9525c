//! Kubelet's own paths and the pod traffic of other nodes, served over any byte stream.

mod metrics;
mod query;

use crate::link::{PING_EVERY, PONG_WITHIN};
use crate::logs::{self, Directory};
use crate::network::{Asker, Fabric, PodService};
use crate::pods::Registry;
use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use peapod_api::pod_traffic::{CONNECTION_WINDOW_BYTES, FRAME_BYTES, STREAM_WINDOW_BYTES, STREAMS_PER_NODE};
use std::convert::Infallible;
use std::io;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

/// Requests of the server at a time: it relays for many nodes.
const STREAMS: u32 = 16 * STREAMS_PER_NODE;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What the paths are about.
#[derive(Clone)]
pub(crate) struct Ground {
    pub(crate) logs: Directory,
    pub(crate) pods: Registry,
    pub(crate) fabric: Fabric,
}

/// Answers the server's requests on `io` (HTTP/1.1 or HTTP/2) until it closes it or `stop`.
pub(crate) async fn serve<IO>(io: IO, ground: Ground, stop: CancellationToken)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let traffic = PodService::new(ground.fabric.clone(), Asker::Server);
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (ground, traffic) = (ground.clone(), traffic.clone());
        async move {
            Ok::<_, Infallible>(match PodService::concerns(&request) {
                true => {
                    traffic.answer(request).await.map(|body| body.map_err(io::Error::from).boxed_unsync())
                }
                false => answer(&ground.logs, &ground.pods, &request),
            })
        }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_concurrent_streams(STREAMS)
        // Streams that end early are the ordinary case of pod traffic, not a sign of malice.
        .max_local_error_reset_streams(None)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN);
    let serving = server.serve_connection(TokioIo::new(io), service);
    if let Some(Err(error)) = stop.run_until_cancelled(serving).await {
        tracing::debug!(error, "the connection to the control plane ended early");
    }
}

fn answer(logs: &Directory, pods: &Registry, request: &Request<Incoming>) -> Response<Body> {
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET is served here");
    }
    let path: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
    match path[..] {
        ["healthz"] => plain(StatusCode::OK, "ok"),
        ["metrics"] => plain(StatusCode::OK, &metrics::metrics(pods)),
        ["pods"] => {
            let mut response = plain(StatusCode::OK, &metrics::pods(pods).to_string());
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(http::header::CONTENT_TYPE, json);
            response
        }
        ["containerLogs", namespace, pod, container] => {
            container_logs(logs, namespace, pod, container, request.uri().query().unwrap_or_default())
        }
        _ => plain(StatusCode::NOT_FOUND, "404 page not found"),
    }
}

fn container_logs(
    logs: &Directory,
    namespace: &str,
    pod: &str,
    container: &str,
    query: &str,
) -> Response<Body> {
    let options = match query::log_options(query) {
        Ok(options) => options,
        Err(message) => return plain(StatusCode::BAD_REQUEST, &message),
    };
    let previous = options.previous;
    let Some(pod_logs) = logs.find(namespace, pod) else {
        return plain(StatusCode::NOT_FOUND, &format!("pod {pod:?} does not run on this node"));
    };
    match logs::read(&pod_logs, container, options) {
        Ok(Some(stream)) => {
            let mut response =
                Response::new(BodyExt::boxed_unsync(StreamBody::new(stream.map_ok(Frame::data))));
            response.headers_mut().insert(http::header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
            response
        }
        Ok(None) if previous => {
            let text = format!("previous terminated container {container:?} in pod {pod:?} not found");
            plain(StatusCode::BAD_REQUEST, &text)
        }
        Ok(None) => {
            let text =
                format!("container {container:?} in pod {pod:?} is waiting to start: ContainerCreating");
            plain(StatusCode::BAD_REQUEST, &text)
        }
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &format!("the log cannot be read: {error}")),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(|never| match never {});
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = status;
    response
}
