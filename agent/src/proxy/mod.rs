//! Services on this node: follows Services and EndpointSlices, gives the fabric its tables and opens NodePorts.

mod compile;
mod node_port;

use crate::api::{Api, Seen};
use crate::network::Fabric;
use compile::Services;
use futures_util::StreamExt;
use node_port::NodePorts;
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// Changes that may be folded in before the tables are compiled anew.
const BATCH: usize = 1024;

/// Keeps the fabric's tables and the NodePorts as the API says, until `stop`.
pub(crate) async fn run(api: Api, fabric: Fabric, ip: IpAddr, stop: CancellationToken) {
    let services = api.watch_kept::<Value>("/api/v1/services".into(), String::new());
    let slices = api.watch_kept::<Value>("/apis/discovery.k8s.io/v1/endpointslices".into(), String::new());
    let seen = futures_util::stream::select(
        services.map(|seen| (Source::Services, seen)),
        slices.map(|seen| (Source::Slices, seen)),
    );
    let mut seen = std::pin::pin!(seen.ready_chunks(BATCH));
    let (mut state, mut listed) = (Services::default(), [false; 2]);
    let mut node_ports = NodePorts::new(api, fabric.clone(), ip);
    while let Some(Some(changes)) = stop.run_until_cancelled(seen.next()).await {
        for (source, change) in changes {
            listed[source as usize] = true;
            state.see(source, change);
        }
        // Half a picture would send away connections that the whole one lets through.
        if listed == [true; 2] {
            fabric.set_tables(Arc::new(state.tables(&fabric.tables())));
            node_ports.want(state.node_ports());
        }
    }
}

/// Which of the two collections a change is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Services,
    Slices,
}
