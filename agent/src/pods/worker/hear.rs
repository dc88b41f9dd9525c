//! Hearing how things went: every outcome becomes a change of what is seen.

use super::act::RETRY;
use super::{Heard, Worker};
use crate::events::Kind::{Normal, Warning};
use crate::image::{ImageError, ImageName, Pulled};
use crate::pods::create::{Created, Refusal};
use crate::pods::observed::{Blocked, Ended, Image, Stage, Unhealthy, Volumes, after};
use crate::pods::{status, step};
use crate::probe::{Prober, Role, Verdict};
use crate::runtime::Exit;
use crate::volume::Shown;
use futures_util::future::select_all;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use std::time::Duration;

/// When to try again to create a container that was refused, if nothing changes before.
const REFUSED_RETRY: SignedDuration = SignedDuration::from_secs(60);
/// First and longest delay between pulls of an image; kubelet's figures.
const PULL_RETRY: (i64, i64) = (10, 300);
/// Characters of an event's message; Kubernetes' limit.
const EVENT_MESSAGE_CHARS: usize = 1024;

impl Worker {
    pub(super) fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Mounted(result) => self.mounted(result),
            Heard::Pulled { name, result } => self.pulled(&name, result),
            Heard::Created { name, run, before, result } => self.created(name, run, before, result),
            Heard::Started { name, run } => self.started(name, run),
            Heard::Exited { name, run, exit } => self.exited(&name, run, exit),
            Heard::Probed { name, run, prober, verdict } => self.probed(&name, run, prober, verdict),
            Heard::Unblocked { name } => self.unblocked(&name),
            Heard::Refreshed { shown, result } => self.refreshed(shown, result),
            Heard::Reported { status, result } => self.reported(status, result),
            Heard::Deleted(result) => self.deleted(result),
            Heard::CleanedUp => self.seen.cleaned = true,
            Heard::Again => {}
        }
    }

    /// A task of the pod was lost: what it was about is begun again.
    pub(super) fn recover(&mut self) {
        if self.seen.volumes == Volumes::Mounting {
            self.seen.volumes = Volumes::Failed {
                message: "internal error of the node's agent".into(),
                retry_at: after(Timestamp::now(), RETRY),
            };
        }
        for (name, container) in &mut self.seen.containers {
            if matches!(container.image, Image::Pulling { .. }) {
                container.image = Image::Unknown;
            }
            if container.stage == Stage::Starting && !self.live.contains_key(name) {
                container.stage = container.last.clone().map_or(Stage::Waiting, Stage::Ended);
            }
        }
        self.report.lost();
        self.deleting = false;
        if self.cleaning {
            self.seen.cleaned = true;
        }
    }

    fn mounted(&mut self, result: Result<Vec<Arc<Shown>>, String>) {
        match result {
            Ok(shown) => {
                self.seen.volumes = Volumes::Mounted;
                shown.into_iter().for_each(|one| self.keep_in_step(one));
            }
            Err(message) => {
                self.context.event(&self.pod, None, Warning, "FailedMount", message.clone());
                self.seen.volumes = Volumes::Failed { message, retry_at: after(Timestamp::now(), RETRY) };
            }
        }
    }

    fn keep_in_step(&mut self, shown: Arc<Shown>) {
        let changed = shown.changed();
        self.tasks.spawn(async move {
            changed.await;
            let result = shown.refresh().await;
            Heard::Refreshed { shown, result }
        });
    }

    fn refreshed(&mut self, shown: Arc<Shown>, result: Result<(), String>) {
        if let Err(message) = result {
            // Containers keep what they have; kubelet does not take a volume away either.
            self.context.event(&self.pod, None, Warning, "FailedMount", message);
        }
        if !self.cleaning {
            self.keep_in_step(shown);
        }
    }

    fn pulled(&mut self, name: &str, result: Result<Pulled, ImageError>) {
        let Some(spec) = self.pod.container(name) else { return };
        let Some(container) = self.seen.containers.get_mut(name) else { return };
        let pod = &self.pod;
        match result {
            Ok(pulled) => {
                let image = &spec.image;
                let message = if pulled.asked {
                    let took = format!("{:.3}s", pulled.elapsed.as_secs_f64());
                    let size = pulled.image.size_bytes;
                    format!(
                        "Successfully pulled image {image:?} in {took} ({took} including waiting). Image size: {size} bytes."
                    )
                } else {
                    format!("Container image {image:?} already present on machine")
                };
                self.context.event(pod, Some(name), Normal, "Pulled", message);
                let repository = ImageName::parse(image).map(|name| name.repository().to_string());
                let digest = &pulled.image.digest;
                container.image_id = repository.map_or(digest.clone(), |name| format!("{name}@{digest}"));
                container.image = Image::Present;
                self.images.insert(name.to_string(), pulled.image);
            }
            Err(error) => {
                let before = match container.image {
                    Image::Pulling { attempts } => attempts,
                    _ => 0,
                };
                let seconds = PULL_RETRY.0.saturating_mul(1 << before.min(8)).min(PULL_RETRY.1);
                let retry_at = after(Timestamp::now(), SignedDuration::from_secs(seconds));
                container.image = Image::Failed {
                    reason: error.reason.into(),
                    message: error.message.clone(),
                    retry_at,
                    attempts: before + 1,
                };
                self.tell_failed_pull(name, before, &error);
            }
        }
    }

    fn tell_failed_pull(&self, name: &str, before: u32, error: &ImageError) {
        let tell = |kind, reason, message: String| {
            self.context.event(&self.pod, Some(name), kind, reason, message);
        };
        let image = self.pod.container(name).map_or("", |spec| spec.image.as_str());
        match error.reason {
            ImageError::INVALID_IMAGE_NAME => tell(Warning, "InspectFailed", error.message.clone()),
            ImageError::ERR_IMAGE_NEVER_PULL => tell(Warning, "ErrImageNeverPull", error.message.clone()),
            _ => {
                // The puller's sentence begins with the same words.
                let message = error.message.strip_prefix("failed to pull image").map(str::to_string);
                let message =
                    message.map_or(error.message.clone(), |rest| format!("Failed to pull image{rest}"));
                tell(Warning, "Failed", message);
                if before > 0 {
                    tell(Normal, "BackOff", format!("Back-off pulling image {image:?}"));
                }
            }
        }
        tell(Warning, "Failed", format!("Error: {}", error.reason));
    }

    fn created(&mut self, name: String, run: u64, before: Stage, result: Result<Box<Created>, Refusal>) {
        let now = Timestamp::now();
        let Some(container) = self.seen.containers.get_mut(&name) else { return };
        match result {
            Ok(created) => {
                container.start(before, now);
                if self.seen.ending.is_some() || self.seen.failure.is_some() {
                    // It was decided to start before it was decided to end.
                    let exit = Exit::stopped();
                    created.log.end();
                    let stage = ended(String::new(), None, exit, now);
                    container.end(stage);
                    return;
                }
                self.launch(name, run, *created);
            }
            Err(refusal) => {
                container.stage = before;
                container.image = Image::Unknown;
                container.blocked = Some(Blocked {
                    reason: refusal.reason.into(),
                    message: refusal.message.clone(),
                    retry_at: after(now, REFUSED_RETRY),
                });
                let message = format!("Error: {}", refusal.message);
                self.context.event(&self.pod, Some(&name), Warning, "Failed", message);
                self.await_change(name, &refusal);
            }
        }
    }

    fn await_change(&mut self, name: String, refusal: &Refusal) {
        if refusal.references.is_empty() {
            return;
        }
        let held = refusal.references.clone();
        self.tasks.spawn(async move {
            let mut changes: Vec<_> = held.iter().map(|reference| reference.changes()).collect();
            let waits = changes.iter_mut().map(|change| Box::pin(change.changed()));
            // The timer of the refusal goes on, so a change that is missed here costs a minute at most.
            let _ = tokio::time::timeout(Duration::from_secs(300), select_all(waits)).await;
            Heard::Unblocked { name }
        });
    }

    fn unblocked(&mut self, name: &str) {
        if let Some(blocked) = self.seen.containers.get_mut(name).and_then(|c| c.blocked.as_mut()) {
            blocked.retry_at = Timestamp::now();
        }
    }

    fn started(&mut self, name: String, run: u64) {
        let now = Timestamp::now();
        let Some(live) = self.live.get(&name).filter(|live| live.run == run) else { return };
        let container = live.container.clone();
        self.listen(name.clone(), run, container);
        self.tell_started(&name);
        if let Some(running) = self.begun(&name, now)
            && let Some(container) = self.seen.containers.get_mut(&name)
        {
            container.stage = Stage::Running(running);
        }
        if self.seen.ending.is_none() {
            self.begin_probes(&name);
        }
    }

    fn tell_started(&self, name: &str) {
        self.context.event(&self.pod, Some(name), Normal, "Started", format!("Started container {name}"));
    }

    fn exited(&mut self, name: &str, run: u64, exit: Exit) {
        let now = Timestamp::now();
        if self.live.get(name).is_none_or(|live| live.run != run) {
            return;
        }
        if let Some(live) = self.live.remove(name) {
            live.log.end();
            live.probers.iter().for_each(tokio::task::AbortHandle::abort);
        }
        self.view.lock().containers.remove(name);
        let heard_of = self.seen.containers.get(name).is_some_and(|container| container.running().is_some());
        if !heard_of && exit.reason != "StartError" {
            // It was over before its start was heard of.
            self.tell_started(name);
        }
        let Some(container) = self.seen.containers.get_mut(name) else { return };
        let (id, since) = match &container.stage {
            Stage::Running(running) => (running.id.clone(), Some(running.since)),
            _ => (status::container_id(&self.pod, name, container.restarts, now), None),
        };
        if exit.reason == "StartError" {
            let message = format!("Error: {}", exit.message);
            self.context.event(&self.pod, Some(name), Warning, "Failed", message);
        }
        let failure = failure(name, &exit);
        container.end(ended(id, since, exit, now));
        if self.seen.ending.is_some() {
            return;
        }
        let held = container.backoff.ready_at(now) > now;
        let restarts = step::restarts(&self.pod, name, container);
        if held && restarts {
            let message = format!("Back-off restarting failed container {name} in pod {}", self.pod.title());
            self.context.event(&self.pod, Some(name), Warning, "BackOff", message);
        } else if let Some(message) = failure.filter(|_| !restarts) {
            self.context.event(&self.pod, Some(name), Warning, "Failed", message);
        }
    }

    fn probed(&mut self, name: &str, run: u64, prober: Box<Prober>, verdict: Verdict) {
        if self.live.get(name).is_none_or(|live| live.run != run) {
            return;
        }
        let role = prober.role;
        if let Verdict::Failed(why) | Verdict::Stumbled(why) = &verdict {
            let message = format!("{} probe failed: {why}", role.title());
            self.context.event(&self.pod, Some(name), Warning, "Unhealthy", message);
        }
        let grace = prober.grace_seconds().unwrap_or_else(|| self.pod.grace_seconds());
        let Some(container) = self.seen.containers.get_mut(name) else { return };
        let Stage::Running(running) = &mut container.stage else { return };
        match (role, verdict) {
            (_, Verdict::Stumbled(_)) | (Role::Liveness, Verdict::Passed) => {}
            (Role::Readiness, verdict) => running.ready = verdict == Verdict::Passed,
            (Role::Startup, Verdict::Passed) => {
                running.started = true;
                return self.begin_probes(name);
            }
            (Role::Startup | Role::Liveness, Verdict::Failed(_)) => {
                let role = role.title().to_lowercase();
                let message = format!("Container {name} failed {role} probe, will be restarted");
                container.unhealthy = Some(Unhealthy { message, grace_seconds: grace });
                return;
            }
        }
        self.probe(name, prober);
    }
}

/// What to tell of a container that ended with an error and stays so; one that could not start was told already.
fn failure(name: &str, exit: &Exit) -> Option<String> {
    if exit.code == 0 || exit.reason == "StartError" {
        return None;
    }
    let message = format!("Container {name} ended with exit code {} ({})", exit.code, exit.reason);
    let said = exit.message.trim();
    let whole = if said.is_empty() { message } else { format!("{message}: {said}") };
    Some(whole.chars().take(EVENT_MESSAGE_CHARS).collect())
}

fn ended(id: String, started_at: Option<Timestamp>, exit: Exit, now: Timestamp) -> Ended {
    Ended {
        id,
        code: exit.code,
        signal: exit.signal,
        reason: exit.reason.into(),
        message: exit.message,
        started_at,
        finished_at: now,
    }
}
