//! Custom resources: what an established CustomResourceDefinition makes of itself, version by version.

mod check;
mod definition;
mod fill;
pub(crate) mod format;
mod limits;
mod row;
mod rules;
pub(crate) mod schema;
mod ty;

use crate::schema::decode::{Decoded, FieldValidation, object_by};
use crate::schema::normalize::normalize;
use crate::schema::{Field, FieldType, Type, object_meta};
use crate::snapshot::Snapshot;
use crate::validation::Errors;
pub use definition::Definition;
use peapod_api::error::Reason;
use peapod_api::{Draft, Error, Kind, Object};
pub(crate) use row::priority;
pub(crate) use rules::plain;
use schema::Schema;
use serde_json::Value;
use std::sync::{Arc, LazyLock, OnceLock};

/// The resource of the definitions themselves.
pub const DEFINITIONS: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// Holds a definition until its instances are gone.
pub const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// One version of a custom resource.
#[derive(Debug)]
pub struct Custom {
    /// Its row.
    pub kind: Kind,
    /// Where its `autoscaling/v1 Scale` is read and written, if it has one.
    pub scale: Option<ScalePaths>,
    /// The schema as its author wrote it.
    pub published: Value,
    /// Whether this version is offered to clients.
    served: bool,
    /// `apiVersion` of the version that is stored.
    stored_as: String,
    /// Objects written after this revision are in the form that the definition demands.
    since: u64,
    /// Whether all objects are stored in this version.
    only_version: bool,
    compiled: OnceLock<Compiled>,
}

/// Dotted paths of the parts of a Scale, each beginning with a dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// The number that is wanted.
    pub spec_replicas: String,
    /// The number that there is.
    pub status_replicas: String,
    /// The selector of the pods, a text.
    pub label_selector: Option<String>,
}

/// What is made of a schema when it is first needed.
#[derive(Debug)]
struct Compiled {
    schema: Schema,
    ty: Type,
    has_defaults: bool,
}

/// What every object has: identity and metadata. The rest of it is open.
static ENVELOPE: LazyLock<Type> = LazyLock::new(|| {
    let [api_version, kind] = ["apiVersion", "kind"].map(|name| Field::new(name, FieldType::String));
    let mut ty = Type::new("Object", vec![api_version, kind, Field::new("metadata", object_meta())]);
    ty.open = true;
    ty
});

impl Custom {
    fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| {
            let schema = Schema::read(&self.published);
            let name = format!("{}.{}.{}", self.kind.group, self.kind.version, self.kind.kind);
            let has_defaults = schema.any(&|schema| schema.default.is_some());
            Compiled { ty: ty::of_kind(&name, &schema), has_defaults, schema }
        })
    }

    /// The schema of its objects.
    pub(crate) fn schema(&self) -> &Schema {
        &self.compiled().schema
    }

    /// The type of its objects.
    pub fn ty(&self) -> &Type {
        &self.compiled().ty
    }

    /// Checks a body's metadata, and its unknown fields as `validation` says. Returns the object, which still holds the
    /// unknown fields, and the warnings. Errors: 400.
    pub fn decode(
        &self,
        decoded: Decoded,
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Error> {
        let (types, api_version) = ([&*ENVELOPE, self.ty()], self.kind.api_version());
        object_by(types, &api_version, &self.kind.kind, decoded, validation)
    }

    /// Drops what the schema does not know and nulls that mean nothing, and brings the metadata into its one form.
    pub fn normalize(&self, object: &mut Value) {
        normalize(&ENVELOPE, object);
        let schema = &self.compiled().schema;
        fill::prune(schema, object, true);
        fill::drop_nulls(schema, object);
    }

    /// Fills in the defaults of a normalized object.
    pub fn default(&self, object: &mut Value) {
        fill::default(&self.compiled().schema, object);
    }

    /// What is wrong with an object, complete with its defaults. What it keeps of `old` is not judged again. Its rules are
    /// asked once its values fit.
    pub fn validate(&self, object: &Value, old: Option<&Value>, errors: &mut Errors) {
        let (schema, before) = (&self.compiled().schema, errors.len());
        check::check_change(schema, object, old, errors);
        if errors.len() == before {
            rules::check(schema, object, old, errors);
        }
    }

    /// A stored object as this version shows it; none if that is how it is stored.
    pub fn shown(&self, object: &Arc<Object>) -> Option<Arc<Object>> {
        let is_stored = self.kind.api_version() == self.stored_as;
        let is_whole = || self.only_version && !self.compiled().has_defaults;
        if is_stored && (object.revision > self.since || is_whole()) {
            return None;
        }
        let mut value = object.value();
        self.show(&mut value);
        let mut shown = Draft::new(&self.kind, object.key.clone(), value).at(object.revision);
        shown.header = object.header.clone();
        Some(Arc::new(shown))
    }

    /// Brings an object of whatever version into this one.
    pub fn show(&self, object: &mut Value) {
        object["apiVersion"] = self.kind.api_version().into();
        self.normalize(object);
        self.default(object);
    }

    /// Brings an object of this version into the version that is stored.
    pub fn store(&self, object: &mut Value) {
        object["apiVersion"] = self.stored_as.as_str().into();
    }
}

/// Errors: 405 while the definition of the kind is being deleted.
pub fn admit_create(snapshot: &Snapshot, kind: &Kind) -> Result<(), Error> {
    let definition = kind.custom.then(|| snapshot.kinds().definition(&kind.resource()).cloned());
    match definition {
        Some(Some(definition)) if definition.terminating => {
            let why = "create not allowed while custom resource definition is terminating";
            Err(Error::new(Reason::MethodNotAllowed, why))
        }
        Some(None) => Err(Error::no_such_path()),
        _ => Ok(()),
    }
}

/// Whether texts of `format` are checked.
pub(crate) fn knows_format(format: &str) -> bool {
    format::KNOWN.contains(&format)
}

/// What `schema` has against its own default at `path`.
pub(crate) fn check_default(schema: &Schema, default: &Value, path: &str, errors: &mut Errors) {
    let mut pruned = default.clone();
    fill::prune(schema, &mut pruned, false);
    if pruned != *default {
        let why = "must not have unknown fields";
        errors.push(peapod_api::FieldError::invalid(path, default, why));
    }
    fill::default(schema, &mut pruned);
    check::check(schema, &pruned, path, errors);
}
