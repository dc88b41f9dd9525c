//! Pods and templates of pods.

mod files;
mod ports;

use super::storage::fraction;
use super::{ips, node_label, node_terms};
use crate::validation::{child, indexed, items, text};
use serde_json::Value;
use std::collections::BTreeSet;

/// Annotations that do nothing any more.
const GONE: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        "non-functional in v1.16+; use the \"priorityClassName\" field instead",
    ),
    ("security.alpha.kubernetes.io/sysctls", "non-functional in v1.11+; use the \"sysctls\" field instead"),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        "non-functional in v1.11+; use the \"sysctls\" field instead",
    ),
];
const POD_SECCOMP: &str = "seccomp.security.alpha.kubernetes.io/pod";
const CONTAINER_SECCOMP: &str = "container.seccomp.security.alpha.kubernetes.io/";
const CONTAINER_APPARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const USE_SECCOMP: &str = "non-functional in v1.27+; use the \"seccompProfile\" field instead";
const USE_APPARMOR: &str = "deprecated since v1.30; use the \"appArmorProfile\" field instead";
const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
/// Beyond both the indexes that failed may be too many to tell.
const MANY_COMPLETIONS: i64 = 100_000;
const MANY_PODS: i64 = 10_000;

/// A pod, where `path` is empty, or a template of pods that stands at `path`.
pub(super) fn look(path: &str, pod: &Value, out: &mut Vec<String>) {
    let (at, spec) = (child(path, "spec"), &pod["spec"]);
    nodes(&at, spec, out);
    annotations(path, pod, out);
    files::look(&spec["volumes"], out);
    repeated(&child(&at, "hostAliases"), &spec["hostAliases"], "ip", out);
    repeated(&child(&at, "imagePullSecrets"), &spec["imagePullSecrets"], "name", out);
    for (path, secret) in indexed(&spec["imagePullSecrets"], &child(&at, "imagePullSecrets")) {
        if text(&secret["name"]).is_empty() {
            out.push(format!("{path}.name: invalid empty name \"\""));
        }
    }
    ips(&child(&at, "dnsConfig.nameservers"), &spec["dnsConfig"]["nameservers"], out);
    bytes(&child(&at, "overhead"), &spec["overhead"], out);
    for (path, container) in containers(&at, spec) {
        for list in ["limits", "requests"] {
            bytes(&child(&path, &format!("resources.{list}")), &container["resources"][list], out);
        }
        hidden(&child(&path, "env"), &container["env"], out);
    }
    ports::look(&at, spec, out);
    if spec["terminationGracePeriodSeconds"].as_i64().is_some_and(|seconds| seconds < 0) {
        let why = "must be >= 0; negative values are invalid and will be treated as 1";
        out.push(format!("{at}.terminationGracePeriodSeconds: {why}"));
    }
    neighbours(&child(&at, "affinity"), &spec["affinity"], out);
}

/// A Job, or the template of Jobs that stands at `path`.
pub(super) fn job(path: &str, spec: &Value, out: &mut Vec<String>) {
    let above = |field: &str, limit: i64| spec[field].as_i64().is_some_and(|n| n > limit);
    let indexed = spec["completionMode"] == "Indexed";
    if indexed && above("completions", MANY_COMPLETIONS) && above("parallelism", MANY_PODS) {
        out.push(format!(
            "{path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, \
             Kubernetes might not be able to track completedIndexes when a big number of indexes fail"
        ));
    }
    look(&child(path, "template"), &spec["template"], out);
}

fn containers<'a>(path: &str, spec: &'a Value) -> Vec<(String, &'a Value)> {
    CONTAINERS.iter().flat_map(|list| indexed(&spec[*list], &child(path, list)).collect::<Vec<_>>()).collect()
}

/// Old names of what nodes are like.
fn nodes(path: &str, spec: &Value, out: &mut Vec<String>) {
    for (label, _) in spec["nodeSelector"].as_object().into_iter().flatten() {
        out.extend(node_label(label).map(|why| format!("{path}.nodeSelector[{label}]: {why}")));
    }
    let (at, affinity) = (child(path, "affinity.nodeAffinity"), &spec["affinity"]["nodeAffinity"]);
    let terms = &affinity[REQUIRED]["nodeSelectorTerms"];
    node_terms(&child(&at, &format!("{REQUIRED}.nodeSelectorTerms")), terms, out);
    for (path, term) in indexed(&affinity[PREFERRED], &child(&at, PREFERRED)) {
        let expressions = &term["preference"]["matchExpressions"];
        super::node_expressions(&child(&path, "preference.matchExpressions"), expressions, out);
    }
    let at = child(path, "topologySpreadConstraints");
    for (path, constraint) in indexed(&spec["topologySpreadConstraints"], &at) {
        let label = text(&constraint["topologyKey"]);
        out.extend(node_label(label).map(|why| format!("{path}.topologyKey: {label} is {why}")));
        if constraint["labelSelector"].is_null() {
            out.push(format!("{path}.labelSelector: {NO_SELECTOR}"));
        }
    }
}

fn annotations(path: &str, pod: &Value, out: &mut Vec<String>) {
    let (spec, annotations) = (&pod["spec"], &pod["metadata"]["annotations"]);
    let Some(map) = annotations.as_object().filter(|map| !map.is_empty()) else { return };
    let at = child(path, "metadata.annotations");
    let mut said = |key: &str, why: &str| {
        if map.contains_key(key) {
            out.push(format!("{at}[{key}]: {why}"));
        }
    };
    GONE.iter().for_each(|(key, why)| said(key, why));
    let sets = |holder: &Value, field: &str| !holder["securityContext"][field].is_null();
    if !sets(spec, "seccompProfile") {
        said(POD_SECCOMP, USE_SECCOMP);
    }
    let is_template = !path.is_empty();
    for container in CONTAINERS.iter().flat_map(|list| items(&spec[*list])) {
        let name = text(&container["name"]);
        if !sets(container, "seccompProfile") {
            said(&format!("{CONTAINER_SECCOMP}{name}"), USE_SECCOMP);
        }
        if is_template && !sets(spec, "appArmorProfile") && !sets(container, "appArmorProfile") {
            said(&format!("{CONTAINER_APPARMOR}{name}"), USE_APPARMOR);
        }
    }
}

fn repeated(path: &str, list: &Value, field: &str, out: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (path, item) in indexed(list, path) {
        if !seen.insert(text(&item[field])) {
            out.push(format!("{path}.{field}: duplicate {field} {:?}", text(&item[field])));
        }
    }
}

fn bytes(path: &str, amounts: &Value, out: &mut Vec<String>) {
    ["memory", "ephemeral-storage"].iter().for_each(|name| fraction(path, amounts, name, out));
}

/// Variables that take the place of others of the same name and do not speak of them.
fn hidden(path: &str, env: &Value, out: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for (path, variable) in indexed(env, path) {
        let (name, value) = (text(&variable["name"]), text(&variable["value"]));
        let before = format!("$({name})");
        let goes_on = variable["valueFrom"].is_null() && value.contains(&before) && value != before;
        if !seen.insert(name) && !goes_on {
            let why = "which may be dropped when using apply";
            out.push(format!("{path}: hides previous definition of {name:?}, {why}"));
        }
    }
}

/// Terms about other pods that mean none.
fn neighbours(path: &str, affinity: &Value, out: &mut Vec<String>) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        let at = child(path, kind);
        for (path, term) in indexed(&affinity[kind][REQUIRED], &child(&at, REQUIRED)) {
            if term["labelSelector"].is_null() {
                out.push(format!("{path}.labelSelector: {NO_SELECTOR}"));
            }
        }
        for (path, term) in indexed(&affinity[kind][PREFERRED], &child(&at, PREFERRED)) {
            if term["podAffinityTerm"]["labelSelector"].is_null() {
                out.push(format!("{path}.podAffinityTerm.labelSelector: {NO_SELECTOR}"));
            }
        }
    }
}
