//! Which node has which pod addresses. Compiled from Nodes, swapped as a whole.

use crate::network::Cidr;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A node, as pod traffic finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteNode {
    /// Its name.
    pub name: String,
    /// `spec.podCIDRs`: where the addresses of its pods are from.
    pub ranges: Vec<Cidr>,
    /// Where its agent takes connections of other agents, if it does.
    pub address: Option<SocketAddr>,
}

/// The nodes of the cluster at one moment.
#[derive(Debug, Default)]
pub struct NodeTable {
    own: Vec<Cidr>,
    nodes: HashMap<String, Arc<RemoteNode>>,
    by_start: BTreeMap<IpAddr, (Cidr, Arc<RemoteNode>)>,
}

impl NodeTable {
    /// The table of the node `own`. Where two ranges begin alike the node that comes first keeps it.
    pub fn new(own: &str, nodes: impl IntoIterator<Item = RemoteNode>) -> NodeTable {
        let mut table = NodeTable::default();
        for node in nodes {
            if node.name == own {
                table.own = node.ranges;
                continue;
            }
            let node = Arc::new(node);
            for range in &node.ranges {
                table.by_start.entry(range.first()).or_insert_with(|| (*range, node.clone()));
            }
            table.nodes.insert(node.name.clone(), node);
        }
        table
    }

    /// The other node whose pods have addresses like this. Addresses of this node belong to none.
    pub fn node_of(&self, ip: IpAddr) -> Option<&Arc<RemoteNode>> {
        if self.own.iter().any(|range| range.contains(ip)) {
            return None;
        }
        let (_, (range, node)) = self.by_start.range(..=ip).next_back()?;
        range.contains(ip).then_some(node)
    }

    /// Another node by its name.
    pub fn node(&self, name: &str) -> Option<&Arc<RemoteNode>> {
        self.nodes.get(name)
    }

    /// All the others.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<RemoteNode>> {
        self.nodes.values()
    }

    /// The address by which other nodes know this machine itself: the first of its range, which no pod is given.
    pub fn gateway(&self) -> Option<IpAddr> {
        let IpAddr::V4(first) = self.own.first()?.first() else { return None };
        Some(IpAddr::from((u32::from(first) + 1).to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, range: &str) -> RemoteNode {
        RemoteNode { name: name.into(), ranges: vec![range.parse().unwrap()], address: None }
    }

    #[test]
    fn each_address_belongs_to_one_node() {
        let nodes = [node("a", "10.244.0.0/24"), node("b", "10.244.1.0/24"), node("c", "10.244.2.7/24")];
        let table = NodeTable::new("a", nodes);
        for (ip, expected) in [
            ("10.244.0.5", None),
            ("10.244.1.0", Some("b")),
            ("10.244.1.255", Some("b")),
            ("10.244.2.1", Some("c")),
            ("10.244.3.0", None),
            ("10.96.0.1", None),
            ("fd00::1", None),
        ] {
            let found = table.node_of(ip.parse().unwrap()).map(|node| node.name.as_str());
            assert_eq!(found, expected, "{ip}");
        }
        assert_eq!(table.gateway(), Some(IpAddr::from([10, 244, 0, 1])));
        assert!(table.node("a").is_none() && table.node("b").is_some());
    }

    #[test]
    fn a_node_that_claims_what_others_have_gets_nothing_of_it() {
        let table = NodeTable::new(
            "a",
            [node("a", "10.244.0.0/24"), node("b", "10.244.1.0/24"), node("x", "10.0.0.0/8")],
        );
        let owner = |ip: &str| table.node_of(ip.parse().unwrap()).map(|node| node.name.clone());
        assert_eq!(owner("10.244.0.5"), None);
        assert_eq!(owner("10.244.1.5").as_deref(), Some("b"));
        let same = NodeTable::new("a", [node("b", "10.244.1.0/24"), node("x", "10.244.1.0/24")]);
        assert_eq!(same.node_of("10.244.1.5".parse().unwrap()).unwrap().name, "b");
    }
}
