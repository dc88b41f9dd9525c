//! Pods of two nodes over real TLS on this machine's loopback, directly and by what stands for the server's relay.

#![allow(clippy::unwrap_used, reason = "test code")]

use async_trait::async_trait;
use peapod_agent::link::{Dialer, Identity, NodeListener, NodeReach};
use peapod_agent::network::{
    Asker, Connection, Fabric, FabricConfig, NetworkError, NodeTable, PodIdentity, PodNetwork, PodService,
    RemoteNode, serve_pods,
};
use peapod_agent::peers::{NodePeers, Reach, Stream};
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

/// A cluster's authority.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority { pem: params.self_signed(&key).unwrap().pem(), issuer: Issuer::new(params, key) }
    }

    /// Who shows a certificate of `CN=subject, O=group` signed by this authority and trusts `trusted`.
    fn dialer(&self, trusted: &Authority, dir: &Path, subject: &str, group: &str) -> Arc<Dialer> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, subject);
        params.distinguished_name.push(DnType::OrganizationName, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let dir = dir.join(format!("{subject}-{group}").replace(':', "-"));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("ca.crt"), &trusted.pem).unwrap();
        std::fs::write(dir.join("node.json"), r#"{"name":"n","server":"https://127.0.0.1:1"}"#).unwrap();
        std::fs::write(dir.join("node.pem"), format!("{}{}", certificate.pem(), key.serialize_pem()))
            .unwrap();
        let identity = Identity::load(&dir).unwrap().unwrap();
        Arc::new(Dialer::of_node(identity.server().unwrap(), &identity).unwrap())
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The fabric of node `a` (10.0.0.0/24) or `b` (10.0.1.0/24), to which `b` is at `b_at`.
fn fabric(own: &str, b_at: Option<SocketAddr>) -> Fabric {
    let fabric = Fabric::new(FabricConfig::new(vec!["10.0.0.0/16".parse().unwrap()], [192, 0, 2, 1].into()));
    let node = |name: &str, range: &str, address| RemoteNode {
        name: name.into(),
        ranges: vec![range.parse().unwrap()],
        address,
    };
    let nodes = [node("a", "10.0.0.0/24", None), node("b", "10.0.1.0/24", b_at)];
    fabric.set_nodes(Arc::new(NodeTable::new(own, nodes)));
    fabric
}

fn pod(fabric: &Fabric, ip: [u8; 4]) -> Arc<PodNetwork> {
    fabric.attach(PodIdentity::new("default", "pod", &format!("{ip:?}"), IpAddr::from(ip)))
}

/// Node b, listening.
struct Served {
    fabric: Fabric,
    server: Arc<PodNetwork>,
    at: SocketAddr,
    tasks: JoinSet<()>,
}

async fn serve(dialer: Arc<Dialer>) -> Served {
    let listener = NodeListener::bind(address("127.0.0.1:0")).await.unwrap();
    let at = SocketAddr::new([127, 0, 0, 1].into(), listener.port());
    println!("node b takes connections at {at}");
    let fabric = fabric("b", None);
    let (server, mut tasks) = (pod(&fabric, [10, 0, 1, 2]), JoinSet::new());
    let served = fabric.clone();
    tasks.spawn(async move { listener.serve(&served, &dialer).await });
    let echo = server.listen(address("0.0.0.0:7")).unwrap();
    tasks.spawn(async move {
        let mut clients = JoinSet::new();
        while let Ok(client) = echo.accept().await {
            clients.spawn(async move {
                let (mut read, mut write) = tokio::io::split(client);
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    Served { fabric, server, at, tasks }
}

/// Reaches b by the real listener, and else, once there is a relay, by a connection in memory.
struct Both {
    real: NodeReach,
    b: Fabric,
    has_relay: AtomicBool,
    direct: AtomicUsize,
}

#[async_trait]
impl Reach for Both {
    async fn relay(&self) -> io::Result<Box<dyn Stream>> {
        if !self.has_relay.load(Ordering::Relaxed) {
            return Err(io::Error::other("there is no relay"));
        }
        let (near, far) = tokio::io::duplex(1 << 16);
        let service = PodService::new(self.b.clone(), Asker::Node("a".into()));
        tokio::spawn(async move { serve_pods(far, service).await });
        Ok(Box::new(near))
    }

    async fn direct(&self, node: &str, address: SocketAddr) -> io::Result<Box<dyn Stream>> {
        self.direct.fetch_add(1, Ordering::Relaxed);
        self.real.direct(node, address).await
    }
}

/// Connects as soon as there is a way: a stream does not wait for long until one is opened.
async fn connect(client: &Arc<PodNetwork>, to: &str) -> Connection {
    loop {
        match client.connect(address(to)).await {
            Ok(stream) => return stream,
            Err(NetworkError::HostUnreachable) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

async fn echoed(client: &Arc<PodNetwork>) -> Vec<u8> {
    let mut stream = connect(client, "10.0.1.2:7").await;
    stream.write_all(b"hello").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn agents_that_reach_each_other_need_no_relay_and_others_do() {
    let (authority, dir) = (Authority::new(), tempfile::tempdir().unwrap());
    let dialer =
        |name: &str| authority.dialer(&authority, dir.path(), &format!("system:node:{name}"), "system:nodes");
    let mut b = serve(dialer("b")).await;
    let both = |dialer| {
        Arc::new(Both {
            real: NodeReach(dialer),
            b: b.fabric.clone(),
            has_relay: false.into(),
            direct: 0.into(),
        })
    };

    let near = fabric("a", Some(b.at));
    let reach = both(dialer("a"));
    near.reach_by(Arc::new(NodePeers::new("a", reach.clone())));
    let client = pod(&near, [10, 0, 0, 2]);
    for _ in 0..3 {
        assert_eq!(echoed(&client).await, b"hello");
    }
    assert_eq!(reach.direct.load(Ordering::Relaxed), 1, "one connection, and direct");
    // A stream that is open is reset when the other node goes, and the next ones find another way.
    let mut open = connect(&client, "10.0.1.2:7").await;
    let listener = b.server.listen(address("0.0.0.0:8")).unwrap();
    b.tasks.abort_all();
    while b.tasks.join_next().await.is_some() {}
    assert_eq!(open.read_u8().await.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
    reach.has_relay.store(true, Ordering::Relaxed);
    connect(&client, "10.0.1.2:8").await;
    listener.accept().await.unwrap();
    assert_eq!(reach.direct.load(Ordering::Relaxed), 2, "it is tried again");
}

#[tokio::test]
async fn who_does_not_prove_to_be_a_node_is_not_let_in() {
    let (authority, other, dir) = (Authority::new(), Authority::new(), tempfile::tempdir().unwrap());
    let node =
        |name: &str| authority.dialer(&authority, dir.path(), &format!("system:node:{name}"), "system:nodes");
    let b = serve(node("b")).await;
    // Reading tells: with TLS 1.3 a client learns of its refusal after its own handshake.
    let reached = |dialer: Arc<Dialer>, name: &'static str| async move {
        let mut stream = NodeReach(dialer).direct(name, b.at).await?;
        stream.read_u8().await
    };
    let strangers = [
        ("another cluster's node", other.dialer(&authority, dir.path(), "system:node:a", "system:nodes")),
        ("a user", authority.dialer(&authority, dir.path(), "kubernetes-admin", "system:masters")),
        ("a node by name alone", authority.dialer(&authority, dir.path(), "system:node:a", "friends")),
        ("a nameless node", authority.dialer(&authority, dir.path(), "system:node:", "system:nodes")),
    ];
    for (who, dialer) in strangers {
        let error = reached(dialer, "b").await.unwrap_err();
        println!("{who}: {error}");
        assert!(error.to_string().contains("alert"), "{who}: {error}");
    }
    // The other way round: it is not the node that is meant, or not of this cluster.
    let error = reached(node("a"), "c").await.unwrap_err();
    assert!(error.to_string().contains("not \"c\""), "{error}");
    let elsewhere = other.dialer(&other, dir.path(), "system:node:x", "system:nodes");
    let error = reached(elsewhere, "b").await.unwrap_err();
    assert!(error.to_string().contains("invalid peer certificate"), "{error}");
    assert!(NodeReach(node("a")).direct("b", b.at).await.is_ok());
}
