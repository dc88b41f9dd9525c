//! Containers of pods: names, ports, environment, mounts, resources, probes.

use super::probe::{self, Role};
use super::{Errors, between, child, indexed, invalid, names, text};
use peapod_api::{FieldError, Quantity};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Whether a container runs beside the others or before them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In `containers`.
    Main,
    /// In `initContainers`.
    Init,
}

/// What all containers of a pod share.
pub struct Scope<'a> {
    /// The names of the pod's volumes.
    pub volumes: BTreeSet<&'a str>,
    /// The container names met so far.
    pub names: BTreeSet<&'a str>,
}

/// One list of containers.
pub fn containers<'a>(errors: &mut Errors, path: &str, list: &'a Value, place: Place, scope: &mut Scope<'a>) {
    for (path, container) in indexed(list, path) {
        let (name, at) = (text(&container["name"]), child(&path, "name"));
        if !name.is_empty() {
            invalid(errors, &at, &container["name"], names::label(name));
            if !scope.names.insert(name) {
                errors.push(FieldError::duplicate(&at, &container["name"]));
            }
        }
        image(errors, &path, container);
        ports(errors, &child(&path, "ports"), &container["ports"]);
        environment(errors, &path, container);
        mounts(errors, &child(&path, "volumeMounts"), &container["volumeMounts"], &scope.volumes);
        resources(errors, &child(&path, "resources"), &container["resources"]);
        probes(errors, &path, container, place);
    }
}

fn image(errors: &mut Errors, path: &str, container: &Value) {
    let (image, path) = (text(&container["image"]), child(path, "image"));
    if image.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        errors.push(FieldError::invalid(&path, &container["image"], why));
    }
}

fn ports(errors: &mut Errors, path: &str, list: &Value) {
    let mut seen = BTreeSet::new();
    for (path, port) in indexed(list, path) {
        let (name, at) = (text(&port["name"]), child(&path, "name"));
        if !name.is_empty() {
            let complaints = names::port_name(name);
            if complaints.is_empty() && !seen.insert(name) {
                errors.push(FieldError::duplicate(&at, &port["name"]));
            }
            invalid(errors, &at, &port["name"], complaints);
        }
        between(errors, &child(&path, "containerPort"), &port["containerPort"], 1, 65535);
        between(errors, &child(&path, "hostPort"), &port["hostPort"], 1, 65535);
    }
}

fn environment(errors: &mut Errors, path: &str, container: &Value) {
    for (path, variable) in indexed(&container["env"], &child(path, "env")) {
        let name = text(&variable["name"]);
        if !name.is_empty() {
            invalid(errors, &child(&path, "name"), &variable["name"], names::env_name(name));
        }
        if !variable["valueFrom"].is_null() {
            value_from(errors, &child(&path, "valueFrom"), variable);
        }
    }
    for (path, source) in indexed(&container["envFrom"], &child(path, "envFrom")) {
        let prefix = text(&source["prefix"]);
        if !prefix.is_empty() {
            invalid(errors, &child(&path, "prefix"), &source["prefix"], names::env_name(prefix));
        }
        env_from(errors, &path, source);
    }
}

fn env_from(errors: &mut Errors, path: &str, source: &Value) {
    let present: Vec<&str> =
        ["configMapRef", "secretRef"].into_iter().filter(|name| !source[*name].is_null()).collect();
    match present[..] {
        [] => {
            let why = "must specify one of: `configMapRef` or `secretRef`";
            errors.push(FieldError::invalid(path, &json!(""), why));
        }
        [one] if text(&source[one]["name"]).is_empty() => {
            errors.push(FieldError::required(&child(path, &format!("{one}.name")), ""));
        }
        [_] => {}
        _ => {
            let why = "may not have more than one field specified at a time";
            errors.push(FieldError::invalid(path, &json!(""), why));
        }
    }
}

const SOURCES: [&str; 5] = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

fn value_from(errors: &mut Errors, path: &str, variable: &Value) {
    let from = &variable["valueFrom"];
    let present: Vec<&str> = SOURCES.into_iter().filter(|name| !from[*name].is_null()).collect();
    if present.is_empty() {
        let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef`, or `fileKeyRef`";
        errors.push(FieldError::invalid(path, &json!(""), why));
    }
    if !text(&variable["value"]).is_empty() && !present.is_empty() {
        errors.push(FieldError::invalid(path, &json!(""), "may not be specified when `value` is not empty"));
    }
    if present.len() > 1 {
        let why = "may not have more than one field specified at a time";
        errors.push(FieldError::invalid(path, &json!(""), why));
    }
    for name in present {
        let (path, source) = (child(path, name), &from[name]);
        match name {
            "fieldRef" => field_ref(errors, &child(&path, "fieldPath"), &source["fieldPath"]),
            "configMapKeyRef" | "secretKeyRef" => key_ref(errors, &path, source),
            "resourceFieldRef" => resource_field_ref(errors, &path, source),
            _ => {}
        }
    }
}

fn key_ref(errors: &mut Errors, path: &str, source: &Value) {
    if text(&source["name"]).is_empty() {
        errors.push(FieldError::required(&child(path, "name"), ""));
    }
    let key = text(&source["key"]);
    if !key.is_empty() {
        invalid(errors, &child(path, "key"), &source["key"], names::data_key(key));
    }
}

fn field_ref(errors: &mut Errors, path: &str, field: &Value) {
    let name = text(field);
    if name.is_empty() || FIELDS.contains(&name) {
        return;
    }
    let subscript = ["metadata.labels", "metadata.annotations"]
        .iter()
        .find_map(|map| name.strip_prefix(map)?.strip_prefix("['")?.strip_suffix("']"));
    match subscript {
        Some(key) => invalid(errors, path, &key.into(), names::label_key(&key.to_lowercase())),
        None => errors.push(FieldError::not_supported(path, field, &FIELDS)),
    }
}

const RESOURCE_FIELDS: [&str; 4] = ["limits.cpu", "limits.memory", "requests.cpu", "requests.memory"];
/// What amounts of memory may be divided by.
const MEMORY_DIVISORS: [&str; 13] =
    ["1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"];

fn resource_field_ref(errors: &mut Errors, path: &str, source: &Value) {
    let name = text(&source["resource"]);
    if !RESOURCE_FIELDS.contains(&name) {
        let at = child(path, "resource");
        return errors.push(FieldError::not_supported(&at, &source["resource"], &RESOURCE_FIELDS));
    }
    let divisor = text(&source["divisor"]);
    let (known, why): (&[&str], _) = match name.ends_with("cpu") {
        true => (&["1m", "1"], "only divisor's values 1m and 1 are supported with the cpu resource"),
        false => (
            &MEMORY_DIVISORS,
            "only divisor's values 1, 1k, 1M, 1G, 1T, 1P, 1E, 1Ki, 1Mi, 1Gi, 1Ti, 1Pi, 1Ei are supported with the \
             memory resource",
        ),
    };
    if !matches!(divisor, "" | "0") && !known.contains(&divisor) {
        errors.push(FieldError::invalid(&child(path, "divisor"), &source["divisor"], why));
    }
}

fn mounts(errors: &mut Errors, path: &str, list: &Value, volumes: &BTreeSet<&str>) {
    let mut seen = BTreeSet::new();
    for (path, mount) in indexed(list, path) {
        let name = text(&mount["name"]);
        if !name.is_empty() && !volumes.contains(name) {
            errors.push(FieldError::not_found(&child(&path, "name"), &mount["name"]));
        }
        let target = text(&mount["mountPath"]);
        if !target.is_empty() && !seen.insert(target) {
            errors.push(FieldError::invalid(
                &child(&path, "mountPath"),
                &mount["mountPath"],
                "must be unique",
            ));
        }
        let inside = &mount["subPath"];
        invalid(errors, &child(&path, "subPath"), inside, names::relative_path(text(inside)));
    }
}

fn resources(errors: &mut Errors, path: &str, resources: &Value) {
    for list in ["limits", "requests"] {
        let path = child(path, list);
        for (name, amount) in resources[list].as_object().into_iter().flatten() {
            let at = format!("{path}[{name}]");
            invalid(errors, &at, &name.as_str().into(), names::label_key(name));
            let quantity = text(amount).parse::<Quantity>();
            if quantity.is_ok_and(|q| q.is_negative()) {
                errors.push(FieldError::invalid(&at, amount, "must be greater than or equal to 0"));
            }
        }
    }
    for (name, request) in resources["requests"].as_object().into_iter().flatten() {
        let limit = &resources["limits"][name.as_str()];
        let (Ok(asked), Ok(allowed)) = (text(request).parse::<Quantity>(), text(limit).parse::<Quantity>())
        else {
            continue;
        };
        if asked > allowed {
            let why = format!("must be less than or equal to {name} limit of {allowed}");
            errors.push(FieldError::invalid(&child(path, "requests"), request, &why));
        }
    }
}

fn probes(errors: &mut Errors, path: &str, container: &Value, place: Place) {
    for role in Role::ALL {
        let (at, value) = (child(path, role.field()), &container[role.field()]);
        if value.is_null() {
            continue;
        }
        if place == Place::Init {
            let why = "may not be set for init containers without restartPolicy=Always";
            errors.push(FieldError::forbidden(&at, why));
        } else {
            probe::probe(errors, &at, value, role);
        }
    }
}
