//! Who holds which port of a pod: exact addresses before wildcards, and no two that overlap.

use super::NetworkError;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

/// Ports that are given to sockets bound to port 0 and to outgoing connections, as Linux has them.
pub(crate) const EPHEMERAL_PORTS: RangeInclusive<u16> = 32768..=60999;

/// The bound sockets of one protocol.
pub(crate) struct PortTable<T> {
    bound: HashMap<u16, Vec<(IpAddr, T)>>,
    next: u16,
}

impl<T> Default for PortTable<T> {
    fn default() -> PortTable<T> {
        PortTable { bound: HashMap::new(), next: *EPHEMERAL_PORTS.start() }
    }
}

impl<T> PortTable<T> {
    /// Binds `holder`; port 0 finds a free one. Returns the address with its port.
    pub(crate) fn bind(&mut self, address: SocketAddr, holder: T) -> Result<SocketAddr, NetworkError> {
        let port = match address.port() {
            0 => self.free_port(address.ip())?,
            port if self.is_free(address.ip(), port) => port,
            _ => return Err(NetworkError::AddressInUse),
        };
        self.bound.entry(port).or_default().push((address.ip(), holder));
        Ok(SocketAddr::new(address.ip(), port))
    }

    /// Gives the port of exactly this address back.
    pub(crate) fn release(&mut self, address: SocketAddr) {
        let Some(holders) = self.bound.get_mut(&address.port()) else { return };
        holders.retain(|(ip, _)| *ip != address.ip());
        if holders.is_empty() {
            self.bound.remove(&address.port());
        }
    }

    /// The holder of exactly this address.
    pub(crate) fn holder_mut(&mut self, address: SocketAddr) -> Option<&mut T> {
        let holders = self.bound.get_mut(&address.port())?;
        holders.iter_mut().find(|(ip, _)| *ip == address.ip()).map(|(_, holder)| holder)
    }

    /// Who gets what is sent to `to`: its exact holder, or that of the wildcard of its family.
    pub(crate) fn find(&self, to: SocketAddr) -> Option<&T> {
        let holders = self.bound.get(&to.port())?;
        let takes = |bound: IpAddr| bound.is_unspecified() && bound.is_ipv4() == to.is_ipv4();
        let exact = holders.iter().find(|(ip, _)| *ip == to.ip());
        exact.or_else(|| holders.iter().find(|(ip, _)| takes(*ip))).map(|(_, holder)| holder)
    }

    /// All holders.
    pub(crate) fn holders(&self) -> impl Iterator<Item = &T> {
        self.bound.values().flatten().map(|(_, holder)| holder)
    }

    /// A port for an outgoing connection, which the peer sees but nobody else can bind to: they take turns.
    pub(crate) fn outgoing_port(&mut self) -> u16 {
        let port = self.next;
        self.next = if port == *EPHEMERAL_PORTS.end() { *EPHEMERAL_PORTS.start() } else { port + 1 };
        port
    }

    fn free_port(&mut self, ip: IpAddr) -> Result<u16, NetworkError> {
        for _ in EPHEMERAL_PORTS {
            let port = self.outgoing_port();
            if self.is_free(ip, port) {
                return Ok(port);
            }
        }
        Err(NetworkError::AddressInUse)
    }

    fn is_free(&self, ip: IpAddr, port: u16) -> bool {
        let overlaps = |bound: IpAddr| {
            bound.is_ipv4() == ip.is_ipv4() && (bound == ip || bound.is_unspecified() || ip.is_unspecified())
        };
        self.bound.get(&port).is_none_or(|holders| !holders.iter().any(|(bound, _)| overlaps(*bound)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn overlapping_binds_are_refused() {
        let mut table = PortTable::default();
        table.bind(address("127.0.0.1:80"), "local").unwrap();
        table.bind(address("10.0.0.1:80"), "pod").unwrap();
        assert_eq!(table.bind(address("0.0.0.0:80"), "any"), Err(NetworkError::AddressInUse));
        assert_eq!(table.bind(address("10.0.0.1:80"), "again"), Err(NetworkError::AddressInUse));
        table.bind(address("[::]:80"), "six").unwrap();
        assert_eq!(table.find(address("127.0.0.1:80")), Some(&"local"));
        assert_eq!(table.find(address("10.0.0.1:80")), Some(&"pod"));
        assert_eq!(table.find(address("[::1]:80")), Some(&"six"));
        assert_eq!(table.find(address("10.0.0.2:80")), None);
    }

    #[test]
    fn a_released_port_is_free_again() {
        let mut table = PortTable::default();
        let any = table.bind(address("0.0.0.0:80"), 1).unwrap();
        assert_eq!(table.find(address("127.0.0.1:80")), Some(&1));
        table.release(any);
        assert_eq!(table.find(address("127.0.0.1:80")), None);
        table.bind(address("127.0.0.1:80"), 2).unwrap();
    }

    #[test]
    fn port_zero_finds_a_free_one_until_there_is_none() {
        let mut table = PortTable::default();
        let count = EPHEMERAL_PORTS.count();
        for _ in 0..count {
            assert!(EPHEMERAL_PORTS.contains(&table.bind(address("10.0.0.1:0"), ()).unwrap().port()));
        }
        assert_eq!(table.bind(address("10.0.0.1:0"), ()), Err(NetworkError::AddressInUse));
        table.bind(address("127.0.0.1:0"), ()).unwrap();
    }
}
