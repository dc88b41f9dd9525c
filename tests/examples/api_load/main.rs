//! Load for any server that speaks the Kubernetes API, from one thread: `api_load URL CA.crt TOKEN_FILE [ROW...]`.
//!
//! Prints a line for each row of the table in `rows.rs`: requests a second, the times of single requests, and the part of
//! the time in which this client was busy itself: near 1 it is the client that is measured.

mod client;
mod rows;

use client::{Result, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let names: Vec<&str> = rows::NAMES.into_iter().chain(rows::BY_NAME).collect();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, authority, token, wanted @ ..] = arguments.as_slice() else {
        eprintln!("usage: api_load URL CA.crt TOKEN_FILE [ROW...]; rows: {}", names.join(" "));
        std::process::exit(2);
    };
    if let Some(unknown) = wanted.iter().find(|row| !names.contains(&row.as_str())) {
        eprintln!("no row {unknown:?}; rows: {}", names.join(" "));
        std::process::exit(2);
    }
    let server = Server::new(url, authority, token)?;
    let is_wanted = |row: &&&str| match wanted {
        [] => rows::NAMES.contains(*row),
        wanted => wanted.iter().any(|name| name == **row),
    };
    for row in names.iter().filter(is_wanted) {
        rows::run(&server, row).await?;
    }
    Ok(())
}
