use super::signal::signal;
use super::threads::threads;
use super::up::demo;
use crate::place;
use crate::table::print;
use anyhow::bail;
use clap::Args;
use peapod_orchestrator::{Config, ControlPlane};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// What a control plane is started with, alone or together with a node.
#[derive(Args, Debug)]
pub(crate) struct PlaneArgs {
    /// Address and port of the API; port 0 picks a free one.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:6443")]
    pub(crate) listen: SocketAddr,
    /// The address under which nodes and pods reach the API; the one of --listen, or this machine's first.
    #[arg(long, value_name = "ADDR")]
    advertise_address: Option<IpAddr>,
    /// Further name or address for the API's certificate; may be given several times.
    #[arg(long, value_name = "NAME|ADDR")]
    tls_san: Vec<String>,
    /// Folder whose NAME.wasm files become the images NAME:latest.
    #[arg(long, value_name = "DIR")]
    images: Option<PathBuf>,
    /// Seconds after which a silent node is given up.
    #[arg(long, value_name = "SECONDS", default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..))]
    node_grace: u64,
    /// Keep NetworkPolicies, though nothing enforces them yet; without it they are refused.
    #[arg(long)]
    accept_network_policies: bool,
}

impl PlaneArgs {
    /// Starts the control plane, says where it is, and loads the images.
    pub(crate) async fn start(&self, data_dir: &Path) -> anyhow::Result<ControlPlane> {
        let mut config = Config::new(data_dir);
        config.listen = self.listen;
        config.advertise = self.advertise_address;
        config.names = self.tls_san.clone();
        config.node_grace = Duration::from_secs(self.node_grace);
        config.accept_network_policies = self.accept_network_policies;
        let plane = ControlPlane::start(config).await?;
        print(&format!("control plane: https://{} (data in {})\n", plane.address(), data_dir.display()));
        if let Some(images) = &self.images
            && let Err(error) = demo::load_images(&plane, images).await
        {
            plane.shutdown().await;
            return Err(error);
        }
        Ok(plane)
    }
}

/// `peapod server`.
#[derive(Args, Debug)]
pub(crate) struct Server {
    #[command(flatten)]
    plane: PlaneArgs,
}

impl Server {
    pub(crate) fn run(self, place: &place::Server) -> anyhow::Result<ExitCode> {
        let data_dir = place.data_dir();
        threads()?.block_on(self.serve(&data_dir))
    }

    async fn serve(self, data_dir: &Path) -> anyhow::Result<ExitCode> {
        let stop = signal()?;
        let plane = self.plane.start(data_dir).await?;
        print(&format!("ready https://{}\n", plane.address()));
        print(&next_steps(data_dir));
        let failure = tokio::select! {
            () = stop => None,
            reason = plane.failed() => Some(reason),
        };
        plane.shutdown().await;
        match failure {
            Some(reason) => bail!("{reason}"),
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

fn next_steps(data_dir: &Path) -> String {
    format!(
        "\n  export KUBECONFIG={}\n  peapod token create    # prints what to run on a machine that joins\n  \
         peapod dashboard       # prints a link to the dashboard\n\n\
         ctrl-C stops it; nodes go on meanwhile.\n",
        data_dir.join("kubeconfig").display()
    )
}
