//! Finds a node for a pod: filters, then scores, over a view that changes keep up to date.

pub mod affinity;
pub mod cluster;
mod plugins;
pub mod taint;

pub use cluster::{ClusterView, NodeView, PodView};
use plugins::{PLUGINS, Plugin};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The scheduler that pods ask for by default.
pub const DEFAULT_SCHEDULER: &str = "default-scheduler";

/// Where a pod goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The chosen node.
    pub node: Arc<str>,
    /// Its score; higher is better.
    pub score: i64,
}

/// Why no node can take a pod: every node's reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unschedulable {
    /// Node name to the reason of the first filter that refused it.
    pub nodes: BTreeMap<Arc<str>, String>,
}

/// Worded as kube-scheduler does: `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable.`
impl fmt::Display for Unschedulable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nodes.is_empty() {
            return f.write_str("no nodes available to schedule pods");
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for reason in self.nodes.values().flat_map(|reasons| reasons.split("; ")) {
            *counts.entry(reason).or_default() += 1;
        }
        let reasons: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        write!(f, "0/{} nodes are available: {}.", self.nodes.len(), reasons.join(", "))
    }
}

/// Chooses the node with the highest score among those that no plugin refuses. `seed` breaks ties.
///
/// # Errors
/// No node fits; the error holds the reason of each.
pub fn schedule(pod: &PodView, cluster: &ClusterView, seed: u64) -> Result<Placement, Unschedulable> {
    let mut refused = BTreeMap::new();
    let mut best: Option<(i64, u64, &NodeView)> = None;
    for node in cluster.nodes() {
        if let Some(reason) = PLUGINS.iter().find_map(|plugin| (plugin.filter)(pod, node)) {
            refused.insert(node.name.clone(), reason);
            continue;
        }
        let candidate = (score(pod, node), tie_breaker(seed, &node.name), node);
        if best.as_ref().is_none_or(|b| (candidate.0, candidate.1) > (b.0, b.1)) {
            best = Some(candidate);
        }
    }
    match best {
        Some((score, _, node)) => Ok(Placement { node: node.name.clone(), score }),
        None => Err(Unschedulable { nodes: refused }),
    }
}

fn score(pod: &PodView, node: &NodeView) -> i64 {
    PLUGINS.iter().map(|Plugin { score, weight, .. }| score(pod, node) * weight).sum()
}

fn tie_breaker(seed: u64, name: &str) -> u64 {
    name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests;
