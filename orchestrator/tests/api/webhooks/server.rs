//! A webhook of the test's own: an HTTPS server in this process, with an authority of its own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What is sent back.
pub(crate) type Reply = Response<Full<Bytes>>;
type Answer = Arc<dyn Fn(Value) -> BoxFuture<'static, Reply> + Send + Sync>;

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    ca_bundle: String,
    seen: Arc<Mutex<Vec<Value>>>,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Answers each review with what `answer` makes of its request.
    pub(crate) async fn start<F>(answer: impl Fn(Value) -> F + Send + Sync + 'static) -> Server
    where
        F: Future<Output = Reply> + Send + 'static,
    {
        let (acceptor, ca_bundle) = identity(&["127.0.0.1", "hook.default.svc"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            address: listener.local_addr().unwrap(),
            ca_bundle,
            seen: Arc::default(),
            connections: Arc::default(),
        };
        let (seen, connections) = (server.seen.clone(), server.connections.clone());
        let answer: Answer = Arc::new(move |request| answer(request).boxed());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                connections.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(serve(stream, acceptor.clone(), seen.clone(), answer.clone()));
            }
        });
        server
    }

    /// One that allows everything.
    pub(crate) async fn allowing() -> Server {
        Server::start(|request| async move { allow(&request) }).await
    }

    /// The requests of the reviews so far, oldest first.
    pub(crate) fn seen(&self) -> Vec<Value> {
        self.seen.lock().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// A webhook that is this server, for all operations on `resources` of the core group.
    pub(crate) fn hook(&self, name: &str, resources: &[&str]) -> Value {
        let url = format!("https://{}/admit", self.address);
        json!({"name": name, "clientConfig": {"url": url, "caBundle": self.ca_bundle}, "sideEffects": "None",
            "admissionReviewVersions": ["v1"], "rules": [{"apiGroups": [""], "apiVersions": ["v1"],
                "operations": ["*"], "resources": resources}]})
    }
}

async fn serve(
    stream: tokio::net::TcpStream,
    acceptor: TlsAcceptor,
    seen: Arc<Mutex<Vec<Value>>>,
    answer: Answer,
) {
    let Ok(secured) = acceptor.accept(stream).await else { return };
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (seen, answer) = (seen.clone(), answer.clone());
        async move {
            assert_eq!(request.headers()["content-type"], "application/json");
            let timeout = request.uri().query().unwrap_or_default().to_string();
            assert!(timeout.starts_with("timeout=") && timeout.ends_with('s'), "{timeout}");
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let review: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(review["kind"], "AdmissionReview");
            seen.lock().push(review["request"].clone());
            Ok::<_, Infallible>(answer(review["request"].clone()).await)
        }
    });
    let server = auto::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(secured), service).await;
}

/// A certificate for `names` and the bundle, in base64, of the authority that signed it.
fn identity(names: &[&str]) -> (TlsAcceptor, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let mut config =
        config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (TlsAcceptor::from(Arc::new(config)), STANDARD.encode(authority_pem))
}

/// An answer that says `response` to `request`.
pub(crate) fn respond(request: &Value, mut response: Value) -> Reply {
    response["uid"] = request["uid"].clone();
    let review =
        json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response});
    page(200, review.to_string())
}

pub(crate) fn page(status: u16, body: impl Into<Bytes>) -> Reply {
    Response::builder().status(status).body(Full::new(body.into())).unwrap()
}

pub(crate) fn allow(request: &Value) -> Reply {
    respond(request, json!({"allowed": true}))
}

/// Allows the write, changed by the operations of a JSON patch.
pub(crate) fn patch(request: &Value, operations: Value) -> Reply {
    let patch = STANDARD.encode(operations.to_string());
    respond(request, json!({"allowed": true, "patchType": "JSONPatch", "patch": patch}))
}
