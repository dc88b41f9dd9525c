//! Containers: one program with its arguments, limits and streams, from start to exit.

use super::cpu::CpuAccount;
use super::exit::Exit;
use super::guest::{Mount, Nursery};
use super::lanes::Lanes;
use super::limits::MemoryAccount;
use super::program::{Code, Program};
use super::stdio::LogSink;
use super::ticker::Ticker;
use super::workers::Executors;
use super::{command, serve};
use crate::network::PodNetwork;
use std::sync::Arc;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// What a container is started with.
pub struct ContainerSpec {
    /// The pod's name, for logs.
    pub pod_name: String,
    /// The container's name, for logs.
    pub name: String,
    /// The argument vector, program name first.
    pub args: Vec<String>,
    /// Environment variables in order.
    pub env: Vec<(String, String)>,
    /// `workingDir`: what components are told as their initial directory.
    pub working_dir: Option<String>,
    /// Directories that the guest sees.
    pub mounts: Vec<Mount>,
    /// Linear memory and tables that all its instances may hold together; `None` is unlimited.
    pub memory_limit_bytes: Option<u64>,
    /// Where its CPU time is charged; carries the CPU limit. Several containers may share one.
    pub cpu: Arc<CpuAccount>,
    /// The pod's network.
    pub network: Arc<PodNetwork>,
    /// `containerPort`s of protocol TCP: where an HTTP handler listens (port 80 if there is none), and what preview-1
    /// programs find as open listeners.
    pub ports: Vec<u16>,
    /// Whether stdin stays open (`stdin: true`) until the container is stopped; else it is empty.
    pub stdin: bool,
    /// Where standard output goes.
    pub stdout: Arc<dyn LogSink>,
    /// Where standard error goes, and the runtime's own lines about failed requests.
    pub stderr: Arc<dyn LogSink>,
}

/// A started container. Clones are the same container; dropping the last one kills it.
#[derive(Clone)]
pub struct Container {
    shared: Arc<Shared>,
}

struct Shared {
    stop: CancellationToken,
    kill: CancellationToken,
    state: watch::Receiver<State>,
    memory: Arc<MemoryAccount>,
    cpu: Arc<CpuAccount>,
}

/// Where a container stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Starting,
    Running,
    Ended(Exit),
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.kill.cancel();
    }
}

impl Container {
    /// Asks the container to end: its listeners close, stdin is at its end, requests in flight are finished; one with
    /// nothing open ends at once. [`Container::kill`] cuts that short.
    pub fn stop(&self) {
        self.shared.stop.cancel();
    }

    /// Interrupts the container.
    pub fn kill(&self) {
        self.shared.kill.cancel();
    }

    /// Waits until the program runs: a command is instantiated, a handler listens. `false` when it ended before.
    pub async fn started(&self) -> bool {
        let mut state = self.shared.state.clone();
        let outcome = state.wait_for(|state| *state != State::Starting).await;
        matches!(outcome.as_deref(), Ok(State::Running))
    }

    /// Whether the program runs now.
    pub fn is_running(&self) -> bool {
        *self.shared.state.borrow() == State::Running
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        match &*self.shared.state.borrow() {
            State::Ended(exit) => Some(exit.clone()),
            _ => None,
        }
    }

    /// Waits for the end.
    pub async fn wait(&self) -> Exit {
        let mut state = self.shared.state.clone();
        match state.wait_for(|state| matches!(state, State::Ended(_))).await.as_deref() {
            Ok(State::Ended(exit)) => exit.clone(),
            // The task went away without a word: the runtime was shut down.
            _ => Exit::killed(),
        }
    }

    /// What it holds of memory.
    pub fn memory(&self) -> &MemoryAccount {
        &self.shared.memory
    }

    /// What it used of CPU time (with whoever shares the account).
    pub fn cpu(&self) -> &CpuAccount {
        &self.shared.cpu
    }
}

/// What the task of a container works with.
pub(super) struct Life {
    pub(super) program: Arc<Program>,
    pub(super) name: String,
    pub(super) nursery: Nursery,
    pub(super) ports: Vec<u16>,
    pub(super) lanes: Arc<Lanes>,
    pub(super) stop: CancellationToken,
    pub(super) kill: CancellationToken,
    pub(super) state: watch::Sender<State>,
}

impl Life {
    pub(super) fn set_running(&self) {
        self.state.send_replace(State::Running);
    }
}

/// Starts a container as a task of `tracker`.
pub(super) fn start(
    program: Arc<Program>,
    spec: ContainerSpec,
    ticker: Arc<Ticker>,
    shutdown: &CancellationToken,
    tracker: &TaskTracker,
    executors: &Executors,
) -> Container {
    let (sender, state) = watch::channel(State::Starting);
    let memory = MemoryAccount::new(spec.memory_limit_bytes);
    let stop = CancellationToken::new();
    let kill = shutdown.child_token();
    let container = Container {
        shared: Arc::new(Shared {
            stop: stop.clone(),
            kill: kill.clone(),
            state,
            memory: memory.clone(),
            cpu: spec.cpu.clone(),
        }),
    };
    let life = Life {
        program,
        name: format!("{}/{}", spec.pod_name, spec.name),
        nursery: Nursery {
            args: spec.args,
            env: spec.env,
            working_dir: spec.working_dir,
            mounts: spec.mounts,
            stdin: spec.stdin.then(|| stop.clone()),
            stdout: spec.stdout,
            stderr: spec.stderr,
            memory,
            network: spec.network,
        },
        ports: spec.ports,
        lanes: Arc::new(Lanes {
            cpu: spec.cpu,
            ticker,
            batch: executors.batch.clone(),
            away: TaskTracker::new(),
        }),
        stop,
        kill,
        state: sender,
    };
    tracker.spawn_on(live(life), &executors.interactive);
    container
}

/// A container's whole life. A panic of ours is its end, too, and nobody else's.
async fn live(life: Life) {
    let life = Arc::new(life);
    let running = {
        let life = life.clone();
        async move {
            match life.program.code() {
                Code::Module(..) | Code::Command(_) => command::run(&life).await,
                Code::Handler(pre) => serve::run(life.clone(), pre.clone()).await,
            }
        }
    };
    let outcome = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(running)).await;
    let exit = outcome.unwrap_or_else(|_| {
        tracing::error!(container = life.name, "the runtime panicked while it ran this container");
        Exit::trapped("the runtime failed while it ran this container")
    });
    // Only then are its sockets and its memory free for the next one.
    life.lanes.empty().await;
    tracing::debug!(container = life.name, ?exit, "ended");
    life.state.send_replace(State::Ended(exit));
}
