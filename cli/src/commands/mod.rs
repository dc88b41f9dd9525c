//! One file a verb.

mod agent;
pub(crate) mod apply;
mod dashboard;
mod delete;
mod get;
mod image;
mod logs;
mod node;
pub(crate) mod resource;
mod server;
mod signal;
mod threads;
mod token;
mod up;
mod version;

use crate::client::Client;
use crate::place::Server;
use clap::{CommandFactory, Parser, Subcommand};
use std::future::Future;
use std::process::ExitCode;

const NEXT: &str = "\
Getting started:
  peapod up --apply manifests/hello.yaml    start a cluster on this machine and run something in it
  kubectl --kubeconfig ~/.local/share/peapod/kubeconfig get pods
                                            stock kubectl, client libraries and Helm work as they are
  peapod image push app.wasm app            give it a module of your own, then:
  kubectl create deployment app --image=app
";

/// A lightweight orchestrator for WebAssembly that speaks the Kubernetes API.
#[derive(Parser, Debug)]
#[command(name = "peapod", version, after_help = NEXT)]
pub(crate) struct Peapod {
    #[command(flatten)]
    server: Server,
    /// None asks for help. clap's own rule for that takes KUBECONFIG for an argument.
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start a control plane and one node in this process.
    Up(Box<up::Up>),
    /// Start a control plane without a node.
    Server(server::Server),
    /// Start a node that joins, or has joined, a control plane elsewhere.
    Agent(Box<agent::Agent>),
    /// Make, list and delete the tokens that machines join with.
    #[command(subcommand)]
    Token(token::Token),
    /// Print a link that signs a browser in to the dashboard.
    Dashboard(dashboard::Dashboard),
    /// Push and list images, that is WebAssembly modules and components.
    #[command(subcommand)]
    Image(image::Image),
    /// Create or change objects as manifests say (server-side apply).
    Apply(apply::Apply),
    /// Show objects.
    Get(get::Get),
    /// Print a container's log.
    Logs(logs::Logs),
    /// Delete objects.
    Delete(delete::Delete),
    /// Print the versions of this program and of the server.
    Version(version::Version),
}

impl Peapod {
    /// Runs the command.
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let server = &self.server;
        let Some(command) = self.command else {
            Peapod::command().print_help()?;
            return Ok(ExitCode::SUCCESS);
        };
        match command {
            Command::Up(up) => up.run(server),
            Command::Server(own) => own.run(server),
            Command::Agent(agent) => agent.run(server),
            Command::Token(token) => with_client(server, |client| token.run(client)),
            Command::Dashboard(dashboard) => with_client(server, |client| dashboard.run(client)),
            Command::Image(image) => with_client(server, |client| image.run(client)),
            Command::Apply(apply) => with_client(server, |client| apply.run(client)),
            Command::Get(get) => with_client(server, |client| get.run(client)),
            Command::Logs(logs) => with_client(server, |client| logs.run(client)),
            Command::Delete(delete) => with_client(server, |client| delete.run(client)),
            Command::Version(version) => version.run(server),
        }
    }
}

fn with_client<F: Future<Output = anyhow::Result<ExitCode>>>(
    server: &Server,
    run: impl FnOnce(Client) -> F,
) -> anyhow::Result<ExitCode> {
    let client = Client::from_kubeconfig(&server.kubeconfig()?)?;
    block_on(run(client))
}

fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}
