//! What control plane and agent both need to know of a pod's shape.

use crate::meta::{self, items};
use crate::quantity::Quantity;
use jiff::Timestamp;
use serde_json::Value;

/// Amounts that a pod asks of a node or that a node offers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// CPU in thousandths of a core.
    pub cpu_millis: i64,
    /// Memory in bytes.
    pub memory_bytes: i64,
}

impl Resources {
    /// Reads a resource list (`{"cpu": "500m", "memory": "64Mi"}`); what is absent or unreadable is 0.
    pub fn read(list: &Value) -> Resources {
        let amount = |name: &str| list[name].as_str().and_then(|q| q.parse::<Quantity>().ok());
        Resources {
            cpu_millis: amount("cpu").map_or(0, |q| q.milli()),
            memory_bytes: amount("memory").map_or(0, |q| q.value()),
        }
    }

    /// The sum of both, field by field.
    pub fn plus(self, other: Resources) -> Resources {
        Resources {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
        }
    }

    fn max(self, other: Resources) -> Resources {
        Resources {
            cpu_millis: self.cpu_millis.max(other.cpu_millis),
            memory_bytes: self.memory_bytes.max(other.memory_bytes),
        }
    }
}

/// What a pod spec asks for: the sum over its containers, or its largest init container where that is more.
/// Rule: Kubernetes, "Resource sharing within containers".
pub fn requests(spec: &Value) -> Resources {
    let of = |container: &Value| Resources::read(&container["resources"]["requests"]);
    let running = containers(spec).map(of).fold(Resources::default(), Resources::plus);
    let starting = items(&spec["initContainers"]).map(of).fold(Resources::default(), Resources::max);
    running.max(starting).plus(Resources::read(&spec["overhead"]))
}

/// The pod spec's containers, init containers left out.
pub fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    items(&spec["containers"])
}

/// Whether a phase is one that a pod never leaves.
pub fn is_terminal_phase(phase: &str) -> bool {
    phase == "Succeeded" || phase == "Failed"
}

/// Since when the pod's Ready condition is true.
pub fn ready_since(pod: &Value) -> Option<Timestamp> {
    let ready =
        items(&pod["status"]["conditions"]).find(|c| c["type"] == "Ready" && c["status"] == "True")?;
    Some(meta::text(ready, "lastTransitionTime").and_then(meta::parse_time).unwrap_or(Timestamp::UNIX_EPOCH))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_larger_of_sum_and_init_counts() {
        let ask = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu, "memory": "1Mi"}}});
        let spec = json!({"containers": [ask("100m"), ask("0.2")], "initContainers": [ask("1")]});
        assert_eq!(requests(&spec), Resources { cpu_millis: 1000, memory_bytes: 2 << 20 });
    }
}
