//! A TCP relay between two processes that a test can cut and heal, and that takes its time if it is told to.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// A relay. Its threads end with the test.
pub struct Relay {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    cut: bool,
    ends: Vec<TcpStream>,
}

impl Relay {
    /// Listens on a free port of `host` and passes everything on to `to`.
    pub fn start(host: IpAddr, to: SocketAddr) -> Relay {
        Relay::slow(host, to, Duration::ZERO)
    }

    /// The same, but every byte arrives `delay` later, in either direction, as over a long line.
    pub fn slow(host: IpAddr, to: SocketAddr, delay: Duration) -> Relay {
        let listener = TcpListener::bind((host, 0)).expect("a free port");
        let relay = Relay { address: listener.local_addr().expect("it is bound"), state: Arc::default() };
        let state = relay.state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // One that cannot be passed on is closed.
                let _ = carry(stream, to, &state, delay);
            }
        });
        relay
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Breaks every connection, and from now on each new one.
    pub fn cut(&self) {
        let mut state = self.state.lock().expect("no relay panics");
        state.cut = true;
        for end in state.ends.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn heal(&self) {
        self.state.lock().expect("no relay panics").cut = false;
    }
}

fn carry(near: TcpStream, to: SocketAddr, state: &Mutex<State>, delay: Duration) -> io::Result<()> {
    let mut state = state.lock().expect("no relay panics");
    if state.cut {
        return near.shutdown(Shutdown::Both);
    }
    let far = TcpStream::connect(to)?;
    for (from, into) in [(&near, &far), (&far, &near)] {
        from.set_nodelay(true)?;
        copy(from.try_clone()?, into.try_clone()?, delay);
    }
    state.ends.extend([near, far]);
    Ok(())
}

/// What is on its way waits between two threads.
fn copy(mut from: TcpStream, mut into: TcpStream, delay: Duration) {
    let (sender, pieces) = mpsc::sync_channel::<(Instant, Vec<u8>)>(1024);
    std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if sender.send((Instant::now() + delay, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    std::thread::spawn(move || {
        for (due, piece) in pieces {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if into.write_all(&piece).is_err() {
                break;
            }
        }
        let _ = into.shutdown(Shutdown::Both);
    });
}
