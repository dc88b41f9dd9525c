//! What a request wants to do, as rules and refusals name it.

use super::User;
use peapod_api::selector::FieldSelector;
use peapod_api::{Error, Kind, Subresource};

/// What a request wants to do with an object or a collection. Nothing here need exist: whether somebody may do a thing
/// can be asked of any resource.
#[derive(Clone, Copy, Debug, Default)]
pub struct Attributes<'a> {
    /// Kubernetes' verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, and those that
    /// are asked of no path, such as `bind`.
    pub verb: &'a str,
    /// API group, empty for the core group.
    pub group: &'a str,
    /// e.g. `deployments`.
    pub resource: &'a str,
    /// e.g. `status`; empty for the object itself.
    pub subresource: &'a str,
    /// Empty for cluster-wide kinds and for requests over all namespaces. A namespace is in itself.
    pub namespace: &'a str,
    /// Empty for collections that are not narrowed to one name.
    pub name: &'a str,
    /// How a list or watch is narrowed.
    pub fields: Option<&'a FieldSelector>,
}

impl<'a> Attributes<'a> {
    /// `verb` on the object `name` of `kind`, or on the collection.
    pub fn new(verb: &'a str, kind: &'a Kind, namespace: &'a str, name: &'a str) -> Attributes<'a> {
        let is_namespace = kind.group.is_empty() && kind.plural == "namespaces";
        let namespace = if is_namespace { name } else { namespace };
        let (group, resource) = (&*kind.group, &*kind.plural);
        Attributes { verb, group, resource, namespace, name, ..Attributes::default() }
    }

    /// The same of a part of the object.
    pub fn part(self, subresource: Option<Subresource>) -> Attributes<'a> {
        Attributes { subresource: subresource.map_or("", Subresource::name), ..self }
    }

    /// The same, narrowed by a field selector: to a name, where it says so.
    pub fn narrowed(self, fields: &'a FieldSelector) -> Attributes<'a> {
        let name = if self.name.is_empty() { fields.required("metadata.name") } else { None };
        Attributes { fields: Some(fields), name: name.unwrap_or(self.name), ..self }
    }

    pub(super) fn reads(&self) -> bool {
        matches!(self.verb, "get" | "list" | "watch")
    }

    /// Whether it is of this resource, `deployments.apps`, or of a part of it, `pods/status`.
    pub(super) fn is_of(&self, group: &str, resource: &str, subresource: &str) -> bool {
        self.group == group && self.resource == resource && self.subresource == subresource
    }

    /// 403; `why` is added where there is more to say.
    pub(super) fn forbidden(&self, user: &User, why: &str) -> Error {
        let part = if self.subresource.is_empty() { "" } else { "/" };
        let place = match self.namespace {
            "" => "at the cluster scope".to_string(),
            namespace => format!("in the namespace {namespace:?}"),
        };
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let message = format!(
            "User {:?} cannot {} resource \"{}{part}{}\" in API group {:?} {place}{why}",
            user.name, self.verb, self.resource, self.subresource, self.group
        );
        let dot = if self.group.is_empty() { "" } else { "." };
        Error::forbidden(&format!("{}{dot}{}", self.resource, self.group), self.name, &message)
    }
}
