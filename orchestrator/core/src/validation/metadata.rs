//! Rules for `metadata`, the same for every kind.

use super::names::{self, NameRule};
use super::{Errors, immutable, indexed, invalid, items, selector, text};
use crate::action::{FOREGROUND, ORPHAN};
use peapod_api::{FieldError, Kind};
use serde_json::Value;
use std::collections::BTreeSet;

/// Most bytes of all annotations of an object, keys and values.
pub const MAX_ANNOTATIONS_BYTES: usize = 256 * 1024;

/// Metadata of an object that is about to be created, its name already generated.
pub fn create(kind: &Kind, rule: NameRule, object: &Value, errors: &mut Errors) {
    let metadata = &object["metadata"];
    let generate = text(&metadata["generateName"]);
    if !generate.is_empty() {
        let complaints = rule.check(generate, true);
        invalid(errors, "metadata.generateName", &metadata["generateName"], complaints);
    }
    let name = text(&metadata["name"]);
    if name.is_empty() {
        errors.push(FieldError::required("metadata.name", "name or generateName is required"));
    } else {
        invalid(errors, "metadata.name", &metadata["name"], rule.check(name, false));
    }
    let namespace = text(&metadata["namespace"]);
    if kind.namespaced() {
        match namespace {
            "" => errors.push(FieldError::required("metadata.namespace", "")),
            _ => invalid(errors, "metadata.namespace", &metadata["namespace"], names::label(namespace)),
        }
    } else if !namespace.is_empty() {
        errors.push(FieldError::forbidden("metadata.namespace", "not allowed on this type"));
    }
    shared(metadata, errors);
}

/// Metadata of an object that takes the place of `old`.
pub fn update(object: &Value, old: &Value, errors: &mut Errors) {
    let (new, old) = (&object["metadata"], &old["metadata"]);
    if old["deletionTimestamp"].is_string() {
        let known: BTreeSet<&str> = items(&old["finalizers"]).map(text).collect();
        let added: Vec<&str> = items(&new["finalizers"]).map(text).filter(|f| !known.contains(f)).collect();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|f| format!("{f:?}")).collect();
            let why = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", ")
            );
            errors.push(FieldError::forbidden("metadata.finalizers", &why));
        }
    }
    for field in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        immutable(errors, &format!("metadata.{field}"), &new[field], &old[field]);
    }
    shared(new, errors);
}

fn shared(metadata: &Value, errors: &mut Errors) {
    super::not_negative(errors, "metadata.generation", &metadata["generation"]);
    selector::labels(errors, "metadata.labels", &metadata["labels"]);
    annotations(errors, "metadata.annotations", &metadata["annotations"]);
    owners(&metadata["ownerReferences"], errors);
    finalizers(&metadata["finalizers"], errors);
}

/// A map of annotations.
pub fn annotations(errors: &mut Errors, path: &str, map: &Value) {
    let mut size_bytes = 0;
    for (key, value) in map.as_object().into_iter().flatten() {
        size_bytes += key.len() + text(value).len();
        invalid(errors, path, &key.as_str().into(), names::label_key(&key.to_lowercase()));
    }
    if size_bytes > MAX_ANNOTATIONS_BYTES {
        errors.push(FieldError::too_long(path, MAX_ANNOTATIONS_BYTES));
    }
}

fn owners(list: &Value, errors: &mut Errors) {
    const PATH: &str = "metadata.ownerReferences";
    for (path, owner) in indexed(list, PATH) {
        if owner["kind"] == "Event" && owner["apiVersion"] == "v1" {
            let why = "/v1, Kind=Event is disallowed from being an owner";
            errors.push(FieldError::invalid(&path, owner, why));
        }
        if text(&owner["apiVersion"]).split('/').count() > 2 {
            let why = "must be <group>/<version> or <version>";
            errors.push(FieldError::invalid(&format!("{path}.apiVersion"), &owner["apiVersion"], why));
        }
    }
    let mut managing = items(list).filter(|owner| owner["controller"] == true);
    if let (Some(first), Some(second)) = (managing.next(), managing.next()) {
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
            text(&first["kind"]),
            text(&second["kind"])
        );
        errors.push(FieldError::invalid(PATH, list, &why));
    }
}

fn finalizers(list: &Value, errors: &mut Errors) {
    for finalizer in items(list) {
        invalid(errors, "metadata.finalizers", finalizer, names::label_key(text(finalizer)));
    }
    let has = |name: &str| items(list).any(|f| f == name);
    if has(FOREGROUND) && has(ORPHAN) {
        let why = format!("finalizer {ORPHAN} and {FOREGROUND} cannot be both set");
        errors.push(FieldError::invalid("metadata.finalizers", list, &why));
    }
}
