//! `peapod up`: a control plane and one agent in this process.

mod demo;
mod link;

use crate::client::Client;
use crate::place::Server;
use crate::table::print;
use anyhow::{Context, bail};
use clap::Args;
use peapod_agent::{Agent, network::EgressRules};
use peapod_orchestrator::{ControlPlane, Identity};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// `peapod up`.
#[derive(Args, Debug)]
pub(crate) struct Up {
    /// Address and port of the API; port 0 picks a free one. NodePorts listen on the same address.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:6443")]
    listen: SocketAddr,
    /// Folder whose NAME.wasm files become the images NAME:latest.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Manifest or directory of manifests to apply; may be given several times.
    #[arg(long, value_name = "FILE|DIR")]
    apply: Vec<PathBuf>,
    /// The node's name; this machine's host name if there is none.
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,
    /// Pods that the node takes; what vm.max_map_count carries if it is not given.
    #[arg(long, value_name = "N")]
    max_pods: Option<u32>,
    /// Seconds after which a silent node is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..))]
    node_grace: u64,
    /// What pods may reach outside of the cluster: a CIDR or a host name, each with or without :PORT.
    #[arg(long, value_name = "CIDR|HOST")]
    allow_egress: Vec<String>,
    /// Ignore the pod annotation peapod.dev/allow-egress: only --allow-egress counts.
    #[arg(long)]
    forbid_egress_annotation: bool,
}

impl Up {
    pub(crate) fn run(self, server: &Server) -> anyhow::Result<ExitCode> {
        let data_dir = server.data_dir();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(self.serve(&data_dir))
    }

    async fn serve(self, data_dir: &Path) -> anyhow::Result<ExitCode> {
        let node_name = self.node_name.clone().unwrap_or_else(host_name);
        let egress = EgressRules::parse(self.allow_egress.iter().map(String::as_str));
        let egress = egress.map_err(|error| anyhow::anyhow!("--allow-egress: {error}"))?;
        let mut stop = std::pin::pin!(signal()?);
        let plane = ControlPlane::start(self.plane_config(data_dir)).await?;
        print(&format!("control plane: https://{} (data in {})\n", plane.address(), data_dir.display()));
        if let Some(images) = &self.images {
            demo::load_images(&plane, images).await?;
        }
        let agent = match self.start_agent(&plane, data_dir, &node_name, egress).await {
            Ok(agent) => agent,
            Err(error) => {
                plane.shutdown().await;
                return Err(error);
            }
        };
        print(&format!("node: {node_name}\n"));
        let failure = tokio::select! {
            () = &mut stop => None,
            reason = link::keep(&plane, &agent, &node_name) => Some(reason),
            reason = agent.failed() => Some(reason),
            reason = plane.failed() => Some(reason),
            reason = self.demo(&plane, data_dir, &node_name) => Some(format!("{reason:#}")),
        };
        agent.shutdown().await;
        plane.shutdown().await;
        match failure {
            Some(reason) => bail!("{reason}"),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    fn plane_config(&self, data_dir: &Path) -> peapod_orchestrator::Config {
        let mut config = peapod_orchestrator::Config::new(data_dir);
        config.listen = self.listen;
        config.node_grace = Duration::from_secs(self.node_grace);
        config
    }

    async fn start_agent(
        &self,
        plane: &ControlPlane,
        data_dir: &Path,
        node_name: &str,
        egress: EgressRules,
    ) -> anyhow::Result<Agent> {
        let mut config = peapod_agent::Config::new(node_name, data_dir.join("agent"));
        config.host_ip = self.listen.ip();
        config.max_pods = self.max_pods;
        config.egress = egress;
        config.egress_annotation = !self.forbid_egress_annotation;
        let stream = plane.connect(Identity::node(node_name));
        let client = link::client(stream).await.context("cannot reach the control plane in this process")?;
        Agent::start(config, client).await
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
        print(&demo::next_steps(&client, data_dir, self.listen.ip()).await);
        std::future::pending().await
    }
}

/// This machine's name as a Node's name: lower case, `localhost` if there is none.
fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_lowercase();
    let fits = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    if fits { name } else { "localhost".into() }
}

/// Resolves at the first SIGTERM or ctrl-C.
fn signal() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
