//! HTTP handlers, spoken to over the pod's network.

use super::*;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const HANDLER: &str = include_str!("handler.wat");

async fn handler(bench: &Bench, change: impl FnOnce(&mut ContainerSpec)) -> Container {
    let container = bench.start(HANDLER, change).await;
    assert!(container.started().await, "{:?}", container.exit());
    container
}

/// One request on a connection of its own: status and body; `None` when the connection breaks.
pub(super) async fn get(bench: &Bench, path: &str) -> Option<(u16, String)> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(bench.dial(80).await)).await.unwrap();
    let request = http::Request::get(path).header("host", "pod").body(Empty::<bytes::Bytes>::new()).unwrap();
    let answer = async move {
        let response = sender.send_request(request).await.ok()?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    };
    futures_util::future::join(answer, connection).await.0
}

#[tokio::test]
async fn each_request_has_an_instance_of_its_own() {
    let bench = Bench::new();
    let container = handler(&bench, |_| ()).await;
    for _ in 0..3 {
        assert_eq!(get(&bench, "/").await, Some((200, "1".into())));
    }
    let many = futures_util::future::join_all((0..50).map(|_| get(&bench, "/"))).await;
    assert!(many.iter().all(|answer| *answer == Some((200, "1".into()))), "{many:?}");
    // An instance may end a moment after its answer has been read.
    container.stop();
    assert_eq!(container.wait().await, Exit::exited(0));
    assert_eq!(container.memory().held_bytes(), 0);
}

#[tokio::test]
async fn a_trap_is_one_requests_own() {
    let bench = Bench::new();
    let log = Arc::new(Capture::default());
    let container = handler(&bench, |spec| spec.stderr = log.clone()).await;
    let (status, _) = get(&bench, "/trap").await.unwrap();
    assert_eq!(status, 500);
    assert!(
        log.text().starts_with("GET /trap: wasm trap: wasm `unreachable` instruction executed"),
        "{}",
        log.text()
    );
    let (status, body) = get(&bench, "/nothing").await.unwrap();
    assert_eq!((status, &*body), (500, "the handler gave no response\n"));
    assert!(log.text().contains("GET /nothing: the handler returned without setting a response\n"));
    assert_eq!(get(&bench, "/").await, Some((200, "1".into())));
    assert!(container.is_running());
}

#[tokio::test]
async fn a_trap_after_the_answer_is_logged() {
    let bench = Bench::new();
    let log = Arc::new(Capture::default());
    let container = handler(&bench, |spec| spec.stderr = log.clone()).await;
    assert_eq!(get(&bench, "/after").await, Some((200, "1".into())));
    container.stop();
    assert_eq!(container.wait().await.code, 0);
    assert!(log.text().starts_with("GET /after: wasm trap"), "{}", log.text());
}

#[tokio::test]
async fn a_body_streams() {
    let bench = Bench::new();
    let _container = handler(&bench, |_| ()).await;
    let (status, body) = get(&bench, "/long").await.unwrap();
    assert_eq!((status, body.len()), (200, 64 * 4096));
}

#[tokio::test]
async fn a_looping_request_does_not_starve_the_others() {
    let bench = Bench::new();
    let container = handler(&bench, |_| ()).await;
    let workers = std::thread::available_parallelism().unwrap().get();
    let mut spinning = Vec::new();
    for _ in 0..2 * workers {
        let mut connection = bench.dial(80).await;
        connection.write_all(b"GET /spin HTTP/1.1\r\nhost: pod\r\n\r\n").await.unwrap();
        spinning.push(connection);
    }
    assert_eq!(get(&bench, "/").await, Some((200, "1".into())));
    container.kill();
    assert_eq!(container.wait().await.code, 137);
    for mut connection in spinning {
        assert!(!matches!(connection.read(&mut [0; 16]).await, Ok(1..)));
    }
}

#[tokio::test]
async fn instances_share_the_containers_memory_limit() {
    let bench = Bench::new();
    let container = handler(&bench, |spec| spec.memory_limit_bytes = Some(32 << 20)).await;
    assert_eq!(get(&bench, "/").await, Some((200, "1".into())));
    get(&bench, "/memory").await;
    let exit = container.wait().await;
    assert_eq!((exit.code, exit.reason), (137, "OOMKilled"));
}

#[tokio::test]
async fn it_listens_on_its_ports_and_frees_them() {
    let bench = Bench::new();
    let container = handler(&bench, |spec| spec.ports = vec![80, 8080]).await;
    for port in [80, 8080] {
        let mut connection = bench.dial(port).await;
        connection.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("\r\n\r\n1"), "{answer}");
    }
    let second = bench.start(HANDLER, |spec| spec.ports = vec![8080]).await;
    let exit = second.wait().await;
    assert_eq!(exit.reason, "StartError");
    assert!(
        exit.message.contains("cannot listen on port 8080 of the pod: address in use"),
        "{}",
        exit.message
    );
    container.stop();
    assert_eq!(container.wait().await, Exit::exited(0));
    handler(&bench, |spec| spec.ports = vec![8080]).await;
}

#[tokio::test]
async fn http2_is_spoken_without_an_upgrade() {
    let bench = Bench::new();
    let _container = handler(&bench, |_| ()).await;
    let executor = hyper_util::rt::TokioExecutor::new();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(executor, TokioIo::new(bench.dial(80).await)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(connection);
    let request = http::Request::get("http://pod/").body(Empty::<bytes::Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "1");
}

#[tokio::test]
async fn stopping_finishes_what_is_in_flight() {
    let bench = Bench::new();
    let container = handler(&bench, |_| ()).await;
    // An idle connection is closed; one whose answer is being read is not cut.
    let mut idle = bench.dial(80).await;
    let mut busy = bench.dial(80).await;
    busy.write_all(b"GET /long HTTP/1.1\r\nhost: pod\r\n\r\n").await.unwrap();
    let mut first = [0; 16];
    busy.read_exact(&mut first).await.unwrap();
    container.stop();
    assert_eq!(idle.read(&mut [0; 16]).await.unwrap(), 0);
    let mut rest = Vec::new();
    busy.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() > 64 * 4096);
    assert_eq!(container.wait().await, Exit::exited(0));
    assert!(bench.fabric.dial((POD_IP, 80).into()).await.is_err());
}
