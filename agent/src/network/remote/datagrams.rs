//! Datagrams between nodes: one stream for each direction, opened when there is something to send.
//!
//! A frame is its length (4 bytes, big endian, of what follows), the sender, the receiver, the payload; an address is
//! its family (4 or 6), the IP and the port.

use super::body::{Feed, pieces};
use super::call::Call;
use super::dial::{Way, opened};
use super::table::RemoteNode;
use crate::network::{DATAGRAM_BYTES, Datagram};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use hyper::body::Incoming;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use tokio::sync::mpsc;

/// Datagrams that wait for the way to one node; more of them are lost.
const WAITING: usize = 128;
/// The longest address: family, IP, port.
const ADDRESS_BYTES: usize = 1 + 16 + 2;
const MAX_FRAME_BYTES: usize = DATAGRAM_BYTES + 2 * ADDRESS_BYTES;

/// The streams that carry this node's datagrams, by the node that they lead to.
#[derive(Default)]
pub(super) struct Datagrams(Mutex<HashMap<String, mpsc::Sender<Bytes>>>);

impl Datagrams {
    pub(super) fn send(&self, way: &Way, node: &RemoteNode, call: Call, frame: Bytes) {
        let mut streams = self.0.lock();
        if let Some(stream) = streams.get(&node.name).filter(|stream| !stream.is_closed()) {
            // Full: datagrams are lost.
            let _ = stream.try_send(frame);
            return;
        }
        streams.retain(|_, stream| !stream.is_closed());
        let (sender, frames) = mpsc::channel(WAITING);
        let _ = sender.try_send(frame);
        streams.insert(node.name.clone(), sender);
        let (node, peers) = (node.clone(), way.peers.clone());
        let carry = async move {
            match peers.call(&node, &call).await.and_then(opened) {
                Ok((feed, mut answer)) => {
                    let _ = feed.send(Feed::Datagrams(frames));
                    // It has no content and ends with the stream.
                    use http_body_util::BodyExt;
                    while let Some(Ok(_)) = answer.frame().await {}
                }
                Err(error) => tracing::debug!(node = node.name, %error, "datagrams were lost"),
            }
        };
        way.tasks.spawn_on(carry, &way.runtime);
    }
}

/// The frame of a datagram to `to`; none if it is longer than one may be.
pub(super) fn frame(to: SocketAddr, datagram: &Datagram) -> Option<Bytes> {
    if datagram.bytes.len() > DATAGRAM_BYTES {
        return None;
    }
    let mut frame = BytesMut::with_capacity(4 + 2 * ADDRESS_BYTES + datagram.bytes.len());
    frame.put_u32(0);
    put_address(&mut frame, datagram.from);
    put_address(&mut frame, to);
    frame.extend_from_slice(&datagram.bytes);
    let length = u32::try_from(frame.len() - 4).ok()?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Some(frame.freeze())
}

fn put_address(frame: &mut BytesMut, address: SocketAddr) {
    match address.ip() {
        IpAddr::V4(ip) => {
            frame.put_u8(4);
            frame.extend_from_slice(&ip.octets());
        }
        IpAddr::V6(ip) => {
            frame.put_u8(6);
            frame.extend_from_slice(&ip.octets());
        }
    }
    frame.put_u16(address.port());
}

/// The datagrams of a body, each with its receiver. It ends at the first that makes no sense.
pub(super) fn read(body: Incoming) -> impl Stream<Item = (SocketAddr, Datagram)> + Send {
    split(pieces(body).map(Result::ok))
}

fn split(
    pieces: impl Stream<Item = Option<Bytes>> + Send,
) -> impl Stream<Item = (SocketAddr, Datagram)> + Send {
    let pieces = Box::pin(pieces);
    futures_util::stream::unfold((pieces, BytesMut::new()), |(mut pieces, mut gathered)| async move {
        loop {
            match take(&mut gathered) {
                Ok(Some(datagram)) => return Some((datagram, (pieces, gathered))),
                Ok(None) => gathered.extend_from_slice(&pieces.next().await??),
                Err(Nonsense) => return None,
            }
        }
    })
}

struct Nonsense;

/// The first whole frame, taken off.
fn take(gathered: &mut BytesMut) -> Result<Option<(SocketAddr, Datagram)>, Nonsense> {
    let Some(length) = gathered.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > MAX_FRAME_BYTES {
        return Err(Nonsense);
    }
    if gathered.len() < 4 + length {
        return Ok(None);
    }
    gathered.advance(4);
    let mut frame = gathered.split_to(length).freeze();
    let (from, to) = (take_address(&mut frame)?, take_address(&mut frame)?);
    Ok(Some((to, Datagram { bytes: frame, from })))
}

fn take_address(frame: &mut Bytes) -> Result<SocketAddr, Nonsense> {
    let ip = match frame.try_get_u8().map_err(|_| Nonsense)? {
        4 => IpAddr::from(frame.try_get_u32().map_err(|_| Nonsense)?.to_be_bytes()),
        6 => IpAddr::from(frame.try_get_u128().map_err(|_| Nonsense)?.to_be_bytes()),
        _ => return Err(Nonsense),
    };
    Ok(SocketAddr::new(ip, frame.try_get_u16().map_err(|_| Nonsense)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(length: usize) -> Datagram {
        Datagram { bytes: vec![7; length].into(), from: "10.244.0.2:40000".parse().unwrap() }
    }

    #[tokio::test]
    async fn frames_are_read_as_they_were_written_however_they_are_cut() {
        let to: [SocketAddr; 2] = ["10.244.1.2:53", "[fd00::2]:53"].map(|to| to.parse().unwrap());
        let sizes = [0, 1, 1400, DATAGRAM_BYTES];
        let expected: Vec<_> = sizes.iter().flat_map(|size| to.map(|to| (to, datagram(*size)))).collect();
        let whole: Vec<u8> =
            expected.iter().flat_map(|(to, datagram)| frame(*to, datagram).unwrap().to_vec()).collect();
        for cut in [1, 3, 1000, whole.len()] {
            let pieces: Vec<_> = whole.chunks(cut).map(|piece| Some(Bytes::copy_from_slice(piece))).collect();
            let read: Vec<_> = split(futures_util::stream::iter(pieces)).collect().await;
            assert!(read == expected, "cut every {cut} bytes");
        }
        assert!(frame(to[0], &datagram(DATAGRAM_BYTES + 1)).is_none());
    }

    #[tokio::test]
    async fn nonsense_ends_the_stream() {
        let good = frame("10.244.1.2:53".parse().unwrap(), &datagram(3)).unwrap();
        for bad in [&[0xff; 4][..], &[0, 0, 0, 1, 9], &[0, 0, 0, 3, 4, 0, 0], &[0, 0, 0, 0]] {
            let pieces = [good.clone(), Bytes::copy_from_slice(bad), good.clone()].map(Some);
            let read: Vec<_> = split(futures_util::stream::iter(pieces)).collect().await;
            assert_eq!(read.len(), 1, "{bad:?}");
        }
        // A connection that is lost in the middle.
        let pieces = [Some(good.slice(..9)), None];
        assert_eq!(split(futures_util::stream::iter(pieces)).count().await, 0);
    }
}
