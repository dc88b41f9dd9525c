//! Operators: fields, indexes, arithmetic, order and membership.

use super::functions::no_overload;
use super::value::{Key, Val};
use super::{Budget, Fault, Found};
use jiff::SignedDuration;
use std::sync::Arc;

/// `operand.name`
pub(super) fn field(operand: &Val, name: &str) -> Found {
    match operand {
        Val::Map(map) => {
            let found = map.get(&Key::String(name.into())).cloned();
            found.ok_or_else(|| Fault::new(format!("no such key: {name}")))
        }
        Val::Rights(rights) => rights.field(name).ok_or_else(|| Fault::new(format!("no such key: {name}"))),
        Val::Optional(None) => Ok(Val::Optional(None)),
        Val::Optional(Some(inner)) => Ok(optional(field(inner, name))),
        other => Err(Fault::new(no_fields(other.type_name()))),
    }
}

/// Why nothing can be selected of a value of that type.
pub(super) fn no_fields(type_name: &str) -> String {
    format!("type '{type_name}' does not support field selection")
}

fn optional(found: Found) -> Val {
    Val::Optional(found.ok().map(Box::new))
}

/// `container[index]`
pub(super) fn index(container: &Val, index: &Val) -> Found {
    match (container, index) {
        (Val::Map(map), key) => {
            let found = map.get(&key.key()?).cloned();
            found.ok_or_else(|| Fault::new(format!("no such key: {}", super::text::shown(key))))
        }
        (Val::List(items), Val::Int(_) | Val::Uint(_) | Val::Double(_)) => {
            let at = match index.key()? {
                Key::Int(at) => usize::try_from(at).ok(),
                _ => None,
            };
            let found = at.and_then(|at| items.get(at)).cloned();
            found.ok_or_else(|| Fault::new(format!("index out of bounds: {}", super::text::shown(index))))
        }
        (Val::Optional(None), _) => Ok(Val::Optional(None)),
        (Val::Optional(Some(inner)), at) => Ok(optional(self::index(inner, at))),
        (container, at) => Err(no_overload("_[_]", &[container.clone(), at.clone()])),
    }
}

/// What an operator gives; none if `name` is no operator.
pub(super) fn apply(name: &str, arguments: &[Val], budget: &mut Budget) -> Option<Found> {
    let found = match (name, arguments) {
        ("!_", [Val::Bool(on)]) => Ok(Val::Bool(!on)),
        ("-_", [Val::Int(n)]) => n.checked_neg().map(Val::Int).ok_or_else(overflow),
        ("-_", [Val::Double(n)]) => Ok(Val::Double(-n)),
        ("_==_", [a, b]) => budget.spend(a.size().min(b.size())).map(|()| Val::Bool(a.same(b))),
        ("_!=_", [a, b]) => budget.spend(a.size().min(b.size())).map(|()| Val::Bool(!a.same(b))),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => order(name, a, b),
        ("_+_", [a, b]) => add(a, b, budget),
        ("_-_" | "_*_" | "_/_" | "_%_", [a, b]) => arithmetic(name, a, b),
        ("_[_]", [container, at]) => index(container, at),
        ("_[?_]", [container, at]) => Ok(match index(container, at) {
            Ok(found @ Val::Optional(_)) if matches!(container, Val::Optional(_)) => found,
            found => optional(found),
        }),
        ("_?._", [container, Val::String(name)]) => Ok(match field(container, name) {
            Ok(found @ Val::Optional(_)) if matches!(container, Val::Optional(_)) => found,
            found => optional(found),
        }),
        ("@in", [wanted, Val::List(items)]) => {
            budget.spend(items.len()).map(|()| Val::Bool(items.iter().any(|item| item.same(wanted))))
        }
        ("@in", [wanted, Val::Map(map)]) => {
            Ok(Val::Bool(wanted.key().is_ok_and(|key| map.contains_key(&key))))
        }
        _ if name.starts_with('_') || matches!(name, "@in" | "!_" | "-_") => {
            Err(no_overload(name, arguments))
        }
        _ => return None,
    };
    Some(found)
}

fn overflow() -> Fault {
    Fault::new("integer overflow")
}

fn order(name: &str, a: &Val, b: &Val) -> Found {
    let is_nan = |value: &Val| matches!(value, Val::Double(n) if n.is_nan());
    if is_nan(a) || is_nan(b) {
        return Ok(Val::Bool(false));
    }
    let order = a.compared(b).ok_or_else(|| no_overload(name, &[a.clone(), b.clone()]))?;
    Ok(Val::Bool(match name {
        "_<_" => order.is_lt(),
        "_<=_" => order.is_le(),
        "_>_" => order.is_gt(),
        _ => order.is_ge(),
    }))
}

fn add(a: &Val, b: &Val, budget: &mut Budget) -> Found {
    match (a, b) {
        (Val::String(a), Val::String(b)) => {
            budget.spend((a.len() + b.len()) / 10)?;
            Ok(format!("{a}{b}").into())
        }
        (Val::Bytes(a), Val::Bytes(b)) => {
            budget.spend((a.len() + b.len()) / 10)?;
            Ok(Val::Bytes([&**a, &**b].concat().into()))
        }
        (Val::List(a), Val::List(b)) => {
            budget.spend(a.len() + b.len())?;
            Ok(Val::List(Arc::new(a.iter().chain(b.iter()).cloned().collect())))
        }
        (Val::Duration(a), Val::Duration(b)) => a.checked_add(*b).map(Val::Duration).ok_or_else(overflow),
        (Val::Timestamp(at), Val::Duration(nanos)) | (Val::Duration(nanos), Val::Timestamp(at)) => {
            let sum = at.checked_add(SignedDuration::from_nanos(*nanos));
            sum.map(Val::Timestamp).map_err(|_| Fault::new("timestamp overflow"))
        }
        _ => arithmetic("_+_", a, b),
    }
}

/// Whole numbers of either kind; none where the result does not fit.
macro_rules! checked {
    ($name:expr, $a:expr, $b:expr) => {
        match $name {
            "_+_" => $a.checked_add(*$b),
            "_-_" => $a.checked_sub(*$b),
            "_*_" => $a.checked_mul(*$b),
            "_/_" => $a.checked_div(*$b),
            _ => $a.checked_rem(*$b),
        }
    };
}

fn arithmetic(name: &str, a: &Val, b: &Val) -> Found {
    match (a, b) {
        (Val::Int(_), Val::Int(0)) | (Val::Uint(_), Val::Uint(0)) if name == "_/_" => {
            Err(Fault::new("division by zero"))
        }
        (Val::Int(_), Val::Int(0)) | (Val::Uint(_), Val::Uint(0)) if name == "_%_" => {
            Err(Fault::new("modulus by zero"))
        }
        (Val::Int(a), Val::Int(b)) => checked!(name, a, b).map(Val::Int).ok_or_else(overflow),
        (Val::Uint(a), Val::Uint(b)) => checked!(name, a, b).map(Val::Uint).ok_or_else(overflow),
        (Val::Double(a), Val::Double(b)) if name != "_%_" => Ok(Val::Double(match name {
            "_+_" => a + b,
            "_-_" => a - b,
            "_*_" => a * b,
            _ => a / b,
        })),
        (Val::Duration(a), Val::Duration(b)) if name == "_-_" => {
            a.checked_sub(*b).map(Val::Duration).ok_or_else(overflow)
        }
        (Val::Timestamp(at), Val::Duration(nanos)) if name == "_-_" => {
            let difference = at.checked_sub(SignedDuration::from_nanos(*nanos));
            difference.map(Val::Timestamp).map_err(|_| Fault::new("timestamp overflow"))
        }
        (Val::Timestamp(a), Val::Timestamp(b)) if name == "_-_" => {
            i64::try_from(a.duration_since(*b).as_nanos()).map(Val::Duration).map_err(|_| overflow())
        }
        _ => Err(no_overload(name, &[a.clone(), b.clone()])),
    }
}
