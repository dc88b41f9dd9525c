//! The control plane's shell: store, front door, HTTP, identities and drivers around the pure `peapod-core`.

mod authn;
pub mod cache;
mod config;
pub mod drivers;
mod files;
pub mod front_door;
mod http;
mod machine;
mod metrics;
mod nodes;
mod pki;
mod registry;
mod relay;
mod sessions;
pub mod store;
mod tasks;
mod webhooks;

pub use authn::Identity;
pub use config::Config;
pub use registry::Artifact;

use anyhow::Context;
use cache::Cache;
use front_door::{Advertised, FrontDoor};
use http::listener::{self, Listener, Server};
use http::{Api, Ground};
use nodes::Nodes;
use pki::{Kubeconfig, Leaf, Pki, Signer, Tokens};
use registry::Registry;
use relay::Relay;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tasks::{Supervisor, Tasks};
use time::OffsetDateTime;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};

/// How long connections may take to end at shutdown.
const CONNECTIONS_PATIENCE: Duration = Duration::from_millis(500);
/// How long the drivers may take.
const DRIVERS_PATIENCE: Duration = Duration::from_millis(300);

/// A running control plane.
pub struct ControlPlane {
    address: SocketAddr,
    advertised: SocketAddr,
    kubeconfig_path: PathBuf,
    cache: Cache,
    server: Server,
    nodes: Nodes,
    relay: Relay,
    registry: Registry,
    connections: Tasks,
    drivers: Tasks,
    supervisor: Supervisor,
}

impl ControlPlane {
    /// Opens the data directory, makes what every cluster has, and serves. Errors, in one line: the port is busy, the
    /// directory cannot be read or is in use, the database is damaged.
    pub async fn start(config: Config) -> anyhow::Result<ControlPlane> {
        create_private(&config.data_dir)?;
        let tcp = listener::bind(config.listen)?;
        let address = tcp.local_addr().context("the listening socket has no address")?;
        let backend = store::Sqlite::open(&config.data_dir)?;
        let cache = Cache::open(backend)?;

        let options = front_door::Options {
            accept_network_policies: config.accept_network_policies,
            ..front_door::Options::default()
        };
        let identity = Identities::open(&config, address, options.ranges.first_address())?;
        let (connections, drivers, supervisor) = (Tasks::default(), Tasks::default(), Supervisor::default());
        let nodes = Nodes::new(connections.clone());
        let door = FrontDoor::reaching(nodes.clone(), cache.clone(), options);
        let advertised = Advertised { address: config.advertised(address) };
        let made = async {
            door.bootstrap(&advertised).await?;
            door.publish_root_ca(&identity.ca_pem).await
        };
        made.await.context("the first objects could not be written")?;
        let registry = Registry::open(&config.data_dir.join("registry"))?;

        let stop = drivers.stopping().clone();
        let effects = drivers::Effects { signer: identity.signer, tokens: identity.tokens.clone() };
        let controllers =
            drivers::run_controllers(cache.clone(), door.clone(), effects, config.node_grace, stop.clone());
        supervisor.spawn(&drivers, "the controllers", controllers);
        let scheduler = drivers::run_scheduler(cache.clone(), door.clone(), stop);
        supervisor.spawn(&drivers, "the scheduler", scheduler);

        let api = Api::new(Ground {
            cache: cache.clone(),
            door,
            nodes: nodes.clone(),
            registry: registry.clone(),
            admin_token: identity.admin_token,
            tokens: identity.tokens,
            url: config::url(advertised.address),
            address: address.to_string(),
            tasks: connections.clone(),
        });
        let server = Server::new(api, connections.clone());
        let relay = Relay::new(nodes.clone(), connections.clone());
        let listener =
            Listener::new(tcp, identity.acceptor, identity.certificates, server.clone(), relay.clone());
        supervisor.spawn(&connections, "the listener", listener.run());
        let kubeconfig_path = config.data_dir.join("kubeconfig");
        Ok(ControlPlane {
            address,
            advertised: advertised.address,
            kubeconfig_path,
            cache,
            server,
            nodes,
            relay,
            registry,
            connections,
            drivers,
            supervisor,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where nodes and pods find it, which is an address even if it listens on all.
    pub fn advertised(&self) -> SocketAddr {
        self.advertised
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig_path(&self) -> &PathBuf {
        &self.kubeconfig_path
    }

    /// The state of the cluster, for readers in this process.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Stores a wasm file as image `name:tag`. Errors: the name or the file is not valid, or the disk fails.
    pub async fn push_image(&self, name: &str, tag: &str, wasm: Vec<u8>) -> anyhow::Result<()> {
        let (registry, name, tag) = (self.registry.clone(), name.to_string(), tag.to_string());
        tokio::task::spawn_blocking(move || registry.push(&name, &tag, &wasm).map(drop)).await?
    }

    /// A connection inside this process: the API over HTTP/1.1 or HTTP/2, everything done as `identity`.
    pub fn connect(&self, identity: Identity) -> DuplexStream {
        self.server.connect(identity.0)
    }

    /// Opens connections inside this process on which `node` asks for pod traffic to other nodes, relayed.
    pub fn pod_relay(&self, node: &str) -> impl Fn() -> DuplexStream + Send + Sync + 'static {
        let (relay, node) = (self.relay.clone(), node.to_string());
        move || relay.connect(&node)
    }

    /// Takes over a connection that the agent of `node` has opened, on which this server asks and the agent answers
    /// (HTTP/2, kubelet's paths).
    pub fn attach_node<I>(&self, node: &str, io: I)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.nodes.attach(node, io);
    }

    /// Resolves, with the reason, when a part has failed and the process has to stop.
    pub async fn failed(&self) -> String {
        tokio::select! {
            reason = self.supervisor.failed() => reason,
            reason = self.cache.failed() => format!("the store failed: {reason}"),
        }
    }

    /// Stops in the reverse order of the start: watches and requests are ended, then the drivers, then the store.
    pub async fn shutdown(self) {
        self.connections.shutdown(CONNECTIONS_PATIENCE).await;
        self.drivers.shutdown(DRIVERS_PATIENCE).await;
        self.cache.shutdown().await;
    }
}

/// Who the server is and whom it trusts.
struct Identities {
    ca_pem: String,
    admin_token: String,
    tokens: Tokens,
    acceptor: tokio_rustls::TlsAcceptor,
    certificates: pki::ClientCertificates,
    signer: Signer,
}

impl Identities {
    fn open(config: &Config, address: SocketAddr, first_cluster_ip: Ipv4Addr) -> anyhow::Result<Identities> {
        let now = OffsetDateTime::now_utc();
        let pki = Pki::open(&config.data_dir.join("pki"), now)?;
        let names = config.server_names(address.ip(), first_cluster_ip);
        let pair = pki.pair("server", &Leaf::Server { names }, now)?;
        let (acceptor, certificates) = pki::acceptor(&pki, &pair)?;
        let admin = Leaf::Client { name: ADMIN.into(), group: peapod_core::auth::MASTERS.into() };
        let admin_pair = pki.pair("admin", &admin, now)?;
        let kubeconfig =
            Kubeconfig { server: config::url(address), ca_pem: pki.ca_pem(), user: ADMIN, pair: &admin_pair };
        kubeconfig.write(&config.data_dir.join("kubeconfig"))?;
        let admin_token = pki::admin_token(&config.data_dir.join("admin.token"))?;
        let tokens = Tokens::open(&config.data_dir.join("pki/sa.key"))?;
        let (ca_pem, signer) = (pki.ca_pem().into(), Signer::new(Arc::new(pki)));
        Ok(Identities { ca_pem, admin_token, tokens, acceptor, certificates, signer })
    }
}

/// The administrator's name.
const ADMIN: &str = "kubernetes-admin";

/// Creates the data directory for the owner only; one that is there stays as it is.
fn create_private(directory: &PathBuf) -> anyhow::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let made = fs::create_dir_all(directory)
        .and_then(|()| fs::set_permissions(directory, fs::Permissions::from_mode(0o700)));
    made.with_context(|| format!("cannot create {}", directory.display()))
}
