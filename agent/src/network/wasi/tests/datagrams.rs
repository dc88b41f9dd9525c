//! UDP: datagrams between guests.

use super::*;
use crate::network::wasi::bindings::wasi::sockets::udp::{
    HostIncomingDatagramStream as _, HostOutgoingDatagramStream as _, HostUdpSocket as _, OutgoingDatagram,
};
use crate::network::wasi::bindings::wasi::sockets::udp_create_socket::Host as _;
use wasmtime_wasi::p2::Pollable as _;
use wasmtime_wasi::p2::bindings::sockets::network::IpAddressFamily;

#[tokio::test]
async fn datagrams_pass() {
    let fabric = fabric();
    let (mut server, mut client) = (Guest::new(&fabric, 1), Guest::new(&fabric, 2));
    let bound = |guest: &mut Guest, at: &str| {
        let socket = guest.network().create_udp_socket(IpAddressFamily::Ipv4).unwrap();
        let network = guest.handle();
        guest.network().start_bind(again(&socket), network, address(at)).unwrap();
        guest.network().finish_bind(again(&socket)).unwrap();
        socket
    };
    let (far, near) = (bound(&mut server, "0.0.0.0:53"), bound(&mut client, "0.0.0.0:0"));
    let (incoming, _outgoing) = server.network().stream(again(&far), None).unwrap();
    let (_replies, outgoing) = client.network().stream(again(&near), Some(address("10.0.0.1:53"))).unwrap();
    let datagram = |data: &[u8]| OutgoingDatagram { data: data.to_vec(), remote_address: None };
    assert!(
        client
            .network()
            .send(again(&outgoing), vec![datagram(b"unpermitted")])
            .is_err_and(|error| error.downcast().is_err())
    );
    assert_eq!(client.network().check_send(again(&outgoing)).unwrap(), 16);
    let sent = client.network().send(again(&outgoing), vec![datagram(b"one"), datagram(b"two")]).unwrap();
    assert_eq!(sent, 2);
    server.table.get_mut(&incoming).unwrap().ready().await;
    let received = server.network().receive(again(&incoming), 10).unwrap();
    let texts: Vec<_> = received.iter().map(|datagram| datagram.data.as_slice()).collect();
    assert_eq!(texts, [b"one", b"two"]);
    assert_eq!(SocketAddr::from(received[0].remote_address).ip(), IpAddr::from([10, 0, 0, 2]));
    assert!(client.network().stream(again(&near), None).is_err_and(|error| error.downcast().is_err()));
}
