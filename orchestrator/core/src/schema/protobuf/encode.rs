//! JSON to protobuf. What is absent is not written; Kubernetes' decoders read that as the zero value.

use super::wire::Writer;
use super::{MAX_DEPTH, schema_type, time};
use crate::duration;
use crate::schema::types::{FieldType, Type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// A value that is not of its field's type, or that protobuf does not carry.
pub(super) struct Unencodable;

/// The message of an object.
pub(super) fn message(ty: &Type, fields: &Map<String, Value>) -> Result<Vec<u8>, Unencodable> {
    nested(ty, fields, 0)
}

fn nested(ty: &Type, fields: &Map<String, Value>, depth: usize) -> Result<Vec<u8>, Unencodable> {
    if depth > MAX_DEPTH {
        return Err(Unencodable);
    }
    let mut out = Writer::default();
    part(ty, &[], fields, &mut out, depth)?;
    Ok(out.0)
}

/// Writes the fields of `ty` that lie in the enclosed message `via`.
fn part(
    ty: &Type,
    via: &[u32],
    fields: &Map<String, Value>,
    out: &mut Writer,
    depth: usize,
) -> Result<(), Unencodable> {
    let mut enclosed: Vec<u32> = Vec::new();
    for field in &ty.fields {
        let Some(value) = fields.get(&field.name).filter(|value| !value.is_null()) else { continue };
        match field.via.strip_prefix(via) {
            Some([]) if field.number > 0 => write(&field.kind, field.number, value, out, depth)?,
            Some([next, ..]) if !enclosed.contains(next) => enclosed.push(*next),
            _ => {}
        }
    }
    for number in enclosed {
        let mut inner = Writer::default();
        part(ty, &[via, &[number]].concat(), fields, &mut inner, depth + 1)?;
        out.bytes(number, &inner.0);
    }
    Ok(())
}

fn write(
    kind: &FieldType,
    number: u32,
    value: &Value,
    out: &mut Writer,
    depth: usize,
) -> Result<(), Unencodable> {
    match (kind, value) {
        (FieldType::List(item), Value::Array(items)) => {
            items.iter().try_for_each(|value| write(item, number, value, out, depth))?;
        }
        (FieldType::Map(item), Value::Object(map)) => {
            for (key, value) in map {
                let mut entry = Writer::default();
                entry.bytes(1, key.as_bytes());
                write(item, 2, value, &mut entry, depth)?;
                out.bytes(number, &entry.0);
            }
        }
        (FieldType::Int32 | FieldType::Int64, value) => {
            out.number(number, value.as_i64().ok_or(Unencodable)?);
        }
        (FieldType::Bool, Value::Bool(on)) => out.number(number, i64::from(*on)),
        (FieldType::Double, value) => out.double(number, value.as_f64().ok_or(Unencodable)?),
        (FieldType::String, Value::String(text)) => out.bytes(number, text.as_bytes()),
        (FieldType::Bytes, Value::String(text)) => {
            out.bytes(number, &STANDARD.decode(text).map_err(|_| Unencodable)?);
        }
        (FieldType::Object(reference), Value::Object(map)) => {
            out.bytes(number, &nested(reference.get(), map, depth + 1)?);
        }
        (FieldType::Time | FieldType::MicroTime | FieldType::Quantity, Value::Null) => out.bytes(number, b""),
        (kind, value) => {
            let mut small = Writer::default();
            write_small(kind, value, &mut small, depth + 1)?;
            out.bytes(number, &small.0);
        }
    }
    Ok(())
}

fn write_small(kind: &FieldType, value: &Value, out: &mut Writer, depth: usize) -> Result<(), Unencodable> {
    match (kind, value) {
        (FieldType::Time | FieldType::MicroTime, Value::String(text)) => {
            let (seconds, nanos) = time::from_text(text).ok_or(Unencodable)?;
            out.number(1, seconds);
            out.number(2, if matches!(kind, FieldType::Time) { 0 } else { i64::from(nanos) });
        }
        (FieldType::Duration, Value::String(text)) => {
            out.number(1, duration::parse(text).ok_or(Unencodable)?);
        }
        (FieldType::Quantity, Value::String(text)) => out.bytes(1, text.as_bytes()),
        (FieldType::Quantity, Value::Number(number)) => out.bytes(1, number.to_string().as_bytes()),
        (FieldType::IntOrString, Value::Number(number)) => {
            out.number(1, 0);
            out.number(2, number.as_i64().ok_or(Unencodable)?);
        }
        (FieldType::IntOrString, Value::String(text)) => {
            out.number(1, 1);
            out.bytes(3, text.as_bytes());
        }
        (FieldType::FieldsV1 | FieldType::Raw | FieldType::Json, value) => {
            out.bytes(1, value.to_string().as_bytes());
        }
        (FieldType::Items, Value::Array(items)) => {
            items.iter().try_for_each(|item| write(&FieldType::String, 1, item, out, depth))?;
        }
        (FieldType::SchemaOrBool, Value::Bool(allows)) => out.number(1, i64::from(*allows)),
        (FieldType::SchemaOrBool, schema @ Value::Object(_)) => {
            out.number(1, 1);
            write(&schema_type(), 2, schema, out, depth)?;
        }
        (FieldType::SchemaOrArray | FieldType::SchemaOrStrings, schema @ Value::Object(_)) => {
            write(&schema_type(), 1, schema, out, depth)?;
        }
        (FieldType::SchemaOrArray, Value::Array(schemas)) => {
            schemas.iter().try_for_each(|schema| write(&schema_type(), 2, schema, out, depth))?;
        }
        (FieldType::SchemaOrStrings, Value::Array(items)) => {
            items.iter().try_for_each(|item| write(&FieldType::String, 2, item, out, depth))?;
        }
        _ => return Err(Unencodable),
    }
    Ok(())
}
