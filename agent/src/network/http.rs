//! Outgoing `wasi:http` over the pod network: the same names, Services and rules as for sockets.

use super::{Connection, NetworkError, PodNetwork};
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, timeout};
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// What a guest gets that sets no timeout.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(600);
const HTTP_PORT: u16 = 80;

/// Sends a guest's requests, each over a connection of its own. TLS is not offered: `https` is refused in words.
pub struct OutgoingHttp {
    network: Arc<PodNetwork>,
}

impl OutgoingHttp {
    /// Requests of a guest in this pod.
    pub fn new(network: Arc<PodNetwork>) -> OutgoingHttp {
        OutgoingHttp { network }
    }
}

/// What drives the connection after the response's head has come. The caller runs it and aborts it on drop.
type Drive = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Answer = Result<(Response<WasiBody>, Drive), Error>;

impl WasiHttpHooks for OutgoingHttp {
    fn default_scheme(&mut self) -> Option<Scheme> {
        Some(Scheme::HTTP)
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Answer> + Send> {
        Box::new(send(self.network.clone(), request, options.unwrap_or_default()))
    }

    fn p2_error_from_hyper(&mut self, error: &hyper::Error) -> ErrorCode {
        tracing::debug!(%error, "outgoing request of a guest");
        match error {
            error if error.is_timeout() => ErrorCode::HttpResponseTimeout,
            error if error.is_incomplete_message() => ErrorCode::HttpResponseIncomplete,
            error if error.is_parse_too_large() => ErrorCode::HttpResponseHeaderSectionSize(None),
            error if error.is_parse() => ErrorCode::HttpProtocolError,
            _ => ErrorCode::ConnectionTerminated,
        }
    }
}

async fn send(network: Arc<PodNetwork>, mut request: Request<WasiBody>, options: RequestOptions) -> Answer {
    let limit = |chosen: Option<Duration>| chosen.unwrap_or(TIMEOUT_DEFAULT);
    let authority = authority(request.uri())?;
    let connecting = connect(&network, &authority);
    let connection = timeout(limit(options.connect_timeout), connecting).await;
    let stream = TokioIo::new(connection.map_err(|_| Error::ConnectionTimeout)??);
    let (mut sender, connection) = http1::handshake::<_, WasiBody>(stream).await?;
    // To a server that is no proxy only the path is told.
    *request.uri_mut() = path_of(request.uri())?;
    let mut driver = Driver(Some(connection));
    let response = timeout(limit(options.first_byte_timeout), driver.beside(sender.send_request(request)));
    let response = response.await.map_err(|_| Error::ConnectionReadTimeout)??;
    let between = limit(options.between_bytes_timeout);
    let response = response.map(|body| TimedBody::new(body, between).boxed_unsync());
    Ok((response, Box::new(async move { driver.finish().await }) as Drive))
}

fn authority(uri: &Uri) -> Result<Authority, Error> {
    if uri.scheme() == Some(&Scheme::HTTPS) {
        return Err(Error::InternalError(Some("https: TLS is not offered to guests; use http".to_owned())));
    }
    uri.authority().cloned().ok_or(Error::HttpRequestUriInvalid)
}

fn path_of(uri: &Uri) -> Result<Uri, Error> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Uri::builder().path_and_query(path).build().map_err(|_| Error::HttpRequestUriInvalid)
}

/// The first address of the name that takes a connection; the last error when none does.
async fn connect(network: &Arc<PodNetwork>, authority: &Authority) -> Result<Connection, Error> {
    let port = authority.port_u16().unwrap_or(HTTP_PORT);
    let addresses: Vec<IpAddr> = network.resolve(authority.host()).await.map_err(error_of)?;
    let mut refused = Error::DestinationUnavailable;
    for address in addresses {
        match network.connect(SocketAddr::new(address, port)).await {
            Ok(connection) => return Ok(connection),
            Err(error) => refused = error_of(error),
        }
    }
    Err(refused)
}

fn error_of(error: NetworkError) -> Error {
    match error {
        NetworkError::AccessDenied => Error::DestinationIpProhibited,
        NetworkError::ConnectionRefused => Error::ConnectionRefused,
        NetworkError::HostUnreachable => Error::DestinationIpUnroutable,
        NetworkError::NameUnresolvable => {
            Error::DnsError { rcode: Some("NXDOMAIN".to_owned()), info_code: None }
        }
        NetworkError::InvalidArgument => Error::HttpRequestUriInvalid,
        NetworkError::TemporaryResolverFailure => Error::DnsTimeout,
        NetworkError::TimedOut => Error::ConnectionTimeout,
        NetworkError::SocketLimit => Error::ConnectionLimitReached,
        NetworkError::ConnectionReset | NetworkError::BrokenPipe => Error::ConnectionTerminated,
        other => Error::InternalError(Some(other.to_string())),
    }
}

/// The connection's own work, until it has ended.
struct Driver(Option<http1::Connection<TokioIo<Connection>, WasiBody>>);

impl Driver {
    /// Awaits `other` while driving the connection.
    async fn beside<R>(
        &mut self,
        other: impl Future<Output = Result<R, hyper::Error>>,
    ) -> Result<R, hyper::Error> {
        let mut other = pin!(other);
        poll_fn(|context| {
            if let Poll::Ready(outcome) = other.as_mut().poll(context) {
                return Poll::Ready(outcome);
            }
            // Only what the connection has done since lets the other go on.
            match self.poll(context) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                _ => other.as_mut().poll(context),
            }
        })
        .await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        let Some(connection) = &mut self.0 else { return Poll::Ready(Ok(())) };
        let outcome = std::task::ready!(Pin::new(connection).poll(context));
        self.0 = None;
        Poll::Ready(outcome)
    }

    async fn finish(mut self) -> Result<(), Error> {
        Ok(poll_fn(|context| self.poll(context)).await?)
    }
}

/// A response's body that fails when nothing comes for too long.
struct TimedBody {
    body: Incoming,
    between: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl TimedBody {
    fn new(body: Incoming, between: Duration) -> TimedBody {
        TimedBody { body, between, sleep: Box::pin(tokio::time::sleep(between)) }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            let next = Instant::now().checked_add(this.between);
            this.sleep.as_mut().reset(next.unwrap_or_else(|| Instant::now() + TIMEOUT_DEFAULT));
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        std::task::ready!(this.sleep.as_mut().poll(context));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Fabric, FabricConfig, Listener, PodIdentity, Tables};
    use http_body_util::Full;
    use hyper::service::service_fn;
    use std::convert::Infallible;

    struct Scene {
        client: OutgoingHttp,
        server: Arc<PodNetwork>,
        _fabric: Fabric,
    }

    fn scene() -> Scene {
        let range = "10.0.0.0/16".parse().unwrap();
        let fabric = Fabric::new(FabricConfig::new(vec![range], IpAddr::from([10, 0, 255, 1])));
        let pod = |last: u8| {
            let ip = IpAddr::from([10, 0, 0, last]);
            fabric.attach(PodIdentity::new("default", &format!("pod-{last}"), "uid", ip))
        };
        let (client, server) = (OutgoingHttp::new(pod(1)), pod(2));
        let mut tables = Tables::new();
        tables.add_name("web.default.svc.cluster.local", [server.ip()]);
        tables.add_name("empty.default.svc.cluster.local", []);
        fabric.set_tables(Arc::new(tables));
        Scene { client, server, _fabric: fabric }
    }

    fn request(uri: &str, body: &'static str) -> Request<WasiBody> {
        let body = Full::new(Bytes::from(body)).map_err(Error::from).boxed_unsync();
        Request::post(uri).header("host", "web").body(body).unwrap()
    }

    async fn fetch(client: &mut OutgoingHttp, uri: &str, options: RequestOptions) -> Result<String, Error> {
        let sent = Pin::from(client.send_request(
            request(uri, "question"),
            Some(options),
            Box::new(async { Ok(()) }),
        ));
        let (response, drive) = sent.await?;
        let (body, driven) = tokio::join!(response.into_body().collect(), Pin::from(drive));
        driven?;
        Ok(String::from_utf8(body?.to_bytes().to_vec()).unwrap())
    }

    async fn serve_one(listener: Listener) {
        let stream = TokioIo::new(listener.accept().await.unwrap());
        let echo = service_fn(|request: Request<Incoming>| async move {
            let (uri, host) =
                (request.uri().to_string(), request.headers()["host"].to_str().unwrap().to_owned());
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let text = format!("{uri} {host} {}", String::from_utf8_lossy(&body));
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
        });
        hyper::server::conn::http1::Builder::new()
            .keep_alive(false)
            .serve_connection(stream, echo)
            .await
            .unwrap();
    }

    #[tokio::test]
    async fn a_request_reaches_a_service_by_name() {
        let mut scene = scene();
        let listener = scene.server.listen("0.0.0.0:80".parse().unwrap()).unwrap();
        let fetched = fetch(&mut scene.client, "http://web/path?query", RequestOptions::default());
        let (answer, ()) = tokio::join!(fetched, serve_one(listener));
        assert_eq!(answer.unwrap(), "/path?query web question");
        assert!(scene.server.idle());
    }

    #[tokio::test]
    async fn failures_have_their_codes() {
        let mut scene = scene();
        for (uri, expected) in [
            ("http://web/", "ConnectionRefused"),
            ("http://nobody/", "DnsError"),
            ("http://empty/", "DestinationUnavailable"),
            ("http://10.0.0.9/", "DestinationIpUnroutable"),
            ("http://192.0.2.1/", "DestinationIpProhibited"),
            ("http://a.example/", "DestinationIpProhibited"),
            ("https://web/", "TLS is not offered"),
        ] {
            let error = fetch(&mut scene.client, uri, RequestOptions::default()).await.unwrap_err();
            assert!(format!("{error:?}").contains(expected), "{uri}: {error:?}");
        }
    }

    #[tokio::test]
    async fn silence_times_out() {
        let mut scene = scene();
        let listener = scene.server.listen("0.0.0.0:80".parse().unwrap()).unwrap();
        let options = RequestOptions {
            first_byte_timeout: Some(Duration::from_millis(1)),
            ..RequestOptions::default()
        };
        let error = fetch(&mut scene.client, "http://web/", options).await.unwrap_err();
        assert!(matches!(error, Error::ConnectionReadTimeout), "{error}");
        // The connection went with the request.
        assert_eq!(scene.client.network.connection_count(), 0);
        drop(listener);
    }

    #[tokio::test]
    async fn a_server_that_leaves_is_an_incomplete_response() {
        let mut scene = scene();
        let listener = scene.server.listen("0.0.0.0:80".parse().unwrap()).unwrap();
        let fetched = fetch(&mut scene.client, "http://web/", RequestOptions::default());
        let (error, ()) = tokio::join!(fetched, async { drop(listener.accept().await) });
        let Err(Error::Hyper(error)) = error else { panic!("{error:?}") };
        let code = scene.client.p2_error_from_hyper(&error);
        assert!(
            matches!(code, ErrorCode::HttpResponseIncomplete | ErrorCode::ConnectionTerminated),
            "{code:?}"
        );
    }
}
