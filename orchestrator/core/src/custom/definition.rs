//! An established definition and the versions that it makes.

use super::{Custom, row};
use peapod_api::Object;
use peapod_api::meta::condition_is_true;
use serde_json::Value;
use std::sync::Arc;

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
            None => row::versions(&spec, &names, &value["status"]["storedVersions"], object.revision),
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
