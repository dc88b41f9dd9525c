//! From what a user types to the paths of the API.

use crate::client::Client;
use anyhow::{Context, bail};
use bytes::Bytes;
use http::Method;
use peapod_api::{Kind, kinds};
use serde_json::Value;

/// All that is served in groups, in one document.
const DISCOVERY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// A resource type: one that every server has, or one that a custom resource definition of this server makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    group: String,
    version: String,
    kind: String,
    pub(crate) plural: String,
    singular: String,
    short_names: Vec<String>,
    pub(crate) namespaced: bool,
}

impl From<&Kind> for Resource {
    fn from(kind: &Kind) -> Resource {
        Resource {
            group: kind.group.to_string(),
            version: kind.version.to_string(),
            kind: kind.kind.to_string(),
            plural: kind.plural.to_string(),
            singular: kind.singular.to_string(),
            short_names: kind.short_names.iter().map(|name| name.to_string()).collect(),
            namespaced: kind.namespaced(),
        }
    }
}

impl Resource {
    /// The type that `name` means: plural, singular, short, `plural.group` or the kind's own name, in any case.
    ///
    /// # Errors
    /// The server has no such resource type, or cannot be asked.
    pub(crate) async fn named(client: &Client, name: &str) -> anyhow::Result<Resource> {
        let name = name.to_lowercase();
        let found = find(client, |resource| resource.is(&name)).await?;
        found.with_context(|| format!("the server doesn't have a resource type {name:?}"))
    }

    /// The type of a manifest's object.
    async fn of(client: &Client, object: &Value) -> anyhow::Result<Resource> {
        let text = |field: &str| object[field].as_str().unwrap_or_default();
        let (api_version, kind) = (text("apiVersion"), text("kind"));
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let is = |own: &Resource| own.group == group && own.version == version && own.kind == kind;
        let found = find(client, is).await?;
        found.with_context(|| format!("no matches for kind {kind:?} in version {api_version:?}"))
    }

    fn is(&self, name: &str) -> bool {
        let names = [&self.plural, &self.singular].into_iter().chain(&self.short_names);
        let of_group = name.strip_prefix(&self.plural).and_then(|rest| rest.strip_prefix('.'));
        names.into_iter().any(|own| own == name)
            || self.kind.to_lowercase() == name
            || (!self.group.is_empty() && of_group == Some(&self.group))
    }

    /// The path of the collection; every namespace where `namespace` is none.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        let root = if self.group.is_empty() { "/api".to_string() } else { format!("/apis/{}", self.group) };
        let place =
            namespace.filter(|_| self.namespaced).map(|n| format!("/namespaces/{n}")).unwrap_or_default();
        format!("{root}/{}{place}/{}", self.version, self.plural)
    }

    /// `pod/web`, `deployment.apps/web`.
    pub(crate) fn called(&self, name: &str) -> String {
        let dot = if self.group.is_empty() { "" } else { "." };
        format!("{}{dot}{}/{name}", self.singular, self.group)
    }
}

/// The first type that fits: of those that every server has, or else of those that this one has.
async fn find(client: &Client, fits: impl Fn(&Resource) -> bool) -> anyhow::Result<Option<Resource>> {
    if let Some(own) = kinds::KINDS.iter().map(Resource::from).find(&fits) {
        return Ok(Some(own));
    }
    let served = client.json(Method::GET, "/apis", &[("accept", DISCOVERY)], Bytes::new()).await?;
    Ok(discovered(&served).into_iter().find(fits))
}

/// The types of an `APIGroupDiscoveryList`, those of preferred versions before others.
fn discovered(groups: &Value) -> Vec<Resource> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let mut found = Vec::new();
    for group in list(&groups["items"]) {
        for version in list(&group["versions"]) {
            found.extend(list(&version["resources"]).iter().map(|resource| Resource {
                group: text(&group["metadata"]["name"]),
                version: text(&version["version"]),
                kind: text(&resource["responseKind"]["kind"]),
                plural: text(&resource["resource"]),
                singular: text(&resource["singularResource"]),
                short_names: list(&resource["shortNames"]).iter().map(text).collect(),
                namespaced: resource["scope"] == "Namespaced",
            }));
        }
    }
    found
}

/// Where an object of a manifest is, or is to be.
#[derive(Debug)]
pub(crate) struct Place {
    /// Its path.
    pub(crate) path: String,
    /// How people call it: `deployment.apps/web`.
    pub(crate) called: String,
    /// Whether its kind lives in namespaces.
    pub(crate) namespaced: bool,
}

/// The place of a manifest's object, in `namespace` unless it names one.
///
/// # Errors
/// It has no name, a name that fits no path, or is of a kind that is not served.
pub(crate) async fn place(client: &Client, object: &Value, namespace: &str) -> anyhow::Result<Place> {
    let resource = Resource::of(client, object).await?;
    let own = object["metadata"]["namespace"].as_str();
    let name = checked(object["metadata"]["name"].as_str().unwrap_or_default())?;
    let namespace = checked(own.unwrap_or(namespace))?;
    let path = format!("{}/{name}", resource.collection(Some(&namespace)));
    Ok(Place { path, called: resource.called(&name), namespaced: resource.namespaced })
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

    fn deployments() -> Resource {
        Resource::from(kinds::of_object("apps/v1", "Deployment").unwrap())
    }

    #[test]
    fn resources_have_names_and_paths() {
        for name in ["deploy", "deployment", "deployments", "deployments.apps"] {
            assert!(deployments().is(name), "{name}");
        }
        assert!(!deployments().is("deployments.") && !deployments().is("deployments.batch"));
        assert_eq!(deployments().collection(Some("d")), "/apis/apps/v1/namespaces/d/deployments");
        assert_eq!(deployments().collection(None), "/apis/apps/v1/deployments");
        assert_eq!(deployments().called("web"), "deployment.apps/web");
        assert_eq!(query("app=a b"), "app%3Da%20b");
        assert!(checked("../x").is_err() && checked("a.b-c").is_ok());
    }

    #[test]
    fn what_a_server_has_besides_is_discovered() {
        let resource = json!({
            "resource": "backups", "singularResource": "backup", "shortNames": ["bk"], "scope": "Namespaced",
            "responseKind": {"group": "example.com", "version": "v1", "kind": "Backup"},
        });
        let versions = json!([{"version": "v1", "resources": [resource]}]);
        let groups = json!({"items": [{"metadata": {"name": "example.com"}, "versions": versions}]});
        let [backups] = <[Resource; 1]>::try_from(discovered(&groups)).unwrap();
        assert!(["bk", "backup", "backups", "backups.example.com"].iter().all(|name| backups.is(name)));
        assert_eq!(backups.collection(Some("d")), "/apis/example.com/v1/namespaces/d/backups");
        assert!(discovered(&json!({})).is_empty());
    }
}
