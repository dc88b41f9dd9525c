//! What a status may say, as Kubernetes has it: its writers are programs, and readers rely on them.

pub mod conditions;
mod counts;
mod job;
mod pod;

pub use counts::{autoscaler, budget, daemon_set, deployment, replica_set, stateful_set};
pub use job::job;
pub use pod::pod;

use super::{Errors, child, indexed, invalid, items, names, not_negative_amount, one_of, quantity, text};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::BTreeSet;

/// What the items of a list say in one of their fields.
fn texts<'a>(list: &'a Value, field: &str) -> BTreeSet<&'a str> {
    items(list).map(|item| text(&item[field])).collect()
}

/// A namespace says of itself whether it is being deleted.
pub fn namespace(new: &Value, _: &Value, errors: &mut Errors) {
    let dying = new["metadata"]["deletionTimestamp"].is_string();
    let phase = &new["status"]["phase"];
    let (expected, empty) = if dying { ("Terminating", "not empty") } else { ("Active", "empty") };
    if text(phase) != expected {
        let why = format!("may only be '{expected}' if `deletionTimestamp` is {empty}");
        errors.push(FieldError::invalid("status.Phase", &text(phase).into(), &why));
    }
}

/// What a node has and where it is reached; also where a node says so of itself when it registers.
pub fn node(node: &Value, errors: &mut Errors) {
    let status = &node["status"];
    for list in ["capacity", "allocatable"] {
        for (name, amount) in status[list].as_object().into_iter().flatten() {
            amount_of(name, &format!("status.{list}.{name}"), amount, errors);
        }
    }
    let mut seen = BTreeSet::new();
    for (path, address) in indexed(&status["addresses"], "status.addresses") {
        if !seen.insert((text(&address["type"]), text(&address["address"]))) {
            errors.push(FieldError::duplicate(&path, address));
        }
    }
}

/// Of pods, and of what a device plugin or an operator counts, there are no parts.
fn amount_of(name: &str, path: &str, amount: &Value, errors: &mut Errors) {
    not_negative_amount(errors, path, amount);
    let counted = name == "pods" || name.contains('/') && !name.contains("kubernetes.io/");
    if counted && quantity(amount).is_some_and(|amount| amount.milli() % 1000 != 0) {
        errors.push(FieldError::invalid(path, amount, "must be an integer"));
    }
}

/// Where a Service of type LoadBalancer is reached.
pub fn service(new: &Value, old: &Value, errors: &mut Errors) {
    const PATH: &str = "status.loadBalancer.ingress";
    const MODES: [&str; 2] = ["Proxy", "VIP"];
    let points = &new["status"]["loadBalancer"]["ingress"];
    if new["spec"]["type"] != "LoadBalancer" && items(points).next().is_some() {
        let why = "may only be used when `spec.type` is 'LoadBalancer'";
        return errors.push(FieldError::forbidden(PATH, why));
    }
    reached_at(PATH, points, &old["status"]["loadBalancer"]["ingress"], errors);
    for (path, point) in indexed(points, PATH) {
        let (at, mode, has_ip) = (child(&path, "ipMode"), &point["ipMode"], !text(&point["ip"]).is_empty());
        match (mode.is_null(), has_ip) {
            (true, true) => errors.push(FieldError::required(&at, "must be specified when `ip` is set")),
            (false, false) => {
                errors.push(FieldError::forbidden(&at, "may not be specified when `ip` is not set"));
            }
            _ => one_of(errors, &at, mode, &MODES),
        }
    }
}

/// Where an Ingress is reached.
pub fn ingress(new: &Value, old: &Value, errors: &mut Errors) {
    let (new, old) = (&new["status"]["loadBalancer"], &old["status"]["loadBalancer"]);
    reached_at("status.loadBalancer.ingress", &new["ingress"], &old["ingress"], errors);
}

/// Addresses and names; an address that was there before stays as it is.
fn reached_at(path: &str, points: &Value, old: &Value, errors: &mut Errors) {
    let known = texts(old, "ip");
    for (path, point) in indexed(points, path) {
        let (ip, host) = (&point["ip"], &point["hostname"]);
        if !text(ip).is_empty() && !known.contains(text(ip)) {
            invalid(errors, &child(&path, "ip"), ip, names::ip(text(ip)));
        }
        if !text(host).is_empty() {
            let at = child(&path, "hostname");
            invalid(errors, &at, host, names::subdomain(text(host)));
            if names::ip(text(host)).is_empty() {
                errors.push(FieldError::invalid(&at, host, "must be a DNS name, not an IP address"));
            }
        }
    }
}

/// What a claim got, and how far a change of its size is.
pub fn claim(new: &Value, _: &Value, errors: &mut Errors) {
    const RESIZING: [&str; 5] = [
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
        "NodeResizePending",
    ];
    let map = |field: &str| new["status"][field].as_object().into_iter().flatten();
    for (name, amount) in map("capacity") {
        basic(&format!("status.capacity[{name}]"), amount, errors);
    }
    for (name, state) in map("allocatedResourceStatuses") {
        const PATH: &str = "status.allocatedResourceStatuses";
        claimed(PATH, name, errors);
        if !RESIZING.contains(&text(state)) {
            errors.push(FieldError::not_supported(PATH, &name.as_str().into(), &RESIZING));
        }
    }
    for (name, amount) in map("allocatedResources") {
        claimed("status.allocatedResources", name, errors);
        basic(&format!("status.allocatedResources[{name}]"), amount, errors);
    }
}

fn basic(path: &str, amount: &Value, errors: &mut Errors) {
    if let Some(given) = quantity(amount).filter(|amount| amount.value() < 0) {
        errors.push(FieldError::invalid(path, &given.value().into(), "must be a valid resource quantity"));
    }
}

/// Of what Kubernetes itself has names for, a claim has storage alone.
fn claimed(path: &str, name: &str, errors: &mut Errors) {
    let complaints = names::label_key(name);
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    if complaints.is_empty() && native && name != "storage" {
        errors.push(FieldError::not_supported(path, &name.into(), &["storage"]));
    }
    invalid(errors, path, &name.into(), complaints);
}

/// What was found when a policy's expressions were looked at.
pub fn policy(new: &Value, _: &Value, errors: &mut Errors) {
    let warnings = &new["status"]["typeChecking"]["expressionWarnings"];
    for (path, warning) in indexed(warnings, "status.typeChecking.expressionWarnings") {
        for field in ["warning", "fieldRef"] {
            if text(&warning[field]).trim().is_empty() {
                errors.push(FieldError::required(&child(&path, field), ""));
            }
        }
    }
    conditions::full(errors, "status.conditions", &new["status"]["conditions"]);
}

#[cfg(test)]
mod tests;
