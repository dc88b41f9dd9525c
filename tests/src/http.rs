//! The plainest HTTP client there is: one connection a request, as curl makes it.

use crate::wait;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// GET; gives status code and body.
///
/// # Errors
/// The connection was refused, broke, or did not speak HTTP.
pub fn get(at: SocketAddr, path: &str) -> Result<(u16, String), String> {
    send(at, "GET", path, "", "")
}

/// A request with a body of that media type; gives status code and body.
///
/// # Errors
/// As [`get`].
pub fn send(
    at: SocketAddr,
    method: &str,
    path: &str,
    media_type: &str,
    body: &str,
) -> Result<(u16, String), String> {
    let io = |error: std::io::Error| format!("{at}{path}: {error}");
    let mut stream = open(at, method, path, media_type, body).map_err(io)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(io)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(io)?;
    let text = String::from_utf8_lossy(&answer);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("{at}{path}: no HTTP: {text:?}"))?;
    let code = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or("no status code")?;
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    Ok((code, if chunked { unchunk(body) } else { body.to_string() }))
}

/// Sends a request; the answer, head first, is still to be read.
///
/// # Errors
/// The connection was refused or broke.
pub fn open(
    at: SocketAddr,
    method: &str,
    path: &str,
    media_type: &str,
    body: &str,
) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(5))?;
    let length = body.len();
    let kind = if media_type.is_empty() { String::new() } else { format!("Content-Type: {media_type}\r\n") };
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
    )?;
    Ok(stream)
}

fn unchunk(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 || size > rest.len() {
            break;
        }
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// Waits until `good` likes `count` answers in a row on `/`: a Service's pods answer in turn.
pub fn all_say(at: SocketAddr, count: usize, good: impl Fn(&str) -> bool) {
    wait::until(&format!("{count} good answers on {at}"), 60, || {
        (0..count).try_for_each(|_| match get(at, "/")? {
            (200, body) if good(&body) => Ok(()),
            other => Err(format!("{other:?}")),
        })
    });
}

/// Waits until replicas of `hello` answer at `at`, exactly those of these names.
pub fn all_answer(at: SocketAddr, expected: &BTreeSet<String>) {
    wait::until(&format!("answers on {at} from {expected:?}"), 60, || {
        let mut seen = BTreeSet::new();
        for _ in 0..4 * expected.len() {
            let (code, body) = get(at, "/")?;
            let name = body.strip_prefix("hello from ").and_then(|rest| rest.split(':').next());
            seen.insert(name.filter(|_| code == 200).ok_or(format!("{code} {body}"))?.to_string());
        }
        if seen == *expected { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}
