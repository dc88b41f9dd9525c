//! Runs the controllers and the scheduler: changes in, guarded writes out. All that decides is in `peapod_core`.

mod controllers;
mod effects;
mod queue;
mod scheduler;

pub(crate) use controllers::run as run_controllers;
pub(crate) use effects::Effects;
pub use scheduler::run as run_scheduler;

use peapod_core::snapshot::{Change, Snapshot};

/// The changes that would have made a snapshot out of nothing: what a driver sees at its start.
fn creations(snapshot: &Snapshot) -> impl Iterator<Item = Change> + use<'_> {
    snapshot.iter().map(|object| Change::new(object.revision, object.key.clone(), None, Some(object.clone())))
}

/// Waits for an instant, or for ever if there is none.
async fn until(at: Option<tokio::time::Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
