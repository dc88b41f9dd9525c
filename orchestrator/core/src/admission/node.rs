//! Ranges of pod addresses of nodes, Kubernetes' node IPAM.
//!
//! A new Node gets a block of the cluster's range: one that carries its pods, but not more than a share of what is free, so
//! that nodes that would take thousands of pods leave room for others. The write checks once more that nobody else has it.

use super::service::Ranges;
use crate::snapshot::Snapshot;
use crate::validation::text;
use peapod_api::quantity::Quantity;
use peapod_api::{Error, FieldError};
use serde_json::{Value, json};
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// The smallest block, a /24: 253 pods.
const MIN_SIZE: u32 = 256;
/// Addresses of a block that no pod gets: the network's own, a gateway's, the broadcast address.
const KEPT: u32 = 3;
/// A block takes at most this part of what is free.
const SHARE: u64 = 16;
/// What a node takes that does not say how much it takes; the kubelet's default.
const PODS: u32 = 110;
const FIELD: &str = "spec.podCIDR";

/// A range of addresses: a power of two of them, aligned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Block {
    first: u32,
    size: u32,
}

impl Block {
    /// The block of `prefix_bits` (1 to 32) that `address` lies in.
    pub const fn new(address: Ipv4Addr, prefix_bits: u8) -> Block {
        let size = 1 << (32 - prefix_bits as u32);
        Block { first: address.to_bits() & !(size - 1), size }
    }

    fn end(self) -> u64 {
        u64::from(self.first) + u64::from(self.size)
    }

    fn contains(self, other: Block) -> bool {
        self.first <= other.first && other.end() <= self.end()
    }

    fn overlaps(self, other: Block) -> bool {
        u64::from(self.first) < other.end() && u64::from(other.first) < self.end()
    }
}

impl fmt::Display for Block {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", Ipv4Addr::from(self.first), 32 - self.size.trailing_zeros())
    }
}

impl FromStr for Block {
    type Err = ();

    /// `ADDRESS/PREFIX` with no bits set behind the prefix.
    fn from_str(text: &str) -> Result<Block, ()> {
        let (address, bits) = text.split_once('/').ok_or(())?;
        let (address, bits): (Ipv4Addr, u8) = (address.parse().map_err(drop)?, bits.parse().map_err(drop)?);
        let block = (1..=32).contains(&bits).then(|| Block::new(address, bits)).ok_or(())?;
        if block.first == u32::from(address) { Ok(block) } else { Err(()) }
    }
}

/// Gives a new Node its range, or checks the one that it names.
pub(super) fn allocate(snapshot: &Snapshot, node: &mut Value, ranges: &Ranges) -> Result<(), Error> {
    let asked = match text(&node["spec"]["podCIDR"]) {
        "" => text(&node["spec"]["podCIDRs"][0]).to_string(),
        range => range.to_string(),
    };
    let range = if asked.is_empty() {
        let pods = text(&node["status"]["capacity"]["pods"]).parse::<Quantity>();
        let pods = pods.ok().and_then(|pods| u32::try_from(pods.value()).ok()).unwrap_or(PODS);
        let block = choose(ranges.pods, &taken(snapshot, ""), pods).ok_or_else(|| used_up(node, ranges))?;
        block.to_string()
    } else {
        if !asked.parse().is_ok_and(|block| ranges.pods.contains(block)) {
            let why = format!("must be a range of IPv4 addresses within the cluster's, {}", ranges.pods);
            return Err(refuse(node, &asked, &why));
        }
        asked
    };
    if !node["spec"].is_object() {
        node["spec"] = json!({});
    }
    node["spec"]["podCIDR"] = range.as_str().into();
    node["spec"]["podCIDRs"] = json!([range]);
    check_free(snapshot, node)
}

/// Whether the node's range belongs to no other. Errors: 422.
pub(super) fn check_free(snapshot: &Snapshot, node: &Value) -> Result<(), Error> {
    let range = text(&node["spec"]["podCIDR"]);
    let Ok(block) = range.parse::<Block>() else { return Ok(()) };
    let others = taken(snapshot, text(&node["metadata"]["name"]));
    if others.iter().any(|other| other.overlaps(block)) {
        return Err(refuse(node, range, "it overlaps with the range of another node"));
    }
    Ok(())
}

fn refuse(node: &Value, range: &str, why: &str) -> Error {
    let fault = FieldError::invalid(FIELD, &range.into(), why);
    Error::invalid("", "Node", text(&node["metadata"]["name"]), &[fault])
}

fn used_up(node: &Value, ranges: &Ranges) -> Error {
    let name = text(&node["metadata"]["name"]);
    Error::forbidden(
        "nodes",
        name,
        &format!("the cluster's range of pod addresses, {}, is used up", ranges.pods),
    )
}

/// The ranges of all nodes but `except`, in order.
fn taken(snapshot: &Snapshot, except: &str) -> Vec<Block> {
    let others = snapshot.list("nodes", None).filter(|node| node.name() != except);
    let range = |node: &peapod_api::Object| {
        node.header.fields.iter().find(|(name, _)| **name == *FIELD).and_then(|(_, range)| range.parse().ok())
    };
    let mut blocks: Vec<Block> = others.filter_map(|node| range(node)).collect();
    blocks.sort();
    blocks
}

/// The first free block of `cluster` for `pods`; smaller ones where room gets scarce. None: not even the smallest is free.
fn choose(cluster: Block, taken: &[Block], pods: u32) -> Option<Block> {
    let used: u64 =
        taken.iter().filter(|block| cluster.contains(**block)).map(|block| u64::from(block.size)).sum();
    let share = u64::from(cluster.size).saturating_sub(used) / SHARE;
    let mut size = pods.saturating_add(KEPT).clamp(MIN_SIZE, 1 << 31).next_power_of_two();
    while size > MIN_SIZE && u64::from(size) > share {
        size /= 2;
    }
    while size >= MIN_SIZE {
        if let Some(block) = first_free(cluster, taken, size) {
            return Some(block);
        }
        size /= 2;
    }
    None
}

fn first_free(cluster: Block, taken: &[Block], size: u32) -> Option<Block> {
    let mut at = u64::from(cluster.first);
    while at + u64::from(size) <= cluster.end() {
        let block = Block { first: u32::try_from(at).ok()?, size };
        match taken.iter().filter(|other| other.overlaps(block)).map(|other| other.end()).max() {
            None => return Some(block),
            Some(end) => at = end.next_multiple_of(u64::from(size)),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(text: &str) -> Block {
        text.parse().unwrap()
    }

    #[test]
    fn ranges_are_read_and_written() {
        for text in ["10.240.0.0/12", "10.244.7.0/24", "1.2.3.4/32", "128.0.0.0/1"] {
            assert_eq!(block(text).to_string(), text);
        }
        for wrong in
            ["", "10.244.0.0", "10.244.0.1/24", "10.244.0.0/33", "10.244.0.0/0", "10.244/16", "::/64", "x/24"]
        {
            assert!(wrong.parse::<Block>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_block_carries_its_pods_and_leaves_room_for_others() {
        let cluster = block("10.240.0.0/12");
        let first = |taken: &[&str], pods| {
            let taken: Vec<Block> = taken.iter().map(|text| block(text)).collect();
            choose(cluster, &taken, pods).map(|block| block.to_string()).unwrap_or_default()
        };
        assert_eq!(first(&[], 110), "10.240.0.0/24");
        assert_eq!(first(&[], 253), "10.240.0.0/24");
        assert_eq!(first(&[], 254), "10.240.0.0/23");
        assert_eq!(first(&[], 10_000), "10.240.0.0/18");
        assert_eq!(first(&[], u32::MAX), "10.240.0.0/16", "a sixteenth");
        assert_eq!(first(&["10.240.0.0/24"], 300), "10.240.2.0/23", "aligned");
        assert_eq!(first(&["10.240.0.0/24", "10.240.2.0/23"], 10), "10.240.1.0/24", "gaps are filled");
        assert_eq!(first(&["10.240.0.0/13"], u32::MAX), "10.248.0.0/17", "a sixteenth of the rest");
        assert_eq!(first(&["10.240.0.0/12"], 1), "");
    }

    #[test]
    fn a_cluster_fills_up_to_the_last_block_without_overlaps() {
        let cluster = block("10.244.0.0/16");
        let mut taken = Vec::new();
        while let Some(block) = choose(cluster, &taken, 10_000) {
            assert!(
                cluster.contains(block) && !taken.iter().any(|other: &Block| other.overlaps(block)),
                "{block}"
            );
            taken.push(block);
        }
        assert_eq!(taken.iter().map(|block| block.size).sum::<u32>(), 1 << 16);
        assert!(taken.len() > 60, "{}", taken.len());
    }
}
