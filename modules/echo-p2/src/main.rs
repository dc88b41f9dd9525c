//! TCP echo server over `wasi:sockets`: sends back what it receives, on PORT (by default 7), to any number of clients
//! at once. One loop waits for the listener and for every connection together.

use guest::tcp::{self, Connection};
use std::{env, process::ExitCode};
use wasip2::io::poll::{Pollable, poll};
use wasip2::io::streams::StreamError;
use wasip2::sockets::network::ErrorCode;
use wasip2::sockets::tcp::TcpSocket;

/// How much is read from a connection at once.
const READ_BYTES: u64 = 64 * 1024;

fn main() -> ExitCode {
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(7);
    let listener = match tcp::listen(port) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("cannot listen on {port}: {}", error.name());
            return ExitCode::FAILURE;
        }
    };
    println!("listening on {port}");
    serve(&listener);
    ExitCode::SUCCESS
}

/// Serves until the listener is closed, then until the last client has gone.
fn serve(listener: &TcpSocket) {
    let mut clients: Vec<Connection> = Vec::new();
    let mut open = true;
    while open || !clients.is_empty() {
        for at in ready(open.then_some(listener), &clients).into_iter().rev() {
            if at < clients.len() {
                if echo(&clients[at]).is_err() {
                    clients.swap_remove(at);
                }
                continue;
            }
            match listener.accept() {
                Ok((socket, input, output)) => clients.push(Connection { input, output, socket }),
                Err(ErrorCode::WouldBlock) => {}
                Err(_) => open = false,
            }
        }
    }
}

/// The positions, in rising order, of the clients that have sent something; past them: the listener has a new one.
fn ready(listener: Option<&TcpSocket>, clients: &[Connection]) -> Vec<usize> {
    let mut pollables: Vec<Pollable> = clients.iter().map(|client| client.input.subscribe()).collect();
    pollables.extend(listener.map(TcpSocket::subscribe));
    let mut ready: Vec<usize> =
        poll(&pollables.iter().collect::<Vec<_>>()).into_iter().map(|at| at as usize).collect();
    ready.sort_unstable();
    ready
}

/// Sends back what has come in; an error when the client has gone.
fn echo(client: &Connection) -> Result<(), StreamError> {
    let bytes = client.input.read(READ_BYTES)?;
    for chunk in bytes.chunks(4096) {
        client.output.blocking_write_and_flush(chunk)?;
    }
    Ok(())
}
