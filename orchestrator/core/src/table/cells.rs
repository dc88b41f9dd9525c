//! The register of computed cells, and the small ones.

use super::{
    age, autoscaler, batch, certificate, ingress, network, node, pod, policy, rbac, volume, workload,
};
use jiff::Timestamp;
use peapod_api::meta;
use serde_json::{Map, Value};

/// What is printed where there is nothing.
pub(super) const NONE: &str = "<none>";
/// What is printed for a field that nobody has set.
pub(super) const UNSET: &str = "<unset>";

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
        "template.containers" => workload::column(&object["spec"]["template"], "name").into(),
        "template.images" => workload::column(&object["spec"]["template"], "image").into(),
        "template.node-selector" => labels(&object["spec"]["template"]["spec"]["nodeSelector"]).into(),
        "podtemplate.containers" => workload::column(&object["template"], "name").into(),
        "podtemplate.images" => workload::column(&object["template"], "image").into(),
        "podtemplate.labels" => labels(&object["template"]["metadata"]["labels"]).into(),
        "cronjob.containers" => {
            workload::column(&object["spec"]["jobTemplate"]["spec"]["template"], "name").into()
        }
        "cronjob.images" => {
            workload::column(&object["spec"]["jobTemplate"]["spec"]["template"], "image").into()
        }
        "cronjob.selector" => workload::selector(&object["spec"]["jobTemplate"]["spec"]["selector"]).into(),
        "cronjob.zone" => or_none(meta::text(object, "spec.timeZone")).into(),
        "cronjob.suspend" => batch::suspend(object).into(),
        "cronjob.active" => list(&object["status"]["active"]).len().into(),
        "cronjob.last" => batch::last_schedule(object, now).into(),
        "job.status" => batch::status(object).into(),
        "job.completions" => batch::completions(object).into(),
        "job.duration" => batch::duration(object, now).into(),
        "revision.controller" => workload::controller(object).into(),
        "autoscaler.reference" => autoscaler::reference(object).into(),
        "autoscaler.targets" => autoscaler::targets(object).into(),
        "autoscaler.min" => number_or(&object["spec"]["minReplicas"], UNSET),
        "spec.selector" => workload::selector(&object["spec"]["selector"]).into(),
        "spec.selector-map" => labels(&object["spec"]["selector"]).into(),
        "volume.spec-modes" => volume::modes(&object["spec"]["accessModes"]).into(),
        "volume.phase" => volume::phase(object).into(),
        "volume.claim" => volume::claim(object).into(),
        "volume.class" => volume::class(object).into(),
        "volume.attributes-class" => or_unset(meta::text(object, "spec.volumeAttributesClassName")).into(),
        "volume.mode" => or_unset(meta::text(object, "spec.volumeMode")).into(),
        "claim.capacity" => volume::claim_capacity(object).into(),
        "claim.modes" => volume::claim_modes(object).into(),
        "storageclass.name" => volume::class_name(object).into(),
        "storagecapacity.capacity" => or_unset(meta::text(object, "capacity")).into(),
        "csidriver.tokens" => volume::token_audiences(object).into(),
        "csidriver.modes" => volume::lifecycle_modes(object).into(),
        "csinode.drivers" => list(&object["spec"]["drivers"]).len().into(),
        "ingress.class" => ingress::class(object).into(),
        "ingress.hosts" => ingress::hosts(object).into(),
        "ingress.address" => ingress::address(object).into(),
        "ingress.ports" => ingress::ports(object).into(),
        "ingressclass.parameters" => ingress::parameters(object).into(),
        "networkpolicy.selector" => workload::selector(&object["spec"]["podSelector"]).into(),
        "ipaddress.parent" => ingress::address_parent(object).into(),
        "servicecidr.cidrs" => join(&object["spec"]["cidrs"]).into(),
        "quota.requests" => policy::quota(object, false).into(),
        "quota.limits" => policy::quota(object, true).into(),
        "budget.min" => number_or(&object["spec"]["minAvailable"], "N/A"),
        "budget.max" => number_or(&object["spec"]["maxUnavailable"], "N/A"),
        "policy.mutations" => list(&object["spec"]["mutations"]).len().into(),
        "policy.validations" => list(&object["spec"]["validations"]).len().into(),
        "policy.webhooks" => list(&object["webhooks"]).len().into(),
        "policy.param-kind" => policy::param_kind(object).into(),
        "policy.param-ref" => policy::param_ref(object).into(),
        "flow.distinguisher" => or_none(meta::text(object, "spec.distinguisherMethod.type")).into(),
        "flow.missing" => policy::missing_level(object).into(),
        "level.shares" => policy::level_shares(object),
        "level.queues" => policy::level_queueing(object, "queues"),
        "level.hand" => policy::level_queueing(object, "handSize"),
        "level.length" => policy::level_queueing(object, "queueLengthLimit"),
        "component.status" => policy::component_status(object).into(),
        "component.message" => policy::component(object)["message"].as_str().unwrap_or_default().into(),
        "component.error" => policy::component(object)["error"].as_str().unwrap_or_default().into(),
        "apiservice.service" => policy::service_of_api(object).into(),
        "apiservice.available" => policy::api_available(object).into(),
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

fn or_unset(text: Option<&str>) -> &str {
    text.filter(|t| !t.is_empty()).unwrap_or(UNSET)
}

/// A number or a percentage as a text.
pub(super) fn number_or(value: &Value, nothing: &str) -> Value {
    match value {
        Value::Number(n) => n.to_string().into(),
        Value::String(text) => text.as_str().into(),
        _ => nothing.into(),
    }
}

/// The texts of a list, with commas between them.
pub(super) fn join(value: &Value) -> String {
    list(value).filter_map(Value::as_str).collect::<Vec<_>>().join(",")
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
    age::since(times.iter().find_map(|time| time.as_str()).and_then(meta::parse_time), now)
}
