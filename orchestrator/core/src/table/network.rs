//! Cells of Services, Endpoints and EndpointSlices.

use super::cells::{NONE, UNSET, list, number, or_none};
use peapod_api::meta;
use serde_json::Value;

/// How many addresses or ports a cell names before it says `+ N more...`.
const SHOWN: usize = 3;

/// The first cluster IP, `None` for a headless Service.
pub(super) fn cluster_ip(service: &Value) -> &str {
    let first = list(&service["spec"]["clusterIPs"]).next().and_then(Value::as_str);
    or_none(first.or(meta::text(service, "spec.clusterIP")))
}

/// Where the Service is reached from outside, by its type.
pub(super) fn external_ip(service: &Value) -> String {
    let spec = &service["spec"];
    let own: Vec<&str> = list(&spec["externalIPs"]).filter_map(Value::as_str).collect();
    match spec["type"].as_str() {
        Some("ExternalName") => or_none(spec["externalName"].as_str()).into(),
        Some("LoadBalancer") => {
            let ingress = list(&service["status"]["loadBalancer"]["ingress"]);
            let ingress = ingress.filter_map(|i| i["ip"].as_str().or(i["hostname"].as_str()));
            let all: Vec<&str> = ingress.chain(own).collect();
            if all.is_empty() { "<pending>".into() } else { all.join(",") }
        }
        _ if own.is_empty() => NONE.into(),
        _ => own.join(","),
    }
}

/// `80/TCP`, or `80:30080/TCP` with a node port.
pub(super) fn service_ports(service: &Value) -> String {
    let port = |p: &Value| {
        let (port, protocol) = (number(&p["port"]), p["protocol"].as_str().unwrap_or("TCP"));
        match number(&p["nodePort"]) {
            0 => format!("{port}/{protocol}"),
            node_port => format!("{port}:{node_port}/{protocol}"),
        }
    };
    let ports: Vec<String> = list(&service["spec"]["ports"]).map(port).collect();
    if ports.is_empty() { NONE.into() } else { ports.join(",") }
}

/// `10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 4 more...`
pub(super) fn endpoints_addresses(endpoints: &Value) -> String {
    let mut all = Vec::new();
    for subset in list(&endpoints["subsets"]) {
        let ips: Vec<&str> = list(&subset["addresses"]).filter_map(|a| a["ip"].as_str()).collect();
        if list(&subset["ports"]).len() == 0 {
            all.extend(ips.iter().map(|ip| ip.to_string()));
        }
        for port in list(&subset["ports"]) {
            all.extend(ips.iter().map(|ip| join(ip, number(&port["port"]))));
        }
    }
    shortened(&all, NONE)
}

fn join(ip: &str, port: i64) -> String {
    if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") }
}

/// The slice's port numbers.
pub(super) fn slice_ports(slice: &Value) -> String {
    let port = |p: &Value| p["port"].as_i64().map_or_else(|| "*".to_string(), |n| n.to_string());
    let ports: Vec<String> = list(&slice["ports"]).map(port).collect();
    shortened(&ports, UNSET)
}

/// The slice's addresses.
pub(super) fn slice_endpoints(slice: &Value) -> String {
    let addresses = list(&slice["endpoints"]).flat_map(|e| list(&e["addresses"]));
    let all: Vec<String> = addresses.filter_map(Value::as_str).map(Into::into).collect();
    shortened(&all, UNSET)
}

fn shortened(all: &[String], nothing: &str) -> String {
    match all.len() {
        0 => nothing.into(),
        n if n <= SHOWN => all.join(","),
        n => format!("{} + {} more...", all[..SHOWN].join(","), n - SHOWN),
    }
}
