//! How an access review says that a list or watch is narrowed. A selector can only narrow: what of it is not understood is
//! left out of the question, and the answer says so. Rule: Kubernetes, AuthorizeWithSelectors.

use crate::validation::selector::operands;
use crate::validation::{Errors, child, indexed, invalid, items, names, text};
use peapod_api::FieldError;
use peapod_api::selector::{FieldSelector, LabelSelector};
use serde_json::{Value, json};

/// What is wrong with the selectors of `attributes`. Operators may be unknown: those of newer clients are.
pub(super) fn validate(path: &str, attributes: &Value, errors: &mut Errors) {
    for (name, of_labels) in [("fieldSelector", false), ("labelSelector", true)] {
        let (path, selector) = (child(path, name), &attributes[name]);
        if !selector.is_object() {
            continue;
        }
        let (raw, listed) =
            (text(&selector["rawSelector"]), items(&selector["requirements"]).next().is_some());
        let list = child(&path, "requirements");
        if !raw.is_empty() && listed {
            let why = "may not specified at the same time as requirements";
            errors.push(FieldError::invalid(&child(&path, "rawSelector"), &raw.into(), why));
        }
        if raw.is_empty() && !listed {
            let why = format!("when {path} is specified, requirements or rawSelector is required");
            errors.push(FieldError::required(&list, &why));
        }
        for (path, one) in indexed(&selector["requirements"], &list) {
            requirement(&path, one, of_labels, errors);
        }
    }
}

fn requirement(path: &str, requirement: &Value, of_labels: bool, errors: &mut Errors) {
    let key = &requirement["key"];
    if !of_labels && text(key).is_empty() {
        errors.push(FieldError::required(&child(path, "key"), "must be specified"));
    }
    operands(errors, path, requirement);
    if of_labels {
        invalid(errors, &child(path, "key"), &text(key).into(), names::label_key(text(key)));
        for (path, value) in indexed(&requirement["values"], &child(path, "values")) {
            invalid(errors, &path, value, names::label_value(text(value)));
        }
    }
}

/// How the fields narrow what is asked, and what the answer has to say of selectors that were not understood.
pub(super) fn read(attributes: &Value) -> (FieldSelector, Option<String>) {
    let (fields, of_fields) = fields(&attributes["fieldSelector"]);
    let ignored = [("fieldSelector", of_fields), ("labelSelector", labels(&attributes["labelSelector"]))];
    let told: Vec<String> = ignored
        .into_iter()
        .filter(|(_, how)| !how.is_empty())
        .map(|(name, how)| format!("spec.resourceAttributes.{name} {how} due to parse error"))
        .collect();
    (fields, (!told.is_empty()).then(|| told.join("; ")))
}

/// How much was left out, of `understood` out of `all`.
fn left_out(understood: usize, all: usize) -> &'static str {
    match understood {
        _ if understood == all => "",
        0 => "ignored",
        _ => "partially ignored",
    }
}

fn fields(selector: &Value) -> (FieldSelector, &'static str) {
    let raw = text(&selector["rawSelector"]);
    if !raw.is_empty() {
        let parsed = FieldSelector::parse_any(raw);
        let how = if parsed.is_err() { "ignored" } else { "" };
        return (parsed.unwrap_or_default(), how);
    }
    let all = FieldSelector::from_requirements(&selector["requirements"]);
    let count = all.len();
    let understood: Vec<FieldSelector> = all.into_iter().flatten().collect();
    let how = left_out(understood.len(), count);
    (FieldSelector::all(understood), how)
}

/// Nobody's rights depend on labels: all that is to say is whether they could be read.
fn labels(selector: &Value) -> &'static str {
    let raw = text(&selector["rawSelector"]);
    if !raw.is_empty() {
        return if LabelSelector::parse(raw).is_err() { "ignored" } else { "" };
    }
    let is_known = |one: &&Value| LabelSelector::from_expressions(&json!([one])).is_some();
    let all = items(&selector["requirements"]);
    left_out(items(&selector["requirements"]).filter(is_known).count(), all.count())
}
