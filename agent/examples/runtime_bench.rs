//! Measures the runtime alone: how long a command takes from start to exit, and how many requests a handler answers over
//! the pod network with a fresh instance each.
//!
//!     RUST_BACKTRACE=0 cargo run --release -p peapod-agent --example runtime_bench -- COMMAND.wasm HANDLER.wasm

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use peapod_agent::image::ResolvedImage;
use peapod_agent::network::{Fabric, FabricConfig, PodIdentity, PodNetwork};
use peapod_agent::runtime::{ContainerSpec, CpuAccount, Discard, Program, Runtime, RuntimeConfig};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const COMMANDS: usize = 5_000;
const CONNECTIONS: usize = 32;
const SECONDS: u64 = 5;
const POD: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2));

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [command, handler] = args.as_slice() else {
        anyhow::bail!("usage: runtime_bench COMMAND.wasm HANDLER.wasm")
    };
    let dir = std::env::temp_dir().join("peapod-runtime-bench");
    let began = Instant::now();
    let runtime = Runtime::new(RuntimeConfig::new(&dir))?;
    println!("runtime for {} instances made in {:?}", runtime.max_instances(), began.elapsed());
    let fabric = Fabric::new(FabricConfig::new(Vec::new(), IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1))));
    let network = fabric.attach(PodIdentity::new("default", "bench", "uid", POD));
    let clients = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    clients.block_on(async {
        println!("resident at start: {} KiB", resident_kib());
        commands(&runtime, &network, command).await?;
        requests(&runtime, &fabric, &network, handler).await?;
        println!("resident afterwards: {} KiB", resident_kib());
        anyhow::Ok(())
    })
}

async fn program(runtime: &Runtime, path: &str) -> anyhow::Result<Arc<Program>> {
    let digest = format!("sha256:{:x}", <sha2::Sha256 as sha2::Digest>::digest(std::fs::read(path)?));
    let path = Path::new(path).to_path_buf();
    let began = Instant::now();
    let program =
        runtime.program(&ResolvedImage { digest, size_bytes: path.metadata()?.len(), path }).await?;
    println!("{:?} loaded in {:?}", program.world(), began.elapsed());
    Ok(program)
}

fn spec(network: &Arc<PodNetwork>) -> ContainerSpec {
    ContainerSpec {
        pod_name: "bench".into(),
        name: "main".into(),
        args: vec!["main".into()],
        env: Vec::new(),
        working_dir: None,
        mounts: Vec::new(),
        memory_limit_bytes: None,
        cpu: CpuAccount::unlimited(),
        network: network.clone(),
        ports: vec![80],
        stdin: false,
        stdout: Arc::new(Discard),
        stderr: Arc::new(Discard),
    }
}

async fn commands(runtime: &Runtime, network: &Arc<PodNetwork>, path: &str) -> anyhow::Result<()> {
    let program = program(runtime, path).await?;
    let mut times = Vec::with_capacity(COMMANDS);
    for _ in 0..COMMANDS {
        let began = Instant::now();
        let exit =
            runtime.start(program.clone(), ContainerSpec { ports: Vec::new(), ..spec(network) }).wait().await;
        times.push(began.elapsed());
        anyhow::ensure!(exit.code == 0, "{exit:?}");
    }
    println!("a command from start to exit: {}", percentiles(times));
    Ok(())
}

async fn requests(
    runtime: &Runtime,
    fabric: &Fabric,
    network: &Arc<PodNetwork>,
    path: &str,
) -> anyhow::Result<()> {
    let spec = spec(network);
    let cpu = spec.cpu.clone();
    let container = runtime.start(program(runtime, path).await?, spec);
    anyhow::ensure!(container.started().await, "{:?}", container.exit());
    let until = Instant::now() + Duration::from_secs(SECONDS);
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let fabric = fabric.clone();
        clients.spawn(async move { client(&fabric, until).await });
    }
    let mut times = Vec::new();
    while let Some(done) = clients.join_next().await {
        times.extend(done??);
    }
    println!("requests: {}/s, {}", times.len() as u64 / SECONDS, percentiles(times));
    println!("guests' CPU time: {:?}", cpu.usage().used);
    container.stop();
    container.wait().await;
    Ok(())
}

/// Sends requests on one connection, one after the other.
async fn client(fabric: &Fabric, until: Instant) -> anyhow::Result<Vec<Duration>> {
    let connection = fabric.dial(SocketAddr::new(POD, 80)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(connection)).await?;
    let sending = async move {
        let mut times = Vec::new();
        while Instant::now() < until {
            let request =
                http::Request::get("/").header("host", "bench").body(Empty::<bytes::Bytes>::new())?;
            let began = Instant::now();
            let response = sender.send_request(request).await?;
            anyhow::ensure!(response.status() == 200, "{}", response.status());
            response.into_body().collect().await?;
            times.push(began.elapsed());
        }
        Ok(times)
    };
    futures_util::future::join(sending, connection).await.0
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    format!("p50 {:?}, p99 {:?}, max {:?}", at(0.5), at(0.99), at(1.0))
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse().unwrap_or_default()
}
