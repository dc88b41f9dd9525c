//! GETs at a fixed rate over keep-alive connections: `fixed_rate HOST:PORT RATE SECONDS` prints the p99 in milliseconds.
//!
//! A request's time counts from when it was due, so that a stall counts with all the requests that it held up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Connections, each with a thread that sends one request after the other.
const CONNECTIONS: u32 = 4;

fn main() -> std::io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, rate, seconds] = arguments.as_slice() else {
        eprintln!("usage: fixed_rate HOST:PORT RATE SECONDS");
        std::process::exit(2);
    };
    let number = |text: &str| text.parse::<f64>().map_err(std::io::Error::other);
    let (rate, seconds) = (number(rate)?, number(seconds)?);
    let every = Duration::from_secs_f64(f64::from(CONNECTIONS) / rate);
    let begin = Instant::now() + Duration::from_millis(50);
    let mut times = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|index| {
                let first = begin + every * index / CONNECTIONS;
                scope.spawn(move || send(address, first, every, begin + Duration::from_secs_f64(seconds)))
            })
            .collect();
        let times: std::io::Result<Vec<_>> =
            senders.into_iter().map(|sender| sender.join().expect("a sender panicked")).collect();
        Ok::<_, std::io::Error>(times?.concat())
    })?;
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or_default();
    println!("{:.3}", p99.as_secs_f64() * 1e3);
    Ok(())
}

fn send(address: &str, first: Instant, every: Duration, end: Instant) -> std::io::Result<Vec<Duration>> {
    let mut connection = TcpStream::connect(address)?;
    connection.set_nodelay(true)?;
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let (mut times, mut due, mut answer) = (Vec::new(), first, vec![0; 64 * 1024]);
    while due < end {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        connection.write_all(request.as_bytes())?;
        let mut length = 0;
        while !is_whole(&answer[..length]) {
            match connection.read(&mut answer[length..])? {
                0 => return Err(std::io::Error::other("the answer ended early, or is longer than 64 KiB")),
                more => length += more,
            }
        }
        times.push(due.elapsed());
        due += every;
    }
    Ok(times)
}

/// Whether the head and as many bytes as its content-length says are there, or a chunked body's last chunk.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
    let (head, body) = (&answer[..head], &answer[head + 4..]);
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    match text.lines().find_map(|line| line.strip_prefix("content-length:")) {
        Some(length) => length.trim().parse().is_ok_and(|length: usize| body.len() >= length),
        None => body.ends_with(b"0\r\n\r\n"),
    }
}
