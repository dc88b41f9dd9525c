//! The scheduler's plugins: each a filter that may refuse a node, and a score from 0 to 100 with its weight.

use super::cluster::{NodeView, PodView};
use super::taint::{Taint, UNSCHEDULABLE, tolerates};

/// One plugin, as data.
pub(super) struct Plugin {
    /// The reason for which the node cannot take the pod, worded as kube-scheduler does.
    pub(super) filter: fn(&PodView, &NodeView) -> Option<String>,
    /// 0 to 100, higher is better.
    pub(super) score: fn(&PodView, &NodeView) -> i64,
    pub(super) weight: i64,
}

/// Kubernetes calls them NodeUnschedulable, TaintToleration, NodeAffinity, NodePorts, NodeResourcesFit and (for the
/// default spreading) PodTopologySpread. Filters run in this order and the first refusal counts.
pub(super) static PLUGINS: &[Plugin] = &[
    Plugin { filter: unschedulable, score: no_opinion, weight: 0 },
    Plugin { filter: taints, score: few_soft_taints, weight: 3 },
    Plugin { filter: affinity, score: preferred, weight: 2 },
    Plugin { filter: ports, score: no_opinion, weight: 0 },
    Plugin { filter: resources, score: least_allocated, weight: 1 },
    Plugin { filter: |_, _| None, score: spread, weight: 2 },
];

fn no_opinion(_: &PodView, _: &NodeView) -> i64 {
    0
}

fn unschedulable(pod: &PodView, node: &NodeView) -> Option<String> {
    let taint = Taint { key: UNSCHEDULABLE.into(), value: String::new(), effect: "NoSchedule".into() };
    let refused = node.unschedulable && !tolerates(&pod.tolerations, &taint);
    refused.then(|| "node(s) were unschedulable".into())
}

fn taints(pod: &PodView, node: &NodeView) -> Option<String> {
    let hard = node.taints.iter().filter(|taint| taint.effect != "PreferNoSchedule");
    let untolerated = hard.into_iter().find(|taint| !tolerates(&pod.tolerations, taint))?;
    Some(format!("node(s) had untolerated taint {{{}: {}}}", untolerated.key, untolerated.value))
}

fn few_soft_taints(pod: &PodView, node: &NodeView) -> i64 {
    let soft = node.taints.iter().filter(|taint| taint.effect == "PreferNoSchedule");
    let untolerated = soft.filter(|taint| !tolerates(&pod.tolerations, taint)).count();
    100 / (1 + i64::try_from(untolerated).unwrap_or(100))
}

fn affinity(pod: &PodView, node: &NodeView) -> Option<String> {
    let allowed = pod.affinity.allows(&node.name, &node.labels);
    (!allowed).then(|| "node(s) didn't match Pod's node affinity/selector".into())
}

fn preferred(pod: &PodView, node: &NodeView) -> i64 {
    pod.affinity.preference(&node.name, &node.labels).clamp(0, 100)
}

fn ports(pod: &PodView, node: &NodeView) -> Option<String> {
    let taken = pod.host_ports.iter().any(|port| node.binds(*port));
    taken.then(|| "node(s) didn't have free ports for the requested pod ports".into())
}

fn resources(pod: &PodView, node: &NodeView) -> Option<String> {
    let free = node.free();
    let mut reasons = Vec::new();
    if node.pods() >= node.max_pods {
        reasons.push("Too many pods");
    }
    if pod.requests.cpu_millis > 0 && pod.requests.cpu_millis > free.cpu_millis {
        reasons.push("Insufficient cpu");
    }
    if pod.requests.memory_bytes > 0 && pod.requests.memory_bytes > free.memory_bytes {
        reasons.push("Insufficient memory");
    }
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// The free share of CPU and memory after the pod, averaged.
fn least_allocated(pod: &PodView, node: &NodeView) -> i64 {
    let free = node.free();
    let share =
        |free: i64, asked: i64, all: i64| if all > 0 { ((free - asked).max(0) * 100) / all } else { 0 };
    let cpu = share(free.cpu_millis, pod.requests.cpu_millis, node.allocatable.cpu_millis);
    let memory = share(
        free.memory_bytes / 1024,
        pod.requests.memory_bytes / 1024,
        node.allocatable.memory_bytes / 1024,
    );
    (cpu + memory) / 2
}

/// Fewer pods of the same controller are better; without a controller, fewer pods at all.
fn spread(pod: &PodView, node: &NodeView) -> i64 {
    let crowd = match &pod.controller {
        Some(uid) => node.pods_of(uid),
        None => i64::try_from(node.pods()).unwrap_or(i64::MAX),
    };
    100 / crowd.saturating_add(1)
}
