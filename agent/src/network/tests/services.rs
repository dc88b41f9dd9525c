//! Services and names.

use super::*;

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
