//! What the Rust guests share.
//!
//! - [`http`]: answering a request and making one, over `wasi:http`.
//! - [`tcp`]: listening and dialling, over `wasi:sockets`.
//! - feature `bare`: an allocator and a panic handler for guests without the standard library. Such a component imports
//!   only what its own code calls, and a fresh instance of it is ready in microseconds.
#![no_std]

extern crate alloc;

#[cfg(feature = "bare")]
mod bare;
pub mod http;
pub mod tcp;

use alloc::string::String;

/// The value of the environment variable `name`, or the first one set of several names.
pub fn env(names: &[&str]) -> Option<String> {
    let mut variables = wasip2::cli::environment::get_environment();
    names.iter().find_map(|name| {
        let at = variables.iter().position(|(key, _)| key == name)?;
        Some(variables.swap_remove(at).1)
    })
}

/// The name of the pod this guest runs in: POD_NAME if the manifest sets it, else HOSTNAME, which is always there.
pub fn pod_name() -> String {
    env(&["POD_NAME", "HOSTNAME"]).unwrap_or_else(|| "unknown".into())
}
