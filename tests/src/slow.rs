//! A relay of TCP connections that takes its time, as a long line does.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Listens on `host` and passes everything on to `to`, each byte `delay` later, in both directions. Gives where.
pub fn relay(host: IpAddr, to: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).expect("a free port");
    let at = listener.local_addr().expect("it is bound");
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let Ok(far) = TcpStream::connect(to) else { continue };
            for (from, into) in [(&near, &far), (&far, &near)] {
                let _ = from.set_nodelay(true);
                let (Ok(from), Ok(into)) = (from.try_clone(), into.try_clone()) else { continue };
                pass(from, into, delay);
            }
        }
    });
    at
}

fn pass(mut from: TcpStream, mut into: TcpStream, delay: Duration) {
    let (sender, pieces) = mpsc::sync_channel::<(Instant, Vec<u8>)>(1024);
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if into.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = into.shutdown(Shutdown::Write);
    });
}
