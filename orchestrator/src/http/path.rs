//! What a URL path asks for. Pure.

use peapod_core::auth::Attributes;
use percent_encoding::percent_decode_str;

/// A path below `/api/VERSION` or `/apis/GROUP/VERSION`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResourcePath {
    /// Empty for the core group.
    pub(crate) group: String,
    pub(crate) version: String,
    /// Empty where the path names none.
    pub(crate) namespace: String,
    /// The plural: `pods`.
    pub(crate) resource: String,
    /// Empty for a collection.
    pub(crate) name: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
    /// Whether it is below the old `/watch/` prefix.
    pub(crate) watch: bool,
}

/// Subresources of namespaces themselves: `/api/v1/namespaces/NAME/status` is not a resource named `status`.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

impl ResourcePath {
    /// `verb` on what the path names, whether it is served or not.
    pub(crate) fn attributes<'a>(&'a self, verb: &'a str) -> Attributes<'a> {
        Attributes {
            verb,
            group: &self.group,
            resource: &self.resource,
            subresource: &self.subresource,
            namespace: &self.namespace,
            name: &self.name,
            fields: None,
        }
    }

    /// Reads a path; none if it names no resource. Segments are percent-decoded one by one.
    pub(crate) fn parse(path: &str) -> Option<ResourcePath> {
        let segments = path.trim_matches('/').split('/').map(decode).collect::<Option<Vec<_>>>()?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let (group, version, rest) = match segments.as_slice() {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (watch, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            _ => (false, rest),
        };
        let (namespace, rest) = split_namespace(group, rest);
        let (resource, name, subresource) = match rest {
            [resource] => (*resource, "", ""),
            [resource, name] => (*resource, *name, ""),
            [resource, name, subresource] => (*resource, *name, *subresource),
            // What follows is a path of its own.
            [resource, name, "proxy", ..] => (*resource, *name, "proxy"),
            _ => return None,
        };
        let own = |text: &str| text.to_string();
        let path = ResourcePath {
            group: own(group),
            version: own(version),
            namespace: own(namespace),
            resource: own(resource),
            name: own(name),
            subresource: own(subresource),
            watch,
        };
        (!path.resource.is_empty()).then_some(path)
    }
}

fn split_namespace<'a>(group: &str, rest: &'a [&'a str]) -> (&'a str, &'a [&'a str]) {
    match rest {
        ["namespaces", _, sub] if group.is_empty() && NAMESPACE_SUBRESOURCES.contains(sub) => ("", rest),
        ["namespaces", namespace, below @ ..] if !below.is_empty() => (namespace, below),
        _ => ("", rest),
    }
}

/// Decodes one segment; none if it is empty, no UTF-8, or would be read as something else further on.
fn decode(segment: &str) -> Option<String> {
    let text = percent_decode_str(segment).decode_utf8().ok()?;
    let plain = !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '%', '\0']);
    plain.then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> Option<[String; 6]> {
        let p = ResourcePath::parse(path)?;
        Some([p.group, p.version, p.namespace, p.resource, p.name, p.subresource])
    }

    #[test]
    fn paths_take_apart() {
        for (path, expected) in [
            ("/api/v1/pods", ["", "v1", "", "pods", "", ""]),
            ("/api/v1/namespaces", ["", "v1", "", "namespaces", "", ""]),
            ("/api/v1/namespaces/demo", ["", "v1", "", "namespaces", "demo", ""]),
            ("/api/v1/namespaces/demo/status", ["", "v1", "", "namespaces", "demo", "status"]),
            ("/api/v1/namespaces/demo/pods", ["", "v1", "demo", "pods", "", ""]),
            ("/api/v1/namespaces/demo/pods/a%2Db/log", ["", "v1", "demo", "pods", "a-b", "log"]),
            ("/apis/apps/v1/deployments/", ["apps", "v1", "", "deployments", "", ""]),
            (
                "/apis/apps/v1/namespaces/d/deployments/w/scale",
                ["apps", "v1", "d", "deployments", "w", "scale"],
            ),
            ("/api/v1/nodes/n1/proxy/a/b", ["", "v1", "", "nodes", "n1", "proxy"]),
            ("/api/v1/nodes/n1/status", ["", "v1", "", "nodes", "n1", "status"]),
        ] {
            assert_eq!(read(path), Some(expected.map(Into::into)), "{path}");
        }
        let watch = ResourcePath::parse("/api/v1/watch/namespaces/d/pods").unwrap();
        assert!(watch.watch && watch.namespace == "d" && watch.resource == "pods");
    }

    #[test]
    fn what_is_no_resource_is_none() {
        for path in [
            "/",
            "/api",
            "/api/v1",
            "/apis/apps/v1",
            "/healthz",
            "/api/v1/pods/a/log/b/c",
            "/api/v1//pods",
            "/api/v1/namespaces/a%2Fb/pods",
            "/api/v1/pods/%FF",
            "/api/v1/namespaces/../pods",
            "/api/v1/namespaces/a%25/pods",
        ] {
            assert_eq!(read(path), None, "{path}");
        }
    }
}
