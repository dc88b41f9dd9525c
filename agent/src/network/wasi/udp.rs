//! `wasi:sockets/udp` and `udp-create-socket`.

use super::bindings::wasi::sockets::udp::{
    Host, HostIncomingDatagramStream, HostOutgoingDatagramStream, HostUdpSocket, IncomingDatagram,
    OutgoingDatagram,
};
use super::bindings::wasi::sockets::udp_create_socket;
use super::{NetworkCtx, address, positive};
use crate::network::{NetworkError, Seat, UdpSocket as FabricSocket};
use bytes::Bytes;
use std::future::poll_fn;
use std::mem;
use std::net::SocketAddr;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, SocketResult, subscribe};

/// Datagrams in one call.
const DATAGRAMS_PER_CALL: usize = 16;
/// Bytes after which a call takes no further datagram.
const BYTES_PER_CALL: usize = 64 * 1024;

enum State {
    Unbound(Seat),
    BindStarted(Arc<FabricSocket>),
    Bound(Arc<FabricSocket>),
    Closed,
}

/// A `udp-socket`.
pub struct UdpSocket {
    state: State,
    family: IpAddressFamily,
    hop_limit: u8,
    receive_buffer_bytes: u64,
    send_buffer_bytes: u64,
}

impl UdpSocket {
    fn start_bind(&mut self, address: SocketAddr) -> Result<(), ErrorCode> {
        match mem::replace(&mut self.state, State::Closed) {
            State::Unbound(seat) => match FabricSocket::bind(seat, address) {
                Ok(socket) => {
                    self.state = State::BindStarted(Arc::new(socket));
                    Ok(())
                }
                Err((seat, error)) => {
                    self.state = State::Unbound(seat);
                    Err(error.into())
                }
            },
            state => {
                let in_progress = matches!(state, State::BindStarted(_));
                self.state = state;
                Err(if in_progress { ErrorCode::ConcurrencyConflict } else { ErrorCode::InvalidState })
            }
        }
    }

    fn finish_bind(&mut self) -> Result<(), ErrorCode> {
        match mem::replace(&mut self.state, State::Closed) {
            State::BindStarted(socket) => {
                self.state = State::Bound(socket);
                Ok(())
            }
            state => {
                self.state = state;
                Err(ErrorCode::NotInProgress)
            }
        }
    }

    fn bound(&self) -> Result<&Arc<FabricSocket>, ErrorCode> {
        match &self.state {
            State::Bound(socket) => Ok(socket),
            _ => Err(ErrorCode::InvalidState),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for UdpSocket {
    async fn ready(&mut self) {}
}

/// Received datagrams, as a stream.
pub struct IncomingDatagramStream(Arc<FabricSocket>);

#[async_trait::async_trait]
impl Pollable for IncomingDatagramStream {
    async fn ready(&mut self) {
        poll_fn(|context| self.0.poll_readable(context)).await;
    }
}

/// Datagrams to be sent, as a stream.
pub struct OutgoingDatagramStream {
    socket: Arc<FabricSocket>,
    family: IpAddressFamily,
    permit: usize,
}

impl OutgoingDatagramStream {
    fn send(&self, datagram: OutgoingDatagram) -> Result<(), ErrorCode> {
        let to = datagram.remote_address.map(|to| address::remote(to, self.family)).transpose()?;
        match self.socket.send(Bytes::from(datagram.data), to) {
            Err(NetworkError::NotConnected) => Err(ErrorCode::InvalidArgument),
            outcome => Ok(outcome?),
        }
    }
}

#[async_trait::async_trait]
impl Pollable for OutgoingDatagramStream {
    async fn ready(&mut self) {}
}

impl udp_create_socket::Host for NetworkCtx<'_> {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<UdpSocket>> {
        let socket = UdpSocket {
            state: State::Unbound(self.network.seat()?),
            family,
            hop_limit: 64,
            receive_buffer_bytes: BYTES_PER_CALL as u64,
            send_buffer_bytes: BYTES_PER_CALL as u64,
        };
        Ok(self.table.push(socket)?)
    }
}

impl Host for NetworkCtx<'_> {}

impl HostUdpSocket for NetworkCtx<'_> {
    fn start_bind(
        &mut self,
        this: Resource<UdpSocket>,
        network: Resource<Network>,
        local_address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&this)?;
        let local = address::local(local_address, socket.family)?;
        Ok(socket.start_bind(local)?)
    }

    fn finish_bind(&mut self, this: Resource<UdpSocket>) -> SocketResult<()> {
        Ok(self.table.get_mut(&this)?.finish_bind()?)
    }

    fn stream(
        &mut self,
        this: Resource<UdpSocket>,
        remote_address: Option<IpSocketAddress>,
    ) -> SocketResult<(Resource<IncomingDatagramStream>, Resource<OutgoingDatagramStream>)> {
        let is_stream = |child: &dyn std::any::Any| {
            child.is::<IncomingDatagramStream>() || child.is::<OutgoingDatagramStream>()
        };
        if self.table.iter_children(&this)?.any(|child| is_stream(child)) {
            return Err(SocketError::trap(wasmtime::format_err!(
                "the streams of this socket are still in use"
            )));
        }
        let socket = self.table.get(&this)?;
        let (bound, family) = (socket.bound()?.clone(), socket.family);
        bound.connect(remote_address.map(|to| address::remote(to, family)).transpose()?)?;
        let incoming = IncomingDatagramStream(bound.clone());
        let outgoing = OutgoingDatagramStream { socket: bound, family, permit: 0 };
        Ok((self.table.push_child(incoming, &this)?, self.table.push_child(outgoing, &this)?))
    }

    fn local_address(&mut self, this: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&this)?.bound()?.local_address().into())
    }

    fn remote_address(&mut self, this: Resource<UdpSocket>) -> SocketResult<IpSocketAddress> {
        let peer = self.table.get(&this)?.bound()?.peer_address();
        Ok(peer.ok_or(ErrorCode::InvalidState)?.into())
    }

    fn address_family(&mut self, this: Resource<UdpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&this)?.family)
    }

    fn unicast_hop_limit(&mut self, this: Resource<UdpSocket>) -> SocketResult<u8> {
        Ok(self.table.get(&this)?.hop_limit)
    }

    fn set_unicast_hop_limit(&mut self, this: Resource<UdpSocket>, value: u8) -> SocketResult<()> {
        self.table.get_mut(&this)?.hop_limit = positive(value)?;
        Ok(())
    }

    fn receive_buffer_size(&mut self, this: Resource<UdpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&this)?.receive_buffer_bytes)
    }

    fn set_receive_buffer_size(&mut self, this: Resource<UdpSocket>, value: u64) -> SocketResult<()> {
        self.table.get_mut(&this)?.receive_buffer_bytes = positive(value)?;
        Ok(())
    }

    fn send_buffer_size(&mut self, this: Resource<UdpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&this)?.send_buffer_bytes)
    }

    fn set_send_buffer_size(&mut self, this: Resource<UdpSocket>, value: u64) -> SocketResult<()> {
        self.table.get_mut(&this)?.send_buffer_bytes = positive(value)?;
        Ok(())
    }

    fn subscribe(&mut self, this: Resource<UdpSocket>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<UdpSocket>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostIncomingDatagramStream for NetworkCtx<'_> {
    fn receive(
        &mut self,
        this: Resource<IncomingDatagramStream>,
        max_results: u64,
    ) -> SocketResult<Vec<IncomingDatagram>> {
        let socket = &self.table.get(&this)?.0;
        let limit = usize::try_from(max_results).unwrap_or(usize::MAX).min(DATAGRAMS_PER_CALL);
        let (mut received, mut received_bytes) = (Vec::new(), 0);
        while received.len() < limit && received_bytes < BYTES_PER_CALL {
            let Ok(datagram) = socket.try_recv() else { break };
            received_bytes += datagram.bytes.len();
            received
                .push(IncomingDatagram { data: datagram.bytes.into(), remote_address: datagram.from.into() });
        }
        Ok(received)
    }

    fn subscribe(
        &mut self,
        this: Resource<IncomingDatagramStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<IncomingDatagramStream>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

impl HostOutgoingDatagramStream for NetworkCtx<'_> {
    fn check_send(&mut self, this: Resource<OutgoingDatagramStream>) -> SocketResult<u64> {
        self.table.get_mut(&this)?.permit = DATAGRAMS_PER_CALL;
        Ok(DATAGRAMS_PER_CALL as u64)
    }

    fn send(
        &mut self,
        this: Resource<OutgoingDatagramStream>,
        datagrams: Vec<OutgoingDatagram>,
    ) -> SocketResult<u64> {
        let stream = self.table.get_mut(&this)?;
        if datagrams.is_empty() {
            return Ok(0);
        }
        if datagrams.len() > mem::take(&mut stream.permit) {
            return Err(SocketError::trap(wasmtime::format_err!("send exceeds what check-send permitted")));
        }
        let mut sent = 0;
        for datagram in datagrams {
            match stream.send(datagram) {
                Ok(()) => sent += 1,
                // What has been sent counts; the error comes again with the next call.
                Err(_) if sent > 0 => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    fn subscribe(
        &mut self,
        this: Resource<OutgoingDatagramStream>,
    ) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn drop(&mut self, this: Resource<OutgoingDatagramStream>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
