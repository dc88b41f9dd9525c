//! Cells of Ingresses and of what else `networking.k8s.io` has.

use super::cells::{NONE, list, or_none};
use crate::classes::INGRESS;
use serde_json::Value;
use std::collections::BTreeSet;

/// How many hosts a cell names before it says `+ N more...`.
const SHOWN: usize = 3;

/// Who serves it.
pub(super) fn class(ingress: &Value) -> &str {
    or_none(INGRESS.named(ingress))
}

/// The hosts of its rules, `*` for all.
pub(super) fn hosts(ingress: &Value) -> String {
    let hosts = list(&ingress["spec"]["rules"]).filter_map(|rule| rule["host"].as_str());
    let all: Vec<&str> = hosts.filter(|host| !host.is_empty()).collect();
    match all.len() {
        0 => "*".into(),
        n if n <= SHOWN => all.join(","),
        n => format!("{} + {} more...", all[..SHOWN].join(","), n - SHOWN),
    }
}

/// Where it is reached.
pub(super) fn address(ingress: &Value) -> String {
    let points = list(&ingress["status"]["loadBalancer"]["ingress"]);
    let text = |point: &Value, field: &str| point[field].as_str().filter(|t| !t.is_empty()).map(String::from);
    let all: BTreeSet<String> = points.filter_map(|p| text(p, "ip").or(text(p, "hostname"))).collect();
    all.into_iter().collect::<Vec<_>>().join(",")
}

/// `80`, and `443` besides where there is TLS.
pub(super) fn ports(ingress: &Value) -> &'static str {
    if list(&ingress["spec"]["tls"]).len() > 0 { "80, 443" } else { "80" }
}

/// What an IngressClass names as its parameters: `Config.example.com/fast`.
pub(super) fn parameters(class: &Value) -> String {
    let parameters = &class["spec"]["parameters"];
    let part = |field: &str| parameters[field].as_str().unwrap_or_default();
    match (parameters.is_object(), part("apiGroup")) {
        (false, _) => NONE.into(),
        (true, "") => format!("{}/{}", part("kind"), part("name")),
        (true, group) => format!("{}.{group}/{}", part("kind"), part("name")),
    }
}

/// Whose address it is: `services/default/web`.
pub(super) fn address_parent(address: &Value) -> String {
    let parent = &address["spec"]["parentRef"];
    let part = |field: &str| parent[field].as_str().filter(|text| !text.is_empty());
    let resource = match (part("resource"), part("group")) {
        (Some(resource), Some(group)) => Some(format!("{resource}.{group}")),
        (resource, _) => resource.map(String::from),
    };
    let parts = [resource, part("namespace").map(String::from), part("name").map(String::from)];
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}
