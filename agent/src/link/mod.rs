//! The agent's link to a control plane in another process: joining it, proving who one is, and the connections, all of
//! which the agent opens.
//!
//! [`join`] turns a token into an [`Identity`]; a [`Dialer`] opens connections with it; [`client`] is the Kubernetes
//! client over them, and [`serve`] keeps one open on which the roles are reversed.

mod address;
mod client;
mod clock;
mod dial;
mod direct;
mod identity;
mod join;
mod node_trust;
mod renew;
mod serve;
pub(crate) mod signatures;
mod trust;

pub use address::{CaHash, JoinToken, ServerUrl};
pub(crate) use client::{PING_EVERY, PONG_WITHIN};
pub use client::{client, over};
pub use clock::ServerClock;
pub use dial::{DialError, Dialer, NodeStream};
pub use direct::{NodeListener, NodeReach};
pub use identity::Identity;
pub(crate) use identity::write_private;
pub use join::{JoinError, JoinRequest, first_contact, join};
pub use renew::keep_certificate;
pub use serve::serve;

/// ALPN of ordinary requests to the API.
pub const API_PROTOCOL: &[u8] = b"h2";
