//! The functions: CEL's own, its extensions for strings, lists, sets, math and encodings, and those of Kubernetes.

use super::value::{Key, Val};
use super::{Budget, Fault, Found, authorizer, format, macros, net, operators, quantity, semver, text, time};
use ::cel::common::ast::{Expr, IdedExpr};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A call with its arguments evaluated; of a member call the first is what it is a member of.
#[derive(Clone, Copy)]
pub(super) struct Call<'c> {
    pub(super) name: &'c str,
    pub(super) arguments: &'c [Val],
}

/// Functions whose names hold a dot.
const QUALIFIED: [&str; 30] = [
    "format.named",
    "jsonpatch.escapeKey",
    "optional.of",
    "optional.none",
    "optional.ofNonZeroValue",
    "ip.isCanonical",
    "base64.encode",
    "base64.decode",
    "sets.contains",
    "sets.equivalent",
    "sets.intersects",
    "strings.quote",
    "math.greatest",
    "math.least",
    "math.ceil",
    "math.floor",
    "math.round",
    "math.trunc",
    "math.abs",
    "math.sign",
    "math.isNaN",
    "math.isInf",
    "math.isFinite",
    "math.bitAnd",
    "math.bitOr",
    "math.bitXor",
    "math.bitNot",
    "math.sqrt",
    "math.bitShiftLeft",
    "math.bitShiftRight",
];
const TYPES: [&str; 13] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "optional_type",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
];
/// The names of the other functions, so that an expression that calls what is none is told so when it is read.
const PLAIN: [&str; 110] = [
    "validate",
    "size",
    "type",
    "dyn",
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "duration",
    "timestamp",
    "matches",
    "contains",
    "startsWith",
    "endsWith",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "join",
    "lowerAscii",
    "upperAscii",
    "replace",
    "split",
    "substring",
    "trim",
    "reverse",
    "format",
    "find",
    "findAll",
    "isSorted",
    "sum",
    "min",
    "max",
    "distinct",
    "flatten",
    "slice",
    "sort",
    "first",
    "last",
    "lists",
    "range",
    "url",
    "isURL",
    "getScheme",
    "getHost",
    "getHostname",
    "getPort",
    "getEscapedPath",
    "getQuery",
    "quantity",
    "isQuantity",
    "isInteger",
    "asInteger",
    "asApproximateFloat",
    "sign",
    "add",
    "sub",
    "isGreaterThan",
    "isLessThan",
    "compareTo",
    "ip",
    "isIP",
    "cidr",
    "isCIDR",
    "family",
    "isUnspecified",
    "isLoopback",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isGlobalUnicast",
    "containsIP",
    "containsCIDR",
    "prefixLength",
    "masked",
    "hasValue",
    "value",
    "or",
    "orValue",
    "optMap",
    "optFlatMap",
    "getFullYear",
    "getMonth",
    "getDayOfYear",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getHours",
    "getMinutes",
    "getSeconds",
    "getMilliseconds",
    "semver",
    "isSemver",
    "major",
    "minor",
    "patch",
    "path",
    "group",
    "resource",
    "subresource",
    "namespace",
    "name",
    "serviceAccount",
    "fieldSelector",
    "labelSelector",
    "check",
    "allowed",
    "reason",
    "errored",
    "error",
];

/// Whether the name is that of a type.
pub(super) fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

/// Whether the name is that of a function with a dot in its name.
pub(super) fn is_qualified(name: &str) -> bool {
    QUALIFIED.contains(&name) || format::is_format(name)
}

/// Whether there is such a function or operator.
pub(super) fn is_known(name: &str) -> bool {
    PLAIN.contains(&name) || name.starts_with(['_', '@', '!', '-'])
}

/// `a.b` of an expression that is nothing but names.
pub(super) fn qualified(operand: &IdedExpr, field: &str) -> Option<String> {
    match &operand.expr {
        Expr::Ident(name) => Some(format!("{name}.{field}")),
        Expr::Select(select) if !select.test => {
            Some(format!("{}.{field}", qualified(&select.operand, &select.field)?))
        }
        _ => None,
    }
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
        lists,
        sets_and_encodings,
        math,
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

fn extreme(items: &[Val], wanted: Ordering, name: &str) -> Found {
    let Some((first, rest)) = items.split_first() else {
        return Err(Fault::new(format!("{name} called on empty list")));
    };
    rest.iter().try_fold(first.clone(), |best, item| {
        let order = item.compared(&best).ok_or_else(|| no_overload(name, std::slice::from_ref(item)))?;
        Ok(if order == wanted { item.clone() } else { best })
    })
}

fn lists(call: Call<'_>, budget: &mut Budget) -> Option<Found> {
    let [Val::List(items), rest @ ..] = call.arguments else {
        return match (call.name, call.arguments) {
            ("lists.range" | "range", [Val::Int(n)]) if (0..100_000).contains(n) => {
                Some(budget.spend(*n as usize).map(|()| (0..*n).map(Val::Int).collect::<Vec<_>>().into()))
            }
            _ => None,
        };
    };
    if let Err(fault) = budget.spend(items.len()) {
        return Some(Err(fault));
    }
    Some(match (call.name, rest) {
        ("isSorted", []) => Ok(Val::Bool(
            items.windows(2).all(|pair| pair[0].compared(&pair[1]).is_some_and(Ordering::is_le)),
        )),
        ("sum", []) => {
            let zero = match items.first() {
                Some(Val::Double(_)) => Val::Double(0.0),
                Some(Val::Uint(_)) => Val::Uint(0),
                Some(Val::Duration(_)) => Val::Duration(0),
                _ => Val::Int(0),
            };
            items.iter().try_fold(zero, |sum, item| {
                operators::apply("_+_", &[sum, item.clone()], budget).unwrap_or(Ok(Val::Null))
            })
        }
        ("min", []) => extreme(items, Ordering::Less, "min"),
        ("max", []) => extreme(items, Ordering::Greater, "max"),
        ("indexOf", [wanted]) => Ok(position(items.iter().position(|item| item.same(wanted)))),
        ("lastIndexOf", [wanted]) => Ok(position(items.iter().rposition(|item| item.same(wanted)))),
        ("contains", [wanted]) => Ok(Val::Bool(items.iter().any(|item| item.same(wanted)))),
        ("first", []) => Ok(Val::Optional(items.first().cloned().map(Box::new))),
        ("last", []) => Ok(Val::Optional(items.last().cloned().map(Box::new))),
        ("reverse", []) => Ok(items.iter().rev().cloned().collect::<Vec<_>>().into()),
        ("distinct", []) => {
            budget.spend(items.len().saturating_mul(items.len()) / 10).map(|()| distinct(items).into())
        }
        ("slice", [Val::Int(from), Val::Int(to)]) => {
            let range = usize::try_from(*from).ok().zip(usize::try_from(*to).ok());
            let part = range.and_then(|(from, to)| items.get(from..to));
            part.map(|part| part.to_vec().into()).ok_or_else(|| {
                Fault::new(format!("cannot slice({from}, {to}), list is length {}", items.len()))
            })
        }
        ("flatten", []) => Ok(flatten(items, 1).into()),
        ("flatten", [Val::Int(depth)]) => Ok(flatten(items, (*depth).clamp(0, 10)).into()),
        ("sort", []) => {
            let mut sorted = items.to_vec();
            sorted.sort_by(|a, b| a.compared(b).unwrap_or(Ordering::Equal));
            Ok(sorted.into())
        }
        _ => return None,
    })
}

/// The place of what was found; -1 for what was not.
pub(super) fn position(found: Option<usize>) -> Val {
    Val::Int(found.map_or(-1, |at| at as i64))
}

fn distinct(items: &[Val]) -> Vec<Val> {
    let mut found: Vec<Val> = Vec::new();
    for item in items {
        if !found.iter().any(|other| other.same(item)) {
            found.push(item.clone());
        }
    }
    found
}

fn flatten(items: &[Val], depth: i64) -> Vec<Val> {
    let below = |item: &Val| match item {
        Val::List(items) if depth > 0 => flatten(items, depth - 1),
        other => vec![other.clone()],
    };
    items.iter().flat_map(below).collect()
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
        ("base64.encode", [Val::Bytes(bytes)]) => Ok(STANDARD.encode(bytes).into()),
        ("base64.decode", [Val::String(text)]) => match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => Ok(Val::Bytes(bytes.into())),
            Err(error) => Err(Fault::new(format!("base64.decode: {error}"))),
        },
        _ => return None,
    })
}

fn math(call: Call<'_>, _: &mut Budget) -> Option<Found> {
    let name = call.name.strip_prefix("math.")?;
    let one_list = |arguments: &[Val]| match arguments {
        [Val::List(items)] => items.to_vec(),
        other => other.to_vec(),
    };
    Some(match (name, call.arguments) {
        ("greatest", arguments) => extreme(&one_list(arguments), Ordering::Greater, call.name),
        ("least", arguments) => extreme(&one_list(arguments), Ordering::Less, call.name),
        ("abs", [Val::Int(n)]) => n.checked_abs().map(Val::Int).ok_or_else(|| Fault::new("integer overflow")),
        ("abs", [value @ Val::Uint(_)]) => Ok(value.clone()),
        ("sign", [Val::Int(n)]) => Ok(Val::Int(n.signum())),
        ("sign", [Val::Uint(n)]) => Ok(Val::Uint((*n).min(1))),
        ("bitAnd", [Val::Int(a), Val::Int(b)]) => Ok(Val::Int(a & b)),
        ("bitOr", [Val::Int(a), Val::Int(b)]) => Ok(Val::Int(a | b)),
        ("bitXor", [Val::Int(a), Val::Int(b)]) => Ok(Val::Int(a ^ b)),
        ("bitNot", [Val::Int(a)]) => Ok(Val::Int(!a)),
        ("bitShiftLeft", [Val::Int(a), Val::Int(n)]) if *n >= 0 => {
            Ok(Val::Int(u32::try_from(*n).ok().and_then(|n| a.checked_shl(n)).unwrap_or(0)))
        }
        ("bitShiftRight", [Val::Int(a), Val::Int(n)]) if *n >= 0 => {
            let shifted = u32::try_from(*n).ok().and_then(|n| (*a as u64).checked_shr(n)).unwrap_or(0);
            Ok(Val::Int(shifted as i64))
        }
        (name, [Val::Double(n)]) => match name {
            "ceil" => Ok(Val::Double(n.ceil())),
            "floor" => Ok(Val::Double(n.floor())),
            "round" => Ok(Val::Double(n.round())),
            "trunc" => Ok(Val::Double(n.trunc())),
            "abs" => Ok(Val::Double(n.abs())),
            "sign" => Ok(Val::Double(if *n == 0.0 || n.is_nan() { *n } else { n.signum() })),
            "isNaN" => Ok(Val::Bool(n.is_nan())),
            "isInf" => Ok(Val::Bool(n.is_infinite())),
            "isFinite" => Ok(Val::Bool(n.is_finite())),
            "sqrt" => Ok(Val::Double(n.sqrt())),
            _ => return None,
        },
        ("sqrt", [Val::Int(n)]) => Ok(Val::Double((*n as f64).sqrt())),
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
