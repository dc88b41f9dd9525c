//! One HTTP request and its instance.
//!
//! The guest runs inside the connection's task: until it has given the response's head, and then whenever the body is
//! read, so that nothing is handed between threads (unless it computes for long) and a slow reader slows the guest. What the guest does after the
//! response has been sent, or after the client has gone away, goes on in a task of its own until its deadline.

use super::exit;
use super::guest::ComponentGuest;
use super::lanes::Laned;
use super::serve::{Response, Server};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderValue, Method, StatusCode, Uri, Version, header};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Sleep;
use wasmtime::Store;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::http::types::{ErrorCode, Scheme};
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

/// How long a guest may take to give the head of its response.
pub const REQUEST_DEADLINE: Duration = Duration::from_secs(30);
/// How long a guest may go on after the response has been sent or the client has gone.
pub const AFTERWARDS_DEADLINE: Duration = Duration::from_secs(30);
/// How long a guest may stream the body of one response.
pub const STREAM_DEADLINE: Duration = Duration::from_secs(3600);

type Head = Result<hyper::Response<HyperOutgoingBody>, ErrorCode>;
type Run = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>>;
type BodyError = wasmtime_wasi_http::Error;

/// Answers a request with a fresh instance. Whatever the guest does, this is a response.
pub(super) async fn answer(
    server: Arc<Server>,
    local_address: SocketAddr,
    mut request: hyper::Request<Incoming>,
) -> Response {
    let line = RequestLine { method: request.method().clone(), uri: request.uri().clone() };
    if let Err(refusal) = complete_head(&mut request, local_address) {
        return *refusal;
    }
    let permit = match server.instances.clone().try_acquire_owned() {
        Ok(permit) => permit,
        Err(_) => {
            match tokio::time::timeout(REQUEST_DEADLINE, server.instances.clone().acquire_owned()).await {
                Ok(Ok(permit)) => permit,
                _ => {
                    return plain(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "all instances of this container are busy\n",
                    );
                }
            }
        }
    };
    let mut request = match InFlight::new(server, line, permit, request) {
        Ok(in_flight) => in_flight,
        Err(response) => return *response,
    };
    match tokio::time::timeout(REQUEST_DEADLINE, request.0.head(&mut request.1)).await {
        Ok(Ok(Ok(response))) => {
            let (parts, body) = response.into_parts();
            let guest = (!request.0.is_finished()).then_some(request.0);
            Response::from_parts(parts, Answer::Guest(GuestBody { body, guest, deadline: None }))
        }
        Ok(Ok(Err(code))) => {
            request.0.log(&format!("the handler answered with an error: {code}"));
            plain(StatusCode::INTERNAL_SERVER_ERROR, "the handler answered with an error\n")
        }
        Ok(Err(failure)) => request.0.failed(&failure),
        Err(_) => {
            request.0.abandon();
            request
                .0
                .log(&format!("no response within {} s: the instance was ended", REQUEST_DEADLINE.as_secs()));
            plain(StatusCode::GATEWAY_TIMEOUT, "the handler did not answer in time\n")
        }
    }
}

/// HTTP/1.0 clients and probes may send no Host; a handler always sees one.
fn complete_head(
    request: &mut hyper::Request<Incoming>,
    local_address: SocketAddr,
) -> Result<(), Box<Response>> {
    if request.uri().authority().is_some() || request.headers().contains_key(header::HOST) {
        return Ok(());
    }
    if request.version() >= Version::HTTP_11 {
        return Err(Box::new(plain(StatusCode::BAD_REQUEST, "the request has no Host header\n")));
    }
    if let Ok(host) = HeaderValue::try_from(local_address.to_string()) {
        request.headers_mut().insert(header::HOST, host);
    }
    Ok(())
}

fn plain(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Answer::Plain(Full::new(Bytes::from_static(text.as_bytes()))));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}

struct RequestLine {
    method: Method,
    uri: Uri,
}

/// Why there is no response.
enum Failure {
    /// The guest failed.
    Guest(wasmtime::Error),
    /// The guest ended well but has not answered.
    NoAnswer,
}

/// A guest that traps on another lane lets go of its answer a moment before its end is known here. A receiver that has
/// said so may not be asked again.
fn poll_answer<T>(
    receiver: &mut oneshot::Receiver<T>,
    context: &mut Context<'_>,
) -> Poll<Result<T, oneshot::error::RecvError>> {
    if receiver.is_terminated() { Poll::Pending } else { receiver.poll_unpin(context) }
}

/// A guest at work on a request.
struct InFlight {
    server: Arc<Server>,
    line: RequestLine,
    /// `None` once it has ended.
    run: Option<(Laned<Run>, OwnedSemaphorePermit)>,
}

impl InFlight {
    fn new(
        server: Arc<Server>,
        line: RequestLine,
        permit: OwnedSemaphorePermit,
        request: hyper::Request<Incoming>,
    ) -> Result<(InFlight, oneshot::Receiver<Head>), Box<Response>> {
        let mut in_flight = InFlight { server, line, run: None };
        match in_flight.prepare(request) {
            Ok((run, receiver)) => {
                let run = Laned::new(run, in_flight.server.life.lanes.clone());
                in_flight.run = Some((run, permit));
                Ok((in_flight, receiver))
            }
            Err(message) => {
                in_flight.log(&message);
                Err(Box::new(plain(StatusCode::INTERNAL_SERVER_ERROR, "the request could not be handled\n")))
            }
        }
    }

    fn prepare(&self, request: hyper::Request<Incoming>) -> Result<(Run, oneshot::Receiver<Head>), String> {
        let mut store = self.server.life.nursery.component(self.server.pre.engine())?;
        let (sender, receiver) = oneshot::channel();
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(Scheme::Http, request).map_err(|error| error.to_string())?;
        let outparam = http.new_response_outparam(sender).map_err(|error| error.to_string())?;
        let pre = self.server.pre.clone();
        let run = async move {
            let mut store: Store<ComponentGuest> = store;
            let proxy = pre.instantiate_async(&mut store).await?;
            proxy.wasi_http_incoming_handler().call_handle(&mut store, request, outparam).await
        };
        Ok((Box::pin(run), receiver))
    }

    fn is_finished(&self) -> bool {
        self.run.is_none()
    }

    /// Runs the guest until it waits or ends; `Ready` once it has ended.
    fn poll_run(&mut self, context: &mut Context<'_>) -> Poll<wasmtime::Result<()>> {
        let Some((run, _)) = &mut self.run else { return Poll::Ready(Ok(())) };
        let outcome = run.poll_unpin(context);
        if outcome.is_ready() {
            self.run = None;
        }
        outcome
    }

    /// Runs the guest until it has given the response's head.
    async fn head(&mut self, receiver: &mut oneshot::Receiver<Head>) -> Result<Head, Failure> {
        std::future::poll_fn(|context| {
            let ran = self.poll_run(context);
            match (poll_answer(receiver, context), ran) {
                (Poll::Ready(Ok(head)), ran) => {
                    if let Poll::Ready(Err(error)) = ran {
                        self.note(&error);
                    }
                    Poll::Ready(Ok(head))
                }
                (_, Poll::Ready(Err(error))) => Poll::Ready(Err(Failure::Guest(error))),
                (_, Poll::Ready(Ok(()))) => Poll::Ready(Err(Failure::NoAnswer)),
                (_, Poll::Pending) => Poll::Pending,
            }
        })
        .await
    }

    fn failed(&self, failure: &Failure) -> Response {
        match failure {
            Failure::Guest(error)
                if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() =>
            {
                self.log(&format!("the node has no room for another instance: {error}"));
                plain(StatusCode::SERVICE_UNAVAILABLE, "the node has no room for another instance\n")
            }
            Failure::Guest(error) => {
                self.note(error);
                plain(StatusCode::INTERNAL_SERVER_ERROR, "the handler failed\n")
            }
            Failure::NoAnswer => {
                self.log("the handler returned without setting a response");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "the handler gave no response\n")
            }
        }
    }

    /// Ends the guest where it stands.
    fn abandon(&mut self) {
        self.run = None;
    }

    fn note(&self, error: &wasmtime::Error) {
        self.log(&exit::describe(error));
    }

    /// One line (or a trap's few) into the container's log.
    fn log(&self, message: &str) {
        let RequestLine { method, uri } = &self.line;
        self.server.life.nursery.stderr.write(format!("{method} {}: {message}\n", uri.path()).as_bytes());
    }
}

/// A guest that is still at work when nobody waits for it any more may finish.
impl Drop for InFlight {
    fn drop(&mut self) {
        let Some(run) = self.run.take() else { return };
        if self.server.over.is_cancelled() {
            return;
        }
        let line = RequestLine { method: self.line.method.clone(), uri: self.line.uri.clone() };
        let server = self.server.clone();
        let mut rest = InFlight { server: server.clone(), line, run: Some(run) };
        let finish = async move {
            let over = rest.server.over.clone();
            let running = std::future::poll_fn(|context| rest.poll_run(context));
            match over.run_until_cancelled(tokio::time::timeout(AFTERWARDS_DEADLINE, running)).await {
                Some(Ok(Err(error))) => rest.note(&error),
                Some(Err(_)) => rest.log("the instance went on too long after its response and was ended"),
                Some(Ok(Ok(()))) | None => {}
            }
            rest.abandon();
        };
        server.tasks.spawn_on(finish, &server.executor);
    }
}

/// The body of a response: ours, or a guest's.
#[allow(clippy::large_enum_variant, reason = "nearly all answers are a guest's")]
pub(super) enum Answer {
    Plain(Full<Bytes>),
    Guest(GuestBody),
}

/// A body that the guest writes while it is read.
pub(super) struct GuestBody {
    body: HyperOutgoingBody,
    guest: Option<InFlight>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl GuestBody {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(guest) = &mut self.guest
            && let Poll::Ready(outcome) = guest.poll_run(context)
        {
            if let Err(error) = outcome {
                guest.note(&error);
            }
            self.guest = None;
        }
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if frame.is_pending() && self.poll_deadline(context).is_ready() {
            return Poll::Ready(Some(Err(BodyError::HttpResponseTimeout)));
        }
        frame
    }

    /// Ready when the guest has streamed for too long; it is ended then.
    fn poll_deadline(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(STREAM_DEADLINE)));
        std::task::ready!(deadline.as_mut().poll(context));
        if let Some(mut guest) = self.guest.take() {
            guest.abandon();
            guest.log("the response's body took too long: the instance was ended");
        }
        Poll::Ready(())
    }
}

impl Body for Answer {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Answer::Plain(body) => Pin::new(body).poll_frame(context).map_err(|never| match never {}),
            Answer::Guest(body) => body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Answer::Plain(body) => body.is_end_stream(),
            Answer::Guest(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Answer::Plain(body) => body.size_hint(),
            Answer::Guest(body) => body.body.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_was_let_go_may_be_asked_for_until_the_guest_ends() {
        let (sender, mut receiver) = oneshot::channel::<()>();
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(poll_answer(&mut receiver, &mut context).is_pending());
        drop(sender);
        assert!(matches!(poll_answer(&mut receiver, &mut context), Poll::Ready(Err(_))));
        assert!(poll_answer(&mut receiver, &mut context).is_pending());
    }
}
