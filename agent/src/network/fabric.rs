//! The node's in-process network: every pod's stack, and the decision where a destination leads.

use super::NetworkError;
use super::connection::{Connection, Ends, connection};
use super::egress::{Cidr, Gateway, HostGateway};
use super::pod::{PodIdentity, PodNetwork};
use super::ports::EPHEMERAL_PORTS;
use super::remote::{CallError, NodeTable, Peers, Remote, RemoteNode, RemoteStream};
use super::tables::{Protocol, Tables};
use arc_swap::ArcSwap;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Weak};

/// Nodes that are tried for one connection to a Service.
const NODES_TRIED: usize = 3;

/// What the fabric is told at start.
#[derive(Clone)]
pub struct FabricConfig {
    /// Ranges of pods and Services: never reached through the gateway, whatever a rule says.
    pub cluster_cidrs: Vec<Cidr>,
    /// The domain of cluster names, without dots around it.
    pub cluster_domain: String,
    /// The address that pods see when the host dials them.
    pub host_ip: IpAddr,
    /// The network outside.
    pub gateway: Arc<dyn Gateway>,
}

impl FabricConfig {
    /// `cluster.local`, the host's own network outside.
    pub fn new(cluster_cidrs: Vec<Cidr>, host_ip: IpAddr) -> FabricConfig {
        FabricConfig {
            cluster_cidrs,
            cluster_domain: "cluster.local".to_owned(),
            host_ip,
            gateway: Arc::new(HostGateway),
        }
    }
}

/// The in-process network of a node. Clones are the same fabric.
#[derive(Clone)]
pub struct Fabric(Arc<FabricState>);

pub(crate) struct FabricState {
    pub(crate) config: FabricConfig,
    pub(crate) tables: ArcSwap<Tables>,
    pub(crate) remote: Remote,
    pods: RwLock<HashMap<IpAddr, Weak<PodNetwork>>>,
    host_port: AtomicU16,
}

/// Where a destination leads.
pub(crate) enum Route {
    /// To a pod of this node.
    Pod { pod: Arc<PodNetwork>, address: SocketAddr },
    /// To a pod of another node.
    Remote { node: Arc<RemoteNode>, address: SocketAddr },
    /// Out of the cluster, which has been allowed.
    Outside(SocketAddr),
}

/// What a stream's destination turned out to be.
pub(crate) enum Reached {
    /// A pod of this node.
    Pod { pod: Arc<PodNetwork>, address: SocketAddr },
    /// A pod of another node, with the stream that leads there.
    Remote { stream: RemoteStream, dialer: SocketAddr, address: SocketAddr },
    /// Something out of the cluster, which has been allowed.
    Outside(SocketAddr),
}

impl Fabric {
    /// A fabric without pods and with empty tables.
    pub fn new(config: FabricConfig) -> Fabric {
        Fabric(Arc::new(FabricState {
            config,
            tables: ArcSwap::from_pointee(Tables::new()),
            remote: Remote::default(),
            pods: RwLock::default(),
            host_port: AtomicU16::new(*EPHEMERAL_PORTS.start()),
        }))
    }

    /// Gives a pod its stack. A pod that had the address before loses it.
    pub fn attach(&self, identity: PodIdentity) -> Arc<PodNetwork> {
        let pod = Arc::new(PodNetwork::new(identity, self.0.clone()));
        self.0.pods.write().insert(pod.ip(), Arc::downgrade(&pod));
        pod
    }

    /// Services and names from now on; open connections stay as they are.
    pub fn set_tables(&self, tables: Arc<Tables>) {
        self.0.tables.store(tables);
    }

    /// The tables in force.
    pub fn tables(&self) -> Arc<Tables> {
        self.0.tables.load_full()
    }

    /// The nodes from now on; open connections stay as they are.
    pub fn set_nodes(&self, nodes: Arc<NodeTable>) {
        self.0.remote.table.store(nodes);
    }

    /// The nodes.
    pub fn nodes(&self) -> Arc<NodeTable> {
        self.0.remote.table.load_full()
    }

    /// From now on other nodes are reached by `peers`; the first call counts.
    ///
    /// # Panics
    /// Outside of a tokio runtime, on which the work is done.
    pub fn reach_by(&self, peers: Arc<dyn Peers>) {
        self.0.remote.reach_by(peers);
    }

    /// The pod that has this address.
    pub fn pod(&self, ip: IpAddr) -> Option<Arc<PodNetwork>> {
        self.0.pod(ip)
    }

    /// Connects from the host: to a pod's address or to a Service's. Never to a pod's localhost, never outside.
    pub async fn dial(&self, to: SocketAddr) -> io::Result<Connection> {
        self.0.dial(to).await.map_err(io::Error::from)
    }
}

impl FabricState {
    fn pod(&self, ip: IpAddr) -> Option<Arc<PodNetwork>> {
        self.pods.read().get(&ip)?.upgrade()
    }

    /// Forgets a pod, unless its address belongs to another one by now.
    pub(crate) fn detach(&self, pod: &PodNetwork) {
        let mut pods = self.pods.write();
        if pods.get(&pod.ip()).is_some_and(|entry| std::ptr::eq(entry.as_ptr(), pod)) {
            pods.remove(&pod.ip());
        }
    }

    /// Whether an address is a pod's or a Service's.
    pub(crate) fn is_of_cluster(&self, ip: IpAddr) -> bool {
        self.config.cluster_cidrs.iter().any(|range| range.contains(ip))
            || self.remote.table.load().node_of(ip).is_some()
            || self.tables.load().is_service_address(ip)
    }

    /// The one decision: where `to` leads for `from`, a pod, or for the host. Of a Service's endpoints those on the
    /// nodes `passed` are passed over.
    pub(crate) fn route(
        &self,
        from: Option<&Arc<PodNetwork>>,
        to: SocketAddr,
        protocol: Protocol,
        passed: &[Arc<RemoteNode>],
    ) -> Result<Route, NetworkError> {
        if to.port() == 0 {
            return Err(NetworkError::ConnectionRefused);
        }
        if to.ip().is_loopback() || to.ip().is_unspecified() {
            let pod = from.ok_or(NetworkError::AddressNotAvailable)?.clone();
            return Ok(Route::Pod { pod, address: SocketAddr::new(loopback_for(to.ip()), to.port()) });
        }
        let client = from.map_or(self.config.host_ip, |pod| pod.ip());
        let tables = self.tables.load();
        let Some(service) = tables.service(to, protocol) else {
            if tables.is_service_address(to.ip()) {
                return Err(NetworkError::ConnectionRefused);
            }
            return self.route_to_address(from, to, false);
        };
        let picked = service.pick(client).ok_or(NetworkError::ConnectionRefused)?;
        // The tables learn that a pod ends, or its node, a moment after it does.
        let nodes = self.remote.table.load();
        let is_passed = |ip| nodes.node_of(ip).is_some_and(|node| passed.contains(node));
        let stays = |endpoint: &SocketAddr| {
            service.vouched || !self.is_leaving(endpoint.ip()) && !is_passed(endpoint.ip())
        };
        let endpoint = service.from(picked).find(|endpoint| stays(endpoint)).unwrap_or(picked);
        if is_passed(endpoint.ip()) {
            return Err(NetworkError::HostUnreachable);
        }
        self.route_to_address(from, endpoint, service.vouched)
    }

    /// Whether a pod of this node that had the address takes no new connections, or is gone.
    fn is_leaving(&self, ip: IpAddr) -> bool {
        match self.pod(ip) {
            Some(pod) => pod.has_stopped_listening(),
            None => self.is_of_cluster(ip) && self.remote.table.load().node_of(ip).is_none(),
        }
    }

    /// `endpoint`, if it still is one of the Service at `service`.
    pub(crate) fn endpoint_of(&self, service: SocketAddr, endpoint: SocketAddr) -> Option<SocketAddr> {
        let tables = self.tables.load();
        tables.service(service, Protocol::Udp)?.endpoints.contains(&endpoint).then_some(endpoint)
    }

    fn route_to_address(
        &self,
        from: Option<&Arc<PodNetwork>>,
        to: SocketAddr,
        vouched: bool,
    ) -> Result<Route, NetworkError> {
        // A pod that was replaced still has its own address for itself.
        if let Some(pod) = from.filter(|pod| pod.ip() == to.ip()).cloned().or_else(|| self.pod(to.ip())) {
            return Ok(Route::Pod { pod, address: to });
        }
        if let Some(node) = self.remote.table.load().node_of(to.ip()) {
            return Ok(Route::Remote { node: node.clone(), address: to });
        }
        if vouched && from.is_some() {
            return Ok(Route::Outside(to));
        }
        if self.is_of_cluster(to.ip()) || to.ip().to_canonical().is_loopback() {
            return Err(NetworkError::HostUnreachable);
        }
        match from {
            Some(pod) if pod.may_leave_to(to) => Ok(Route::Outside(to)),
            Some(_) => Err(NetworkError::AccessDenied),
            None => Err(NetworkError::HostUnreachable),
        }
    }

    async fn dial(&self, to: SocketAddr) -> Result<Connection, NetworkError> {
        let port = self.next_host_port();
        // Other nodes know this one by the range of its pods.
        let gateway = self.remote.table.load().gateway().unwrap_or(self.config.host_ip);
        match self.reach(None, to, || Ok(SocketAddr::new(gateway, port))).await? {
            Reached::Pod { pod, address } => {
                let backlog = pod.backlog(address).ok_or(NetworkError::ConnectionRefused)?;
                let dialer = SocketAddr::new(self.config.host_ip, port);
                let listener_budget = Some(pod.budget());
                drop(pod);
                let ends =
                    Ends { dialer, dialled: to, listener: address, dialer_budget: None, listener_budget };
                let (near, dialled) = connection(ends, None);
                backlog.offer(dialled).await?;
                Ok(near)
            }
            Reached::Remote { stream, dialer, address } => {
                let ends = Ends {
                    dialer,
                    dialled: to,
                    listener: address,
                    dialer_budget: None,
                    listener_budget: None,
                };
                let (near, far) = connection(ends, None);
                stream.carry(far.accept(None));
                Ok(near)
            }
            Reached::Outside(_) => Err(NetworkError::HostUnreachable),
        }
    }

    /// Follows `to` as [`FabricState::route`] does and opens the stream if it leads to another node. When that node
    /// cannot be reached, the Service's endpoints on other nodes are tried; one that was not reached a moment ago is tried
    /// last. `dialer` is asked for the source.
    pub(crate) async fn reach(
        &self,
        from: Option<&Arc<PodNetwork>>,
        to: SocketAddr,
        dialer: impl Fn() -> Result<SocketAddr, NetworkError>,
    ) -> Result<Reached, NetworkError> {
        let (mut passed, mut tried) = (self.remote.suspects(), Vec::new());
        loop {
            let (node, address) = match self.route(from, to, Protocol::Tcp, &passed) {
                Ok(Route::Pod { pod, address }) => return Ok(Reached::Pod { pod, address }),
                Ok(Route::Outside(address)) => return Ok(Reached::Outside(address)),
                Ok(Route::Remote { node, address }) => (node, address),
                Err(NetworkError::HostUnreachable) if passed.len() > tried.len() => {
                    passed.clone_from(&tried);
                    continue;
                }
                Err(error) => return Err(error),
            };
            let dialer = dialer()?;
            match self.remote.open(&node, dialer, address).await {
                Ok(stream) => return Ok(Reached::Remote { stream, dialer, address }),
                Err(CallError::Refused(error)) => return Err(error),
                Err(CallError::Unreachable(why)) => {
                    tracing::debug!(node = node.name, %address, why, "a node was not reached");
                    tried.push(node.clone());
                    if tried.len() == NODES_TRIED {
                        return Err(NetworkError::HostUnreachable);
                    }
                    passed.push(node);
                }
            }
        }
    }

    fn next_host_port(&self) -> u16 {
        let turn = self.host_port.fetch_add(1, Ordering::Relaxed);
        let count = EPHEMERAL_PORTS.end() - EPHEMERAL_PORTS.start() + 1;
        EPHEMERAL_PORTS.start() + turn % count
    }
}

/// Sending to the unspecified address means the pod itself.
pub(crate) fn loopback_for(ip: IpAddr) -> IpAddr {
    match ip {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
    }
}
