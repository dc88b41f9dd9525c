//! Connections to an API server.

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A server and who asks it.
pub(crate) struct Server {
    authority: String,
    host: String,
    token: String,
    config: ClientConfig,
}

/// One request. The body is sent with its content type.
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) accept: &'static str,
    pub(crate) body: Option<(&'static str, String)>,
}

impl Ask {
    pub(crate) fn get(path: impl Into<String>) -> Ask {
        Ask { method: Method::GET, path: path.into(), accept: "application/json", body: None }
    }

    pub(crate) fn with(
        method: Method,
        path: impl Into<String>,
        content_type: &'static str,
        body: String,
    ) -> Ask {
        Ask { method, body: Some((content_type, body)), ..Ask::get(path) }
    }
}

impl Server {
    /// `url` is `https://HOST:PORT`; `authority` and `token` are files.
    pub(crate) fn new(url: &str, authority: &str, token: &str) -> Result<Server> {
        let address =
            url.strip_prefix("https://").ok_or("the URL begins with https://")?.trim_end_matches('/');
        let host = address.rsplit_once(':').ok_or("the URL ends with :PORT")?.0;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(authority)?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let token = std::fs::read_to_string(token)?.trim().to_string();
        Ok(Server { authority: address.into(), host: host.trim_matches(['[', ']']).into(), token, config })
    }

    async fn connect(&self, protocol: &str) -> Result<TokioIo<TlsStream<TcpStream>>> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        let mut config = self.config.clone();
        config.alpn_protocols = vec![protocol.into()];
        let name = ServerName::try_from(self.host.clone())?;
        Ok(TokioIo::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
    }

    /// A keep-alive connection for one request at a time.
    pub(crate) async fn one_by_one(&self) -> Result<Connection<'_>> {
        let (sender, connection) = http1::handshake(self.connect("http/1.1").await?).await?;
        tokio::spawn(connection);
        Ok(Connection { server: self, sender })
    }

    /// A connection for many streams.
    pub(crate) async fn multiplexed(&self) -> Result<http2::SendRequest<Full<Bytes>>> {
        let io = self.connect("h2").await?;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    pub(crate) fn request(&self, ask: Ask, with_authority: bool) -> Result<Request<Full<Bytes>>> {
        let prefix = if with_authority { format!("https://{}", self.authority) } else { String::new() };
        let mut request = Request::builder().method(ask.method).uri(prefix + &ask.path);
        request =
            request.header("authorization", format!("Bearer {}", self.token)).header("accept", ask.accept);
        if !with_authority {
            request = request.header("host", &self.authority);
        }
        let body = match ask.body {
            None => Bytes::new(),
            Some((content_type, body)) => {
                request = request.header("content-type", content_type);
                body.into()
            }
        };
        Ok(request.body(Full::new(body))?)
    }
}

pub(crate) struct Connection<'a> {
    server: &'a Server,
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Connection<'_> {
    /// Sends one request and reads the whole answer.
    ///
    /// # Errors
    /// The connection fails, or the answer is no success; its text.
    pub(crate) async fn send(&mut self, ask: Ask) -> Result<Bytes> {
        self.sender.ready().await?;
        let response = self.sender.send_request(self.server.request(ask, false)?).await?;
        let (status, body) = (response.status(), response.into_body().collect().await?.to_bytes());
        success(status, &body)?;
        Ok(body)
    }
}

fn success(status: StatusCode, body: &Bytes) -> Result<()> {
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(body)).into())
    }
}

/// Opens a watch as a stream of `connection`.
pub(crate) async fn watch(
    server: &Server,
    mut connection: http2::SendRequest<Full<Bytes>>,
    path: String,
) -> Result<Incoming> {
    connection.ready().await?;
    let response = connection.send_request(server.request(Ask::get(path), true)?).await?;
    let status = response.status();
    if status.is_success() { Ok(response.into_body()) } else { Err(format!("watch: {status}").into()) }
}
