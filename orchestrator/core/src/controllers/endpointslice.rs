//! Keeps each Service's EndpointSlices equal to the pods that its selector picks.

use super::owned::{controller_reference, map_changes, self_or_controller};
use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::name;
use crate::snapshot::{Change, Snapshot};
use crate::validation::text;
use peapod_api::pod::{self, is_terminal_phase};
use peapod_api::selector::LabelSelector;
use peapod_api::well_known::SERVICE_LABEL;
use peapod_api::{Key, Object};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

pub(super) const CONTROLLER: Controller = Controller { name: "endpointslice", triggers, reconcile };

/// Endpoints that a slice is meant to hold; a Service with more gets more slices, in powers of two.
const SLICE_SIZE: usize = 100;
const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";
pub(super) const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";

/// A port of a Service as one pod serves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Port {
    name: String,
    port: i64,
    protocol: String,
    app_protocol: Option<String>,
}

impl Port {
    pub(super) fn value(&self) -> Value {
        let mut value = json!({"port": self.port, "protocol": self.protocol, "name": self.name});
        if let Some(protocol) = &self.app_protocol {
            value["appProtocol"] = protocol.as_str().into();
        }
        value
    }
}

/// A pod behind a Service.
pub(super) struct Backend {
    pub(super) ip: String,
    pub(super) node: Option<Arc<str>>,
    pub(super) ready: bool,
    pub(super) terminating: bool,
    serving: bool,
    hostname: Option<String>,
    pub(super) target: Value,
}

/// The Services that a change of a Service or of a pod concerns.
pub(super) fn services_of(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    match change.key.resource() {
        "services" => vec![change.key.clone()],
        "pods" => {
            let picks = |service: &Object| {
                let Some(map) = &service.header.selector else { return false };
                let selector = LabelSelector::from_map(map);
                [&change.before, &change.after]
                    .into_iter()
                    .flatten()
                    .any(|pod| selector.matches(&pod.header.labels))
            };
            let services = snapshot.list("services", Some(change.key.namespace()));
            services.filter(|service| picks(service)).map(|service| service.key.clone()).collect()
        }
        _ => Vec::new(),
    }
}

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    let mut keys = services_of(snapshot, change);
    if change.key.resource() == "endpointslices.discovery.k8s.io" {
        keys.extend(self_or_controller(change, "services"));
    }
    keys
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let service = snapshot.get(key).filter(|s| s.header.deleted.is_none() && s.header.selector.is_some());
    let Some(service) = service else { return Outcome::nothing() };
    bring_in_line(snapshot, service, MANAGER, wanted_slices(snapshot, service))
}

/// What brings a slice that is there into the form that is wanted: nothing if it has it. Annotations are left alone where
/// none are named.
fn change(slice: &Object, new: &Value) -> Option<Action> {
    let (old, mut patch) = (slice.value(), json!({}));
    for field in ["endpoints", "ports"] {
        if old[field] != new[field] {
            patch[field] = new[field].clone();
        }
    }
    for field in ["labels", "annotations"] {
        if let Some(changes) = map_changes(&old["metadata"][field], &new["metadata"][field]) {
            patch["metadata"][field] = changes;
        }
    }
    (patch != json!({})).then(|| Action::Patch { key: slice.key.clone(), patch })
}

/// Makes the slices that `owner` has by `manager` those that are wanted, by name.
pub(super) fn bring_in_line(
    snapshot: &Snapshot,
    owner: &Object,
    manager: &str,
    mut wanted: BTreeMap<String, Value>,
) -> Outcome {
    let mut actions = Vec::new();
    for slice in snapshot.owned_by(&owner.header.uid) {
        if slice.header.labels.get(MANAGED_BY).is_none_or(|label| label != manager) {
            continue;
        }
        match wanted.remove(slice.name()) {
            None => actions.push(Action::delete(slice)),
            Some(new) => actions.extend(change(slice, &new)),
        }
    }
    actions.extend(wanted.into_values().map(|object| Action::Create { object }));
    actions.into()
}

fn wanted_slices(snapshot: &Snapshot, service: &Object) -> BTreeMap<String, Value> {
    let mut slices = BTreeMap::new();
    let mut groups = backends(snapshot, service);
    if groups.is_empty() {
        groups.insert(Vec::new(), BTreeMap::new());
    }
    for (ports, backends) in groups {
        let count = backends.len().div_ceil(SLICE_SIZE).max(1).next_power_of_two();
        let mut buckets: Vec<Vec<Value>> = vec![Vec::new(); count];
        for (key, backend) in &backends {
            buckets[bucket(key, count)].push(backend.endpoint());
        }
        let ports: Vec<Value> = ports.iter().map(Port::value).collect();
        for (index, endpoints) in buckets.into_iter().enumerate() {
            let key = json!(ports).to_string();
            let suffix =
                name::suffix(&[service.header.uid.as_bytes(), &index.to_le_bytes(), key.as_bytes()], 5);
            let name = name::child(service.name(), &suffix);
            slices.insert(name.clone(), slice(service, name, &ports, endpoints));
        }
    }
    slices
}

/// A pod stays in its bucket while the number of buckets stays: one pod's change rewrites one slice.
fn bucket(key: &Key, count: usize) -> usize {
    let hash = key
        .as_str()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    usize::try_from(hash >> 32).unwrap_or(0) % count
}

fn slice(service: &Object, name: String, ports: &[Value], endpoints: Vec<Value>) -> Value {
    let mut labels = labels_of(service);
    labels.insert(SERVICE_LABEL.into(), service.name().into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": name, "generateName": format!("{}-", service.name()), "namespace": service.namespace(),
            "labels": labels, "ownerReferences": [controller_reference("v1", "Service", service)],
        },
        "endpoints": endpoints, "ports": ports,
    })
}

/// The labels that a Service hands on to what tells of its endpoints. Whether it is headless is said by its address alone.
pub(super) fn labels_of(service: &Object) -> BTreeMap<String, String> {
    let mut labels = (*service.header.labels).clone();
    labels.remove(HEADLESS_LABEL);
    if matches!(text(&service.value()["spec"]["clusterIP"]), "" | "None") {
        labels.insert(HEADLESS_LABEL.into(), String::new());
    }
    labels
}

impl Backend {
    fn endpoint(&self) -> Value {
        let mut endpoint = json!({
            "addresses": [self.ip],
            "conditions": {"ready": self.ready, "serving": self.serving, "terminating": self.terminating},
            "targetRef": self.target,
        });
        if let Some(node) = &self.node {
            endpoint["nodeName"] = node.to_string().into();
        }
        if let Some(hostname) = &self.hostname {
            endpoint["hostname"] = hostname.as_str().into();
        }
        endpoint
    }
}

/// The pods behind a Service, grouped by the ports that they serve it on.
pub(super) fn backends(snapshot: &Snapshot, service: &Object) -> BTreeMap<Vec<Port>, BTreeMap<Key, Backend>> {
    let spec = &service.value()["spec"];
    let mut groups: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
    let Some(map) = &service.header.selector else { return groups };
    let selector = LabelSelector::from_map(map);
    for pod in snapshot.list("pods", Some(service.namespace())) {
        let finished = pod.header.phase.as_deref().is_some_and(is_terminal_phase);
        if finished || !selector.matches(&pod.header.labels) {
            continue;
        }
        let Some(ip) = pod.header.fields.iter().find(|(f, ip)| &**f == "status.podIP" && !ip.is_empty())
        else {
            continue;
        };
        let value = if needs_pod(spec) { pod.value() } else { Default::default() };
        let ports = resolve_ports(spec, &value);
        groups
            .entry(ports)
            .or_default()
            .insert(pod.key.clone(), backend(spec, service.name(), pod, &value, &ip.1));
    }
    groups
}

/// Whether more of a pod than its header is needed: a port is named, or the Service is headless (host names).
fn needs_pod(spec: &Value) -> bool {
    let ports = spec["ports"].as_array();
    spec["clusterIP"] == "None"
        || ports.is_some_and(|ports| ports.iter().any(|p| p["targetPort"].is_string()))
}

fn backend(spec: &Value, service: &str, pod: &Object, value: &Value, ip: &str) -> Backend {
    let serving = pod.header.ready_since.is_some() || spec["publishNotReadyAddresses"] == true;
    let terminating = pod.header.deleted.is_some();
    let hostname = value["spec"]["hostname"].as_str().filter(|_| value["spec"]["subdomain"] == service);
    Backend {
        ip: ip.into(),
        node: pod.header.node.clone(),
        ready: serving && (!terminating || spec["publishNotReadyAddresses"] == true),
        terminating,
        serving,
        hostname: hostname.map(Into::into),
        target: json!({"kind": "Pod", "name": pod.name(), "namespace": pod.namespace(), "uid": &*pod.header.uid}),
    }
}

fn resolve_ports(spec: &Value, pod: &Value) -> Vec<Port> {
    let list = spec["ports"].as_array().into_iter().flatten();
    list.filter_map(|port| {
        let target = match &port["targetPort"] {
            Value::String(name) => {
                named_port(&pod["spec"], name, port["protocol"].as_str().unwrap_or("TCP"))?
            }
            Value::Number(number) => number.as_i64()?,
            _ => port["port"].as_i64()?,
        };
        Some(Port {
            name: port["name"].as_str().unwrap_or_default().into(),
            port: target,
            protocol: port["protocol"].as_str().unwrap_or("TCP").into(),
            app_protocol: port["appProtocol"].as_str().map(Into::into),
        })
    })
    .collect()
}

fn named_port(spec: &Value, name: &str, protocol: &str) -> Option<i64> {
    let ports = pod::containers(spec).flat_map(|c| c["ports"].as_array().into_iter().flatten());
    let mut matching =
        ports.filter(|p| p["name"] == name && p["protocol"].as_str().unwrap_or("TCP") == protocol);
    matching.next()?["containerPort"].as_i64()
}
