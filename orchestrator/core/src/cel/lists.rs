//! Functions of lists.

use super::functions::{Call, no_overload};
use super::value::Val;
use super::{Budget, Fault, Found, operators};
use std::cmp::Ordering;

pub(super) fn call(call: Call<'_>, budget: &mut Budget) -> Option<Found> {
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

/// The item than which no other one is more in the `wanted` order.
pub(super) fn extreme(items: &[Val], wanted: Ordering, name: &str) -> Found {
    let Some((first, rest)) = items.split_first() else {
        return Err(Fault::new(format!("{name} called on empty list")));
    };
    rest.iter().try_fold(first.clone(), |best, item| {
        let order = item.compared(&best).ok_or_else(|| no_overload(name, std::slice::from_ref(item)))?;
        Ok(if order == wanted { item.clone() } else { best })
    })
}
