//! From what a user types to the paths of the API.

use anyhow::{Context, bail};
use peapod_api::{Kind, kinds};
use serde_json::Value;

/// The kind that `name` means: plural, singular, short, `plural.group` or the kind's own name, in any case.
///
/// # Errors
/// The server has no such resource type.
pub(crate) fn kind(name: &str) -> anyhow::Result<&'static Kind> {
    let name = name.to_lowercase();
    let is = |kind: &&Kind| {
        let names = [&kind.plural, &kind.singular].into_iter().chain(&kind.short_names);
        names.into_iter().any(|n| **n == *name) || kind.kind.to_lowercase() == name || kind.resource() == name
    };
    kinds::KINDS.iter().find(is).with_context(|| format!("the server doesn't have a resource type {name:?}"))
}

/// The path of a kind's collection; every namespace where `namespace` is none.
pub(crate) fn collection(kind: &Kind, namespace: Option<&str>) -> String {
    let root = if kind.group.is_empty() { "/api".to_string() } else { format!("/apis/{}", kind.group) };
    let place =
        namespace.filter(|_| kind.namespaced()).map(|n| format!("/namespaces/{n}")).unwrap_or_default();
    format!("{root}/{}{place}/{}", kind.version, kind.plural)
}

/// The path of an object of a manifest, and how people call it: `deployment.apps/web`.
///
/// # Errors
/// It has no name, a name that fits no path, or is of a kind that is not served.
pub(crate) fn of_object(object: &Value, namespace: &str) -> anyhow::Result<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let (api_version, kind_name) = (text(&object["apiVersion"]), text(&object["kind"]));
    let Some(kind) = kinds::of_object(&api_version, &kind_name) else {
        bail!("no matches for kind {kind_name:?} in version {api_version:?}");
    };
    let own = object["metadata"]["namespace"].as_str();
    let name = checked(&text(&object["metadata"]["name"]))?;
    let namespace = checked(own.unwrap_or(namespace))?;
    let path = format!("{}/{name}", collection(kind, Some(&namespace)));
    Ok((path, called(kind, &name)))
}

/// Whether an object is of a kind that lives in namespaces.
pub(crate) fn is_namespaced(object: &Value) -> bool {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    kinds::of_object(text("apiVersion"), text("kind")).is_some_and(Kind::namespaced)
}

/// `pod/web`, `deployment.apps/web`.
pub(crate) fn called(kind: &Kind, name: &str) -> String {
    let group = if kind.group.is_empty() { String::new() } else { format!(".{}", kind.group) };
    format!("{}{group}/{name}", kind.singular)
}

/// A name that can stand in a path.
pub(crate) fn checked(name: &str) -> anyhow::Result<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':');
    if name.is_empty() || name == "." || name == ".." || !name.chars().all(fits) {
        bail!("{name:?} is no name of an object");
    }
    Ok(name.into())
}

/// Percent-encodes a query value.
pub(crate) fn query(value: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    let encoded =
        value.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") });
    encoded.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_of_kinds_and_paths_of_objects() {
        for name in ["deploy", "deployments", "Deployment", "deployments.apps"] {
            assert_eq!(kind(name).unwrap().kind, "Deployment", "{name}");
        }
        assert!(kind("nonsense").is_err());
        let object = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}});
        let (path, called) = of_object(&object, "default").unwrap();
        assert_eq!(path, "/apis/apps/v1/namespaces/default/deployments/web");
        assert_eq!(called, "deployment.apps/web");
        assert!(
            of_object(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "../x"}}), "d")
                .is_err()
        );
        assert_eq!(query("app=a b"), "app%3Da%20b");
    }
}
