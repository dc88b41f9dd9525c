//! What Kubernetes tells the writer of an object that it accepts all the same: what is deprecated, ignored or probably meant
//! otherwise. What this server does otherwise than Kubernetes is told by the kinds' strategies.

mod pod;
mod service;
mod storage;

use crate::validation::{child, indexed, items, names, text};
use peapod_api::Kind;
use serde_json::Value;
use std::net::IpAddr;

/// Which writes are warned of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// The first.
    Created,
    /// The first, and each that raises the generation.
    Changed,
    /// All.
    Written,
}

/// What is looked for in objects of a kind.
struct Row {
    group: &'static str,
    plural: &'static str,
    when: When,
    look: fn(&Value, &mut Vec<String>),
}

const fn row(
    group: &'static str,
    plural: &'static str,
    when: When,
    look: fn(&Value, &mut Vec<String>),
) -> Row {
    Row { group, plural, when, look }
}

/// The one table.
const ROWS: &[Row] = &[
    row("", "pods", When::Created, |pod, out| {
        hostname(pod, "the Pod's hostname", out);
        pod::look("", pod, out);
    }),
    row("", "podtemplates", When::Changed, |object, out| pod::look("template", &object["template"], out)),
    row("", "replicationcontrollers", When::Created, in_names_of_pods),
    row("", "replicationcontrollers", When::Changed, template),
    row("apps", "replicasets", When::Created, in_names_of_pods),
    row("apps", "replicasets", When::Changed, template),
    row("apps", "deployments", When::Created, in_names_of_pods),
    row("apps", "deployments", When::Changed, template),
    row("apps", "statefulsets", When::Created, in_names_of_pods),
    row("apps", "statefulsets", When::Changed, template),
    row("apps", "statefulsets", When::Written, |set, out| {
        let spec = &set["spec"];
        if spec["revisionHistoryLimit"].as_i64().is_some_and(|limit| limit < 0) {
            let why = "a negative value retains all historical revisions; a value >= 0 is recommended";
            out.push(format!("spec.revisionHistoryLimit: {why}"));
        }
        for (path, claim) in indexed(&spec["volumeClaimTemplates"], "spec.volumeClaimTemplates") {
            storage::amounts(&path, &claim["spec"], out);
        }
    }),
    row("apps", "daemonsets", When::Changed, template),
    row("batch", "jobs", When::Created, in_names_of_pods),
    row("batch", "jobs", When::Changed, |job, out| pod::job("spec", &job["spec"], out)),
    row("batch", "cronjobs", When::Created, in_names_of_pods),
    row("batch", "cronjobs", When::Changed, |cron_job, out| {
        pod::job("spec.jobTemplate.spec", &cron_job["spec"]["jobTemplate"]["spec"], out);
    }),
    row("", "services", When::Written, service::look),
    row("", "endpoints", When::Written, service::endpoints),
    row("discovery.k8s.io", "endpointslices", When::Written, service::slice),
    row("networking.k8s.io", "ingresses", When::Created, service::ingress),
    row("", "persistentvolumes", When::Written, storage::volume),
    row("", "persistentvolumeclaims", When::Written, storage::claim),
    row("storage.k8s.io", "storageclasses", When::Written, storage::class),
    row("storage.k8s.io", "csistoragecapacities", When::Written, storage::capacity),
    row("node.k8s.io", "runtimeclasses", When::Written, |class, out| {
        for (label, _) in class["scheduling"]["nodeSelector"].as_object().into_iter().flatten() {
            out.extend(node_label(label).map(|why| format!("scheduling.nodeSelector: {why}")));
        }
    }),
    row("", "nodes", When::Written, |node, out| {
        if !node["spec"]["configSource"].is_null() {
            out.push("spec.configSource: the feature is removed".into());
        }
        if !text(&node["spec"]["externalID"]).is_empty() {
            out.push("spec.externalID: this field is deprecated, and is unused by Kubernetes".into());
        }
    }),
    row("", "serviceaccounts", When::Written, |account, out| {
        const KEY: &str = "kubernetes.io/enforce-mountable-secrets";
        if account["metadata"]["annotations"][KEY].is_string() {
            let why = "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
            out.push(format!("metadata.annotations[{KEY}]: {why}"));
        }
    }),
];

/// Warns of `new`, which takes the place of `old`.
pub(crate) fn of(kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<String> {
    let generation = |object: &Value| object["metadata"]["generation"].as_i64();
    let is_due = |when: When| match (when, old) {
        (_, None) | (When::Written, _) => true,
        (When::Changed, Some(old)) => generation(new) != generation(old),
        (When::Created, Some(_)) => false,
    };
    let mut out = Vec::new();
    for row in ROWS.iter().filter(|row| row.plural == kind.plural && row.group == kind.group) {
        if is_due(row.when) {
            (row.look)(new, &mut out);
        }
    }
    out
}

fn template(workload: &Value, out: &mut Vec<String>) {
    pod::look("spec.template", &workload["spec"]["template"], out);
}

fn in_names_of_pods(workload: &Value, out: &mut Vec<String>) {
    hostname(workload, "Pod names and hostnames", out);
}

/// What becomes part of a host's name is best a label of DNS.
fn hostname(object: &Value, part_of: &str, out: &mut Vec<String>) {
    let complaints = names::label(text(&object["metadata"]["name"]));
    if !complaints.is_empty() {
        out.push(format!(
            "metadata.name: this is used in {part_of}, which can result in surprising behavior; a DNS label is \
             recommended: [{}]",
            complaints.join(" ")
        ));
    }
}

/// What to use instead of a label of nodes.
fn node_label(label: &str) -> Option<&'static str> {
    Some(match label {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        _ => return None,
    })
}

/// Old labels in `matchExpressions`, which stand below `path`.
fn node_expressions(path: &str, expressions: &Value, out: &mut Vec<String>) {
    for (path, expression) in indexed(expressions, path) {
        let label = text(&expression["key"]);
        out.extend(node_label(label).map(|why| format!("{path}.key: {label} is {why}")));
    }
}

/// Old labels in the terms of a node selector.
fn node_terms(path: &str, terms: &Value, out: &mut Vec<String>) {
    for (path, term) in indexed(terms, path) {
        node_expressions(&child(&path, "matchExpressions"), &term["matchExpressions"], out);
    }
}

/// An IPv6 address that is written otherwise than as everybody writes it.
fn ip(path: &str, given: &Value, out: &mut Vec<String>) {
    let given = text(given);
    if let Ok(IpAddr::V6(ip)) = given.parse()
        && ip.to_string() != given
    {
        let why = format!("IPv6 address {given:?} should be in RFC 5952 canonical format (\"{ip}\")");
        out.push(format!("{path}: {why}"));
    }
}

/// Each address of a list.
fn ips(path: &str, list: &Value, out: &mut Vec<String>) {
    indexed(list, path).for_each(|(path, address)| ip(&path, address, out));
}

/// Whether there is anything in a list.
fn any(list: &Value) -> bool {
    items(list).next().is_some()
}

#[cfg(test)]
mod tests;
