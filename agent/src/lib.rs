//! The node agent.

pub mod network;
