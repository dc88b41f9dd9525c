//! `x-kubernetes-validations`: rules of a schema over its values, old and new.

use super::check::at;
use super::schema::{Rule, Schema};
use crate::cel::{Budget, Fault, Key, MAX_CALL_COST, MAX_OBJECT_COST, Val, escaped};
use crate::duration;
use crate::validation::{Errors, child, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_api::{FieldError, meta};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

const NO_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

/// What the rules of `schema` have against a whole object. `old` is what it takes the place of.
pub(super) fn check(schema: &Schema, object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let mut walk = Walk { budget: MAX_OBJECT_COST, errors };
    walk.value(schema, object, old, "", true);
}

struct Walk<'e> {
    budget: u64,
    errors: &'e mut Errors,
}

impl Walk<'_> {
    fn value(&mut self, schema: &Schema, value: &Value, old: Option<&Value>, path: &str, is_resource: bool) {
        if value.is_null() || self.budget == 0 || !schema.has_rules {
            return;
        }
        if !schema.rules.is_empty() {
            self.rules(schema, value, old, path, is_resource);
        }
        match value {
            Value::Object(map) => {
                for (name, value) in map {
                    if let Some(below) = schema.below(name) {
                        let old = old.and_then(|old| old.get(name)).filter(|_| !schema.atomic);
                        self.value(below, value, old, &child(path, name), below.embedded);
                    }
                }
            }
            Value::Array(values) => {
                let Some(item) = schema.items.as_deref() else { return };
                for (index, value) in values.iter().enumerate() {
                    let old = old.and_then(|old| counterpart(schema, value, old));
                    self.value(item, value, old, &format!("{path}[{index}]"), item.embedded);
                }
            }
            _ => {}
        }
    }

    fn rules(&mut self, schema: &Schema, value: &Value, old: Option<&Value>, path: &str, is_resource: bool) {
        let own = to_val(schema, value, is_resource);
        let before = old.filter(|old| !old.is_null()).map(|old| to_val(schema, old, is_resource));
        for rule in &schema.rules {
            let Ok(program) = &rule.program else { continue };
            let is_transition = program.mentions("oldSelf");
            // What was wrong before and stays as it is holds nobody up.
            if is_transition && before.is_none() && !rule.optional_old_self
                || !is_transition && old == Some(value)
            {
                continue;
            }
            let mut variables = BTreeMap::from([("self", own.clone())]);
            match (&before, rule.optional_old_self) {
                (before, true) => {
                    _ = variables.insert("oldSelf", Val::Optional(before.clone().map(Box::new)))
                }
                (Some(before), false) => _ = variables.insert("oldSelf", before.clone()),
                (None, false) => {}
            }
            let mut budget = Budget::new(MAX_CALL_COST.min(self.budget));
            let given = budget.left();
            let found = program.eval(&variables, &mut budget);
            self.budget -= given - budget.left();
            let path = rule.path(path);
            match found {
                Ok(Val::Bool(true)) => {}
                Ok(_) => {
                    let message = self.message(rule, &variables);
                    self.errors.push(error(rule, schema, &path, &message));
                }
                Err(Fault::Failed(why)) => {
                    let why = format!("{why} evaluating rule: {}", rule.words());
                    self.errors.push(FieldError::invalid(at(&path), &schema.type_.as_str().into(), &why));
                }
                Err(Fault::Budget) => {
                    self.errors.push(FieldError::invalid(
                        at(&path),
                        &schema.type_.as_str().into(),
                        NO_BUDGET,
                    ));
                    self.budget = 0;
                    return;
                }
            }
        }
    }

    /// What a broken rule says: what its expression makes, or its message, or the rule itself.
    fn message(&mut self, rule: &Rule, variables: &BTreeMap<&str, Val>) -> String {
        let mut budget = Budget::new(MAX_CALL_COST.min(self.budget));
        let made = match &rule.message_program {
            Some(Ok(program)) => program.eval(variables, &mut budget).ok(),
            _ => None,
        };
        match made {
            Some(Val::String(text)) if !text.trim().is_empty() && !text.contains('\n') => text.to_string(),
            _ => rule.words(),
        }
    }
}

fn error(rule: &Rule, schema: &Schema, path: &str, message: &str) -> FieldError {
    let type_ = Value::from(schema.type_.as_str());
    match rule.reason.as_str() {
        "FieldValueForbidden" => FieldError::forbidden(at(path), message),
        "FieldValueRequired" => FieldError::required(at(path), message),
        "FieldValueDuplicate" => FieldError::duplicate(at(path), &type_),
        _ => FieldError::invalid(at(path), &type_, message),
    }
}

/// The item of the old list that `item` takes the place of: only keys say which.
fn counterpart<'v>(schema: &Schema, item: &Value, old: &'v Value) -> Option<&'v Value> {
    let same = |other: &&Value| schema.map_keys.iter().all(|key| other.get(key) == item.get(key));
    old.as_array().filter(|_| schema.list_type == "map")?.iter().find(same)
}

/// A value as expressions see it.
pub(crate) fn to_val(schema: &Schema, value: &Value, is_resource: bool) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(on) => Val::Bool(*on),
        Value::Number(n) if schema.type_ == "number" => Val::Double(n.as_f64().unwrap_or(0.0)),
        Value::Number(_) => number(value),
        Value::String(text) => text_val(schema, text),
        Value::Array(values) => {
            let item = schema.items.as_deref();
            let one =
                |value: &Value| item.map_or_else(|| plain(value), |item| to_val(item, value, item.embedded));
            values.iter().map(one).collect::<Vec<_>>().into()
        }
        Value::Object(_) if schema.type_.is_empty() && schema.properties.is_empty() => plain(value),
        Value::Object(map) => {
            let own = map.iter().filter_map(|(name, value)| {
                if is_resource && matches!(name.as_str(), "apiVersion" | "kind" | "metadata") {
                    return Some((Key::String(name.as_str().into()), identity(name, value)));
                }
                let below = schema.below(name)?;
                let is_property = schema.properties.contains_key(name);
                let name = if is_property { escaped(name)? } else { name.clone() };
                Some((Key::String(name.into()), to_val(below, value, below.embedded)))
            });
            Val::Map(Arc::new(own.collect()))
        }
    }
}

/// Of the metadata, expressions see the names.
fn identity(name: &str, value: &Value) -> Val {
    if name != "metadata" {
        return text(value).into();
    }
    let names = ["name", "generateName"]
        .into_iter()
        .filter_map(|name| Some((Key::String(name.into()), meta::text(value, name)?.into())));
    Val::Map(Arc::new(names.collect()))
}

fn number(value: &Value) -> Val {
    let whole = value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15).map(|n| n as i64);
    match value.as_i64().or(whole) {
        Some(n) => Val::Int(n),
        None => value.as_u64().map_or_else(|| Val::Double(value.as_f64().unwrap_or(0.0)), Val::Uint),
    }
}

fn text_val(schema: &Schema, text: &str) -> Val {
    let typed = match schema.limits.format.as_str() {
        "date-time" | "datetime" => meta::parse_time(text).map(Val::Timestamp),
        "date" => format!("{text}T00:00:00Z").parse().ok().map(Val::Timestamp),
        "duration" => duration::parse(text).map(Val::Duration),
        "byte" => STANDARD.decode(text).ok().map(|bytes| Val::Bytes(bytes.into())),
        _ => None,
    };
    typed.unwrap_or_else(|| text.into())
}

/// A value that no schema describes.
pub(crate) fn plain(value: &Value) -> Val {
    match value {
        Value::Null => Val::Null,
        Value::Bool(on) => Val::Bool(*on),
        Value::Number(_) => number(value),
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().into(),
        Value::Object(map) => Val::Map(Arc::new(
            map.iter().map(|(name, value)| (Key::String(name.as_str().into()), plain(value))).collect(),
        )),
    }
}
