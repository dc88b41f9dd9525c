//! The functions whose names begin with `math.`.

use super::functions::Call;
use super::lists::extreme;
use super::value::Val;
use super::{Budget, Fault, Found};
use std::cmp::Ordering;

pub(super) fn call(call: Call<'_>, _: &mut Budget) -> Option<Found> {
    let name = call.name.strip_prefix("math.")?;
    let one_list = |arguments: &[Val]| match arguments {
        [Val::List(items)] => items.to_vec(),
        other => other.to_vec(),
    };
    if let Some(found) = bits(name, call.arguments) {
        return Some(Ok(found));
    }
    Some(match (name, call.arguments) {
        ("greatest", arguments) => extreme(&one_list(arguments), Ordering::Greater, call.name),
        ("least", arguments) => extreme(&one_list(arguments), Ordering::Less, call.name),
        ("abs", [Val::Int(n)]) => n.checked_abs().map(Val::Int).ok_or_else(|| Fault::new("integer overflow")),
        ("abs", [value @ Val::Uint(_)]) => Ok(value.clone()),
        ("sign", [Val::Int(n)]) => Ok(Val::Int(n.signum())),
        ("sign", [Val::Uint(n)]) => Ok(Val::Uint((*n).min(1))),
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
        ("sqrt", [Val::Uint(n)]) => Ok(Val::Double((*n as f64).sqrt())),
        _ => return None,
    })
}

/// The functions of bits, for whole numbers of one sort; none for other arguments.
fn bits(name: &str, arguments: &[Val]) -> Option<Val> {
    let (first, rest) = arguments.split_first()?;
    let a = bits_of(first)?;
    let alike = |other: &Val| bits_of(other).filter(|_| first.type_name() == other.type_name());
    let shifted = |by: &i64, shift: fn(u64, u32) -> Option<u64>| {
        u32::try_from(*by).ok().and_then(|by| shift(a, by)).unwrap_or(0)
    };
    let found = match (name, rest) {
        ("bitAnd", [other]) => a & alike(other)?,
        ("bitOr", [other]) => a | alike(other)?,
        ("bitXor", [other]) => a ^ alike(other)?,
        ("bitNot", []) => !a,
        ("bitShiftLeft", [Val::Int(by)]) if *by >= 0 => shifted(by, u64::checked_shl),
        ("bitShiftRight", [Val::Int(by)]) if *by >= 0 => shifted(by, u64::checked_shr),
        _ => return None,
    };
    Some(if matches!(first, Val::Uint(_)) { Val::Uint(found) } else { Val::Int(found as i64) })
}

fn bits_of(value: &Val) -> Option<u64> {
    match value {
        Val::Int(n) => Some(*n as u64),
        Val::Uint(n) => Some(*n),
        _ => None,
    }
}
