//! `peapod`: the control plane, the agent and a small client in one binary.

mod client;
mod commands;
mod manifest;
mod place;
mod table;

use clap::Parser;
use std::process::ExitCode;

/// Pods come and go by the thousand; glibc's allocator gives their memory back one fault at a time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let command = commands::Peapod::parse();
    match command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
