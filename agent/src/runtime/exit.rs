//! How a container ended, and how a guest's error becomes an exit as kubelet reports it.

use super::limits::OutOfMemory;
use wasmtime::Trap;
use wasmtime_wasi::I32Exit;

/// The longest message that is kept, in bytes (kubelet's termination messages end at 4 KiB, too).
pub(super) const MAX_MESSAGE_BYTES: usize = 4096;

/// Exit code of a guest that was interrupted (128 + SIGKILL).
const KILLED: i32 = 137;
/// Exit code of a guest that ended on request (128 + SIGTERM).
const STOPPED: i32 = 143;
/// Exit code of a guest that trapped (128 + SIGABRT).
const TRAPPED: i32 = 134;
/// Exit code of a container that could not be started.
const NOT_STARTED: i32 = 128;

/// The end of a container: what its `state.terminated` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// The exit code.
    pub code: i32,
    /// `Completed`, `Error`, `OOMKilled` or `StartError`.
    pub reason: &'static str,
    /// For people: why it ended. Empty for an ordinary exit.
    pub message: String,
    /// The signal that a Linux container would have died of.
    pub signal: Option<i32>,
}

impl Exit {
    /// The guest ended by itself with `code`.
    pub fn exited(code: i32) -> Exit {
        let reason = if code == 0 { "Completed" } else { "Error" };
        Exit { code, reason, message: String::new(), signal: None }
    }

    /// The guest was interrupted: its grace period was over.
    pub fn killed() -> Exit {
        Exit { code: KILLED, reason: "Error", message: String::new(), signal: Some(9) }
    }

    /// The guest was asked to stop and had nothing open.
    pub fn stopped() -> Exit {
        Exit { code: STOPPED, reason: "Error", message: String::new(), signal: Some(15) }
    }

    /// The guest wanted more memory than its limit.
    pub fn out_of_memory(message: impl Into<String>) -> Exit {
        Exit { code: KILLED, reason: "OOMKilled", message: message.into(), signal: Some(9) }
    }

    /// The container did not come to run.
    pub fn not_started(message: impl Into<String>) -> Exit {
        Exit { code: NOT_STARTED, reason: "StartError", message: shortened(message.into()), signal: None }
    }

    /// The guest failed with `message`.
    pub fn trapped(message: impl Into<String>) -> Exit {
        Exit { code: TRAPPED, reason: "Error", message: shortened(message.into()), signal: Some(6) }
    }

    /// From an error of a running guest.
    pub(super) fn from_error(error: &wasmtime::Error) -> Exit {
        if let Some(I32Exit(code)) = error.downcast_ref() {
            return Exit::exited(*code);
        }
        if let Some(out_of_memory) = find::<OutOfMemory>(error) {
            return Exit::out_of_memory(out_of_memory.to_string());
        }
        Exit::trapped(describe(error))
    }

    /// From an error while the guest was being instantiated: its start function may already have run.
    pub(super) fn from_start_error(error: &wasmtime::Error) -> Exit {
        let ran = error.downcast_ref::<I32Exit>().is_some() || error.downcast_ref::<Trap>().is_some();
        if ran || find::<OutOfMemory>(error).is_some() {
            return Exit::from_error(error);
        }
        if error.downcast_ref::<wasmtime::PoolConcurrencyLimitError>().is_some() {
            return Exit::not_started(format!(
                "the node has no room for another instance ({error}): raise vm.max_map_count, or run fewer pods here"
            ));
        }
        Exit::not_started(format!("cannot instantiate the program: {}", describe(error)))
    }
}

fn find<E: std::error::Error + Send + Sync + 'static>(error: &wasmtime::Error) -> Option<&E> {
    error.downcast_ref::<E>().or_else(|| error.chain().find_map(|cause| cause.downcast_ref::<E>()))
}

/// The error with its causes, the innermost one first (the trap, then where it happened).
pub(super) fn describe(error: &wasmtime::Error) -> String {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    let mut text = String::new();
    for cause in causes.iter().rev() {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(cause.trim_end());
    }
    shortened(text)
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
        text.truncate(end);
    }
    text
}
