//! Kubernetes' named formats: `format.dns1123Label().validate(name)` gives what is wrong with a text, if something is.

use super::functions::Call;
use super::value::Val;
use super::{Budget, Found, net};
use crate::custom::format;
use crate::validation::names;
use std::sync::Arc;

/// What is wrong with a text.
type Check = fn(&str) -> Vec<String>;

/// The formats by the functions that give them.
const FORMATS: [(&str, Check); 13] = [
    ("format.dns1123Label", |text| names::NameRule::Label.check(text, false)),
    ("format.dns1123Subdomain", |text| names::NameRule::Subdomain.check(text, false)),
    ("format.dns1035Label", |text| names::NameRule::Dns1035Label.check(text, false)),
    ("format.qualifiedName", names::label_key),
    ("format.dns1123LabelPrefix", |text| names::NameRule::Label.check(text, true)),
    ("format.dns1123SubdomainPrefix", |text| names::NameRule::Subdomain.check(text, true)),
    ("format.dns1035LabelPrefix", |text| names::NameRule::Dns1035Label.check(text, true)),
    ("format.labelValue", names::label_value),
    ("format.uri", |text| complaint(net::url(text).is_ok(), "invalid URI for request")),
    ("format.uuid", |text| complaint(format::is("uuid", text), "does not match the UUID format")),
    ("format.byte", |text| complaint(format::is("byte", text), "invalid base64")),
    ("format.date", |text| complaint(format::is("date", text), "invalid date")),
    ("format.datetime", |text| complaint(format::is("datetime", text), "invalid datetime")),
];

fn complaint(fits: bool, why: &str) -> Vec<String> {
    if fits { Vec::new() } else { vec![why.into()] }
}

/// Whether it is the name of a function that gives a format.
pub(super) fn is_format(name: &str) -> bool {
    FORMATS.iter().any(|(format, _)| *format == name)
}

fn named(name: &str) -> Option<Val> {
    FORMATS.iter().find(|(format, _)| *format == name).map(|(format, _)| Val::Format(format))
}

pub(super) fn call(call: Call<'_>, _: &mut Budget) -> Option<Found> {
    Some(match (call.name, call.arguments) {
        ("format.named", [Val::String(name)]) => {
            Ok(Val::Optional(named(&format!("format.{name}")).map(Box::new)))
        }
        (name, []) => Ok(named(name)?),
        ("validate", [Val::Format(format), Val::String(text)]) => {
            let check = FORMATS.iter().find(|(name, _)| name == format).map(|(_, check)| check)?;
            let wrong: Vec<Val> = check(text).into_iter().map(Val::from).collect();
            Ok(Val::Optional((!wrong.is_empty()).then(|| Box::new(Val::List(Arc::new(wrong))))))
        }
        _ => return None,
    })
}
