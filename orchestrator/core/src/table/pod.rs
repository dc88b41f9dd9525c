//! Cells of pods. The rules are those of Kubernetes' pod printer: the first container that tells something bad decides.

use super::age::human_duration;
use super::cells::{NONE, list, number};
use jiff::Timestamp;
use peapod_api::meta;
use peapod_api::pod::is_terminal_phase;
use serde_json::Value;

/// What a pod's containers sum up to.
struct Summary {
    reason: String,
    ready: i64,
    total: usize,
    restarts: i64,
    last_restart: Option<Timestamp>,
}

/// `READY/TOTAL` containers.
pub(super) fn ready(pod: &Value) -> String {
    let summary = summarize(pod);
    format!("{}/{}", summary.ready, summary.total)
}

/// The phase, or the reason that says more.
pub(super) fn status(pod: &Value) -> String {
    let terminating = pod["metadata"]["deletionTimestamp"].is_string();
    let phase = meta::text(pod, "status.phase").unwrap_or_default();
    if terminating && pod["status"]["reason"] == "NodeLost" {
        return "Unknown".into();
    }
    if terminating && !is_terminal_phase(phase) {
        return "Terminating".into();
    }
    summarize(pod).reason
}

/// `N`, or `N (5s ago)`.
pub(super) fn restarts(pod: &Value, now: Timestamp) -> String {
    let summary = summarize(pod);
    match summary.last_restart.filter(|_| summary.restarts != 0) {
        Some(at) => {
            format!("{} ({} ago)", summary.restarts, human_duration(now.as_second() - at.as_second()))
        }
        None => summary.restarts.to_string(),
    }
}

/// `TRUE/TOTAL` readiness gates, `<none>` without any.
pub(super) fn readiness_gates(pod: &Value) -> String {
    let gates = list(&pod["spec"]["readinessGates"]);
    let total = gates.len();
    let is_true = |gate: &&Value| {
        gate["conditionType"].as_str().is_some_and(|type_| meta::condition_is_true(pod, type_))
    };
    if total == 0 { NONE.into() } else { format!("{}/{total}", gates.filter(is_true).count()) }
}

fn summarize(pod: &Value) -> Summary {
    let (spec, status) = (&pod["spec"], &pod["status"]);
    let sidecars = list(&spec["initContainers"]).filter(|c| c["restartPolicy"] == "Always").count();
    let mut summary = Summary {
        reason: base_reason(status),
        ready: 0,
        total: list(&spec["containers"]).len() + sidecars,
        restarts: 0,
        last_restart: None,
    };
    let initializing = init_containers(spec, status, &mut summary);
    if !initializing || meta::condition_is_true(pod, "Initialized") {
        containers(pod, &mut summary);
    }
    summary
}

fn base_reason(status: &Value) -> String {
    let gated = |c: &Value| c["type"] == "PodScheduled" && c["reason"] == "SchedulingGated";
    if list(&status["conditions"]).any(gated) {
        return "SchedulingGated".into();
    }
    let text = |key: &str| status[key].as_str().filter(|t| !t.is_empty());
    text("reason").or(text("phase")).unwrap_or_default().into()
}

/// Looks at init containers in order up to the first that is not done. Returns whether there is one.
fn init_containers(spec: &Value, status: &Value, summary: &mut Summary) -> bool {
    let is_sidecar = |name: &Value| {
        list(&spec["initContainers"]).any(|c| c["name"] == *name && c["restartPolicy"] == "Always")
    };
    let statuses = &status["initContainerStatuses"];
    for (index, container) in list(statuses).enumerate() {
        summary.count_restarts(container);
        if is_sidecar(&container["name"]) && container["started"] == true {
            summary.ready += i64::from(container["ready"] == true);
            continue;
        }
        let state = &container["state"];
        if state["terminated"].is_object() && number(&state["terminated"]["exitCode"]) == 0 {
            continue;
        }
        let total = list(&spec["initContainers"]).len();
        summary.reason = match failure(state) {
            Some(reason) if reason != "PodInitializing" => format!("Init:{reason}"),
            _ => format!("Init:{index}/{total}"),
        };
        return true;
    }
    // Once they are all done, only what may still restart counts.
    let done = list(statuses).filter(|container| !is_sidecar(&container["name"]));
    summary.restarts -= done.map(|container| number(&container["restartCount"])).sum::<i64>();
    if summary.restarts == 0 {
        summary.last_restart = None;
    }
    false
}

fn containers(pod: &Value, summary: &mut Summary) {
    let mut has_running = false;
    for container in list(&pod["status"]["containerStatuses"]).rev() {
        summary.count_restarts(container);
        if let Some(reason) = failure(&container["state"]) {
            summary.reason = reason;
        } else if container["ready"] == true && container["state"]["running"].is_object() {
            has_running = true;
            summary.ready += 1;
        }
    }
    if summary.reason == "Completed" && has_running {
        summary.reason =
            if meta::condition_is_true(pod, "Ready") { "Running".into() } else { "NotReady".into() };
    }
}

/// Why a container does not run: the reason that it waits for, or how it ended.
fn failure(state: &Value) -> Option<String> {
    let waiting = state["waiting"]["reason"].as_str().filter(|reason| !reason.is_empty());
    if let Some(reason) = waiting {
        return Some(reason.into());
    }
    let terminated = state.get("terminated").filter(|t| t.is_object())?;
    if let Some(reason) = terminated["reason"].as_str().filter(|reason| !reason.is_empty()) {
        return Some(reason.into());
    }
    Some(match number(&terminated["signal"]) {
        0 => format!("ExitCode:{}", number(&terminated["exitCode"])),
        signal => format!("Signal:{signal}"),
    })
}

impl Summary {
    fn count_restarts(&mut self, container: &Value) {
        self.restarts += number(&container["restartCount"]);
        let finished = meta::text(container, "lastState.terminated.finishedAt").and_then(meta::parse_time);
        self.last_restart = self.last_restart.max(finished);
    }
}
