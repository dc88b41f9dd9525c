//! Types of the parts of an expression: what schemas and the type table make of fields, and what operators and functions make
//! of their operands.

use crate::custom::schema::Schema;
use crate::schema::{FieldType, Type as Table};

/// The type of a part of an expression, as far as it is known.
#[derive(Clone, Debug)]
pub(super) enum Type<'s> {
    Any,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    Other,
    List(Box<Type<'s>>),
    Map(Box<Type<'s>>),
    Object(&'s Schema, bool),
    Table(&'s Table),
}

impl<'s> Type<'s> {
    pub(super) fn of(schema: &'s Schema, is_resource: bool) -> Type<'s> {
        match schema.type_.as_str() {
            "string" => match schema.limits.format.as_str() {
                "date" | "date-time" | "datetime" => Type::Timestamp,
                "duration" => Type::Duration,
                "byte" => Type::Bytes,
                _ => Type::String,
            },
            "integer" => Type::Int,
            "number" => Type::Double,
            "boolean" => Type::Bool,
            "array" => Type::List(Box::new(
                schema.items.as_deref().map_or(Type::Any, |item| Type::of(item, item.embedded)),
            )),
            "object" if is_resource || !schema.properties.is_empty() => Type::Object(schema, is_resource),
            "object" => match schema.additional.as_deref() {
                Some(item) => Type::Map(Box::new(Type::of(item, item.embedded))),
                None => Type::Object(schema, false),
            },
            _ => Type::Any,
        }
    }

    /// The type of what a field of the table holds.
    fn of_field(field: &'s FieldType) -> Type<'s> {
        match field {
            FieldType::String => Type::String,
            FieldType::Int32 | FieldType::Int64 => Type::Int,
            FieldType::Bool => Type::Bool,
            FieldType::Double => Type::Double,
            FieldType::Bytes => Type::Bytes,
            FieldType::Time | FieldType::MicroTime => Type::Timestamp,
            FieldType::List(item) => Type::List(Box::new(Type::of_field(item))),
            FieldType::Map(value) => Type::Map(Box::new(Type::of_field(value))),
            FieldType::Object(reference) => Type::Table(reference.get()),
            _ => Type::Any,
        }
    }

    pub(super) fn name(&self) -> String {
        match self {
            Type::Any => "dyn".into(),
            Type::Null => "null".into(),
            Type::Bool => "bool".into(),
            Type::Int => "int".into(),
            Type::Uint => "uint".into(),
            Type::Double => "double".into(),
            Type::String => "string".into(),
            Type::Bytes => "bytes".into(),
            Type::Timestamp => "google.protobuf.Timestamp".into(),
            Type::Duration => "google.protobuf.Duration".into(),
            Type::Other => "dyn".into(),
            Type::List(item) => format!("list({})", item.name()),
            Type::Map(value) => format!("map(string, {})", value.name()),
            Type::Object(..) | Type::Table(_) => "object".into(),
        }
    }

    /// Whether values of both may be the same, or stand on both sides of an operator.
    fn fits(&self, other: &Type<'_>) -> bool {
        match (self, other) {
            (Type::Any | Type::Other | Type::Null, _) | (_, Type::Any | Type::Other | Type::Null) => true,
            (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) => a.fits(b),
            (Type::Map(_), Type::Object(..) | Type::Table(_))
            | (Type::Object(..) | Type::Table(_), Type::Map(_)) => true,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Uint | Type::Double)
    }
}

/// The type of the field that expressions call `name`.
pub(super) fn field<'s>(schema: &'s Schema, is_resource: bool, name: &str) -> Option<Type<'s>> {
    if is_resource {
        match name {
            "apiVersion" | "kind" => return Some(Type::String),
            "metadata" => return Some(Type::Any),
            _ => {}
        }
    }
    let own = schema.properties.iter().find(|(own, _)| super::escaped(own).as_deref() == Some(name));
    own.map(|(_, below)| Type::of(below, below.embedded))
        .or_else(|| schema.additional.as_deref().map(|item| Type::of(item, item.embedded)))
}

/// The same of a type of the table.
pub(super) fn field_of<'s>(table: &'s Table, name: &str) -> Option<Type<'s>> {
    let own = table.fields.iter().find(|field| super::escaped(&field.name).as_deref() == Some(name));
    own.map(|field| Type::of_field(&field.kind)).or(table.open.then_some(Type::Any))
}

/// The type of what an operator or function gives; none for operands that cannot fit.
pub(super) fn result<'s>(name: &str, types: &[Type<'s>]) -> Option<Type<'s>> {
    let is_bool = |ty: &Type<'_>| matches!(ty, Type::Bool | Type::Any | Type::Other);
    let alike = || types.first().zip(types.get(1)).is_none_or(|(a, b)| a.fits(b));
    match name {
        "_&&_" | "_||_" | "!_" => types.iter().all(is_bool).then_some(Type::Bool),
        "@not_strictly_false"
        | "@in"
        | "matches"
        | "contains"
        | "startsWith"
        | "endsWith"
        | "isSorted"
        | "isURL"
        | "isIP"
        | "isCIDR"
        | "isQuantity"
        | "hasValue" => Some(Type::Bool),
        "_==_" | "_!=_" => alike().then_some(Type::Bool),
        "_<_" | "_<=_" | "_>_" | "_>=_" => {
            (alike() || types.iter().all(Type::is_number)).then_some(Type::Bool)
        }
        "_?_:_" => {
            let [condition, yes, no] = types else { return None };
            let same = yes.name() == no.name();
            is_bool(condition).then(|| if same { yes.clone() } else { Type::Any })
        }
        "_+_" | "_-_" | "_*_" | "_/_" | "_%_" => {
            let mixed = types
                .iter()
                .any(|ty| matches!(ty, Type::Timestamp | Type::Duration | Type::Any | Type::Other));
            match (mixed, alike()) {
                (true, _) => Some(Type::Any),
                (false, true) => types
                    .first()
                    .cloned()
                    .map(|ty| if matches!(ty, Type::List(_)) { Type::List(Box::new(Type::Any)) } else { ty }),
                (false, false) => None,
            }
        }
        "-_" => types.first().cloned(),
        "_[_]" => match types {
            [Type::List(item), _] => Some((**item).clone()),
            [Type::Map(value), _] => Some((**value).clone()),
            [Type::Any | Type::Other | Type::Object(..) | Type::Table(_), _] => Some(Type::Any),
            _ => None,
        },
        "size" | "indexOf" | "lastIndexOf" | "int" => Some(Type::Int),
        "string" | "lowerAscii" | "upperAscii" | "trim" | "replace" | "substring" | "charAt" | "format"
        | "join" => Some(Type::String),
        "double" => Some(Type::Double),
        "duration" => Some(Type::Duration),
        "timestamp" => Some(Type::Timestamp),
        _ => Some(Type::Any),
    }
}
