//! The connection on which the roles are reversed: this agent opens it and keeps it, the server asks on it.

use super::dial::Dialer;
use crate::Agent;
use crate::api::Retry;
use peapod_api::well_known::NODE_PROTOCOL;
use std::time::Duration;
use tokio::time::Instant;

/// The delay after the first connection that ended, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));
/// A connection that lasted so long was a good one.
const GOOD_AFTER: Duration = Duration::from_secs(30);

/// Keeps a connection open on which `agent` answers kubelet's paths. It never returns: a connection that ends is opened
/// again, after a delay that grows while that fails.
pub async fn serve(agent: &Agent, dialer: &Dialer) {
    let mut retry = Retry::new(RETRY.0, RETRY.1);
    loop {
        match dialer.dial(NODE_PROTOCOL).await {
            Ok(stream) => {
                let began = Instant::now();
                agent.serve(stream).await;
                if began.elapsed() >= GOOD_AFTER {
                    retry.reset();
                }
                tracing::info!(server = %dialer.server(), "the server's connection to this node ended");
            }
            Err(error) => tracing::info!(%error, "the server has no connection to this node"),
        }
        tokio::time::sleep(retry.delay()).await;
    }
}
