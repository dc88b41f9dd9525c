//! Cells of role bindings.

use super::cells::list;
use serde_json::Value;

/// `ClusterRole/view`.
pub(super) fn role(binding: &Value) -> String {
    let part = |field: &str| binding["roleRef"][field].as_str().unwrap_or_default();
    format!("{}/{}", part("kind"), part("name"))
}

/// The names of the subjects of one kind; those of service accounts with their namespaces.
pub(super) fn subjects(binding: &Value, kind: &str) -> String {
    let name = |subject: &Value| {
        let part = |field: &str| subject[field].as_str().unwrap_or_default().to_string();
        if kind == "ServiceAccount" {
            format!("{}/{}", part("namespace"), part("name"))
        } else {
            part("name")
        }
    };
    let names: Vec<String> =
        list(&binding["subjects"]).filter(|subject| subject["kind"] == kind).map(name).collect();
    names.join(", ")
}
