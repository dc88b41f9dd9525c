//! The runtime, tested by programs in WebAssembly text.

mod commands;
mod guests;
mod handlers;
mod images;
mod limits;

use super::*;
use crate::network::{Connection, Fabric, FabricConfig, PodIdentity, PodNetwork};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// A runtime, a pod's network and a place for images.
struct Bench {
    dir: tempfile::TempDir,
    runtime: Runtime,
    fabric: Fabric,
    network: Arc<PodNetwork>,
}

/// Keeps what guests write.
#[derive(Default)]
struct Capture(Mutex<Vec<u8>>);

impl LogSink for Capture {
    fn write(&self, bytes: &[u8]) {
        self.0.lock().extend_from_slice(bytes);
    }
}

impl Capture {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

const POD_IP: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 1, 0, 2));

impl Bench {
    fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let runtime = start_runtime(dir.path(), 64);
        let fabric = Fabric::new(FabricConfig::new(Vec::new(), IpAddr::V4(Ipv4Addr::new(10, 1, 0, 1))));
        let network = fabric.attach(PodIdentity::new("default", "pod", "uid", POD_IP));
        Bench { dir, runtime, fabric, network }
    }

    fn image(&self, bytes: &[u8]) -> ResolvedImage {
        let digest = format!("sha256:{:x}", Sha256::digest(bytes));
        let path = self.dir.path().join(digest.replace(':', "-"));
        std::fs::write(&path, bytes).unwrap();
        ResolvedImage { digest, path, size_bytes: bytes.len() as u64 }
    }

    async fn program(&self, text: &str) -> Arc<Program> {
        self.runtime.program(&self.image(text.as_bytes())).await.unwrap()
    }

    async fn start(&self, text: &str, change: impl FnOnce(&mut ContainerSpec)) -> Container {
        let mut spec = spec(&self.network);
        change(&mut spec);
        self.runtime.start(self.program(text).await, spec)
    }

    async fn run(&self, text: &str) -> Exit {
        self.start(text, |_| ()).await.wait().await
    }

    async fn dial(&self, port: u16) -> Connection {
        self.fabric.dial((POD_IP, port).into()).await.unwrap()
    }
}

fn start_runtime(dir: &std::path::Path, instances: u32) -> Runtime {
    let config = RuntimeConfig { max_instances: Some(instances), ..RuntimeConfig::new(dir.join("code")) };
    Runtime::new(config).unwrap()
}

fn spec(network: &Arc<PodNetwork>) -> ContainerSpec {
    ContainerSpec {
        pod_name: "pod".into(),
        name: "main".into(),
        args: vec!["main".into()],
        env: Vec::new(),
        working_dir: None,
        mounts: Vec::new(),
        memory_limit_bytes: None,
        cpu: CpuAccount::unlimited(),
        network: network.clone(),
        ports: Vec::new(),
        stdin: false,
        stdout: Arc::new(Discard),
        stderr: Arc::new(Discard),
    }
}

/// A preview-1 module with a memory, the imports that the tests use, and `body` as its `_start`.
fn command(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "args_get" (func $args (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "path_open"
              (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
            (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 2)
            (data (i32.const 512) "hello.txt")
            (func $print (param $fd i32) (param $at i32) (param $length i32)
              (i32.store (i32.const 16) (local.get $at))
              (i32.store (i32.const 20) (local.get $length))
              (drop (call $write (local.get $fd) (i32.const 16) (i32.const 1) (i32.const 24))))
            (func $nap (param $nanos i64)
              (memory.fill (i32.const 256) (i32.const 0) (i32.const 48))
              (i32.store (i32.const 272) (i32.const 1))
              (i64.store (i32.const 280) (local.get $nanos))
              (drop (call $poll (i32.const 256) (i32.const 320) (i32.const 1) (i32.const 24))))
            (func (export "_start") {body}))"#
    )
}

/// Sleeps for an hour.
fn sleeper() -> String {
    command("(call $nap (i64.const 3600000000000))")
}

/// Never ends by itself.
fn spinner() -> String {
    command("(loop $forever (br $forever))")
}
