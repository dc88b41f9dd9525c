//! Pods of other nodes: which node has which address, and streams to it over HTTP/2.
//!
//! What a request looks like says `peapod_api::pod_traffic`. The side that dials has [`Remote`] with somebody who reaches
//! other nodes ([`Peers`]); the side that is dialled has [`PodService`]. The fabric between knows neither TLS nor relay.

mod body;
mod call;
mod channel;
mod datagrams;
mod dial;
mod serve;
mod table;

pub use body::{Feed, PodBody};
pub use call::{Call, CallError, Transport};
pub use channel::{Channel, serve as serve_pods};
pub use dial::{Answered, Peers, opened};
pub(crate) use dial::{Remote, RemoteStream};
pub use serve::{Asker, PodService};
pub use table::{NodeTable, RemoteNode};
