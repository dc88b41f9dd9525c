//! A TCP relay between two processes that a test can cut and heal.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

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
        let listener = TcpListener::bind((host, 0)).expect("a free port");
        let relay = Relay { address: listener.local_addr().expect("it is bound"), state: Arc::default() };
        let state = relay.state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                // One that cannot be passed on is closed.
                let _ = carry(stream, to, &state);
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

fn carry(near: TcpStream, to: SocketAddr, state: &Mutex<State>) -> io::Result<()> {
    let mut state = state.lock().expect("no relay panics");
    if state.cut {
        return near.shutdown(Shutdown::Both);
    }
    let far = TcpStream::connect(to)?;
    for (from, into) in [(&near, &far), (&far, &near)] {
        let (mut from, mut into) = (from.try_clone()?, into.try_clone()?);
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut into);
            let _ = into.shutdown(Shutdown::Both);
        });
    }
    state.ends.extend([near, far]);
    Ok(())
}
