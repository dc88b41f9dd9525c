//! TCP from a guest's side: [`listen`], [`accept`], [`connect`]. A connection is a socket and its two streams; the
//! streams must be dropped before the socket, which the order of the fields sees to.

use alloc::{format, string::String};
use wasip2::io::streams::{InputStream, OutputStream};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// An open connection.
pub struct Connection {
    pub input: InputStream,
    pub output: OutputStream,
    pub socket: TcpSocket,
}

/// Listens on every address of the pod.
pub fn listen(port: u16) -> Result<TcpSocket, ErrorCode> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4)?;
    let any = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (0, 0, 0, 0) });
    socket.start_bind(&instance_network(), any)?;
    wait(&socket, TcpSocket::finish_bind)?;
    socket.start_listen()?;
    wait(&socket, TcpSocket::finish_listen)?;
    Ok(socket)
}

/// The next connection, waiting for it.
pub fn accept(listener: &TcpSocket) -> Result<Connection, ErrorCode> {
    let (socket, input, output) = wait(listener, TcpSocket::accept)?;
    Ok(Connection { input, output, socket })
}

/// Dials `host` (a name or an address) on `port`, trying its addresses in turn.
pub fn connect(host: &str, port: u16) -> Result<Connection, String> {
    let mut failure = format!("{host}: no address");
    let names =
        resolve_addresses(&instance_network(), host).map_err(|error| format!("{host}: {}", error.name()))?;
    loop {
        let address = match names.resolve_next_address() {
            Ok(Some(address)) => address,
            Ok(None) => return Err(failure),
            Err(ErrorCode::WouldBlock) => {
                names.subscribe().block();
                continue;
            }
            Err(error) => return Err(format!("{host}: {}", error.name())),
        };
        match dial(address, port) {
            Ok(connection) => return Ok(connection),
            Err(error) => failure = format!("{host}:{port}: {}", error.name()),
        }
    }
}

fn dial(address: IpAddress, port: u16) -> Result<Connection, ErrorCode> {
    let (family, remote) = match address {
        IpAddress::Ipv4(address) => {
            (IpAddressFamily::Ipv4, IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address }))
        }
        IpAddress::Ipv6(address) => (
            IpAddressFamily::Ipv6,
            IpSocketAddress::Ipv6(Ipv6SocketAddress { port, flow_info: 0, address, scope_id: 0 }),
        ),
    };
    let socket = create_tcp_socket(family)?;
    socket.start_connect(&instance_network(), remote)?;
    let (input, output) = wait(&socket, TcpSocket::finish_connect)?;
    Ok(Connection { input, output, socket })
}

/// Asks `finish` until it no longer says that it would block.
fn wait<T>(socket: &TcpSocket, finish: impl Fn(&TcpSocket) -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
    loop {
        match finish(socket) {
            Err(ErrorCode::WouldBlock) => socket.subscribe().block(),
            done => return done,
        }
    }
}
