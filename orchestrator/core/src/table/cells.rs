//! The register of computed cells, and the small ones.

use super::{age, certificate, network, node, pod, rbac, workload};
use jiff::Timestamp;
use peapod_api::meta;
use serde_json::{Map, Value};

/// What is printed where there is nothing.
pub(super) const NONE: &str = "<none>";

/// The cell registered under `name`.
pub(super) fn computed(name: &str, object: &Value, now: Timestamp) -> Option<Value> {
    Some(match name {
        "node.status" => node::status(object).into(),
        "node.roles" => node::roles(object).into(),
        "node.internal-ip" => node::address(object, "InternalIP").into(),
        "node.external-ip" => node::address(object, "ExternalIP").into(),
        "pod.ready" => pod::ready(object).into(),
        "pod.status" => pod::status(object).into(),
        "pod.restarts" => pod::restarts(object, now).into(),
        "pod.ip" => or_none(meta::text(object, "status.podIP")).into(),
        "pod.node" => or_none(meta::text(object, "spec.nodeName")).into(),
        "pod.nominated-node" => or_none(meta::text(object, "status.nominatedNodeName")).into(),
        "pod.readiness-gates" => pod::readiness_gates(object).into(),
        "service.cluster-ip" => network::cluster_ip(object).into(),
        "service.external-ip" => network::external_ip(object).into(),
        "service.ports" => network::service_ports(object).into(),
        "service.selector" => labels(&object["spec"]["selector"]).into(),
        "endpoints.addresses" => network::endpoints_addresses(object).into(),
        "endpointslice.ports" => network::slice_ports(object).into(),
        "endpointslice.endpoints" => network::slice_endpoints(object).into(),
        "configmap.data" => (entries(&object["data"]) + entries(&object["binaryData"])).into(),
        "secret.data" => entries(&object["data"]).into(),
        "serviceaccount.secrets" => list(&object["secrets"]).count().into(),
        "event.last-seen" => workload::event_last_seen(object, now).into(),
        "event.first-seen" => workload::event_first_seen(object, now).into(),
        "event.object" => workload::event_object(object).into(),
        "event.source" => workload::event_source(object).into(),
        "event.count" => workload::event_count(object).into(),
        "template.containers" => workload::template_column(object, "name").into(),
        "template.images" => workload::template_column(object, "image").into(),
        "spec.selector" => workload::selector(object).into(),
        "deployment.ready" => workload::deployment_ready(object).into(),
        "csr.duration" => certificate::duration(object).into(),
        "csr.condition" => certificate::condition(object).into(),
        "rolebinding.role" => rbac::role(object).into(),
        "rolebinding.users" => rbac::subjects(object, "User").into(),
        "rolebinding.groups" => rbac::subjects(object, "Group").into(),
        "rolebinding.serviceaccounts" => rbac::subjects(object, "ServiceAccount").into(),
        _ => return None,
    })
}

pub(super) fn or_none(text: Option<&str>) -> &str {
    text.filter(|t| !t.is_empty()).unwrap_or(NONE)
}

pub(super) fn list(value: &Value) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
    value.as_array().map(Vec::as_slice).unwrap_or_default().iter()
}

pub(super) fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_default()
}

fn entries(value: &Value) -> usize {
    value.as_object().map_or(0, Map::len)
}

/// `a=b,c=d`, or `<none>`.
pub(super) fn labels(map: &Value) -> String {
    let pairs = map.as_object().into_iter().flatten();
    let text: Vec<String> = pairs.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())).collect();
    if text.is_empty() { NONE.into() } else { text.join(",") }
}

/// The time from the first of `times` that is there; `<unknown>` if none is.
pub(super) fn first_age(times: &[&Value], now: Timestamp) -> String {
    age::since(times.iter().find_map(|time| time.as_str()), now)
}
