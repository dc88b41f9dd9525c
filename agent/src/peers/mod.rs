//! The other nodes: who they are, and the connections on which pods' streams go to them.
//!
//! A stream goes directly where the other agent can be reached, and by the server's relay everywhere else. Connections
//! are opened when the first stream needs them.

mod line;
mod table;

use crate::api::{Api, Seen};
use crate::network::{Answered, Call, CallError, Fabric, Peers, RemoteNode};
use async_trait::async_trait;
use futures_util::StreamExt;
use line::Line;
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

/// Changes of Nodes that may be folded in before the table is compiled anew.
const BATCH: usize = 1024;
/// How long a stream waits for a direct connection that is being opened; after that it goes by the relay.
const DIRECT_PATIENCE: Duration = Duration::from_millis(250);
/// How long an answer may take that is asked for directly.
const DIRECT_ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// How long a stream waits for the connection to the relay.
const RELAY_PATIENCE: Duration = Duration::from_secs(4);
/// Delays between attempts: to the relay, and to a node that was not reached directly.
const RELAY_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
const DIRECT_RETRY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));

/// A byte stream to another machine.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Opens connections for pod traffic.
#[async_trait]
pub trait Reach: Send + Sync {
    /// To the server, which relays to every node.
    async fn relay(&self) -> io::Result<Box<dyn Stream>>;

    /// To the agent of `node` at `address`, which proves to be it.
    async fn direct(&self, node: &str, address: SocketAddr) -> io::Result<Box<dyn Stream>>;
}

/// How a node without a certificate of its own reaches others: the server's relay alone, to which this opens connections.
pub struct RelayOnly<F>(pub F);

#[async_trait]
impl<F: Fn() -> io::Result<Box<dyn Stream>> + Send + Sync> Reach for RelayOnly<F> {
    async fn relay(&self) -> io::Result<Box<dyn Stream>> {
        (self.0)()
    }

    async fn direct(&self, _: &str, _: SocketAddr) -> io::Result<Box<dyn Stream>> {
        Err(io::Error::other("this node has no certificate to show"))
    }
}

/// Reaches other nodes by whatever way there is.
pub struct NodePeers {
    own: String,
    reach: Arc<dyn Reach>,
    relay: Line,
    direct: Mutex<HashMap<String, (SocketAddr, Arc<Line>)>>,
    runtime: Handle,
}

impl NodePeers {
    /// The peers of the node `own`; connections are kept on this task's runtime.
    pub fn new(own: &str, reach: Arc<dyn Reach>) -> NodePeers {
        let runtime = Handle::current();
        let relay = Line::new(runtime.clone(), RELAY_RETRY);
        NodePeers { own: own.into(), reach, relay, direct: Mutex::default(), runtime }
    }

    /// The line to a node that says where it can be reached; another address is another line.
    fn line_to(&self, node: &RemoteNode) -> Option<(SocketAddr, Arc<Line>)> {
        let address = node.address?;
        let mut lines = self.direct.lock();
        let entry = lines.get(&node.name).filter(|(known, _)| *known == address).cloned();
        let entry = entry.unwrap_or_else(|| {
            let entry = (address, Arc::new(Line::new(self.runtime.clone(), DIRECT_RETRY)));
            lines.insert(node.name.clone(), entry.clone());
            entry
        });
        Some(entry)
    }

    /// Asks directly; none if that way is not there.
    async fn call_directly(&self, node: &RemoteNode, call: &Call) -> Option<Answered> {
        let (address, line) = self.line_to(node)?;
        let dial = || {
            let (reach, name) = (self.reach.clone(), node.name.clone());
            async move { reach.direct(&name, address).await }
        };
        let channel = line.channel(dial, DIRECT_PATIENCE).await.ok()?;
        match tokio::time::timeout(DIRECT_ANSWER_WITHIN, channel.call(call)).await {
            Ok(Ok(answered)) => Some(answered),
            Ok(Err(error)) => {
                line.fail(&error.to_string());
                None
            }
            Err(_) => {
                line.fail("no answer in time");
                None
            }
        }
    }
}

#[async_trait]
impl Peers for NodePeers {
    fn own_name(&self) -> &str {
        &self.own
    }

    async fn call(&self, node: &RemoteNode, call: &Call) -> Result<Answered, CallError> {
        if let Some(answered) = self.call_directly(node, call).await {
            return Ok(answered);
        }
        let dial = || {
            let reach = self.reach.clone();
            async move { reach.relay().await }
        };
        let channel = self.relay.channel(dial, RELAY_PATIENCE).await.map_err(CallError::Unreachable)?;
        channel.call(call).await
    }
}

/// Keeps the fabric's table of nodes as the API says, until `stop`.
pub(crate) async fn run(api: Api, fabric: Fabric, own: String, stop: CancellationToken) {
    let seen = api.watch_kept::<Value>("/api/v1/nodes".into(), String::new());
    let mut seen = std::pin::pin!(seen.ready_chunks(BATCH));
    let mut nodes = BTreeMap::new();
    while let Some(Some(changes)) = stop.run_until_cancelled(seen.next()).await {
        for change in changes {
            see(&mut nodes, change);
        }
        fabric.set_nodes(Arc::new(table::compile(&own, nodes.values())));
    }
}

fn see(nodes: &mut BTreeMap<String, Value>, change: Seen<Value>) {
    let name = |node: &Value| node["metadata"]["name"].as_str().unwrap_or_default().to_string();
    match change {
        Seen::Listed(all) | Seen::Recalled(all) => {
            *nodes = all.into_iter().map(|node| (name(&node), node)).collect()
        }
        Seen::Applied(node) => drop(nodes.insert(name(&node), node)),
        Seen::Deleted(node) => drop(nodes.remove(&name(&node))),
    }
}
