//! Pods' addresses: taken in turn from the node's range, so that one that was given back is not used again soon.

use crate::network::Cidr;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

/// The addresses of the node's pods. Without a range there are none.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    first: u32,
    count: u32,
    next: u32,
    owners: BTreeMap<Ipv4Addr, String>,
    by_owner: HashMap<String, Ipv4Addr>,
}

impl Addresses {
    /// From now on gives the range's addresses without its first (the network), its second (kept for a gateway) and its
    /// last (broadcast). Errors: a range that is not IPv4 or too small.
    pub(crate) fn use_range(&mut self, range: Cidr) -> Result<(), String> {
        let text = range.to_string();
        let (network, bits) = text.split_once('/').unwrap_or((&text, "32"));
        let (network, bits): (Ipv4Addr, u32) = match (network.parse(), bits.parse()) {
            (Ok(network), Ok(bits)) => (network, bits),
            _ => return Err(format!("the pod range {text} is not an IPv4 range")),
        };
        if !(8..=29).contains(&bits) {
            return Err(format!("the pod range {text} must have a prefix of 8 to 29 bits"));
        }
        let size = 1u32 << (32 - bits);
        (self.first, self.count, self.next) = ((u32::from(network) & !(size - 1)) + 2, size - 3, 0);
        Ok(())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The address of pod `uid`: the one it has, else `wanted` if that is free, else the next free one.
    pub(crate) fn take(&mut self, uid: &str, wanted: Option<IpAddr>) -> Option<IpAddr> {
        if let Some(held) = self.by_owner.get(uid) {
            return Some(IpAddr::V4(*held));
        }
        let free = |address: &Ipv4Addr| !self.owners.contains_key(address);
        let wanted = match wanted {
            Some(IpAddr::V4(wanted)) if self.contains(wanted) && free(&wanted) => Some(wanted),
            _ => None,
        };
        let turn = |offset: u32| Ipv4Addr::from(self.first + (self.next + offset) % self.count);
        let address = wanted.or_else(|| (0..self.count).map(turn).find(free))?;
        self.next = (u32::from(address) - self.first + 1) % self.count;
        self.owners.insert(address, uid.to_string());
        self.by_owner.insert(uid.to_string(), address);
        Some(IpAddr::V4(address))
    }

    /// Gives a pod's address back.
    pub(crate) fn release(&mut self, uid: &str) {
        if let Some(address) = self.by_owner.remove(uid) {
            self.owners.remove(&address);
        }
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        (self.first..self.first + self.count).contains(&u32::from(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        let mut addresses = Addresses::default();
        addresses.use_range("10.244.7.9/29".parse().unwrap()).unwrap();
        addresses
    }

    #[test]
    fn addresses_are_taken_in_turn_and_not_soon_again() {
        let mut addresses = addresses();
        let mut take = |uid: &str| addresses.take(uid, None).map(|ip| ip.to_string());
        assert_eq!(take("a").unwrap(), "10.244.7.10");
        assert_eq!(take("b").unwrap(), "10.244.7.11");
        assert_eq!(take("a").unwrap(), "10.244.7.10");
        addresses.release("a");
        let mut take = |uid: &str| addresses.take(uid, None).map(|ip| ip.to_string());
        assert_eq!(
            [take("c"), take("d"), take("e")].map(Option::unwrap).concat(),
            "10.244.7.1210.244.7.1310.244.7.14"
        );
        assert_eq!(take("f").unwrap(), "10.244.7.10");
        assert_eq!(take("g"), None);
    }

    #[test]
    fn a_pod_that_comes_back_gets_its_own() {
        let mut addresses = addresses();
        let ip: IpAddr = "10.244.7.13".parse().unwrap();
        assert_eq!(addresses.take("a", Some(ip)), Some(ip));
        assert_ne!(addresses.take("b", Some(ip)), Some(ip));
        assert_ne!(addresses.take("c", "192.0.2.1".parse().ok()), "192.0.2.1".parse().ok());
        assert!(addresses.use_range("2001:db8::/64".parse().unwrap()).is_err());
        assert!(addresses.use_range("10.0.0.0/31".parse().unwrap()).is_err());
    }
}
