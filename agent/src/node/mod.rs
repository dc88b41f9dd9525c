//! The Node object and its Lease: registration, status, heartbeat.

mod describe;

pub(crate) use describe::Machine;

use crate::api::{Api, ApiError, MERGE_PATCH, Retry, Seen};
use crate::pods::PodRange;
use futures_util::StreamExt;
use peapod_api::well_known::NODE_LEASES;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How often the Lease is renewed; the kubelet's default.
const RENEW_EVERY: Duration = Duration::from_secs(10);
/// What the Lease promises; the kubelet's default.
const LEASE_SECONDS: u64 = 40;
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";

/// Registers the node, and keeps its status true and its Lease fresh until `stop`. A Node that was deleted is made
/// again; a status that somebody else wrote, as the control plane does with a node that was silent, is put right.
pub(crate) async fn run(
    api: Api,
    machine: Machine,
    range: Arc<PodRange>,
    registered: watch::Sender<bool>,
    stop: CancellationToken,
) {
    let keep = async {
        tokio::join!(keep_node(&api, &machine, &range, &registered), keep_lease(&api, &machine.name))
    };
    stop.run_until_cancelled(keep).await;
}

async fn keep_node(api: &Api, machine: &Machine, range: &PodRange, registered: &watch::Sender<bool>) {
    let selector = format!("fieldSelector=metadata.name%3D{}", machine.name);
    let mut seen = std::pin::pin!(api.watch::<Value>("/api/v1/nodes".into(), selector));
    let mut retry = Retry::api();
    while let Some(change) = seen.next().await {
        let node = match change {
            Seen::Listed(nodes) | Seen::Recalled(nodes) => nodes.into_iter().next(),
            Seen::Applied(node) => Some(node),
            Seen::Deleted(_) => None,
        };
        loop {
            let error = match put_right(api, machine, node.as_ref()).await {
                Ok(node) => {
                    range.hear(&node).await;
                    registered.send_replace(true);
                    break;
                }
                Err(error) => error,
            };
            if error.code == 404 || error.code == 409 {
                break; // it went or came meanwhile: the watch tells
            }
            tracing::warn!(%error, "the node could not be registered, will try again");
            tokio::time::sleep(retry.delay()).await;
        }
        retry.reset();
    }
}

/// Creates the Node or corrects what differs from the machine. Gives it as it is then.
async fn put_right(api: &Api, machine: &Machine, node: Option<&Value>) -> Result<Value, ApiError> {
    let path = format!("/api/v1/nodes/{}", machine.name);
    let mut node = match node {
        Some(node) => node.clone(),
        None => api.create("/api/v1/nodes", &machine.node()).await?,
    };
    let labels = machine.labels();
    let missing = labels.as_object().into_iter().flatten().any(|(k, v)| node["metadata"]["labels"][k] != *v);
    if missing {
        node = api.patch(&path, MERGE_PATCH, &json!({"metadata": {"labels": labels}})).await?;
    }
    let status = machine.status(&node);
    if status != node["status"] {
        node = api.patch(&format!("{path}/status"), MERGE_PATCH, &json!({"status": status})).await?;
    }
    Ok(node)
}

async fn keep_lease(api: &Api, node: &str) {
    let mut retry = Retry::api();
    loop {
        match renew(api, node).await {
            Ok(()) => {
                retry.reset();
                tokio::time::sleep(RENEW_EVERY).await;
            }
            Err(error) => {
                tracing::debug!(%error, "the lease was not renewed, will try again");
                tokio::time::sleep(retry.delay()).await;
            }
        }
    }
}

/// One heartbeat. The server writes the time: its clock is the one that counts.
async fn renew(api: &Api, node: &str) -> Result<(), ApiError> {
    let spec = json!({"holderIdentity": node, "leaseDurationSeconds": LEASE_SECONDS});
    let renewed = api.patch(&format!("{LEASES}/{node}"), MERGE_PATCH, &json!({"spec": spec})).await;
    let Err(error) = renewed else { return Ok(()) };
    if error.code != 404 {
        return Err(error);
    }
    let owner = api.get(&format!("/api/v1/nodes/{node}")).await?;
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec,
        "metadata": {
            "name": node, "namespace": NODE_LEASES,
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "Node", "name": node, "uid": owner["metadata"]["uid"]},
            ],
        },
    });
    api.create(LEASES, &lease).await.map(drop)
}
