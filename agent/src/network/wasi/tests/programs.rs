//! Real programs: a server in Rust over `wasi:sockets`.

use super::*;
use crate::network::tests::expect_echo;
use wasmtime::component::Component;
use wasmtime::{Engine, Store};
use wasmtime_wasi::p2::bindings::Command;

/// `modules/echo-p2`: one loop that polls the listener and every connection.
const ECHO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../modules/dist/echo-p2.wasm");

async fn run(path: &str, guest: Guest) -> bool {
    let engine = Engine::default();
    let mut linker = Linker::new(&engine);
    link_wasi(&mut linker).unwrap();
    add_to_linker(&mut linker).unwrap();
    let component = Component::from_file(&engine, path).unwrap();
    let mut store = Store::new(&engine, guest);
    let command = Command::instantiate_async(&mut store, &component, &linker).await.unwrap();
    command.wasi_cli_run().call_run(&mut store).await.unwrap().is_ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_component_echoes_for_many_and_ends_when_asked() {
    let fabric = fabric();
    let guest = Guest::new(&fabric, 1);
    let network = guest.network.clone();
    let server = tokio::spawn(run(ECHO, guest));
    let to = SocketAddr::new(network.ip(), 7);
    let mut clients = Vec::new();
    for _ in 0..4 {
        // The program opens its listener when it comes to it.
        let stream = loop {
            match fabric.dial(to).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        clients.push(tokio::spawn(expect_echo(stream)));
    }
    for client in clients {
        client.await.unwrap();
    }
    network.stop_listening();
    assert!(server.await.unwrap());
    assert!(network.idle());
}
