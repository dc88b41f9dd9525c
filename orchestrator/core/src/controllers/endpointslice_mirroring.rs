//! EndpointSlices of the Endpoints that users keep themselves for a Service without a selector: who routes reads slices alone.

use super::endpointslice::{MANAGED_BY, bring_in_line};
use super::owned::{controller_reference, self_or_controller};
use super::{Context, Controller};
use crate::action::Outcome;
use crate::name;
use crate::snapshot::{Change, Snapshot};
use crate::validation::{items, text};
use peapod_api::well_known::{LAST_APPLIED, SERVICE_LABEL, SKIP_MIRROR};
use peapod_api::{Key, Object};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(super) const CONTROLLER: Controller = Controller { name: "endpointslicemirroring", triggers, reconcile };

const MANAGER: &str = "endpointslicemirroring-controller.k8s.io";
/// Endpoints with this annotation are no endpoints but a lock.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";
/// What is about the Endpoints and not about what they say.
const NOT_COPIED: [&str; 2] = [LAST_APPLIED, "endpoints.kubernetes.io/last-change-trigger-time"];
/// Addresses of a subset that are mirrored; Kubernetes' default.
const MAX_ADDRESSES: usize = 1000;

fn triggers(_: &Snapshot, change: &Change) -> Vec<Key> {
    match change.key.resource() {
        "services" => vec![Key::new("endpoints", change.key.namespace(), change.key.name())],
        "endpoints" | "endpointslices.discovery.k8s.io" => self_or_controller(change, "endpoints"),
        _ => Vec::new(),
    }
}

fn reconcile(snapshot: &Snapshot, key: &Key, _: &Context) -> Outcome {
    let Some(endpoints) = snapshot.get(key).filter(|e| e.header.deleted.is_none()) else {
        return Outcome::nothing();
    };
    let service = snapshot.find("services", key.namespace(), key.name());
    let is_theirs = service.is_some_and(|s| s.header.deleted.is_none() && s.header.selector.is_none());
    let value = endpoints.value();
    let wanted = if is_theirs && is_mirrored(&value) { slices(endpoints, &value) } else { BTreeMap::new() };
    bring_in_line(snapshot, endpoints, MANAGER, wanted)
}

fn is_mirrored(endpoints: &Value) -> bool {
    let metadata = &endpoints["metadata"];
    metadata["labels"][SKIP_MIRROR] != "true" && metadata["annotations"][LEADER].is_null()
}

/// One slice for each family of addresses that are served on the same ports, by name.
fn slices(endpoints: &Object, value: &Value) -> BTreeMap<String, Value> {
    let mut groups: BTreeMap<(String, &str), Vec<Value>> = BTreeMap::new();
    for subset in items(&value["subsets"]) {
        let ports = subset["ports"].to_string();
        let of = |list: &str, ready: bool| items(&subset[list]).map(move |address| (address, ready));
        for (address, ready) in
            of("addresses", true).chain(of("notReadyAddresses", false)).take(MAX_ADDRESSES)
        {
            let family = match text(&address["ip"]).parse() {
                Ok(IpAddr::V6(_)) => "IPv6",
                _ => "IPv4",
            };
            groups.entry((ports.clone(), family)).or_default().push(endpoint(address, ready));
        }
    }
    let slice = |((ports, family), list): ((String, &str), Vec<Value>)| {
        let parts = [endpoints.header.uid.as_bytes(), ports.as_bytes(), family.as_bytes()];
        let name = name::child(endpoints.name(), &name::suffix(&parts, 5));
        let ports: Value = serde_json::from_str(&ports).unwrap_or_default();
        (name.clone(), slice(endpoints, value, name, family, &ports, list))
    };
    groups.into_iter().map(slice).collect()
}

fn endpoint(address: &Value, ready: bool) -> Value {
    let mut endpoint = json!({"addresses": [address["ip"]], "conditions": {"ready": ready}});
    for field in ["hostname", "nodeName", "targetRef"] {
        if !address[field].is_null() {
            endpoint[field] = address[field].clone();
        }
    }
    endpoint
}

fn slice(
    endpoints: &Object,
    value: &Value,
    name: String,
    family: &str,
    ports: &Value,
    list: Vec<Value>,
) -> Value {
    let mut labels = (*endpoints.header.labels).clone();
    labels.insert(SERVICE_LABEL.into(), endpoints.name().into());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    let annotations = value["metadata"]["annotations"].as_object().into_iter().flatten();
    let copied = annotations.filter(|(key, _)| !NOT_COPIED.contains(&key.as_str()));
    let copied: Map<_, _> = copied.map(|(key, value)| (key.clone(), value.clone())).collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
        "metadata": {
            "name": name, "generateName": format!("{}-", endpoints.name()), "namespace": endpoints.namespace(),
            "labels": labels, "annotations": copied,
            "ownerReferences": [controller_reference("v1", "Endpoints", endpoints)],
        },
        "endpoints": list,
        // A port without a name is called so: an absent name would stand for any.
        "ports": items(ports).map(|port| {
            let mut port = port.clone();
            port["name"] = text(&port["name"]).into();
            port
        }).collect::<Vec<_>>(),
    })
}
