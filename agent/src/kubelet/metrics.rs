//! Kubelet's `/metrics` and `/pods`: what the node's containers use, and which pods it has.

use crate::pods::Registry;
use serde_json::{Value, json};
use std::fmt::Write;

/// In Prometheus' text form: CPU and memory of each running container, and the number of pods.
pub(super) fn metrics(pods: &Registry) -> String {
    let containers = pods.containers();
    let mut out = String::new();
    let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(usize) -> String| {
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (index, (pod, container, _)) in containers.iter().enumerate() {
            let (namespace, pod) = (&pod.metadata.namespace, &pod.metadata.name);
            let labels = format!("container=\"{container}\",namespace=\"{namespace}\",pod=\"{pod}\"");
            let _ = writeln!(out, "{name}{{{labels}}} {}", value(index));
        }
    };
    family(
        "container_cpu_usage_seconds_total",
        "counter",
        "CPU time that the container has used",
        &|index| format!("{:.6}", containers[index].2.cpu().usage().used.as_secs_f64()),
    );
    family(
        "container_cpu_cfs_throttled_seconds_total",
        "counter",
        "Time spent waiting at the limit",
        &|index| format!("{:.6}", containers[index].2.cpu().usage().throttled.as_secs_f64()),
    );
    family("container_memory_working_set_bytes", "gauge", "Linear memory and tables in use", &|index| {
        containers[index].2.memory().held_bytes().to_string()
    });
    let count = pods.pods().len();
    let _ = writeln!(out, "# HELP kubelet_running_pods Pods on this node\n# TYPE kubelet_running_pods gauge");
    let _ = writeln!(out, "kubelet_running_pods {count}");
    out
}

/// A PodList with what tells pods apart, and their status as the API last had it.
pub(super) fn pods(pods: &Registry) -> Value {
    let item = |pod: &std::sync::Arc<crate::pods::spec::Pod>| {
        let metadata = &pod.metadata;
        json!({
            "metadata": {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid,
                "labels": metadata.labels, "creationTimestamp": metadata.creation_timestamp},
            "spec": {"nodeName": pod.spec.node_name,
                "containers": pod.spec.containers.iter()
                    .map(|c| json!({"name": c.name, "image": c.image})).collect::<Vec<_>>()},
            "status": pod.status,
        })
    };
    let items: Vec<Value> = pods.pods().iter().map(item).collect();
    json!({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": items})
}
