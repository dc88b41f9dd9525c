//! Real programs: a server in C over wasi-libc.

use super::*;
use crate::network::tests::expect_echo;
use wasmtime_wasi::I32Exit;

/// `modules/echo`: non-blocking sockets, `poll` over listeners and clients.
const ECHO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../modules/dist/echo.wasm");

/// Runs a command to its end and returns its exit code.
async fn run(path: &str, preview1: Preview1Ctx) -> i32 {
    let engine = Engine::new(&Config::new()).unwrap();
    let mut linker = Linker::new(&engine);
    add_to_linker(&mut linker).unwrap();
    let module = Module::from_file(&engine, path).unwrap();
    let mut store = Store::new(&engine, State(preview1));
    let instance = linker.instantiate_async(&mut store, &module).await.unwrap();
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start").unwrap();
    match start.call_async(&mut store, ()).await {
        Ok(()) => 0,
        Err(error) => error.downcast::<I32Exit>().unwrap().0,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_in_c_echoes_for_many_and_ends_when_asked() {
    let scene = Scene::new();
    let directory = tempfile::tempdir().unwrap();
    let mut wasi = WasiCtxBuilder::new();
    wasi.env("LISTEN_FDS", "2").preopened_dir(directory.path(), "/data", FsPerms::ReadOnly).unwrap();
    let preview1 = Preview1Ctx::new(wasi.build_p1(), &scene.network, &[80, 81]).unwrap();
    let server = tokio::spawn(run(ECHO, preview1));
    let mut clients = Vec::new();
    for port in [80, 81, 80, 81] {
        clients.push(tokio::spawn(expect_echo(scene.dial(port).await)));
    }
    for client in clients {
        client.await.unwrap();
    }
    scene.network.stop_listening();
    assert_eq!(server.await.unwrap(), 0);
    assert!(scene.network.idle());
}
