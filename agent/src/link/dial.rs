//! Connections to the server: TCP, TLS with the node's certificate, and what the connection is for (ALPN).

use super::address::ServerUrl;
use super::clock::ServerClock;
use super::identity::Identity;
use super::trust::{Anchor, Distrust, Trust};
use arc_swap::{ArcSwap, ArcSwapOption};
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CertificateError, ClientConfig};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How long a connection may take, handshake included.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A connection that this node has opened.
pub type NodeStream = TlsStream<TcpStream>;

/// Why there is no connection. One line each.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DialError {
    /// Nobody answers there, now.
    #[error("cannot reach {0}: {1}")]
    Unreachable(ServerUrl, String),
    /// Whoever answers has another authority.
    #[error("the server at {0} is not trusted: {1}")]
    OtherAuthority(ServerUrl, String),
    /// Whoever answers is not called so, or is no server of this kind.
    #[error("the server at {0} is not trusted: {1}")]
    Distrusted(ServerUrl, String),
}

impl DialError {
    /// Whether trying again may help without anybody doing anything.
    pub fn is_temporary(&self) -> bool {
        matches!(self, DialError::Unreachable(..))
    }
}

/// Opens connections to one server.
pub struct Dialer {
    server: ServerUrl,
    trust: Arc<Trust>,
    config: ArcSwap<ClientConfig>,
    local_ip: Mutex<Option<IpAddr>>,
    clock: Arc<ServerClock>,
    identity: ArcSwapOption<Identity>,
}

impl Dialer {
    /// One that connects as the node that `identity` is.
    ///
    /// # Errors
    /// The certificate does not fit its key; a few words.
    pub fn of_node(server: ServerUrl, identity: &Identity) -> Result<Dialer, String> {
        let dialer = Dialer::anonymous(server, Anchor::Certificate(identity.authority().clone()))?;
        dialer.use_identity(identity)?;
        Ok(dialer)
    }

    /// One that shows no certificate.
    pub(super) fn anonymous(server: ServerUrl, anchor: Anchor) -> Result<Dialer, String> {
        let trust = Arc::new(Trust::new(anchor, Arc::new(rustls::crypto::ring::default_provider())));
        let config = config(&trust, None)?;
        let (local_ip, clock, identity) = (Mutex::default(), Arc::default(), ArcSwapOption::empty());
        Ok(Dialer { server, trust, config: ArcSwap::from_pointee(config), local_ip, clock, identity })
    }

    /// Connections from now on show this certificate.
    ///
    /// # Errors
    /// The certificate does not fit its key; a few words.
    pub fn use_identity(&self, identity: &Identity) -> Result<(), String> {
        self.config.store(Arc::new(config(&self.trust, Some(identity))?));
        self.identity.store(Some(Arc::new(identity.clone())));
        Ok(())
    }

    /// The server.
    pub fn server(&self) -> &ServerUrl {
        &self.server
    }

    /// The server's time, as it told it last.
    pub fn clock(&self) -> &Arc<ServerClock> {
        &self.clock
    }

    /// Who this machine is to others now; none if it shows no certificate.
    pub(super) fn identity(&self) -> Option<Arc<Identity>> {
        self.identity.load_full()
    }

    /// This machine's address on the newest connection.
    pub fn local_ip(&self) -> Option<IpAddr> {
        *self.local_ip.lock()
    }

    /// The authority's certificate, once there has been a connection.
    pub(super) fn authority(&self) -> Option<CertificateDer<'static>> {
        self.trust.authority()
    }

    /// Opens a connection for `protocol`.
    ///
    /// # Errors
    /// Nobody answers, or not the server that is meant.
    pub async fn dial(&self, protocol: &[u8]) -> Result<NodeStream, DialError> {
        let unreachable = |why: String| DialError::Unreachable(self.server.clone(), why);
        match tokio::time::timeout(CONNECT_WITHIN, self.connect(protocol)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(self.explain(&error)),
            Err(_) => Err(unreachable(format!("no answer within {} s", CONNECT_WITHIN.as_secs()))),
        }
    }

    async fn connect(&self, protocol: &[u8]) -> io::Result<NodeStream> {
        let stream = TcpStream::connect((self.server.host.as_str(), self.server.port)).await?;
        stream.set_nodelay(true)?;
        *self.local_ip.lock() = Some(stream.local_addr()?.ip());
        let mut config = ClientConfig::clone(&self.config.load());
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from(self.server.host.clone())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }

    fn explain(&self, error: &io::Error) -> DialError {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        let server = self.server.clone();
        let Some(tls) = tls else { return DialError::Unreachable(server, plain(error)) };
        if let rustls::Error::InvalidCertificate(CertificateError::Other(other)) = tls
            && let Some(distrust) = other.0.downcast_ref::<Distrust>()
        {
            return match distrust {
                Distrust::OtherAuthority { .. } => DialError::OtherAuthority(server, distrust.to_string()),
                Distrust::OtherName { .. } => {
                    let why = format!("{distrust}; give the server --tls-san {}", self.server.host);
                    DialError::Distrusted(server, why)
                }
                Distrust::Other(_) => DialError::Distrusted(server, distrust.to_string()),
            };
        }
        match tls {
            rustls::Error::InvalidMessage(_) => DialError::Distrusted(server, "it does not speak TLS".into()),
            rustls::Error::AlertReceived(alert) => {
                DialError::Unreachable(server, format!("it refused: {alert:?}"))
            }
            other => DialError::Unreachable(server, other.to_string()),
        }
    }
}

/// An error of the system without its number.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn config(trust: &Arc<Trust>, identity: Option<&Identity>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(trust.clone());
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(identity) => {
            let (chain, key) = identity.certificate()?;
            builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())
        }
    }
}
