//! Pure, once the machine is read: what the Node object says of it.

use crate::pods::carried_pods;
use jiff::Timestamp;
use peapod_api::meta;
use serde_json::{Value, json};
use std::net::IpAddr;

/// The release of the Kubernetes API that the node follows.
const KUBELET_VERSION: &str = concat!("v1.36.0+peapod-", env!("CARGO_PKG_VERSION"));
/// The engine; the version is the one in the workspace's lock file.
const RUNTIME_VERSION: &str = "wasmtime://48.0.8";

/// The machine that the agent runs on.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) name: String,
    host_ip: IpAddr,
    max_pods: u32,
    extra_labels: Vec<(String, String)>,
    pod_port: Option<u16>,
    cores: usize,
    memory_kib: u64,
    kernel: String,
    machine_id: String,
    boot_id: String,
}

impl Machine {
    /// Reads this machine.
    pub(crate) fn read(name: &str, host_ip: IpAddr, max_pods: u32) -> Machine {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_string();
        Machine {
            name: name.into(),
            host_ip,
            max_pods,
            extra_labels: Vec::new(),
            pod_port: None,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_kib: memory_kib(&file("/proc/meminfo")),
            kernel: file("/proc/sys/kernel/osrelease"),
            machine_id: file("/etc/machine-id"),
            boot_id: file("/proc/sys/kernel/random/boot_id"),
        }
    }

    /// With labels of its own besides the usual ones.
    pub(crate) fn with_labels(mut self, labels: Vec<(String, String)>) -> Machine {
        self.extra_labels = labels;
        self
    }

    /// Taking connections of other agents on this port of its address.
    pub(crate) fn with_port(mut self, port: Option<u16>) -> Machine {
        self.pod_port = port;
        self
    }

    /// The labels that every node has, and its own.
    pub(crate) fn labels(&self) -> Value {
        let mut labels = json!({
            "kubernetes.io/hostname": self.name, "kubernetes.io/os": "wasi", "kubernetes.io/arch": "wasm32",
        });
        for (name, value) in &self.extra_labels {
            labels[name] = value.as_str().into();
        }
        labels
    }

    /// The Node to register, together with its first status.
    pub(crate) fn node(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": self.name, "labels": self.labels()},
            "status": self.status(&Value::Null),
        })
    }

    /// The status that `node` should have: its own where that is true, so that equal means nothing to write.
    pub(crate) fn status(&self, node: &Value) -> Value {
        let max_pods = carried_pods(node).map_or(self.max_pods, |carried| carried.min(self.max_pods));
        let resources = json!({
            "cpu": self.cores.to_string(), "memory": format!("{}Ki", self.memory_kib), "pods": max_pods.to_string(),
        });
        let mut status = node["status"].clone();
        if !status.is_object() {
            status = json!({});
        }
        status["capacity"] = resources.clone();
        status["allocatable"] = resources;
        status["addresses"] = json!([
            {"type": "InternalIP", "address": self.host_ip.to_string()},
            {"type": "Hostname", "address": self.name},
        ]);
        status["nodeInfo"] = self.info();
        match self.pod_port {
            Some(port) => status["daemonEndpoints"] = json!({"kubeletEndpoint": {"Port": port}}),
            None if status["daemonEndpoints"].is_null() => {}
            None => status["daemonEndpoints"] = Value::Null,
        }
        status["conditions"] = conditions(&node["status"]["conditions"]);
        status
    }

    fn info(&self) -> Value {
        json!({
            "architecture": "wasm32", "operatingSystem": "wasi", "osImage": "WASI",
            "containerRuntimeVersion": RUNTIME_VERSION, "kubeletVersion": KUBELET_VERSION, "kubeProxyVersion": "",
            "kernelVersion": self.kernel, "machineID": self.machine_id, "systemUUID": self.machine_id,
            "bootID": self.boot_id,
        })
    }
}

fn conditions(old: &Value) -> Value {
    let now = Timestamp::now();
    let mut list = old.as_array().cloned().unwrap_or_default();
    for (type_, status, reason, message) in [
        ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
    ] {
        let holds = list.iter().any(|c| c["type"] == type_ && c["status"] == status && c["reason"] == reason);
        if !holds {
            let time = meta::time(now);
            let condition = json!({
                "type": type_, "status": status, "reason": reason, "message": message, "lastHeartbeatTime": time,
            });
            meta::set_condition(&mut list, condition, now);
        }
    }
    list.into()
}

fn memory_kib(meminfo: &str) -> u64 {
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    total.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_true_status_is_left_as_it_is_and_a_false_one_is_put_right() {
        let machine = Machine::read("n", IpAddr::from([127, 0, 0, 1]), 10_000);
        let mut node = machine.node();
        assert_eq!(node["status"]["capacity"]["pods"], "10000");
        assert_eq!(machine.status(&node), node["status"]);
        node["spec"]["podCIDR"] = "10.240.0.0/24".into();
        node["status"] = machine.status(&node);
        assert_eq!(node["status"]["capacity"]["pods"], "253", "as many as the range has addresses for");
        assert_eq!(machine.status(&node), node["status"]);
        assert!(meta::condition_is_true(&node, "Ready"));
        let ready = node["status"]["conditions"]
            .as_array()
            .unwrap()
            .iter()
            .position(|c| c["type"] == "Ready")
            .unwrap();
        node["status"]["conditions"][ready]["status"] = "Unknown".into();
        assert_ne!(machine.status(&node), node["status"]);
        let listening = machine.with_port(Some(10250));
        node["status"] = listening.status(&node);
        assert_eq!(node["status"]["daemonEndpoints"]["kubeletEndpoint"]["Port"], 10250);
        assert!(listening.with_port(None).status(&node)["daemonEndpoints"].is_null());
        assert!(memory_kib("MemTotal:  16 kB\nMemFree: 1 kB") == 16);
    }
}
