//! TCP: guests that talk, and guests that call out of order.

use super::*;
use crate::network::SOCKETS_PER_POD;
use crate::network::wasi::bindings::wasi::sockets::tcp::{HostTcpSocket as _, ShutdownType};
use crate::network::wasi::bindings::wasi::sockets::tcp_create_socket::Host as _;
use crate::network::wasi::bindings::wasi::sockets::udp_create_socket::Host as _;
use crate::network::wasi::tcp::TcpSocket;
use bytes::Bytes;
use wasmtime_wasi::p2::bindings::sockets::network::IpAddressFamily;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, Pollable as _, StreamError};

type Streams = (Resource<TcpSocket>, Resource<DynInputStream>, Resource<DynOutputStream>);

impl Guest {
    fn socket(&mut self) -> Resource<TcpSocket> {
        self.network().create_tcp_socket(IpAddressFamily::Ipv4).unwrap()
    }

    fn bind(&mut self, socket: &Resource<TcpSocket>, to: &str) -> SocketResult<()> {
        let network = self.handle();
        self.network().start_bind(again(socket), network, address(to))?;
        self.network().finish_bind(again(socket))
    }

    fn listener(&mut self, at: &str) -> Resource<TcpSocket> {
        let socket = self.socket();
        self.bind(&socket, at).unwrap();
        self.network().start_listen(again(&socket)).unwrap();
        self.network().finish_listen(again(&socket)).unwrap();
        socket
    }

    fn connect(&mut self, to: &str) -> SocketResult<Streams> {
        let (socket, network) = (self.socket(), self.handle());
        self.network().start_connect(again(&socket), network, address(to))?;
        let (input, output) = self.network().finish_connect(again(&socket))?;
        Ok((socket, input, output))
    }

    fn write(&mut self, output: &Resource<DynOutputStream>, bytes: &'static [u8]) {
        let stream = self.table.get_mut(output).unwrap();
        assert!(stream.check_write().unwrap() >= bytes.len());
        stream.write(Bytes::from_static(bytes)).unwrap();
    }

    fn read(&mut self, input: &Resource<DynInputStream>) -> Result<Bytes, StreamError> {
        self.table.get_mut(input).unwrap().read(1000)
    }

    fn drop_streams(&mut self, streams: Streams) {
        self.table.delete(streams.1).unwrap();
        self.table.delete(streams.2).unwrap();
        self.network().drop(streams.0).unwrap();
    }
}

#[tokio::test]
async fn guests_talk() {
    let fabric = fabric();
    let (mut server, mut client) = (Guest::new(&fabric, 1), Guest::new(&fabric, 2));
    let listener = server.listener("0.0.0.0:80");
    assert_eq!(code(server.network().accept(again(&listener))), ErrorCode::WouldBlock);
    let near = client.connect("10.0.0.1:80").unwrap();
    server.table.get_mut(&listener).unwrap().ready().await;
    let far = server.network().accept(again(&listener)).unwrap();
    let local = SocketAddr::from(server.network().local_address(again(&far.0)).unwrap());
    let remote = SocketAddr::from(server.network().remote_address(again(&far.0)).unwrap());
    assert_eq!(local, "10.0.0.1:80".parse().unwrap());
    assert_eq!(remote, client.network().local_address(again(&near.0)).unwrap().into());
    assert!(client.read(&near.1).unwrap().is_empty());
    server.write(&far.2, b"hello");
    client.table.get_mut(&near.1).unwrap().ready().await;
    assert_eq!(&client.read(&near.1).unwrap()[..], b"hello");
    // The end comes when the streams and the socket have gone.
    server.table.delete(far.2).unwrap();
    assert!(client.read(&near.1).unwrap().is_empty());
    server.table.delete(far.1).unwrap();
    server.network().drop(far.0).unwrap();
    assert!(matches!(client.read(&near.1), Err(StreamError::Closed)));
    assert!(matches!(client.table.get_mut(&near.2).unwrap().check_write(), Err(StreamError::Closed)));
}

#[tokio::test]
async fn half_close_and_deafness() {
    let fabric = fabric();
    let (mut server, mut client) = (Guest::new(&fabric, 1), Guest::new(&fabric, 2));
    let listener = server.listener("0.0.0.0:80");
    let near = client.connect("10.0.0.1:80").unwrap();
    let far = server.network().accept(again(&listener)).unwrap();
    client.write(&near.2, b"question");
    client.network().shutdown(again(&near.0), ShutdownType::Send).unwrap();
    assert!(matches!(client.table.get_mut(&near.2).unwrap().check_write(), Err(StreamError::Closed)));
    assert_eq!(&server.read(&far.1).unwrap()[..], b"question");
    assert!(matches!(server.read(&far.1), Err(StreamError::Closed)));
    server.write(&far.2, b"answer");
    assert_eq!(&client.read(&near.1).unwrap()[..], b"answer");
    client.network().shutdown(again(&near.0), ShutdownType::Receive).unwrap();
    server.write(&far.2, b"unheard");
    assert!(matches!(client.read(&near.1), Err(StreamError::Closed)));
}

#[tokio::test]
async fn errors_of_connect_come_out_of_finish_connect() {
    let fabric = fabric();
    let mut client = Guest::new(&fabric, 2);
    for (to, expected) in [
        ("10.0.0.1:80", ErrorCode::RemoteUnreachable),
        ("127.0.0.1:80", ErrorCode::ConnectionRefused),
        ("192.0.2.1:80", ErrorCode::AccessDenied),
    ] {
        let (socket, network) = (client.socket(), client.handle());
        client.network().start_connect(again(&socket), network, address(to)).unwrap();
        assert_eq!(code(client.network().finish_connect(again(&socket))), expected, "{to}");
        assert_eq!(code(client.network().finish_connect(again(&socket))), ErrorCode::NotInProgress, "{to}");
    }
}

#[tokio::test]
async fn calls_out_of_order_are_refused() {
    let fabric = fabric();
    let mut guest = Guest::new(&fabric, 1);
    let socket = guest.socket();
    assert_eq!(code(guest.network().finish_bind(again(&socket))), ErrorCode::NotInProgress);
    assert_eq!(code(guest.network().start_listen(again(&socket))), ErrorCode::InvalidState);
    assert_eq!(code(guest.network().accept(again(&socket))), ErrorCode::InvalidState);
    assert_eq!(code(guest.network().local_address(again(&socket))), ErrorCode::InvalidState);
    assert_eq!(code(guest.network().shutdown(again(&socket), ShutdownType::Both)), ErrorCode::InvalidState);
    for bad in ["[::1]:80", "224.0.0.1:80", "255.255.255.255:80"] {
        assert_eq!(code(guest.bind(&socket, bad)), ErrorCode::InvalidArgument, "{bad}");
    }
    assert_eq!(code(guest.bind(&socket, "10.0.0.9:80")), ErrorCode::AddressNotBindable);
    for bad in ["0.0.0.0:80", "10.0.0.1:0", "[2001:db8::1]:80"] {
        let network = guest.handle();
        let outcome = guest.network().start_connect(again(&socket), network, address(bad));
        assert_eq!(code(outcome), ErrorCode::InvalidArgument, "{bad}");
    }
    let network = guest.handle();
    guest.network().start_bind(again(&socket), network, address("127.0.0.1:80")).unwrap();
    assert_eq!(code(guest.network().start_listen(again(&socket))), ErrorCode::ConcurrencyConflict);
    guest.network().finish_bind(again(&socket)).unwrap();
    assert_eq!(code(guest.bind(&socket, "127.0.0.1:81")), ErrorCode::InvalidState);
    let other = guest.socket();
    assert_eq!(code(guest.bind(&other, "0.0.0.0:80")), ErrorCode::AddressInUse);
}

#[tokio::test]
async fn options_are_kept_and_never_zero() {
    let fabric = fabric();
    let mut guest = Guest::new(&fabric, 1);
    let socket = guest.socket();
    let mut network = guest.network();
    network.set_hop_limit(again(&socket), 7).unwrap();
    network.set_send_buffer_size(again(&socket), 4096).unwrap();
    assert_eq!(network.hop_limit(again(&socket)).unwrap(), 7);
    assert_eq!(network.send_buffer_size(again(&socket)).unwrap(), 4096);
    assert_eq!(code(network.set_hop_limit(again(&socket), 0)), ErrorCode::InvalidArgument);
    assert_eq!(code(network.set_listen_backlog_size(again(&socket), 0)), ErrorCode::InvalidArgument);
}

#[tokio::test]
async fn the_socket_limit_is_an_answer_not_a_trap() {
    let fabric = fabric();
    let mut guest = Guest::new(&fabric, 1);
    let sockets: Vec<_> = (0..SOCKETS_PER_POD).map(|_| guest.socket()).collect();
    let mut network = guest.network();
    assert_eq!(code(network.create_tcp_socket(IpAddressFamily::Ipv4)), ErrorCode::NewSocketLimit);
    assert_eq!(code(network.create_udp_socket(IpAddressFamily::Ipv4)), ErrorCode::NewSocketLimit);
    for socket in sockets {
        network.drop(socket).unwrap();
    }
    guest.socket();
}

#[tokio::test]
async fn a_write_past_the_permit_traps() {
    let fabric = fabric();
    let (mut server, mut client) = (Guest::new(&fabric, 1), Guest::new(&fabric, 2));
    let _listener = server.listener("0.0.0.0:80");
    let near = client.connect("10.0.0.1:80").unwrap();
    let stream = client.table.get_mut(&near.2).unwrap();
    assert!(matches!(stream.write(Bytes::from_static(b"x")), Err(StreamError::Trap(_))));
    let permit = stream.check_write().unwrap();
    assert_eq!(permit, 64 * 1024);
    assert!(matches!(stream.write(Bytes::from(vec![0; permit + 1])), Err(StreamError::Trap(_))));
    stream.write(Bytes::from(vec![0; permit])).unwrap();
    // Until the buffer is full, then the permit is nothing and readiness waits for the reader.
    while stream.check_write().unwrap() > 0 {
        let permit = stream.check_write().unwrap();
        stream.write(Bytes::from(vec![0; permit])).unwrap();
    }
    assert!(futures_util::FutureExt::now_or_never(stream.ready()).is_none());
    client.drop_streams(near);
}

#[tokio::test]
async fn a_socket_cannot_go_before_its_streams() {
    let fabric = fabric();
    let (mut server, mut client) = (Guest::new(&fabric, 1), Guest::new(&fabric, 2));
    let _listener = server.listener("0.0.0.0:80");
    let near = client.connect("10.0.0.1:80").unwrap();
    assert!(client.network().drop(again(&near.0)).is_err());
    client.drop_streams(near);
    assert_eq!(client.network.connection_count(), 0);
}

#[tokio::test]
async fn accept_is_an_error_once_listening_has_stopped() {
    let fabric = fabric();
    let mut server = Guest::new(&fabric, 1);
    let listener = server.listener("0.0.0.0:80");
    server.network.stop_listening();
    server.table.get_mut(&listener).unwrap().ready().await;
    assert_eq!(code(server.network().accept(again(&listener))), ErrorCode::InvalidArgument);
}
