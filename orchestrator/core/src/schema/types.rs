//! Types as data: what a type's fields are called, hold, default to, and how they merge.

use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

/// A structured type. Built from the published table or, for custom resources, at run time.
#[derive(Debug)]
pub struct Type {
    /// As in OpenAPI: `io.k8s.api.core.v1.Pod`.
    pub name: String,
    /// In the order of the API definition.
    pub fields: Vec<Field>,
    /// As an item of a list or map the whole object is one value to server-side apply.
    pub atomic: bool,
    /// Has `apiVersion` and `kind`.
    pub top: bool,
    /// Fields that the type does not name are kept (custom resources that preserve unknown fields).
    pub open: bool,
    by_name: HashMap<String, usize>,
}

impl Type {
    /// A type with `fields`, neither atomic, nor a kind, nor open.
    pub fn new(name: impl Into<String>, fields: Vec<Field>) -> Type {
        let by_name = fields.iter().enumerate().map(|(at, field)| (field.name.clone(), at)).collect();
        Type { name: name.into(), fields, atomic: false, top: false, open: false, by_name }
    }

    /// The field with that JSON name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.by_name.get(name).map(|at| &self.fields[*at])
    }

    /// The name without its package: `Pod`.
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

/// One field of a type.
#[derive(Debug, Clone)]
pub struct Field {
    /// JSON name.
    pub name: String,
    /// Protobuf number; 0 for one that protobuf does not carry.
    pub number: u32,
    /// The protobuf messages that enclose the field where JSON inlines them, outermost first.
    pub via: Vec<u32>,
    /// What it holds.
    pub kind: FieldType,
    /// Must be present.
    pub required: bool,
    /// Absence differs from the zero value.
    pub pointer: bool,
    /// The empty value of a scalar, list or map is not written.
    pub omit_empty: bool,
    /// The empty value of an object is not written.
    pub omit_zero: bool,
    /// Of a list: how server-side apply merges it.
    pub list: ListType,
    /// Of an object or map: one value to server-side apply.
    pub atomic: bool,
    /// How strategic merge patch treats it.
    pub patch: Patch,
    /// Null is a value of its own and does not stand for absence.
    pub nullable: bool,
    /// Published default.
    pub default: Option<Value>,
    /// Published values of an enumeration; empty if there are none.
    pub values: Vec<String>,
}

impl Field {
    /// An optional field without defaults or special merging.
    pub fn new(name: impl Into<String>, kind: FieldType) -> Field {
        Field {
            name: name.into(),
            number: 0,
            via: Vec::new(),
            kind,
            required: false,
            pointer: false,
            omit_empty: true,
            omit_zero: false,
            list: ListType::Atomic,
            atomic: false,
            patch: Patch::default(),
            nullable: false,
            default: None,
            values: Vec::new(),
        }
    }
}

/// What a field, or an item of one, holds. The names are those of the wire.
#[derive(Debug, Clone)]
pub enum FieldType {
    /// Text.
    String,
    /// A signed 32-bit integer.
    Int32,
    /// A signed 64-bit integer.
    Int64,
    /// true or false.
    Bool,
    /// A floating-point number.
    Double,
    /// Base64 in JSON.
    Bytes,
    /// RFC 3339, seconds.
    Time,
    /// RFC 3339, microseconds.
    MicroTime,
    /// Go's notation, e.g. `1h0m0s`.
    Duration,
    /// `resource.Quantity`: a string, or a number when read.
    Quantity,
    /// An integer or a string.
    IntOrString,
    /// Managed fields: an object, its JSON text in protobuf.
    FieldsV1,
    /// Any object (`runtime.RawExtension`).
    Raw,
    /// Any JSON value (`apiextensions` JSON).
    Json,
    /// Any JSON value that protobuf does not carry.
    Any,
    /// A schema or a boolean.
    SchemaOrBool,
    /// A schema or a list of schemas.
    SchemaOrArray,
    /// A schema or a list of strings.
    SchemaOrStrings,
    /// A list of strings that is a message of its own in protobuf.
    Items,
    /// A list.
    List(Box<FieldType>),
    /// An object with arbitrary keys.
    Map(Box<FieldType>),
    /// An object of a type.
    Object(TypeRef),
}

impl FieldType {
    /// The type of the object, or of the items of the list or map.
    pub fn object(&self) -> Option<&Type> {
        match self {
            FieldType::Object(reference) => Some(reference.get()),
            FieldType::List(item) | FieldType::Map(item) => item.object(),
            _ => None,
        }
    }
}

/// Points to a type: by its name in the published table, or directly.
#[derive(Debug, Clone)]
pub enum TypeRef {
    /// In the table.
    Named(Named),
    /// Built at run time.
    Inline(Arc<Type>),
}

/// The name of a type in the table, resolved once.
#[derive(Debug, Clone)]
pub struct Named {
    name: Box<str>,
    resolved: OnceLock<&'static Type>,
}

impl TypeRef {
    /// The type of the published table with that full name, which must exist.
    pub(crate) fn named(name: &str) -> TypeRef {
        TypeRef::Named(Named { name: name.into(), resolved: OnceLock::new() })
    }

    /// The type itself.
    pub fn get(&self) -> &Type {
        match self {
            TypeRef::Inline(inline) => inline,
            TypeRef::Named(named) => named.resolved.get_or_init(|| {
                super::lookup(&named.name).expect("the table names only types that it holds (tested)")
            }),
        }
    }
}

/// How server-side apply merges a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListType {
    /// As one value.
    Atomic,
    /// Each item is a value of its own.
    Set,
    /// Items are objects identified by these keys.
    Map(Vec<String>),
}

/// How strategic merge patch treats a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patch {
    /// A list is merged, by `key` if it holds objects.
    pub merge: bool,
    /// An object is replaced, not merged.
    pub replace: bool,
    /// Of an object, only the keys that the patch names are kept.
    pub retain_keys: bool,
    /// Merge key of a list of objects.
    pub key: Option<String>,
}
