//! Connections between agents: each shows the other its node's certificate.

use super::dial::Dialer;
use super::node_trust::{NodeTrust, node_of};
use crate::network::{Asker, Fabric, PodService, serve_pods};
use crate::peers::{Reach, Stream};
use async_trait::async_trait;
use parking_lot::Mutex;
use peapod_api::pod_traffic::PROTOCOL;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ServerConfig};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// How long an agent may take for the TLS handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Connections of other agents that are open at a time, handshakes included; more of them wait to be accepted.
const MAX_CONNECTIONS: usize = 4096;
/// Connections of one other node.
const CONNECTIONS_PER_NODE: usize = 4;
/// Pause after an accept that failed: the machine is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a node shows to others, and how it judges them.
struct Credentials {
    trust: Arc<NodeTrust>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Credentials {
    /// Those of the identity that `dialer` has now.
    fn of(dialer: &Dialer) -> io::Result<Credentials> {
        let identity = dialer.identity().ok_or_else(|| io::Error::other("this machine is no node"))?;
        let trust = NodeTrust::new(identity.authority(), dialer.clock().clone()).map_err(io::Error::other)?;
        let (chain, key) = identity.certificate().map_err(io::Error::other)?;
        Ok(Credentials { trust: Arc::new(trust), chain, key })
    }

    fn client(self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.dangerous().with_custom_certificate_verifier(self.trust);
        let mut config = builder.with_client_auth_cert(self.chain, self.key)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(config)
    }

    fn server(self) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let builder = builder.with_client_cert_verifier(self.trust);
        let mut config = builder.with_single_cert(self.chain, self.key)?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(config)
    }
}

/// How a node that has joined reaches the others.
pub struct NodeReach(pub Arc<Dialer>);

#[async_trait]
impl Reach for NodeReach {
    async fn relay(&self) -> io::Result<Box<dyn Stream>> {
        Ok(Box::new(self.0.dial(PROTOCOL).await.map_err(io::Error::other)?))
    }

    async fn direct(&self, node: &str, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        let config = Credentials::of(&self.0)?.client().map_err(io::Error::other)?;
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::IpAddress(address.ip().into());
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let found = stream.get_ref().1.peer_certificates().and_then(node_of);
        if found.as_deref() != Some(node) {
            return Err(io::Error::other(format!("at {address} is node {found:?}, not {node:?}")));
        }
        Ok(Box::new(stream))
    }
}

/// The socket that other agents connect to.
pub struct NodeListener {
    tcp: TcpListener,
    limit: Arc<Semaphore>,
    per_node: Mutex<HashMap<String, Arc<Semaphore>>>,
}

impl NodeListener {
    /// Binds it; port 0 finds a free one.
    ///
    /// # Errors
    /// The address is in use or not this machine's.
    pub async fn bind(address: SocketAddr) -> io::Result<NodeListener> {
        let tcp = TcpListener::bind(address).await?;
        Ok(NodeListener { tcp, limit: Arc::new(Semaphore::new(MAX_CONNECTIONS)), per_node: Mutex::default() })
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.tcp.local_addr().map_or(0, |address| address.port())
    }

    /// Serves the pods of `fabric` to other agents, as the node that `dialer` is; it never returns.
    pub async fn serve(self, fabric: &Fabric, dialer: &Arc<Dialer>) {
        let (this, mut connections) = (Arc::new(self), JoinSet::new());
        loop {
            let Ok(permit) = this.limit.clone().acquire_owned().await else { return };
            match this.tcp.accept().await {
                Ok((stream, from)) => {
                    let (this, fabric, dialer) = (this.clone(), fabric.clone(), dialer.clone());
                    connections.spawn(async move {
                        let _permit = permit;
                        if let Err(error) = this.take(stream, fabric, &dialer).await {
                            tracing::debug!(%from, %error, "a connection of another agent ended early");
                        }
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection of another agent could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
            while connections.try_join_next().is_some() {}
        }
    }

    async fn take(&self, stream: TcpStream, fabric: Fabric, dialer: &Dialer) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let config = Credentials::of(dialer)?.server().map_err(io::Error::other)?;
        let handshake = TlsAcceptor::from(Arc::new(config)).accept(stream);
        let stream = tokio::time::timeout(HANDSHAKE_WITHIN, handshake).await??;
        let node = stream.get_ref().1.peer_certificates().and_then(node_of);
        let node = node.ok_or_else(|| io::Error::other("it is no node"))?;
        let _permit = self.admit(&node).ok_or_else(|| io::Error::other("the node has connections enough"))?;
        serve_pods(stream, PodService::new(fabric, Asker::Node(node))).await.map_err(io::Error::other)
    }

    fn admit(&self, node: &str) -> Option<OwnedSemaphorePermit> {
        let mut nodes = self.per_node.lock();
        nodes.retain(|_, connections| connections.available_permits() < CONNECTIONS_PER_NODE);
        let connections =
            nodes.entry(node.into()).or_insert_with(|| Arc::new(Semaphore::new(CONNECTIONS_PER_NODE)));
        connections.clone().try_acquire_owned().ok()
    }
}
