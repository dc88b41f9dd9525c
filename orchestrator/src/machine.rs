//! What this machine is called and where it is reached, as the kernel tells it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of this machine's interfaces, loopback among them, in the kernel's order.
pub(crate) fn addresses() -> Vec<IpAddr> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let v4 = local_v4(&read("/proc/net/fib_trie")).into_iter().map(IpAddr::V4);
    let v6 = local_v6(&read("/proc/net/if_inet6")).into_iter().map(IpAddr::V6);
    v4.chain(v6).collect()
}

/// This machine's name, if it can stand in a certificate.
pub(crate) fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_lowercase();
    let fits = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    (fits && !name.is_empty()).then_some(name)
}

/// An address stands in the trie above the line that calls it a local host.
fn local_v4(trie: &str) -> Vec<Ipv4Addr> {
    let (mut found, mut last) = (Vec::new(), None);
    for line in trie.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            last = address.parse().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last.filter(|address| !found.contains(address))
        {
            found.push(address);
        }
    }
    found
}

/// Link-local ones are left out: they mean nothing without an interface.
fn local_v6(table: &str) -> Vec<Ipv6Addr> {
    let address = |line: &str| {
        let bits = u128::from_str_radix(line.split_whitespace().next()?, 16).ok()?;
        Some(Ipv6Addr::from(bits)).filter(|address| !address.is_unicast_link_local())
    };
    table.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let trie = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.1.2.0/24 2\n        \
            |-- 10.1.2.0\n           /24 link UNICAST\n        |-- 10.1.2.3\n           /32 host LOCAL\n        \
            |-- 10.1.2.255\n           /32 link BROADCAST\nLocal:\n        |-- 10.1.2.3\n           /32 host LOCAL\n     \
            |-- 127.0.0.1\n        /32 host LOCAL\n";
        assert_eq!(local_v4(trie), [Ipv4Addr::new(10, 1, 2, 3), Ipv4Addr::LOCALHOST]);
        let table = "00000000000000000000000000000001 01 80 10 80 lo\nfe80000000000000000000000000000a 02 40 20 80 eth0\n";
        assert_eq!(local_v6(table), [Ipv6Addr::LOCALHOST]);
        assert!(addresses().contains(&Ipv4Addr::LOCALHOST.into()));
    }
}
