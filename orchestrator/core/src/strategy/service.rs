//! Services. What is allocated for them is the business of [`crate::admission::service`].

use super::{Findings, PLAIN, Strategy};
use crate::validation::names::NameRule;
use crate::validation::{
    Errors, between, child, indexed, invalid, items, names, not_negative, probe, selector, status, text,
};
use peapod_api::FieldError;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

pub(super) static STRATEGY: Strategy = Strategy {
    name: NameRule::Dns1035Label,
    prepare_update,
    validate,
    validate_update,
    validate_status: status::service,
    ..PLAIN
};

/// Fields that only some types have: the field, those types, and the complaint.
const OF_TYPES: [(&str, &[&str], &str); 5] = [
    ("allocateLoadBalancerNodePorts", &["LoadBalancer"], "may only be used when `type` is 'LoadBalancer'"),
    ("loadBalancerClass", &["LoadBalancer"], "may only be used when `type` is 'LoadBalancer'"),
    ("loadBalancerSourceRanges", &["LoadBalancer"], "may only be used when `type` is 'LoadBalancer'"),
    (
        "externalTrafficPolicy",
        &["NodePort", "LoadBalancer"],
        "may only be set for externally-accessible services",
    ),
    (
        "healthCheckNodePort",
        &["LoadBalancer"],
        "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
    ),
];
const ALLOCATED: [&str; 4] = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];

/// Whether Services of this type open node ports.
pub fn has_node_ports(type_: &str) -> bool {
    matches!(type_, "NodePort" | "LoadBalancer")
}

/// What was allocated and is left out by the writer stays, unless the new type has no use for it.
fn prepare_update(new: &mut Value, old: &Value) {
    let (new, old) = (&mut new["spec"], &old["spec"]);
    let (now, was) = (text(&new["type"]).to_string(), text(&old["type"]));
    let Some(spec) = new.as_object_mut() else { return };
    for field in ALLOCATED {
        let unset = spec.get(field).is_none_or(|v| v.is_null() || *v == "");
        if now == "ExternalName" && was != now {
            spec.remove(field);
        } else if now != "ExternalName" && was != "ExternalName" && unset && !old[field].is_null() {
            spec.insert(field.into(), old[field].clone());
        }
    }
    if now != "ExternalName" {
        follow_address(spec, old);
    }
    // What the old type brought along and the new one has no use for goes, unless it is changed by the same write.
    for (field, types, _) in OF_TYPES.iter().filter(|(_, types, _)| types.contains(&was)) {
        if !types.contains(&now.as_str()) && spec.get(*field) == old.get(*field) {
            spec.remove(*field);
        }
    }
    for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
        keep_node_port(port, old, has_node_ports(&now));
    }
}

/// A writer who changes `clusterIP` and sends `clusterIPs` back as it was means both.
fn follow_address(spec: &mut Map<String, Value>, old: &Value) {
    let address = spec.get("clusterIP").cloned().unwrap_or_default();
    let changed = address != old["clusterIP"] && !address.is_null();
    if changed && spec.get("clusterIPs") == old.get("clusterIPs") {
        spec.insert("clusterIPs".into(), json!([address]));
    }
}

fn keep_node_port(port: &mut Value, old: &Value, wanted: bool) {
    let same = |other: &&Value| other["port"] == port["port"] && other["protocol"] == port["protocol"];
    let before = items(&old["ports"]).find(same).map(|p| p["nodePort"].clone()).filter(|n| !n.is_null());
    let (Some(before), Some(port)) = (before, port.as_object_mut()) else { return };
    if wanted && port.get("nodePort").is_none_or(|n| n.is_null() || *n == 0) {
        port.insert("nodePort".into(), before);
    } else if !wanted && port.get("nodePort") == Some(&before) {
        port.remove("nodePort");
    }
}

fn validate(service: &Value, findings: &mut Findings) {
    let (spec, errors) = (&service["spec"], &mut findings.errors);
    let type_ = text(&spec["type"]);
    if type_ == "LoadBalancer" {
        let why = "no load balancer is made: the Service is reached on its node ports";
        findings.warnings.push(format!("spec.type: {why}"));
    }
    if items(&spec["ports"]).next().is_none() && spec["clusterIP"] != "None" && type_ != "ExternalName" {
        errors.push(FieldError::required("spec.ports", ""));
    }
    address(spec, type_, errors);
    if type_ == "ExternalName" {
        external_name(spec, errors);
    }
    for (path, address) in indexed(&spec["externalIPs"], "spec.externalIPs") {
        invalid(errors, &path, address, names::ip(text(address)));
    }
    selector::labels(errors, "spec.selector", &spec["selector"]);
    affinity(spec, errors);
    of_type(spec, type_, errors);
    ports(spec, type_, errors);
    for field in ["loadBalancerSourceRanges", "externalIPs"] {
        if items(&spec[field]).next().is_some() {
            findings.warnings.push(format!("spec.{field}: has no effect"));
        }
    }
}

fn of_type(spec: &Value, type_: &str, errors: &mut Errors) {
    let outside = type_ == "ClusterIP" && items(&spec["externalIPs"]).next().is_some();
    for (field, types, why) in OF_TYPES {
        let (path, value) = (child("spec", field), &spec[field]);
        let absent = value.is_null() || *value == 0 || value.as_array().is_some_and(Vec::is_empty);
        match field {
            _ if absent || types.contains(&type_) => {}
            "externalTrafficPolicy" if outside => {}
            "externalTrafficPolicy" | "healthCheckNodePort" => {
                errors.push(FieldError::invalid(&path, value, why));
            }
            _ => errors.push(FieldError::forbidden(&path, why)),
        }
    }
    let policy_is_local = spec["externalTrafficPolicy"] == "Local";
    let port = &spec["healthCheckNodePort"];
    if type_ == "LoadBalancer" && !policy_is_local && port.as_i64().unwrap_or(0) != 0 {
        errors.push(FieldError::invalid("spec.healthCheckNodePort", port, OF_TYPES[4].2));
    }
}

fn address(spec: &Value, type_: &str, errors: &mut Errors) {
    let address = text(&spec["clusterIP"]);
    if address == "None" && has_node_ports(type_) {
        let why = format!("may not be set to 'None' for {type_} services");
        errors.push(FieldError::invalid("spec.clusterIPs[0]", &spec["clusterIP"], &why));
    }
    if !address.is_empty() && address != "None" {
        invalid(errors, "spec.clusterIPs[0]", &spec["clusterIP"], names::ip(address));
    }
    if items(&spec["clusterIPs"]).next().is_some_and(|first| *first != spec["clusterIP"]) {
        let why = "first value must match `clusterIP`";
        errors.push(FieldError::invalid("spec.clusterIPs", &spec["clusterIPs"], why));
    }
}

fn external_name(spec: &Value, errors: &mut Errors) {
    let name = text(&spec["externalName"]).trim_end_matches('.');
    if name.is_empty() {
        errors.push(FieldError::required("spec.externalName", ""));
    } else {
        invalid(errors, "spec.externalName", &spec["externalName"], names::subdomain(name));
    }
    if !text(&spec["clusterIP"]).is_empty() {
        let why = "may not be set for ExternalName services";
        errors.push(FieldError::forbidden("spec.clusterIP", why));
    }
}

fn affinity(spec: &Value, errors: &mut Errors) {
    const PATH: &str = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
    let seconds = &spec["sessionAffinityConfig"]["clientIP"]["timeoutSeconds"];
    between(errors, PATH, seconds, 1, 86400);
    if spec["sessionAffinity"] == "None" && !spec["sessionAffinityConfig"].is_null() {
        let why = "must not be set when session affinity is None";
        errors.push(FieldError::forbidden("spec.sessionAffinityConfig", why));
    }
}

fn ports(spec: &Value, type_: &str, errors: &mut Errors) {
    let several = items(&spec["ports"]).count() > 1;
    let (mut names_seen, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (path, port) in indexed(&spec["ports"], "spec.ports") {
        let (name, at) = (text(&port["name"]), child(&path, "name"));
        if name.is_empty() && several {
            errors.push(FieldError::required(&at, ""));
        } else if !name.is_empty() {
            invalid(errors, &at, &port["name"], names::label(name));
            if !names_seen.insert(name) {
                errors.push(FieldError::duplicate(&at, &port["name"]));
            }
        }
        between(errors, &child(&path, "port"), &port["port"], 1, 65535);
        if !port["targetPort"].is_null() {
            probe::port(errors, &child(&path, "targetPort"), &port["targetPort"]);
        }
        if !seen.insert((text(&port["protocol"]), port["port"].as_i64())) {
            let key = json!({"port": port["port"], "protocol": port["protocol"]});
            errors.push(FieldError::duplicate(&path, &key));
        }
        if port["protocol"] == "SCTP" {
            errors.push(FieldError::not_supported(
                &child(&path, "protocol"),
                &port["protocol"],
                &["TCP", "UDP"],
            ));
        }
    }
    node_ports(spec, type_, errors);
}

fn node_ports(spec: &Value, type_: &str, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (path, port) in indexed(&spec["ports"], "spec.ports") {
        let (path, number) = (child(&path, "nodePort"), &port["nodePort"]);
        not_negative(errors, &path, number);
        let Some(wanted) = number.as_i64().filter(|n| *n != 0) else { continue };
        if !has_node_ports(type_) {
            let why = format!("may not be used when `type` is '{type_}'");
            errors.push(FieldError::forbidden(&path, &why));
        } else if !seen.insert((text(&port["protocol"]), wanted)) {
            errors.push(FieldError::duplicate(&path, number));
        }
    }
}

fn validate_update(new: &Value, old: &Value, findings: &mut Findings) {
    let (new, old) = (&new["spec"], &old["spec"]);
    let external = |spec: &Value| spec["type"] == "ExternalName";
    if external(new) || external(old) || text(&old["clusterIP"]).is_empty() {
        return;
    }
    if new["clusterIP"] != old["clusterIP"] {
        let why = "may not change once set";
        findings.errors.push(FieldError::invalid("spec.clusterIPs[0]", &new["clusterIPs"], why));
    }
}
