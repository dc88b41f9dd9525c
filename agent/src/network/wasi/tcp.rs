//! `wasi:sockets/tcp` and `tcp-create-socket`.

use super::bindings::wasi::sockets::tcp::{Host, HostTcpSocket, ShutdownType};
use super::bindings::wasi::sockets::tcp_create_socket;
use super::tcp_streams::{TcpInput, TcpOutput};
use super::{NetworkCtx, address, positive};
use crate::network::{BACKLOG_DEFAULT, Connection, End, Listener, NetworkError, Seat};
use futures_util::FutureExt;
use std::future::poll_fn;
use std::mem;
use std::net::{Shutdown, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use wasmtime::component::Resource;
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress, Network};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, Pollable, SocketResult, subscribe};

type Connecting = Pin<Box<dyn Future<Output = Result<Connection, NetworkError>> + Send>>;

enum State {
    Unbound(Seat),
    BindStarted(Seat),
    Bound(Seat),
    ListenStarted(Listener),
    Listening(Listener),
    Connecting(Connecting),
    /// The connect has ended and `finish-connect` will tell how.
    ConnectDone(Result<Connection, NetworkError>),
    Connected(Arc<End>),
    Closed,
}

/// Options that mean nothing here: kept and given back.
struct Options {
    keep_alive: bool,
    keep_alive_idle_nanoseconds: u64,
    keep_alive_interval_nanoseconds: u64,
    keep_alive_count: u32,
    hop_limit: u8,
    receive_buffer_bytes: u64,
    send_buffer_bytes: u64,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            keep_alive: false,
            keep_alive_idle_nanoseconds: 7200 * 1_000_000_000,
            keep_alive_interval_nanoseconds: 75 * 1_000_000_000,
            keep_alive_count: 9,
            hop_limit: 64,
            receive_buffer_bytes: crate::network::BUFFER_BYTES as u64,
            send_buffer_bytes: crate::network::BUFFER_BYTES as u64,
        }
    }
}

/// A `tcp-socket`.
pub struct TcpSocket {
    state: State,
    family: IpAddressFamily,
    backlog: usize,
    options: Options,
}

impl TcpSocket {
    fn new(state: State, family: IpAddressFamily) -> TcpSocket {
        TcpSocket { state, family, backlog: BACKLOG_DEFAULT, options: Options::default() }
    }

    fn start_bind(&mut self, address: SocketAddr) -> Result<(), ErrorCode> {
        match mem::replace(&mut self.state, State::Closed) {
            State::Unbound(mut seat) => {
                let outcome = seat.bind(address);
                self.state = if outcome.is_ok() { State::BindStarted(seat) } else { State::Unbound(seat) };
                outcome.map(drop).map_err(ErrorCode::from)
            }
            state => Err(self.refuse(state)),
        }
    }

    fn finish_bind(&mut self) -> Result<(), ErrorCode> {
        match mem::replace(&mut self.state, State::Closed) {
            State::BindStarted(seat) => {
                self.state = State::Bound(seat);
                Ok(())
            }
            state => Err(self.not_in_progress(state)),
        }
    }

    fn start_connect(&mut self, to: SocketAddr) -> Result<(), ErrorCode> {
        match mem::replace(&mut self.state, State::Closed) {
            State::Unbound(seat) | State::Bound(seat) => {
                let mut connecting: Connecting = Box::pin(seat.connect(to));
                // Within the node a connection is there at once.
                self.state = match (&mut connecting).now_or_never() {
                    Some(outcome) => State::ConnectDone(outcome),
                    None => State::Connecting(connecting),
                };
                Ok(())
            }
            state => Err(self.refuse(state)),
        }
    }

    fn finish_connect(&mut self) -> Result<(TcpInput, TcpOutput), ErrorCode> {
        self.poll_connecting();
        match mem::replace(&mut self.state, State::Closed) {
            State::ConnectDone(outcome) => Ok(self.connected(outcome?)),
            State::Connecting(connecting) => {
                self.state = State::Connecting(connecting);
                Err(ErrorCode::WouldBlock)
            }
            state => Err(self.not_in_progress(state)),
        }
    }

    fn poll_connecting(&mut self) {
        if let State::Connecting(connecting) = &mut self.state
            && let Some(outcome) = connecting.now_or_never()
        {
            self.state = State::ConnectDone(outcome);
        }
    }

    fn connected(&mut self, connection: Connection) -> (TcpInput, TcpOutput) {
        self.state = State::Connected(connection.end().clone());
        let (read, write) = connection.into_halves();
        (TcpInput::new(read), TcpOutput::new(write))
    }

    fn start_listen(&mut self) -> Result<(), ErrorCode> {
        match mem::replace(&mut self.state, State::Closed) {
            State::Bound(seat) => {
                self.state = State::ListenStarted(seat.listen(self.backlog)?);
                Ok(())
            }
            state => Err(self.refuse(state)),
        }
    }

    fn finish_listen(&mut self) -> Result<(), ErrorCode> {
        match mem::replace(&mut self.state, State::Closed) {
            State::ListenStarted(listener) => {
                self.state = State::Listening(listener);
                Ok(())
            }
            state => Err(self.not_in_progress(state)),
        }
    }

    fn accept(&self) -> Result<(TcpSocket, TcpInput, TcpOutput), ErrorCode> {
        let State::Listening(listener) = &self.state else { return Err(ErrorCode::InvalidState) };
        let connection = listener.try_accept()?;
        let mut socket = TcpSocket::new(State::Closed, self.family);
        let (input, output) = socket.connected(connection);
        Ok((socket, input, output))
    }

    /// Puts the state back and says why the call does not fit it.
    fn refuse(&mut self, state: State) -> ErrorCode {
        let in_progress = matches!(
            state,
            State::BindStarted(_) | State::ListenStarted(_) | State::Connecting(_) | State::ConnectDone(_)
        );
        self.state = state;
        if in_progress { ErrorCode::ConcurrencyConflict } else { ErrorCode::InvalidState }
    }

    fn not_in_progress(&mut self, state: State) -> ErrorCode {
        self.state = state;
        ErrorCode::NotInProgress
    }

    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        match &self.state {
            State::Bound(seat) => seat.bound().ok_or(ErrorCode::InvalidState),
            State::ListenStarted(listener) | State::Listening(listener) => Ok(listener.local_address()),
            State::Connected(end) => Ok(end.local_address()),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    fn end(&self) -> Result<&Arc<End>, ErrorCode> {
        match &self.state {
            State::Connected(end) => Ok(end),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    fn set_backlog(&mut self, value: u64) -> Result<(), ErrorCode> {
        if matches!(self.state, State::Connecting(_) | State::ConnectDone(_) | State::Connected(_)) {
            return Err(ErrorCode::InvalidState);
        }
        self.backlog = usize::try_from(positive(value)?).unwrap_or(usize::MAX);
        if let State::ListenStarted(listener) | State::Listening(listener) = &self.state {
            listener.set_backlog(self.backlog);
        }
        Ok(())
    }
}

#[async_trait::async_trait]
impl Pollable for TcpSocket {
    async fn ready(&mut self) {
        match &mut self.state {
            State::Connecting(connecting) => {
                let outcome = connecting.await;
                self.state = State::ConnectDone(outcome);
            }
            State::Listening(listener) => poll_fn(|context| listener.poll_acceptable(context)).await,
            _ => {}
        }
    }
}

impl tcp_create_socket::Host for NetworkCtx<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> SocketResult<Resource<TcpSocket>> {
        let seat = self.network.seat()?;
        Ok(self.table.push(TcpSocket::new(State::Unbound(seat), family))?)
    }
}

impl Host for NetworkCtx<'_> {}

impl HostTcpSocket for NetworkCtx<'_> {
    fn start_bind(
        &mut self,
        this: Resource<TcpSocket>,
        network: Resource<Network>,
        local_address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&this)?;
        let local = address::local(local_address, socket.family)?;
        Ok(socket.start_bind(local)?)
    }

    fn finish_bind(&mut self, this: Resource<TcpSocket>) -> SocketResult<()> {
        Ok(self.table.get_mut(&this)?.finish_bind()?)
    }

    fn start_connect(
        &mut self,
        this: Resource<TcpSocket>,
        network: Resource<Network>,
        remote_address: IpSocketAddress,
    ) -> SocketResult<()> {
        self.table.get(&network)?;
        let socket = self.table.get_mut(&this)?;
        let remote = address::remote(remote_address, socket.family)?;
        Ok(socket.start_connect(remote)?)
    }

    fn finish_connect(
        &mut self,
        this: Resource<TcpSocket>,
    ) -> SocketResult<(Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let (input, output) = self.table.get_mut(&this)?.finish_connect()?;
        let input: DynInputStream = Box::new(input);
        let output: DynOutputStream = Box::new(output);
        Ok((self.table.push_child(input, &this)?, self.table.push_child(output, &this)?))
    }

    fn start_listen(&mut self, this: Resource<TcpSocket>) -> SocketResult<()> {
        Ok(self.table.get_mut(&this)?.start_listen()?)
    }

    fn finish_listen(&mut self, this: Resource<TcpSocket>) -> SocketResult<()> {
        Ok(self.table.get_mut(&this)?.finish_listen()?)
    }

    fn accept(
        &mut self,
        this: Resource<TcpSocket>,
    ) -> SocketResult<(Resource<TcpSocket>, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let (socket, input, output) = self.table.get(&this)?.accept()?;
        let input: DynInputStream = Box::new(input);
        let output: DynOutputStream = Box::new(output);
        let socket = self.table.push(socket)?;
        let input = self.table.push_child(input, &socket)?;
        let output = self.table.push_child(output, &socket)?;
        Ok((socket, input, output))
    }

    fn local_address(&mut self, this: Resource<TcpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&this)?.local_address()?.into())
    }

    fn remote_address(&mut self, this: Resource<TcpSocket>) -> SocketResult<IpSocketAddress> {
        Ok(self.table.get(&this)?.end()?.peer_address().into())
    }

    fn is_listening(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<bool> {
        Ok(matches!(self.table.get(&this)?.state, State::Listening(_)))
    }

    fn address_family(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<IpAddressFamily> {
        Ok(self.table.get(&this)?.family)
    }

    fn set_listen_backlog_size(&mut self, this: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        Ok(self.table.get_mut(&this)?.set_backlog(value)?)
    }

    fn keep_alive_enabled(&mut self, this: Resource<TcpSocket>) -> SocketResult<bool> {
        Ok(self.table.get(&this)?.options.keep_alive)
    }

    fn set_keep_alive_enabled(&mut self, this: Resource<TcpSocket>, value: bool) -> SocketResult<()> {
        self.table.get_mut(&this)?.options.keep_alive = value;
        Ok(())
    }

    fn keep_alive_idle_time(&mut self, this: Resource<TcpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&this)?.options.keep_alive_idle_nanoseconds)
    }

    fn set_keep_alive_idle_time(&mut self, this: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        self.table.get_mut(&this)?.options.keep_alive_idle_nanoseconds = positive(value)?;
        Ok(())
    }

    fn keep_alive_interval(&mut self, this: Resource<TcpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&this)?.options.keep_alive_interval_nanoseconds)
    }

    fn set_keep_alive_interval(&mut self, this: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        self.table.get_mut(&this)?.options.keep_alive_interval_nanoseconds = positive(value)?;
        Ok(())
    }

    fn keep_alive_count(&mut self, this: Resource<TcpSocket>) -> SocketResult<u32> {
        Ok(self.table.get(&this)?.options.keep_alive_count)
    }

    fn set_keep_alive_count(&mut self, this: Resource<TcpSocket>, value: u32) -> SocketResult<()> {
        self.table.get_mut(&this)?.options.keep_alive_count = positive(value)?;
        Ok(())
    }

    fn hop_limit(&mut self, this: Resource<TcpSocket>) -> SocketResult<u8> {
        Ok(self.table.get(&this)?.options.hop_limit)
    }

    fn set_hop_limit(&mut self, this: Resource<TcpSocket>, value: u8) -> SocketResult<()> {
        self.table.get_mut(&this)?.options.hop_limit = positive(value)?;
        Ok(())
    }

    fn receive_buffer_size(&mut self, this: Resource<TcpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&this)?.options.receive_buffer_bytes)
    }

    fn set_receive_buffer_size(&mut self, this: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        self.table.get_mut(&this)?.options.receive_buffer_bytes = positive(value)?;
        Ok(())
    }

    fn send_buffer_size(&mut self, this: Resource<TcpSocket>) -> SocketResult<u64> {
        Ok(self.table.get(&this)?.options.send_buffer_bytes)
    }

    fn set_send_buffer_size(&mut self, this: Resource<TcpSocket>, value: u64) -> SocketResult<()> {
        self.table.get_mut(&this)?.options.send_buffer_bytes = positive(value)?;
        Ok(())
    }

    fn subscribe(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<Resource<DynPollable>> {
        subscribe(self.table, this)
    }

    fn shutdown(&mut self, this: Resource<TcpSocket>, how: ShutdownType) -> SocketResult<()> {
        self.table.get(&this)?.end()?.shutdown(match how {
            ShutdownType::Receive => Shutdown::Read,
            ShutdownType::Send => Shutdown::Write,
            ShutdownType::Both => Shutdown::Both,
        });
        Ok(())
    }

    fn drop(&mut self, this: Resource<TcpSocket>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}
