//! One worker for each pod: it does the steps that are decided, hears how they went, and reports.

mod act;
mod hear;
mod report;

use super::context::Context;
use super::create::{Created, Refusal};
use super::observed::{Ending, Observed, Stage, resume};
use super::spec::Pod;
use super::status;
use super::step::{Step, step};
use crate::image::{ImageError, Pulled, ResolvedImage};
use crate::logs::{PodLogs, RunLog};
use crate::network::PodNetwork;
use crate::probe::{Prober, Verdict};
use crate::runtime::{Container, Exit};
use crate::volume::Shown;
use crate::volume::reference::Reference;
use jiff::Timestamp;
use report::Report;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// How long containers have to end when the agent stops.
const SHUTDOWN_GRACE: Duration = Duration::from_millis(400);
/// The grace of a pod that was deleted without any, in seconds; kubelet's figure.
const MIN_GRACE_SECONDS: i64 = 1;

/// What the worker is to bring about; only the latest counts.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// The pod as the API has it.
    Pod(Arc<Pod>),
    /// The pod is no longer in the API: end it, report nothing.
    Gone,
    /// The agent stops: end the containers and leave the status as it is.
    Shutdown,
}

/// How something that was begun went. `run` tells this run of a container from later ones.
enum Heard {
    Mounted(Result<Vec<Arc<Shown>>, String>),
    Pulled {
        name: String,
        result: Result<Pulled, ImageError>,
    },
    Created {
        name: String,
        run: u64,
        before: Stage,
        result: Result<Box<Created>, Refusal>,
    },
    Started {
        name: String,
        run: u64,
    },
    Exited {
        name: String,
        run: u64,
        exit: Exit,
    },
    Probed {
        name: String,
        run: u64,
        prober: Box<Prober>,
        verdict: Verdict,
    },
    /// An object that a container waits for has changed.
    Unblocked {
        name: String,
    },
    /// A volume has been written again.
    Refreshed {
        shown: Arc<Shown>,
        result: Result<(), String>,
    },
    Reported {
        status: Value,
        result: Result<(), crate::api::ApiError>,
    },
    Deleted(Result<(), crate::api::ApiError>),
    CleanedUp,
    /// Decide once more.
    Again,
}

/// A container that has been started.
struct Live {
    run: u64,
    container: Container,
    log: RunLog,
    probers: Vec<AbortHandle>,
}

/// What others may see of a pod while its worker runs.
#[derive(Default)]
pub(crate) struct View {
    pub(crate) containers: HashMap<String, Container>,
}

pub(crate) struct Worker {
    context: Arc<Context>,
    pod: Arc<Pod>,
    /// Tells the volumes that show something of the pod.
    pods: watch::Sender<Arc<Pod>>,
    seen: Observed,
    tasks: JoinSet<Heard>,
    live: HashMap<String, Live>,
    images: HashMap<String, ResolvedImage>,
    network: Option<Arc<PodNetwork>>,
    /// What the containers' environments refer to, held so that a restart needs no answer of the API.
    references: Vec<Arc<Reference>>,
    logs: Option<PodLogs>,
    view: Arc<parking_lot::Mutex<View>>,
    report: Report,
    runs: u64,
    gone: bool,
    cleaning: bool,
    deleting: bool,
    done: bool,
}

impl Worker {
    pub(crate) fn new(context: Arc<Context>, pod: Arc<Pod>, view: Arc<parking_lot::Mutex<View>>) -> Worker {
        let seen = resume(&pod, Timestamp::now());
        Worker {
            report: Report::new(&pod),
            pods: watch::Sender::new(pod.clone()),
            context,
            pod,
            seen,
            tasks: JoinSet::new(),
            live: HashMap::new(),
            images: HashMap::new(),
            network: None,
            references: Vec::new(),
            logs: None,
            view,
            runs: 0,
            gone: false,
            cleaning: false,
            deleting: false,
            done: false,
        }
    }

    /// Works until the pod is gone from the node, or the agent stops.
    pub(crate) async fn run(mut self, mut wishes: watch::Receiver<Wish>) {
        self.open_logs();
        loop {
            let wish = wishes.borrow_and_update().clone();
            match wish {
                Wish::Pod(pod) => self.take(pod),
                Wish::Gone => self.begin_to_go(),
                Wish::Shutdown => return self.shut_down().await,
            }
            if self.work(&mut wishes).await {
                break;
            }
        }
        self.forget().await;
    }

    /// Steps and listens until there is a new wish (false) or the pod is gone (true).
    async fn work(&mut self, wishes: &mut watch::Receiver<Wish>) -> bool {
        loop {
            let wake = self.advance();
            if self.done {
                return true;
            }
            let timer = async {
                match wake {
                    Some(at) => tokio::time::sleep(until(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                changed = wishes.changed() => return changed.is_err(),
                Some(heard) = self.tasks.join_next() => {
                    self.hear_all(heard);
                }
                () = timer => {}
            }
        }
    }

    fn hear_all(&mut self, first: Result<Heard, tokio::task::JoinError>) {
        let mut next = Some(first);
        while let Some(heard) = next {
            match heard {
                Ok(heard) => self.hear(heard),
                Err(error) if error.is_panic() => {
                    tracing::error!(pod = self.pod.key(), %error, "a task of the pod panicked");
                    self.recover();
                }
                Err(_) => {}
            }
            next = self.tasks.try_join_next();
        }
    }

    /// Does all steps that are due; gives the time of the next.
    fn advance(&mut self) -> Option<Timestamp> {
        // Steps change what is seen, so they are decided again until only waiting is left.
        let mut wake = None;
        for _ in 0..8 {
            let now = Timestamp::now();
            let mut idle = true;
            wake = None;
            for step in step(&self.pod, &self.seen, now) {
                match step {
                    Step::WakeAt(at) => wake = wake.into_iter().chain([at]).min(),
                    step => idle &= !self.act(step, now),
                }
            }
            if idle {
                break;
            }
        }
        if self.gone && self.seen.cleaned {
            self.done = true;
        }
        let report = self.report(Timestamp::now());
        wake.into_iter().chain(report).min()
    }

    fn take(&mut self, pod: Arc<Pod>) {
        self.report.notice(&pod);
        self.pods.send_replace(pod.clone());
        self.pod = pod;
        if self.pod.is_deleting() {
            let grace = self.pod.metadata.deletion_grace_period_seconds;
            self.end_within(grace.unwrap_or_else(|| self.pod.grace_seconds()));
        }
    }

    fn begin_to_go(&mut self) {
        self.gone = true;
        self.end_within(MIN_GRACE_SECONDS);
    }

    fn end_within(&mut self, grace_seconds: i64) {
        let grace_seconds = grace_seconds.max(MIN_GRACE_SECONDS);
        match &mut self.seen.ending {
            Some(ending) => {
                let kill_at = Ending { since: Timestamp::now(), grace_seconds };
                if kill_at.kill_at() < ending.kill_at() {
                    *ending = kill_at;
                }
            }
            none => *none = Some(Ending { since: Timestamp::now(), grace_seconds }),
        }
    }

    fn open_logs(&mut self) {
        let metadata = &self.pod.metadata;
        let dir = self.context.dir(&self.pod).join("logs");
        match self.context.logs.open(&metadata.namespace, &metadata.name, &metadata.uid, &dir) {
            Ok(logs) => self.logs = Some(logs),
            Err(error) => tracing::error!(dir = %dir.display(), %error, "a pod's logs cannot be kept"),
        }
    }

    async fn shut_down(&mut self) {
        for live in self.live.values_mut() {
            live.container.stop();
        }
        let containers: Vec<Container> = self.live.values().map(|live| live.container.clone()).collect();
        let all = async {
            for container in &containers {
                container.wait().await;
            }
        };
        if tokio::time::timeout(SHUTDOWN_GRACE, all).await.is_err() {
            containers.iter().for_each(Container::kill);
            for container in &containers {
                container.wait().await;
            }
        }
        self.live.values().for_each(|live| live.log.end());
    }

    /// Removes what is left of the pod: its logs.
    async fn forget(&mut self) {
        let metadata = &self.pod.metadata;
        self.context.logs.close(&metadata.namespace, &metadata.name, &metadata.uid);
        let dir = self.context.dir(&self.pod);
        if let Err(error) = tokio::fs::remove_dir_all(&dir).await
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(dir = %dir.display(), %error, "a pod's directory cannot be removed");
        }
    }
}

/// How long it is until `at`.
fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
}
