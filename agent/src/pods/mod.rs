//! Pods: what is to be done (`step`), what is shown (`status`), and one worker for each that does it.

mod address;
mod context;
mod create;
pub(crate) mod env;
pub(crate) mod observed;
mod range;
pub(crate) mod spec;
pub(crate) mod status;
pub(crate) mod step;
mod worker;

pub(crate) use context::Context;
pub(crate) use range::{PodRange, carried_pods};

use crate::api::{Seen, escape};
use crate::runtime::Container;
use futures_util::StreamExt;
use parking_lot::Mutex;
use peapod_api::meta;
use serde_json::Value;
use spec::Pod;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use worker::{View, Wish, Worker};

/// The pods of the node, as others may look at them.
#[derive(Clone, Default)]
pub(crate) struct Registry(Arc<Mutex<HashMap<String, Entry>>>);

struct Entry {
    pod: Arc<Pod>,
    view: Arc<Mutex<View>>,
}

impl Registry {
    /// The pods that have a worker, in no order.
    pub(crate) fn pods(&self) -> Vec<Arc<Pod>> {
        self.0.lock().values().map(|entry| entry.pod.clone()).collect()
    }

    /// Every running container with its pod and its name.
    pub(crate) fn containers(&self) -> Vec<(Arc<Pod>, String, Container)> {
        let entries = self.0.lock();
        let of = |entry: &Entry| -> Vec<_> {
            let view = entry.view.lock();
            let named = view.containers.iter();
            named.map(|(name, container)| (entry.pod.clone(), name.clone(), container.clone())).collect()
        };
        entries.values().flat_map(of).collect()
    }
}

/// Follows the pods that are bound to the node, until `stop`; then stops them all.
pub(crate) async fn run(context: Arc<Context>, registry: Registry, stop: CancellationToken) {
    if stop.run_until_cancelled(context.addresses.known()).await.is_none() {
        return;
    }
    let selector = format!("fieldSelector={}", escape(&format!("spec.nodeName={}", context.node_name)));
    let mut events = std::pin::pin!(context.api.watch_kept::<Value>("/api/v1/pods".into(), selector));
    let mut pods =
        Pods { context: context.clone(), registry, workers: JoinSet::new(), known: HashMap::new() };
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(seen) = events.next() => pods.take(seen).await,
            Some(ended) = pods.workers.join_next_with_id() => pods.ended(ended),
        }
    }
    pods.shut_down().await;
}

/// A pod that has a worker.
struct Known {
    wishes: watch::Sender<Wish>,
    task: Id,
}

struct Pods {
    context: Arc<Context>,
    registry: Registry,
    workers: JoinSet<()>,
    known: HashMap<String, Known>,
}

/// Reads a pod; one that does not fit is told in the log and left alone.
fn read(object: Value) -> Option<Arc<Pod>> {
    let name = meta::text(&object, "metadata.name").unwrap_or_default().to_string();
    match serde_json::from_value::<Pod>(object) {
        Ok(pod) => Some(Arc::new(pod)),
        Err(error) => {
            tracing::error!(pod = name, %error, "a pod that this agent cannot read");
            None
        }
    }
}

impl Pods {
    async fn take(&mut self, seen: Seen<Value>) {
        match seen {
            Seen::Listed(objects) => {
                let pods: Vec<_> = objects.into_iter().filter_map(read).collect();
                self.remove_strangers(&pods).await;
                self.take_all(pods);
            }
            // Not all that is on the disk need be in it.
            Seen::Recalled(objects) => self.take_all(objects.into_iter().filter_map(read).collect()),
            Seen::Applied(object) => {
                if let Some(pod) = read(object) {
                    self.apply(pod);
                }
            }
            Seen::Deleted(object) => {
                if let Some(uid) = meta::text(&object, "metadata.uid") {
                    self.end(uid);
                }
            }
        }
    }

    fn take_all(&mut self, pods: Vec<Arc<Pod>>) {
        let uids: HashSet<String> = pods.iter().map(|pod| pod.metadata.uid.clone()).collect();
        let gone: Vec<String> = self.known.keys().filter(|uid| !uids.contains(*uid)).cloned().collect();
        gone.iter().for_each(|uid| self.end(uid));
        // Those that had addresses before get them first.
        for pod in pods.iter().filter(|pod| !is_over(pod)) {
            if let Some(ip) = meta::text(&pod.status, "podIP").and_then(|ip| ip.parse().ok()) {
                self.context.addresses.lock().take(&pod.metadata.uid, Some(ip));
            }
        }
        pods.into_iter().for_each(|pod| self.apply(pod));
    }

    /// Removes directories of pods that went while the agent was away.
    async fn remove_strangers(&self, pods: &[Arc<Pod>]) {
        let listed = pods.iter().map(|pod| pod.metadata.uid.clone());
        let uids: HashSet<String> = listed.chain(self.known.keys().cloned()).collect();
        let dir = self.context.pods_dir.clone();
        let removed = tokio::task::spawn_blocking(move || {
            for entry in std::fs::read_dir(&dir)?.flatten() {
                if !entry.file_name().to_str().is_some_and(|name| uids.contains(name)) {
                    std::fs::remove_dir_all(entry.path())?;
                }
            }
            Ok::<_, std::io::Error>(())
        });
        if let Ok(Err(error)) = removed.await {
            tracing::warn!(%error, "directories of pods that are gone cannot be removed");
        }
    }

    fn apply(&mut self, pod: Arc<Pod>) {
        let uid = pod.metadata.uid.clone();
        if let Some(entry) = self.registry.0.lock().get_mut(&uid) {
            entry.pod = pod.clone();
        }
        if let Some(known) = self.known.get(&uid) {
            known.wishes.send_if_modified(|wish| {
                let alive = matches!(wish, Wish::Pod(_));
                if alive {
                    *wish = Wish::Pod(pod);
                }
                alive
            });
            return;
        }
        let view = Arc::<Mutex<View>>::default();
        self.registry.0.lock().insert(uid.clone(), Entry { pod: pod.clone(), view: view.clone() });
        let (wishes, heard) = watch::channel(Wish::Pod(pod.clone()));
        let worker = Worker::new(self.context.clone(), pod, view);
        let task = self.workers.spawn(worker.run(heard)).id();
        self.known.insert(uid, Known { wishes, task });
    }

    fn end(&mut self, uid: &str) {
        if let Some(known) = self.known.get(uid) {
            known.wishes.send_replace(Wish::Gone);
        }
    }

    /// A worker has ended: its pod is gone. One that panicked is begun again when its pod changes next.
    fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        let id = match &ended {
            Ok((id, ())) => *id,
            Err(error) => error.id(),
        };
        let Some(uid) = self.known.iter().find(|(_, known)| known.task == id).map(|(uid, _)| uid.clone())
        else {
            return;
        };
        let known = self.known.remove(&uid);
        let entry = self.registry.0.lock().remove(&uid);
        self.context.addresses.lock().release(&uid);
        if let Err(error) = ended {
            tracing::error!(%error, uid, "a pod's worker panicked; it is begun again");
            let alive = known.is_some_and(|known| matches!(*known.wishes.borrow(), Wish::Pod(_)));
            if let Some(entry) = entry.filter(|_| alive) {
                self.apply(entry.pod);
            }
        }
    }

    async fn shut_down(&mut self) {
        for known in self.known.values() {
            known.wishes.send_replace(Wish::Shutdown);
        }
        while self.workers.join_next().await.is_some() {}
    }
}

fn is_over(pod: &Pod) -> bool {
    peapod_api::pod::is_terminal_phase(pod.status["phase"].as_str().unwrap_or_default())
}
