//! Datagrams between pods and to Services.

use super::*;

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
