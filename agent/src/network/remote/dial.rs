//! The side that dials: a stream to a pod of another node.

use super::body::{Feed, receive};
use super::call::{Call, CallError, Transport, judge};
use super::datagrams::{self, Datagrams};
use super::table::{NodeTable, RemoteNode};
use crate::network::{Connection, Datagram};
use arc_swap::ArcSwap;
use async_trait::async_trait;
use http::Response;
use hyper::body::Incoming;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// How long a node may take to open a stream before it counts as not reached.
const OPEN_WITHIN: Duration = Duration::from_secs(5);

/// How long a node that was not reached is tried after the others only.
const SUSPECTED_FOR: Duration = Duration::from_secs(5);

/// Reaches other nodes.
#[async_trait]
pub trait Peers: Send + Sync {
    /// The name of this node.
    fn own_name(&self) -> &str;

    /// Makes a call to `node` and waits for its answer.
    async fn call(&self, node: &RemoteNode, call: &Call) -> Result<Answered, CallError>;
}

/// A call that has been answered.
pub struct Answered {
    /// Where the request's body is put.
    pub feed: oneshot::Sender<Feed>,
    /// The answer, whatever it says.
    pub response: Response<Incoming>,
}

/// The stream that an answer has opened. Errors: why it has not.
pub fn opened(answered: Answered) -> Result<(oneshot::Sender<Feed>, Incoming), CallError> {
    judge(&answered.response)?;
    Ok((answered.feed, answered.response.into_body()))
}

/// The other nodes, as the fabric knows them.
#[derive(Default)]
pub(crate) struct Remote {
    pub(crate) table: ArcSwap<NodeTable>,
    way: OnceLock<Way>,
    datagrams: Datagrams,
    /// The nodes that were not reached, and when.
    suspects: Mutex<Vec<(Arc<RemoteNode>, Instant)>>,
}

/// How they are reached, and where the work for that is done: not among the guests.
#[derive(Clone)]
pub(super) struct Way {
    pub(super) peers: Arc<dyn Peers>,
    pub(super) runtime: Handle,
    pub(super) tasks: TaskTracker,
}

/// An open stream to a pod of another node, not yet anybody's.
pub(crate) struct RemoteStream {
    feed: oneshot::Sender<Feed>,
    incoming: Incoming,
    way: Way,
}

impl Remote {
    /// From now on other nodes are reached by `peers`, on this task's runtime. The first call counts.
    pub(crate) fn reach_by(&self, peers: Arc<dyn Peers>) {
        let _ = self.way.set(Way { peers, runtime: Handle::current(), tasks: TaskTracker::new() });
    }

    /// The nodes that were not reached a moment ago.
    pub(crate) fn suspects(&self) -> Vec<Arc<RemoteNode>> {
        let mut suspects = self.suspects.lock();
        suspects.retain(|(_, since)| since.elapsed() < SUSPECTED_FOR);
        suspects.iter().map(|(node, _)| node.clone()).collect()
    }

    /// Opens a stream from `source`, an address of this node, to the pod at `destination` on `node`.
    pub(crate) async fn open(
        &self,
        node: &Arc<RemoteNode>,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Result<RemoteStream, CallError> {
        let opened = self.try_open(node, source, destination).await;
        let mut suspects = self.suspects.lock();
        suspects.retain(|(suspect, _)| suspect.name != node.name);
        if matches!(opened, Err(CallError::Unreachable(_))) {
            suspects.push((node.clone(), Instant::now()));
        }
        opened
    }

    async fn try_open(
        &self,
        node: &RemoteNode,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Result<RemoteStream, CallError> {
        let way = self.way.get().ok_or_else(|| unreachable("this node is alone"))?;
        let call = call_to(way, node, Transport::Tcp { source, destination });
        let answered = tokio::time::timeout(OPEN_WITHIN, way.peers.call(node, &call));
        let answered = answered.await.map_err(|_| unreachable("no answer in time"))??;
        let (feed, incoming) = opened(answered)?;
        Ok(RemoteStream { feed, incoming, way: way.clone() })
    }

    /// Sends a datagram; lost without a word when there is no way or too many wait.
    pub(crate) fn send(&self, node: &RemoteNode, to: SocketAddr, datagram: Datagram) {
        if let Some(way) = self.way.get()
            && let Some(frame) = datagrams::frame(to, &datagram)
        {
            let call = call_to(way, node, Transport::Udp);
            self.datagrams.send(way, node, call, frame);
        }
    }
}

fn call_to(way: &Way, node: &RemoteNode, transport: Transport) -> Call {
    let (source_node, destination_node) = (way.peers.own_name().to_string(), node.name.clone());
    Call { source_node, destination_node, transport }
}

fn unreachable(why: &str) -> CallError {
    CallError::Unreachable(why.into())
}

impl RemoteStream {
    /// Becomes the far side of `connection`.
    pub(crate) fn carry(self, connection: Connection) {
        let (read, write) = connection.into_halves();
        // Gone only with the stream, and then what is received says so.
        let _ = self.feed.send(Feed::Stream(read));
        self.way.tasks.spawn_on(receive(self.incoming, write), &self.way.runtime);
    }
}
