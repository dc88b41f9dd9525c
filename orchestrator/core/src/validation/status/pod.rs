//! Of a pod. Rules: Kubernetes, what a kubelet may say of a pod's status.

use super::super::{Errors, between, child, immutable, indexed, invalid, items, names, text};
use super::texts;
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Conditions whose names have no domain.
const SYSTEM_CONDITIONS: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];
const MAX_ID: i64 = i32::MAX as i64;
/// Every list of container statuses.
const LISTS: [&str; 3] = ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"];

/// Of a pod.
pub fn pod(new: &Value, old: &Value, errors: &mut Errors) {
    let (status, before) = (&new["status"], &old["status"]);
    for (path, condition) in indexed(&status["conditions"], "status.conditions") {
        generation(&path, condition, errors);
        let type_ = &condition["type"];
        if !SYSTEM_CONDITIONS.contains(&text(type_)) {
            invalid(errors, &child(&path, "Type"), type_, names::label_key(text(type_)));
        }
    }
    nominated(new, old, errors);
    generation("status", status, errors);
    immutable(errors, "status.qosClass", &status["qosClass"], &before["qosClass"]);
    for list in LISTS {
        let policy = if list == LISTS[2] { "Never" } else { text(&old["spec"]["restartPolicy"]) };
        transitions(list, policy, &status[list], &before[list], errors);
        users(&child("status", list), &status[list], errors);
    }
    claims(status, &new["spec"]["resourceClaims"], errors);
    addresses("status.podIPs", &status["podIPs"], &before["podIPs"], errors);
    let (first, all) = (&status["hostIP"], &status["hostIPs"]);
    if items(all).next().is_some_and(|ip| ip["ip"] != *first) {
        errors.push(FieldError::invalid("status.hostIPs[0].ip", &all[0]["ip"], "must be equal to `hostIP`"));
    }
    addresses("status.hostIPs", all, &before["hostIPs"], errors);
}

fn generation(path: &str, object: &Value, errors: &mut Errors) {
    let generation = &object["observedGeneration"];
    if generation.as_i64().is_some_and(|n| n < 0) {
        let why = "must be a non-negative integer";
        errors.push(FieldError::invalid(&child(path, "observedGeneration"), generation, why));
    }
}

/// A node is kept in mind for a pod that has none.
fn nominated(new: &Value, old: &Value, errors: &mut Errors) {
    const PATH: &str = "status.nominatedNodeName";
    let name = &new["status"]["nominatedNodeName"];
    if text(name).is_empty() || *name == old["status"]["nominatedNodeName"] {
        return;
    }
    invalid(errors, PATH, name, names::subdomain(text(name)));
    if !text(&old["spec"]["nodeName"]).is_empty() {
        let why = "may not be set on pods that are already bound to a node";
        errors.push(FieldError::forbidden(PATH, why));
    }
}

/// A container that has ended for good stays ended.
fn transitions(list: &str, policy: &str, new: &Value, old: &Value, errors: &mut Errors) {
    let running = |status: &&Value| !status["state"]["terminated"].is_object();
    let running: BTreeSet<&str> = items(new).filter(running).map(|status| text(&status["name"])).collect();
    for (path, was) in indexed(old, &child("status", list)) {
        let ended = &was["state"]["terminated"];
        let restarts = match policy {
            "Never" => false,
            "OnFailure" => ended["exitCode"].as_i64().unwrap_or(0) != 0,
            _ => true,
        };
        if ended.is_object() && !restarts && running.contains(text(&was["name"])) {
            let why = "may not be transitioned to non-terminated state";
            errors.push(FieldError::forbidden(&child(&path, "state"), why));
        }
    }
}

fn users(path: &str, statuses: &Value, errors: &mut Errors) {
    for (path, status) in indexed(statuses, path) {
        let (user, path) = (&status["user"]["linux"], child(&path, "user.linux"));
        for id in ["uid", "gid"] {
            between(errors, &child(&path, id), &user[id], 0, MAX_ID);
        }
        for (path, id) in indexed(&user["supplementalGroups"], &child(&path, "supplementalGroups")) {
            between(errors, &path, id, 0, MAX_ID);
        }
    }
}

/// Claims to devices that were made for the pod.
fn claims(status: &Value, asked: &Value, errors: &mut Errors) {
    let (asked, mut seen) = (texts(asked, "name"), BTreeSet::new());
    for (path, claim) in indexed(&status["resourceClaimStatuses"], "status.resourceClaimStatuses") {
        let (at, name) = (child(&path, "name"), &claim["name"]);
        if !asked.contains(text(name)) {
            let why = "must match the name of an entry in `spec.resourceClaims`";
            errors.push(FieldError::invalid(&at, name, why));
        }
        if !seen.insert(text(name)) {
            errors.push(FieldError::duplicate(&at, name));
        }
        if let Some(made) = claim["resourceClaimName"].as_str() {
            let at = child(&path, "resourceClaimName");
            invalid(errors, &at, &claim["resourceClaimName"], names::subdomain(made));
        }
    }
}

/// One address, or one of each family.
fn addresses(path: &str, list: &Value, old: &Value, errors: &mut Errors) {
    let (known, mut seen) = (texts(old, "ip"), BTreeSet::new());
    for (path, one) in indexed(list, path) {
        let ip = &one["ip"];
        if !known.contains(text(ip)) {
            invalid(errors, &path, ip, names::ip(text(ip)));
        }
        if !seen.insert(text(ip)) {
            errors.push(FieldError::duplicate(&path, one));
        }
    }
    let parsed: Vec<IpAddr> = items(list).filter_map(|one| text(&one["ip"]).parse().ok()).collect();
    let count = items(list).count();
    let is_pair = count == 2 && parsed.len() == 2 && parsed[0].is_ipv4() != parsed[1].is_ipv4();
    if count > 1 && parsed.len() == count && !is_pair {
        let why = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid(path, list, why));
    }
}
