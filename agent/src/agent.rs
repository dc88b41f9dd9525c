//! The agent as a whole: what it is made of, and the order in which it starts and stops.

use crate::config::Config;
use crate::network::{Fabric, FabricConfig};
use anyhow::Context;
use parking_lot::Mutex;
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// How long the agent's tasks have to end at shutdown before they are cut off.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(900);

/// A running agent. Dropping it cuts its tasks off; [`Agent::shutdown`] ends them in order.
pub struct Agent {
    fabric: Fabric,
    stop: CancellationToken,
    tasks: Mutex<JoinSet<()>>,
    failure: watch::Sender<Option<String>>,
}

impl Agent {
    /// Starts the agent; it goes on when the API is away.
    ///
    /// # Errors
    /// When the data directory cannot be used or the runtime cannot be started.
    pub async fn start(config: Config, client: kube::Client) -> anyhow::Result<Agent> {
        std::fs::create_dir_all(&config.data_dir)
            .with_context(|| format!("cannot use the data directory {}", config.data_dir.display()))?;
        let _ = client;
        let mut ranges = vec![config.pod_cidr];
        ranges.extend(&config.service_cidrs);
        let fabric = Fabric::new(FabricConfig::new(ranges, config.host_ip));
        Ok(Agent {
            fabric,
            stop: CancellationToken::new(),
            tasks: Mutex::default(),
            failure: watch::Sender::new(None),
        })
    }

    /// The node's network.
    pub fn fabric(&self) -> &Fabric {
        &self.fabric
    }

    /// Serves kubelet's paths (`/containerLogs`, `/healthz`, `/pods`, `/metrics`) over HTTP/1.1 or HTTP/2 on `io`,
    /// until the peer closes it or the agent stops.
    pub async fn serve<IO>(&self, io: IO)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        drop(io);
        self.stop.cancelled().await;
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

    /// Stops within a second: no new work, pods stopped, their statuses left as they are, so that the next start
    /// resumes them.
    pub async fn shutdown(self) {
        self.stop.cancel();
        let mut tasks = std::mem::take(&mut *self.tasks.lock());
        let all = async { while tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(SHUTDOWN_TIMEOUT, all).await;
    }
}
