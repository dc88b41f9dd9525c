//! Heartbeats of nodes: the time of one is the server's, never the node's, so that no clock but one decides on death.

use jiff::Timestamp;
use peapod_api::{Kind, kinds, meta};
use serde_json::Value;

/// Stamps a node's Lease that is created or renewed.
pub(super) fn stamp(kind: &Kind, lease: &mut Value, now: Timestamp) {
    let namespace = lease["metadata"]["namespace"].as_str().unwrap_or_default();
    let is_heartbeat = &*kind.plural == "leases" && kinds::is_volatile(&kind.resource(), namespace);
    if is_heartbeat && (lease["spec"].is_object() || lease["spec"].is_null()) {
        lease["spec"]["renewTime"] = meta::micro_time(now).into();
    }
}
