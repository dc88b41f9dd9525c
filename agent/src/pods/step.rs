//! What to do next for a pod. Pure: from the spec, what is known and the time to a list of steps; kubelet's contract
//! (sync until terminal, terminate until done, clean up until done).

use super::observed::{Image, Observation, Observed, Stage, Volumes, after};
use super::spec::{Container, Pod, RestartPolicy};
use jiff::{SignedDuration, Timestamp};

/// One thing to do. Doing it changes what is observed, so that it is not decided twice.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Take an address and a stack on the pod network.
    Attach,
    /// Make the volumes.
    Mount,
    /// Find or pull the container's image.
    Pull(String),
    /// Start the container; a restart if it has ended before.
    Start(String),
    /// Ask the container to end; it will be interrupted at `kill_at`.
    Stop { name: String, kill_at: Timestamp, why: Why },
    /// Interrupt the container.
    Kill(String),
    /// The whole pod has failed.
    Fail { reason: &'static str, message: &'static str },
    /// Give back address, stack and volumes.
    CleanUp,
    /// Delete the object, whose final status is known to the API.
    Delete,
    /// Decide again at this time.
    WakeAt(Timestamp),
}

/// Why a container is stopped.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Why {
    /// The pod ends.
    PodEnds,
    /// A probe has failed.
    Unhealthy(String),
}

/// Kubelet's words for a pod that was active for too long.
const DEADLINE: (&str, &str) =
    ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");

/// The next steps; an empty list when there is nothing to do until something changes.
pub(crate) fn step(pod: &Pod, seen: &Observed, now: Timestamp) -> Vec<Step> {
    if seen.cleaned {
        let gone = seen.reported && pod.is_deleting();
        return if gone { vec![Step::Delete] } else { Vec::new() };
    }
    if seen.ending.is_some() || seen.failure.is_some() || is_over(pod, seen) {
        return end(pod, seen, now);
    }
    let mut steps = Vec::new();
    if let Some(deadline) = deadline(pod, seen) {
        if now >= deadline {
            return vec![Step::Fail { reason: DEADLINE.0, message: DEADLINE.1 }];
        }
        steps.push(Step::WakeAt(deadline));
    }
    match (seen.ip, seen.attach_at) {
        (None, Some(at)) if at > now => steps.push(Step::WakeAt(at)),
        (None, _) => steps.push(Step::Attach),
        (Some(_), _) => {}
    }
    match &seen.volumes {
        Volumes::Absent => steps.push(Step::Mount),
        Volumes::Failed { retry_at, .. } if now >= *retry_at => steps.push(Step::Mount),
        Volumes::Failed { retry_at, .. } => steps.push(Step::WakeAt(*retry_at)),
        Volumes::Mounting | Volumes::Mounted => {}
    }
    advance(pod, seen, now, &mut steps);
    steps
}

fn deadline(pod: &Pod, seen: &Observed) -> Option<Timestamp> {
    Some(after(seen.started_at?, SignedDuration::from_secs(pod.spec.active_deadline_seconds?)))
}

/// Whether an ended container is to be started again.
pub(crate) fn restarts(pod: &Pod, name: &str, container: &Observation) -> bool {
    let Some(ended) = container.ended() else { return true };
    match pod.spec.restart_policy {
        RestartPolicy::Never => false,
        RestartPolicy::OnFailure => ended.code != 0,
        RestartPolicy::Always => ended.code != 0 || !pod.is_init(name),
    }
}

/// The init container that is not done yet.
fn pending_init<'a>(pod: &'a Pod, seen: &Observed) -> Option<&'a Container> {
    let done =
        |container: &&Container| seen.containers.get(&container.name).is_some_and(Observation::has_succeeded);
    pod.spec.init_containers.iter().find(|container| !done(container))
}

/// Whether no container will ever run again.
pub(crate) fn is_over(pod: &Pod, seen: &Observed) -> bool {
    let over = |container: &Container| {
        let observation = seen.containers.get(&container.name);
        observation.is_some_and(|o| o.ended().is_some() && !restarts(pod, &container.name, o))
    };
    match pending_init(pod, seen) {
        Some(init) => over(init),
        None => pod.spec.containers.iter().all(over),
    }
}

fn advance(pod: &Pod, seen: &Observed, now: Timestamp, steps: &mut Vec<Step>) {
    let usable = seen.ip.is_some() && seen.volumes == Volumes::Mounted;
    match pending_init(pod, seen) {
        Some(init) => run(pod, seen, init, usable, now, steps),
        None => pod.spec.containers.iter().for_each(|c| run(pod, seen, c, usable, now, steps)),
    }
}

/// The steps of one container that is to run.
fn run(pod: &Pod, seen: &Observed, spec: &Container, usable: bool, now: Timestamp, steps: &mut Vec<Step>) {
    let absent = Observation::default();
    let container = seen.containers.get(&spec.name).unwrap_or(&absent);
    if container.is_alive() {
        return watch_over(&spec.name, container, now, steps);
    }
    if !restarts(pod, &spec.name, container) {
        return;
    }
    let backoff = container.ended().map(|ended| container.backoff.ready_at(ended.finished_at));
    let blocked = container.blocked.as_ref().map(|blocked| blocked.retry_at);
    if let Some(at) = backoff.max(blocked).filter(|at| *at > now) {
        return steps.push(Step::WakeAt(at));
    }
    let name = spec.name.clone();
    match &container.image {
        Image::Unknown => steps.push(Step::Pull(name)),
        Image::Failed { retry_at, .. } if now >= *retry_at => steps.push(Step::Pull(name)),
        Image::Failed { retry_at, .. } => steps.push(Step::WakeAt(*retry_at)),
        Image::Present if usable => steps.push(Step::Start(name)),
        Image::Present | Image::Pulling { .. } => {}
    }
}

/// The steps of a container that runs and should: it is stopped when a probe says so.
fn watch_over(name: &str, container: &Observation, now: Timestamp, steps: &mut Vec<Step>) {
    match (&container.stopping, &container.unhealthy) {
        (Some(stopping), _) if stopping.killed => {}
        (Some(stopping), _) if now >= stopping.kill_at => steps.push(Step::Kill(name.into())),
        (Some(stopping), _) => steps.push(Step::WakeAt(stopping.kill_at)),
        (None, Some(unhealthy)) => steps.push(Step::Stop {
            name: name.into(),
            kill_at: after(now, SignedDuration::from_secs(unhealthy.grace_seconds)),
            why: Why::Unhealthy(unhealthy.message.clone()),
        }),
        (None, None) => {}
    }
}

/// The steps of a pod that ends, or has ended.
fn end(pod: &Pod, seen: &Observed, now: Timestamp) -> Vec<Step> {
    let patience = seen.ending.map_or_else(
        || after(now, SignedDuration::from_secs(pod.grace_seconds())),
        |ending| ending.kill_at(),
    );
    let mut steps = Vec::new();
    for (name, container) in seen.containers.iter().filter(|(_, container)| container.is_alive()) {
        match container.stopping {
            Some(stopping) if stopping.killed => {}
            Some(stopping) if now >= stopping.kill_at.min(patience) => steps.push(Step::Kill(name.clone())),
            Some(stopping) => steps.push(Step::WakeAt(stopping.kill_at.min(patience))),
            None => steps.push(Step::Stop { name: name.clone(), kill_at: patience, why: Why::PodEnds }),
        }
    }
    let busy = seen.containers.values().any(|c| matches!(c.stage, Stage::Starting | Stage::Running(_)));
    if steps.is_empty() && !busy && seen.volumes != Volumes::Mounting {
        steps.push(Step::CleanUp);
    }
    steps
}

#[cfg(test)]
#[path = "step/tests.rs"]
mod tests;
