//! The kinds that are served: the rows of the table and those that custom resource definitions make. The set is a value
//! that the snapshot carries; it is made anew only when a definition changes.

use crate::custom::{Custom, Definition};
use crate::schema::{self, Type};
use peapod_api::{Error, Kind, Object, kinds};
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// A kind in one version. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Served {
    /// A row of the table.
    Row(&'static Kind),
    /// One version of a custom resource definition.
    Custom(Arc<Custom>),
}

impl Deref for Served {
    type Target = Kind;
    fn deref(&self) -> &Kind {
        match self {
            Served::Row(kind) => kind,
            Served::Custom(custom) => &custom.kind,
        }
    }
}

impl From<&'static Kind> for Served {
    fn from(kind: &'static Kind) -> Served {
        Served::Row(kind)
    }
}

impl From<&Served> for Served {
    fn from(served: &Served) -> Served {
        served.clone()
    }
}

impl Served {
    /// The type of its objects. Errors: 500, as every row has one (tested).
    pub fn ty(&self) -> Result<&Type, Error> {
        match self {
            Served::Row(kind) => schema::lookup_kind(&kind.api_version(), &kind.kind)
                .ok_or_else(|| Error::internal(format!("no schema for {}", kind.resource()))),
            Served::Custom(custom) => Ok(custom.ty()),
        }
    }

    /// The custom resource behind it, if it is one.
    pub fn custom(&self) -> Option<&Arc<Custom>> {
        match self {
            Served::Row(_) => None,
            Served::Custom(custom) => Some(custom),
        }
    }

    /// A stored object as this version shows it.
    pub fn shown(&self, object: &Arc<Object>) -> Arc<Object> {
        self.custom().and_then(|custom| custom.shown(object)).unwrap_or_else(|| object.clone())
    }
}

/// Every kind that is served.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    definitions: BTreeMap<Arc<str>, Arc<Definition>>,
}

impl Kinds {
    /// The kind of a path.
    pub fn lookup(&self, group: &str, version: &str, plural: &str) -> Option<Served> {
        self.of_group(group, version).find(|kind| kind.plural == plural)
    }

    /// The kind that objects of a storage key's resource (`pods`, `widgets.example.com`) are stored as.
    pub fn of_resource(&self, resource: &str) -> Option<Served> {
        let custom = || Some(Served::Custom(self.definitions.get(resource)?.stored()?.clone()));
        kinds::of_resource(resource).map(Served::Row).or_else(custom)
    }

    /// The kind of an object.
    pub fn of_object(&self, api_version: &str, kind: &str) -> Option<Served> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let custom = || self.custom().find(|row| row.is(group, version) && row.kind == kind);
        kinds::of_object(api_version, kind).map(Served::Row).or_else(custom)
    }

    /// The kinds of a group and version, in the order of the table, then by name.
    pub fn of_group(&self, group: &str, version: &str) -> impl Iterator<Item = Served> {
        self.iter().filter(move |kind| kind.is(group, version))
    }

    /// Every kind in every version that is served.
    pub fn iter(&self) -> impl Iterator<Item = Served> {
        kinds::KINDS.iter().map(Served::Row).chain(self.custom())
    }

    /// Every resource once, as it is stored.
    pub fn resources(&self) -> impl Iterator<Item = Served> {
        let mut seen = std::collections::BTreeSet::new();
        let rows = kinds::KINDS.iter().filter(move |kind| seen.insert(kind.resource())).map(Served::Row);
        let stored = self.definitions.values().filter_map(|definition| definition.stored());
        rows.chain(stored.cloned().map(Served::Custom))
    }

    /// The versions of custom resources that are served.
    pub fn custom(&self) -> impl Iterator<Item = Served> {
        let served = self.definitions.values().flat_map(|definition| definition.served());
        served.cloned().map(Served::Custom)
    }

    /// The definition of that name, if its names are accepted.
    pub fn definition(&self, name: &str) -> Option<&Arc<Definition>> {
        self.definitions.get(name)
    }

    /// The set once the definition called `name` is `object`, or gone. None if that makes no difference.
    pub fn changed(&self, name: &str, object: Option<&Object>) -> Option<Kinds> {
        let old = self.definitions.get(name);
        let new = object.and_then(|object| Definition::read(object, old.map(|old| &**old)));
        match (old, &new) {
            (None, None) => return None,
            (Some(old), Some(new)) if old.is_same(new) => return None,
            _ => {}
        }
        let mut definitions = self.definitions.clone();
        match new {
            Some(new) => definitions.insert(name.into(), Arc::new(new)),
            None => definitions.remove(name),
        };
        Some(Kinds { definitions })
    }
}
