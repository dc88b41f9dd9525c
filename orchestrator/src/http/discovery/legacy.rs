//! Discovery path by path: APIVersions, APIGroupList, APIGroup, APIResourceList.

use super::{subresource, verbs};
use peapod_api::{Kind, Subresource};
use peapod_core::served::{Kinds, Served};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Every document by its path.
pub(super) fn documents(kinds: &Kinds, address: &str) -> HashMap<String, Value> {
    let mut documents = HashMap::new();
    let clients = json!([{ "clientCIDR": "0.0.0.0/0", "serverAddress": address }]);
    let core = json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": clients });
    documents.insert("/api".into(), core);
    documents.insert("/api/v1".into(), resources(kinds, "", "v1"));
    let mut list = Vec::new();
    for (name, versions) in kinds.groups() {
        let group = group(&name, &versions);
        list.push(group.clone());
        for version in versions {
            documents.insert(format!("/apis/{name}/{version}"), resources(kinds, &name, &version));
        }
        documents.insert(format!("/apis/{name}"), with_kind(group, "APIGroup"));
    }
    let groups = json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": list });
    documents.insert("/apis".into(), groups);
    documents
}

fn with_kind(mut value: Value, kind: &str) -> Value {
    value["kind"] = kind.into();
    value["apiVersion"] = "v1".into();
    value
}

fn group(name: &str, versions: &[String]) -> Value {
    let version =
        |version: &String| json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    let versions: Vec<Value> = versions.iter().map(version).collect();
    json!({ "name": name, "versions": versions, "preferredVersion": versions[0] })
}

fn resources(kinds: &Kinds, group: &str, version: &str) -> Value {
    let group_version = if group.is_empty() { version.to_string() } else { format!("{group}/{version}") };
    let of_kind = |kind: Served| {
        let subs = kind.subresources.iter().map(|sub| sub_entry(&kind, *sub));
        std::iter::once(entry(&kind)).chain(subs).collect::<Vec<_>>()
    };
    let resources: Vec<Value> = kinds.of_group(group, version).flat_map(of_kind).collect();
    json!({ "kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources })
}

fn entry(kind: &Kind) -> Value {
    let mut entry = json!({
        "name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced(),
        "kind": kind.kind, "verbs": verbs(kind),
    });
    if !kind.short_names.is_empty() {
        entry["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        entry["categories"] = json!(kind.categories);
    }
    entry
}

fn sub_entry(kind: &Kind, sub: Subresource) -> Value {
    let ([group, version, name], verbs) = subresource(kind, sub);
    let mut entry = json!({
        "name": format!("{}/{}", kind.plural, sub.name()), "singularName": "", "namespaced": kind.namespaced(),
        "kind": name, "verbs": verbs,
    });
    if (group.as_str(), version.as_str()) != (&*kind.group, &*kind.version) {
        entry["group"] = group.into();
        entry["version"] = version.into();
    }
    entry
}
