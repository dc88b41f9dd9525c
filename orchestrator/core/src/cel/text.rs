//! Functions of texts, patterns among them.

use super::functions::{Call, no_overload};
use super::lists::position;
use super::value::{Key, Val};
use super::{Budget, Fault, Found, time};
use crate::custom::schema::regex;

/// Longest text that a function makes, in bytes.
const MAX_TEXT_BYTES: usize = 4 << 20;

/// A value as text: what `string()` gives, and what error messages show.
pub(super) fn shown(value: &Val) -> String {
    match value {
        Val::Null => "null".into(),
        Val::Bool(on) => on.to_string(),
        Val::Int(n) => n.to_string(),
        Val::Uint(n) => n.to_string(),
        Val::Double(n) => n.to_string(),
        Val::String(text) => text.to_string(),
        Val::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Val::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Val::Map(map) => {
            let entry =
                |(key, value): (&Key, &Val)| format!("{}: {}", shown(&key.clone().into()), shown(value));
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Val::Duration(nanos) => time::duration_text(*nanos),
        Val::Timestamp(at) => at.to_string(),
        Val::Type(name) => name.to_string(),
        Val::Optional(value) => value
            .as_deref()
            .map_or_else(|| "optional.none()".into(), |value| format!("optional({})", shown(value))),
        Val::Quantity(quantity) => quantity.to_string(),
        Val::Url(url) => url.text.clone(),
        Val::Ip(ip) => ip.to_string(),
        Val::Rights(_) | Val::Decision(_) => value.type_name().into(),
        Val::Cidr(ip, length) => format!("{ip}/{length}"),
        Val::Semver(version) => version.to_string(),
        Val::Format(name) => name.to_string(),
    }
}

pub(super) fn call(call: Call<'_>, budget: &mut Budget) -> Option<Found> {
    if let ("join", [Val::List(items), rest @ ..]) = (call.name, call.arguments) {
        return Some(join(items, rest, budget));
    }
    let [Val::String(text), rest @ ..] = call.arguments else { return None };
    if let Err(fault) = budget.spend(text.len() / 10) {
        return Some(Err(fault));
    }
    Some(match (call.name, rest) {
        ("matches" | "find" | "findAll", [Val::String(pattern), ..]) => patterns(call, text, pattern, budget),
        ("contains", [Val::String(part)]) => Ok(Val::Bool(text.contains(&**part))),
        ("startsWith", [Val::String(part)]) => Ok(Val::Bool(text.starts_with(&**part))),
        ("endsWith", [Val::String(part)]) => Ok(Val::Bool(text.ends_with(&**part))),
        ("charAt", [Val::Int(at)]) => match usize::try_from(*at) {
            Ok(at) if at == text.chars().count() => Ok("".into()),
            Ok(at) => {
                text.chars().nth(at).map(|c| c.to_string().into()).ok_or_else(|| out_of_range(at as i64))
            }
            Err(_) => Err(out_of_range(*at)),
        },
        ("indexOf", [Val::String(part)]) => Ok(position(text.find(&**part).map(|at| characters(text, at)))),
        ("indexOf", [Val::String(part), Val::Int(from)]) => match byte_at(text, *from) {
            Some(from) => Ok(position(text[from..].find(&**part).map(|at| characters(text, from + at)))),
            None => Err(out_of_range(*from)),
        },
        ("lastIndexOf", [Val::String(part)]) => {
            Ok(position(text.rfind(&**part).map(|at| characters(text, at))))
        }
        ("lowerAscii", []) => Ok(text.to_ascii_lowercase().into()),
        ("upperAscii", []) => Ok(text.to_ascii_uppercase().into()),
        ("trim", []) => Ok(text.trim().into()),
        ("reverse", []) => Ok(text.chars().rev().collect::<String>().into()),
        ("replace", [Val::String(old), Val::String(new)]) => replace(text, old, new, usize::MAX, budget),
        ("replace", [Val::String(old), Val::String(new), Val::Int(limit)]) => {
            replace(text, old, new, usize::try_from(*limit).unwrap_or(usize::MAX), budget)
        }
        ("split", [Val::String(separator)]) => Ok(split(text, separator, -1)),
        ("split", [Val::String(separator), Val::Int(limit)]) => Ok(split(text, separator, *limit)),
        ("substring", [Val::Int(from)]) => substring(text, *from, text.chars().count() as i64),
        ("substring", [Val::Int(from), Val::Int(to)]) => substring(text, *from, *to),
        ("format", [Val::List(values)]) => format(text, values, budget),
        ("strings.quote", []) => Ok(format!("{text:?}").into()),
        _ => return None,
    })
}

fn out_of_range(at: i64) -> Fault {
    Fault::new(format!("index out of range: {at}"))
}

/// How many characters come before the byte `at`.
fn characters(text: &str, at: usize) -> usize {
    text[..at].chars().count()
}

/// Where the character `at` begins; the end of the text counts.
fn byte_at(text: &str, at: i64) -> Option<usize> {
    let at = usize::try_from(at).ok()?;
    text.char_indices().map(|(byte, _)| byte).chain([text.len()]).nth(at)
}

fn substring(text: &str, from: i64, to: i64) -> Found {
    let (Some(start), Some(end)) = (byte_at(text, from), byte_at(text, to)) else {
        return Err(out_of_range(if byte_at(text, from).is_none() { from } else { to }));
    };
    if start > end {
        return Err(Fault::new(format!("invalid substring range. start: {from}, end: {to}")));
    }
    Ok(text[start..end].into())
}

fn split(text: &str, separator: &str, limit: i64) -> Val {
    let parts: Vec<Val> = match limit {
        0 => Vec::new(),
        _ if separator.is_empty() => text.chars().map(|c| c.to_string().into()).collect(),
        limit if limit > 0 => text.splitn(limit as usize, separator).map(Val::from).collect(),
        _ => text.split(separator).map(Val::from).collect(),
    };
    parts.into()
}

fn bounded(text: String, budget: &mut Budget) -> Found {
    budget.spend(text.len() / 10)?;
    Ok(text.into())
}

fn replace(text: &str, old: &str, new: &str, limit: usize, budget: &mut Budget) -> Found {
    let count = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() }.min(limit);
    if count.saturating_mul(new.len()).saturating_add(text.len()) > MAX_TEXT_BYTES {
        return Err(Fault::Budget);
    }
    bounded(text.replacen(old, new, limit), budget)
}

fn join(items: &[Val], rest: &[Val], budget: &mut Budget) -> Found {
    let separator = match rest {
        [] => "",
        [Val::String(separator)] => separator,
        _ => return Err(no_overload("join", rest)),
    };
    let mut texts = Vec::with_capacity(items.len());
    for item in items {
        let Val::String(text) = item else { return Err(no_overload("join", items)) };
        budget.spend(1 + (text.len() + separator.len()) / 10)?;
        texts.push(&**text);
    }
    Ok(texts.join(separator).into())
}

/// The time to match is linear in both texts; reading the pattern is charged, too.
fn patterns(call: Call<'_>, text: &str, pattern: &str, budget: &mut Budget) -> Found {
    budget.spend((1 + text.len() / 10).saturating_mul(1 + pattern.len() / 4))?;
    let regex = regex(pattern).map_err(|why| Fault::new(format!("error parsing regexp: {why}")))?;
    let all = |limit: usize| {
        regex.find_iter(text).take(limit).map(|found| found.as_str().into()).collect::<Vec<Val>>()
    };
    match (call.name, &call.arguments[2..]) {
        ("matches", []) => Ok(Val::Bool(regex.is_match(text))),
        ("find", []) => Ok(regex.find(text).map_or("", |found| found.as_str()).into()),
        ("findAll", []) => Ok(all(usize::MAX).into()),
        ("findAll", [Val::Int(limit)]) => Ok(all(usize::try_from(*limit).unwrap_or(usize::MAX)).into()),
        _ => Err(no_overload(call.name, call.arguments)),
    }
}

/// `"%s is %d".format([a, b])`
fn format(template: &str, values: &[Val], budget: &mut Budget) -> Found {
    let (mut out, mut values, mut rest) = (String::new(), values.iter(), template);
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let end = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(|| Fault::new("unexpected end of string"))?;
        let precision = rest[..end].strip_prefix('.').and_then(|digits| digits.parse::<usize>().ok());
        let verb = rest[end..].chars().next().unwrap_or_default();
        let value = values.next().ok_or_else(|| Fault::new("index out of range in format"))?;
        out.push_str(&formatted(verb, value, precision.map(|digits| digits.min(100)))?);
        rest = &rest[end + verb.len_utf8()..];
        budget.spend(1)?;
    }
    out.push_str(rest);
    bounded(out, budget)
}

fn formatted(verb: char, value: &Val, precision: Option<usize>) -> Result<String, Fault> {
    let number = |value: &Val| match value {
        Val::Int(n) => Some(*n as f64),
        Val::Uint(n) => Some(*n as f64),
        Val::Double(n) => Some(*n),
        _ => None,
    };
    let text = match (verb, value) {
        ('s', value) => Some(shown(value)),
        ('d', Val::Int(_) | Val::Uint(_) | Val::Double(_)) => Some(shown(value)),
        ('f', value) => number(value).map(|n| format!("{n:.*}", precision.unwrap_or(6))),
        ('e', value) => number(value).map(|n| format!("{n:.*e}", precision.unwrap_or(6))),
        ('b', Val::Int(n)) => Some(format!("{n:b}")),
        ('b', Val::Bool(on)) => Some(u8::from(*on).to_string()),
        ('o', Val::Int(n)) => Some(format!("{n:o}")),
        ('x', Val::Int(n)) => Some(format!("{n:x}")),
        ('X', Val::Int(n)) => Some(format!("{n:X}")),
        ('x', Val::String(text)) => Some(text.bytes().map(|byte| format!("{byte:02x}")).collect()),
        _ => None,
    };
    text.ok_or_else(|| {
        Fault::new(format!("error during formatting: '%{verb}' does not take {}", value.type_name()))
    })
}
