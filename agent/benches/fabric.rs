//! The fabric's streams against kernel loopback, the same code on both, in one process.
//!
//! `cargo bench -p peapod-agent --bench fabric` prints for each measure the median of five rounds on either side and
//! their ratio; above 1 the fabric is the faster one. Run it with RUST_BACKTRACE unset.

use peapod_agent::network::{Fabric, FabricConfig, Listener, PodIdentity, PodNetwork};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ROUNDS: usize = 5;
const TRANSFER_BYTES: usize = 1 << 30;
const ROUND_TRIPS: u32 = 100_000;
const CONNECTS: u32 = 20_000;

/// A network to be measured: a place to listen and a way to connect to it.
trait Network: Clone + Send + Sync + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    fn connect(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    fn accept(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

#[derive(Clone)]
struct InProcess {
    client: Arc<PodNetwork>,
    listener: Arc<Listener>,
    to: SocketAddr,
}

impl InProcess {
    fn new() -> InProcess {
        let fabric = Fabric::new(FabricConfig::new(Vec::new(), IpAddr::from([10, 0, 255, 1])));
        let pod = |last: u8| {
            let identity =
                PodIdentity::new("bench", &format!("pod-{last}"), "uid", IpAddr::from([10, 0, 0, last]));
            fabric.attach(identity)
        };
        let (client, server) = (pod(1), pod(2));
        let listener = server.listen(SocketAddr::from(([0, 0, 0, 0], 80))).expect("a free port");
        InProcess { client, listener: Arc::new(listener), to: SocketAddr::new(server.ip(), 80) }
    }
}

impl Network for InProcess {
    type Stream = peapod_agent::network::Connection;

    async fn connect(&self) -> io::Result<Self::Stream> {
        Ok(self.client.connect(self.to).await?)
    }

    async fn accept(&self) -> io::Result<Self::Stream> {
        Ok(self.listener.accept().await?)
    }
}

#[derive(Clone)]
struct Loopback(Arc<TcpListener>);

impl Network for Loopback {
    type Stream = TcpStream;

    async fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(self.0.local_addr()?).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    async fn accept(&self) -> io::Result<TcpStream> {
        let (stream, _) = self.0.accept().await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// Bytes per second of writes of one size, read as they come.
async fn throughput<N: Network>(network: N, write_bytes: usize, transfer_bytes: usize) -> io::Result<f64> {
    let begin = Instant::now();
    let acceptor = network.clone();
    let reader = tokio::spawn(async move {
        let mut stream = acceptor.accept().await?;
        let mut buffer = vec![0; 64 * 1024];
        let mut total = 0;
        loop {
            match stream.read(&mut buffer).await? {
                0 => return Ok::<_, io::Error>(total),
                length => total += length,
            }
        }
    });
    let mut stream = network.connect().await?;
    let buffer = vec![7; write_bytes];
    for _ in 0..transfer_bytes / write_bytes {
        stream.write_all(&buffer).await?;
    }
    drop(stream);
    let total = reader.await.map_err(io::Error::other)??;
    Ok(total as f64 / begin.elapsed().as_secs_f64())
}

/// Round trips of one byte per second.
async fn round_trips<N: Network>(network: N) -> io::Result<f64> {
    let acceptor = network.clone();
    let echo = tokio::spawn(async move {
        let mut stream = acceptor.accept().await?;
        let mut byte = [0];
        while stream.read(&mut byte).await? == 1 {
            stream.write_all(&byte).await?;
        }
        Ok::<_, io::Error>(())
    });
    let mut stream = network.connect().await?;
    let begin = Instant::now();
    let mut byte = [1];
    for _ in 0..ROUND_TRIPS {
        stream.write_all(&byte).await?;
        stream.read_exact(&mut byte).await?;
    }
    let rate = f64::from(ROUND_TRIPS) / begin.elapsed().as_secs_f64();
    drop(stream);
    echo.await.map_err(io::Error::other)??;
    Ok(rate)
}

/// Connections made, accepted and closed per second.
async fn connects<N: Network>(network: N) -> io::Result<f64> {
    let acceptor = network.clone();
    let closer = tokio::spawn(async move {
        for _ in 0..CONNECTS {
            drop(acceptor.accept().await?);
        }
        Ok::<_, io::Error>(())
    });
    let begin = Instant::now();
    for _ in 0..CONNECTS {
        let mut stream = network.connect().await?;
        stream.read_exact(&mut [0]).await.ok();
    }
    closer.await.map_err(io::Error::other)??;
    Ok(f64::from(CONNECTS) / begin.elapsed().as_secs_f64())
}

async fn median<F: Future<Output = io::Result<f64>> + Send + 'static>(
    measure: impl Fn() -> F,
) -> io::Result<f64> {
    let mut figures = Vec::new();
    for _ in 0..ROUNDS {
        figures.push(tokio::spawn(measure()).await.map_err(io::Error::other)??);
    }
    figures.sort_by(f64::total_cmp);
    Ok(figures[ROUNDS / 2])
}

fn report(what: &str, fabric: f64, kernel: f64, scale: f64, unit: &str) {
    let ratio = fabric / kernel;
    println!("{what:24} {:>10.2} {:>10.2} {unit:6} {ratio:>6.2}", fabric / scale, kernel / scale);
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> io::Result<()> {
    let fabric = InProcess::new();
    let kernel = Loopback(Arc::new(TcpListener::bind("127.0.0.1:0").await?));
    println!("{:24} {:>10} {:>10} {:6} {:>6}", "", "fabric", "kernel", "", "ratio");
    for (name, size, total) in [
        ("64 KiB writes", 64 * 1024, TRANSFER_BYTES),
        ("4 KiB writes", 4 * 1024, TRANSFER_BYTES / 4),
        ("100 B writes", 100, TRANSFER_BYTES / 64),
    ] {
        let ours = median(|| throughput(fabric.clone(), size, total)).await?;
        let theirs = median(|| throughput(kernel.clone(), size, total)).await?;
        report(name, ours, theirs, 1e9, "GB/s");
    }
    let (ours, theirs) =
        (median(|| round_trips(fabric.clone())).await?, median(|| round_trips(kernel.clone())).await?);
    report("1-byte round trips", ours, theirs, 1e3, "k/s");
    println!("{:24} {:>10.2} {:>10.2} us", "  mean", 1e6 / ours, 1e6 / theirs);
    let (ours, theirs) =
        (median(|| connects(fabric.clone())).await?, median(|| connects(kernel.clone())).await?);
    report("connect and close", ours, theirs, 1e3, "k/s");
    Ok(())
}
