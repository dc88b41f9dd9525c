//! A small HTTP client over TLS or over a connection inside the process.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use peapod_orchestrator::{Config, ControlPlane};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub(crate) const MERGE: [(&str, &str); 1] = [("content-type", "application/merge-patch+json")];
pub(crate) const APPLY: [(&str, &str); 1] = [("content-type", "application/apply-patch+yaml")];
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// A control plane of its own for one test.
pub(crate) struct World {
    pub(crate) plane: ControlPlane,
    pub(crate) directory: TempDir,
}

impl World {
    pub(crate) async fn start() -> World {
        World::start_in(tempfile::tempdir().unwrap()).await
    }

    pub(crate) async fn start_in(directory: TempDir) -> World {
        World::start_with(directory, |_| {}).await
    }

    pub(crate) async fn start_with(directory: TempDir, change: impl Fn(&mut Config)) -> World {
        let mut config = Config::new(directory.path());
        config.listen = "127.0.0.1:0".parse().unwrap();
        change(&mut config);
        World { plane: ControlPlane::start(config).await.unwrap(), directory }
    }

    /// A connection without a client certificate.
    pub(crate) async fn connect(&self) -> Client {
        self.connect_as(None).await
    }

    /// A connection with the client certificate of `pki/NAME.crt` below `directory`.
    pub(crate) async fn connect_as(&self, certificate: Option<(&Path, &str)>) -> Client {
        let ca = CertificateDer::from_pem_file(self.directory.path().join("pki/ca.crt")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ca).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let builder = builder.with_root_certificates(roots);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some((directory, name)) => {
                let read = |end: &str| directory.join(format!("pki/{name}.{end}"));
                let chain = vec![CertificateDer::from_pem_file(read("crt")).unwrap()];
                let key = PrivateKeyDer::from_pem_file(read("key")).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        let stream = TcpStream::connect(self.plane.address()).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        Client::over(TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()).await
    }

    /// The administrator, by bearer token.
    pub(crate) async fn admin(&self) -> Client {
        let token = std::fs::read_to_string(self.directory.path().join("admin.token")).unwrap();
        let mut client = self.connect().await;
        client.authorization = Some(format!("Bearer {token}"));
        client
    }
}

pub(crate) struct Client {
    sender: SendRequest<Full<Bytes>>,
    pub(crate) authorization: Option<String>,
}

/// An answer whose body has been read.
pub(crate) struct Answer {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.head.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {:?}", self.body))
    }

    /// Of a `Status`.
    pub(crate) fn message(&self) -> String {
        self.json()["message"].as_str().unwrap_or_default().to_string()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }
}

impl Client {
    pub(crate) async fn over(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Client {
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
        tokio::spawn(connection);
        Client { sender, authorization: None }
    }

    /// Sends a request and gives its answer while the body still comes in.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Response<Incoming> {
        let mut request = Request::builder().method(method).uri(target).header("host", "localhost");
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await.unwrap();
        self.sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap()
    }

    pub(crate) async fn ask(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let (head, body) = self.send(method, target, headers, body).await.into_parts();
        Answer { head, body: body.collect().await.unwrap().to_bytes() }
    }

    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.ask(Method::GET, target, &[], "").await
    }

    pub(crate) async fn get_as(&mut self, target: &str, accept: &str) -> Answer {
        self.ask(Method::GET, target, &[("accept", accept)], "").await
    }

    /// POST of JSON that must succeed.
    pub(crate) async fn create(&mut self, target: &str, object: &Value) -> Value {
        let answer =
            self.ask(Method::POST, target, &[("content-type", "application/json")], object.to_string()).await;
        assert_eq!(answer.head.status, StatusCode::CREATED, "{}", answer.text());
        answer.json()
    }
}

/// Reads a watch event by event.
pub(crate) struct Events {
    body: Incoming,
    rest: Vec<u8>,
}

impl Events {
    pub(crate) async fn of(client: &mut Client, target: &str, accept: &str) -> Events {
        let response = client.send(Method::GET, target, &[("accept", accept)], "").await;
        assert_eq!(response.status(), StatusCode::OK);
        Events { body: response.into_body(), rest: Vec::new() }
    }

    /// The next event; none once the server has ended the watch.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).unwrap());
            }
            let frame = self.body.frame().await?.expect("the watch ends cleanly");
            self.rest.extend_from_slice(frame.data_ref().unwrap());
        }
    }

    /// Type, name and revision of the next event.
    pub(crate) async fn brief(&mut self) -> (String, String) {
        let event = self.next().await.expect("an event");
        let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
        (event["type"].as_str().unwrap().into(), name.into())
    }
}
