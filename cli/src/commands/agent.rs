use super::node::{NodeArgs, lock};
use super::signal::signal;
use super::threads::threads;
use crate::place;
use crate::table::print;
use anyhow::{Context, bail};
use clap::Args;
use peapod_agent::link::{
    self, CaHash, Dialer, Identity, JoinRequest, JoinToken, NodeListener, NodeReach, ServerUrl,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How long a node waits for its server before it starts what ran on it before.
const CONTACT_PATIENCE: Duration = Duration::from_secs(2);

/// `peapod agent`.
#[derive(Args, Debug)]
pub(crate) struct Agent {
    /// Where the server is; a node that has joined remembers it.
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Token to join with, as `peapod token create` prints it; not needed by a node that has joined.
    #[arg(long, value_name = "ID.SECRET", env = "PEAPOD_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Hash of the server's certificate authority, as `peapod token create` prints it.
    #[arg(long, value_name = "sha256:HEX")]
    ca_hash: Option<String>,
    /// The node's address, on which NodePorts listen; by default the one that reaches the server.
    #[arg(long, value_name = "ADDR")]
    node_ip: Option<IpAddr>,
    /// Where agents of other nodes connect, if they can, so that pod traffic need not go by the server; port 0 picks a
    /// free one. By default the node's address and port 0.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    node: NodeArgs,
}

impl Agent {
    pub(crate) fn run(self, place: &place::Server) -> anyhow::Result<ExitCode> {
        let dir = place.data_dir().join("agent");
        threads()?.block_on(self.serve(&dir))
    }

    async fn serve(self, dir: &Path) -> anyhow::Result<ExitCode> {
        let mut stop = std::pin::pin!(signal()?);
        let _lock = lock(dir)?;
        let pki = dir.join("pki");
        let (identity, dialer) = tokio::select! {
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            joined = self.identity(&pki) => joined?,
        };
        let mut contact = Box::pin(contact(identity.clone(), dialer.clone()));
        let reached = tokio::select! {
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            reached = tokio::time::timeout(CONTACT_PATIENCE, &mut contact) => reached.ok().transpose()?,
        };
        let name = identity.node_name().to_string();
        let mut config = self.node.config(&name, dir.to_path_buf())?;
        let host_ip = self.node_ip.or(dialer.local_ip()).or(identity.ip());
        config.host_ip = host_ip.unwrap_or(Ipv4Addr::LOCALHOST.into());
        config.node_port_ip = config.host_ip;
        config.starts_alone = true;
        let listener = self.listener(config.host_ip).await?;
        config.pod_port = listener.as_ref().map(NodeListener::port);
        let (client, reach) = (link::client(dialer.clone()), Arc::new(NodeReach(dialer.clone())));
        let agent = tokio::select! {
            () = &mut stop => return Ok(ExitCode::SUCCESS),
            agent = peapod_agent::Agent::start(config, client.clone(), reach) => agent?,
        };
        print(&format!("node: {name} at {} (data in {})\n", dialer.server(), dir.display()));
        let failure = tokio::select! {
            () = &mut stop => None,
            reason = agent.failed() => Some(reason),
            reason = refusal(contact), if reached.is_none() => Some(reason),
            () = link::serve(&agent, &dialer) => None,
            () = serve_nodes(listener, &agent, &dialer) => None,
            () = link::keep_certificate(identity, &dialer, client) => None,
            () = say_ready(&agent, &name) => None,
        };
        agent.shutdown().await;
        match failure {
            Some(reason) => bail!("{reason}"),
            None => Ok(ExitCode::SUCCESS),
        }
    }

    /// The socket for other agents. One that is not asked for and cannot be had is done without.
    async fn listener(&self, host_ip: IpAddr) -> anyhow::Result<Option<NodeListener>> {
        let address = self.listen.unwrap_or(SocketAddr::new(host_ip, 0));
        match NodeListener::bind(address).await {
            Ok(listener) => Ok(Some(listener)),
            Err(error) if self.listen.is_none() => {
                say(&format!("cannot listen on {address} ({error}): pods of other nodes come by the server"));
                Ok(None)
            }
            Err(error) => bail!("--listen: cannot listen on {address}: {error}"),
        }
    }

    /// The identity that is kept, or that of a node that joins now, and its way to the server.
    async fn identity(&self, dir: &Path) -> anyhow::Result<(Identity, Arc<Dialer>)> {
        let server: Option<ServerUrl> = parsed("--server", self.server.as_deref())?;
        let token: Option<JoinToken> = parsed("--token", self.token.as_deref())?;
        let ca_hash: Option<CaHash> = parsed("--ca-hash", self.ca_hash.as_deref())?;
        let identity = match Identity::load(dir)? {
            Some(identity) => identity,
            None => {
                let missing = |what| {
                    format!(
                        "this machine has not joined yet: {what} is needed; `peapod token create` prints the whole line"
                    )
                };
                let request = JoinRequest {
                    server: server.clone().with_context(|| missing("--server"))?,
                    token: token.with_context(|| missing("--token"))?,
                    ca_hash: ca_hash.with_context(|| missing("--ca-hash"))?,
                    node_name: self.node.name()?,
                    dir: dir.to_path_buf(),
                };
                let identity = link::join(&request, &say).await?;
                print(&format!("joined {} as {}\n", request.server, request.node_name));
                identity
            }
        };
        self.check(&identity, ca_hash)?;
        let dialer = Dialer::of_node(server.map_or_else(|| identity.server(), Ok)?, &identity);
        Ok((identity, Arc::new(dialer.map_err(anyhow::Error::msg)?)))
    }

    /// What is given besides must not contradict what is kept.
    fn check(&self, identity: &Identity, ca_hash: Option<CaHash>) -> anyhow::Result<()> {
        let (dir, kept) = (identity.dir().display(), identity.node_name());
        if let Some(name) = self.node.node_name.as_deref().filter(|name| *name != kept) {
            bail!("{dir} belongs to the node {kept:?}: use another --data-dir for {name:?}");
        }
        match (ca_hash, identity.authority_hash()) {
            (Some(given), Some(own)) if given != own => bail!(
                "{dir} belongs to a node of another cluster ({own}): use another --data-dir, or remove it to join anew"
            ),
            _ => Ok(()),
        }
    }
}

/// Waits until the server answers this node, and remembers where that was. Errors: it is another server; one line.
async fn contact(mut identity: Identity, dialer: Arc<Dialer>) -> anyhow::Result<()> {
    link::first_contact(&dialer, &identity, &say).await?;
    identity.remember(dialer.server(), dialer.local_ip())
}

/// Why the server, now that it answers, does not want this node; goes on for ever if it does.
async fn refusal(contact: impl Future<Output = anyhow::Result<()>>) -> String {
    match contact.await {
        Err(error) => format!("{error:#}"),
        Ok(()) => std::future::pending().await,
    }
}

fn parsed<T: FromStr<Err = String>>(flag: &str, text: Option<&str>) -> anyhow::Result<Option<T>> {
    text.map(|text| text.parse().map_err(|why| anyhow::anyhow!("{flag}: {why}"))).transpose()
}

fn say(line: &str) {
    eprintln!("{line}");
}

/// Takes connections of other agents; goes on for ever.
async fn serve_nodes(listener: Option<NodeListener>, agent: &peapod_agent::Agent, dialer: &Arc<Dialer>) {
    match listener {
        Some(listener) => listener.serve(agent.fabric(), dialer).await,
        None => std::future::pending().await,
    }
}

/// Says `ready` once the Node is; goes on for ever.
async fn say_ready(agent: &peapod_agent::Agent, name: &str) {
    agent.registered().await;
    print(&format!("ready {name}\n"));
    std::future::pending().await
}
