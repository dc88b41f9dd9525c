use peapod_agent::runtime::be_prompt;
use tokio::runtime::{Builder, Runtime};

/// The threads of a control plane or an agent: they answer and wait.
///
/// # Errors
/// When they cannot be started.
pub(crate) fn threads() -> std::io::Result<Runtime> {
    Builder::new_multi_thread().on_thread_start(be_prompt).enable_all().build()
}
