//! The side that is dialled: calls of other nodes' pods, judged and let into the fabric.

use super::body::{PodBody, receive};
use super::call::{Call, Transport, answer, refusal};
use super::datagrams;
use crate::network::connection::{Ends, connection};
use crate::network::pipe::Budget;
use crate::network::{Fabric, NetworkError};
use futures_util::StreamExt;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use peapod_api::pod_traffic::{SERVER, TCP_PATH, UDP_PATH};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// Who makes a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// The server: its word for who asks is taken.
    Server,
    /// A node that has proved its name.
    Node(String),
}

/// Answers the calls of one connection. Clones are the same.
#[derive(Clone)]
pub struct PodService {
    fabric: Fabric,
    asker: Asker,
    /// What the asker's pods have sent and nobody has read.
    budget: Arc<Budget>,
    tasks: TaskTracker,
}

impl PodService {
    /// The service for a connection of `asker`.
    pub fn new(fabric: Fabric, asker: Asker) -> PodService {
        PodService { fabric, asker, budget: Arc::default(), tasks: TaskTracker::new() }
    }

    /// Whether a request is for pod traffic.
    pub fn concerns<B>(request: &Request<B>) -> bool {
        matches!(request.uri().path(), TCP_PATH | UDP_PATH)
    }

    /// Answers a call. The bodies go on after the answer.
    pub async fn answer(&self, request: Request<Incoming>) -> Response<PodBody> {
        match Call::of(&request) {
            None => answer(StatusCode::NOT_FOUND),
            Some(Ok(call)) if request.method() == Method::POST => self.take(call, request.into_body()).await,
            Some(Ok(_)) => answer(StatusCode::METHOD_NOT_ALLOWED),
            Some(Err(why)) => {
                tracing::debug!(asker = ?self.asker, why, "a call of another node makes no sense");
                answer(StatusCode::BAD_REQUEST)
            }
        }
    }

    async fn take(&self, mut call: Call, body: Incoming) -> Response<PodBody> {
        if let Asker::Node(name) = &self.asker {
            call.source_node.clone_from(name);
        }
        let is_server = self.asker == Asker::Server && call.source_node == SERVER;
        // A node that is not known yet is known in a moment; until then its pods try others.
        if !is_server && self.fabric.nodes().node(&call.source_node).is_none() {
            return answer(StatusCode::SERVICE_UNAVAILABLE);
        }
        match call.transport {
            Transport::Tcp { source, destination } => {
                if !is_server && !self.is_of(&call.source_node, source.ip()) {
                    tracing::warn!(node = call.source_node, %source, "a node claims a pod that is not its own");
                    return refusal(NetworkError::AccessDenied);
                }
                self.connect(source, destination, body).await.unwrap_or_else(refusal)
            }
            Transport::Udp => {
                self.tasks.spawn(self.clone().deliver(call.source_node, body));
                answer(StatusCode::OK)
            }
        }
    }

    /// Whether `ip` is an address of a pod of that other node.
    fn is_of(&self, node: &str, ip: IpAddr) -> bool {
        self.fabric.nodes().node_of(ip).is_some_and(|owner| owner.name == node)
    }

    async fn connect(
        &self,
        source: SocketAddr,
        destination: SocketAddr,
        body: Incoming,
    ) -> Result<Response<PodBody>, NetworkError> {
        let pod = self.fabric.pod(destination.ip()).ok_or(NetworkError::HostUnreachable)?;
        let backlog = pod.backlog(destination).ok_or(NetworkError::ConnectionRefused)?;
        let ends = Ends {
            dialer: source,
            dialled: destination,
            listener: destination,
            dialer_budget: Some(self.budget.clone()),
            listener_budget: Some(pod.budget()),
        };
        drop(pod);
        let (near, dialled) = connection(ends, None);
        backlog.offer(dialled).await?;
        let (read, write) = near.into_halves();
        self.tasks.spawn(receive(body, write));
        Ok(Response::new(PodBody::of(read)))
    }

    async fn deliver(self, node: String, body: Incoming) {
        let mut datagrams = std::pin::pin!(datagrams::read(body));
        while let Some((to, datagram)) = datagrams.next().await {
            if !self.is_of(&node, datagram.from.ip()) {
                tracing::warn!(node, from = %datagram.from, "a node claims a pod that is not its own");
                return;
            }
            let mailbox = self.fabric.pod(to.ip()).and_then(|pod| pod.mailbox(to));
            if let Some(mailbox) = mailbox {
                mailbox.deliver(datagram);
            }
        }
    }
}
