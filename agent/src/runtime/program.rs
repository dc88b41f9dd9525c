//! Programs: an image's bytes, compiled (or taken from the cache) and linked, ready to be instantiated.
#![allow(unsafe_code)] // `deserialize_file`, see `load`.

use super::classify::{self, NotAProgram, Outline, World};
use super::code_cache::CodeCache;
use super::engine::Engines;
use super::exit;
use super::guest::{ComponentGuest, Linkers, ModuleGuest};
use crate::image::{ImageError, ResolvedImage, SingleFlight};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Weak};
use wasmtime::component::Component;
use wasmtime::{Engine, InstancePre, Module};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi_http::p2::bindings::ProxyPre;

/// Images larger than this are compiled one after another, so that small ones never wait behind several of them.
const LARGE_IMAGE_BYTES: u64 = 1 << 20;
/// How many missing imports are looked for.
const MAX_MISSING: usize = 32;
/// What a preview-1 program imports if it serves connections.
const ACCEPT: &str = "wasi_snapshot_preview1::sock_accept";
/// Packages whose 0.2 interfaces components are given.
const GRANTED_PACKAGES: [&str; 7] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:http", "wasi:io", "wasi:random", "wasi:sockets"];

/// A program that can be started any number of times.
pub struct Program {
    digest: String,
    code: Code,
}

pub(super) enum Code {
    /// And whether it accepts connections: only then it is given listeners.
    Module(InstancePre<ModuleGuest>, bool),
    Command(CommandPre<ComponentGuest>),
    Handler(ProxyPre<ComponentGuest>),
}

impl Program {
    /// The image's digest.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What kind of program it is.
    pub fn world(&self) -> World {
        match self.code {
            Code::Module(..) => World::Preview1Command,
            Code::Command(_) => World::Command,
            Code::Handler(_) => World::HttpHandler,
        }
    }

    pub(super) fn code(&self) -> &Code {
        &self.code
    }
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Program").field("digest", &self.digest).field("world", &self.world()).finish()
    }
}

/// Loads programs, each once while it is in use.
pub(super) struct Programs {
    shared: Arc<Shared>,
    loaded: Mutex<HashMap<String, Weak<Program>>>,
    flights: SingleFlight,
    compilations: Compilations,
}

/// Turns at the compiler: one for large images and one for all others.
struct Compilations {
    large: tokio::sync::Semaphore,
    small: tokio::sync::Semaphore,
}

impl Compilations {
    fn turns(&self, size_bytes: u64) -> &tokio::sync::Semaphore {
        if size_bytes > LARGE_IMAGE_BYTES { &self.large } else { &self.small }
    }
}

struct Shared {
    engines: Engines,
    pooled: Option<Linkers>,
    on_demand: Linkers,
    cache: CodeCache,
}

impl Programs {
    pub(super) fn new(engines: Engines, cache_dir: &Path) -> anyhow::Result<Programs> {
        let cache = CodeCache::open(cache_dir, engines.fingerprint())?;
        let pooled = engines.pooled.as_ref().map(Linkers::new).transpose()?;
        let on_demand = Linkers::new(&engines.on_demand)?;
        Ok(Programs {
            shared: Arc::new(Shared { engines, pooled, on_demand, cache }),
            loaded: Mutex::default(),
            flights: SingleFlight::default(),
            compilations: Compilations {
                large: tokio::sync::Semaphore::new(1),
                small: tokio::sync::Semaphore::new(1),
            },
        })
    }

    /// The program of `image`: the loaded one, else from the cache, else compiled.
    pub(super) async fn get(&self, image: &ResolvedImage) -> Result<Arc<Program>, ImageError> {
        if let Some(program) = self.find(&image.digest) {
            return Ok(program);
        }
        let _flight = self.flights.enter(&image.digest).await;
        if let Some(program) = self.find(&image.digest) {
            return Ok(program);
        }
        let program = match self.blocking(image, Shared::cached).await? {
            Some(program) => program,
            None => {
                let _turn = self.compilations.turns(image.size_bytes).acquire().await;
                self.blocking(image, Shared::compiled).await?
            }
        };
        let program = Arc::new(program);
        let mut loaded = self.loaded.lock();
        loaded.retain(|_, program| program.strong_count() > 0);
        loaded.insert(program.digest.clone(), Arc::downgrade(&program));
        Ok(program)
    }

    async fn blocking<T: Send + 'static>(
        &self,
        image: &ResolvedImage,
        work: fn(&Shared, &ResolvedImage) -> Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        let (shared, image) = (self.shared.clone(), image.clone());
        let worked = tokio::task::spawn_blocking(move || work(&shared, &image)).await;
        worked.map_err(|error| refused(format!("loading the program failed: {error}")))?
    }

    fn find(&self, digest: &str) -> Option<Arc<Program>> {
        self.loaded.lock().get(digest)?.upgrade()
    }
}

fn refused(message: String) -> ImageError {
    ImageError::new(ImageError::CREATE_CONTAINER_ERROR, message)
}

impl From<NotAProgram> for ImageError {
    fn from(error: NotAProgram) -> ImageError {
        refused(error.to_string())
    }
}

/// Compiled code, for the engine that carries it.
enum Loaded {
    Module(Module),
    Component(Component),
}

impl Shared {
    /// The program from the cache, if its code is there and fits.
    fn cached(&self, image: &ResolvedImage) -> Result<Option<Program>, ImageError> {
        let (_, outline) = read(image)?;
        let Some(path) = self.cache.find(&image.digest) else { return Ok(None) };
        match self.map(&path, outline.world) {
            Ok((loaded, linkers)) => program(image, &loaded, linkers, &outline).map(Some),
            Err(error) => {
                tracing::warn!(%error, "cached code cannot be loaded: compiling again");
                Ok(None)
            }
        }
    }

    fn compiled(&self, image: &ResolvedImage) -> Result<Program, ImageError> {
        let (binary, outline) = read(image)?;
        let (loaded, linkers) = self.compile(&image.digest, &binary, outline.world)?;
        program(image, &loaded, linkers, &outline)
    }

    fn compile(&self, digest: &str, binary: &[u8], world: World) -> Result<(Loaded, &Linkers), ImageError> {
        let began = std::time::Instant::now();
        let engine = self.engines.compiler();
        let compiled = match world {
            World::Preview1Command => engine.precompile_module(binary),
            World::Command | World::HttpHandler => engine.precompile_component(binary),
        };
        let code = compiled
            .map_err(|error| refused(format!("the program does not compile: {}", exit::describe(&error))))?;
        tracing::info!(digest, code_bytes = code.len(), elapsed = ?began.elapsed(), "compiled");
        let path = self
            .cache
            .store(digest, &code)
            .map_err(|error| refused(format!("cannot keep the compiled code: {error}")))?;
        self.map(&path, world).map_err(|error| {
            self.cache.remove(digest);
            refused(format!("the program cannot be loaded: {}", exit::describe(&error)))
        })
    }

    /// Maps code into the pool's engine if its slots carry the program, else into the on-demand one.
    fn map(&self, path: &Path, world: World) -> wasmtime::Result<(Loaded, &Linkers)> {
        if let (Some(engine), Some(linkers)) = (&self.engines.pooled, &self.pooled) {
            match load(engine, path, world) {
                Ok(loaded) => return Ok((loaded, linkers)),
                Err(error) => tracing::debug!(%error, "not for the pool: allocating on demand"),
            }
        }
        Ok((load(&self.engines.on_demand, path, world)?, &self.on_demand))
    }
}

fn read(image: &ResolvedImage) -> Result<(Vec<u8>, Outline), ImageError> {
    let bytes = std::fs::read(&image.path)
        .map_err(|error| refused(format!("cannot read the image {}: {error}", image.digest)))?;
    let converted = match classify::to_binary(&bytes)? {
        Cow::Owned(binary) => Some(binary),
        Cow::Borrowed(_) => None,
    };
    let binary = converted.unwrap_or(bytes);
    let outline = classify::classify(&binary)?;
    Ok((binary, outline))
}

fn program(
    image: &ResolvedImage,
    loaded: &Loaded,
    linkers: &Linkers,
    outline: &Outline,
) -> Result<Program, ImageError> {
    Ok(Program { digest: image.digest.clone(), code: link(loaded, linkers, outline)? })
}

/// Maps a file of compiled code.
fn load(engine: &Engine, path: &Path, world: World) -> wasmtime::Result<Loaded> {
    // SAFETY: the bytes are trusted as native code. `path` comes from `CodeCache`, which hands out only files that this
    // agent wrote itself: they lie in a directory that no other user can enter and carry a tag under the agent's key,
    // checked just before. wasmtime refuses code of another version or configuration.
    unsafe {
        match world {
            World::Preview1Command => Module::deserialize_file(engine, path).map(Loaded::Module),
            World::Command | World::HttpHandler => {
                Component::deserialize_file(engine, path).map(Loaded::Component)
            }
        }
    }
}

fn link(loaded: &Loaded, linkers: &Linkers, outline: &Outline) -> Result<Code, ImageError> {
    let linked = match loaded {
        Loaded::Module(module) => {
            let accepts = outline.imports.iter().any(|name| name == ACCEPT);
            linkers.module.instantiate_pre(module).map(|pre| Code::Module(pre, accepts))
        }
        Loaded::Component(component) => {
            linkers.component.instantiate_pre(component).and_then(|pre| match outline.world {
                World::HttpHandler => ProxyPre::new(pre).map(Code::Handler),
                _ => CommandPre::new(pre).map(Code::Command),
            })
        }
    };
    linked.map_err(|error| {
        let missing = match loaded {
            Loaded::Module(module) => missing_imports(linkers, module),
            Loaded::Component(_) => foreign_interfaces(&outline.imports),
        };
        refused(if missing.is_empty() {
            format!("the program cannot be linked: {}", exit::describe(&error))
        } else {
            format!(
                "the program imports what is not granted: {}. Programs are given wasi_snapshot_preview1 (modules) or the \
                 0.2 interfaces of wasi:cli, wasi:http and wasi:sockets (components)",
                classify::listed(&missing)
            )
        })
    })
}

/// Every import of a module that the linker has not: each is defined as a trap until linking finds no further one.
fn missing_imports(linkers: &Linkers, module: &Module) -> Vec<String> {
    let mut linker = linkers.module.clone();
    let mut missing = Vec::new();
    while missing.len() < MAX_MISSING {
        let Err(error) = linker.instantiate_pre(module) else { break };
        let Some(import) = error.downcast_ref::<wasmtime::UnknownImportError>() else { break };
        missing.push(format!("{}::{}", import.module(), import.name()));
        let wasmtime::ExternType::Func(ty) = import.ty() else { break };
        let defined = linker.func_new(import.module(), import.name(), ty, |_, _, _| {
            Err(wasmtime::Trap::UnreachableCodeReached.into())
        });
        if defined.is_err() {
            break;
        }
    }
    missing
}

/// The interfaces that come from packages, or versions, that components are not given.
fn foreign_interfaces(imports: &[String]) -> Vec<String> {
    let granted = |name: &&String| {
        let (interface, version) = name.split_once('@').unwrap_or((name, "0.2.0"));
        let package = interface.split_once('/').map_or(interface, |(package, _)| package);
        GRANTED_PACKAGES.contains(&package) && version.starts_with("0.2.")
    };
    imports.iter().filter(|name| !granted(name)).cloned().collect()
}
