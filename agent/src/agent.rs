//! The agent as a whole: what it is made of, and the order in which it starts and stops.

use crate::api::Api;
use crate::config::Config;
use crate::events::Events;
use crate::image::{ImageStore, Puller, Registry};
use crate::kept::Kept;
use crate::logs::Directory;
use crate::network::{Fabric, FabricConfig};
use crate::node::Machine;
use crate::peers::{NodePeers, Reach};
use crate::runtime::{Runtime, RuntimeConfig};
use crate::volume::reference::References;
use crate::{kubelet, node, peers, pods, proxy};
use anyhow::Context;
use parking_lot::Mutex;
use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the agent's tasks have to end at shutdown before they are cut off.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(900);

/// A running agent. Dropping it cuts its tasks off; [`Agent::shutdown`] ends them in order.
pub struct Agent {
    fabric: Fabric,
    logs: Directory,
    runtime: Arc<Runtime>,
    pods: pods::Registry,
    /// Watches of ConfigMaps and Secrets: each ends with the last pod that needs it.
    watches: TaskTracker,
    stop: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
    failure: watch::Sender<Option<String>>,
    registered: watch::Sender<bool>,
}

impl Agent {
    /// Starts the agent; it goes on when the API is away. Pods of other nodes are reached by `reach`.
    ///
    /// # Errors
    /// When the data directory cannot be used or the runtime cannot be started.
    pub async fn start(config: Config, client: kube::Client, reach: Arc<dyn Reach>) -> anyhow::Result<Agent> {
        std::fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("cannot use the data directory {}", config.data_dir.display()))?;
        let mut ranges = vec![config.cluster_cidr];
        ranges.extend(&config.service_cidrs);
        let agent = Agent {
            fabric: Fabric::new(FabricConfig::new(ranges, config.host_ip)),
            logs: Directory::new().context("cannot start a thread")?,
            runtime: Arc::new(Runtime::new(RuntimeConfig::new(config.data_dir.join("code")))?),
            pods: pods::Registry::default(),
            watches: TaskTracker::new(),
            stop: CancellationToken::new(),
            tasks: Mutex::default(),
            failure: watch::Sender::new(None),
            registered: watch::Sender::new(false),
        };
        agent.fabric.reach_by(Arc::new(NodePeers::new(&config.node_name, reach)));
        agent.start_tasks(&config, client)?;
        Ok(agent)
    }

    fn start_tasks(&self, config: &Config, client: kube::Client) -> anyhow::Result<()> {
        let puller = puller(config, client.clone())?;
        let kept = config.starts_alone.then(|| Kept::new(config.data_dir.join("kept")));
        let api = Api::new(client).keeping(kept.clone());
        let max_pods = config.max_pods.unwrap_or(self.runtime.max_instances());
        let machine = Machine::read(&config.node_name, config.host_ip, max_pods)
            .with_labels(config.labels.clone())
            .with_port(config.pod_port);
        let stop = self.stop.clone();
        let (events, sender) = Events::new(api.clone(), config.node_name.clone(), stop.clone());
        let range = Arc::new(pods::PodRange::load(config.data_dir.join("pod-range")));
        let context = Arc::new(pods::Context {
            api: api.clone(),
            events,
            fabric: self.fabric.clone(),
            runtime: self.runtime.clone(),
            puller,
            references: References::new(api.clone(), self.watches.clone(), stop.clone()),
            logs: self.logs.clone(),
            addresses: range.clone(),
            node_name: config.node_name.clone(),
            host_ip: config.host_ip,
            pods_dir: private_dir(config.data_dir.join("pods"))?,
            egress: config.egress.clone(),
            egress_annotation: config.egress_annotation,
        });
        if let Some(kept) = kept {
            self.supervise("kept", kept.write(stop.clone()));
        }
        self.supervise("events", sender);
        let node = node::run(api.clone(), machine, range, self.registered.clone(), stop.clone());
        self.supervise("node", node);
        let table = peers::run(api.clone(), self.fabric.clone(), config.node_name.clone(), stop.clone());
        self.supervise("peers", table);
        self.supervise("proxy", proxy::run(api, self.fabric.clone(), config.node_port_ip, stop.clone()));
        self.supervise("pods", pods::run(context, self.pods.clone(), stop));
        Ok(())
    }

    /// Runs a task that ends only when the agent stops: one that ends unasked is a failure of the agent.
    fn supervise(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (stop, failure) = (self.stop.clone(), self.failure.clone());
        self.tasks.lock().spawn(async move {
            // The guard speaks after a panic too.
            let guard = scopeguard(move || {
                if !stop.is_cancelled() {
                    failure.send_replace(Some(format!("the agent's task {name:?} ended unasked")));
                }
            });
            task.await;
            drop(guard);
        });
    }

    /// The node's network.
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// Serves kubelet's paths (`/containerLogs`, `/healthz`, `/metrics`, `/pods`) and pod traffic over HTTP/1.1 or HTTP/2 on `io`, until the peer closes it
    /// or the agent stops.
    pub async fn serve<IO>(&self, io: IO)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let ground =
            kubelet::Ground { logs: self.logs.clone(), pods: self.pods.clone(), fabric: self.fabric.clone() };
        kubelet::serve(io, ground, self.stop.clone()).await;
    }

    /// Resolves, with the reason, when a task of the agent has ended unasked.
    pub fn failed(&self) -> impl Future<Output = String> + Send + 'static {
        let mut failure = self.failure.subscribe();
        async move {
            let reason = failure.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
            match reason {
                Some(reason) => reason,
                None => std::future::pending().await,
            }
        }
    }

    /// Resolves once the Node is in the API and says that it is ready.
    pub async fn registered(&self) {
        // Fails only without a sender, and `self` holds it.
        let _ = self.registered.subscribe().wait_for(|registered| *registered).await;
    }

    /// Stops within a second: no new work, pods stopped, their statuses left as they are, so that the next start
    /// resumes them.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await;
        self.runtime.shutdown().await;
    }
}

fn puller(config: &Config, client: kube::Client) -> anyhow::Result<Puller> {
    let dir = config.data_dir.join("images");
    let store = ImageStore::open(&dir).with_context(|| format!("cannot keep images in {}", dir.display()))?;
    Ok(Puller::new(Arc::new(store), Arc::new(Registry::new(client))))
}

/// Makes a directory that nobody else can enter: volumes hold Secrets.
fn private_dir(dir: PathBuf) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(&dir)
        .and_then(|()| std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o700)))
        .with_context(|| format!("cannot keep pods in {}", dir.display()))?;
    Ok(dir)
}

/// Calls `end` when it is dropped.
fn scopeguard(end: impl FnOnce()) -> impl Drop {
    struct Guard<F: FnOnce()>(Option<F>);
    impl<F: FnOnce()> Drop for Guard<F> {
        fn drop(&mut self) {
            if let Some(end) = self.0.take() {
                end();
            }
        }
    }
    Guard(Some(end))
}
