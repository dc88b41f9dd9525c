//! A pod's specification, whether in a Pod or in the template of a workload.

use super::container::{self, Place, Scope};
use super::{
    Errors, child, indexed, invalid, items, metadata, names, not_negative, scheduling, selector, text, volume,
};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Everything but what the schema alone says (types, required fields, enumerations).
pub fn pod_spec(errors: &mut Errors, path: &str, spec: &Value) {
    let volumes = volume::volumes(errors, &child(path, "volumes"), &spec["volumes"]);
    let mut scope = Scope { volumes, names: BTreeSet::new() };
    let main = child(path, "containers");
    if spec["containers"].as_array().is_some_and(Vec::is_empty) {
        errors.push(FieldError::required(&main, ""));
    }
    container::containers(errors, &main, &spec["containers"], Place::Main, &mut scope);
    let init = child(path, "initContainers");
    container::containers(errors, &init, &spec["initContainers"], Place::Init, &mut scope);
    host_ports(errors, path, spec);
    not_negative(
        errors,
        &child(path, "terminationGracePeriodSeconds"),
        &spec["terminationGracePeriodSeconds"],
    );
    for name in ["hostname", "subdomain"] {
        let value = text(&spec[name]);
        if !value.is_empty() {
            invalid(errors, &child(path, name), &spec[name], names::label(value));
        }
    }
    let account = text(&spec["serviceAccountName"]);
    if !account.is_empty() {
        let path = child(path, "serviceAccountName");
        invalid(errors, &path, &spec["serviceAccountName"], names::subdomain(account));
    }
    if spec["dnsPolicy"] == "None" && items(&spec["dnsConfig"]["nameservers"]).next().is_none() {
        let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.push(FieldError::required(&child(path, "dnsConfig.nameservers"), why));
    }
    host_aliases(errors, &child(path, "hostAliases"), &spec["hostAliases"]);
    for (path, gate) in indexed(&spec["readinessGates"], &child(path, "readinessGates")) {
        let condition = &gate["conditionType"];
        invalid(errors, &child(&path, "conditionType"), condition, names::label_key(text(condition)));
    }
    scheduling::placement(errors, path, spec);
}

fn host_aliases(errors: &mut Errors, path: &str, list: &Value) {
    for (path, alias) in indexed(list, path) {
        if text(&alias["ip"]).parse::<IpAddr>().is_err() {
            let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            errors.push(FieldError::invalid(&child(&path, "ip"), &alias["ip"], why));
        }
        for (path, name) in indexed(&alias["hostnames"], &child(&path, "hostnames")) {
            invalid(errors, &path, name, names::subdomain(text(name)));
        }
    }
}

/// The same host port cannot be asked for twice in one pod.
fn host_ports(errors: &mut Errors, path: &str, spec: &Value) {
    let mut seen = BTreeSet::new();
    for (path, container) in indexed(&spec["containers"], &child(path, "containers")) {
        for (path, port) in indexed(&container["ports"], &child(&path, "ports")) {
            let host_port = &port["hostPort"];
            let taken = host_port.as_i64().filter(|n| *n != 0).is_some_and(|n| {
                !seen.insert((n, text(&port["protocol"]).to_string(), text(&port["hostIP"]).to_string()))
            });
            if taken {
                let value = format!("{}/{}/{}", text(&port["hostIP"]), host_port, text(&port["protocol"]));
                errors.push(FieldError::duplicate(&child(&path, "hostPort"), &value.into()));
            }
        }
    }
}

/// The template of a workload: labels, annotations and the spec.
pub fn template(errors: &mut Errors, path: &str, template: &Value) {
    template_metadata(errors, path, template);
    pod_spec(errors, &child(path, "spec"), &template["spec"]);
}

/// Labels and annotations of a template.
pub fn template_metadata(errors: &mut Errors, path: &str, template: &Value) {
    selector::labels(errors, &child(path, "metadata.labels"), &template["metadata"]["labels"]);
    metadata::annotations(errors, &child(path, "metadata.annotations"), &template["metadata"]["annotations"]);
}

/// The pods of a workload of kind `owner` run for ever.
pub fn endless(errors: &mut Errors, path: &str, spec: &Value, owner: &str) {
    super::one_of(errors, &child(path, "restartPolicy"), &spec["restartPolicy"], &["Always"]);
    if !spec["activeDeadlineSeconds"].is_null() {
        let why = format!("activeDeadlineSeconds in {owner} is not Supported");
        errors.push(FieldError::forbidden(&child(path, "activeDeadlineSeconds"), &why));
    }
}
