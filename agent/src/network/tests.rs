//! The fabric as its users see it: pods, Services, names and the way out.

mod datagrams;
mod egress;
mod nodes;
mod services;
mod streams;

use super::*;
use bytes::Bytes;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn fabric() -> Fabric {
    let ranges = ["10.0.0.0/16", "10.96.0.0/16"].map(|range| range.parse().unwrap()).to_vec();
    Fabric::new(FabricConfig::new(ranges, IpAddr::from([10, 0, 255, 1])))
}

fn identity(last: u8) -> PodIdentity {
    let name = format!("pod-{last}");
    PodIdentity::new("default", &name, &format!("uid-{last}"), IpAddr::from([10, 0, 0, last]))
}

fn pod(fabric: &Fabric, last: u8) -> Arc<PodNetwork> {
    fabric.attach(identity(last))
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Sends half a megabyte to a server that echoes, and expects the same back.
pub(super) async fn expect_echo(stream: Connection) {
    let (mut read, mut write) = tokio::io::split(stream);
    let sent: Vec<u8> = (0..500_000_u32).map(|index| (index % 251) as u8).collect();
    let writer = async {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut echoed = Vec::new();
    let ((), outcome) = tokio::join!(writer, read.read_to_end(&mut echoed));
    outcome.unwrap();
    assert!(echoed == sent);
}

fn error<T>(outcome: Result<T, NetworkError>) -> NetworkError {
    match outcome {
        Ok(_) => panic!("succeeded"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn pods_talk_by_address_and_see_who_is_who() {
    let fabric = fabric();
    let (client, server) = (pod(&fabric, 1), pod(&fabric, 2));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    let mut near = client.connect(address("10.0.0.2:80")).await.unwrap();
    let mut far = listener.accept().await.unwrap();
    assert_eq!(near.peer_address(), address("10.0.0.2:80"));
    assert_eq!(far.local_address(), address("10.0.0.2:80"));
    assert_eq!(far.peer_address(), near.local_address());
    assert_eq!(near.local_address().ip(), client.ip());
    near.write_all(b"question").await.unwrap();
    let mut buffer = [0; 8];
    far.read_exact(&mut buffer).await.unwrap();
    far.write_all(b"answer").await.unwrap();
    drop(far);
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.unwrap();
    assert_eq!((&buffer[..], answer.as_str()), (&b"question"[..], "answer"));
}

#[tokio::test]
async fn nobody_listening_refuses_and_an_unknown_pod_is_unreachable() {
    let fabric = fabric();
    let client = pod(&fabric, 1);
    let _server = pod(&fabric, 2);
    assert_eq!(error(client.connect(address("10.0.0.2:80")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(client.connect(address("127.0.0.1:80")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(client.connect(address("10.0.0.3:80")).await), NetworkError::HostUnreachable);
    assert_eq!(error(client.connect(address("10.0.0.2:0")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(client.connect(address("[2001:db8::1]:80")).await), NetworkError::AccessDenied);
    assert_eq!(
        fabric.dial(address("10.0.0.2:80")).await.err().unwrap().kind(),
        io::ErrorKind::ConnectionRefused
    );
    assert!(client.idle());
}

#[tokio::test]
async fn localhost_is_shared_in_the_pod_and_private_to_it() {
    let fabric = fabric();
    let (one, two) = (pod(&fabric, 1), pod(&fabric, 2));
    let local = one.listen(address("127.0.0.1:80")).unwrap();
    let near = one.connect(address("127.0.0.1:80")).await.unwrap();
    let far = local.accept().await.unwrap();
    assert_eq!(near.local_address().ip(), IpAddr::from([127, 0, 0, 1]));
    assert_eq!(far.local_address(), address("127.0.0.1:80"));
    assert_eq!(error(two.connect(address("127.0.0.1:80")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(two.connect(address("10.0.0.1:80")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(one.connect(address("10.0.0.1:80")).await), NetworkError::ConnectionRefused);
    assert!(fabric.dial(address("127.0.0.1:80")).await.is_err());
}

#[tokio::test]
async fn a_wildcard_listener_takes_both_and_an_address_only_itself() {
    let fabric = fabric();
    let (one, two) = (pod(&fabric, 1), pod(&fabric, 2));
    let wild = one.listen(address("0.0.0.0:80")).unwrap();
    let exact = one.listen(address("10.0.0.1:81")).unwrap();
    for to in ["127.0.0.1:80", "10.0.0.1:80", "0.0.0.0:80"] {
        one.connect(address(to)).await.unwrap();
        let local = wild.accept().await.unwrap().local_address();
        assert!(!local.ip().is_unspecified(), "{to} was accepted as {local}");
    }
    two.connect(address("10.0.0.1:81")).await.unwrap();
    exact.accept().await.unwrap();
    assert_eq!(error(one.connect(address("127.0.0.1:81")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(one.listen(address("127.0.0.1:80"))), NetworkError::AddressInUse);
    assert_eq!(error(one.listen(address("10.0.0.2:80"))), NetworkError::AddressNotAvailable);
    drop(wild);
    one.listen(address("127.0.0.1:80")).unwrap();
}

#[tokio::test]
async fn pods_of_the_other_family_work_alike() {
    let fabric =
        Fabric::new(FabricConfig::new(vec!["fd00::/64".parse().unwrap()], "fd00::1".parse().unwrap()));
    let pod = |last: u16| {
        let ip = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, last]);
        fabric.attach(PodIdentity::new("default", &format!("pod-{last}"), "uid", ip))
    };
    let (client, server) = (pod(2), pod(3));
    let wild = server.listen(address("[::]:80")).unwrap();
    let near = client.connect(address("[fd00::3]:80")).await.unwrap();
    assert_eq!(near.local_address().ip(), client.ip());
    wild.accept().await.unwrap();
    server.connect(address("[::1]:80")).await.unwrap();
    wild.accept().await.unwrap();
    // The wildcard is of its family only, and each family has a localhost.
    assert_eq!(error(server.connect(address("127.0.0.1:80")).await), NetworkError::ConnectionRefused);
    let _local = server.listen(address("127.0.0.1:80")).unwrap();
    server.connect(address("127.0.0.1:80")).await.unwrap();
    assert_eq!(error(client.connect(address("[fd00::9]:80")).await), NetworkError::HostUnreachable);
    assert_eq!(error(client.connect(address("192.0.2.1:80")).await), NetworkError::AccessDenied);
}

#[tokio::test]
async fn termination_drains_and_then_is_idle() {
    let fabric = fabric();
    let (client, server) = (pod(&fabric, 1), pod(&fabric, 2));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    let queued = client.connect(address("10.0.0.2:80")).await.unwrap();
    assert!(!server.idle());
    let acceptor = tokio::spawn(async move {
        let accepted = listener.accept().await.unwrap();
        (listener.accept().await.err(), accepted, listener)
    });
    server.stop_listening();
    let (refusal, accepted, _listener) = acceptor.await.unwrap();
    assert_eq!(refusal, Some(NetworkError::InvalidArgument));
    assert_eq!(error(client.connect(address("10.0.0.2:80")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(server.listen(address("0.0.0.0:81"))), NetworkError::InvalidArgument);
    assert!(!server.idle());
    drop((accepted, queued));
    assert!(server.idle());
    assert!(client.idle());
}

#[tokio::test]
async fn a_pod_made_again_keeps_its_address() {
    let fabric = fabric();
    let client = pod(&fabric, 1);
    let old = pod(&fabric, 2);
    let _old_listener = old.listen(address("0.0.0.0:80")).unwrap();
    let new = pod(&fabric, 2);
    let listener = new.listen(address("0.0.0.0:80")).unwrap();
    old.close();
    drop(old);
    client.connect(address("10.0.0.2:80")).await.unwrap();
    listener.accept().await.unwrap();
    new.close();
    assert_eq!(error(client.connect(address("10.0.0.2:80")).await), NetworkError::HostUnreachable);
    assert_eq!(error(listener.accept().await), NetworkError::InvalidArgument);
}

#[tokio::test]
async fn a_dropped_pod_leaves_the_fabric() {
    let fabric = fabric();
    let server = pod(&fabric, 2);
    assert!(fabric.pod(server.ip()).is_some());
    let ip = server.ip();
    drop(server);
    assert!(fabric.pod(ip).is_none());
}

#[tokio::test]
async fn the_number_of_sockets_is_limited() {
    let fabric = fabric();
    let (client, server) = (pod(&fabric, 1), pod(&fabric, 2));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    let seats: Vec<Seat> = (1..SOCKETS_PER_POD).map(|_| server.seat().unwrap()).collect();
    assert_eq!(error(server.seat()), NetworkError::SocketLimit);
    let _waiting = client.connect(address("10.0.0.2:80")).await.unwrap();
    assert_eq!(error(listener.accept().await), NetworkError::SocketLimit);
    drop(seats);
    listener.accept().await.unwrap();
}
