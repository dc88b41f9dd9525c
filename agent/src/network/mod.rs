//! The pod network, all in this process: a stack with an address for every pod, streams as in-memory pipes,
//! Services by table look-up, names resolved in the call, and one guarded way out.
//!
//! [`Fabric`] is the node's network, [`PodNetwork`] what the containers of one pod share.

mod chunk;
mod connection;
mod egress;
mod error;
mod fabric;
pub mod http;
mod listener;
mod pipe;
mod pod;
mod ports;
pub mod preview1;
mod remote;
mod resolve;
mod tables;
mod udp;
pub mod wasi;

#[cfg(test)]
mod tests;

pub use connection::{Connection, End, ReadHalf, WriteHalf};
pub use egress::{Cidr, EgressRule, EgressRules, Gateway, HostGateway};
pub use error::NetworkError;
pub use fabric::{Fabric, FabricConfig};
pub use listener::{BACKLOG_DEFAULT, Listener, MAX_BACKLOG};
pub(crate) use pipe::BUFFER_BYTES;
pub use pod::{PodIdentity, PodNetwork, SOCKETS_PER_POD, Seat};
pub use remote::{
    Answered, Asker, Call, CallError, Channel, Feed, NodeTable, Peers, PodBody, PodService, RemoteNode,
    Transport, opened, serve_pods,
};
pub use tables::{Affinity, Protocol, ServicePort, Tables};
pub use udp::{DATAGRAM_BYTES, Datagram, UdpSocket};
