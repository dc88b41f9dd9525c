//! Cluster addresses and node ports of Services.
//!
//! Candidates come from a seed; what is taken is read from the snapshot. The write checks once more, on the state that it
//! finds, so that two requests at the same time never get the same one.

use super::node::Block;
use crate::snapshot::Snapshot;
use crate::strategy::service::has_node_ports;
use crate::validation::{items, text};
use peapod_api::{Error, FieldError, Key, Object};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

/// What may be allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges {
    /// The network of cluster addresses.
    pub network: Ipv4Addr,
    /// Its prefix length in bits, 8 to 30.
    pub prefix_bits: u8,
    /// First and last node port.
    pub node_ports: (u16, u16),
    /// The addresses of pods; each node has a part of them.
    pub pods: Block,
}

impl Default for Ranges {
    fn default() -> Ranges {
        Ranges {
            network: Ipv4Addr::new(10, 96, 0, 0),
            prefix_bits: 16,
            node_ports: (30000, 32767),
            pods: Block::new(Ipv4Addr::new(10, 240, 0, 0), 12),
        }
    }
}

impl Ranges {
    /// How many addresses there are between the network's own and its broadcast address.
    fn size(&self) -> u32 {
        (1u32 << (32 - u32::from(self.prefix_bits.clamp(8, 30)))) - 2
    }

    fn address(&self, index: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.network).wrapping_add(index + 1))
    }

    /// The address of Service `default/kubernetes`.
    pub fn first_address(&self) -> Ipv4Addr {
        self.address(0)
    }

    fn contains(&self, address: Ipv4Addr) -> bool {
        let offset = u32::from(address).wrapping_sub(u32::from(self.network));
        (1..=self.size()).contains(&offset)
    }
}

/// A number in `0..size` that depends on the seed and on what it is for.
fn start(seed: u64, purpose: &str, size: u32) -> u32 {
    let digest = Sha256::new().chain_update(seed.to_le_bytes()).chain_update(purpose).finalize();
    u32::from_le_bytes([digest[0], digest[1], digest[2], digest[3]]) % size.max(1)
}

/// Gives the Service the address and the ports that it needs and does not name, and checks those that it names.
pub(super) fn allocate(
    snapshot: &Snapshot,
    service: &mut Value,
    ranges: &Ranges,
    seed: u64,
) -> Result<(), Error> {
    if !service["spec"].is_object() {
        return Ok(());
    }
    let key = key_of(service);
    let mut faults = Vec::new();
    address(snapshot, &key, &mut service["spec"], ranges, seed, &mut faults)?;
    ports(snapshot, &key, &mut service["spec"], ranges, seed, &mut faults)?;
    refuse(service, faults)
}

fn refuse(service: &Value, faults: Vec<FieldError>) -> Result<(), Error> {
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::invalid("", "Service", text(&service["metadata"]["name"]), &faults))
}

fn key_of(service: &Value) -> Key {
    let metadata = &service["metadata"];
    Key::new("services", text(&metadata["namespace"]), text(&metadata["name"]))
}

fn others<'a>(snapshot: &'a Snapshot, key: &'a Key) -> impl Iterator<Item = &'a Object> {
    snapshot.list("services", None).map(|service| &**service).filter(move |service| service.key != *key)
}

fn field<'a>(service: &'a Object, path: &str) -> &'a str {
    service.header.fields.iter().find(|(name, _)| **name == *path).map_or("", |(_, value)| value)
}

fn is_taken(snapshot: &Snapshot, key: &Key, address: &str) -> bool {
    others(snapshot, key).any(|service| field(service, "spec.clusterIP") == address)
}

fn address(
    snapshot: &Snapshot,
    key: &Key,
    spec: &mut Value,
    ranges: &Ranges,
    seed: u64,
    faults: &mut Vec<FieldError>,
) -> Result<(), Error> {
    if spec["type"] == "ExternalName" {
        return Ok(());
    }
    let asked = match text(&spec["clusterIP"]) {
        "" => text(&spec["clusterIPs"][0]).to_string(),
        address => address.to_string(),
    };
    let address = match asked.as_str() {
        "" => free_address(snapshot, key, ranges, seed)?.to_string(),
        _ => asked,
    };
    spec["clusterIP"] = address.as_str().into();
    if items(&spec["clusterIPs"]).next().is_none() {
        spec["clusterIPs"] = json!([address]);
    }
    if spec["ipFamilies"].is_null() {
        spec["ipFamilies"] = json!(["IPv4"]);
        spec["ipFamilyPolicy"] = "SingleStack".into();
    }
    if let Ok(parsed) = address.parse::<Ipv4Addr>() {
        let why = if !ranges.contains(parsed) {
            format!(
                "the provided IP ({address}) is not in the valid range. The range of valid IPs is {}/{}",
                ranges.network, ranges.prefix_bits
            )
        } else if is_taken(snapshot, key, &address) {
            "provided IP is already allocated".to_string()
        } else {
            return Ok(());
        };
        let detail = format!("failed to allocate IP {address}: {why}");
        faults.push(FieldError::invalid("spec.clusterIPs", &spec["clusterIPs"], &detail));
    }
    Ok(())
}

fn free_address(snapshot: &Snapshot, key: &Key, ranges: &Ranges, seed: u64) -> Result<Ipv4Addr, Error> {
    let taken: BTreeSet<&str> =
        others(snapshot, key).map(|service| field(service, "spec.clusterIP")).collect();
    let size = ranges.size();
    let first = start(seed, "address", size);
    // The first address of the range is kept for `default/kubernetes`.
    let candidates = (0..size).map(|step| (first + step) % size).filter(|index| *index != 0);
    let mut free =
        candidates.map(|index| ranges.address(index)).filter(|a| !taken.contains(a.to_string().as_str()));
    free.next().ok_or_else(|| Error::internal("failed to allocate a serviceIP: range is full"))
}

type NodePort = (String, u16);

/// Every node port that another Service has, with the Service's key.
fn node_ports(snapshot: &Snapshot, key: &Key) -> BTreeMap<NodePort, Key> {
    let open = others(snapshot, key).filter(|service| has_node_ports(field(service, "spec.type")));
    open.flat_map(|service| {
        let ports = own_node_ports(&service.value()["spec"]);
        ports.into_iter().map(|port| (port, service.key.clone()))
    })
    .collect()
}

fn own_node_ports(spec: &Value) -> Vec<NodePort> {
    let of = |port: &Value| {
        let number = port["nodePort"].as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| *n != 0)?;
        Some((text(&port["protocol"]).to_string(), number))
    };
    items(&spec["ports"]).filter_map(of).collect()
}

fn ports(
    snapshot: &Snapshot,
    key: &Key,
    spec: &mut Value,
    ranges: &Ranges,
    seed: u64,
    faults: &mut Vec<FieldError>,
) -> Result<(), Error> {
    let type_ = text(&spec["type"]);
    if !has_node_ports(type_) || type_ == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] == false {
        return Ok(());
    }
    let taken = node_ports(snapshot, key);
    let mut own: BTreeSet<NodePort> = own_node_ports(spec).into_iter().collect();
    let (low, high) = ranges.node_ports;
    for (index, port) in spec["ports"].as_array_mut().into_iter().flatten().enumerate() {
        let protocol = text(&port["protocol"]).to_string();
        let Some(asked) = port["nodePort"].as_i64().filter(|n| *n != 0) else {
            let size = u32::from(high - low) + 1;
            let first = start(seed, &format!("port {index}"), size);
            let numbers =
                (0..size).filter_map(|step| u16::try_from(u32::from(low) + (first + step) % size).ok());
            let mut free = numbers
                .map(|n| (protocol.clone(), n))
                .filter(|candidate| !taken.contains_key(candidate) && !own.contains(candidate));
            let chosen =
                free.next().ok_or_else(|| Error::internal("failed to allocate a nodePort: range is full"))?;
            port["nodePort"] = chosen.1.into();
            own.insert(chosen);
            continue;
        };
        let path = format!("spec.ports[{index}].nodePort");
        let number = u16::try_from(asked).ok().filter(|n| (low..=high).contains(n));
        let why = match number {
            None => {
                format!("provided port is not in the valid range. The range of valid ports is {low}-{high}")
            }
            Some(n) if taken.contains_key(&(protocol, n)) => "provided port is already allocated".into(),
            Some(_) => continue,
        };
        faults.push(FieldError::invalid(&path, &asked.into(), &why));
    }
    Ok(())
}

/// Whether what the Service holds belongs to no other. Errors: 422, as if the client had asked for it.
pub(super) fn check_free(snapshot: &Snapshot, service: &Value) -> Result<(), Error> {
    let (key, spec) = (key_of(service), &service["spec"]);
    let mut faults = Vec::new();
    let address = text(&spec["clusterIP"]);
    if !address.is_empty() && address != "None" && is_taken(snapshot, &key, address) {
        let why = format!("failed to allocate IP {address}: provided IP is already allocated");
        faults.push(FieldError::invalid("spec.clusterIPs", &spec["clusterIPs"], &why));
    }
    let own = own_node_ports(spec);
    if !own.is_empty() {
        let taken = node_ports(snapshot, &key);
        let clashes = own.iter().enumerate().filter(|(_, port)| taken.contains_key(port));
        faults.extend(clashes.map(|(index, (_, number))| {
            let path = format!("spec.ports[{index}].nodePort");
            FieldError::invalid(&path, &(*number).into(), "provided port is already allocated")
        }));
    }
    refuse(service, faults)
}
