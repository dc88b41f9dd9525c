//! The way out, and what may take it.

use super::*;
use async_trait::async_trait;
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
