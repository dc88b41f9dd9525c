//! THE Pod field table: what becomes of every field that a pod spec can have.
//!
//! A row belongs to a field of a schema type, so one row serves containers and init containers alike. What stands below a
//! warned or refused field is not looked at. Tests walk the schema: no field is without a row, every honoured one names
//! the test that shows it, and every other one is told to who uses it.

mod container;
mod pod;
mod volume;

use crate::schema::{self, Type};
use crate::validation::{Errors, child};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What happens to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It does what Kubernetes says it does.
    Honoured,
    /// It is stored and has no effect; the text says why.
    Warned(&'static str),
    /// A pod with it is not created; the text says why, or what to do instead.
    Refused(&'static str),
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The short name of the schema type, e.g. `Container`.
    pub type_: &'static str,
    /// The field's JSON name.
    pub field: &'static str,
    /// What happens to it.
    pub verdict: Verdict,
    /// JSON texts of values for which nothing needs to be said: the default, or what a module has anyway.
    pub neutral: &'static [&'static str],
}

const fn row(type_: &'static str, field: &'static str, verdict: Verdict) -> Row {
    Row { type_, field, verdict, neutral: &[] }
}

const fn but(
    type_: &'static str,
    field: &'static str,
    verdict: Verdict,
    neutral: &'static [&'static str],
) -> Row {
    Row { type_, field, verdict, neutral }
}

/// All rows, types in the order in which a pod spec reaches them.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    [pod::ROWS, volume::ROWS, container::ROWS].into_iter().flatten()
}

static BY_FIELD: LazyLock<HashMap<(&str, &str), &Row>> =
    LazyLock::new(|| rows().map(|row| ((row.type_, row.field), row)).collect());

/// The row of a field; none if the table has none.
pub fn lookup(type_: &str, field: &str) -> Option<&'static Row> {
    BY_FIELD.get(&(type_, field)).copied()
}

const POD_SPEC: &str = "io.k8s.api.core.v1.PodSpec";

/// Judges the pod spec that stands at `path`: errors for refused fields, warnings for those without effect.
pub fn judge(path: &str, spec: &Value, errors: &mut Errors, warnings: &mut Vec<String>) {
    if let Some(ty) = schema::lookup(POD_SPEC) {
        judge_object(ty, path, spec, errors, warnings);
    }
    for list in ["initContainers", "containers"] {
        for (index, container) in spec[list].as_array().into_iter().flatten().enumerate() {
            amounts(&format!("{path}.{list}[{index}].resources"), &container["resources"], errors, warnings);
        }
    }
}

fn judge_object(ty: &Type, path: &str, value: &Value, errors: &mut Errors, warnings: &mut Vec<String>) {
    let mut idle: Vec<(&str, Vec<&str>)> = Vec::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let (Some(field), Some(row)) = (ty.field(name), lookup(ty.short_name(), name)) else { continue };
        match row.verdict {
            Verdict::Honoured => {
                if let Some(inner) = field.kind.object() {
                    judge_below(inner, &child(path, name), value, errors, warnings);
                }
            }
            _ if is_unset(value) || row.neutral.contains(&value.to_string().as_str()) => {}
            Verdict::Warned(_) if value.as_object().is_some_and(|map| map.is_empty()) => {}
            Verdict::Warned(why) => match idle.iter_mut().find(|(other, _)| *other == why) {
                Some((_, names)) => names.push(name),
                None => idle.push((why, vec![name])),
            },
            Verdict::Refused(why) => errors.push(FieldError::forbidden(&child(path, name), why)),
        }
    }
    warnings.extend(idle.iter().map(|(why, names)| match names[..] {
        [name] => format!("{}: {why}", child(path, name)),
        _ => format!("{path}.{{{}}}: {why}", names.join(",")),
    }));
}

fn judge_below(ty: &Type, path: &str, value: &Value, errors: &mut Errors, warnings: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                judge_object(ty, &format!("{path}[{index}]"), item, errors, warnings);
            }
        }
        object => judge_object(ty, path, object, errors, warnings),
    }
}

/// An empty object is set: `projected: {}` asks for a volume.
fn is_unset(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::String(text) => text.is_empty(),
        _ => false,
    }
}

/// Which resources can be asked for.
fn amounts(path: &str, resources: &Value, errors: &mut Errors, warnings: &mut Vec<String>) {
    for list in ["limits", "requests"] {
        for name in resources[list].as_object().into_iter().flatten().map(|(name, _)| name) {
            let path = format!("{path}.{list}[{name}]");
            match name.as_str() {
                "cpu" | "memory" => {}
                "ephemeral-storage" => {
                    warnings.push(format!("{path}: has no effect: only cpu and memory are limited"))
                }
                _ => errors.push(FieldError::forbidden(&path, "only cpu and memory can be asked for")),
            }
        }
    }
}

#[cfg(test)]
mod tests;
