//! Which addresses a guest may name, as `wasi:sockets` demands of every host.

use std::net::{IpAddr, SocketAddr};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};

/// An address to bind to: of the socket's family and unicast.
pub(super) fn local(address: IpSocketAddress, family: IpAddressFamily) -> Result<SocketAddr, ErrorCode> {
    let address = SocketAddr::from(address);
    if is_of(address.ip(), family) && is_unicast(address.ip()) {
        Ok(address)
    } else {
        Err(ErrorCode::InvalidArgument)
    }
}

/// An address to send to: one to bind to, with a port, and not the wildcard.
pub(super) fn remote(address: IpSocketAddress, family: IpAddressFamily) -> Result<SocketAddr, ErrorCode> {
    let address = local(address, family)?;
    if address.port() == 0 || address.ip().is_unspecified() {
        Err(ErrorCode::InvalidArgument)
    } else {
        Ok(address)
    }
}

fn is_of(ip: IpAddr, family: IpAddressFamily) -> bool {
    match (ip, family) {
        (IpAddr::V4(_), IpAddressFamily::Ipv4) => true,
        // An IPv6 socket is one only: addresses that stand for IPv4 ones belong to the other family.
        (IpAddr::V6(v6), IpAddressFamily::Ipv6) => v6.to_ipv4_mapped().is_none(),
        _ => false,
    }
}

fn is_unicast(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_multicast(),
    }
}
