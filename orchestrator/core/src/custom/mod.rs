//! Custom resources: what an established CustomResourceDefinition makes of itself, version by version.

mod row;

use crate::schema::Type;
use peapod_api::meta::condition_is_true;
use peapod_api::{Draft, Kind, Object};
use serde_json::Value;
use std::sync::Arc;

/// The resource of the definitions themselves.
pub const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";

/// One version of a custom resource.
#[derive(Debug)]
pub struct Custom {
    /// Its row.
    pub kind: Kind,
    /// Whether this version is offered to clients.
    served: bool,
    /// `apiVersion` of the version that is stored.
    stored_as: String,
    /// Objects written after this revision are in the form that the definition demands.
    since: u64,
    ty: Type,
}

impl Custom {
    /// The type of its objects.
    pub fn ty(&self) -> &Type {
        &self.ty
    }

    /// A stored object as this version shows it; none if that is how it is stored.
    pub fn shown(&self, object: &Arc<Object>) -> Option<Arc<Object>> {
        if object.revision > self.since && self.kind.api_version() == self.stored_as {
            return None;
        }
        let mut value = object.value();
        value["apiVersion"] = self.kind.api_version().into();
        let mut shown = Draft::new(&self.kind, object.key.clone(), value).at(object.revision);
        shown.header = object.header.clone();
        Some(Arc::new(shown))
    }

    /// Brings an object of this version into the version that is stored.
    pub fn store(&self, object: &mut Value) {
        object["apiVersion"] = self.stored_as.as_str().into();
    }
}

/// A definition whose names are accepted.
#[derive(Debug)]
pub struct Definition {
    spec: Value,
    names: Value,
    /// Whether it is being deleted: instances may not be created any more.
    pub terminating: bool,
    versions: Vec<Arc<Custom>>,
}

impl Definition {
    /// Reads an established definition; none if it is not, or not yet. What `old` has made of the same is used again.
    pub(crate) fn read(object: &Object, old: Option<&Definition>) -> Option<Definition> {
        let mut value = object.value();
        let established = condition_is_true(&value, "Established");
        let names = value["status"]["acceptedNames"].take();
        if !established || names["plural"].as_str().is_none_or(str::is_empty) {
            return None;
        }
        let (spec, terminating) = (value["spec"].take(), object.header.deleted.is_some());
        let versions = match old.filter(|old| old.spec == spec && old.names == names) {
            Some(old) => old.versions.clone(),
            None => row::versions(&spec, &names, object.revision),
        };
        Some(Definition { spec, names, terminating, versions })
    }

    /// Whether both serve the same.
    pub(crate) fn is_same(&self, other: &Definition) -> bool {
        self.spec == other.spec && self.names == other.names && self.terminating == other.terminating
    }

    /// The version that is stored.
    pub(crate) fn stored(&self) -> Option<&Arc<Custom>> {
        self.versions.iter().find(|custom| custom.kind.api_version() == custom.stored_as)
    }

    /// The versions that are served, by priority.
    pub(crate) fn served(&self) -> impl Iterator<Item = &Arc<Custom>> {
        self.versions.iter().filter(|custom| custom.served)
    }
}
