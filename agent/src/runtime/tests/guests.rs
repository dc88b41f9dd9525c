//! The guest modules of this repository, run as containers.

use super::*;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

impl Bench {
    async fn start_guest(&self, name: &str, change: impl FnOnce(&mut ContainerSpec)) -> Container {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules/dist").join(format!("{name}.wasm"));
        let program = self.runtime.program(&self.image(&std::fs::read(path).unwrap())).await.unwrap();
        let mut spec = spec(&self.network);
        change(&mut spec);
        self.runtime.start(program, spec)
    }

    /// Dials until somebody listens.
    async fn reach(&self, port: u16) -> Connection {
        loop {
            match self.fabric.dial((POD_IP, port).into()).await {
                Ok(connection) => return connection,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    async fn echoes(&self, port: u16) {
        let mut connection = self.reach(port).await;
        connection.write_all(b"to and fro").await.unwrap();
        let mut answer = [0; 10];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"to and fro");
    }
}

#[tokio::test]
async fn hello_counts_to_one() {
    let bench = Bench::new();
    let env =
        vec![("GREETING".to_owned(), "good day".to_owned()), ("HOSTNAME".to_owned(), "pod-1".to_owned())];
    let container = bench.start_guest("hello", |spec| spec.env = env).await;
    assert!(container.started().await);
    for _ in 0..3 {
        let (status, body) = handlers::get(&bench, "/").await.unwrap();
        assert_eq!((status, &*body), (200, "good day from pod-1: request 1\n"));
    }
}

#[tokio::test]
async fn echo_serves_on_the_listener_that_it_is_given() {
    let bench = Bench::new();
    let container = bench.start_guest("echo", |spec| spec.ports = vec![7]).await;
    bench.echoes(7).await;
    let taken = bench.start_guest("echo", |spec| spec.ports = vec![7]).await.wait().await;
    assert_eq!(taken.reason, "StartError");
    assert!(
        taken.message.contains("cannot listen on the container's ports [7]: address in use"),
        "{}",
        taken.message
    );
    assert!(container.is_running());
}

#[tokio::test]
async fn echo_serves_on_a_listener_of_its_own() {
    let bench = Bench::new();
    let container = bench.start_guest("echo-p2", |_| ()).await;
    bench.echoes(7).await;
    // The pod ends: the client is served until it goes, then the guest ends by itself or is ended.
    let (mut client, mut answer) = (bench.reach(7).await, [0]);
    client.write_all(b"a").await.unwrap();
    client.read_exact(&mut answer).await.unwrap();
    bench.network.stop_listening();
    container.stop();
    client.write_all(b"b").await.unwrap();
    client.read_exact(&mut answer).await.unwrap();
    drop(client);
    assert!([0, 143].contains(&container.wait().await.code));
}

#[tokio::test]
async fn a_program_that_serves_nobody_gets_no_listener() {
    let bench = Bench::new();
    let container = bench.start_guest("sleeper", |spec| spec.ports = vec![80]).await;
    assert!(container.started().await);
    assert!(bench.fabric.dial((POD_IP, 80).into()).await.is_err());
    container.stop();
    container.wait().await;
}

#[tokio::test]
async fn memory_bomb_and_crasher_end_as_they_are_named() {
    let bench = Bench::new();
    let bomb = bench.start_guest("memory-bomb", |spec| spec.memory_limit_bytes = Some(32 << 20)).await;
    let args = ["crasher", "0", "trap"].map(String::from);
    let crasher = bench.start_guest("crasher", |spec| spec.args = args.into()).await;
    assert_eq!(bomb.wait().await.reason, "OOMKilled");
    let exit = crasher.wait().await;
    assert_eq!((exit.code, exit.reason), (134, "Error"));
}

#[tokio::test]
async fn a_caller_reaches_a_front_and_that_its_backend() {
    let bench = Bench::new();
    let network = |name: &str, last: u8| {
        bench.fabric.attach(PodIdentity::new("default", name, name, Ipv4Addr::new(10, 1, 0, last).into()))
    };
    let named = |name: &str| ("HOSTNAME".to_owned(), name.to_owned());
    let hello = bench.start_guest("hello", |spec| spec.env = vec![named("hello-1")]).await;
    let front = bench
        .start_guest("front", |spec| {
            spec.env = vec![named("front-1"), ("BACKEND".into(), format!("http://{POD_IP}"))];
            spec.network = network("front", 3);
        })
        .await;
    assert!(hello.started().await && front.started().await);
    let stdout = Arc::new(Capture::default());
    let caller = bench
        .start_guest("caller", |spec| {
            spec.args = ["caller", "http://10.1.0.3", "0", "2"].map(String::from).into();
            spec.network = network("caller", 4);
            spec.stdout = stdout.clone();
        })
        .await;
    assert_eq!(caller.wait().await, Exit::exited(0));
    assert_eq!(stdout.text(), "front-1 says: hello from hello-1: request 1\n".repeat(2));
}
