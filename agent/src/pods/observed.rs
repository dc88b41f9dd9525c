//! What the agent knows of a pod beside its spec: the state that steps are decided on and the status is made from.

use super::spec::Pod;
use jiff::{SignedDuration, Timestamp};
use peapod_api::meta;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// First back-off of a container that has ended again; kubelet's figure.
pub(crate) const BACKOFF_FIRST: SignedDuration = SignedDuration::from_secs(10);
/// Longest back-off; kubelet's figure.
pub(crate) const MAX_BACKOFF: SignedDuration = SignedDuration::from_secs(300);
/// A container that ran longer than this starts with the first back-off again; kubelet's figure.
pub(crate) const BACKOFF_RESET: SignedDuration = SignedDuration::from_secs(600);
/// What container ids begin with: the runtime's name, as in the Node's `containerRuntimeVersion`.
pub(crate) const RUNTIME: &str = "wasmtime";

/// A pod as it stands on this node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observed {
    /// The pod's address, once it has its stack.
    pub(crate) ip: Option<IpAddr>,
    /// When to try again to give it one.
    pub(crate) attach_at: Option<Timestamp>,
    /// When the agent took the pod up: `status.startTime`.
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) volumes: Volumes,
    pub(crate) containers: BTreeMap<String, Observation>,
    /// Set once the pod is to end: by deletion or by a failure of the whole pod.
    pub(crate) ending: Option<Ending>,
    /// Why the whole pod has failed.
    pub(crate) failure: Option<Failure>,
    /// Nothing of the pod is left on the node but logs.
    pub(crate) cleaned: bool,
    /// The API knows the final status.
    pub(crate) reported: bool,
}

/// Whether the volumes are there.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Volumes {
    #[default]
    Absent,
    Mounting,
    Mounted,
    Failed {
        message: String,
        retry_at: Timestamp,
    },
}

/// An orderly end under way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ending {
    pub(crate) since: Timestamp,
    pub(crate) grace_seconds: i64,
}

impl Ending {
    /// When what remains is interrupted.
    pub(crate) fn kill_at(&self) -> Timestamp {
        after(self.since, SignedDuration::from_secs(self.grace_seconds.max(0)))
    }
}

/// Why a whole pod has failed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) message: String,
}

/// One container.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Observation {
    pub(crate) stage: Stage,
    /// The end before the present stage.
    pub(crate) last: Option<Ended>,
    pub(crate) restarts: u32,
    pub(crate) image: Image,
    /// `imageID` of the last start, or of the image found for the next.
    pub(crate) image_id: String,
    pub(crate) backoff: Backoff,
    /// Asked to stop, and when it will be interrupted.
    pub(crate) stopping: Option<Stopping>,
    /// A liveness or startup probe has failed: what kubelet's `Killing` event says.
    pub(crate) unhealthy: Option<Unhealthy>,
    /// Why it could not be created, and when to try again.
    pub(crate) blocked: Option<Blocked>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unhealthy {
    pub(crate) message: String,
    pub(crate) grace_seconds: i64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blocked {
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) retry_at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stopping {
    pub(crate) kill_at: Timestamp,
    pub(crate) killed: bool,
}

/// Where a container stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Stage {
    /// Not started yet.
    #[default]
    Waiting,
    /// Being started.
    Starting,
    Running(Running),
    Ended(Ended),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Running {
    pub(crate) id: String,
    pub(crate) since: Timestamp,
    /// Its startup probe has succeeded, or it has none.
    pub(crate) started: bool,
    /// Its readiness probe succeeds, or it has none.
    pub(crate) ready: bool,
}

/// An end: `state.terminated`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) code: i32,
    pub(crate) signal: Option<i32>,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
}

/// A container's image on this node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Image {
    #[default]
    Unknown,
    Pulling {
        /// Failures in a row before.
        attempts: u32,
    },
    Present,
    Failed {
        reason: String,
        message: String,
        retry_at: Timestamp,
        /// Failures in a row.
        attempts: u32,
    },
}

/// kubelet's back-off of one container: the first restart is at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Backoff {
    entry: Option<(Timestamp, SignedDuration)>,
}

impl Backoff {
    /// When a container that ended at `finished` may start again.
    pub(crate) fn ready_at(&self, finished: Timestamp) -> Timestamp {
        match self.entry {
            Some((last, delay)) if finished.duration_since(last) <= BACKOFF_RESET => after(finished, delay),
            _ => finished,
        }
    }

    /// The delay in force, for messages.
    pub(crate) fn delay(&self) -> SignedDuration {
        self.entry.map_or(SignedDuration::ZERO, |(_, delay)| delay)
    }

    /// The container that ended at `finished` is started again at `now`.
    pub(crate) fn restarted(&mut self, finished: Timestamp, now: Timestamp) {
        let delay = match self.entry {
            Some((last, delay)) if finished.duration_since(last) <= BACKOFF_RESET => {
                (delay * 2).min(MAX_BACKOFF)
            }
            _ => BACKOFF_FIRST,
        };
        self.entry = Some((now, delay));
    }
}

/// `time + delay`, held at the end of time.
pub(crate) fn after(time: Timestamp, delay: SignedDuration) -> Timestamp {
    time.checked_add(delay).unwrap_or(Timestamp::MAX)
}

impl Observation {
    pub(crate) fn is_alive(&self) -> bool {
        matches!(self.stage, Stage::Starting | Stage::Running(_))
    }

    pub(crate) fn ended(&self) -> Option<&Ended> {
        match &self.stage {
            Stage::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    pub(crate) fn has_succeeded(&self) -> bool {
        self.ended().is_some_and(|ended| ended.code == 0)
    }

    pub(crate) fn running(&self) -> Option<&Running> {
        match &self.stage {
            Stage::Running(running) => Some(running),
            _ => None,
        }
    }

    /// Takes note of an end, whatever came before it. The next start looks for the image again, as its policy says.
    pub(crate) fn end(&mut self, ended: Ended) {
        self.stopping = None;
        self.unhealthy = None;
        self.image = Image::Unknown;
        self.stage = Stage::Ended(ended);
    }

    /// Takes note of a start: a restart if the container has ended before.
    pub(crate) fn start(&mut self, before: Stage, now: Timestamp) {
        if let Stage::Ended(ended) = before {
            self.backoff.restarted(ended.finished_at, now);
            self.restarts += 1;
            self.last = Some(ended);
        }
        self.blocked = None;
        self.stopping = None;
        self.unhealthy = None;
        self.stage = Stage::Starting;
    }
}

/// The state of a pod that the agent takes up: fresh, or resumed from the status that an earlier run of the agent has
/// left. A container that was running then has ended with it (code 255, as after a reboot of a kubelet's node).
pub(crate) fn resume(pod: &Pod, now: Timestamp) -> Observed {
    let status = &pod.status;
    let mut seen = Observed {
        started_at: meta::text(status, "startTime").and_then(meta::parse_time).or(Some(now)),
        ..Observed::default()
    };
    for (list, init) in [("initContainerStatuses", true), ("containerStatuses", false)] {
        for entry in status[list].as_array().into_iter().flatten() {
            let name = entry["name"].as_str().unwrap_or_default();
            if pod.container(name).is_some() && pod.is_init(name) == init {
                seen.containers.insert(name.to_string(), resume_container(entry, now));
            }
        }
    }
    for container in pod.all_containers() {
        seen.containers.entry(container.name.clone()).or_default();
    }
    let phase = status["phase"].as_str().unwrap_or_default();
    if phase == "Failed" {
        seen.failure = Some(Failure {
            reason: status["reason"].as_str().unwrap_or_default().into(),
            message: status["message"].as_str().unwrap_or_default().into(),
        });
    }
    if peapod_api::pod::is_terminal_phase(phase) {
        seen.cleaned = true;
        seen.reported = true;
    }
    seen
}

fn resume_container(entry: &Value, now: Timestamp) -> Observation {
    let restarts = entry["restartCount"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
    let last = resume_end(&entry["lastState"]["terminated"]);
    let image_id = entry["imageID"].as_str().unwrap_or_default().to_string();
    let mut container = Observation { restarts, image_id, last: last.clone(), ..Observation::default() };
    if let Some(ended) = resume_end(&entry["state"]["terminated"]) {
        container.stage = Stage::Ended(ended);
    } else if entry["state"]["running"].is_object() {
        container.stage = Stage::Ended(Ended {
            id: entry["containerID"].as_str().unwrap_or_default().into(),
            code: 255,
            signal: None,
            reason: "Unknown".into(),
            message: "the node's agent went away while the container was running".into(),
            started_at: meta::text(entry, "state.running.startedAt").and_then(meta::parse_time),
            finished_at: now,
        });
    } else if let Some(ended) = last {
        container.stage = Stage::Ended(ended);
    }
    container
}

fn resume_end(state: &Value) -> Option<Ended> {
    let code = i32::try_from(state["exitCode"].as_i64()?).ok()?;
    let time = |path| meta::text(state, path).and_then(meta::parse_time);
    Some(Ended {
        id: state["containerID"].as_str().unwrap_or_default().into(),
        code,
        signal: state["signal"].as_i64().and_then(|signal| i32::try_from(signal).ok()),
        reason: state["reason"].as_str().unwrap_or_default().into(),
        message: state["message"].as_str().unwrap_or_default().into(),
        started_at: time("startedAt"),
        finished_at: time("finishedAt").unwrap_or(Timestamp::UNIX_EPOCH),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn backoff_is_kubelets() {
        let mut backoff = Backoff::default();
        let mut now = at(0);
        let mut delays = Vec::new();
        for _ in 0..8 {
            let ready = backoff.ready_at(now);
            delays.push(ready.duration_since(now).as_secs());
            backoff.restarted(now, ready);
            now = after(ready, SignedDuration::from_secs(1));
        }
        assert_eq!(delays, [0, 10, 20, 40, 80, 160, 300, 300]);
        let late = after(now, SignedDuration::from_secs(601));
        assert_eq!(backoff.ready_at(late), late);
        backoff.restarted(late, late);
        assert_eq!(backoff.delay(), BACKOFF_FIRST);
    }

    #[test]
    fn a_running_container_of_an_earlier_run_has_ended() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p", "namespace": "d", "uid": "u"},
            "spec": {"containers": [{"name": "a"}, {"name": "new"}], "initContainers": [{"name": "i"}]},
            "status": {"phase": "Running", "startTime": "1970-01-01T00:00:05Z",
                "initContainerStatuses": [{"name": "i", "restartCount": 0,
                    "state": {"terminated": {"exitCode": 0, "finishedAt": "1970-01-01T00:00:06Z"}}}],
                "containerStatuses": [{"name": "a", "restartCount": 3, "containerID": "wasmtime://x",
                    "state": {"running": {"startedAt": "1970-01-01T00:00:07Z"}}}]}
        }))
        .unwrap();
        let seen = resume(&pod, at(100));
        let a = &seen.containers["a"];
        assert_eq!((a.restarts, a.ended().unwrap().code), (3, 255));
        assert_eq!(a.ended().unwrap().started_at, Some(at(7)));
        assert!(seen.containers["i"].has_succeeded());
        assert_eq!(seen.containers["new"], Observation::default());
        assert_eq!(seen.started_at, Some(at(5)));
    }

    #[test]
    fn a_pod_that_is_over_stays_over() {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": {"name": "p"}, "spec": {"containers": [{"name": "a"}]}, "status": {"phase": "Succeeded"}
        }))
        .unwrap();
        let seen = resume(&pod, at(1));
        assert!(seen.cleaned && seen.reported);
    }
}
