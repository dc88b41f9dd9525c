//! A kube-rs client over TLS and HTTP/2 with the administrator's certificate.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{Request, Uri, uri};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use kube::client::Body;
use kube::config::Kubeconfig;
use peapod_tests::cluster::Cluster;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Connects as what `kubeconfig` says.
pub(crate) async fn client(cluster: &Cluster) -> anyhow::Result<kube::Client> {
    let address = cluster.address();
    let tcp = TcpStream::connect(address).await?;
    let connector = TlsConnector::from(Arc::new(tls(cluster)?));
    let stream = connector.connect(ServerName::from(address.ip()), tcp).await?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let service = tower::service_fn(move |request: Request<Body>| {
        let mut sender = sender.clone();
        async move {
            sender.ready().await?;
            sender.send_request(complete(request, &address.to_string())).await
        }
    });
    Ok(kube::Client::new(service, "default"))
}

fn tls(cluster: &Cluster) -> anyhow::Result<rustls::ClientConfig> {
    let config = serde_json::to_value(Kubeconfig::read_from(cluster.kubeconfig())?)?;
    let pem = |place: &str| {
        let text = config.pointer(place).and_then(|text| text.as_str()).context(place.to_string())?;
        anyhow::Ok(STANDARD.decode(text)?)
    };
    let authority = pem("/clusters/0/cluster/certificate-authority-data")?;
    let certificate = pem("/users/0/user/client-certificate-data")?;
    let key = pem("/users/0/user/client-key-data")?;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(&authority)?)?;
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(&certificate)?],
            PrivateKeyDer::from_pem_slice(&key)?,
        )?;
    tls.alpn_protocols = vec![b"h2".to_vec()];
    Ok(tls)
}

fn complete(mut request: Request<Body>, authority: &str) -> Request<Body> {
    let path = request.uri().path_and_query().cloned();
    let mut parts = uri::Parts::default();
    parts.scheme = Some(uri::Scheme::HTTPS);
    parts.authority = authority.parse().ok();
    parts.path_and_query = path;
    *request.uri_mut() = Uri::from_parts(parts).expect("scheme, authority and path make a URI");
    request
}
