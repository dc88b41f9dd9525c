//! Services and what stands around them.

use super::{child, items, made, set};
use serde_json::{Value, json};

/// Seconds that a client sticks to one endpoint.
const AFFINITY_SECONDS: u32 = 10_800;

pub(super) fn service(object: &mut Value) {
    let spec = made(object, "spec");
    set(spec, "type", "ClusterIP");
    set(spec, "sessionAffinity", "None");
    for port in items(spec, "ports") {
        let number = port["port"].clone();
        if port.get("targetPort").is_none_or(|target| target == 0 || target == "") {
            port["targetPort"] = number;
        }
    }
    match spec["sessionAffinity"].as_str() {
        Some("ClientIP") => {
            set(made(made(spec, "sessionAffinityConfig"), "clientIP"), "timeoutSeconds", AFFINITY_SECONDS)
        }
        _ => {
            spec.as_object_mut().map(|map| map.remove("sessionAffinityConfig"));
        }
    }
    let service_type = spec["type"].as_str().unwrap_or_default().to_string();
    if matches!(service_type.as_str(), "NodePort" | "LoadBalancer") {
        set(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(service_type.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        set(spec, "internalTrafficPolicy", "Cluster");
    }
    if service_type == "LoadBalancer" {
        set(spec, "allocateLoadBalancerNodePorts", true);
        let Some(balancer) = object.pointer_mut("/status/loadBalancer") else { return };
        for point in items(balancer, "ingress") {
            if point["ip"].as_str().is_some_and(|ip| !ip.is_empty()) {
                set(point, "ipMode", "VIP");
            }
        }
    }
}

pub(super) fn endpoint_slice(object: &mut Value) {
    for port in items(object, "ports") {
        set(port, "name", "");
        set(port, "protocol", "TCP");
    }
}

pub(super) fn network_policy(object: &mut Value) {
    let spec = made(object, "spec");
    for rules in ["ingress", "egress"] {
        for rule in items(spec, rules) {
            for port in items(rule, "ports") {
                set(port, "protocol", "TCP");
            }
        }
    }
    let egress = spec["egress"].as_array().is_some_and(|rules| !rules.is_empty());
    set(spec, "policyTypes", if egress { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) });
}

pub(super) fn ingress_class(object: &mut Value) {
    if let Some(parameters) = child(made(object, "spec"), "parameters") {
        set(parameters, "scope", "Cluster");
    }
}
