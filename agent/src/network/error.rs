//! What can go wrong on the pod network, named as a kernel would name it.

use std::io;

/// An outcome of a socket operation. Each has one errno in preview 1, one error code in `wasi:sockets`
/// and one [`io::ErrorKind`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// EACCES: no egress rule allows the destination.
    #[error("access denied: no egress rule allows this destination")]
    AccessDenied,
    /// EADDRINUSE: another socket of the pod holds the port.
    #[error("address in use")]
    AddressInUse,
    /// EADDRNOTAVAIL: the address does not belong to the pod.
    #[error("address not available")]
    AddressNotAvailable,
    /// EPIPE: the peer has gone or this side has been shut down for sending.
    #[error("broken pipe")]
    BrokenPipe,
    /// ECONNREFUSED: nobody listens there, or the Service has no endpoint.
    #[error("connection refused")]
    ConnectionRefused,
    /// ECONNRESET: the peer was torn down with data in flight.
    #[error("connection reset")]
    ConnectionReset,
    /// EMSGSIZE: the datagram is larger than one may be.
    #[error("datagram too large")]
    DatagramTooLarge,
    /// EHOSTUNREACH: an address of the cluster that is not on this node.
    #[error("host unreachable")]
    HostUnreachable,
    /// EINVAL: the call makes no sense in the socket's state; what accept answers once the listener is closed.
    #[error("invalid argument")]
    InvalidArgument,
    /// The name does not exist.
    #[error("name does not resolve")]
    NameUnresolvable,
    /// ENOTCONN.
    #[error("not connected")]
    NotConnected,
    /// EOPNOTSUPP, EAFNOSUPPORT.
    #[error("not supported")]
    NotSupported,
    /// EMFILE: the pod has as many sockets as it may.
    #[error("the pod has no socket left")]
    SocketLimit,
    /// The resolver outside of the cluster did not answer.
    #[error("temporary failure of the resolver")]
    TemporaryResolverFailure,
    /// ETIMEDOUT.
    #[error("timed out")]
    TimedOut,
    /// EAGAIN: nothing to do yet.
    #[error("would block")]
    WouldBlock,
}

impl NetworkError {
    /// What the kernel's answer means for a guest: the reverse of `io::Error::from`.
    pub(crate) fn from_io(error: &io::Error) -> NetworkError {
        if let Some(own) = error.get_ref().and_then(|inner| inner.downcast_ref::<NetworkError>()) {
            return *own;
        }
        match error.kind() {
            io::ErrorKind::PermissionDenied => NetworkError::AccessDenied,
            io::ErrorKind::AddrInUse => NetworkError::AddressInUse,
            io::ErrorKind::AddrNotAvailable => NetworkError::AddressNotAvailable,
            io::ErrorKind::BrokenPipe => NetworkError::BrokenPipe,
            io::ErrorKind::ConnectionRefused => NetworkError::ConnectionRefused,
            io::ErrorKind::InvalidInput => NetworkError::InvalidArgument,
            io::ErrorKind::TimedOut => NetworkError::TimedOut,
            io::ErrorKind::WouldBlock => NetworkError::WouldBlock,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::NetworkDown => NetworkError::HostUnreachable,
            _ => NetworkError::ConnectionReset,
        }
    }

    fn kind(self) -> io::ErrorKind {
        use io::ErrorKind;
        match self {
            NetworkError::AccessDenied => ErrorKind::PermissionDenied,
            NetworkError::AddressInUse => ErrorKind::AddrInUse,
            NetworkError::AddressNotAvailable => ErrorKind::AddrNotAvailable,
            NetworkError::BrokenPipe => ErrorKind::BrokenPipe,
            NetworkError::ConnectionRefused => ErrorKind::ConnectionRefused,
            NetworkError::ConnectionReset => ErrorKind::ConnectionReset,
            NetworkError::DatagramTooLarge | NetworkError::InvalidArgument => ErrorKind::InvalidInput,
            NetworkError::HostUnreachable => ErrorKind::HostUnreachable,
            NetworkError::NameUnresolvable => ErrorKind::NotFound,
            NetworkError::NotConnected => ErrorKind::NotConnected,
            NetworkError::NotSupported => ErrorKind::Unsupported,
            NetworkError::SocketLimit => ErrorKind::QuotaExceeded,
            NetworkError::TemporaryResolverFailure => ErrorKind::Other,
            NetworkError::TimedOut => ErrorKind::TimedOut,
            NetworkError::WouldBlock => ErrorKind::WouldBlock,
        }
    }
}

impl From<NetworkError> for io::Error {
    fn from(error: NetworkError) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}
