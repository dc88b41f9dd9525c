//! `wasi:sockets` 0.2 over the pod network, and the linking that leaves no other way to a socket.
//!
//! `network` and `instance-network` stay wasmtime's (a handle without content, error codes); the five interfaces that
//! do something are ours. All functions are synchronous: a guest waits only in wasmtime's `wasi:io`.

mod address;
pub mod name_lookup;
pub mod tcp;
mod tcp_streams;
pub mod udp;

#[cfg(test)]
mod tests;

use super::{NetworkError, PodNetwork};
use std::sync::Arc;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView as _};
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView as _};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::SocketError;
use wasmtime_wasi::p2::bindings::sockets::network::{self, ErrorCode};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView as _};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView as _};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit",
        world: "peapod:agent/sockets",
        imports: { default: trappable },
        require_store_data_send: true,
        trappable_error_type: {
            "wasi:sockets/network.error-code" => wasmtime_wasi::p2::SocketError,
        },
        with: {
            "wasi:io": wasmtime_wasi::p2::bindings::io,
            "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
            "wasi:sockets/network": wasmtime_wasi::p2::bindings::sockets::network,
            "wasi:sockets/tcp.tcp-socket": super::tcp::TcpSocket,
            "wasi:sockets/udp.udp-socket": super::udp::UdpSocket,
            "wasi:sockets/udp.incoming-datagram-stream": super::udp::IncomingDatagramStream,
            "wasi:sockets/udp.outgoing-datagram-stream": super::udp::OutgoingDatagramStream,
            "wasi:sockets/ip-name-lookup.resolve-address-stream": super::name_lookup::ResolveAddressStream,
        },
    });
}

/// What the host functions work on.
pub struct NetworkCtx<'a> {
    /// The network of the guest's pod.
    pub network: &'a Arc<PodNetwork>,
    /// The guest's resources, the same table that the other interfaces use.
    pub table: &'a mut ResourceTable,
}

/// A store's data with a pod network in it.
pub trait NetworkView: Send {
    /// The network and the table.
    fn network(&mut self) -> NetworkCtx<'_>;
}

/// An option of a socket, which must not be 0.
fn positive<N: Default + PartialEq>(value: N) -> Result<N, ErrorCode> {
    if value == N::default() { Err(ErrorCode::InvalidArgument) } else { Ok(value) }
}

struct HasNetwork;

impl HasData for HasNetwork {
    type Data<'a> = NetworkCtx<'a>;
}

/// Links the `wasi:sockets` interfaces that open sockets and resolve names. [`link_wasi`] links the rest.
pub fn add_to_linker<T: NetworkView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use bindings::wasi::sockets;
    sockets::tcp::add_to_linker::<T, HasNetwork>(linker, T::network)?;
    sockets::tcp_create_socket::add_to_linker::<T, HasNetwork>(linker, T::network)?;
    sockets::udp::add_to_linker::<T, HasNetwork>(linker, T::network)?;
    sockets::udp_create_socket::add_to_linker::<T, HasNetwork>(linker, T::network)?;
    sockets::ip_name_lookup::add_to_linker::<T, HasNetwork>(linker, T::network)
}

// The generated functions ask for this to turn errors into codes; `network` itself is linked from wasmtime.
impl network::Host for NetworkCtx<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn network_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let error = self.table.get(&error)?.downcast_ref::<std::io::Error>();
        Ok(error.map(|error| NetworkError::from_io(error).into()))
    }
}

impl network::HostNetwork for NetworkCtx<'_> {
    fn drop(&mut self, this: Resource<network::Network>) -> wasmtime::Result<()> {
        self.table.delete(this)?;
        Ok(())
    }
}

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

/// Links wasmtime's own interfaces one by one, so that one that it grows later is missing rather than silently backed
/// by the kernel.
pub fn link_wasi<T: WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, io, random, sockets};
    io::error::add_to_linker::<T, HasTable>(linker, |state| state.ctx().table)?;
    io::poll::add_to_linker::<T, HasTable>(linker, |state| state.ctx().table)?;
    io::streams::add_to_linker::<T, HasTable>(linker, |state| state.ctx().table)?;
    clocks::wall_clock::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    clocks::monotonic_clock::add_to_linker::<T, WasiClocks>(linker, T::clocks)?;
    random::random::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    random::insecure::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    random::insecure_seed::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    filesystem::preopens::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    filesystem::types::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    cli::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    let options = wasmtime_wasi::p2::bindings::LinkOptions::default();
    sockets::network::add_to_linker::<T, WasiSockets>(linker, &(&options).into(), T::sockets)?;
    sockets::instance_network::add_to_linker::<T, WasiSockets>(linker, T::sockets)
}

impl From<NetworkError> for ErrorCode {
    fn from(error: NetworkError) -> ErrorCode {
        match error {
            NetworkError::AccessDenied => ErrorCode::AccessDenied,
            NetworkError::AddressInUse => ErrorCode::AddressInUse,
            NetworkError::AddressNotAvailable => ErrorCode::AddressNotBindable,
            NetworkError::BrokenPipe => ErrorCode::ConnectionAborted,
            NetworkError::ConnectionRefused => ErrorCode::ConnectionRefused,
            NetworkError::ConnectionReset => ErrorCode::ConnectionReset,
            NetworkError::DatagramTooLarge => ErrorCode::DatagramTooLarge,
            NetworkError::HostUnreachable => ErrorCode::RemoteUnreachable,
            NetworkError::InvalidArgument => ErrorCode::InvalidArgument,
            NetworkError::NameUnresolvable => ErrorCode::NameUnresolvable,
            NetworkError::NotConnected => ErrorCode::InvalidState,
            NetworkError::NotSupported => ErrorCode::NotSupported,
            NetworkError::SocketLimit => ErrorCode::NewSocketLimit,
            NetworkError::TemporaryResolverFailure => ErrorCode::TemporaryResolverFailure,
            NetworkError::TimedOut => ErrorCode::Timeout,
            NetworkError::WouldBlock => ErrorCode::WouldBlock,
        }
    }
}

impl From<NetworkError> for SocketError {
    fn from(error: NetworkError) -> SocketError {
        ErrorCode::from(error).into()
    }
}
