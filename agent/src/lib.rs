//! The node agent: runs the pods that are bound to its node.
//!
//! [`Agent::start`] registers the node and follows the API; [`Agent::serve`] answers kubelet's paths over any byte
//! stream; [`Agent::shutdown`] stops everything within a second.

mod agent;
mod api;
mod config;
mod events;
pub mod image;
mod kept;
mod kubelet;
pub mod link;
mod logs;
pub mod network;
mod node;
pub mod peers;
mod pods;
mod probe;
mod proxy;
pub mod runtime;
mod volume;

pub use agent::Agent;
pub use config::Config;
