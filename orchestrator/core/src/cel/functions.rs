//! The functions by families: CEL's own, its extensions for sets, encodings and optionals here, the others and those of
//! Kubernetes in files of their own.

use super::value::{Key, Val};
use super::{
    Budget, Fault, Found, authorizer, format, lists, macros, math, net, operators, quantity, semver, text,
    time,
};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Base64, read with its padding and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A call with its arguments evaluated; of a member call the first is what it is a member of.
#[derive(Clone, Copy)]
pub(super) struct Call<'c> {
    pub(super) name: &'c str,
    pub(super) arguments: &'c [Val],
}

/// The words for arguments that a function does not take.
pub(super) fn no_overload(name: &str, arguments: &[Val]) -> Fault {
    let types: Vec<&str> = arguments.iter().map(Val::type_name).collect();
    Fault::new(format!("found no matching overload for '{name}' applied to '({})'", types.join(", ")))
}

/// What a function gives for its arguments.
pub(super) fn call(call: Call<'_>, budget: &mut Budget) -> Found {
    let given: usize = call.arguments.iter().map(Val::size).sum();
    budget.spend(1 + given / 10)?;
    if let Some(found) = operators::apply(call.name, call.arguments, budget) {
        return found;
    }
    let families = [
        general,
        text::call,
        lists::call,
        sets_and_encodings,
        math::call,
        time::call,
        quantity::call,
        semver::call,
        format::call,
        net::call,
        optionals,
        authorizer::call,
    ];
    for family in families {
        if let Some(found) = family(call, budget) {
            return found;
        }
    }
    Err(no_overload(call.name, call.arguments))
}

fn general(call: Call<'_>, _: &mut Budget) -> Option<Found> {
    Some(match (call.name, call.arguments) {
        ("size", [Val::String(text)]) => Ok(Val::Int(text.chars().count() as i64)),
        ("size", [Val::Bytes(bytes)]) => Ok(Val::Int(bytes.len() as i64)),
        ("size", [Val::List(items)]) => Ok(Val::Int(items.len() as i64)),
        ("size", [Val::Map(map)]) => Ok(Val::Int(map.len() as i64)),
        ("type", [value]) => Ok(Val::Type(value.type_name().into())),
        ("dyn", [value]) => Ok(value.clone()),
        (macros::INSERT, [Val::Map(map), key, value]) => match key.key() {
            Ok(key) => inserted(map, [(key, value.clone())]),
            Err(fault) => Err(fault),
        },
        (macros::INSERT_ALL, [Val::Map(map), Val::Map(more)]) => {
            inserted(map, more.iter().map(|(key, value)| (key.clone(), value.clone())))
        }
        ("bool" | "int" | "uint" | "double" | "string" | "bytes", [value]) => convert(call.name, value),
        _ => return None,
    })
}

fn inserted(map: &BTreeMap<Key, Val>, more: impl IntoIterator<Item = (Key, Val)>) -> Found {
    let mut map = map.clone();
    for (key, value) in more {
        if map.contains_key(&key) {
            return Err(Fault::new(format!(
                "insert failed: key '{}' already exists",
                text::shown(&key.into())
            )));
        }
        map.insert(key, value);
    }
    Ok(Val::Map(Arc::new(map)))
}

fn convert(to: &str, value: &Val) -> Found {
    let failed = || Fault::new(format!("type conversion error from '{}' to '{to}'", value.type_name()));
    let whole = |n: f64| (n.is_finite() && n.abs() < 9.2e18).then_some(n as i64);
    let found = match (to, value) {
        ("bool", Val::Bool(_)) | ("int", Val::Int(_)) | ("uint", Val::Uint(_)) => Some(value.clone()),
        ("double", Val::Double(_)) | ("string", Val::String(_)) | ("bytes", Val::Bytes(_)) => {
            Some(value.clone())
        }
        ("bool", Val::String(text)) => match &**text {
            "true" | "True" | "TRUE" | "t" | "1" => Some(Val::Bool(true)),
            "false" | "False" | "FALSE" | "f" | "0" => Some(Val::Bool(false)),
            _ => None,
        },
        ("int", Val::Uint(n)) => i64::try_from(*n).ok().map(Val::Int),
        ("int", Val::Double(n)) => whole(*n).map(Val::Int),
        ("int", Val::String(text)) => text.parse().ok().map(Val::Int),
        ("int", Val::Timestamp(at)) => Some(Val::Int(at.as_second())),
        ("uint", Val::Int(n)) => u64::try_from(*n).ok().map(Val::Uint),
        ("uint", Val::Double(n)) => whole(*n).and_then(|n| u64::try_from(n).ok()).map(Val::Uint),
        ("uint", Val::String(text)) => text.parse().ok().map(Val::Uint),
        ("double", Val::Int(n)) => Some(Val::Double(*n as f64)),
        ("double", Val::Uint(n)) => Some(Val::Double(*n as f64)),
        ("double", Val::String(text)) => text.parse().ok().map(Val::Double),
        ("bytes", Val::String(text)) => Some(Val::Bytes(text.as_bytes().into())),
        ("string", Val::Bytes(bytes)) => std::str::from_utf8(bytes).ok().map(Val::from),
        ("string", Val::List(_) | Val::Map(_) | Val::Null | Val::Type(_) | Val::Optional(_)) => None,
        ("string", value) => Some(text::shown(value).into()),
        _ => None,
    };
    found.ok_or_else(failed)
}

fn sets_and_encodings(call: Call<'_>, budget: &mut Budget) -> Option<Found> {
    if let (name, [Val::List(a), Val::List(b)]) = (call.name, call.arguments)
        && name.starts_with("sets.")
    {
        if let Err(fault) = budget.spend(a.len().saturating_mul(b.len())) {
            return Some(Err(fault));
        }
        let all =
            |of: &[Val], within: &[Val]| of.iter().all(|item| within.iter().any(|other| other.same(item)));
        return Some(Ok(Val::Bool(match name {
            "sets.contains" => all(b, a),
            "sets.equivalent" => all(a, b) && all(b, a),
            _ => b.iter().any(|item| a.iter().any(|other| other.same(item))),
        })));
    }
    Some(match (call.name, call.arguments) {
        ("jsonpatch.escapeKey", [Val::String(key)]) => Ok(key.replace('~', "~0").replace('/', "~1").into()),
        ("base64.encode", [Val::Bytes(bytes)]) => Ok(BASE64.encode(bytes).into()),
        ("base64.decode", [Val::String(text)]) => match BASE64.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Val::Bytes(bytes.into())),
            Err(error) => Err(Fault::new(format!("base64.decode: {error}"))),
        },
        _ => return None,
    })
}

fn optionals(call: Call<'_>, _: &mut Budget) -> Option<Found> {
    Some(match (call.name, call.arguments) {
        ("optional.of", [value]) => Ok(Val::Optional(Some(Box::new(value.clone())))),
        ("optional.none", []) => Ok(Val::Optional(None)),
        ("optional.ofNonZeroValue", [value]) => {
            Ok(Val::Optional((!is_zero(value)).then(|| Box::new(value.clone()))))
        }
        ("hasValue", [Val::Optional(value)]) => Ok(Val::Bool(value.is_some())),
        ("value", [Val::Optional(value)]) => {
            value.as_deref().cloned().ok_or_else(|| Fault::new("optional.none() dereference"))
        }
        _ => return None,
    })
}

fn is_zero(value: &Val) -> bool {
    match value {
        Val::Null | Val::Bool(false) | Val::Int(0) | Val::Uint(0) | Val::Duration(0) => true,
        Val::Double(n) => *n == 0.0,
        Val::String(text) => text.is_empty(),
        Val::Bytes(bytes) => bytes.is_empty(),
        Val::List(items) => items.is_empty(),
        Val::Map(map) => map.is_empty(),
        _ => false,
    }
}

/// A map with texts for keys.
pub(super) fn map(entries: impl IntoIterator<Item = (String, Val)>) -> Val {
    let entries = entries.into_iter().map(|(key, value)| (Key::String(key.into()), value));
    Val::Map(std::sync::Arc::new(entries.collect()))
}
