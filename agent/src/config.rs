//! What an agent is told at start.

use crate::network::{Cidr, EgressRules};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

/// An agent's configuration. [`Config::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct Config {
    /// The Node's name; the client's identity must be `system:node:NAME`.
    pub node_name: String,
    /// Where pods' volumes and logs, images and compiled code are kept. Private to this agent.
    pub data_dir: PathBuf,
    /// The node's address: `status.hostIP` of its pods.
    pub host_ip: IpAddr,
    /// What NodePorts listen on: one address, or by the unspecified one all of the machine's.
    pub node_port_ip: IpAddr,
    /// Pods that the node takes; `None` is what `vm.max_map_count` carries.
    pub max_pods: Option<u32>,
    /// The addresses of all pods of the cluster; the node's own part of them stands in its Node. Never reached outside of
    /// the pod network.
    pub cluster_cidr: Cidr,
    /// Ranges of Service addresses: never reached outside of the pod network.
    pub service_cidrs: Vec<Cidr>,
    /// What every pod of the node may reach outside of the cluster.
    pub egress: EgressRules,
    /// Whether a pod's annotation `peapod.dev/allow-egress` (rules, separated by commas) adds to that.
    pub egress_annotation: bool,
    /// Where other agents connect to, on the node's address; none if they cannot.
    pub pod_port: Option<u16>,
    /// Whether what the node has seen of the API is kept, so that it starts its pods while the server is away. Of no use
    /// where both are one process.
    pub starts_alone: bool,
    /// Labels of the Node beside the well-known ones.
    pub labels: Vec<(String, String)>,
}

impl Config {
    /// The defaults: pods in 10.240.0.0/12, Services in 10.96.0.0/12, NodePorts on 127.0.0.1, no egress but by
    /// annotation.
    pub fn new(node_name: impl Into<String>, data_dir: impl Into<PathBuf>) -> Config {
        let range = |a, b, bits| {
            Cidr::new(IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), bits)
                .expect("the prefix is shorter than an address")
        };
        Config {
            node_name: node_name.into(),
            data_dir: data_dir.into(),
            host_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            node_port_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            max_pods: None,
            cluster_cidr: range(10, 240, 12),
            service_cidrs: vec![range(10, 96, 12)],
            egress: EgressRules::none(),
            egress_annotation: true,
            pod_port: None,
            starts_alone: false,
            labels: Vec::new(),
        }
    }
}
