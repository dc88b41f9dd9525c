//! Load for any server that speaks the Kubernetes API, from one thread: `api_load URL CA.crt TOKEN_FILE [ROW...]`.
//!
//! Prints a line for each row of the table in `rows.rs`: requests a second, the times of single requests, and the part of
//! the time in which this client was busy itself: near 1 it is the client that is measured.

mod client;
mod rows;

use client::{Result, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, authority, token, wanted @ ..] = arguments.as_slice() else {
        eprintln!("usage: api_load URL CA.crt TOKEN_FILE [ROW...]; rows: {}", rows::NAMES.join(" "));
        std::process::exit(2);
    };
    if let Some(unknown) = wanted.iter().find(|row| !rows::NAMES.contains(&row.as_str())) {
        eprintln!("no row {unknown:?}; rows: {}", rows::NAMES.join(" "));
        std::process::exit(2);
    }
    let server = Server::new(url, authority, token)?;
    for row in rows::NAMES.iter().filter(|row| wanted.is_empty() || wanted.iter().any(|name| name == *row)) {
        rows::run(&server, row).await?;
    }
    Ok(())
}
