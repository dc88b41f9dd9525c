//! A preview-1 guest that does whatever the test says: every function is called from inside a module.

mod programs;

use super::*;
use crate::network::{Connection, Fabric, FabricConfig, PodIdentity};
use futures_util::FutureExt;
use std::fmt::Write as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wasmtime::{Config, Engine, Instance, Memory, Module, Store, Val};
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{FsPerms, WasiCtxBuilder};

/// The functions that tests call, with the types of their parameters.
const FUNCTIONS: [(&str, &str); 17] = [
    ("fd_close", "i32"),
    ("fd_fdstat_get", "i32 i32"),
    ("fd_fdstat_set_flags", "i32 i32"),
    ("fd_filestat_get", "i32 i32"),
    ("fd_prestat_dir_name", "i32 i32 i32"),
    ("fd_prestat_get", "i32 i32"),
    ("fd_read", "i32 i32 i32 i32"),
    ("fd_renumber", "i32 i32"),
    ("fd_seek", "i32 i64 i32 i32"),
    ("fd_write", "i32 i32 i32 i32"),
    ("path_filestat_get", "i32 i32 i32 i32 i32"),
    ("path_open", "i32 i32 i32 i32 i32 i64 i64 i32 i32"),
    ("poll_oneoff", "i32 i32 i32 i32"),
    ("sock_accept", "i32 i32 i32"),
    ("sock_recv", "i32 i32 i32 i32 i32 i32"),
    ("sock_send", "i32 i32 i32 i32 i32"),
    ("sock_shutdown", "i32 i32"),
];

fn module_text() -> String {
    let mut text = String::from("(module ");
    for (name, parameters) in FUNCTIONS {
        write!(
            text,
            "(import \"wasi_snapshot_preview1\" \"{name}\" (func ${name} (param {parameters}) (result i32)))"
        )
        .unwrap();
    }
    text.push_str("(memory (export \"memory\") 1)");
    for (name, parameters) in FUNCTIONS {
        let arguments: String =
            (0..parameters.split(' ').count()).map(|index| format!("(local.get {index})")).collect();
        write!(
            text,
            "(func (export \"{name}\") (param {parameters}) (result i32) (call ${name} {arguments}))"
        )
        .unwrap();
    }
    text.push(')');
    text
}

struct State(Preview1Ctx);

impl Preview1View for State {
    fn preview1(&mut self) -> &mut Preview1Ctx {
        &mut self.0
    }
}

struct Guest {
    store: Store<State>,
    instance: Instance,
    memory: Memory,
}

/// Where tests put things in the guest's memory.
const IOVEC: u32 = 0;
const RESULT: u32 = 64;
const BUFFER: u32 = 256;
const MEMORY_BYTES: u32 = 65536;
const SUCCESS: i32 = Errno::Success as i32;
/// The flag of `fd_fdstat_get` and `fd_fdstat_set_flags`.
const NONBLOCK: u8 = 4;

impl Guest {
    async fn new(network: &Arc<PodNetwork>, ports: &[u16], wasi: &mut WasiCtxBuilder) -> Guest {
        let engine = Engine::new(&Config::new()).unwrap();
        let mut linker = Linker::new(&engine);
        add_to_linker(&mut linker).unwrap();
        let module = Module::new(&engine, module_text()).unwrap();
        let mut store =
            Store::new(&engine, State(Preview1Ctx::new(wasi.build_p1(), network, ports).unwrap()));
        let instance = linker.instantiate_async(&mut store, &module).await.unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        Guest { store, instance, memory }
    }

    async fn try_call(&mut self, name: &str, arguments: &[i64]) -> wasmtime::Result<i32> {
        let function = self.instance.get_func(&mut self.store, name).unwrap();
        let kinds = function.ty(&self.store);
        let values: Vec<Val> = kinds
            .params()
            .zip(arguments)
            .map(|(kind, value)| if kind.is_i32() { Val::I32(*value as i32) } else { Val::I64(*value) })
            .collect();
        let mut result = [Val::I32(0)];
        function.call_async(&mut self.store, &values, &mut result).await?;
        Ok(result[0].unwrap_i32())
    }

    async fn call(&mut self, name: &str, arguments: &[i64]) -> i32 {
        self.try_call(name, arguments).await.unwrap()
    }

    fn put(&mut self, at: u32, bytes: &[u8]) {
        self.memory.write(&mut self.store, at as usize, bytes).unwrap();
    }

    fn word(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    fn bytes(&self, at: u32, length: usize) -> Vec<u8> {
        self.memory.data(&self.store)[at as usize..][..length].to_vec()
    }

    /// Lays out iovecs over the buffer, one after the other.
    fn iovecs(&mut self, lengths: &[u32]) {
        let mut start = BUFFER;
        for (index, length) in (0..).zip(lengths) {
            self.put(IOVEC + index * 8, &start.to_le_bytes());
            self.put(IOVEC + index * 8 + 4, &length.to_le_bytes());
            start += length;
        }
    }

    async fn accept(&mut self) -> i64 {
        assert_eq!(self.call("sock_accept", &[3, 0, RESULT.into()]).await, SUCCESS);
        self.word(RESULT).into()
    }

    /// Lets accepting on the listener wait.
    async fn wait_in_accept(&mut self) {
        assert_eq!(self.call("fd_fdstat_set_flags", &[3, 0]).await, SUCCESS);
    }

    /// A socket's flags.
    async fn flags(&mut self, fd: i64) -> u8 {
        assert_eq!(self.call("fd_fdstat_get", &[fd, RESULT.into()]).await, SUCCESS);
        assert_eq!(self.bytes(RESULT, 1), [6], "a stream socket");
        self.bytes(RESULT + 2, 1)[0]
    }
}

struct Scene {
    fabric: Fabric,
    network: Arc<PodNetwork>,
}

impl Scene {
    fn new() -> Scene {
        let fabric = Fabric::new(FabricConfig::new(Vec::new(), IpAddr::from([10, 0, 255, 1])));
        let network = fabric.attach(PodIdentity::new("default", "pod", "uid", IpAddr::from([10, 0, 0, 1])));
        Scene { fabric, network }
    }

    async fn dial(&self, port: u16) -> Connection {
        self.fabric.dial(SocketAddr::new(self.network.ip(), port)).await.unwrap()
    }

    async fn guest(&self) -> Guest {
        Guest::new(&self.network, &[80], &mut WasiCtxBuilder::new()).await
    }
}

#[tokio::test]
async fn a_guest_serves() {
    let scene = Scene::new();
    let mut guest = scene.guest().await;
    let mut client = scene.dial(80).await;
    let fd = guest.accept().await;
    assert_eq!(fd, 4);
    client.write_all(b"hello, guest").await.unwrap();
    // Into every buffer, empty ones between.
    guest.iovecs(&[5, 0, 2, 100]);
    assert_eq!(guest.call("fd_read", &[fd, IOVEC.into(), 4, RESULT.into()]).await, SUCCESS);
    assert_eq!(guest.word(RESULT), 12);
    assert_eq!(guest.bytes(BUFFER, 12), b"hello, guest");
    guest.put(BUFFER, b"hello, you");
    guest.iovecs(&[6, 4]);
    assert_eq!(guest.call("fd_write", &[fd, IOVEC.into(), 2, RESULT.into()]).await, SUCCESS);
    assert_eq!(guest.call("sock_send", &[fd, IOVEC.into(), 1, 0, RESULT.into()]).await, SUCCESS);
    assert_eq!(guest.word(RESULT), 6);
    assert_eq!(guest.call("sock_shutdown", &[fd, 2]).await, SUCCESS);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "hello, youhello,");
    drop(client);
    assert_eq!(guest.call("fd_read", &[fd, IOVEC.into(), 1, RESULT.into()]).await, SUCCESS);
    assert_eq!(guest.word(RESULT), 0);
    assert_eq!(guest.call("fd_close", &[fd]).await, SUCCESS);
    assert_eq!(guest.call("fd_close", &[fd]).await, Errno::Badf as i32);
    assert_eq!(scene.network.connection_count(), 0);
}

#[tokio::test]
async fn receiving_can_peek_and_wait_for_all() {
    let scene = Scene::new();
    let mut guest = scene.guest().await;
    let mut client = scene.dial(80).await;
    let fd = guest.accept().await;
    client.write_all(b"abc").await.unwrap();
    guest.iovecs(&[2]);
    let (length, flags) = (i64::from(RESULT), i64::from(RESULT) + 8);
    assert_eq!(guest.call("sock_recv", &[fd, IOVEC.into(), 1, 1, length, flags]).await, SUCCESS);
    assert_eq!((guest.word(RESULT), guest.bytes(BUFFER, 2)), (2, b"ab".to_vec()));
    guest.iovecs(&[3, 3]);
    let arguments = [fd, IOVEC.into(), 2, 2, length, flags];
    let whole = guest.call("sock_recv", &arguments);
    let (errno, sent) = tokio::join!(whole, async {
        tokio::task::yield_now().await;
        client.write_all(b"def").await
    });
    sent.unwrap();
    assert_eq!((errno, guest.word(RESULT)), (SUCCESS, 6));
    assert_eq!(guest.bytes(BUFFER, 6), b"abcdef");
}

#[tokio::test]
async fn nonblocking_sockets_answer_at_once() {
    let scene = Scene::new();
    let mut guest = scene.guest().await;
    assert_eq!(guest.call("fd_fdstat_set_flags", &[3, 1]).await, Errno::Inval as i32);
    assert_eq!(guest.flags(3).await, NONBLOCK);
    assert_eq!(guest.call("sock_accept", &[3, 4, RESULT.into()]).await, Errno::Again as i32);
    let _client = scene.dial(80).await;
    assert_eq!(guest.call("sock_accept", &[3, 4, RESULT.into()]).await, SUCCESS);
    let fd = i64::from(guest.word(RESULT));
    guest.iovecs(&[10]);
    assert_eq!(guest.call("fd_read", &[fd, IOVEC.into(), 1, RESULT.into()]).await, Errno::Again as i32);
    assert_eq!(guest.flags(fd).await, NONBLOCK);
    // A writer that nobody reads fills the buffer and is told so.
    guest.iovecs(&[60_000]);
    let mut calls = 0;
    while guest.call("fd_write", &[fd, IOVEC.into(), 1, RESULT.into()]).await == SUCCESS {
        calls += 1;
    }
    assert!((15..=20).contains(&calls), "{calls}");
    assert_eq!(guest.call("fd_write", &[fd, IOVEC.into(), 1, RESULT.into()]).await, Errno::Again as i32);
}

#[tokio::test]
async fn bad_pointers_are_faults() {
    let scene = Scene::new();
    let mut guest = scene.guest().await;
    let mut client = scene.dial(80).await;
    let fd = guest.accept().await;
    client.write_all(b"kept").await.unwrap();
    let fault = Errno::Fault as i32;
    let far = i64::from(MEMORY_BYTES) - 4;
    for bad in [far, -8, i64::from(u32::MAX) - 3, 0x7fff_fff8] {
        assert_eq!(guest.call("fd_read", &[fd, bad, 1, RESULT.into()]).await, fault, "{bad}");
        assert_eq!(guest.call("fd_write", &[fd, bad, 1, RESULT.into()]).await, fault, "{bad}");
        assert_eq!(guest.call("sock_recv", &[fd, bad, 1, 0, RESULT.into(), 72]).await, fault, "{bad}");
        assert_eq!(guest.call("poll_oneoff", &[bad, 0, 1, RESULT.into()]).await, fault, "{bad}");
        assert_eq!(guest.call("fd_prestat_get", &[3, bad]).await, fault, "{bad}");
    }
    guest.iovecs(&[10]);
    guest.wait_in_accept().await;
    assert_eq!(guest.call("sock_recv", &[fd, IOVEC.into(), 1, 0, -4, 72]).await, fault);
    assert_eq!(guest.call("sock_accept", &[3, 0, -4]).now_or_never_or_dial(&scene).await, fault);
    // An iovec that leads out, and one that wraps around.
    for (start, length) in [(MEMORY_BYTES - 1, 2), (8, u32::MAX), (u32::MAX, 1)] {
        guest.put(IOVEC, &u32::to_le_bytes(start));
        guest.put(IOVEC + 4, &u32::to_le_bytes(length));
        assert_eq!(guest.call("fd_read", &[fd, IOVEC.into(), 1, RESULT.into()]).await, fault);
        assert_eq!(guest.call("sock_send", &[fd, IOVEC.into(), 1, 0, RESULT.into()]).await, fault);
    }
    assert_eq!(guest.call("fd_read", &[fd, IOVEC.into(), -1, RESULT.into()]).await, Errno::Inval as i32);
    assert_eq!(guest.call("poll_oneoff", &[0, 0, -1, RESULT.into()]).await, Errno::Nomem as i32);
    assert_eq!(guest.call("poll_oneoff", &[0, 0, 0, RESULT.into()]).await, Errno::Inval as i32);
    // Nothing was lost by all that.
    guest.iovecs(&[10]);
    assert_eq!(guest.call("fd_read", &[fd, IOVEC.into(), 1, RESULT.into()]).await, SUCCESS);
    assert_eq!(guest.bytes(BUFFER, 4), b"kept");
}

#[tokio::test]
async fn an_accept_waits_if_the_guest_wants_that_and_so_does_what_it_accepts() {
    let scene = Scene::new();
    let mut guest = scene.guest().await;
    guest.wait_in_accept().await;
    assert_eq!(guest.flags(3).await, 0);
    let errno = guest.call("sock_accept", &[3, 0, RESULT.into()]).now_or_never_or_dial(&scene).await;
    assert_eq!(errno, SUCCESS);
    let fd = i64::from(guest.word(RESULT));
    assert_eq!(guest.flags(fd).await, 0);
}

/// Accepts a connection that is dialled only once the guest waits.
trait DialWhilePending: Future<Output = i32> + Sized {
    async fn now_or_never_or_dial(self, scene: &Scene) -> i32 {
        let (errno, _client) = tokio::join!(self, scene.dial(80));
        errno
    }
}

impl<F: Future<Output = i32>> DialWhilePending for F {}

#[tokio::test]
async fn directories_follow_the_listeners_and_the_walk_finds_them() {
    let scene = Scene::new();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "content").unwrap();
    let mut wasi = WasiCtxBuilder::new();
    wasi.preopened_dir(directory.path(), "/data", FsPerms::ReadWrite).unwrap();
    let mut guest = Guest::new(&scene.network, &[80, 81], &mut wasi).await;
    let mut kinds = Vec::new();
    for fd in 3.. {
        match guest.call("fd_prestat_get", &[fd, RESULT.into()]).await {
            SUCCESS => kinds.push(guest.bytes(RESULT, 1)[0]),
            errno => {
                assert_eq!(errno, Errno::Badf as i32);
                break;
            }
        }
    }
    assert_eq!(kinds, [1, 1, 0]);
    assert_eq!(guest.call("fd_prestat_dir_name", &[5, BUFFER.into(), 5]).await, SUCCESS);
    assert_eq!(guest.bytes(BUFFER, 5), b"/data");
    assert_eq!(guest.call("fd_prestat_dir_name", &[3, BUFFER.into(), 0]).await, SUCCESS);
    guest.put(BUFFER, b"file");
    let open = [5, 0, BUFFER.into(), 4, 0, 2, 0, 0, RESULT.into()];
    assert_eq!(guest.call("path_open", &open).await, SUCCESS);
    assert_eq!(guest.word(RESULT), 6);
    guest.iovecs(&[7]);
    assert_eq!(guest.call("fd_read", &[6, IOVEC.into(), 1, RESULT.into()]).await, SUCCESS);
    assert_eq!(guest.bytes(BUFFER, 7), b"content");
    // Files and sockets take numbers from the same row.
    let _client = scene.dial(81).await;
    assert_eq!(guest.call("sock_accept", &[4, 0, RESULT.into()]).await, SUCCESS);
    assert_eq!(guest.word(RESULT), 7);
    assert_eq!(guest.call("fd_seek", &[7, 0, 0, RESULT.into()]).await, Errno::Spipe as i32);
    assert_eq!(guest.call("fd_filestat_get", &[7, RESULT.into()]).await, SUCCESS);
    assert_eq!(guest.bytes(RESULT + 16, 1), [6]);
    guest.put(BUFFER, b"file");
    let of_socket = [7, 0, BUFFER.into(), 4, RESULT.into()];
    assert_eq!(guest.call("path_filestat_get", &of_socket).await, Errno::Notdir as i32);
    assert_eq!(guest.call("sock_shutdown", &[6, 1]).await, Errno::Notsock as i32);
    assert_eq!(guest.call("sock_accept", &[7, 0, RESULT.into()]).await, Errno::Inval as i32);
    assert_eq!(guest.call("fd_renumber", &[7, 6]).await, SUCCESS);
    assert_eq!(guest.call("sock_shutdown", &[6, 1]).await, SUCCESS);
    assert_eq!(guest.call("fd_close", &[7]).await, Errno::Badf as i32);
}

#[tokio::test]
async fn open_files_are_limited() {
    let scene = Scene::new();
    let directory = tempfile::tempdir().unwrap();
    let mut wasi = WasiCtxBuilder::new();
    wasi.preopened_dir(directory.path(), "/", FsPerms::ReadOnly).unwrap();
    let mut guest = Guest::new(&scene.network, &[], &mut wasi).await;
    guest.put(BUFFER, b".");
    let open = [3, 0, BUFFER.into(), 1, 0, 2, 0, 0, RESULT.into()];
    let mut opened = 0;
    while guest.call("path_open", &open).await == SUCCESS {
        opened += 1;
    }
    assert_eq!(opened, 1024 - 4);
    assert_eq!(guest.call("path_open", &open).await, Errno::Mfile as i32);
    assert_eq!(guest.call("fd_close", &[100]).await, SUCCESS);
    assert_eq!(guest.call("path_open", &open).await, SUCCESS);
    assert_eq!(guest.word(RESULT), 100);
}

/// A subscription's bytes: to a clock (with a timeout) or to a descriptor.
fn subscription(userdata: u64, kind: u8, fd: u32, timeout: u64) -> [u8; 48] {
    let mut bytes = [0; 48];
    bytes[..8].copy_from_slice(&userdata.to_le_bytes());
    bytes[8] = kind;
    if kind == 0 {
        bytes[16] = 1;
        bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
    } else {
        bytes[16..20].copy_from_slice(&fd.to_le_bytes());
    }
    bytes
}

const HOUR: u64 = 3_600_000_000_000;

impl Guest {
    /// Polls and returns of each event the userdata, the errno and the kind.
    async fn poll(&mut self, subscriptions: &[[u8; 48]]) -> Vec<(u64, u16, u8)> {
        self.put(1024, &subscriptions.concat());
        let count = subscriptions.len() as i64;
        assert_eq!(self.call("poll_oneoff", &[1024, 4096, count, RESULT.into()]).await, SUCCESS);
        let events = self.bytes(4096, 32 * self.word(RESULT) as usize);
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap());
        events
            .chunks(32)
            .map(|event| (number(&event[..8]), u16::from_le_bytes([event[8], event[9]]), event[10]))
            .collect()
    }
}

#[tokio::test]
async fn polling_mixes_sockets_files_and_clocks() {
    let scene = Scene::new();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("file"), "content").unwrap();
    let mut wasi = WasiCtxBuilder::new();
    wasi.preopened_dir(directory.path(), "/data", FsPerms::ReadOnly).unwrap();
    wasi.stdin(MemoryInputPipe::new("typed"));
    let mut guest = Guest::new(&scene.network, &[80], &mut wasi).await;
    // A clock alone, then a clock beside a listener that nobody dials.
    assert_eq!(guest.poll(&[subscription(1, 0, 0, 1000)]).await, [(1, 0, 0)]);
    let clock_and_listener = [subscription(1, 0, 0, 1000), subscription(2, 1, 3, 0)];
    assert_eq!(guest.poll(&clock_and_listener).await, [(1, 0, 0)]);
    // Somebody dials while the guest waits.
    let listener_or_hour = [subscription(1, 0, 0, HOUR), subscription(2, 1, 3, 0)];
    let (events, mut client) = tokio::join!(guest.poll(&listener_or_hour), scene.dial(80));
    assert_eq!(events, [(2, 0, 1)]);
    let fd = guest.accept().await as u32;
    // Writing can go on at once, reading waits for the peer; stdin and a file are told with them.
    assert_eq!(guest.poll(&[subscription(1, 2, fd, 0), subscription(2, 1, fd, 0)]).await, [(1, 0, 2)]);
    let reading = [subscription(1, 1, fd, 0), subscription(2, 0, 0, HOUR)];
    let (events, sent) = tokio::join!(guest.poll(&reading), client.write_all(b"x"));
    sent.unwrap();
    assert_eq!(events, [(1, 0, 1)]);
    let mut all =
        guest.poll(&[subscription(1, 1, fd, 0), subscription(2, 1, 0, 0), subscription(3, 2, 1, 0)]).await;
    all.sort();
    assert_eq!(all, [(1, 0, 1), (2, 0, 1), (3, 0, 2)]);
    // Each bad descriptor is an event of its own.
    let bad = guest.poll(&[subscription(1, 1, 99, 0), subscription(2, 2, 3, 0)]).await;
    assert_eq!(bad, [(1, Errno::Badf as u16, 1), (2, Errno::Inval as u16, 2)]);
}

#[tokio::test]
async fn the_end_of_a_stream_is_a_hang_up() {
    let scene = Scene::new();
    let mut guest = scene.guest().await;
    let client = scene.dial(80).await;
    let fd = guest.accept().await as u32;
    let reading = [subscription(1, 1, fd, 0)];
    assert!(guest.poll(&reading).now_or_never().is_none());
    drop(client);
    assert_eq!(guest.poll(&reading).await, [(1, 0, 1)]);
    assert_eq!(guest.bytes(4096 + 24, 1), [1]);
}

#[tokio::test]
async fn termination_ends_a_blocking_accept() {
    let scene = Scene::new();
    let mut guest = scene.guest().await;
    guest.wait_in_accept().await;
    let network = scene.network.clone();
    let arguments = [3, 0, i64::from(RESULT)];
    let (errno, ()) = tokio::join!(guest.call("sock_accept", &arguments), async {
        tokio::task::yield_now().await;
        network.stop_listening();
    });
    assert_eq!(errno, Errno::Inval as i32);
    assert!(scene.network.idle());
}

#[tokio::test]
async fn a_taken_port_is_an_error_at_start() {
    let scene = Scene::new();
    let _other = scene.network.listen("0.0.0.0:80".parse().unwrap()).unwrap();
    let outcome = Preview1Ctx::new(WasiCtxBuilder::new().build_p1(), &scene.network, &[80]);
    assert_eq!(outcome.err(), Some(NetworkError::AddressInUse));
}
