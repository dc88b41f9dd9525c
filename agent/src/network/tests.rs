//! The fabric as its users see it: pods, Services, names and the way out.

use super::*;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A network outside in which every address is one kernel listener of this process.
struct Outside {
    listener: SocketAddr,
    names: Vec<(&'static str, IpAddr)>,
}

#[async_trait]
impl Gateway for Outside {
    async fn connect(&self, _: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(self.listener).await
    }

    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found: Vec<IpAddr> =
            self.names.iter().filter(|entry| entry.0 == name).map(|entry| entry.1).collect();
        if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
    }
}

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

fn error<T>(outcome: Result<T, NetworkError>) -> NetworkError {
    match outcome {
        Ok(_) => panic!("succeeded"),
        Err(error) => error,
    }
}

async fn pair(port: u16) -> (Connection, Connection) {
    let fabric = fabric();
    let (client, server) = (pod(&fabric, 1), pod(&fabric, 2));
    let listener = server.listen(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)).unwrap();
    let near = client.connect(SocketAddr::new(server.ip(), port)).await.unwrap();
    (near, listener.accept().await.unwrap())
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
async fn half_close_lets_the_answer_through() {
    let (mut near, mut far) = pair(80).await;
    near.write_all(b"all of it").await.unwrap();
    near.shutdown().await.unwrap();
    let mut question = Vec::new();
    far.read_to_end(&mut question).await.unwrap();
    far.write_all(b"answer").await.unwrap();
    assert_eq!(near.write(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    drop(far);
    let mut answer = Vec::new();
    near.read_to_end(&mut answer).await.unwrap();
    assert_eq!((question, answer), (b"all of it".to_vec(), b"answer".to_vec()));
}

#[tokio::test]
async fn shutting_down_receiving_discards() {
    let (mut near, mut far) = pair(80).await;
    far.write_all(b"early").await.unwrap();
    near.end().shutdown(Shutdown::Read);
    far.write_all(&[0; 3_000_000]).await.unwrap();
    let mut seen = Vec::new();
    near.read_to_end(&mut seen).await.unwrap();
    assert!(seen.is_empty());
    near.write_all(b"still sending").await.unwrap();
    drop(near);
    far.read_to_end(&mut seen).await.unwrap();
    assert_eq!(seen, b"still sending");
}

#[tokio::test]
async fn writing_to_a_peer_that_left_is_a_broken_pipe() {
    let (mut near, far) = pair(80).await;
    near.write_all(b"unread").await.unwrap();
    drop(far);
    assert_eq!(near.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(near.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_reset_comes_after_what_was_delivered() {
    let (mut near, mut far) = pair(80).await;
    far.write_all(b"last words").await.unwrap();
    far.end().reset();
    drop(far);
    let mut seen = [0; 10];
    near.read_exact(&mut seen).await.unwrap();
    assert_eq!(&seen, b"last words");
    assert_eq!(near.read(&mut [0; 1]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(near.write(b"x").await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_megabyte_fits_before_the_writer_waits() {
    let (mut near, mut far) = pair(80).await;
    // As a client that sends 700 kB before it reads.
    near.write_all(&[1; 700_000]).now_or_never().expect("fits").unwrap();
    let mut written = 700_000;
    while let Some(more) = near.write(&[1; 50_000]).now_or_never() {
        written += more.unwrap();
    }
    assert!((900_000..1_100_000).contains(&written), "{written}");
    let mut read = vec![0; written];
    let (wrote, _) = tokio::join!(near.write_all(&[2; 50_000]), far.read_exact(&mut read));
    wrote.unwrap();
    assert!(read.iter().all(|byte| *byte == 1));
}

#[tokio::test]
async fn bytes_arrive_in_order_whatever_their_pieces() {
    let (near, mut far) = pair(80).await;
    let halves = near.into_halves();
    let text: Vec<u8> = (0..300_000_u32).flat_map(|number| number.to_le_bytes()).collect();
    let expected = text.clone();
    let writer = tokio::spawn(async move {
        let (_read, near) = halves;
        let mut rest = Bytes::from(text);
        let mut piece = 1;
        while !rest.is_empty() {
            std::future::poll_fn(|context| near.poll_writable(context)).await;
            let room = near.room_bytes().unwrap();
            let length = piece.min(rest.len()).min(room);
            if piece % 2 == 0 {
                near.write(rest.split_to(length)).unwrap();
            } else {
                let wrote = near.try_write(&rest[..length]).unwrap();
                drop(rest.split_to(wrote));
            }
            piece = piece * 3 % 70_001 + 1;
        }
    });
    let mut seen = Vec::new();
    far.read_to_end(&mut seen).await.unwrap();
    writer.await.unwrap();
    assert!(seen == expected);
}

#[tokio::test]
async fn one_byte_writes_are_charged_and_bounded() {
    let (near, far) = pair(80).await;
    let (_read, write) = near.into_halves();
    let mut written = 0;
    while write.room_bytes().unwrap() > 0 {
        write.write(Bytes::from_static(b"x")).unwrap();
        written += 1;
    }
    assert!(written > 500_000, "{written}");
    let (mut read, _write) = far.into_halves();
    assert_eq!(read.available_bytes(), written);
    let mut seen = 0;
    while let Ok(bytes) = read.try_read(usize::MAX) {
        seen += bytes.len();
    }
    assert_eq!(seen, written);
    assert_eq!(write.try_write(b"again"), Ok(5));
}

#[tokio::test]
async fn a_full_backlog_makes_the_dialer_wait() {
    let fabric = fabric();
    let (client, server) = (pod(&fabric, 1), pod(&fabric, 2));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    listener.set_backlog(2);
    let _first = client.connect(address("10.0.0.2:80")).await.unwrap();
    let _second = client.connect(address("10.0.0.2:80")).await.unwrap();
    let mut third = Box::pin(client.connect(address("10.0.0.2:80")));
    assert!(third.as_mut().now_or_never().is_none());
    listener.accept().await.unwrap();
    third.await.unwrap();
    let mut fourth = Box::pin(client.connect(address("10.0.0.2:80")));
    assert!(fourth.as_mut().now_or_never().is_none());
    drop(listener);
    assert_eq!(error(fourth.await), NetworkError::ConnectionRefused);
}

#[tokio::test]
async fn connections_that_were_never_accepted_are_reset() {
    let fabric = fabric();
    let (client, server) = (pod(&fabric, 1), pod(&fabric, 2));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    let mut waiting = client.connect(address("10.0.0.2:80")).await.unwrap();
    drop(listener);
    assert_eq!(waiting.read(&mut [0; 1]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
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
async fn a_service_takes_its_endpoints_in_turn() {
    let fabric = fabric();
    let client = pod(&fabric, 1);
    let servers = [pod(&fabric, 2), pod(&fabric, 3), pod(&fabric, 4)];
    let listeners: Vec<_> =
        servers.iter().map(|server| server.listen(address("0.0.0.0:8080")).unwrap()).collect();
    let endpoints = servers.iter().map(|server| SocketAddr::new(server.ip(), 8080)).collect();
    let mut tables = Tables::new();
    let service = address("10.96.0.1:80");
    let port = Arc::new(ServicePort::new(endpoints, Affinity::None));
    tables.add_service(service.ip(), 80, Protocol::Tcp, port);
    tables.add_service(
        service.ip(),
        81,
        Protocol::Tcp,
        Arc::new(ServicePort::new(Vec::new(), Affinity::None)),
    );
    fabric.set_tables(Arc::new(tables));
    for _ in 0..2 {
        for _ in &servers {
            let near = client.connect(service).await.unwrap();
            assert_eq!(near.peer_address(), service);
        }
        for listener in &listeners {
            let accepted = listener.try_accept().unwrap();
            assert_eq!(accepted.local_address().port(), 8080);
        }
    }
    let from_host = fabric.dial(service).await.unwrap();
    assert_eq!(from_host.local_address().ip(), IpAddr::from([10, 0, 255, 1]));
    // No endpoint, and a port that the Service has not.
    assert_eq!(error(client.connect(address("10.96.0.1:81")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(client.connect(address("10.96.0.1:82")).await), NetworkError::ConnectionRefused);
    // A connection outlives the tables that made it.
    let mut near = client.connect(service).await.unwrap();
    fabric.set_tables(Arc::new(Tables::new()));
    near.write_all(b"x").await.unwrap();
    assert_eq!(error(client.connect(service).await), NetworkError::HostUnreachable);
}

#[tokio::test]
async fn an_endpoint_that_ends_is_passed_over() {
    let fabric = fabric();
    let servers = [pod(&fabric, 2), pod(&fabric, 3)];
    let listeners = servers.each_ref().map(|server| server.listen(address("0.0.0.0:80")).unwrap());
    let endpoints = servers.iter().map(|server| SocketAddr::new(server.ip(), 80)).collect();
    let mut tables = Tables::new();
    let port = Arc::new(ServicePort::new(endpoints, Affinity::None));
    tables.add_service(IpAddr::from([10, 96, 0, 1]), 80, Protocol::Tcp, port);
    fabric.set_tables(Arc::new(tables));
    servers[0].stop_listening();
    for _ in 0..4 {
        fabric.dial(address("10.96.0.1:80")).await.unwrap();
        listeners[1].try_accept().unwrap();
    }
    servers[1].stop_listening();
    assert!(fabric.dial(address("10.96.0.1:80")).await.is_err());
}

#[tokio::test]
async fn names_resolve_in_the_call() {
    let fabric = fabric();
    let client = pod(&fabric, 1);
    let mut tables = Tables::new();
    tables.add_name("web.default.svc.cluster.local", [IpAddr::from([10, 96, 0, 1])]);
    fabric.set_tables(Arc::new(tables));
    assert_eq!(client.resolve("web").await, Ok(vec![IpAddr::from([10, 96, 0, 1])]));
    assert_eq!(client.resolve("pod-1").await, Ok(vec![client.ip()]));
    assert_eq!(client.resolve("gone").await, Err(NetworkError::NameUnresolvable));
    assert_eq!(client.resolve("example.com").await, Err(NetworkError::AccessDenied));
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

async fn outside(egress: &[&str]) -> (Arc<PodNetwork>, tokio::net::TcpListener) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let names = vec![
        ("api.example.com", IpAddr::from([192, 0, 2, 10])),
        ("evil.example.com", IpAddr::from([127, 0, 0, 1])),
        ("evil.example.com", IpAddr::from([10, 0, 0, 9])),
        ("other.example.org", IpAddr::from([192, 0, 2, 20])),
    ];
    let gateway = Arc::new(Outside { listener: listener.local_addr().unwrap(), names });
    let ranges = vec!["10.0.0.0/16".parse().unwrap()];
    let fabric =
        Fabric::new(FabricConfig { gateway, ..FabricConfig::new(ranges, IpAddr::from([10, 0, 255, 1])) });
    let egress = EgressRules::parse(egress.iter().copied()).unwrap();
    (fabric.attach(PodIdentity { egress, ..identity(1) }), listener)
}

#[tokio::test]
async fn the_outside_is_denied_by_default() {
    let (client, _listener) = outside(&[]).await;
    assert_eq!(error(client.connect(address("192.0.2.10:443")).await), NetworkError::AccessDenied);
    assert_eq!(client.resolve("api.example.com").await, Err(NetworkError::AccessDenied));
}

#[tokio::test]
async fn a_range_opens_the_outside() {
    let (client, listener) = outside(&["192.0.2.0/24:443"]).await;
    assert_eq!(error(client.connect(address("192.0.2.10:80")).await), NetworkError::AccessDenied);
    let mut near = client.connect(address("192.0.2.10:443")).await.unwrap();
    assert_eq!(near.peer_address(), address("192.0.2.10:443"));
    let (mut far, _) = listener.accept().await.unwrap();
    near.write_all(b"question").await.unwrap();
    near.shutdown().await.unwrap();
    let (mut question, mut answer) = (String::new(), String::new());
    far.read_to_string(&mut question).await.unwrap();
    far.write_all(b"answer").await.unwrap();
    drop(far);
    near.read_to_string(&mut answer).await.unwrap();
    assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
}

#[tokio::test]
async fn closing_the_pod_cuts_what_goes_outside() {
    let (client, listener) = outside(&["192.0.2.0/24"]).await;
    let mut near = client.connect(address("192.0.2.10:443")).await.unwrap();
    let (mut far, _) = listener.accept().await.unwrap();
    client.close();
    assert_eq!(near.read(&mut [0; 1]).await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_host_rule_opens_only_what_its_name_led_to() {
    let (client, _listener) = outside(&["*.example.com:443", "203.0.113.0/24"]).await;
    let api = address("192.0.2.10:443");
    assert_eq!(error(client.connect(api).await), NetworkError::AccessDenied);
    client.resolve("API.example.com").await.unwrap();
    client.connect(api).await.unwrap();
    assert_eq!(error(client.connect(address("192.0.2.10:80")).await), NetworkError::AccessDenied);
    // The range gives a use for names, but what they lead to is opened by the range alone.
    client.resolve("other.example.org").await.unwrap();
    assert_eq!(error(client.connect(address("192.0.2.20:443")).await), NetworkError::AccessDenied);
}

#[tokio::test]
async fn a_name_never_leads_to_the_host_or_into_the_cluster() {
    let (client, _listener) = outside(&["*.example.com", "127.0.0.0/8", "10.0.0.0/8"]).await;
    client.resolve("evil.example.com").await.unwrap();
    assert_eq!(error(client.connect(address("127.0.0.1:443")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(client.connect(address("10.0.0.9:443")).await), NetworkError::HostUnreachable);
    assert_eq!(error(client.connect(address("[::ffff:127.0.0.1]:443")).await), NetworkError::HostUnreachable);
}

#[tokio::test]
async fn a_vouched_service_needs_no_rule() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateway = Arc::new(Outside { listener: listener.local_addr().unwrap(), names: Vec::new() });
    let fabric =
        Fabric::new(FabricConfig { gateway, ..FabricConfig::new(Vec::new(), IpAddr::from([10, 0, 255, 1])) });
    let client = fabric.attach(identity(1));
    let mut tables = Tables::new();
    let api_server = ServicePort::new(vec![address("127.0.0.1:6443")], Affinity::None);
    let outsider = ServicePort::new(vec![address("192.0.2.1:80")], Affinity::None);
    tables.add_service(IpAddr::from([10, 96, 0, 1]), 443, Protocol::Tcp, Arc::new(api_server.vouched()));
    tables.add_service(IpAddr::from([10, 96, 0, 2]), 80, Protocol::Tcp, Arc::new(outsider));
    fabric.set_tables(Arc::new(tables));
    client.connect(address("10.96.0.1:443")).await.unwrap();
    assert_eq!(error(client.connect(address("10.96.0.2:80")).await), NetworkError::AccessDenied);
}

#[tokio::test]
async fn datagrams_find_their_way() {
    let fabric = fabric();
    let (one, two) = (pod(&fabric, 1), pod(&fabric, 2));
    let server = two.bind_udp(address("0.0.0.0:53")).unwrap();
    let client = one.bind_udp(address("0.0.0.0:0")).unwrap();
    client.send(Bytes::from_static(b"ping"), Some(address("10.0.0.2:53"))).unwrap();
    let received = server.recv().await.unwrap();
    assert_eq!((&received.bytes[..], received.from.ip()), (&b"ping"[..], one.ip()));
    server.send(Bytes::from_static(b"pong"), Some(received.from)).unwrap();
    assert_eq!(client.recv().await.unwrap().from, address("10.0.0.2:53"));
    // Lost without a word: nobody there, or nobody's localhost.
    client.send(Bytes::new(), Some(address("10.0.0.2:54"))).unwrap();
    client.send(Bytes::new(), Some(address("127.0.0.1:53"))).unwrap();
    assert_eq!(server.try_recv(), Err(NetworkError::WouldBlock));
    let too_large = Bytes::from(vec![0; DATAGRAM_BYTES + 1]);
    assert_eq!(client.send(too_large, Some(address("10.0.0.2:53"))), Err(NetworkError::DatagramTooLarge));
    assert_eq!(client.send(Bytes::new(), None), Err(NetworkError::NotConnected));
    assert_eq!(client.send(Bytes::new(), Some(address("192.0.2.1:53"))), Err(NetworkError::AccessDenied));
}

#[tokio::test]
async fn a_connected_datagram_socket_hears_its_peer_only() {
    let fabric = fabric();
    let (one, two, three) = (pod(&fabric, 1), pod(&fabric, 2), pod(&fabric, 3));
    let client = one.bind_udp(address("0.0.0.0:1000")).unwrap();
    let peer = two.bind_udp(address("10.0.0.2:53")).unwrap();
    let stranger = three.bind_udp(address("0.0.0.0:53")).unwrap();
    client.connect(Some(address("10.0.0.2:53"))).unwrap();
    assert_eq!(client.local_address(), address("10.0.0.1:1000"));
    stranger.send(Bytes::from_static(b"no"), Some(client.local_address())).unwrap();
    peer.send(Bytes::from_static(b"yes"), Some(client.local_address())).unwrap();
    assert_eq!(&client.recv().await.unwrap().bytes[..], b"yes");
    assert_eq!(client.send(Bytes::new(), Some(address("10.0.0.3:53"))), Err(NetworkError::InvalidArgument));
    client.connect(None).unwrap();
    stranger.send(Bytes::from_static(b"now"), Some(address("10.0.0.1:1000"))).unwrap();
    assert_eq!(&client.recv().await.unwrap().bytes[..], b"now");
}

#[tokio::test]
async fn answers_of_a_datagram_service_come_from_the_service() {
    let fabric = fabric();
    let (client_pod, two, three) = (pod(&fabric, 1), pod(&fabric, 2), pod(&fabric, 3));
    let servers =
        [two.bind_udp(address("0.0.0.0:53")).unwrap(), three.bind_udp(address("0.0.0.0:53")).unwrap()];
    let mut tables = Tables::new();
    let endpoints = vec![address("10.0.0.2:53"), address("10.0.0.3:53")];
    let service = address("10.96.0.10:53");
    tables.add_service(
        service.ip(),
        53,
        Protocol::Udp,
        Arc::new(ServicePort::new(endpoints, Affinity::None)),
    );
    fabric.set_tables(Arc::new(tables));
    let client = client_pod.bind_udp(address("0.0.0.0:0")).unwrap();
    client.connect(Some(service)).unwrap();
    for _ in 0..4 {
        client.send(Bytes::from_static(b"q"), None).unwrap();
    }
    let received: Vec<usize> =
        servers.iter().map(|server| std::iter::from_fn(|| server.try_recv().ok()).count()).collect();
    assert!(received == [4, 0] || received == [0, 4], "{received:?}");
    let server = if received[0] == 4 { &servers[0] } else { &servers[1] };
    server.send(Bytes::from_static(b"a"), Some(client.local_address())).unwrap();
    assert_eq!(client.recv().await.unwrap().from, service);
}

#[tokio::test]
async fn a_full_mailbox_drops() {
    let fabric = fabric();
    let one = pod(&fabric, 1);
    let (server, client) =
        (one.bind_udp(address("127.0.0.1:53")).unwrap(), one.bind_udp(address("127.0.0.1:0")).unwrap());
    for _ in 0..1000 {
        client.send(Bytes::from(vec![0; 1000]), Some(address("127.0.0.1:53"))).unwrap();
    }
    let received = std::iter::from_fn(|| server.try_recv().ok()).count();
    assert!((200..=300).contains(&received), "{received}");
}
