//! Services and what stands before and behind them.

use super::{any, ip, ips};
use crate::classes::INGRESS;
use crate::validation::{child, indexed, text};
use serde_json::Value;
use std::net::Ipv6Addr;

const OLD_TOPOLOGY: &str = "service.kubernetes.io/topology-aware-hints";
const TOPOLOGY: &str = "service.kubernetes.io/topology-mode";

/// A Service.
pub(super) fn look(service: &Value, out: &mut Vec<String>) {
    let spec = &service["spec"];
    let (type_, external_ips) = (text(&spec["type"]), any(&spec["externalIPs"]));
    let mut said = |wrong: bool, why: &str| {
        if wrong {
            out.push(why.into());
        }
    };
    let old = !service["metadata"]["annotations"][OLD_TOPOLOGY].is_null();
    said(old, &format!("annotation {OLD_TOPOLOGY} is deprecated, please use {TOPOLOGY} instead"));
    let headless = type_ == "ClusterIP" && spec["clusterIP"] == "None";
    if headless {
        let balanced = !text(&spec["loadBalancerIP"]).is_empty();
        said(balanced, "spec.loadBalancerIP is ignored for headless services");
        said(external_ips, "spec.externalIPs is ignored for headless services");
        let sticky = spec["sessionAffinity"] != "None";
        said(sticky, "spec.SessionAffinity is ignored for headless services");
    }
    said(external_ips, "spec.externalIPs is deprecated");
    let named = type_ == "ExternalName";
    said(external_ips && named, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
    let ignored = !text(&spec["externalName"]).is_empty() && !named;
    said(ignored, "spec.externalName is ignored when spec.type is not \"ExternalName\"");
    let close = spec["trafficDistribution"] == "PreferClose";
    said(close, "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"");
    if !headless {
        ips("spec.clusterIPs", &spec["clusterIPs"], out);
    }
    ips("spec.externalIPs", &spec["externalIPs"], out);
    ip("spec.loadBalancerIP", &spec["loadBalancerIP"], out);
    for (path, range) in indexed(&spec["loadBalancerSourceRanges"], "spec.loadBalancerSourceRanges") {
        cidr(&path, text(range).trim(), out);
    }
}

fn cidr(path: &str, given: &str, out: &mut Vec<String>) {
    let Some((ip, length)) = given.split_once('/') else { return };
    if let Ok(parsed) = ip.parse::<Ipv6Addr>()
        && parsed.to_string() != ip
    {
        let canonical = format!("{parsed}/{length}");
        out.push(format!(
            "{path}: IPv6 CIDR value {given:?} should be in RFC 5952 canonical format ({canonical:?})"
        ));
    }
}

/// Endpoints that a user keeps.
pub(super) fn endpoints(endpoints: &Value, out: &mut Vec<String>) {
    if endpoints["metadata"]["labels"]["endpoints.kubernetes.io/managed-by"] == "endpoint-controller" {
        return;
    }
    for (path, subset) in indexed(&endpoints["subsets"], "subsets") {
        for list in ["addresses", "notReadyAddresses"] {
            for (path, address) in indexed(&subset[list], &child(&path, list)) {
                ip(&child(&path, "ip"), &address["ip"], out);
            }
        }
    }
}

/// An EndpointSlice that a user keeps.
pub(super) fn slice(slice: &Value, out: &mut Vec<String>) {
    if slice["addressType"] == "FQDN" {
        return out.push("addressType: FQDN endpoints are deprecated".into());
    }
    for (path, endpoint) in indexed(&slice["endpoints"], "endpoints") {
        ips(&child(&path, "addresses"), &endpoint["addresses"], out);
    }
}

/// An Ingress that names its class the old way.
pub(super) fn ingress(ingress: &Value, out: &mut Vec<String>) {
    let old = &ingress["metadata"]["annotations"][INGRESS.annotation];
    if !old.is_null() && ingress["spec"]["ingressClassName"].is_null() {
        let key = INGRESS.annotation;
        out.push(format!("annotation {key:?} is deprecated, please use 'spec.ingressClassName' instead"));
    }
}
