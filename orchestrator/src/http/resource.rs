//! Requests for resources: from a path and a method to a verb of a kind, and on to what answers it.

use super::answer::{Answer, add_warnings};
use super::path::ResourcePath;
use super::{Inner, Request, list, log, read, told, write};
use http::Method;
use peapod_api::kind::Nature;
use peapod_api::selector::FieldSelector;
use peapod_api::{Error, Subresource};
use peapod_core::auth::{self, Attributes, User};
use peapod_core::served::{Kinds, Served};

/// Subresources that Kubernetes has and this server refuses in words.
const NOT_BUILT: [&str; 6] = ["attach", "ephemeralcontainers", "exec", "portforward", "proxy", "resize"];

/// What a request is about.
#[derive(Clone, Debug)]
pub(super) struct Target<'a> {
    pub(super) kind: Served,
    /// Empty for a cluster-wide kind, and for all namespaces.
    pub(super) namespace: &'a str,
    /// Empty for a collection.
    pub(super) name: &'a str,
    pub(super) subresource: Option<Subresource>,
}

impl<'a> Target<'a> {
    /// Errors: 404 for what is not among `kinds`.
    fn of(kinds: &Kinds, path: &'a ResourcePath) -> Result<Target<'a>, Error> {
        let kind = kinds.lookup(&path.group, &path.version, &path.resource).ok_or_else(|| {
            let dot = if path.group.is_empty() { "" } else { "." };
            Error::not_served(&format!("{}{dot}{}/{}", path.resource, path.group, path.version))
        })?;
        let sub = kind.subresources.iter().copied().find(|sub| sub.name() == path.subresource);
        if NOT_BUILT.contains(&path.subresource.as_str()) {
            let what = format!("{}/{}", path.resource, path.subresource);
            return Err(Error::bad_request(format!("{what} is not supported by this server")));
        }
        let known = path.subresource.is_empty() || sub.is_some();
        // One object of a namespaced kind needs its namespace; a cluster-wide kind has none.
        let placed = if kind.namespaced() {
            path.name.is_empty() || !path.namespace.is_empty()
        } else {
            path.namespace.is_empty()
        };
        if !known || !placed {
            return Err(Error::no_such_path());
        }
        Ok(Target { kind, namespace: &path.namespace, name: &path.name, subresource: sub })
    }

    /// The namespace that a list is narrowed to; none for all.
    pub(super) fn scope(&self) -> Option<&'a str> {
        if self.kind.namespaced() && self.namespace.is_empty() { None } else { Some(self.namespace) }
    }
}

/// Kubernetes' verb. Errors: 405.
fn verb(method: &Method, path: &ResourcePath, watches: bool) -> Result<&'static str, Error> {
    let collection = path.name.is_empty();
    Ok(match (method.as_str(), collection) {
        ("GET", _) if watches && path.subresource.is_empty() && (collection || path.watch) => "watch",
        ("GET", true) => "list",
        ("GET", false) => "get",
        ("POST", _) => "create",
        ("PUT", false) => "update",
        ("PATCH", false) => "patch",
        ("DELETE", false) => "delete",
        ("DELETE", true) => "deletecollection",
        _ => return Err(Error::method_not_allowed()),
    })
}

/// What metrics call a request: the verb in capitals and the resource, empty for other paths.
pub(super) fn label(kinds: &Kinds, request: &Request) -> (&'static str, String) {
    let path = ResourcePath::parse(&request.path);
    let kind = path.as_ref().and_then(|path| kinds.lookup(&path.group, &path.version, &path.resource));
    let (Some(path), Some(kind)) = (&path, kind) else {
        return (if request.method == Method::GET { "GET" } else { "OTHER" }, String::new());
    };
    let verb = match verb(&request.method, path, path.watch || request.query.flag("watch")) {
        Ok("watch") => "WATCH",
        Ok("list") => "LIST",
        Ok("get") => "GET",
        Ok("create") => "POST",
        Ok("update") => "PUT",
        Ok("patch") => "PATCH",
        Ok(_) => "DELETE",
        Err(_) => "OTHER",
    };
    (verb, kind.resource())
}

/// Answers a request for a resource.
pub(super) async fn answer(
    api: &Inner,
    user: &User,
    mut path: ResourcePath,
    mut request: Request,
) -> Result<Answer, Error> {
    let watches = path.watch || request.query.flag("watch");
    let verb = verb(&request.method, &path, watches)?;
    if verb == "watch" && !path.name.is_empty() {
        // The old form of a watch on one object.
        request.query.push("fieldSelector", format!("metadata.name={}", std::mem::take(&mut path.name)));
    }
    let snapshot = api.cache.snapshot();
    let target = Target::of(snapshot.kinds(), &path).or_else(|error| {
        // What there is, is told only to who might see it.
        auth::authorize(&snapshot, user, &path.attributes(verb)).and(Err(error))
    })?;
    let mut answer = match verb {
        "get" | "list" | "watch" => reads(api, user, verb, &target, &request).await?,
        _ => write::answer(api, user, verb, &target, request).await?,
    };
    if !target.kind.deprecation.is_empty() {
        add_warnings(&mut answer, &[target.kind.deprecation.to_string()]);
    }
    Ok(answer)
}

async fn reads(
    api: &Inner,
    user: &User,
    verb: &str,
    target: &Target<'_>,
    request: &Request,
) -> Result<Answer, Error> {
    let fields = FieldSelector::parse(request.query.text("fieldSelector"), &target.kind.fields)?;
    let asked = Attributes::new(verb, &target.kind, target.namespace, target.name);
    auth::authorize(&api.cache.snapshot(), user, &asked.part(target.subresource).narrowed(&fields))?;
    match target.kind.nature {
        Nature::Stored => {}
        Nature::Told if verb != "watch" => return told::answer(api, verb, target, request),
        Nature::Asked | Nature::Told => return Err(Error::method_not_allowed()),
    }
    match target.subresource {
        Some(Subresource::Log) => return log(api, target, request).await,
        Some(Subresource::Binding | Subresource::Eviction | Subresource::Token | Subresource::Finalize) => {
            return Err(Error::method_not_allowed());
        }
        Some(Subresource::Scale) => return write::read_scale(api, target, request),
        Some(Subresource::Status | Subresource::Approval) | None => {}
    }
    let form = read::form(&target.kind, request)?;
    match verb {
        "watch" => read::watch(api, target, form, &request.query).await,
        "list" => list::list(api, target, form, &request.query).await,
        _ => read::get(api, target, &form, &request.query).await,
    }
}

async fn log(api: &Inner, target: &Target<'_>, request: &Request) -> Result<Answer, Error> {
    let snapshot = api.cache.snapshot();
    let pod = snapshot.find("pods", target.namespace, target.name);
    let pod = pod.ok_or_else(|| Error::not_found("pods", target.name))?;
    log::read(&api.nodes, pod, &request.query, api.stop.clone()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verb_of(method: &str, path: &str, watches: bool) -> Result<&'static str, u16> {
        let path = ResourcePath::parse(path).unwrap();
        verb(&method.parse().unwrap(), &path, watches || path.watch).map_err(|error| error.code())
    }

    #[test]
    fn methods_are_verbs() {
        for (method, path, watches, expected) in [
            ("GET", "/api/v1/pods", false, Ok("list")),
            ("GET", "/api/v1/pods", true, Ok("watch")),
            ("GET", "/api/v1/namespaces/a/pods/b", true, Ok("get")),
            ("GET", "/api/v1/watch/namespaces/a/pods/b", false, Ok("watch")),
            ("POST", "/api/v1/namespaces/a/pods", false, Ok("create")),
            ("POST", "/api/v1/namespaces/a/pods/b/eviction", false, Ok("create")),
            ("PUT", "/api/v1/namespaces/a/pods", false, Err(405)),
            ("PATCH", "/api/v1/namespaces/a/pods/b", false, Ok("patch")),
            ("DELETE", "/api/v1/namespaces/a/pods", false, Ok("deletecollection")),
            ("TRACE", "/api/v1/namespaces/a/pods", false, Err(405)),
        ] {
            assert_eq!(verb_of(method, path, watches), expected, "{method} {path}");
        }
    }

    #[test]
    fn targets_stand_in_the_table_and_in_their_place() {
        let target = |path: &str| {
            let path = ResourcePath::parse(path).unwrap();
            Target::of(&Kinds::default(), &path)
                .map(|t| t.scope().map(str::to_string))
                .map_err(|error| error.code())
        };
        assert_eq!(target("/api/v1/pods"), Ok(None));
        assert_eq!(target("/api/v1/namespaces/a/pods/b/log"), Ok(Some("a".into())));
        assert_eq!(target("/api/v1/nodes"), Ok(Some("".into())));
        for path in [
            "/api/v1/namespaces/a/nodes",
            "/api/v1/pods/x",
            "/api/v2/pods",
            "/api/v1/unicorns",
            "/apis/apps/v1/pods",
            "/api/v1/namespaces/a/pods/b/other",
        ] {
            assert_eq!(target(path), Err(404), "{path}");
        }
        assert_eq!(target("/api/v1/namespaces/a/pods/b/exec"), Err(400));
        assert_eq!(target("/api/v1/nodes/n/proxy/metrics"), Err(400));
    }
}
