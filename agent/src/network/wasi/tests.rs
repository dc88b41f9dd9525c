//! The host functions as a guest calls them, and the linking.

mod datagrams;
mod names;
mod programs;
mod streams;

use super::*;
use crate::network::{Fabric, FabricConfig, PodIdentity};
use std::net::{IpAddr, SocketAddr};
use wasmtime_wasi::p2::SocketResult;
use wasmtime_wasi::p2::bindings::sockets::instance_network::Host as _;
use wasmtime_wasi::p2::bindings::sockets::network::{IpSocketAddress, Network};
use wasmtime_wasi::sockets::{WasiSocketsCtx, WasiSocketsCtxView};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView};

struct Guest {
    network: Arc<PodNetwork>,
    table: ResourceTable,
    wasi: WasiCtx,
}

impl NetworkView for Guest {
    fn network(&mut self) -> NetworkCtx<'_> {
        NetworkCtx { network: &self.network, table: &mut self.table }
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Guest {
    fn new(fabric: &Fabric, last: u8) -> Guest {
        let identity =
            PodIdentity::new("default", &format!("pod-{last}"), "uid", IpAddr::from([10, 0, 0, last]));
        Guest {
            network: fabric.attach(identity),
            table: ResourceTable::new(),
            wasi: WasiCtxBuilder::new().build(),
        }
    }

    fn handle(&mut self) -> Resource<Network> {
        let mut ctx = WasiSocketsCtx::default();
        WasiSocketsCtxView { ctx: &mut ctx, table: &mut self.table }.instance_network().unwrap()
    }
}

/// A borrow of the same handle, as a guest passes it.
fn again<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_own(resource.rep())
}

fn address(text: &str) -> IpSocketAddress {
    text.parse::<SocketAddr>().unwrap().into()
}

fn code<T>(outcome: SocketResult<T>) -> ErrorCode {
    match outcome {
        Ok(_) => panic!("succeeded"),
        Err(error) => error.downcast().expect("an error code, not a trap"),
    }
}

fn fabric() -> Fabric {
    Fabric::new(FabricConfig::new(vec!["10.0.0.0/16".parse().unwrap()], IpAddr::from([10, 0, 255, 1])))
}

#[test]
fn everything_links_and_nothing_twice() {
    let mut linker = Linker::<Guest>::new(&wasmtime::Engine::default());
    link_wasi(&mut linker).unwrap();
    add_to_linker(&mut linker).unwrap();
}
