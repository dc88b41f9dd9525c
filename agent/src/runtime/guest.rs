//! What belongs to one instance of a program: its WASI context, its sockets and its limits; and the linkers that join
//! programs to them.

use super::limits::{Limiter, MemoryAccount};
use super::stdio::{LogSink, OpenInput, Output};
use super::ticker;
use crate::network::PodNetwork;
use crate::network::http::OutgoingHttp;
use crate::network::preview1::{self, Preview1Ctx, Preview1View};
use crate::network::wasi::{self, NetworkCtx, NetworkView};
use std::path::PathBuf;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Linker, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// The data of a preview-1 module's store.
pub(super) struct ModuleGuest {
    preview1: Preview1Ctx,
    limiter: Limiter,
}

/// The data of a component's store.
pub(super) struct ComponentGuest {
    wasi: WasiCtx,
    table: ResourceTable,
    http: WasiHttpCtx,
    hooks: OutgoingHttp,
    network: Arc<PodNetwork>,
    limiter: Limiter,
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
    /// A store for one instance of a preview-1 module, limited and pre-emptible, with open listeners on `ports`.
    ///
    /// # Errors
    /// A sentence when a mount cannot be opened or a port is taken.
    pub(super) fn module(&self, engine: &Engine, ports: &[u16]) -> Result<Store<ModuleGuest>, String> {
        let mut context = self.context()?;
        if !ports.is_empty() {
            context.env("LISTEN_FDS", ports.len().to_string());
        }
        let preview1 = Preview1Ctx::new(context.build_p1(), &self.network, ports)
            .map_err(|error| format!("cannot listen on the container's ports {ports:?}: {error}"))?;
        let guest = ModuleGuest { preview1, limiter: Limiter::new(self.memory.clone()) };
        let mut store = Store::new(engine, guest);
        store.limiter(|guest| &mut guest.limiter);
        ticker::pre_empt(&mut store);
        Ok(store)
    }

    /// A store for one instance of a component, limited and pre-emptible.
    ///
    /// # Errors
    /// A sentence when a mount cannot be opened.
    pub(super) fn component(&self, engine: &Engine) -> Result<Store<ComponentGuest>, String> {
        let guest = ComponentGuest {
            wasi: self.context()?.build(),
            table: ResourceTable::new(),
            http: WasiHttpCtx::new(),
            hooks: OutgoingHttp::new(self.network.clone()),
            network: self.network.clone(),
            limiter: Limiter::new(self.memory.clone()),
        };
        let mut store = Store::new(engine, guest);
        store.limiter(|guest| &mut guest.limiter);
        ticker::pre_empt(&mut store);
        Ok(store)
    }

    fn context(&self) -> Result<WasiCtxBuilder, String> {
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
        Ok(context)
    }
}

fn preopen(context: &mut WasiCtxBuilder, mount: &Mount) -> Result<(), String> {
    let permissions = if mount.read_only { FsPerms::ReadOnly } else { FsPerms::ReadWrite };
    match context.preopened_dir(&mount.host, &mount.guest, permissions) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot mount {} at {}: {error}", mount.host.display(), mount.guest)),
    }
}

impl Preview1View for ModuleGuest {
    fn preview1(&mut self) -> &mut Preview1Ctx {
        &mut self.preview1
    }
}

impl WasiView for ComponentGuest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for ComponentGuest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

impl NetworkView for ComponentGuest {
    fn network(&mut self) -> NetworkCtx<'_> {
        NetworkCtx { network: &self.network, table: &mut self.table }
    }
}

/// What programs are linked to, for one engine.
pub(super) struct Linkers {
    pub(super) module: Linker<ModuleGuest>,
    pub(super) component: wasmtime::component::Linker<ComponentGuest>,
}

impl Linkers {
    /// Preview 1 for modules; every interface of `wasi:cli`, `wasi:sockets` and `wasi:http` for components, commands and
    /// handlers alike.
    pub(super) fn new(engine: &Engine) -> wasmtime::Result<Linkers> {
        let mut module = Linker::new(engine);
        preview1::add_to_linker(&mut module)?;
        let mut component = wasmtime::component::Linker::new(engine);
        wasi::link_wasi(&mut component)?;
        wasi::add_to_linker(&mut component)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut component)?;
        Ok(Linkers { module, component })
    }
}
