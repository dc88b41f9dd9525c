//! The paths of a kind, derived from its row.

use crate::front_door::{BODIES, CUSTOM_BODIES, CUSTOM_PATCHES, PATCHES};
use peapod_api::kind::Nature;
use peapod_api::{Kind, Subresource};
use serde_json::{Value, json};

/// Where the kind's document is, and what its paths begin with: `api/v1`, `apis/apps/v1`.
pub(super) fn root(kind: &Kind) -> String {
    let (group, version) = (&kind.group, &kind.version);
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// Every path of the kind with its operations.
pub(super) fn of(kind: &Kind) -> Vec<(String, Value)> {
    let place = if kind.namespaced() { "/namespaces/{namespace}" } else { "" };
    let collection = format!("/{}{place}/{}", root(kind), kind.plural);
    let item = format!("{collection}/{{name}}");
    match kind.nature {
        Nature::Asked => return vec![(collection, path(kind, &[("post", "post")], false))],
        Nature::Told => {
            let list = path(kind, &[("get", "list")], false);
            return vec![(collection, list), (item, path(kind, &[("get", "get")], true))];
        }
        Nature::Stored => {}
    }
    let mut paths = vec![
        (collection, path(kind, &[("get", "list"), ("post", "post"), ("delete", "deletecollection")], false)),
        (
            item.clone(),
            path(kind, &[("get", "get"), ("put", "put"), ("patch", "patch"), ("delete", "delete")], true),
        ),
    ];
    if kind.namespaced() {
        paths.push((format!("/{}/{}", root(kind), kind.plural), path(kind, &[("get", "list")], false)));
    }
    for sub in &kind.subresources {
        let operations: &[(&str, &str)] = match sub {
            Subresource::Status | Subresource::Scale | Subresource::Approval => {
                &[("get", "get"), ("put", "put"), ("patch", "patch")]
            }
            Subresource::Binding | Subresource::Eviction | Subresource::Token => &[("post", "post")],
            Subresource::Finalize => &[("put", "put")],
            Subresource::Log => &[("get", "get")],
        };
        let value = match sub {
            // These take and give other kinds, which have no document of their own.
            Subresource::Status | Subresource::Approval | Subresource::Finalize | Subresource::Log => {
                path(kind, operations, true)
            }
            _ => json!({}),
        };
        paths.push((format!("{item}/{}", sub.name()), value));
    }
    paths
}

fn path(kind: &Kind, operations: &[(&str, &str)], named: bool) -> Value {
    let mut value = json!({ "parameters": place_parameters(kind, named) });
    for (method, action) in operations {
        value[method] = operation(kind, method, action);
    }
    value
}

fn operation(kind: &Kind, method: &str, action: &str) -> Value {
    let mut operation = json!({
        "operationId": format!("{action}{}{}", capital(&kind.group), kind.kind),
        "parameters": query_parameters(method),
        "responses": { "200": { "description": "OK" } },
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": { "group": kind.group, "version": kind.version, "kind": kind.kind },
    });
    // Clients choose their patches by what stands here.
    let types: &[&str] = match (method, kind.custom) {
        ("post" | "put", false) => &BODIES,
        ("post" | "put", true) => &CUSTOM_BODIES,
        ("patch", false) => &PATCHES,
        ("patch", true) => &CUSTOM_PATCHES,
        _ => &[],
    };
    for media_type in types {
        operation["requestBody"]["content"][media_type] = json!({ "schema": { "type": "object" } });
    }
    operation
}

fn capital(group: &str) -> String {
    let name = if group.is_empty() { "core" } else { group.split('.').next().unwrap_or_default() };
    name[..1].to_uppercase() + &name[1..]
}

fn parameter(name: &str, place: &str, type_: &str) -> Value {
    json!({ "name": name, "in": place, "required": place == "path", "schema": { "type": type_, "uniqueItems": true } })
}

fn place_parameters(kind: &Kind, named: bool) -> Vec<Value> {
    let namespace = kind.namespaced().then(|| parameter("namespace", "path", "string"));
    let name = named.then(|| parameter("name", "path", "string"));
    namespace.into_iter().chain(name).collect()
}

fn query_parameters(method: &str) -> Vec<Value> {
    let names: &[(&str, &str)] = match method {
        "get" => &[
            ("labelSelector", "string"),
            ("fieldSelector", "string"),
            ("resourceVersion", "string"),
            ("resourceVersionMatch", "string"),
            ("limit", "integer"),
            ("continue", "string"),
            ("watch", "boolean"),
            ("allowWatchBookmarks", "boolean"),
            ("sendInitialEvents", "boolean"),
            ("timeoutSeconds", "integer"),
        ],
        "delete" => &[
            ("dryRun", "string"),
            ("gracePeriodSeconds", "integer"),
            ("propagationPolicy", "string"),
            ("labelSelector", "string"),
            ("fieldSelector", "string"),
        ],
        "patch" => &[
            ("dryRun", "string"),
            ("fieldManager", "string"),
            ("fieldValidation", "string"),
            ("force", "boolean"),
        ],
        _ => &[("dryRun", "string"), ("fieldManager", "string"), ("fieldValidation", "string")],
    };
    names.iter().map(|(name, type_)| parameter(name, "query", type_)).collect()
}
