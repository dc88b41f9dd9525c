//! The node's in-process network: every pod's stack, and the decision where a destination leads.

use super::NetworkError;
use super::connection::{Connection, Ends, connection};
use super::egress::{Cidr, Gateway, HostGateway};
use super::pod::{PodIdentity, PodNetwork};
use super::ports::EPHEMERAL_PORTS;
use super::tables::{Protocol, Tables};
use arc_swap::ArcSwap;
use parking_lot::RwLock;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Weak};

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
    pods: RwLock<HashMap<IpAddr, Weak<PodNetwork>>>,
    host_port: AtomicU16,
}

/// Where a destination leads.
pub(crate) enum Route {
    /// To a pod of this node.
    Pod { pod: Arc<PodNetwork>, address: SocketAddr },
    /// Out of the cluster, which has been allowed.
    Outside(SocketAddr),
}

impl Fabric {
    /// A fabric without pods and with empty tables.
    pub fn new(config: FabricConfig) -> Fabric {
        Fabric(Arc::new(FabricState {
            config,
            tables: ArcSwap::from_pointee(Tables::new()),
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
            || self.tables.load().is_service_address(ip)
    }

    /// The one decision: where `to` leads for `from`, a pod, or for the host.
    pub(crate) fn route(
        &self,
        from: Option<&Arc<PodNetwork>>,
        to: SocketAddr,
        protocol: Protocol,
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
        // The tables learn that a pod ends a moment after the pod does.
        let stays = |endpoint: &SocketAddr| service.vouched || !self.is_leaving(endpoint.ip());
        let other = || service.endpoints.iter().copied().find(|endpoint| stays(endpoint));
        let endpoint = if stays(&picked) { picked } else { other().unwrap_or(picked) };
        self.route_to_address(from, endpoint, service.vouched)
    }

    /// Whether a pod of this node that had the address takes no new connections, or is gone.
    fn is_leaving(&self, ip: IpAddr) -> bool {
        match self.pod(ip) {
            Some(pod) => pod.has_stopped_listening(),
            None => self.is_of_cluster(ip),
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
        let Route::Pod { pod, address } = self.route(None, to, Protocol::Tcp)? else {
            return Err(NetworkError::HostUnreachable);
        };
        let backlog = pod.backlog(address).ok_or(NetworkError::ConnectionRefused)?;
        let dialer = SocketAddr::new(self.config.host_ip, self.next_host_port());
        let listener_budget = Some(pod.budget());
        drop(pod);
        let ends = Ends { dialer, dialled: to, listener: address, dialer_budget: None, listener_budget };
        let (near, dialled) = connection(ends, None);
        backlog.offer(dialled).await?;
        Ok(near)
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
