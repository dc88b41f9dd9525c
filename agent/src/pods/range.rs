//! The node's part of the cluster's pod addresses. The control plane gives it with the Node; the node keeps it on its disk,
//! so that it can start its pods while the API is away.

use super::address::Addresses;
use crate::link::write_private;
use crate::network::Cidr;
use parking_lot::{Mutex, MutexGuard};
use peapod_api::meta;
use serde_json::Value;
use std::path::PathBuf;
use tokio::sync::watch;

/// The range, once it is known, and who has which of its addresses.
pub(crate) struct PodRange {
    file: PathBuf,
    range: watch::Sender<Option<Cidr>>,
    addresses: Mutex<Addresses>,
}

impl PodRange {
    /// The range that is kept in `file`; not known yet if there is none.
    pub(crate) fn load(file: PathBuf) -> PodRange {
        let own =
            PodRange { file, range: watch::Sender::new(None), addresses: Mutex::new(Addresses::default()) };
        let kept = std::fs::read_to_string(&own.file).unwrap_or_default();
        if let Ok(range) = kept.trim().parse() {
            own.set(range);
        }
        own
    }

    /// The pods' addresses. Before the range is known nobody gets one.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Addresses> {
        self.addresses.lock()
    }

    /// Resolves once the range is known.
    pub(crate) async fn known(&self) {
        // Fails only without a sender, and `self` holds it.
        let _ = self.range.subscribe().wait_for(Option::is_some).await;
    }

    /// Reads the range in a Node, and keeps it. Pods that have addresses out of an earlier range keep them while they
    /// live.
    pub(crate) async fn hear(&self, node: &Value) {
        let Some(range) = of_node(node).filter(|range| *self.range.borrow() != Some(*range)) else { return };
        let (file, text) = (self.file.clone(), format!("{range}\n"));
        let kept = tokio::task::spawn_blocking(move || write_private(&file, &text)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(%error, "the node's range of pod addresses cannot be kept");
        }
        self.set(range);
    }

    fn set(&self, range: Cidr) {
        match self.addresses.lock().use_range(range) {
            Ok(()) => drop(self.range.send_replace(Some(range))),
            Err(why) => tracing::error!("{why}"),
        }
    }
}

fn of_node(node: &Value) -> Option<Cidr> {
    meta::text(node, "spec.podCIDR")?.parse().ok()
}

/// How many pods a Node's range has addresses for; none while it has no range.
pub(crate) fn carried_pods(node: &Value) -> Option<u32> {
    let mut addresses = Addresses::default();
    addresses.use_range(of_node(node)?).ok()?;
    Some(addresses.count())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[tokio::test]
    async fn the_range_is_kept_and_a_new_one_leaves_old_addresses_alone() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent/pod-range");
        let range = PodRange::load(file.clone());
        let take = |range: &PodRange, uid: &str| range.lock().take(uid, None).map(|ip| ip.to_string());
        assert_eq!(take(&range, "a"), None);
        let node = |range: &str| json!({"spec": {"podCIDR": range}});
        range.hear(&json!({"spec": {}})).await;
        range.hear(&node("nonsense")).await;
        assert!(range.range.borrow().is_none());
        range.hear(&node("10.240.1.0/24")).await;
        range.known().await;
        assert_eq!(take(&range, "a").unwrap(), "10.240.1.2");

        let again = PodRange::load(file);
        again.known().await;
        assert_eq!(take(&again, "a").unwrap(), "10.240.1.2");
        again.hear(&node("10.240.7.0/24")).await;
        assert_eq!(take(&again, "b").unwrap(), "10.240.7.2");
        assert_eq!(take(&again, "a").unwrap(), "10.240.1.2");
        assert_eq!(carried_pods(&node("10.240.7.0/24")), Some(253));
        assert_eq!(carried_pods(&json!({})), None);
    }
}
