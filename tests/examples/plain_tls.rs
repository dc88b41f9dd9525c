//! What plain TLS does between two machines, to compare with pods: `plain_tls server HOST:PORT DIR`,
//! `plain_tls throughput HOST:PORT DIR BYTES CHUNK`, `plain_tls pingpong HOST:PORT DIR COUNT`. It speaks as modules/pipe does and
//! prints the same lines of JSON. One connection, two threads, no runtime: as little as can be.

use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::error::Error;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Instant;

const READ_BYTES: usize = 64 << 10;
/// What the certificate is for.
const NAME: &str = "plain-tls.bench";

type Client = StreamOwned<ClientConnection, TcpStream>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["server", at, dir] => server(at, dir),
        ["throughput", at, dir, bytes, chunk] => {
            throughput(connect(at, dir)?, bytes.parse()?, chunk.parse()?)
        }
        ["pingpong", at, dir, count] => pingpong(connect(at, dir)?, count.parse()?),
        _ => {
            Err("usage: plain_tls server AT DIR | throughput AT DIR BYTES CHUNK | pingpong AT DIR COUNT"
                .into())
        }
    }
}

/// Serves one client after the other with a certificate that it leaves in `dir` for clients.
fn server(at: &str, dir: &str) -> Result<(), Box<dyn Error>> {
    let signed = rcgen::generate_simple_self_signed([NAME.to_string()])?;
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der())?;
    let certificate = signed.cert.der().clone();
    let listener = TcpListener::bind(at)?;
    std::fs::write(format!("{dir}/plain-tls.der"), &certificate)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key)?);
    for stream in listener.incoming() {
        let stream = stream?;
        stream.set_nodelay(true)?;
        let mut client = StreamOwned::new(ServerConnection::new(config.clone())?, stream);
        // A client that leaves early ends its own connection only.
        let _ = serve(&mut client);
    }
    Ok(())
}

fn serve(client: &mut StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    client.read_exact(&mut buffer[..1])?;
    let swallows = buffer[0] == b'T';
    loop {
        match client.read(&mut buffer)? {
            0 if swallows => {
                client.write_all(b".")?;
                return client.flush();
            }
            0 => return Ok(()),
            _ if swallows => {}
            length => {
                client.write_all(&buffer[..length])?;
                client.flush()?;
            }
        }
    }
}

fn connect(at: &str, dir: &str) -> Result<Client, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(std::fs::read(format!("{dir}/plain-tls.der"))?))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let config = Arc::new(config.with_root_certificates(roots).with_no_client_auth());
    let stream = TcpStream::connect(at)?;
    stream.set_nodelay(true)?;
    Ok(StreamOwned::new(ClientConnection::new(config, ServerName::try_from(NAME)?)?, stream))
}

fn throughput(mut server: Client, bytes: u64, chunk: usize) -> Result<(), Box<dyn Error>> {
    let payload = vec![b'x'; chunk.max(1)];
    server.write_all(b"T")?;
    let begin = Instant::now();
    let mut left = bytes;
    while left > 0 {
        let size = left.min(payload.len() as u64);
        server.write_all(&payload[..size as usize])?;
        left -= size;
    }
    server.conn.send_close_notify();
    server.flush()?;
    server.read_exact(&mut [0])?;
    let seconds = begin.elapsed().as_secs_f64();
    println!(r#"{{"mode":"throughput","bytes_per_second":{:.0}}}"#, bytes as f64 / seconds);
    Ok(())
}

fn pingpong(mut server: Client, count: u32) -> Result<(), Box<dyn Error>> {
    server.write_all(b"P")?;
    let begin = Instant::now();
    for _ in 0..count {
        server.write_all(b"!")?;
        server.flush()?;
        server.read_exact(&mut [0])?;
    }
    let mean_us = begin.elapsed().as_secs_f64() * 1e6 / f64::from(count.max(1));
    println!(r#"{{"mode":"pingpong","mean_us":{mean_us:.3}}}"#);
    Ok(())
}
