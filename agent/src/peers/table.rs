//! Pure: from Nodes to the fabric's table.

use crate::network::{NodeTable, RemoteNode};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};

/// The table of the node `own`. The oldest node comes first: a range that two claim is its.
pub(super) fn compile<'a>(own: &str, nodes: impl Iterator<Item = &'a Value>) -> NodeTable {
    let mut nodes: Vec<&Value> = nodes.collect();
    nodes.sort_by_key(|node| node["metadata"]["creationTimestamp"].as_str().unwrap_or_default());
    NodeTable::new(own, nodes.into_iter().filter_map(node))
}

fn node(node: &Value) -> Option<RemoteNode> {
    let name = node["metadata"]["name"].as_str()?.to_string();
    let spec = &node["spec"];
    let all = spec["podCIDRs"].as_array().into_iter().flatten().chain([&spec["podCIDR"]]);
    let mut ranges = Vec::new();
    for range in all.filter_map(|range| range.as_str()?.parse().ok()) {
        if !ranges.contains(&range) {
            ranges.push(range);
        }
    }
    Some(RemoteNode { name, ranges, address: address(&node["status"]) })
}

/// Where the agent takes connections: the node's address and the port that Kubernetes calls the kubelet's.
fn address(status: &Value) -> Option<SocketAddr> {
    let port = status["daemonEndpoints"]["kubeletEndpoint"]["Port"].as_u64()?;
    let port = u16::try_from(port).ok().filter(|port| *port != 0)?;
    let addresses = status["addresses"].as_array()?;
    let internal = addresses.iter().find(|address| address["type"] == "InternalIP")?;
    let ip: IpAddr = internal["address"].as_str()?.parse().ok()?;
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_are_read_as_kubernetes_writes_them() {
        let node = |name: &str, made: &str, range: &str, status: Value| {
            json!({"metadata": {"name": name, "creationTimestamp": made},
                "spec": {"podCIDR": range, "podCIDRs": [range]}, "status": status})
        };
        let reached = json!({
            "addresses": [{"type": "Hostname", "address": "b"}, {"type": "InternalIP", "address": "192.0.2.2"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        });
        let nodes = [
            node("thief", "2026-01-03T00:00:00Z", "10.244.1.0/24", json!({})),
            node("own", "2026-01-01T00:00:00Z", "10.244.0.0/24", json!({})),
            node("b", "2026-01-02T00:00:00Z", "10.244.1.0/24", reached),
            json!({"metadata": {"name": "young"}, "spec": {}}),
        ];
        let table = compile("own", nodes.iter());
        let b = table.node_of("10.244.1.7".parse().unwrap()).unwrap();
        assert_eq!((b.name.as_str(), b.ranges.len()), ("b", 1));
        assert_eq!(b.address, Some("192.0.2.2:10250".parse().unwrap()));
        assert_eq!(table.node("young").map(|node| (node.ranges.len(), node.address)), Some((0, None)));
        assert_eq!(table.node("thief").and_then(|node| node.address), None);
    }
}
