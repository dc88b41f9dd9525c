//! The control plane's shell: store, front door, HTTP, identities and drivers around the pure `peapod-core`.

pub mod authn;
pub mod cache;
pub mod drivers;
mod files;
pub mod front_door;
mod pki;
pub mod store;
