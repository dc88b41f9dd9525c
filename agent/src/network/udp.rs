//! Datagram sockets: bounded mailboxes, delivery by the same routes as streams.

use super::NetworkError;
use super::fabric::Route;
use super::pod::Seat;
use super::tables::Protocol;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The largest datagram, as over UDP and IPv4.
pub const DATAGRAM_BYTES: usize = 65_507;
/// Datagrams that wait in one mailbox; more are dropped, as datagrams are.
const MAILBOX_DATAGRAMS: usize = 256;
/// Bytes that wait in one mailbox.
const MAILBOX_BYTES: usize = 256 * 1024;
/// Services that one socket talks to at a time with answers coming back from their endpoints.
const FLOWS: usize = 64;

/// A datagram and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The payload.
    pub bytes: Bytes,
    /// The sender.
    pub from: SocketAddr,
}

#[derive(Default)]
struct Mail {
    queue: VecDeque<Datagram>,
    queued_bytes: usize,
    reader: Option<Waker>,
}

/// What a sender sees of a datagram socket.
#[derive(Default)]
pub(crate) struct Mailbox(Mutex<Mail>);

impl Mailbox {
    pub(crate) fn deliver(&self, datagram: Datagram) {
        let reader = {
            let mut mail = self.0.lock();
            let queued_bytes = mail.queued_bytes + datagram.bytes.len();
            if mail.queue.len() >= MAILBOX_DATAGRAMS || queued_bytes > MAILBOX_BYTES {
                return;
            }
            mail.queued_bytes = queued_bytes;
            mail.queue.push_back(datagram);
            mail.reader.take()
        };
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn take(&self) -> Option<Datagram> {
        let mut mail = self.0.lock();
        let datagram = mail.queue.pop_front()?;
        mail.queued_bytes -= datagram.bytes.len();
        Some(datagram)
    }

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut mail = self.0.lock();
        if mail.queue.is_empty() {
            mail.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }
}

/// A bound datagram socket of a pod.
pub struct UdpSocket {
    mailbox: Arc<Mailbox>,
    seat: Seat,
    bound: SocketAddr,
    connection: Mutex<Flows>,
}

/// Whom the socket is connected to, and which endpoint stands for which Service in its flows.
#[derive(Default)]
struct Flows {
    connected: Option<SocketAddr>,
    translated: VecDeque<(SocketAddr, SocketAddr)>,
}

impl UdpSocket {
    /// Binds `seat` for datagrams; gives it back with the error when that fails.
    pub fn bind(mut seat: Seat, address: SocketAddr) -> Result<UdpSocket, (Seat, NetworkError)> {
        let mailbox = Arc::<Mailbox>::default();
        match seat.bind_udp(address, mailbox.clone()) {
            Ok(bound) => Ok(UdpSocket { mailbox, seat, bound, connection: Mutex::default() }),
            Err(error) => Err((seat, error)),
        }
    }

    /// The bound address; of a connected socket the one that its peer sees.
    pub fn local_address(&self) -> SocketAddr {
        match self.peer_address() {
            Some(peer) => self.source(peer).unwrap_or(self.bound),
            None => self.bound,
        }
    }

    /// Whom the socket is connected to.
    pub fn peer_address(&self) -> Option<SocketAddr> {
        self.connection.lock().connected
    }

    /// Sends to `to` only and receives from it only; `None` ends that. What is queued from others is dropped.
    pub fn connect(&self, to: Option<SocketAddr>) -> Result<(), NetworkError> {
        if let Some(to) = to {
            self.source(to)?;
        }
        self.connection.lock().connected = to;
        Ok(())
    }

    fn source(&self, to: SocketAddr) -> Result<SocketAddr, NetworkError> {
        let ip = if self.bound.ip().is_unspecified() {
            self.seat.pod().source_ip(to.ip())?
        } else {
            self.bound.ip()
        };
        Ok(SocketAddr::new(ip, self.bound.port()))
    }

    /// Sends one datagram to `to`, or to the connected peer. A datagram that nobody waits for, or whose receiver has a
    /// full mailbox, is lost without an error.
    pub fn send(&self, bytes: Bytes, to: Option<SocketAddr>) -> Result<(), NetworkError> {
        if bytes.len() > DATAGRAM_BYTES {
            return Err(NetworkError::DatagramTooLarge);
        }
        let to = match (to, self.peer_address()) {
            (Some(to), Some(peer)) if to != peer => return Err(NetworkError::InvalidArgument),
            (to, peer) => to.or(peer).ok_or(NetworkError::NotConnected)?,
        };
        let from = self.source(to)?;
        match self.route(to)? {
            Route::Pod { pod, address } => {
                if let Some(mailbox) = pod.mailbox(address) {
                    mailbox.deliver(Datagram { bytes, from });
                }
                Ok(())
            }
            Route::Remote { node, address } => {
                self.seat.pod().fabric().remote.send(&node, address, Datagram { bytes, from });
                Ok(())
            }
            // The rules allow it, but only streams pass the gateway.
            Route::Outside(_) => Err(NetworkError::NotSupported),
        }
    }

    /// A flow to a Service stays at its endpoint, and that endpoint's answers come from the Service.
    fn route(&self, to: SocketAddr) -> Result<Route, NetworkError> {
        let pod = self.seat.pod();
        let known =
            self.connection.lock().translated.iter().find(|(_, service)| *service == to).map(|flow| flow.0);
        if let Some(endpoint) = known.and_then(|endpoint| pod.fabric().endpoint_of(to, endpoint)) {
            return pod.fabric().route(Some(pod), endpoint, Protocol::Udp, &[]);
        }
        let route = pod.fabric().route(Some(pod), to, Protocol::Udp, &[])?;
        if let Route::Pod { address, .. } | Route::Remote { address, .. } = &route
            && !to.ip().is_unspecified()
            && *address != to
        {
            self.translate(*address, to);
        }
        Ok(route)
    }

    fn translate(&self, endpoint: SocketAddr, service: SocketAddr) {
        let mut flows = self.connection.lock();
        flows.translated.retain(|flow| flow.1 != service);
        if flows.translated.len() == FLOWS {
            flows.translated.pop_front();
        }
        flows.translated.push_back((endpoint, service));
    }

    /// The next datagram, or `WouldBlock`.
    pub fn try_recv(&self) -> Result<Datagram, NetworkError> {
        loop {
            let mut datagram = self.mailbox.take().ok_or(NetworkError::WouldBlock)?;
            let flows = self.connection.lock();
            if let Some((_, service)) =
                flows.translated.iter().find(|(endpoint, _)| *endpoint == datagram.from)
            {
                datagram.from = *service;
            }
            if flows.connected.is_none_or(|peer| peer == datagram.from) {
                return Ok(datagram);
            }
        }
    }

    /// Ready when a datagram has arrived.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.mailbox.poll_ready(context)
    }

    /// The next datagram.
    pub async fn recv(&self) -> Result<Datagram, NetworkError> {
        loop {
            poll_fn(|context| self.poll_readable(context)).await;
            match self.try_recv() {
                Err(NetworkError::WouldBlock) => {}
                outcome => return outcome,
            }
        }
    }
}
