//! The connection between control plane and agent of one process on which the control plane asks, in memory.

use peapod_agent::Agent;
use peapod_orchestrator::ControlPlane;
use tokio::io::DuplexStream;

/// Bytes that a connection inside the process buffers per direction.
const BUFFER_BYTES: usize = 256 << 10;

/// Keeps the reversed connection, on which the agent serves kubelet's paths; gives the reason when it ends.
pub(crate) async fn keep(plane: &ControlPlane, agent: &Agent, node_name: &str) -> String {
    let (ours, theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(BUFFER_BYTES);
    plane.attach_node(node_name, ours);
    agent.serve(theirs).await;
    "the connection between control plane and agent ended".into()
}
