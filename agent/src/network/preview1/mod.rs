//! Preview 1 with sockets: wasmtime's own implementation for everything else, behind one table of descriptors.
//!
//! # Descriptors
//! 0 to 2 are stdio. From 3 on come the pre-opened listeners, one for each port in order, then the pre-opened
//! directories, then whatever the guest opens or accepts, lowest free number first. Programs that serve expect their
//! listener at 3 (`LISTEN_FDS` in the environment tells how many there are).
//!
//! A pre-opened listener does not wait: `sock_accept` answers `EAGAIN` while nobody has dialled, as wasmtime's own
//! pre-opened listeners do, and programs poll. Go depends on that: it asks once how the descriptor is, and an accept that
//! waits would halt all of its goroutines. What is accepted waits, unless `sock_accept` asks for the contrary. A program
//! that wants an accept that waits clears the flag with `fd_fdstat_set_flags`.
//!
//! C libraries and Go find directories by asking `fd_prestat_get` from 3 upwards until it answers `EBADF`, and give up on
//! any other error. A listener in that walk therefore answers success with a kind other than directory, which both
//! step over.
//!
//! # Pointers
//! Buffers that lie outside of the guest's memory are `EFAULT`. Where the result of a function itself cannot be
//! stored the guest traps, as the interface's definition demands.

mod descriptors;
mod functions;
mod linked;
mod memory;
mod poll;
mod socket;

#[cfg(test)]
mod tests;

use super::{NetworkError, PodNetwork};
use descriptors::{Descriptor, Descriptors};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use wasmtime::Linker;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{Errno, Fd};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as wasi, WasiSnapshotPreview1 as _};
use wiggle::GuestMemory;

/// The first descriptor after stdio.
const FIRST_PREOPENED: u32 = 3;

/// A preview-1 guest's state: wasmtime's, and the descriptors over it.
pub struct Preview1Ctx {
    inner: WasiP1Ctx,
    descriptors: Descriptors,
    fuel: usize,
}

/// A store's data with a preview-1 guest in it.
pub trait Preview1View: Send {
    /// The guest's state.
    fn preview1(&mut self) -> &mut Preview1Ctx;
}

impl Preview1Ctx {
    /// Puts listeners on `ports` of the pod before the directories of `inner`. An error when a port is taken or the
    /// pod is terminating.
    pub fn new(
        mut inner: WasiP1Ctx,
        network: &Arc<PodNetwork>,
        ports: &[u16],
    ) -> Result<Preview1Ctx, NetworkError> {
        let any: IpAddr =
            if network.ip().is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let mut descriptors = Descriptors::stdio();
        for port in ports {
            let listener = network.listen(SocketAddr::new(any, *port))?;
            descriptors.insert(Descriptor::Listener { listener, nonblocking: true });
        }
        for fd in FIRST_PREOPENED..FIRST_PREOPENED + directory_count(&mut inner) {
            descriptors.insert(Descriptor::File(fd));
        }
        Ok(Preview1Ctx { inner, descriptors, fuel: 0 })
    }
}

fn directory_count(inner: &mut WasiP1Ctx) -> u32 {
    let mut nothing = GuestMemory::Unshared(&mut []);
    let is_directory = |fd: &u32| inner.fd_prestat_get(&mut nothing, Fd::from(*fd)).is_ok();
    let count = (FIRST_PREOPENED..).take_while(is_directory).count();
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Links all of preview 1. It leaves no way to a kernel socket.
pub fn add_to_linker<T: Preview1View + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    wasi::add_to_linker(linker, T::preview1)?;
    linker.allow_shadowing(true);
    let linked = linked::shadow(linker);
    linker.allow_shadowing(false);
    linked
}

impl From<NetworkError> for Errno {
    fn from(error: NetworkError) -> Errno {
        match error {
            NetworkError::AccessDenied => Errno::Acces,
            NetworkError::AddressInUse => Errno::Addrinuse,
            NetworkError::AddressNotAvailable => Errno::Addrnotavail,
            NetworkError::BrokenPipe => Errno::Pipe,
            NetworkError::ConnectionRefused => Errno::Connrefused,
            NetworkError::ConnectionReset => Errno::Connreset,
            NetworkError::DatagramTooLarge => Errno::Msgsize,
            NetworkError::HostUnreachable | NetworkError::NameUnresolvable => Errno::Hostunreach,
            NetworkError::InvalidArgument => Errno::Inval,
            NetworkError::NotConnected => Errno::Notconn,
            NetworkError::NotSupported => Errno::Notsup,
            NetworkError::SocketLimit => Errno::Mfile,
            NetworkError::TemporaryResolverFailure | NetworkError::WouldBlock => Errno::Again,
            NetworkError::TimedOut => Errno::Timedout,
        }
    }
}
