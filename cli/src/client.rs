//! A small HTTPS client: one request, one connection, answers read whole or as a stream.

use anyhow::{Context, anyhow, bail};
use base64::Engine;
use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A server and how to prove to it who asks.
pub(crate) struct Client {
    host: String,
    port: u16,
    tls: TlsConnector,
    authority: CertificateDer<'static>,
    token: Option<String>,
    /// The namespace of the kubeconfig's context.
    pub(crate) namespace: String,
}

impl Client {
    /// Reads a kubeconfig's current context.
    ///
    /// # Errors
    /// The file is unreadable, is no kubeconfig, or uses something that this client does not do.
    pub(crate) fn from_kubeconfig(path: &Path) -> anyhow::Result<Client> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let config: Value =
            serde_saphyr::from_str(&text).with_context(|| format!("{} is no YAML", path.display()))?;
        Client::from_config(&config).with_context(|| format!("{} cannot be used", path.display()))
    }

    fn from_config(config: &Value) -> anyhow::Result<Client> {
        let current = config["current-context"].as_str().filter(|name| !name.is_empty());
        let current = current.context("it is no kubeconfig, or has no current-context")?;
        let context = &named(config, "contexts", current)?["context"];
        let cluster = &named(config, "clusters", context["cluster"].as_str().unwrap_or_default())?["cluster"];
        let user = &named(config, "users", context["user"].as_str().unwrap_or_default())?["user"];
        let server = cluster["server"].as_str().unwrap_or_default();
        let uri: http::Uri = server.parse().with_context(|| format!("server {server:?} is no URL"))?;
        if uri.scheme_str() != Some("https") {
            bail!("server {server:?} is not an https URL");
        }
        Ok(Client {
            host: uri.host().unwrap_or_default().trim_matches(['[', ']']).to_string(),
            port: uri.port_u16().unwrap_or(443),
            tls: tls(cluster, user)?,
            authority: authority(cluster)?,
            token: user["token"].as_str().map(Into::into),
            namespace: context["namespace"].as_str().unwrap_or("default").into(),
        })
    }

    /// The certificate of the authority that the server is trusted by, DER.
    pub(crate) fn authority(&self) -> &[u8] {
        &self.authority
    }

    /// `https://127.0.0.1:6443`
    pub(crate) fn url(&self) -> String {
        let bracketed = self.host.contains(':').then(|| format!("[{}]", self.host));
        format!("https://{}:{}", bracketed.as_ref().unwrap_or(&self.host), self.port)
    }

    /// Sends one request. Errors: the connection, or the message of the `Status` that the server answered.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Response<Incoming>> {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(body.into()))?;
        let response =
            self.connect().await?.send_request(request).await.context("the connection was lost")?;
        if response.status().is_success() {
            return Ok(response);
        }
        let code = response.status();
        let body = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let status: Value = serde_json::from_slice(&body).unwrap_or_default();
        // A `Status`, or what registries answer.
        let message = status["message"].as_str().or(status["errors"][0]["message"].as_str());
        let message = message.map(str::to_string);
        let plain = || String::from_utf8_lossy(&body).trim().to_string();
        bail!("{} (HTTP {})", message.unwrap_or_else(plain), code.as_u16())
    }

    /// Sends one request and reads the JSON answer.
    pub(crate) async fn json(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Value> {
        let response = self.send(method, path, headers, body).await?;
        let bytes = response.into_body().collect().await.context("the connection was lost")?.to_bytes();
        serde_json::from_slice(&bytes).context("the server's answer is no JSON")
    }

    /// GET as JSON.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.json(Method::GET, path, &[("accept", "application/json")], Bytes::new()).await
    }

    async fn connect(&self) -> anyhow::Result<hyper::client::conn::http1::SendRequest<Full<Bytes>>> {
        let place = format!("{}:{}", self.host, self.port);
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .with_context(|| format!("cannot reach the server at {place}: is `peapod up` running?"))?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.host.clone())?;
        let stream = self.tls.connect(name, stream).await.with_context(|| format!("no trust in {place}"))?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

fn named<'a>(config: &'a Value, list: &str, name: &str) -> anyhow::Result<&'a Value> {
    let entries = config[list].as_array().into_iter().flatten();
    entries
        .into_iter()
        .find(|entry| entry["name"] == name)
        .ok_or_else(|| anyhow!("{list} has no entry {name:?}"))
}

/// The bytes of `FIELD-data` (base64) or of the file that `FIELD` names.
fn material(section: &Value, field: &str) -> anyhow::Result<Option<Vec<u8>>> {
    if let Some(data) = section[format!("{field}-data")].as_str() {
        return Ok(Some(base64::engine::general_purpose::STANDARD.decode(data)?));
    }
    section[field]
        .as_str()
        .map(|path| std::fs::read(path).with_context(|| format!("cannot read {path}")))
        .transpose()
}

/// The first certificate of the cluster's authority.
fn authority(cluster: &Value) -> anyhow::Result<CertificateDer<'static>> {
    let pem =
        material(cluster, "certificate-authority")?.context("the cluster has no certificate-authority")?;
    Ok(CertificateDer::from_pem_slice(&pem)?)
}

fn tls(cluster: &Value, user: &Value) -> anyhow::Result<TlsConnector> {
    let mut roots = rustls::RootCertStore::empty();
    let authority =
        material(cluster, "certificate-authority")?.context("the cluster has no certificate-authority")?;
    for certificate in CertificateDer::pem_slice_iter(&authority) {
        roots.add(certificate?)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let certificate = material(user, "client-certificate")?;
    let config = match (certificate, material(user, "client-key")?) {
        (Some(certificate), Some(key)) => {
            let chain = CertificateDer::pem_slice_iter(&certificate).collect::<Result<Vec<_>, _>>()?;
            builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(&key)?)?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}
