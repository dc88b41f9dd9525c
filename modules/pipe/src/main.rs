//! Measures TCP between two guests: `pipe server PORT`, `pipe throughput HOST PORT BYTES CHUNK`,
//! `pipe pingpong HOST PORT COUNT`. A client prints one line of JSON with its figures and ends. `pipe forward PORT HOST PORT`
//! listens on the first port and passes each connection on to the second.
//!
//! The first byte a client sends tells the server what it wants: `T` to have everything swallowed and, at the end of the
//! stream, one byte in return; `P` to have each byte sent back.

use guest::tcp::{self, Connection};
use std::{env, error::Error, process::ExitCode, time::Duration, time::Instant};
use wasip2::io::poll::poll;
use wasip2::io::streams::{InputStream, OutputStream, StreamError};
use wasip2::sockets::tcp::ShutdownType;

/// How much a reader asks for at once.
const READ_BYTES: u64 = 64 * 1024;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match arguments {
        ["server", port] => server(port.parse()?),
        ["forward", port, host, to] => forward(port.parse()?, host, to.parse()?),
        ["throughput", host, port, bytes, chunk] => {
            throughput(tcp::connect(host, port.parse()?)?, bytes.parse()?, chunk.parse()?)
        }
        ["pingpong", host, port, count] => pingpong(tcp::connect(host, port.parse()?)?, count.parse()?),
        _ => {
            Err("usage: pipe server PORT | throughput HOST PORT BYTES CHUNK | pingpong HOST PORT COUNT | forward PORT HOST PORT"
                .into())
        }
    }
}

/// Serves one client after the other until the listener is closed.
fn server(port: u16) -> Result<(), Box<dyn Error>> {
    let listener = tcp::listen(port).map_err(|error| format!("cannot listen on {port}: {}", error.name()))?;
    println!("listening on {port}");
    while let Ok(client) = tcp::accept(&listener) {
        // A client that leaves early ends its own connection only.
        let _ = match client.input.blocking_read(1) {
            Ok(mode) if mode == b"T" => swallow(&client),
            _ => send_back(&client),
        };
    }
    Ok(())
}

/// Passes one connection after the other on, until the listener is closed.
fn forward(port: u16, host: &str, to: u16) -> Result<(), Box<dyn Error>> {
    let listener = tcp::listen(port).map_err(|error| format!("cannot listen on {port}: {}", error.name()))?;
    println!("forwarding {port} to {host}:{to}");
    while let Ok(client) = tcp::accept(&listener) {
        // Either end may leave whenever it likes.
        let _ = pass(&client, &tcp::connect(host, to)?);
    }
    Ok(())
}

/// Passes bytes both ways until one end has no more.
fn pass(near: &Connection, far: &Connection) -> Result<(), StreamError> {
    loop {
        let (from_near, from_far) = (near.input.subscribe(), far.input.subscribe());
        for ready in poll(&[&from_near, &from_far]) {
            let (from, to) = if ready == 0 { (near, far) } else { (far, near) };
            write_all(&to.output, &from.input.read(READ_BYTES)?)?;
        }
    }
}

fn swallow(client: &Connection) -> Result<(), StreamError> {
    loop {
        match client.input.blocking_read(READ_BYTES) {
            Ok(_) => {}
            Err(StreamError::Closed) => return client.output.blocking_write_and_flush(b"."),
            Err(error) => return Err(error),
        }
    }
}

fn send_back(client: &Connection) -> Result<(), StreamError> {
    loop {
        let bytes = client.input.blocking_read(READ_BYTES)?;
        write_all(&client.output, &bytes)?;
    }
}

/// Sends `bytes` in writes of `chunk` and waits until the server has taken the last.
fn throughput(server: Connection, bytes: u64, chunk: usize) -> Result<(), Box<dyn Error>> {
    let payload = vec![b'x'; chunk.max(1)];
    write_all(&server.output, b"T")?;
    let begin = Instant::now();
    let mut left = bytes;
    while left > 0 {
        let size = left.min(payload.len() as u64);
        write_all(&server.output, &payload[..size as usize])?;
        left -= size;
    }
    server.output.blocking_flush()?;
    server.socket.shutdown(ShutdownType::Send).map_err(|error| error.name())?;
    read_byte(&server.input)?;
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        r#"{{"mode":"throughput","bytes":{bytes},"chunk":{},"seconds":{seconds:.6},"bytes_per_second":{:.0}}}"#,
        payload.len(),
        bytes as f64 / seconds
    );
    Ok(())
}

/// Sends one byte and waits for it, `count` times.
fn pingpong(server: Connection, count: u32) -> Result<(), Box<dyn Error>> {
    write_all(&server.output, b"P")?;
    let mut times = Vec::with_capacity(count as usize);
    let begin = Instant::now();
    for _ in 0..count {
        let sent = Instant::now();
        write_all(&server.output, b"!")?;
        read_byte(&server.input)?;
        times.push(sent.elapsed());
    }
    let mean_us = begin.elapsed().as_secs_f64() * 1e6 / f64::from(count.max(1));
    times.sort_unstable();
    println!(
        r#"{{"mode":"pingpong","count":{count},"mean_us":{mean_us:.3},"p50_us":{:.3},"p99_us":{:.3}}}"#,
        percentile_us(&times, 50),
        percentile_us(&times, 99)
    );
    Ok(())
}

fn percentile_us(sorted: &[Duration], percent: usize) -> f64 {
    sorted.get(sorted.len() * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1e6)
}

fn read_byte(input: &InputStream) -> Result<(), StreamError> {
    while input.blocking_read(1)?.is_empty() {}
    Ok(())
}

/// Writes as much as the stream permits, waiting when it permits nothing.
fn write_all(output: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let permit = output.check_write()? as usize;
        if permit == 0 {
            output.subscribe().block();
            continue;
        }
        let (now, later) = bytes.split_at(permit.min(bytes.len()));
        output.write(now)?;
        bytes = later;
    }
    Ok(())
}
