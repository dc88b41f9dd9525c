//! Kubernetes' quantities.

use super::functions::Call;
use super::value::Val;
use super::{Budget, Fault, Found};
use peapod_api::Quantity;

pub(super) fn call(call: Call<'_>, _: &mut Budget) -> Option<Found> {
    Some(match (call.name, call.arguments) {
        ("quantity", [Val::String(text)]) => match text.parse::<Quantity>() {
            Ok(quantity) => Ok(Val::Quantity(quantity)),
            Err(why) => Err(Fault::new(why.to_string())),
        },
        ("isQuantity", [Val::String(text)]) => Ok(Val::Bool(text.parse::<Quantity>().is_ok())),
        (name, [Val::Quantity(own), rest @ ..]) => member(name, own, rest)?,
        _ => return None,
    })
}

fn member(name: &str, own: &Quantity, rest: &[Val]) -> Option<Found> {
    let is_whole = |quantity: &Quantity| quantity.milli() % 1000 == 0;
    Some(Ok(match (name, rest) {
        ("isInteger", []) => Val::Bool(is_whole(own)),
        ("asInteger", []) if is_whole(own) => Val::Int(own.value()),
        ("asInteger", []) => return Some(Err(Fault::new("cannot convert value to integer"))),
        ("asApproximateFloat", []) => Val::Double(own.milli() as f64 / 1000.0),
        ("sign", []) => Val::Int(if own.is_negative() { -1 } else { i64::from(own.milli() != 0) }),
        ("isGreaterThan", [Val::Quantity(other)]) => Val::Bool(own > other),
        ("isLessThan", [Val::Quantity(other)]) => Val::Bool(own < other),
        ("compareTo", [Val::Quantity(other)]) => Val::Int(own.cmp(other) as i64),
        ("add" | "sub", [other]) => {
            let other = match other {
                Val::Quantity(other) => other.milli(),
                Val::Int(n) => n.checked_mul(1000)?,
                _ => return None,
            };
            let sum =
                if name == "add" { own.milli().checked_add(other) } else { own.milli().checked_sub(other) };
            match sum.and_then(|milli| format!("{milli}m").parse().ok()) {
                Some(quantity) => Val::Quantity(quantity),
                None => return Some(Err(Fault::new("quantity overflow"))),
            }
        }
        _ => return None,
    }))
}
