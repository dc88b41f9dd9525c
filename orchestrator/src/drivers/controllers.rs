//! One loop for all controllers.

use super::effects::Effects;
use super::queue::Queue;
use super::{creations, until};
use crate::cache::{Cache, Cursor, Guard};
use crate::front_door::FrontDoor;
use peapod_api::error::Reason;
use peapod_api::{Error, Key};
use peapod_core::controllers::{CONTROLLERS, Context};
use peapod_core::snapshot::{Change, Snapshot};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Reconciliations that may be under way at once, over all controllers.
const CONCURRENT: usize = 32;

/// A controller, by its place in the list, and the key that it is to look at.
type Work = (usize, Key);

/// Reconciles until `stop`. Returns only then, or when the cache has ended.
pub(crate) async fn run(
    cache: Cache,
    door: FrontDoor,
    effects: Effects,
    node_grace: Duration,
    stop: CancellationToken,
) {
    let mut queue: Queue<Work> = Queue::new();
    let mut running: JoinSet<(Work, Result<Option<Duration>, Error>)> = JoinSet::new();
    let mut changes = begin(&cache, &mut queue);
    loop {
        while running.len() < CONCURRENT
            && let Some(work) = queue.take()
        {
            let (cache, door, effects) = (cache.clone(), door.clone(), effects.clone());
            running.spawn(async move {
                let result = reconcile(&cache, &door, &effects, &work, node_grace).await;
                (work, result)
            });
        }
        tokio::select! {
            () = stop.cancelled() => return,
            batch = changes.next() => match batch {
                Ok(batch) => {
                    let snapshot = cache.snapshot();
                    batch.changes.iter().for_each(|change| enqueue(&mut queue, &snapshot, change));
                }
                Err(_) => changes = begin(&cache, &mut queue),
            },
            () = until(queue.next_timer()) => queue.expire(Instant::now()),
            Some(ended) = running.join_next() => match ended {
                Ok((work, Ok(again_after))) => queue.done(&work, again_after.map(|after| Instant::now() + after)),
                Ok((work, Err(_))) => queue.failed(&work, Instant::now()),
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
        }
    }
}

/// Looks at everything there is, and at each change from then on; again after having fallen behind.
fn begin(cache: &Cache, queue: &mut Queue<Work>) -> Cursor {
    let (snapshot, changes) = cache.changes();
    creations(&snapshot).for_each(|change| enqueue(queue, &snapshot, &change));
    changes
}

fn enqueue(queue: &mut Queue<Work>, snapshot: &Snapshot, change: &Change) {
    for (index, controller) in CONTROLLERS.iter().enumerate() {
        for key in (controller.triggers)(snapshot, change) {
            queue.add((index, key));
        }
    }
}

/// One reconciliation on the newest snapshot; after an error it is to be tried again.
async fn reconcile(
    cache: &Cache,
    door: &FrontDoor,
    effects: &Effects,
    (index, key): &Work,
    node_grace: Duration,
) -> Result<Option<Duration>, Error> {
    let controller = &CONTROLLERS[*index];
    let snapshot = cache.snapshot();
    let context = Context { now: door.now(), node_grace };
    let outcome = (controller.reconcile)(&snapshot, key, &context);
    if outcome.actions.is_empty() {
        return Ok(outcome.again_after);
    }
    let user = format!("system:serviceaccount:kube-system:{}-controller", controller.name);
    let actions = outcome.actions.into_iter().map(|action| effects.run(action, context.now));
    let actions = actions.collect::<Result<Vec<_>, _>>()?;
    match door.act(&user, guards(&snapshot, key), actions).await {
        Ok(()) => Ok(outcome.again_after),
        Err(error) => {
            if error.reason() != Reason::Conflict {
                tracing::warn!(controller = controller.name, %key, %error, "reconciliation failed");
            }
            Err(error)
        }
    }
}

/// The object that the decision is about is as it was seen, and so is everything that it owns.
fn guards(snapshot: &Snapshot, key: &Key) -> Vec<Guard> {
    let Some(object) = snapshot.get(key) else { return vec![Guard::Absent { key: key.clone() }] };
    vec![
        Guard::Revision { key: key.clone(), revision: object.revision },
        Guard::NothingChangedUnder { uid: object.header.uid.clone(), since: snapshot.revision() },
    ]
}
