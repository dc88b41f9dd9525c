//! What belongs to one instance of a program: its WASI context, its sockets and its limits; and the linkers that join
//! programs to them.

use super::limits::{Limiter, MemoryAccount};
use super::stdio::{LogSink, OpenInput, Output};
use super::ticker;
use crate::network::PodNetwork;
use crate::network::wasi::{self, NetworkCtx, NetworkView};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Linker, Store};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The data of a guest's store.
pub struct Guest {
    wasi: WasiP1Ctx,
    http: WasiHttpCtx,
    hooks: NoWay,
    limiter: Limiter,
    network: Arc<PodNetwork>,
}

/// A host directory that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The directory on the host. It must be there when the container starts.
    pub host: PathBuf,
    /// Where the guest sees it.
    pub guest: String,
    /// Whether writing is refused.
    pub read_only: bool,
}

/// Makes guests: all that the instances of one container have in common.
pub(super) struct Nursery {
    pub(super) args: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) working_dir: Option<String>,
    pub(super) mounts: Vec<Mount>,
    /// An open stdin, at its end when the token is cancelled; `None` is an empty one.
    pub(super) stdin: Option<CancellationToken>,
    pub(super) stdout: Arc<dyn LogSink>,
    pub(super) stderr: Arc<dyn LogSink>,
    pub(super) memory: Arc<MemoryAccount>,
    pub(super) network: Arc<PodNetwork>,
}

impl Nursery {
    /// A store for one instance, limited and pre-emptible.
    ///
    /// # Errors
    /// A sentence when a mount cannot be opened.
    pub(super) fn store(&self, engine: &Engine) -> Result<Store<Guest>, String> {
        let mut store = Store::new(engine, self.guest()?);
        store.limiter(|guest| &mut guest.limiter);
        ticker::pre_empt(&mut store);
        Ok(store)
    }

    fn guest(&self) -> Result<Guest, String> {
        let mut context = WasiCtx::builder();
        context.args(&self.args).envs(&self.env);
        if let Some(dir) = &self.working_dir {
            context.initial_cwd(dir);
        }
        if let Some(token) = &self.stdin {
            context.stdin(OpenInput(token.clone()));
        }
        context.stdout(Output(self.stdout.clone())).stderr(Output(self.stderr.clone()));
        self.mounts.iter().try_for_each(|mount| preopen(&mut context, mount))?;
        Ok(Guest {
            wasi: context.build_p1(),
            http: WasiHttpCtx::new(),
            hooks: NoWay,
            limiter: Limiter::new(self.memory.clone()),
            network: self.network.clone(),
        })
    }
}

fn preopen(context: &mut WasiCtxBuilder, mount: &Mount) -> Result<(), String> {
    let permissions = if mount.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
    match context.preopened_dir(&mount.host, &mount.guest, permissions) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot mount {} at {}: {error}", mount.host.display(), mount.guest)),
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        self.wasi.ctx()
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let table: &mut ResourceTable = self.wasi.ctx().table;
        WasiHttpCtxView { hooks: &mut self.hooks, table, ctx: &mut self.http }
    }
}

impl NetworkView for Guest {
    fn network(&mut self) -> NetworkCtx<'_> {
        NetworkCtx { network: &self.network, table: self.wasi.ctx().table }
    }
}

/// What programs are linked to, for one engine.
pub(super) struct Linkers {
    pub(super) module: Linker<Guest>,
    pub(super) component: wasmtime::component::Linker<Guest>,
}

impl Linkers {
    pub(super) fn new(engine: &Engine) -> wasmtime::Result<Linkers> {
        Ok(Linkers { module: module_linker(engine)?, component: component_linker(engine)? })
    }
}

/// Preview 1.
fn module_linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p1::add_to_linker_async(&mut linker, |guest: &mut Guest| &mut guest.wasi)?;
    Ok(linker)
}

/// Every interface of `wasi:cli` and `wasi:http`, for commands and handlers alike.
fn component_linker(engine: &Engine) -> wasmtime::Result<wasmtime::component::Linker<Guest>> {
    let mut linker = wasmtime::component::Linker::new(engine);
    wasi::link_wasi(&mut linker)?;
    wasi::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    Ok(linker)
}

/// Refuses every outgoing request.
struct NoWay;

impl wasmtime_wasi_http::WasiHttpHooks for NoWay {
    fn send_request(
        &mut self,
        _request: http::Request<wasmtime_wasi_http::WasiBody>,
        _options: Option<wasmtime_wasi_http::RequestOptions>,
        _fut: Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>,
    ) -> Box<
        dyn Future<
                Output = Result<
                    (
                        http::Response<wasmtime_wasi_http::WasiBody>,
                        Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>,
                    ),
                    wasmtime_wasi_http::Error,
                >,
            > + Send,
    > {
        Box::new(std::future::ready(Err(wasmtime_wasi_http::Error::HttpRequestDenied)))
    }
}
