//! Pure: from Services and EndpointSlices to the fabric's tables and the NodePorts.

use super::{Seen, Source};
use crate::network::{Affinity, Protocol, ServicePort, Tables};
use peapod_api::meta::items;
use peapod_api::well_known::SERVICE_LABEL;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// The cluster's DNS domain.
const DOMAIN: &str = "cluster.local";

type Name = (String, String);

/// All Services with their slices.
#[derive(Default)]
pub(super) struct Services {
    services: BTreeMap<Name, Value>,
    slices: BTreeMap<Name, Value>,
}

/// A port of the machine that leads to a Service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodePort {
    pub(super) port: u16,
    pub(super) udp: bool,
    /// Where connections go: the Service's own address.
    pub(super) to: SocketAddr,
    pub(super) namespace: String,
    pub(super) service: String,
    pub(super) uid: String,
}

fn name(object: &Value) -> Name {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_string();
    (text("namespace"), text("name"))
}

fn protocol(port: &Value) -> Option<Protocol> {
    match port["protocol"].as_str().unwrap_or("TCP") {
        "TCP" => Some(Protocol::Tcp),
        "UDP" => Some(Protocol::Udp),
        _ => None,
    }
}

fn port_number(value: &Value) -> Option<u16> {
    value.as_u64().and_then(|port| u16::try_from(port).ok())
}

/// The Service's own addresses; none for a headless one.
fn addresses(service: &Value) -> Vec<IpAddr> {
    let spec = &service["spec"];
    let one = spec["clusterIP"].as_str().into_iter();
    let all: BTreeSet<IpAddr> = items(&spec["clusterIPs"])
        .filter_map(Value::as_str)
        .chain(one)
        .filter_map(|ip| ip.parse().ok())
        .collect();
    all.into_iter().collect()
}

impl Services {
    pub(super) fn see(&mut self, source: Source, change: Seen<Value>) {
        let map = match source {
            Source::Services => &mut self.services,
            Source::Slices => &mut self.slices,
        };
        match change {
            Seen::Listed(objects) | Seen::Recalled(objects) => {
                *map = objects.into_iter().map(|object| (name(&object), object)).collect()
            }
            Seen::Applied(object) => drop(map.insert(name(&object), object)),
            Seen::Deleted(object) => drop(map.remove(&name(&object))),
        }
    }

    /// The tables; ports whose endpoints are as in `old` are taken over, so that their turn goes on.
    pub(super) fn tables(&self, old: &Tables) -> Tables {
        let mut by_service: BTreeMap<Name, Vec<&Value>> = BTreeMap::new();
        for ((namespace, _), slice) in &self.slices {
            if let Some(service) = slice["metadata"]["labels"][SERVICE_LABEL].as_str() {
                by_service.entry((namespace.clone(), service.to_string())).or_default().push(slice);
            }
        }
        let mut tables = Tables::new();
        for (key, service) in &self.services {
            let slices = by_service.get(key).map(Vec::as_slice).unwrap_or_default();
            add_service(&mut tables, old, key, service, slices);
        }
        tables
    }

    pub(super) fn node_ports(&self) -> BTreeSet<NodePort> {
        self.services.values().flat_map(node_ports).collect()
    }
}

fn node_ports(service: &Value) -> Vec<NodePort> {
    let Some(ip) = addresses(service).first().copied() else { return Vec::new() };
    let (namespace, service_name) = name(service);
    let ports = items(&service["spec"]["ports"]).filter_map(|port| {
        Some(NodePort {
            port: port_number(&port["nodePort"]).filter(|port| *port != 0)?,
            udp: protocol(port)? == Protocol::Udp,
            to: SocketAddr::new(ip, port_number(&port["port"])?),
            namespace: namespace.clone(),
            service: service_name.clone(),
            uid: service["metadata"]["uid"].as_str().unwrap_or_default().into(),
        })
    });
    ports.collect()
}

fn add_service(tables: &mut Tables, old: &Tables, key: &Name, service: &Value, slices: &[&Value]) {
    let own_name = format!("{}.{}.svc.{DOMAIN}", key.1, key.0);
    let own = addresses(service);
    if own.is_empty() {
        add_headless(tables, &own_name, slices);
        return;
    }
    tables.add_name(&own_name, own.iter().copied());
    for port in items(&service["spec"]["ports"]) {
        let (Some(protocol), Some(number)) = (protocol(port), port_number(&port["port"])) else { continue };
        let port_name = port["name"].as_str().unwrap_or_default();
        let endpoints: Vec<SocketAddr> =
            slices.iter().flat_map(|slice| endpoints(slice, port_name, protocol)).collect();
        let affinity = if service["spec"]["sessionAffinity"] == "ClientIP" {
            Affinity::ClientIp
        } else {
            Affinity::None
        };
        for ip in &own {
            let same =
                |before: &&Arc<ServicePort>| before.endpoints == endpoints && before.affinity == affinity;
            let kept = old.service(SocketAddr::new(*ip, number), protocol).filter(same).cloned();
            let to = kept.unwrap_or_else(|| Arc::new(port_to(key, endpoints.clone(), affinity)));
            tables.add_service(*ip, number, protocol, to);
        }
    }
}

/// The API server listens outside of the pod network; pods may reach it by its own Service and by no other.
fn port_to(key: &Name, endpoints: Vec<SocketAddr>, affinity: Affinity) -> ServicePort {
    let port = ServicePort::new(endpoints, affinity);
    if *key == ("default".into(), "kubernetes".into()) { port.vouched() } else { port }
}

fn is_ready(endpoint: &Value) -> bool {
    endpoint["conditions"]["ready"] != false
}

fn ips(endpoint: &Value) -> impl Iterator<Item = IpAddr> {
    items(&endpoint["addresses"]).filter_map(|ip| ip.as_str()?.parse().ok())
}

fn endpoints(slice: &Value, port_name: &str, wanted: Protocol) -> Vec<SocketAddr> {
    let mut ports = items(&slice["ports"]);
    let matching =
        ports.find(|p| p["name"].as_str().unwrap_or_default() == port_name && protocol(p) == Some(wanted));
    let Some(port) = matching.and_then(|port| port_number(&port["port"])) else { return Vec::new() };
    let ready = items(&slice["endpoints"]).filter(|endpoint| is_ready(endpoint));
    ready.flat_map(ips).map(|ip| SocketAddr::new(ip, port)).collect()
}

fn add_headless(tables: &mut Tables, own_name: &str, slices: &[&Value]) {
    let ready =
        slices.iter().flat_map(|slice| items(&slice["endpoints"])).filter(|endpoint| is_ready(endpoint));
    let mut all = BTreeSet::new();
    for endpoint in ready {
        let addresses: Vec<IpAddr> = ips(endpoint).collect();
        if let Some(host) = endpoint["hostname"].as_str() {
            tables.add_name(&format!("{host}.{own_name}"), addresses.iter().copied());
        }
        all.extend(addresses);
    }
    tables.add_name(own_name, all);
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(spec: Value) -> Value {
        json!({"metadata": {"namespace": "d", "name": "web", "uid": "u"}, "spec": spec})
    }

    fn slice(endpoints: Value) -> Value {
        json!({
            "metadata": {"namespace": "d", "name": "web-1", "labels": {SERVICE_LABEL: "web"}},
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints,
        })
    }

    fn state(spec: Value, endpoints: Value) -> Services {
        let mut state = Services::default();
        state.see(Source::Services, Seen::Listed(vec![service(spec)]));
        state.see(Source::Slices, Seen::Applied(slice(endpoints)));
        state
    }

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_ready_endpoints_count_and_the_turn_survives() {
        let ports = json!([{"name": "http", "port": 80, "nodePort": 30080}]);
        let endpoints = json!([
            {"addresses": ["10.244.0.2"], "conditions": {"ready": true}},
            {"addresses": ["10.244.0.3"], "conditions": {"ready": false}},
            {"addresses": ["10.244.0.4"]},
        ]);
        let state = state(json!({"clusterIP": "10.96.0.9", "ports": ports}), endpoints);
        let tables = state.tables(&Tables::new());
        let port = tables.service(at("10.96.0.9:80"), Protocol::Tcp).unwrap();
        assert_eq!(port.endpoints, [at("10.244.0.2:8080"), at("10.244.0.4:8080")]);
        let again = state.tables(&tables);
        assert!(Arc::ptr_eq(port, again.service(at("10.96.0.9:80"), Protocol::Tcp).unwrap()));
        let node_ports = state.node_ports();
        assert_eq!(node_ports.first().map(|p| (p.port, p.to)), Some((30080, at("10.96.0.9:80"))));
    }

    #[test]
    fn a_headless_service_is_named_and_has_no_ports() {
        let endpoints =
            json!([{"addresses": ["10.244.0.2"], "hostname": "db-0"}, {"addresses": ["10.244.0.3"]}]);
        let state = state(json!({"clusterIP": "None", "ports": [{"name": "http", "port": 80}]}), endpoints);
        let tables = state.tables(&Tables::new());
        let named = |name: &str| tables.lookup(name).map(<[IpAddr]>::to_vec).unwrap_or_default();
        assert_eq!(named("web.d.svc.cluster.local").len(), 2);
        assert_eq!(named("db-0.web.d.svc.cluster.local"), ["10.244.0.2".parse::<IpAddr>().unwrap()]);
        assert!(state.node_ports().is_empty());
    }

    #[test]
    fn a_deleted_service_leaves_nothing() {
        let spec = json!({"clusterIP": "10.96.0.9", "ports": [{"name": "http", "port": 80}]});
        let mut state = state(spec.clone(), json!([]));
        state.see(Source::Services, Seen::Deleted(service(spec)));
        assert!(!state.tables(&Tables::new()).is_service_address("10.96.0.9".parse().unwrap()));
    }
}
