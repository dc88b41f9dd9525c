//! Semantic versions, compared by what semver.org calls precedence.

use super::functions::Call;
use super::value::Val;
use super::{Budget, Fault, Found};
use semver::Version;
use std::sync::Arc;

pub(super) fn call(call: Call<'_>, _: &mut Budget) -> Option<Found> {
    Some(match (call.name, call.arguments) {
        ("semver", [Val::String(text)]) => version(text),
        ("semver", [Val::String(text), Val::Bool(normalize)]) => version(&normal(text, *normalize)),
        ("isSemver", [Val::String(text)]) => Ok(Val::Bool(Version::parse(text).is_ok())),
        ("isSemver", [Val::String(text), Val::Bool(normalize)]) => {
            Ok(Val::Bool(Version::parse(&normal(text, *normalize)).is_ok()))
        }
        (name, [Val::Semver(own), rest @ ..]) => Ok(member(name, own, rest)?),
        _ => return None,
    })
}

fn version(text: &str) -> Found {
    let read = Version::parse(text).map(|version| Val::Semver(Arc::new(version)));
    read.map_err(|why| Fault::new(format!("{text:?} is no semantic version: {why}")))
}

/// Without a `v` in front, with what is missing of three numbers (if nothing follows them), and without zeros before
/// them.
fn normal(text: &str, normalize: bool) -> String {
    if !normalize {
        return text.into();
    }
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text.splitn(3, '.').map(without_zeros).collect();
    let is_plain = parts.last().is_some_and(|last| !last.contains(['-', '+']));
    if is_plain {
        parts.resize(3, "0".into());
    }
    parts.join(".")
}

fn without_zeros(part: &str) -> String {
    let rest = part.trim_start_matches('0');
    if rest.len() < part.len() && !rest.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("0{rest}");
    }
    rest.into()
}

fn member(name: &str, own: &Version, rest: &[Val]) -> Option<Val> {
    let number = |n: u64| Val::Int(i64::try_from(n).unwrap_or(i64::MAX));
    Some(match (name, rest) {
        ("major", []) => number(own.major),
        ("minor", []) => number(own.minor),
        ("patch", []) => number(own.patch),
        (_, [Val::Semver(other)]) => {
            let order = own.cmp_precedence(other);
            match name {
                "isGreaterThan" => Val::Bool(order.is_gt()),
                "isLessThan" => Val::Bool(order.is_lt()),
                "compareTo" => Val::Int(order as i64),
                _ => return None,
            }
        }
        _ => return None,
    })
}
