//! Commands: programs that run once, from `_start` or `wasi:cli/run` to their exit.

use super::container::Life;
use super::exit::Exit;
use super::guest::{ComponentGuest, ModuleGuest};
use super::lanes::Laned;
use super::program::Code;
use std::sync::Arc;
use std::time::Duration;
use wasmtime::{InstancePre, Store};
use wasmtime_wasi::p2::bindings::CommandPre;

/// How often a container that was asked to stop is looked at while it serves connections.
const DRAIN_INTERVAL: Duration = Duration::from_millis(5);

/// Runs the command until it ends, by itself or because it must.
pub(super) async fn run(life: &Arc<Life>) -> Exit {
    let running = Laned::new(Box::pin(execute(life.clone())), life.lanes.clone());
    let memory = life.nursery.memory.clone();
    // Dropping `running` unwinds the guest: it yields at every slice, so this is never far away.
    tokio::select! {
        biased;
        () = memory.out_of_memory() => Exit::out_of_memory(""),
        () = life.kill.cancelled() => Exit::killed(),
        exit = running => exit,
        () = stopped(life) => Exit::stopped(),
    }
}

async fn execute(life: Arc<Life>) -> Exit {
    match life.program.code() {
        Code::Module(pre, listening) => {
            let ports = if *listening { &life.ports[..] } else { &[] };
            match life.nursery.module(pre.module().engine(), ports) {
                Ok(store) => run_module(&life, store, pre).await,
                Err(message) => Exit::not_started(message),
            }
        }
        Code::Command(pre) => match life.nursery.component(pre.engine()) {
            Ok(store) => run_component(&life, store, pre).await,
            Err(message) => Exit::not_started(message),
        },
        Code::Handler(_) => Exit::not_started("an HTTP handler is not a command"),
    }
}

async fn run_module(life: &Life, mut store: Store<ModuleGuest>, pre: &InstancePre<ModuleGuest>) -> Exit {
    let instance = match pre.instantiate_async(&mut store).await {
        Ok(instance) => instance,
        Err(error) => return Exit::from_start_error(&error),
    };
    let start = match instance.get_typed_func::<(), ()>(&mut store, "_start") {
        Ok(start) => start,
        Err(error) => {
            return Exit::not_started(format!(
                "the export _start is not a function without arguments: {error}"
            ));
        }
    };
    life.set_running();
    match start.call_async(&mut store, ()).await {
        Ok(()) => Exit::exited(0),
        Err(error) => Exit::from_error(&error),
    }
}

async fn run_component(
    life: &Life,
    mut store: Store<ComponentGuest>,
    pre: &CommandPre<ComponentGuest>,
) -> Exit {
    let command = match pre.instantiate_async(&mut store).await {
        Ok(command) => command,
        Err(error) => return Exit::from_start_error(&error),
    };
    life.set_running();
    match command.wasi_cli_run().call_run(&mut store).await {
        Ok(Ok(())) => Exit::exited(0),
        Ok(Err(())) => Exit::exited(1),
        Err(error) => Exit::from_error(&error),
    }
}

/// Ends when the container was asked to stop and its pod serves nobody any more.
async fn stopped(life: &Life) {
    life.stop.cancelled().await;
    while life.nursery.network.serving_count() > 0 {
        tokio::time::sleep(DRAIN_INTERVAL).await;
    }
}
