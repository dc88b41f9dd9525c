//! `peapod`: the control plane, the agent and a small client in one binary.

mod client;
mod commands;
mod manifest;
mod place;
mod table;

use clap::Parser;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Pods come and go by the thousand; glibc's allocator gives their memory back one fault at a time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is logged, to standard error, where the environment variable RUST_LOG says nothing else.
const LOG_DEFAULT: &str = "warn";

fn main() -> ExitCode {
    let command = commands::Peapod::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(LOG_DEFAULT));
    let color = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(color).init();
    match command.run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
