//! A pod's status. Pure, and the only place that writes the agent's conditions and container states.

use super::observed::{Ended, Image, Observation, Observed, RUNTIME, Running, Stage, Volumes};
use super::spec::{Container, Pod, RestartPolicy};
use super::step;
use crate::image::ImageError;
use jiff::Timestamp;
use peapod_api::meta;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The whole `status`. `before` is the status as the API has it: conditions of others are kept, and transition times
/// while a condition does not change. What the agent owns and is absent is null, so that a merge patch removes it.
pub(crate) fn status(pod: &Pod, seen: &Observed, before: &Value, host_ip: IpAddr, now: Timestamp) -> Value {
    let phase = phase(pod, seen);
    let list = |containers: &[Container]| -> Value {
        containers.iter().map(|container| container_status(pod, seen, container, now)).collect()
    };
    let init = &pod.spec.init_containers;
    json!({
        "phase": phase,
        "reason": seen.failure.as_ref().map(|f| f.reason.as_str()).filter(|text| !text.is_empty()),
        "message": seen.failure.as_ref().map(|f| f.message.as_str()).filter(|text| !text.is_empty()),
        "conditions": conditions(pod, seen, phase, before, now),
        "containerStatuses": list(&pod.spec.containers),
        "initContainerStatuses": if init.is_empty() { Value::Null } else { list(init) },
        "hostIP": host_ip.to_string(),
        "hostIPs": [{"ip": host_ip.to_string()}],
        "podIP": seen.ip.map(|ip| ip.to_string()),
        "podIPs": seen.ip.map(|ip| json!([{"ip": ip.to_string()}])),
        "startTime": seen.started_at.map(meta::time),
        "qosClass": qos_class(pod),
    })
}

/// kubelet's rules for the phase.
pub(crate) fn phase(pod: &Pod, seen: &Observed) -> &'static str {
    if seen.failure.is_some() {
        return "Failed";
    }
    let of = |container: &Container| seen.containers.get(&container.name);
    let over = step::is_over(pod, seen) || (seen.ending.is_some() && seen.cleaned);
    if !pod.spec.init_containers.iter().all(|c| of(c).is_some_and(Observation::has_succeeded)) {
        return if over { "Failed" } else { "Pending" };
    }
    let mut counts = Counts::default();
    pod.spec.containers.iter().for_each(|container| counts.add(of(container)));
    match counts {
        _ if over && counts.succeeded == pod.spec.containers.len() => "Succeeded",
        _ if over => "Failed",
        Counts { waiting, .. } if waiting > 0 => "Pending",
        Counts { running, .. } if running > 0 => "Running",
        _ if pod.spec.restart_policy == RestartPolicy::Always => "Running",
        Counts { stopped, succeeded, .. } if stopped == succeeded => "Succeeded",
        _ if pod.spec.restart_policy == RestartPolicy::Never => "Failed",
        _ => "Running",
    }
}

#[derive(Clone, Copy, Default)]
struct Counts {
    waiting: usize,
    running: usize,
    stopped: usize,
    succeeded: usize,
}

impl Counts {
    fn add(&mut self, container: Option<&Observation>) {
        let Some(container) = container else { return self.waiting += 1 };
        match &container.stage {
            Stage::Running(_) => self.running += 1,
            Stage::Ended(ended) => {
                self.stopped += 1;
                self.succeeded += usize::from(ended.code == 0);
            }
            Stage::Waiting | Stage::Starting if container.last.is_some() => self.stopped += 1,
            Stage::Waiting | Stage::Starting => self.waiting += 1,
        }
    }
}

fn is_ready(seen: &Observed, container: &Container) -> bool {
    let running = seen.containers.get(&container.name).and_then(Observation::running);
    running.is_some_and(|running| running.started && running.ready)
}

fn is_initialized(pod: &Pod, seen: &Observed) -> bool {
    let done = |c: &Container| seen.containers.get(&c.name).is_some_and(Observation::has_succeeded);
    pod.spec.init_containers.iter().all(done)
}

struct Condition {
    kind: &'static str,
    status: bool,
    reason: &'static str,
    message: String,
}

impl Condition {
    fn value(&self) -> Value {
        let mut condition = json!({"type": self.kind, "status": if self.status { "True" } else { "False" }});
        if !self.reason.is_empty() {
            condition["reason"] = self.reason.into();
        }
        if !self.message.is_empty() {
            condition["message"] = self.message.as_str().into();
        }
        condition["lastProbeTime"] = Value::Null;
        condition
    }
}

fn conditions(pod: &Pod, seen: &Observed, phase: &str, before: &Value, now: Timestamp) -> Value {
    let mut list = before["conditions"].as_array().cloned().unwrap_or_default();
    let gates = list.clone();
    let sandbox = seen.ip.is_some() && seen.volumes == Volumes::Mounted && !seen.cleaned;
    let holds = |kind, status| Condition { kind, status, reason: "", message: String::new() };
    let ready = containers_ready(pod, seen, phase);
    let own = [
        holds("PodReadyToStartContainers", sandbox),
        initialized(pod, seen, phase),
        Condition { kind: "ContainersReady", message: ready.message.clone(), ..ready },
        pod_ready(pod, ready, &gates),
        holds("PodScheduled", true),
    ];
    for condition in &own {
        meta::set_condition(&mut list, condition.value(), now);
    }
    list.into()
}

fn initialized(pod: &Pod, seen: &Observed, phase: &str) -> Condition {
    let kind = "Initialized";
    if is_initialized(pod, seen) {
        let reason = if phase == "Succeeded" { "PodCompleted" } else { "" };
        return Condition { kind, status: true, reason, message: String::new() };
    }
    let done = |c: &&Container| !seen.containers.get(&c.name).is_some_and(Observation::has_succeeded);
    let names = names(pod.spec.init_containers.iter().filter(done));
    let message = format!("containers with incomplete status: {names}");
    Condition { kind, status: false, reason: "ContainersNotInitialized", message }
}

fn containers_ready(pod: &Pod, seen: &Observed, phase: &str) -> Condition {
    let kind = "Ready";
    let no = |reason, message| Condition { kind, status: false, reason, message };
    match phase {
        "Succeeded" => return no("PodCompleted", String::new()),
        "Failed" => return no("PodFailed", String::new()),
        _ => {}
    }
    let unready = names(pod.spec.containers.iter().filter(|container| !is_ready(seen, container)));
    if unready != "[]" || !is_initialized(pod, seen) {
        return no("ContainersNotReady", format!("containers with unready status: {unready}"));
    }
    Condition { kind, status: true, reason: "", message: String::new() }
}

fn pod_ready(pod: &Pod, containers: Condition, conditions: &[Value]) -> Condition {
    if !containers.status {
        return containers;
    }
    let open = |gate: &str| !conditions.iter().any(|c| c["type"] == *gate && c["status"] == "True");
    let shut: Vec<&str> = pod.spec.readiness_gates.iter().map(|g| g.condition_type.as_str()).collect();
    match shut.into_iter().find(|gate| open(gate)) {
        None => containers,
        Some(gate) => Condition {
            status: false,
            reason: "ReadinessGatesNotReady",
            message: format!(
                "corresponding condition of pod readiness gate {gate:?} does not exist or is not true."
            ),
            ..containers
        },
    }
}

fn names<'a>(containers: impl Iterator<Item = &'a Container>) -> String {
    let names: Vec<&str> = containers.map(|container| container.name.as_str()).collect();
    format!("[{}]", names.join(" "))
}

fn container_status(pod: &Pod, seen: &Observed, spec: &Container, now: Timestamp) -> Value {
    let absent = Observation::default();
    let container = seen.containers.get(&spec.name).unwrap_or(&absent);
    let (state, last) = states(pod, seen, spec, container, now);
    let running = container.running();
    let ready = if pod.is_init(&spec.name) { container.has_succeeded() } else { is_ready(seen, spec) };
    let id = match &container.stage {
        Stage::Running(running) => running.id.as_str(),
        Stage::Ended(ended) => ended.id.as_str(),
        _ => container.last.as_ref().map_or("", |ended| ended.id.as_str()),
    };
    let mut status = json!({
        "name": spec.name, "image": spec.image, "imageID": container.image_id, "ready": ready,
        "restartCount": container.restarts, "started": running.is_some_and(|running| running.started),
        "state": state, "lastState": last,
    });
    if !id.is_empty() {
        status["containerID"] = id.into();
    }
    status
}

/// `state` and `lastState`.
fn states(
    pod: &Pod,
    seen: &Observed,
    spec: &Container,
    container: &Observation,
    now: Timestamp,
) -> (Value, Value) {
    let last = container.last.as_ref().map_or_else(|| json!({}), terminated);
    let goes_on = seen.ending.is_none() && seen.failure.is_none() && !seen.cleaned;
    match &container.stage {
        Stage::Running(running) => (json!({"running": {"startedAt": meta::time(running.since)}}), last),
        Stage::Ended(ended) => {
            let waits = goes_on && step::restarts(pod, &spec.name, container);
            match waits.then(|| held(pod, spec, container, ended, now)).flatten() {
                Some((reason, message)) => (waiting(&reason, &message), terminated(ended)),
                None => (terminated(ended), last),
            }
        }
        Stage::Waiting | Stage::Starting => {
            let (reason, message) = creating(pod, seen, spec, container, now);
            (waiting(&reason, &message), last)
        }
    }
}

fn waiting(reason: &str, message: &str) -> Value {
    let mut waiting = json!({ "reason": reason });
    if !message.is_empty() {
        waiting["message"] = message.into();
    }
    json!({ "waiting": waiting })
}

fn terminated(ended: &Ended) -> Value {
    let mut state = json!({
        "exitCode": ended.code, "reason": ended.reason, "finishedAt": meta::time(ended.finished_at),
        "startedAt": meta::time(ended.started_at.unwrap_or(ended.finished_at)),
    });
    if !ended.message.is_empty() {
        state["message"] = ended.message.as_str().into();
    }
    if let Some(signal) = ended.signal {
        state["signal"] = signal.into();
    }
    if !ended.id.is_empty() {
        state["containerID"] = ended.id.as_str().into();
    }
    json!({ "terminated": state })
}

/// Why a container that has ended waits to run again, if it does.
fn held(
    pod: &Pod,
    spec: &Container,
    container: &Observation,
    ended: &Ended,
    now: Timestamp,
) -> Option<(String, String)> {
    if container.backoff.ready_at(ended.finished_at) > now {
        return Some(("CrashLoopBackOff".into(), backoff_message(pod, &spec.name, container)));
    }
    hindrance(spec, container, now)
}

/// kubelet's words for a container that is held back.
pub(crate) fn backoff_message(pod: &Pod, name: &str, container: &Observation) -> String {
    let delay = duration(container.backoff.delay().as_secs());
    format!("back-off {delay} restarting failed container={name} pod={}", pod.title())
}

/// Seconds as Go prints a duration: `10s`, `2m40s`.
fn duration(seconds: i64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// What keeps the container from being created, if anything.
fn hindrance(spec: &Container, container: &Observation, now: Timestamp) -> Option<(String, String)> {
    if let Some(blocked) = &container.blocked {
        return Some((blocked.reason.clone(), blocked.message.clone()));
    }
    let Image::Failed { reason, message, retry_at, attempts } = &container.image else { return None };
    let is_pull = [ImageError::ERR_IMAGE_PULL, ImageError::REGISTRY_UNAVAILABLE].contains(&reason.as_str());
    if is_pull && *attempts > 1 && *retry_at > now {
        return Some((
            "ImagePullBackOff".into(),
            format!("Back-off pulling image {:?}: {message}", spec.image),
        ));
    }
    Some((reason.clone(), message.clone()))
}

fn creating(
    pod: &Pod,
    seen: &Observed,
    spec: &Container,
    container: &Observation,
    now: Timestamp,
) -> (String, String) {
    if let Some(hindrance) = hindrance(spec, container, now) {
        return hindrance;
    }
    let first = if pod.spec.init_containers.is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let message = match &seen.volumes {
        Volumes::Failed { message, .. } => message.clone(),
        _ => String::new(),
    };
    (first.into(), message)
}

/// Kubernetes' quality of service class, from CPU and memory of all containers.
pub(crate) fn qos_class(pod: &Pod) -> &'static str {
    let names = ["cpu", "memory"];
    let mut any = false;
    let mut guaranteed = true;
    for container in pod.all_containers() {
        for name in names {
            let (limit, request) = (container.resources.limit(name), container.resources.request(name));
            any |= [limit, request].into_iter().flatten().any(|amount| amount.milli() > 0);
            guaranteed &= limit.is_some_and(|limit| limit.milli() > 0) && request == limit;
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// A container's id for the status: unique to this start.
pub(crate) fn container_id(pod: &Pod, name: &str, restarts: u32, now: Timestamp) -> String {
    use sha2::{Digest, Sha256};
    let text = format!("{}/{name}/{restarts}/{}", pod.metadata.uid, now.as_nanosecond());
    let hex: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{RUNTIME}://{hex}")
}

/// A running container's first state: what its probes gate is not there yet.
pub(crate) fn begun(spec: &Container, id: String, now: Timestamp) -> Running {
    let started = spec.startup_probe.is_none();
    Running { id, since: now, started, ready: spec.readiness_probe.is_none() }
}

/// `changes` as a merge patch of the object: the uid makes it miss a pod of the same name that came later.
pub(crate) fn patch(pod: &Pod, status: Value) -> Value {
    let mut metadata = Map::new();
    metadata.insert("uid".into(), pod.metadata.uid.as_str().into());
    json!({ "metadata": metadata, "status": status })
}

#[cfg(test)]
#[path = "status/tests.rs"]
mod tests;
