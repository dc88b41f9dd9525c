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
    let mut allocation = Allocation { snapshot, key: &key_of(service), ranges, seed, faults: Vec::new() };
    allocation.address(&mut service["spec"])?;
    allocation.ports(&mut service["spec"])?;
    let faults = allocation.faults;
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

const IP_TAKEN: &str = "provided IP is already allocated";
const PORT_TAKEN: &str = "provided port is already allocated";

/// Protocol and number.
type NodePort = (String, u16);

fn node_port_path(index: usize) -> String {
    format!("spec.ports[{index}].nodePort")
}

/// Every node port that another Service has.
fn node_ports(snapshot: &Snapshot, key: &Key) -> BTreeSet<NodePort> {
    let open = others(snapshot, key).filter(|service| has_node_ports(field(service, "spec.type")));
    open.flat_map(|service| own_node_ports(&service.value()["spec"])).map(|(_, port)| port).collect()
}

/// The node ports that a Service names, with the places of its ports in the list.
fn own_node_ports(spec: &Value) -> Vec<(usize, NodePort)> {
    let of = |(index, port): (usize, &Value)| {
        let number = port["nodePort"].as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| *n != 0)?;
        Some((index, (text(&port["protocol"]).to_string(), number)))
    };
    items(&spec["ports"]).enumerate().filter_map(of).collect()
}

/// One Service on its way to what it needs.
struct Allocation<'a> {
    snapshot: &'a Snapshot,
    key: &'a Key,
    ranges: &'a Ranges,
    seed: u64,
    /// What is wrong with what the Service names.
    faults: Vec<FieldError>,
}

impl Allocation<'_> {
    fn address(&mut self, spec: &mut Value) -> Result<(), Error> {
        if spec["type"] == "ExternalName" {
            return Ok(());
        }
        let asked = match text(&spec["clusterIP"]) {
            "" => text(&spec["clusterIPs"][0]).to_string(),
            address => address.to_string(),
        };
        let address = match asked.as_str() {
            "" => self.free_address()?.to_string(),
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
        if let Some(why) = address.parse().ok().and_then(|address| self.address_fault(address)) {
            let detail = format!("failed to allocate IP {address}: {why}");
            self.faults.push(FieldError::invalid("spec.clusterIPs", &spec["clusterIPs"], &detail));
        }
        Ok(())
    }

    fn address_fault(&self, address: Ipv4Addr) -> Option<String> {
        let Ranges { network, prefix_bits, .. } = self.ranges;
        if !self.ranges.contains(address) {
            let valid = format!("The range of valid IPs is {network}/{prefix_bits}");
            return Some(format!("the provided IP ({address}) is not in the valid range. {valid}"));
        }
        is_taken(self.snapshot, self.key, &address.to_string()).then(|| IP_TAKEN.into())
    }

    fn free_address(&self) -> Result<Ipv4Addr, Error> {
        let taken: BTreeSet<&str> =
            others(self.snapshot, self.key).map(|service| field(service, "spec.clusterIP")).collect();
        let size = self.ranges.size();
        let first = start(self.seed, "address", size);
        // The first address of the range is kept for `default/kubernetes`.
        let candidates = (0..size).map(|step| (first + step) % size).filter(|index| *index != 0);
        let mut free = candidates
            .map(|index| self.ranges.address(index))
            .filter(|address| !taken.contains(address.to_string().as_str()));
        free.next().ok_or_else(|| Error::internal("failed to allocate a serviceIP: range is full"))
    }

    fn ports(&mut self, spec: &mut Value) -> Result<(), Error> {
        let type_ = text(&spec["type"]);
        if !has_node_ports(type_) {
            return Ok(());
        }
        let chooses = type_ != "LoadBalancer" || spec["allocateLoadBalancerNodePorts"] != false;
        let taken = node_ports(self.snapshot, self.key);
        let named = own_node_ports(spec);
        let port_at = |index: &usize| spec["ports"][*index]["port"].as_u64().unwrap_or_default();
        let mut by_port: BTreeMap<u64, u16> =
            named.iter().map(|(index, (_, number))| (port_at(index), *number)).collect();
        let mut own: BTreeSet<NodePort> = named.into_iter().map(|(_, port)| port).collect();
        let (low, high) = self.ranges.node_ports;
        for (index, port) in spec["ports"].as_array_mut().into_iter().flatten().enumerate() {
            let protocol = text(&port["protocol"]).to_string();
            let Some(asked) = port["nodePort"].as_i64().filter(|n| *n != 0) else {
                if chooses {
                    let is_free = |port: &NodePort| !taken.contains(port) && !own.contains(port);
                    // One port of several protocols is one node port, where that can be.
                    let number = port["port"].as_u64().unwrap_or_default();
                    let same = by_port.get(&number).copied();
                    let chosen = self.free_port(index, &protocol, same, is_free)?;
                    by_port.insert(number, chosen.1);
                    port["nodePort"] = chosen.1.into();
                    own.insert(chosen);
                }
                continue;
            };
            let valid = format!("The range of valid ports is {low}-{high}");
            let why = match u16::try_from(asked).ok().filter(|n| (low..=high).contains(n)) {
                None => format!("provided port is not in the valid range. {valid}"),
                Some(n) if taken.contains(&(protocol, n)) => PORT_TAKEN.into(),
                Some(_) => continue,
            };
            self.faults.push(FieldError::invalid(&node_port_path(index), &asked.into(), &why));
        }
        Ok(())
    }

    fn free_port(
        &self,
        index: usize,
        protocol: &str,
        preferred: Option<u16>,
        is_free: impl Fn(&NodePort) -> bool,
    ) -> Result<NodePort, Error> {
        let (low, high) = self.ranges.node_ports;
        let size = u32::from(high - low) + 1;
        let first = start(self.seed, &format!("port {index}"), size);
        let numbers = (0..size).filter_map(|step| u16::try_from(u32::from(low) + (first + step) % size).ok());
        let mut free =
            preferred.into_iter().chain(numbers).map(|number| (protocol.to_string(), number)).filter(is_free);
        free.next().ok_or_else(|| Error::internal("failed to allocate a nodePort: range is full"))
    }
}

/// Whether what the Service holds belongs to no other. Errors: 422, as if the client had asked for it.
pub(super) fn check_free(snapshot: &Snapshot, service: &Value) -> Result<(), Error> {
    let (key, spec) = (key_of(service), &service["spec"]);
    let mut faults = Vec::new();
    let address = text(&spec["clusterIP"]);
    if !address.is_empty() && address != "None" && is_taken(snapshot, &key, address) {
        let why = format!("failed to allocate IP {address}: {IP_TAKEN}");
        faults.push(FieldError::invalid("spec.clusterIPs", &spec["clusterIPs"], &why));
    }
    let own = own_node_ports(spec);
    if !own.is_empty() {
        let taken = node_ports(snapshot, &key);
        let clashes = own.iter().filter(|(_, port)| taken.contains(port));
        faults.extend(clashes.map(|(index, (_, number))| {
            FieldError::invalid(&node_port_path(*index), &(*number).into(), PORT_TAKEN)
        }));
    }
    refuse(service, faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Change;
    use peapod_api::{Draft, kinds};
    use std::sync::Arc;

    fn service(name: &str, spec: Value) -> Value {
        json!({"metadata": {"name": name, "namespace": "d"}, "spec": spec})
    }

    fn with(other: Value) -> Snapshot {
        let mut snapshot = Snapshot::default();
        let (key, kind) = (key_of(&other), kinds::of_resource("services").unwrap());
        let object = Arc::new(Draft::new(kind, key.clone(), other).at(1));
        snapshot.apply(&Change::new(1, key, None, Some(object)));
        snapshot
    }

    fn allocated(snapshot: &Snapshot, mut spec: Value) -> Result<Value, String> {
        spec["clusterIP"] = "10.96.0.9".into();
        let mut service = service("s", spec);
        allocate(snapshot, &mut service, &Ranges::default(), 7).map_err(|error| error.to_string())?;
        Ok(service["spec"]["ports"].take())
    }

    #[test]
    fn a_balancer_that_wants_no_node_ports_gets_none_and_those_that_it_names_are_checked() {
        let snapshot = with(service(
            "other",
            json!({"type": "NodePort", "ports": [{"port": 1, "protocol": "TCP", "nodePort": 30001}]}),
        ));
        let balancer = |ports: Value| json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": ports});
        let port = |number: u16| json!({"port": number, "protocol": "TCP", "nodePort": number});
        let unnamed = json!({"port": 80, "protocol": "TCP"});
        let named = json!([unnamed, port(30002)]);
        assert_eq!(allocated(&snapshot, balancer(named.clone())), Ok(named));
        let refused = |number: u16, why: &str| {
            let error = allocated(&snapshot, balancer(json!([unnamed, port(number)]))).unwrap_err();
            let path = "spec.ports[1].nodePort: Invalid value:";
            assert_eq!(error, format!("Service \"s\" is invalid: {path} {number}: {why}"));
        };
        refused(30001, PORT_TAKEN);
        refused(80, "provided port is not in the valid range. The range of valid ports is 30000-32767");
        let unlucky = service("s", balancer(json!([unnamed, port(30001)])));
        let error = check_free(&snapshot, &unlucky).unwrap_err().to_string();
        assert!(error.contains("spec.ports[1].nodePort"), "{error}");
    }

    #[test]
    fn ports_of_a_service_differ_though_the_range_is_small() {
        let ranges = Ranges { node_ports: (30000, 30001), ..Ranges::default() };
        let ports = json!([{"protocol": "TCP"}, {"protocol": "TCP"}]);
        let mut own = service("s", json!({"type": "NodePort", "clusterIP": "10.96.0.9", "ports": ports}));
        allocate(&Snapshot::default(), &mut own, &ranges, 7).unwrap();
        let numbers: BTreeSet<_> = own_node_ports(&own["spec"]).into_iter().map(|(_, (_, n))| n).collect();
        assert_eq!(numbers, BTreeSet::from([30000, 30001]));
    }

    #[test]
    fn protocols_of_one_port_share_a_node_port_where_it_is_free() {
        let allocated = |ports: Value, snapshot: &Snapshot| {
            let ports = allocated(snapshot, json!({"type": "NodePort", "ports": ports})).unwrap();
            items(&ports).map(|port| port["nodePort"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        let port = |protocol: &str, number: u16| json!({"port": number, "protocol": protocol});
        let dns = allocated(json!([port("UDP", 53), port("TCP", 53), port("TCP", 80)]), &Snapshot::default());
        assert!(dns[0] == dns[1] && dns[1] != dns[2], "{dns:?}");
        let asked = json!({"port": 53, "protocol": "TCP", "nodePort": 30053});
        assert_eq!(allocated(json!([port("UDP", 53), asked]), &Snapshot::default()), [30053, 30053]);
        let other = json!({"type": "NodePort", "ports": [{"port": 1, "protocol": "UDP", "nodePort": 30053}]});
        let elsewhere = allocated(json!([port("UDP", 53), asked]), &with(service("other", other)));
        assert!(elsewhere[0] != 30053 && elsewhere[1] == 30053, "{elsewhere:?}");
    }
}
