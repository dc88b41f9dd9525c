//! The kinds that are served: the rows of the table and those that custom resource definitions make. The set is a value
//! that the snapshot carries; it is made anew only when a definition changes.

use crate::convert;
use crate::custom::{self, Custom, Definition};
use crate::schema::decode::{Decoded, FieldValidation};
use crate::schema::normalize::normalize;
use crate::schema::{self, Type};
use crate::validation::Errors;
use peapod_api::{Draft, Error, Kind, Object, kinds};
use serde_json::Value;
use std::cmp::Reverse;
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

    /// Checks a body against the kind, as [`schema::decode::object`] does. Errors: 400.
    pub fn decode(
        &self,
        decoded: Decoded,
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Error> {
        match self {
            Served::Row(kind) => {
                schema::decode::object(self.ty()?, &kind.api_version(), &kind.kind, decoded, validation)
            }
            Served::Custom(custom) => custom.decode(decoded, validation),
        }
    }

    /// Brings an object into the one form in which it is compared. Errors: 500 without a schema.
    pub fn normalize(&self, object: &mut Value) -> Result<(), Error> {
        match self {
            Served::Row(_) => normalize(self.ty()?, object),
            Served::Custom(custom) => custom.normalize(object),
        }
        Ok(())
    }

    /// Brings an object into the form in which it is stored, defaults filled in. Errors: 500 without a schema.
    pub fn complete(&self, object: &mut Value) -> Result<(), Error> {
        self.normalize(object)?;
        match self {
            Served::Row(kind) => schema::apply_defaults(&kind.kind, &kind.api_version(), object),
            Served::Custom(custom) => custom.default(object),
        }
        Ok(())
    }

    /// What the schema has against a complete object that takes the place of `old`.
    pub(crate) fn validate(
        &self,
        object: &Value,
        old: Option<&Value>,
        errors: &mut Errors,
    ) -> Result<(), Error> {
        match self {
            Served::Row(_) => errors.extend(schema::validate::validate(self.ty()?, object)),
            Served::Custom(custom) => custom.validate(object, old, errors),
        }
        Ok(())
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
        match self {
            Served::Row(kind) if kinds::stored_as(kind).is_some() => Arc::new(form(kind, object)),
            Served::Row(_) => object.clone(),
            Served::Custom(custom) => custom.shown(object).unwrap_or_else(|| object.clone()),
        }
    }

    /// An object of this kind in another form of it.
    pub fn shown_as(&self, other: &Served, object: &Value) -> Value {
        let mut object = object.clone();
        if self.api_version() == other.api_version() {
            return object;
        }
        self.store(&mut object);
        match other {
            Served::Row(kind) => convert::show(kind, &mut object),
            Served::Custom(custom) => custom.show(&mut object),
        }
        object
    }

    /// Whether [`Served::shown`] gives stored objects as they are.
    pub fn is_stored(&self) -> bool {
        matches!(self, Served::Row(kind) if kinds::stored_as(kind).is_none())
    }

    /// Brings an object into the form in which it is stored, and tells of which kind that is.
    pub fn store(&self, object: &mut Value) -> &Kind {
        match self {
            Served::Row(kind) => {
                convert::store(kind, object);
                kinds::stored_as(kind).unwrap_or(kind)
            }
            Served::Custom(custom) => {
                custom.store(object);
                &custom.kind
            }
        }
    }
}

/// A stored object in another form of its kind. Selectors go by what is stored.
fn form(kind: &Kind, object: &Object) -> Object {
    let mut value = object.value();
    convert::show(kind, &mut value);
    let mut shown = Draft::new(kind, object.key.clone(), value).at(object.revision);
    shown.header = object.header.clone();
    shown
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

    /// The other forms of a kind: other versions, and kinds that are stored as the same.
    pub fn forms_of(&self, kind: &Served) -> impl Iterator<Item = Served> {
        let (stored, own) = (kind.stored_resource(), kind.api_version());
        let same_name = kind.plural.clone();
        self.iter().filter(move |other| {
            other.plural == same_name && other.stored_resource() == stored && other.api_version() != own
        })
    }

    /// Every resource that is stored, once.
    pub fn resources(&self) -> impl Iterator<Item = Served> {
        let mut seen = std::collections::BTreeSet::new();
        let rows = kinds::KINDS.iter().filter(move |kind| kind.stored() && seen.insert(kind.resource()));
        let stored = self.definitions.values().filter_map(|definition| definition.stored());
        rows.map(Served::Row).chain(stored.cloned().map(Served::Custom))
    }

    /// The groups, the core one left out, with their versions: those of the table, then others by name. The versions of
    /// each are in the order in which clients prefer them.
    pub fn groups(&self) -> Vec<(String, Vec<String>)> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for kind in self.iter().filter(|kind| !kind.group.is_empty()) {
            let version = kind.version.to_string();
            match groups.iter_mut().find(|(group, _)| *group == kind.group) {
                Some((_, versions)) if versions.contains(&version) => {}
                Some((_, versions)) => versions.push(version),
                None => groups.push((kind.group.to_string(), vec![version])),
            }
        }
        let of_table =
            groups.partition_point(|(group, _)| kinds::KINDS.iter().any(|row| row.group == *group));
        groups[of_table..].sort();
        for (_, versions) in &mut groups[of_table..] {
            versions.sort_by_key(|version| Reverse(custom::priority(version)));
        }
        groups
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::custom::DEFINITIONS;
    use peapod_api::{Draft, Key};
    use serde_json::json;

    fn definition(group: &str, versions: &[&str], established: bool) -> Object {
        let version = |name: &&str| {
            json!({"name": name, "served": *name != "v1alpha1", "storage": name == &versions[0],
                "schema": {"openAPIV3Schema": {"type": "object"}}})
        };
        let names =
            json!({"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"});
        let name = format!("widgets.{group}");
        let conditions =
            json!([{"type": "Established", "status": if established { "True" } else { "False" }}]);
        let value = json!({"metadata": {"name": name, "uid": "u"}, "spec": {"group": group, "scope": "Cluster", "names": names,
            "versions": versions.iter().map(version).collect::<Vec<_>>()},
            "status": {"acceptedNames": names, "conditions": conditions, "storedVersions": [versions[0]]}});
        let row = kinds::of_resource(DEFINITIONS).unwrap();
        Draft::new(row, Key::new(DEFINITIONS, "", &name), value).at(7)
    }

    fn with(kinds: Kinds, definition: &Object) -> Kinds {
        kinds.changed(definition.name(), Some(definition)).unwrap()
    }

    #[test]
    fn an_established_definition_serves_its_versions_by_priority() {
        let set = Kinds::default();
        assert!(set.changed("widgets.a.org", Some(&definition("a.org", &["v1"], false))).is_none());
        let set = with(set, &definition("b.org", &["v1beta1", "v1", "v1alpha1"], true));
        let set = with(set, &definition("a.org", &["v1"], true));
        assert_eq!(set.lookup("b.org", "v1", "widgets").unwrap().kind, "Widget");
        assert!(set.lookup("b.org", "v1alpha1", "widgets").is_none());
        assert_eq!(set.of_resource("widgets.b.org").unwrap().version, "v1beta1");
        assert_eq!(set.of_object("b.org/v1", "Widget").unwrap().version, "v1");
        let groups = set.groups();
        let own: Vec<&(String, Vec<String>)> =
            groups.iter().filter(|(name, _)| name.ends_with(".org")).collect();
        assert_eq!(own[0].0, "a.org");
        assert_eq!(own[1].1, ["v1", "v1beta1"]);
        assert_eq!(groups[0].0, kinds::KINDS.iter().find(|row| !row.group.is_empty()).unwrap().group);
        assert!(set.changed("widgets.a.org", Some(&definition("a.org", &["v1"], true))).is_none());
        let gone = set.changed("widgets.a.org", None).unwrap();
        assert!(gone.lookup("a.org", "v1", "widgets").is_none());
    }

    #[test]
    fn every_resource_stands_once_among_those_that_are_stored() {
        let set = with(Kinds::default(), &definition("b.org", &["v1beta1", "v1"], true));
        let mut names: Vec<String> = set.resources().map(|kind| kind.resource()).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(names.contains(&"widgets.b.org".to_string()) && names.contains(&"pods".to_string()));
    }
}
