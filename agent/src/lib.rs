//! The node agent.

pub mod image;
pub mod network;
pub mod runtime;
