//! NodePorts: real listeners on the host's address, whose connections go into the fabric.

use super::compile::NodePort;
use crate::api::{Api, Retry};
use crate::network::Fabric;
use jiff::Timestamp;
use peapod_api::meta;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

/// Connections of one NodePort that are open at the same time; more of them wait to be accepted.
const MAX_CONNECTIONS: usize = 10_000;
/// Bytes that are copied at once, in each direction.
const COPY_BYTES: usize = 32 << 10;
/// Delays between attempts to bind a port that is taken.
const BIND_RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Pause after an accept that failed: the machine is out of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The NodePorts that are open.
pub(super) struct NodePorts {
    api: Api,
    fabric: Fabric,
    ip: IpAddr,
    open: BTreeMap<NodePort, JoinHandle<()>>,
}

impl NodePorts {
    pub(super) fn new(api: Api, fabric: Fabric, ip: IpAddr) -> NodePorts {
        NodePorts { api, fabric, ip, open: BTreeMap::new() }
    }

    /// Opens what is wanted and not open, closes what is open and not wanted with its connections.
    pub(super) fn want(&mut self, wanted: BTreeSet<NodePort>) {
        let gone: Vec<NodePort> = self.open.keys().filter(|port| !wanted.contains(port)).cloned().collect();
        for port in gone {
            if let Some(task) = self.open.remove(&port) {
                task.abort();
            }
        }
        for port in wanted {
            let (api, fabric, ip) = (self.api.clone(), self.fabric.clone(), self.ip);
            let serving = port.clone();
            self.open.entry(port).or_insert_with(|| {
                tokio::spawn(async move {
                    let listener = bind(&api, ip, &serving).await;
                    serve(listener, fabric, serving.to).await;
                })
            });
        }
    }
}

impl Drop for NodePorts {
    fn drop(&mut self) {
        self.open.values().for_each(JoinHandle::abort);
    }
}

/// Tries until the port is bound; the first failure is an Event of the Service.
async fn bind(api: &Api, ip: IpAddr, port: &NodePort) -> TcpListener {
    let address = SocketAddr::new(ip, port.port);
    let mut retry = Retry::new(BIND_RETRY.0, BIND_RETRY.1);
    let mut told = false;
    loop {
        let failure = if port.udp {
            "UDP is not relayed from the machine into the pod network; pods reach the Service by its address"
                .into()
        } else {
            match TcpListener::bind(address).await {
                Ok(listener) => return listener,
                Err(error) => format!("cannot listen on {address}: {error}"),
            }
        };
        if !told {
            tell(api, port, &failure).await;
            told = true;
        }
        if port.udp {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(retry.delay()).await;
    }
}

async fn tell(api: &Api, port: &NodePort, failure: &str) {
    tracing::warn!(service = port.service, port = port.port, failure, "a NodePort is not open");
    let now = Timestamp::now();
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": "NodePortNotOpen",
        "metadata": {"generateName": format!("{}-", port.service), "namespace": port.namespace},
        "involvedObject": {
            "apiVersion": "v1", "kind": "Service", "name": port.service, "namespace": port.namespace, "uid": port.uid,
        },
        "message": format!("NodePort {}: {failure}", port.port), "count": 1,
        "firstTimestamp": meta::time(now), "lastTimestamp": meta::time(now), "source": {"component": "peapod-proxy"},
    });
    if let Err(error) = api.create(&format!("/api/v1/namespaces/{}/events", port.namespace), &event).await {
        tracing::debug!(%error, "an event was not written");
    }
}

async fn serve(listener: TcpListener, fabric: Fabric, to: SocketAddr) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let fabric = fabric.clone();
                connections.spawn(async move {
                    let _permit = permit;
                    relay(stream, fabric, to).await;
                });
            }
            Err(error) => {
                tracing::warn!(%to, %error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Copies both ways until both sides have ended. A Service without endpoints closes the connection at once.
async fn relay(mut stream: TcpStream, fabric: Fabric, to: SocketAddr) {
    // Without it small answers wait for the client's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    match fabric.dial(to).await {
        Ok(mut inside) => {
            let copied =
                tokio::io::copy_bidirectional_with_sizes(&mut stream, &mut inside, COPY_BYTES, COPY_BYTES);
            if let Err(error) = copied.await {
                tracing::trace!(%to, %error, "a relayed connection ended early");
            }
        }
        Err(error) => tracing::debug!(%to, %error, "a Service was not reached"),
    }
}
