//! The runtime: containers are WebAssembly programs, run by wasmtime on worker threads of their own.
//!
//! [`Runtime::program`] compiles an image, [`Runtime::start`] starts a [`Container`] from it. Guests are fibers: they
//! yield at the end of every time slice, wait without holding a thread, and can be stopped at any point.

mod classify;
mod code_cache;
mod command;
mod container;
mod cpu;
mod engine;
mod exit;
mod guest;
mod lanes;
mod limits;
mod metered;
mod program;
mod promptness;
mod request;
mod serve;
mod stdio;
mod ticker;
mod workers;

pub use classify::{MAX_FUNCTION_BYTES, MAX_MODULE_BYTES, NotAProgram, World};
pub use container::{Container, ContainerSpec};
pub use cpu::{CpuAccount, CpuUsage};
pub use exit::Exit;
pub use guest::Mount;
pub use limits::{MemoryAccount, OutOfMemory};
pub use program::Program;
pub use promptness::be_prompt;
pub use request::{AFTERWARDS_DEADLINE, REQUEST_DEADLINE, STREAM_DEADLINE};
pub use serve::{MAX_CONNECTIONS_PER_CONTAINER, MAX_INSTANCES_PER_CONTAINER};
pub use stdio::{Discard, LogSink};

use crate::image::{ImageError, ResolvedImage};
use anyhow::Context;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use ticker::Ticker;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use workers::{Executors, Workers};

/// What the runtime is made with.
#[derive(Debug, Clone)]
pub struct RuntimeConfig {
    /// Where compiled code is kept. Private to this agent: made with mode 0700.
    pub cache_dir: PathBuf,
    /// Worker threads in each lane; `None` is one for each core.
    pub workers: Option<usize>,
    /// Instances that can be alive at once; `None` is what `vm.max_map_count` carries.
    pub max_instances: Option<u32>,
}

impl RuntimeConfig {
    /// The defaults, with code kept in `cache_dir`.
    pub fn new(cache_dir: impl Into<PathBuf>) -> RuntimeConfig {
        RuntimeConfig { cache_dir: cache_dir.into(), workers: None, max_instances: None }
    }
}

/// Runs containers. Dropping it interrupts all of them; [`Runtime::shutdown`] also waits.
pub struct Runtime {
    programs: program::Programs,
    max_instances: u32,
    ticker: Arc<Ticker>,
    shutdown: CancellationToken,
    containers: TaskTracker,
    executors: Executors,
    workers: Mutex<Option<Workers>>,
}

impl Runtime {
    /// Starts the workers.
    ///
    /// # Errors
    /// When the cache directory cannot be used or threads cannot be started.
    pub fn new(config: RuntimeConfig) -> anyhow::Result<Runtime> {
        let engines = engine::Engines::new(config.max_instances)
            .map_err(anyhow::Error::from)
            .context("cannot set up wasmtime")?;
        let max_instances = engines.slots;
        let (ticker, ticker_thread) = Ticker::start(engines.all()).context("cannot start a thread")?;
        let programs = program::Programs::new(engines, &config.cache_dir)
            .with_context(|| format!("cannot keep compiled code in {}", config.cache_dir.display()))?;
        let workers =
            Workers::start(config.workers, ticker_thread).context("cannot start the guests' threads")?;
        Ok(Runtime {
            programs,
            max_instances,
            ticker,
            shutdown: CancellationToken::new(),
            containers: TaskTracker::new(),
            executors: workers.executors(),
            workers: Mutex::new(Some(workers)),
        })
    }

    /// Instances that can be alive at once.
    pub fn max_instances(&self) -> u32 {
        self.max_instances
    }

    /// The program of an image: shared while it is in use, else mapped from the cache, else compiled (which can take
    /// seconds; calls for the same image wait for one compilation).
    ///
    /// # Errors
    /// `CreateContainerError` when the image is no program that can be run here; the message says what to do.
    pub async fn program(&self, image: &ResolvedImage) -> Result<Arc<Program>, ImageError> {
        self.programs.get(image).await
    }

    /// Starts a container. What goes wrong is told by its exit.
    pub fn start(&self, program: Arc<Program>, spec: ContainerSpec) -> Container {
        container::start(
            program,
            spec,
            self.ticker.clone(),
            &self.shutdown,
            &self.containers,
            &self.executors,
        )
    }

    /// The executor of guests, for work that belongs to them.
    pub fn executor(&self) -> &tokio::runtime::Handle {
        &self.executors.interactive
    }

    /// Interrupts every container and ends the threads.
    pub async fn shutdown(&self) {
        self.shutdown.cancel();
        self.containers.close();
        self.containers.wait().await;
        let workers = self.workers.lock().take();
        if let Some(workers) = workers {
            let _ = tokio::task::spawn_blocking(move || workers.shutdown()).await;
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(workers) = self.workers.get_mut().take() {
            workers.abandon();
        }
    }
}

#[cfg(test)]
mod tests;
