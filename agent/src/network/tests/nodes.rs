//! Pods of two nodes: two fabrics with a connection between them.

use super::*;
use async_trait::async_trait;
use futures_util::FutureExt;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::DuplexStream;
use tokio::task::JoinSet;

/// What lies between the nodes of a test.
const BUFFER_BYTES: usize = 64 << 10;
const NODES: [&str; 3] = ["a", "b", "c"];

/// Connections to other nodes, in memory.
struct Wires {
    own: &'static str,
    channels: Mutex<HashMap<String, Channel>>,
    calls: AtomicUsize,
}

#[async_trait]
impl Peers for Wires {
    fn own_name(&self) -> &str {
        self.own
    }

    async fn call(&self, node: &RemoteNode, call: &Call) -> Result<Answered, CallError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let channel = self.channels.lock().get(&node.name).cloned();
        channel.ok_or_else(|| CallError::Unreachable("no wire".into()))?.call(call).await
    }
}

/// One node; dropping its tasks cuts its connections.
struct Node {
    fabric: Fabric,
    wires: Arc<Wires>,
    tasks: JoinSet<()>,
}

impl Node {
    /// Node `number` has the pods 10.0.NUMBER.x.
    fn new(number: usize) -> Node {
        let range = |text: &str| text.parse::<Cidr>().unwrap();
        let config =
            FabricConfig::new(vec![range("10.0.0.0/16"), range("10.96.0.0/16")], [192, 0, 2, 1].into());
        let fabric = Fabric::new(config);
        let nodes = NODES.iter().enumerate().map(|(number, name)| RemoteNode {
            name: name.to_string(),
            ranges: vec![range(&format!("10.0.{number}.0/24"))],
            address: None,
        });
        fabric.set_nodes(Arc::new(NodeTable::new(NODES[number], nodes)));
        let wires = Arc::new(Wires { own: NODES[number], channels: Mutex::default(), calls: 0.into() });
        fabric.reach_by(wires.clone());
        Node { fabric, wires, tasks: JoinSet::new() }
    }

    fn pod(&self, ip: [u8; 4]) -> Arc<PodNetwork> {
        self.fabric.attach(PodIdentity::new("default", "pod", &format!("{ip:?}"), ip.into()))
    }

    /// From now on this node reaches `other`.
    async fn reach(&mut self, other: &mut Node) {
        let (near, far): (DuplexStream, DuplexStream) = tokio::io::duplex(BUFFER_BYTES);
        let service = PodService::new(other.fabric.clone(), Asker::Node(self.wires.own.into()));
        other.tasks.spawn(async move {
            let _ = serve_pods(far, service).await;
        });
        let (channel, connection) = Channel::over(near).await.unwrap();
        self.tasks.spawn(async move {
            let _ = connection.await;
        });
        self.wires.channels.lock().insert(other.wires.own.into(), channel);
    }
}

async fn two() -> (Node, Node) {
    let (mut a, mut b) = (Node::new(0), Node::new(1));
    a.reach(&mut b).await;
    b.reach(&mut a).await;
    (a, b)
}

#[tokio::test]
async fn pods_of_two_nodes_talk_as_if_they_were_on_one() {
    let (a, b) = two().await;
    let (client, server) = (a.pod([10, 0, 0, 2]), b.pod([10, 0, 1, 2]));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    let mut near = client.connect(address("10.0.1.2:80")).await.unwrap();
    let mut far = listener.accept().await.unwrap();
    assert_eq!(near.peer_address(), address("10.0.1.2:80"));
    assert_eq!(far.local_address(), address("10.0.1.2:80"));
    assert_eq!(far.peer_address(), near.local_address());
    assert_eq!((client.connection_count(), server.serving_count()), (1, 1));
    near.write_all(b"question").await.unwrap();
    // Each direction ends on its own.
    near.shutdown().await.unwrap();
    let mut question = String::new();
    far.read_to_string(&mut question).await.unwrap();
    far.write_all(b"answer").await.unwrap();
    drop(far);
    let mut answer = String::new();
    near.read_to_string(&mut answer).await.unwrap();
    assert_eq!((question.as_str(), answer.as_str()), ("question", "answer"));
    drop(near);
    assert!(client.idle());
}

#[tokio::test]
async fn what_is_not_there_is_refused_as_on_one_node() {
    let (a, b) = two().await;
    let (client, server) = (a.pod([10, 0, 0, 2]), b.pod([10, 0, 1, 2]));
    assert_eq!(error(client.connect(address("10.0.1.2:80")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(client.connect(address("10.0.1.3:80")).await), NetworkError::HostUnreachable);
    // A pod's localhost is its own, and a node without a connection is not reached.
    let _local = server.listen(address("127.0.0.1:80")).unwrap();
    assert_eq!(error(client.connect(address("10.0.1.2:80")).await), NetworkError::ConnectionRefused);
    assert_eq!(error(client.connect(address("10.0.2.2:80")).await), NetworkError::HostUnreachable);
    assert!(client.idle());
}

#[tokio::test]
async fn much_goes_both_ways_and_arrives_whole() {
    let (a, b) = two().await;
    let (client, server) = (a.pod([10, 0, 0, 2]), b.pod([10, 0, 1, 2]));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    let echo = tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(listener.accept().await.unwrap());
        tokio::io::copy(&mut read, &mut write).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let sent: Vec<u8> = (0..8 << 20).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (mut read, mut write) = tokio::io::split(client.connect(address("10.0.1.2:80")).await.unwrap());
    let mut received = Vec::new();
    let (written, gathered) = tokio::join!(
        async {
            write.write_all(&sent).await?;
            write.shutdown().await
        },
        read.read_to_end(&mut received)
    );
    written.unwrap();
    gathered.unwrap();
    echo.await.unwrap();
    assert!(sent == received, "{} bytes of {}", received.len(), sent.len());
}

/// Turns of the test's only thread after which everything has come to rest if nothing has moved: each lets all go on that can.
const TURNS_TO_REST: usize = 1000;

/// Writes until there is no room and everything else has come to rest.
async fn fill(connection: &mut Connection) -> usize {
    let (mut written, mut turns) = (0, 0);
    while turns < TURNS_TO_REST {
        match connection.write(&[1; 32 << 10]).now_or_never() {
            Some(length) => (written, turns) = (written + length.unwrap(), 0),
            None => {
                turns += 1;
                tokio::task::yield_now().await;
            }
        }
    }
    written
}

#[tokio::test]
async fn a_slow_reader_stalls_its_own_stream_alone() {
    let (a, b) = two().await;
    let (client, server) = (a.pod([10, 0, 0, 2]), b.pod([10, 0, 1, 2]));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    let mut stalled = Vec::new();
    for _ in 0..3 {
        let mut near = client.connect(address("10.0.1.2:80")).await.unwrap();
        let far = listener.accept().await.unwrap();
        let written = fill(&mut near).await;
        assert!(
            (1 << 20..8 << 20).contains(&written),
            "{written} bytes were taken of somebody who does not read"
        );
        stalled.push((near, far, written));
    }
    let mut near = client.connect(address("10.0.1.2:80")).await.unwrap();
    let mut far = listener.accept().await.unwrap();
    near.write_all(b"x").await.unwrap();
    let echo = far.read_u8().await.unwrap();
    far.write_all(&[echo]).await.unwrap();
    assert_eq!(near.read_u8().await.unwrap(), b'x');
    // What was on its way is still there.
    for (near, mut far, written) in stalled {
        drop(near);
        let mut received = Vec::new();
        far.read_to_end(&mut received).await.unwrap();
        assert_eq!(received.len(), written);
    }
}

#[tokio::test]
async fn a_lost_connection_resets_its_streams_at_both_ends() {
    let (a, mut b) = two().await;
    let (client, server) = (a.pod([10, 0, 0, 2]), b.pod([10, 0, 1, 2]));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    let mut near = client.connect(address("10.0.1.2:80")).await.unwrap();
    let mut far = listener.accept().await.unwrap();
    b.tasks.abort_all();
    assert_eq!(near.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(far.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    drop((near, far));
    assert_eq!(error(client.connect(address("10.0.1.2:80")).await), NetworkError::HostUnreachable);
    assert!(client.idle());
    assert_eq!(server.serving_count(), 0);
}

#[tokio::test]
async fn a_peer_that_leaves_or_resets_is_told() {
    let (a, b) = two().await;
    let (client, server) = (a.pod([10, 0, 0, 2]), b.pod([10, 0, 1, 2]));
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    // Its last words arrive although it has not read ours.
    let mut near = client.connect(address("10.0.1.2:80")).await.unwrap();
    let mut far = listener.accept().await.unwrap();
    near.write_all(b"unread").await.unwrap();
    far.write_all(b"goodbye").await.unwrap();
    drop(far);
    let mut words = String::new();
    near.read_to_string(&mut words).await.unwrap();
    assert_eq!(words, "goodbye");
    let refused = loop {
        if let Err(error) = near.write_all(b"more").await {
            break error.kind();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(refused, io::ErrorKind::BrokenPipe);

    let near = client.connect(address("10.0.1.2:80")).await.unwrap();
    let mut far = listener.accept().await.unwrap();
    near.end().reset();
    assert_eq!(far.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_node_cannot_speak_for_the_pods_of_another() {
    let (a, b) = two().await;
    let server = b.pod([10, 0, 1, 2]);
    let listener = server.listen(address("0.0.0.0:80")).unwrap();
    let channel = a.wires.channels.lock()["b"].clone();
    let call = |source_node: &str, source: &str| Call {
        source_node: source_node.into(),
        destination_node: "b".into(),
        transport: Transport::Tcp { source: address(source), destination: address("10.0.1.2:80") },
    };
    for (node, source) in [
        ("a", "10.0.2.2:40000"),  // a pod of c
        ("c", "10.0.2.2:40000"),  // the same, saying to be c
        ("a", "10.0.1.2:40000"),  // a pod of b
        ("a", "127.0.0.1:40000"), // the pod itself
        ("a", "10.96.0.1:40000"), // a Service
        ("a", "192.0.2.1:40000"), // somebody outside
    ] {
        let answered = channel.call(&call(node, source)).await.unwrap();
        let refused = opened(answered).err();
        assert_eq!(refused, Some(CallError::Refused(NetworkError::AccessDenied)), "{node} {source}");
    }
    assert_eq!(listener.try_accept().err(), Some(NetworkError::WouldBlock));
    let answered = channel.call(&call("whoever", "10.0.0.2:40000")).await.unwrap();
    assert!(opened(answered).is_ok(), "the certificate says who it is");
    // Nor reach what is no pod.
    for to in ["127.0.0.1:80", "10.96.0.1:80", "192.0.2.1:80", "10.0.0.2:80"] {
        let mut call = call("a", "10.0.0.2:40000");
        call.transport = Transport::Tcp { source: address("10.0.0.2:40000"), destination: address(to) };
        let refused = opened(channel.call(&call).await.unwrap()).err();
        assert_eq!(refused, Some(CallError::Refused(NetworkError::HostUnreachable)), "{to}");
    }
}

#[tokio::test]
async fn a_service_has_its_endpoints_on_all_nodes() {
    let (mut a, b) = two().await;
    let mut c = Node::new(2);
    a.reach(&mut c).await;
    let client = a.pod([10, 0, 0, 2]);
    let servers = [a.pod([10, 0, 0, 3]), b.pod([10, 0, 1, 2]), c.pod([10, 0, 2, 2])];
    let listeners = servers.each_ref().map(|server| server.listen(address("0.0.0.0:8080")).unwrap());
    let endpoints = servers.iter().map(|server| SocketAddr::new(server.ip(), 8080)).collect();
    let mut tables = Tables::new();
    let service = address("10.96.0.1:80");
    tables.add_service(
        service.ip(),
        80,
        Protocol::Tcp,
        Arc::new(ServicePort::new(endpoints, Affinity::None)),
    );
    a.fabric.set_tables(Arc::new(tables));
    for _ in 0..3 {
        let near = client.connect(service).await.unwrap();
        assert_eq!(near.peer_address(), service);
    }
    assert!(listeners.iter().all(|listener| listener.try_accept().is_ok()));
    // A NodePort or a probe: the node is known by the first address of its range.
    for _ in 0..3 {
        a.fabric.dial(service).await.unwrap();
    }
    let [here, there, third] = &listeners;
    here.try_accept().unwrap();
    assert_eq!(there.try_accept().unwrap().peer_address().ip(), IpAddr::from([10, 0, 0, 1]));
    third.try_accept().unwrap();
    // A node that cannot be reached has its turns taken by the others.
    drop(c);
    for _ in 0..6 {
        client.connect(service).await.unwrap();
    }
    let taken = |listener: &Listener| std::iter::from_fn(|| listener.try_accept().ok()).count();
    assert_eq!(taken(here) + taken(there), 6);
    drop(b);
    client.connect(service).await.unwrap();
    assert_eq!(taken(here), 1);
    // While it is fresh that a node was not reached, nobody waits for it again.
    for _ in 0..3 {
        client.connect(service).await.unwrap();
    }
    let calls = || a.wires.calls.load(Ordering::Relaxed);
    let before = calls();
    for _ in 0..6 {
        client.connect(service).await.unwrap();
    }
    assert_eq!((calls(), taken(here)), (before, 9));
    let mut tables = Tables::new();
    let gone = servers[1..].iter().map(|server| SocketAddr::new(server.ip(), 8080)).collect();
    tables.add_service(service.ip(), 80, Protocol::Tcp, Arc::new(ServicePort::new(gone, Affinity::None)));
    a.fabric.set_tables(Arc::new(tables));
    assert_eq!(error(client.connect(service).await), NetworkError::HostUnreachable);
}

#[tokio::test]
async fn datagrams_cross_nodes_and_answers_come_back() {
    let (a, b) = two().await;
    let (client, server) = (a.pod([10, 0, 0, 2]), b.pod([10, 0, 1, 2]));
    let (client, server) =
        (client.bind_udp(address("0.0.0.0:0")).unwrap(), server.bind_udp(address("0.0.0.0:53")).unwrap());
    let service = address("10.96.0.10:53");
    let mut tables = Tables::new();
    let port = ServicePort::new(vec![address("10.0.1.2:53")], Affinity::None);
    tables.add_service(service.ip(), 53, Protocol::Udp, Arc::new(port));
    a.fabric.set_tables(Arc::new(tables));
    for to in [address("10.0.1.2:53"), service] {
        for size in [0, 1, DATAGRAM_BYTES] {
            client.send(vec![7; size].into(), Some(to)).unwrap();
            let question = server.recv().await.unwrap();
            assert_eq!((question.bytes.len(), question.from.ip()), (size, IpAddr::from([10, 0, 0, 2])));
            server.send(question.bytes, Some(question.from)).unwrap();
            let answer = client.recv().await.unwrap();
            assert_eq!((answer.bytes.len(), answer.from), (size, to));
        }
    }
    // Nobody there.
    client.send(Bytes::new(), Some(address("10.0.1.9:53"))).unwrap();
    client.send(Bytes::new(), Some(address("10.0.2.9:53"))).unwrap();
}
