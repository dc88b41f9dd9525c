//! Aggregated discovery: `apidiscovery.k8s.io APIGroupDiscoveryList`, everything in one document.

use super::{subresource, verbs};
use peapod_api::{Kind, Scope, Subresource};
use peapod_core::served::Kinds;
use serde_json::{Value, json};

/// The versions of the document; they read the same.
pub(super) const VERSIONS: [&str; 2] = ["v2", "v2beta1"];

/// What `path`, `/api` or `/apis`, answers.
pub(super) fn document(kinds: &Kinds, path: &str, version: &str) -> Value {
    let groups = if path == "/api" { vec![(String::new(), vec!["v1".to_string()])] } else { kinds.groups() };
    let items: Vec<Value> = groups.iter().map(|(group, versions)| item(kinds, group, versions)).collect();
    json!({
        "kind": "APIGroupDiscoveryList", "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {}, "items": items,
    })
}

fn item(kinds: &Kinds, group: &str, versions: &[String]) -> Value {
    let metadata = if group.is_empty() { json!({}) } else { json!({ "name": group }) };
    let version = |version: &String| {
        let resources: Vec<Value> = kinds.of_group(group, version).map(|kind| resource(&kind)).collect();
        json!({ "version": version, "resources": resources, "freshness": "Current" })
    };
    json!({ "metadata": metadata, "versions": versions.iter().map(version).collect::<Vec<_>>() })
}

fn resource(kind: &Kind) -> Value {
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": { "group": kind.group, "version": kind.version, "kind": kind.kind },
        "scope": if kind.scope == Scope::Namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    if !kind.subresources.is_empty() {
        resource["subresources"] = kind.subresources.iter().map(|sub| sub_entry(kind, *sub)).collect();
    }
    resource
}

fn sub_entry(kind: &Kind, sub: Subresource) -> Value {
    let ([group, version, name], verbs) = subresource(kind, sub);
    json!({
        "subresource": sub.name(),
        "responseKind": { "group": group, "version": version, "kind": name },
        "verbs": verbs,
    })
}
