//! Protobuf to JSON.

use super::wire::{Reader, Wire};
use super::{Fault, MAGIC, MAX_DEPTH, schema_type, time, with_kind};
use crate::duration;
use crate::schema::lookup_kind;
use crate::schema::normalize::normalize;
use crate::schema::types::{Field, FieldType, Type};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_api::Error;
use peapod_api::error::Reason;
use serde_json::{Map, Value};

/// How many more objects may be built.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new(objects: usize) -> Budget {
        Budget(objects)
    }

    fn spend(&mut self) -> Result<(), Fault> {
        self.0 = self.0.checked_sub(1).ok_or("it holds too many objects")?;
        Ok(())
    }
}

/// A whole body with its envelope.
pub(super) fn body(bytes: &[u8], budget: &mut Budget, depth: usize) -> Result<Value, Fault> {
    let unknown = bytes.strip_prefix(MAGIC).ok_or("it does not begin with k8s\\0")?;
    let (mut api_version, mut kind, mut raw) = ("", "", &[][..]);
    let mut reader = Reader(unknown);
    while let Some((number, value)) = reader.next()? {
        match (number, value) {
            (1, Wire::Bytes(type_meta)) => (api_version, kind) = type_meta_of(type_meta)?,
            (2, Wire::Bytes(message)) => raw = message,
            (3, Wire::Bytes(encoding)) if !encoding.is_empty() => {
                return Err("its content is encoded again".into());
            }
            _ => {}
        }
    }
    let ty = lookup_kind(api_version, kind).ok_or_else(|| {
        let why = format!("no kind {kind:?} is registered for version {api_version:?} in protobuf");
        Fault(Error::new(Reason::UnsupportedMediaType, why))
    })?;
    let mut object = Value::Object(message(ty, raw, budget, depth)?);
    normalize(ty, &mut object);
    match object {
        Value::Object(fields) => Ok(with_kind(api_version, kind, fields)),
        other => Ok(other),
    }
}

fn type_meta_of(bytes: &[u8]) -> Result<(&str, &str), Fault> {
    let (mut api_version, mut kind) = ("", "");
    let mut reader = Reader(bytes);
    while let Some((number, value)) = reader.next()? {
        match (number, value) {
            (1, Wire::Bytes(text)) => api_version = utf8(text)?,
            (2, Wire::Bytes(text)) => kind = utf8(text)?,
            _ => {}
        }
    }
    Ok((api_version, kind))
}

fn message(ty: &Type, bytes: &[u8], budget: &mut Budget, depth: usize) -> Result<Map<String, Value>, Fault> {
    budget.spend()?;
    let mut fields = Map::new();
    part(ty, &[], bytes, &mut fields, budget, depth)?;
    Ok(fields)
}

/// Reads the fields of `ty` that lie in the enclosed message `via`.
fn part(
    ty: &Type,
    via: &[u32],
    bytes: &[u8],
    into: &mut Map<String, Value>,
    budget: &mut Budget,
    depth: usize,
) -> Result<(), Fault> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deeply".into());
    }
    let mut reader = Reader(bytes);
    while let Some((number, value)) = reader.next()? {
        let here = |field: &&Field| field.number == number && field.via == via;
        if let Some(field) = ty.fields.iter().find(here) {
            read_field(field, value, into, budget, depth)?;
            continue;
        }
        let inner = [via, &[number]].concat();
        if let Wire::Bytes(bytes) = value
            && ty.fields.iter().any(|field| field.via.starts_with(&inner))
        {
            part(ty, &inner, bytes, into, budget, depth + 1)?;
        }
    }
    Ok(())
}

fn read_field(
    field: &Field,
    wire: Wire<'_>,
    into: &mut Map<String, Value>,
    budget: &mut Budget,
    depth: usize,
) -> Result<(), Fault> {
    match &field.kind {
        FieldType::List(item) => {
            let list = into.entry(field.name.as_str()).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(items) = list {
                read_items(item, wire, items, budget, depth)?;
            }
        }
        FieldType::Map(item) => {
            let (key, value) = entry(item, bytes_of(wire)?, budget, depth)?;
            let map = into.entry(field.name.as_str()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(map) = map {
                map.insert(key, value);
            }
        }
        kind => {
            into.insert(field.name.clone(), single(kind, wire, budget, depth)?);
        }
    }
    Ok(())
}

/// One item, or several packed numbers.
fn read_items(
    item: &FieldType,
    wire: Wire<'_>,
    items: &mut Vec<Value>,
    budget: &mut Budget,
    depth: usize,
) -> Result<(), Fault> {
    if let (FieldType::Int32 | FieldType::Int64 | FieldType::Bool, Wire::Bytes(packed)) = (item, wire) {
        let mut reader = Reader(packed);
        while !reader.0.is_empty() {
            let number = Wire::Varint(reader.varint()?);
            items.push(single(item, number, budget, depth)?);
        }
        return Ok(());
    }
    items.push(single(item, wire, budget, depth)?);
    Ok(())
}

fn entry(
    item: &FieldType,
    bytes: &[u8],
    budget: &mut Budget,
    depth: usize,
) -> Result<(String, Value), Fault> {
    let (mut key, mut value) = (String::new(), None);
    let mut reader = Reader(bytes);
    while let Some((number, wire)) = reader.next()? {
        match number {
            1 => key = utf8(bytes_of(wire)?)?.to_string(),
            2 => value = Some(single(item, wire, budget, depth)?),
            _ => {}
        }
    }
    let value = match (value, item) {
        (Some(value), _) => value,
        (None, FieldType::String | FieldType::Bytes) => Value::from(""),
        (None, _) => single(item, Wire::Bytes(&[]), budget, depth)?,
    };
    Ok((key, value))
}

fn single(kind: &FieldType, wire: Wire<'_>, budget: &mut Budget, depth: usize) -> Result<Value, Fault> {
    Ok(match kind {
        FieldType::Int32 => (number_of(wire)? as i32).into(),
        FieldType::Int64 => number_of(wire)?.into(),
        FieldType::Bool => (number_of(wire)? != 0).into(),
        FieldType::Double => match wire {
            Wire::Fixed64(bits) => f64::from_bits(bits).into(),
            _ => return Err("a floating-point number has the wrong wire type".into()),
        },
        FieldType::String => utf8(bytes_of(wire)?)?.into(),
        FieldType::Bytes => STANDARD.encode(bytes_of(wire)?).into(),
        FieldType::Object(reference) => {
            Value::Object(message(reference.get(), bytes_of(wire)?, budget, depth + 1)?)
        }
        FieldType::FieldsV1 | FieldType::Raw | FieldType::Json => raw(bytes_of(wire)?, budget, depth + 1)?,
        FieldType::Items => {
            let mut items = Vec::new();
            let mut reader = Reader(bytes_of(wire)?);
            while let Some((number, wire)) = reader.next()? {
                if number == 1 {
                    items.push(utf8(bytes_of(wire)?)?.into());
                }
            }
            Value::Array(items)
        }
        FieldType::Any | FieldType::List(_) | FieldType::Map(_) => Value::Null,
        special => small(special, &Small::read(bytes_of(wire)?)?, budget, depth)?,
    })
}

/// The first fields of one of the little messages whose JSON form is a scalar, or a choice.
#[derive(Default)]
struct Small<'a> {
    numbers: [Option<i64>; 3],
    bytes: [Option<&'a [u8]>; 3],
    second: Vec<&'a [u8]>,
}

impl<'a> Small<'a> {
    fn read(bytes: &'a [u8]) -> Result<Small<'a>, Fault> {
        let mut small = Small::default();
        let mut reader = Reader(bytes);
        while let Some((number, wire)) = reader.next()? {
            let at = number as usize - 1;
            match wire {
                Wire::Varint(value) if at < 3 => small.numbers[at] = Some(value.cast_signed()),
                Wire::Bytes(bytes) if at < 3 => {
                    small.bytes[at] = Some(bytes);
                    if at == 1 {
                        small.second.push(bytes);
                    }
                }
                _ => {}
            }
        }
        Ok(small)
    }

    fn number(&self, at: usize) -> i64 {
        self.numbers[at].unwrap_or_default()
    }

    fn text(&self, at: usize) -> Result<&'a str, Fault> {
        utf8(self.bytes[at].unwrap_or_default())
    }
}

fn small(kind: &FieldType, from: &Small<'_>, budget: &mut Budget, depth: usize) -> Result<Value, Fault> {
    let mut schema = |bytes: &[u8]| single(&schema_type(), Wire::Bytes(bytes), budget, depth + 1);
    Ok(match kind {
        FieldType::Time | FieldType::MicroTime => {
            // No time is an empty message; the first second of 1970 is zeros.
            if from.numbers == [None; 3] {
                return Ok(Value::Null);
            }
            let (seconds, nanos) = (from.number(0), from.number(1) as i32);
            let micros = matches!(kind, FieldType::MicroTime);
            time::to_text(seconds, nanos, micros).ok_or("a time is out of range")?.into()
        }
        FieldType::Duration => duration::text(from.number(0)).into(),
        FieldType::Quantity => match from.text(0)? {
            "" => "0".into(),
            text => {
                text.parse::<peapod_api::Quantity>().map_err(|_| "a quantity is malformed")?;
                text.into()
            }
        },
        FieldType::IntOrString if from.number(0) == 0 => (from.number(1) as i32).into(),
        FieldType::IntOrString => from.text(2)?.into(),
        FieldType::SchemaOrBool => match from.bytes[1] {
            Some(bytes) => schema(bytes)?,
            None => (from.number(0) != 0).into(),
        },
        FieldType::SchemaOrArray => match from.bytes[0] {
            Some(bytes) => schema(bytes)?,
            None => from.second.iter().map(|bytes| schema(bytes)).collect::<Result<_, _>>()?,
        },
        FieldType::SchemaOrStrings => match from.bytes[0] {
            Some(bytes) => schema(bytes)?,
            None => from.second.iter().map(|bytes| utf8(bytes).map(Value::from)).collect::<Result<_, _>>()?,
        },
        _ => Value::Null,
    })
}

/// JSON text, or an encoded object of its own, in field 1.
fn raw(bytes: &[u8], budget: &mut Budget, depth: usize) -> Result<Value, Fault> {
    if depth > MAX_DEPTH {
        return Err("it is nested too deeply".into());
    }
    let content = Small::read(bytes)?.bytes[0].unwrap_or_default();
    if content.starts_with(MAGIC) {
        return body(content, budget, depth);
    }
    if content.is_empty() {
        return Ok(Value::Null);
    }
    let decoded = crate::schema::decode::json(content).map_err(Fault)?;
    Ok(decoded.value)
}

fn bytes_of(wire: Wire<'_>) -> Result<&[u8], Fault> {
    match wire {
        Wire::Bytes(bytes) => Ok(bytes),
        _ => Err("a field has the wrong wire type".into()),
    }
}

fn number_of(wire: Wire<'_>) -> Result<i64, Fault> {
    match wire {
        Wire::Varint(value) => Ok(value.cast_signed()),
        Wire::Fixed64(value) => Ok(value.cast_signed()),
        Wire::Fixed32(value) => Ok(i64::from(value)),
        Wire::Bytes(_) => Err("a number has the wrong wire type".into()),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|_| "a string is not UTF-8".into())
}
