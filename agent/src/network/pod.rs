//! A pod's own network stack: one address, ports, localhost shared by its containers, and the way to the others.

use super::NetworkError;
use super::connection::{Connection, Ends, connection};
use super::egress::{EgressRules, connect_outside, is_public_enough};
use super::fabric::{FabricState, Reached, loopback_for};
use super::listener::{BACKLOG_DEFAULT, Backlog, Listener};
use super::pipe::Budget;
use super::ports::PortTable;
use super::resolve::{Answer, Asker};
use super::tables::Protocol;
use super::udp::{Mailbox, UdpSocket};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Sockets that the containers of a pod have together. Far below the number of handles at which wasmtime traps
/// a guest, a connection being three handles and more.
pub const SOCKETS_PER_POD: usize = 16 * 1024;
/// Addresses that a pod remembers from names opened by HOST rules.
const REMEMBERED_ADDRESSES: usize = 1024;
/// Names of a pod that the host's resolver is asked for at a time; each takes a thread of the host.
const LOOKUPS_AT_ONCE: usize = 8;

/// Who a pod is on the network.
#[derive(Clone, Debug)]
pub struct PodIdentity {
    /// `metadata.namespace`: where its short names are looked up.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// `metadata.uid`.
    pub uid: String,
    /// `spec.hostname`, or the name.
    pub hostname: String,
    /// Its address.
    pub ip: IpAddr,
    /// `spec.hostAliases`, one entry for each name.
    pub host_aliases: Vec<(String, IpAddr)>,
    /// Where it may go outside of the cluster.
    pub egress: EgressRules,
}

impl PodIdentity {
    /// A pod that is called as its object is, has no aliases and may not leave the cluster.
    pub fn new(namespace: &str, name: &str, uid: &str, ip: IpAddr) -> PodIdentity {
        PodIdentity {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: uid.to_owned(),
            hostname: name.to_owned(),
            ip,
            host_aliases: Vec::new(),
            egress: EgressRules::none(),
        }
    }
}

#[derive(Default)]
struct Ports {
    tcp: PortTable<Option<Arc<Backlog>>>,
    udp: PortTable<Arc<Mailbox>>,
}

/// The network of one pod, shared by its containers. It is torn down by [`PodNetwork::close`], or with its last owner.
pub struct PodNetwork {
    identity: PodIdentity,
    fabric: Arc<FabricState>,
    ports: Mutex<Ports>,
    sockets: AtomicUsize,
    connections: AtomicUsize,
    serving: AtomicUsize,
    stopped: AtomicBool,
    budget: Arc<Budget>,
    remembered: Mutex<VecDeque<(IpAddr, Option<u16>)>>,
    lookups: Semaphore,
    outside: TaskTracker,
    cancelled: CancellationToken,
}

impl PodNetwork {
    pub(crate) fn new(identity: PodIdentity, fabric: Arc<FabricState>) -> PodNetwork {
        PodNetwork {
            identity,
            fabric,
            ports: Mutex::default(),
            sockets: AtomicUsize::new(0),
            connections: AtomicUsize::new(0),
            serving: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            budget: Arc::default(),
            remembered: Mutex::default(),
            lookups: Semaphore::new(LOOKUPS_AT_ONCE),
            outside: TaskTracker::new(),
            cancelled: CancellationToken::new(),
        }
    }

    /// The pod's address.
    pub fn ip(&self) -> IpAddr {
        self.identity.ip
    }

    /// Who the pod is.
    pub fn identity(&self) -> &PodIdentity {
        &self.identity
    }

    /// A new socket, neither bound nor connected; `SocketLimit` when the pod has [`SOCKETS_PER_POD`].
    pub fn seat(self: &Arc<Self>) -> Result<Seat, NetworkError> {
        let taken = self.sockets.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sockets| {
            (sockets < SOCKETS_PER_POD).then_some(sockets + 1)
        });
        taken.map_err(|_| NetworkError::SocketLimit)?;
        Ok(Seat { pod: self.clone(), bound: None, connected: false, serving: false })
    }

    /// Listens on an address of the pod, on localhost or on all of them (`0.0.0.0`, `::`); port 0 finds a free one.
    pub fn listen(self: &Arc<Self>, address: SocketAddr) -> Result<Listener, NetworkError> {
        let mut seat = self.seat()?;
        seat.bind(address)?;
        seat.listen(BACKLOG_DEFAULT)
    }

    /// Connects to a pod, a Service, the pod itself, or outside if a rule allows it.
    pub async fn connect(self: &Arc<Self>, to: SocketAddr) -> Result<Connection, NetworkError> {
        self.seat()?.connect(to).await
    }

    /// Binds a datagram socket; port 0 finds a free one.
    pub fn bind_udp(self: &Arc<Self>, address: SocketAddr) -> Result<UdpSocket, NetworkError> {
        UdpSocket::bind(self.seat()?, address).map_err(|(_, error)| error)
    }

    /// The addresses of a name, in the form and search order of cluster DNS. Names outside of the cluster are asked of
    /// the host's resolver only when an egress rule gives the pod a use for the answer.
    pub async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, NetworkError> {
        match self.resolve_inside(name)? {
            Answer::Addresses(addresses) => Ok(addresses),
            Answer::Unknown => Err(NetworkError::NameUnresolvable),
            Answer::Outside(name) => self.resolve_outside(&name).await,
        }
    }

    fn resolve_inside(&self, name: &str) -> Result<Answer, NetworkError> {
        let asker = Asker {
            namespace: &self.identity.namespace,
            hostname: &self.identity.hostname,
            address: self.identity.ip,
            host_aliases: &self.identity.host_aliases,
            cluster_domain: &self.fabric.config.cluster_domain,
        };
        asker.ask(name, &self.fabric.tables.load())
    }

    async fn resolve_outside(&self, name: &str) -> Result<Vec<IpAddr>, NetworkError> {
        let ports = self.identity.egress.host_ports(name);
        if ports.is_empty() && !self.identity.egress.has_range() {
            return Err(NetworkError::AccessDenied);
        }
        let _turn = self.lookups.acquire().await.map_err(|_| NetworkError::TemporaryResolverFailure)?;
        let answer = self.fabric.config.gateway.lookup(name).await;
        let addresses = answer.map_err(|error| match error.kind() {
            std::io::ErrorKind::TimedOut => NetworkError::TemporaryResolverFailure,
            _ => NetworkError::NameUnresolvable,
        })?;
        self.remember(&addresses, &ports);
        Ok(addresses)
    }

    /// Opens what a HOST rule's name led to, on the ports of the rule.
    fn remember(&self, addresses: &[IpAddr], ports: &[Option<u16>]) {
        let usable = addresses.iter().filter(|ip| is_public_enough(**ip) && !self.fabric.is_of_cluster(**ip));
        let mut remembered = self.remembered.lock();
        for entry in usable.flat_map(|ip| ports.iter().map(|port| (*ip, *port))) {
            if remembered.contains(&entry) {
                continue;
            }
            if remembered.len() == REMEMBERED_ADDRESSES {
                remembered.pop_front();
            }
            remembered.push_back(entry);
        }
    }

    /// Whether the rules of the pod let it reach an address outside of the cluster.
    pub(crate) fn may_leave_to(&self, to: SocketAddr) -> bool {
        let remembered =
            |(ip, port): &(IpAddr, Option<u16>)| *ip == to.ip() && port.is_none_or(|port| port == to.port());
        self.identity.egress.allow_address(to) || self.remembered.lock().iter().any(remembered)
    }

    /// Termination has begun: new dialers are refused, accepting is an error once the queue is empty; connections
    /// that are open go on.
    pub fn stop_listening(&self) {
        self.stopped.store(true, Ordering::Release);
        for backlog in self.backlogs() {
            backlog.close();
        }
    }

    /// Whether [`PodNetwork::stop_listening`] has been called.
    pub(crate) fn has_stopped_listening(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Whether no connection is open and no listener takes any. Datagram sockets keep nothing open.
    pub fn idle(&self) -> bool {
        self.connections.load(Ordering::Acquire) == 0
            && !self.backlogs().iter().any(|backlog| backlog.is_open())
    }

    /// Connections that the containers of the pod hold.
    pub fn connection_count(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Connections that others have opened to the pod, which are what its termination waits for. Those among its own
    /// containers and those that it opened itself are not counted.
    pub fn serving_count(&self) -> usize {
        self.serving.load(Ordering::Acquire)
    }

    /// Leaves the fabric: the address is free for another pod, listeners are closed and their queues reset,
    /// connections to the outside are cut. Others end when the containers that hold them are dropped.
    pub fn close(&self) {
        self.stopped.store(true, Ordering::Release);
        self.fabric.detach(self);
        for backlog in self.backlogs() {
            backlog.discard();
        }
        self.cancelled.cancel();
    }

    fn backlogs(&self) -> Vec<Arc<Backlog>> {
        self.ports.lock().tcp.holders().flatten().cloned().collect()
    }

    /// Who listens on `to`, an address of this pod.
    pub(crate) fn backlog(&self, to: SocketAddr) -> Option<Arc<Backlog>> {
        self.ports.lock().tcp.find(to).cloned().flatten()
    }

    /// Who receives datagrams at `to`, an address of this pod.
    pub(crate) fn mailbox(&self, to: SocketAddr) -> Option<Arc<Mailbox>> {
        self.ports.lock().udp.find(to).cloned()
    }

    pub(crate) fn fabric(&self) -> &Arc<FabricState> {
        &self.fabric
    }

    pub(crate) fn budget(&self) -> Arc<Budget> {
        self.budget.clone()
    }

    /// The address that a socket of this pod has towards `to`.
    pub(crate) fn source_ip(&self, to: IpAddr) -> Result<IpAddr, NetworkError> {
        let to = loopback_for(to);
        if to.is_loopback() {
            return Ok(to);
        }
        // A pod has addresses of one family only.
        if to.is_ipv4() == self.identity.ip.is_ipv4() {
            Ok(self.identity.ip)
        } else {
            Err(NetworkError::HostUnreachable)
        }
    }

    fn is_own(&self, ip: IpAddr) -> bool {
        ip == self.identity.ip || ip.is_unspecified() || ip.is_loopback()
    }

    /// Streams to the outside, pumped between the kernel's socket and the fabric's end of the connection.
    async fn connect_outside(&self, ends: Ends, seat: Seat) -> Result<Connection, NetworkError> {
        let mut stream = connect_outside(&*self.fabric.config.gateway, ends.listener).await?;
        let (near, far) = connection(ends, Some(seat.connected()));
        let mut far = far.accept(None);
        let cancelled = self.cancelled.clone();
        self.outside.spawn(async move {
            let pumped =
                cancelled.run_until_cancelled(tokio::io::copy_bidirectional(&mut far, &mut stream)).await;
            if !matches!(pumped, Some(Ok(_))) {
                far.end().reset();
            }
        });
        Ok(near)
    }
}

fn unspecified_like(ip: IpAddr) -> IpAddr {
    if ip.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

impl Drop for PodNetwork {
    fn drop(&mut self) {
        self.fabric.detach(self);
        self.cancelled.cancel();
    }
}

/// A socket of a pod before it listens or is connected: it counts against the pod's limit and holds its port until it
/// is dropped.
pub struct Seat {
    pod: Arc<PodNetwork>,
    bound: Option<(Protocol, SocketAddr)>,
    connected: bool,
    serving: bool,
}

impl Seat {
    /// The pod that the socket belongs to.
    pub fn pod(&self) -> &Arc<PodNetwork> {
        &self.pod
    }

    /// The address that the socket is bound to.
    pub fn bound(&self) -> Option<SocketAddr> {
        self.bound.map(|(_, address)| address)
    }

    /// Binds a stream socket and returns the address with its port.
    pub fn bind(&mut self, address: SocketAddr) -> Result<SocketAddr, NetworkError> {
        self.bind_with(address, Protocol::Tcp, |ports| ports.tcp.bind(address, None))
    }

    pub(crate) fn bind_udp(
        &mut self,
        address: SocketAddr,
        mailbox: Arc<Mailbox>,
    ) -> Result<SocketAddr, NetworkError> {
        self.bind_with(address, Protocol::Udp, |ports| ports.udp.bind(address, mailbox))
    }

    fn bind_with(
        &mut self,
        address: SocketAddr,
        protocol: Protocol,
        bind: impl FnOnce(&mut Ports) -> Result<SocketAddr, NetworkError>,
    ) -> Result<SocketAddr, NetworkError> {
        if self.bound.is_some() {
            return Err(NetworkError::InvalidArgument);
        }
        if !self.pod.is_own(address.ip()) {
            return Err(NetworkError::AddressNotAvailable);
        }
        let bound = bind(&mut self.pod.ports.lock())?;
        self.bound = Some((protocol, bound));
        Ok(bound)
    }

    /// Listens on the bound address. An error when it is not bound or the pod has begun to terminate.
    pub fn listen(self, backlog: usize) -> Result<Listener, NetworkError> {
        let address = self.bound().ok_or(NetworkError::InvalidArgument)?;
        let pod = self.pod.clone();
        let (listener, backlog) = Listener::new(self, address, backlog);
        if let Some(holder) = pod.ports.lock().tcp.holder_mut(address) {
            *holder = Some(backlog);
        }
        // Asked after the listener can be found, so that a stop in between closes it or is seen here.
        if pod.stopped.load(Ordering::Acquire) {
            return Err(NetworkError::InvalidArgument);
        }
        Ok(listener)
    }

    /// Connects, from the bound address if there is one. The socket is gone when that fails.
    pub async fn connect(self, to: SocketAddr) -> Result<Connection, NetworkError> {
        let pod = self.pod.clone();
        let reached = pod.fabric.reach(Some(&pod), to, || self.source(to)).await?;
        let budgets = |far: Option<&Arc<PodNetwork>>| (Some(pod.budget()), far.map(|far| far.budget()));
        match reached {
            Reached::Pod { pod: far, address } => {
                let dialer = self.source(to)?;
                let backlog = far.backlog(address).ok_or(NetworkError::ConnectionRefused)?;
                let (dialer_budget, listener_budget) = budgets(Some(&far));
                let ends = Ends { dialer, dialled: to, listener: address, dialer_budget, listener_budget };
                let (near, dialled) = connection(ends, Some(self.connected()));
                backlog.offer(dialled).await?;
                Ok(near)
            }
            Reached::Remote { stream, dialer, address } => {
                let (dialer_budget, listener_budget) = budgets(None);
                let ends = Ends { dialer, dialled: to, listener: address, dialer_budget, listener_budget };
                let (near, far) = connection(ends, Some(self.connected()));
                stream.carry(far.accept(None));
                Ok(near)
            }
            Reached::Outside(address) => {
                // The gateway has both families, the pod need not.
                let dialer =
                    self.source(to).unwrap_or_else(|_| SocketAddr::new(unspecified_like(to.ip()), 0));
                let (dialer_budget, listener_budget) = budgets(None);
                let ends = Ends { dialer, dialled: to, listener: address, dialer_budget, listener_budget };
                pod.connect_outside(ends, self).await
            }
        }
    }

    fn source(&self, to: SocketAddr) -> Result<SocketAddr, NetworkError> {
        match self.bound() {
            Some(bound) if !bound.ip().is_unspecified() => Ok(bound),
            Some(bound) => Ok(SocketAddr::new(self.pod.source_ip(to.ip())?, bound.port())),
            None => {
                let port = self.pod.ports.lock().tcp.outgoing_port();
                Ok(SocketAddr::new(self.pod.source_ip(to.ip())?, port))
            }
        }
    }

    /// Counts as an open connection from now on.
    pub(crate) fn connected(mut self) -> Seat {
        if !std::mem::replace(&mut self.connected, true) {
            self.pod.connections.fetch_add(1, Ordering::AcqRel);
        }
        self
    }

    /// Counts as a connection that somebody else opened, if `dialer` is not the pod itself.
    pub(crate) fn serving(mut self, dialer: IpAddr) -> Seat {
        let foreign = dialer != self.pod.ip() && !dialer.is_loopback();
        if foreign && !std::mem::replace(&mut self.serving, true) {
            self.pod.serving.fetch_add(1, Ordering::AcqRel);
        }
        self
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        match self.bound {
            Some((Protocol::Tcp, address)) => self.pod.ports.lock().tcp.release(address),
            Some((Protocol::Udp, address)) => self.pod.ports.lock().udp.release(address),
            None => {}
        }
        if self.connected {
            self.pod.connections.fetch_sub(1, Ordering::AcqRel);
        }
        if self.serving {
            self.pod.serving.fetch_sub(1, Ordering::AcqRel);
        }
        self.pod.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}
