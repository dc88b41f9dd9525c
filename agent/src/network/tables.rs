//! What the fabric knows of the cluster: Services and names. Compiled elsewhere from API objects, swapped as a
//! whole; a connection that is open is never touched by a swap.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Transport of a Service's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Byte streams.
    Tcp,
    /// Datagrams.
    Udp,
}

/// `spec.sessionAffinity` of a Service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Affinity {
    /// Endpoints in turn.
    #[default]
    None,
    /// One endpoint for each client address, as long as that endpoint exists.
    ClientIp,
}

/// One port of one Service address, and where it leads.
#[derive(Debug, Default)]
pub struct ServicePort {
    /// Ready endpoints, in a stable order.
    pub endpoints: Vec<SocketAddr>,
    /// How an endpoint is chosen.
    pub affinity: Affinity,
    /// The endpoints lie outside of the fabric and the node itself vouches for them (the API server's own
    /// Service): they are reached without an egress rule.
    pub vouched: bool,
    next: AtomicUsize,
}

impl ServicePort {
    /// A port that spreads over `endpoints`, which are ready ones only.
    pub fn new(endpoints: Vec<SocketAddr>, affinity: Affinity) -> ServicePort {
        // Every port begins elsewhere, so that a swap of the tables does not send everybody to the first endpoint.
        ServicePort { endpoints, affinity, vouched: false, next: AtomicUsize::new(fastrand::usize(..)) }
    }

    /// Marks the endpoints as vouched for by the node, see [`ServicePort::vouched`].
    pub fn vouched(mut self) -> ServicePort {
        self.vouched = true;
        self
    }

    /// All endpoints, beginning with `picked` and going on from there.
    pub(crate) fn from(&self, picked: SocketAddr) -> impl Iterator<Item = SocketAddr> {
        let at = self.endpoints.iter().position(|endpoint| *endpoint == picked).unwrap_or(0);
        let (before, after) = self.endpoints.split_at(at.min(self.endpoints.len()));
        after.iter().chain(before).copied()
    }

    /// The endpoint for the next connection of `client`; `None` when there is none.
    pub fn pick(&self, client: IpAddr) -> Option<SocketAddr> {
        match self.affinity {
            Affinity::None => {
                let turn = self.next.fetch_add(1, Ordering::Relaxed);
                self.endpoints.get(turn.checked_rem(self.endpoints.len())?).copied()
            }
            // Rendezvous hashing: a client moves only when its own endpoint goes.
            Affinity::ClientIp => {
                self.endpoints.iter().max_by_key(|endpoint| weight(client, endpoint)).copied()
            }
        }
    }
}

fn weight(client: IpAddr, endpoint: &SocketAddr) -> u64 {
    let mut hasher = DefaultHasher::new();
    (client, endpoint).hash(&mut hasher);
    hasher.finish()
}

/// Services and names of the cluster at one moment.
#[derive(Debug, Default)]
pub struct Tables {
    services: HashMap<(IpAddr, u16, Protocol), Arc<ServicePort>>,
    service_addresses: HashSet<IpAddr>,
    names: HashMap<String, Vec<IpAddr>>,
}

impl Tables {
    /// Empty tables: no Service, no name.
    pub fn new() -> Tables {
        Tables::default()
    }

    /// Adds one port of a Service address. A headless Service has none and is only named.
    pub fn add_service(&mut self, address: IpAddr, port: u16, protocol: Protocol, to: Arc<ServicePort>) {
        self.service_addresses.insert(address);
        self.services.insert((address, port, protocol), to);
    }

    /// Names `addresses`: fully qualified, without the trailing dot. A ClusterIP has one, a headless Service those
    /// of its endpoints. Names added before are extended.
    pub fn add_name(&mut self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        self.names.entry(name.to_ascii_lowercase()).or_default().extend(addresses);
    }

    /// The Service port at this address.
    pub fn service(&self, address: SocketAddr, protocol: Protocol) -> Option<&Arc<ServicePort>> {
        self.services.get(&(address.ip(), address.port(), protocol))
    }

    /// Whether the address is some Service's, on whatever port.
    pub fn is_service_address(&self, address: IpAddr) -> bool {
        self.service_addresses.contains(&address)
    }

    /// The addresses of a fully qualified lower-case name; an empty slice for a headless Service without endpoints.
    pub fn lookup(&self, name: &str) -> Option<&[IpAddr]> {
        self.names.get(name).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints() -> Vec<SocketAddr> {
        ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"].map(|address| address.parse().unwrap()).to_vec()
    }

    #[test]
    fn endpoints_take_turns() {
        let port = ServicePort::new(endpoints(), Affinity::None);
        let client = IpAddr::from([10, 0, 0, 9]);
        let mut seen: Vec<_> = (0..6).map(|_| port.pick(client).unwrap()).collect();
        assert_eq!(seen[..3], seen[3..]);
        seen.truncate(3);
        seen.sort();
        assert_eq!(seen, endpoints());
    }

    #[test]
    fn no_endpoint_is_no_choice() {
        let client = IpAddr::from([10, 0, 0, 9]);
        assert_eq!(ServicePort::new(Vec::new(), Affinity::None).pick(client), None);
        assert_eq!(ServicePort::new(Vec::new(), Affinity::ClientIp).pick(client), None);
    }

    #[test]
    fn affinity_moves_a_client_only_when_its_endpoint_goes() {
        let whole = ServicePort::new(endpoints(), Affinity::ClientIp);
        for last in 1..100 {
            let client = IpAddr::from([10, 0, 1, last]);
            let chosen = whole.pick(client).unwrap();
            assert_eq!(whole.pick(client), Some(chosen));
            let mut fewer = endpoints();
            fewer.retain(|endpoint| *endpoint == chosen || endpoint.ip() != IpAddr::from([10, 0, 0, 1]));
            assert_eq!(ServicePort::new(fewer, Affinity::ClientIp).pick(client), Some(chosen));
        }
    }

    #[test]
    fn names_are_lower_case_and_add_up() {
        let mut tables = Tables::new();
        tables.add_name("Web.default.svc.cluster.local", [IpAddr::from([10, 0, 0, 1])]);
        tables.add_name("web.default.svc.cluster.local", [IpAddr::from([10, 0, 0, 2])]);
        assert_eq!(tables.lookup("web.default.svc.cluster.local").map(<[_]>::len), Some(2));
        assert_eq!(tables.lookup("other.default.svc.cluster.local"), None);
    }
}
