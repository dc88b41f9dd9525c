//! `peapod up`: a control plane and one agent in this process.

pub(super) mod demo;
mod link;

use super::node::NodeArgs;
use super::server::PlaneArgs;
use super::signal::signal;
use super::threads::threads;
use crate::client::Client;
use crate::place::Server;
use crate::table::print;
use anyhow::{Context, bail};
use clap::Args;
use peapod_agent::peers::{RelayOnly, Stream};
use peapod_agent::{Agent, Config};
use peapod_orchestrator::{ControlPlane, Identity};
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// `peapod up`.
#[derive(Args, Debug)]
pub(crate) struct Up {
    #[command(flatten)]
    plane: PlaneArgs,
    #[command(flatten)]
    node: NodeArgs,
    /// Manifest or directory of manifests to apply; may be given several times.
    #[arg(long, value_name = "FILE|DIR")]
    apply: Vec<PathBuf>,
}

impl Up {
    pub(crate) fn run(self, server: &Server) -> anyhow::Result<ExitCode> {
        let data_dir = server.data_dir();
        threads()?.block_on(self.serve(&data_dir))
    }

    async fn serve(self, data_dir: &Path) -> anyhow::Result<ExitCode> {
        let node_name = self.node.name()?;
        let mut config = self.node.config(&node_name, data_dir.join("agent"))?;
        let stop = signal()?;
        let plane = self.plane.start(data_dir).await?;
        (config.host_ip, config.node_port_ip) = (plane.advertised().ip(), self.plane.listen.ip());
        let mut stop = std::pin::pin!(stop);
        let started = tokio::select! {
            () = &mut stop => Ok(None),
            reason = plane.failed() => Err(anyhow::anyhow!(reason)),
            started = start_agent(&plane, config) => started.map(Some),
        };
        let outcome = match started {
            Ok(Some(agent)) => self.go_on(stop, &plane, agent, data_dir, &node_name).await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        plane.shutdown().await;
        outcome.map(|()| ExitCode::SUCCESS)
    }

    /// Until a signal comes or a part fails.
    async fn go_on(
        &self,
        stop: impl Future<Output = ()>,
        plane: &ControlPlane,
        agent: Agent,
        data_dir: &Path,
        node_name: &str,
    ) -> anyhow::Result<()> {
        print(&format!("node: {node_name}\n"));
        let failure = tokio::select! {
            () = stop => None,
            reason = link::keep(plane, &agent, node_name) => Some(reason),
            reason = agent.failed() => Some(reason),
            reason = plane.failed() => Some(reason),
            reason = self.demo(plane, data_dir, node_name) => Some(format!("{reason:#}")),
        };
        agent.shutdown().await;
        match failure {
            Some(reason) => bail!("{reason}"),
            None => Ok(()),
        }
    }

    /// Applies the manifests, waits until they run, says `ready`; ends only with an error.
    async fn demo(&self, plane: &ControlPlane, data_dir: &Path, node_name: &str) -> anyhow::Error {
        let client = match Client::from_kubeconfig(&data_dir.join("kubeconfig")) {
            Ok(client) => client,
            Err(error) => return error,
        };
        if let Err(error) = demo::apply(&client, &self.apply, node_name).await {
            return error;
        }
        print(&format!("ready https://{}\n", plane.address()));
        print(&demo::next_steps(&client, data_dir, plane.advertised().ip()).await);
        std::future::pending().await
    }
}

async fn start_agent(plane: &ControlPlane, config: Config) -> anyhow::Result<Agent> {
    let stream = plane.connect(Identity::node(&config.node_name));
    let client =
        peapod_agent::link::over(stream).await.context("cannot reach the control plane in this process")?;
    let relay = plane.pod_relay(&config.node_name);
    let reach = Arc::new(RelayOnly(move || -> io::Result<Box<dyn Stream>> { Ok(Box::new(relay())) }));
    Agent::start(config, client, reach).await
}
