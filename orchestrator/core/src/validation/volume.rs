//! Volumes of pods.

use super::{Errors, child, indexed, invalid, names, text};
use peapod_api::{FieldError, Quantity};
use serde_json::Value;
use std::collections::BTreeSet;

/// Checks every volume; returns their names.
pub fn volumes<'a>(errors: &mut Errors, path: &str, list: &'a Value) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    for (path, volume) in indexed(list, path) {
        let (name, at) = (text(&volume["name"]), child(&path, "name"));
        if !name.is_empty() {
            invalid(errors, &at, &volume["name"], names::label(name));
            if !seen.insert(name) {
                errors.push(FieldError::duplicate(&at, &volume["name"]));
            }
        }
        source(errors, &path, volume);
    }
    seen
}

fn source(errors: &mut Errors, path: &str, volume: &Value) {
    let fields = volume.as_object().into_iter().flatten();
    let mut sources = fields.filter(|(name, value)| *name != "name" && !value.is_null());
    let Some((kind, first)) = sources.next() else {
        errors.push(FieldError::required(path, "must specify a volume type"));
        return;
    };
    for (name, _) in sources {
        errors.push(FieldError::forbidden(&child(path, name), "may not specify more than 1 volume type"));
    }
    let path = child(path, kind);
    match kind.as_str() {
        "configMap" => {
            require(errors, &path, first, "name");
            files(errors, &path, first);
        }
        "secret" => {
            require(errors, &path, first, "secretName");
            files(errors, &path, first);
        }
        "emptyDir" => {
            let limit = text(&first["sizeLimit"]).parse::<Quantity>();
            if limit.is_ok_and(|q| q.is_negative()) {
                let why = "SizeLimit field must be a valid resource quantity";
                errors.push(FieldError::forbidden(&child(&path, "sizeLimit"), why));
            }
        }
        _ => {}
    }
}

fn require(errors: &mut Errors, path: &str, source: &Value, field: &str) {
    if text(&source[field]).is_empty() {
        errors.push(FieldError::required(&child(path, field), ""));
    }
}

/// The keys that become files, and their modes.
fn files(errors: &mut Errors, path: &str, source: &Value) {
    mode(errors, &child(path, "defaultMode"), &source["defaultMode"]);
    for (path, item) in indexed(&source["items"], &child(path, "items")) {
        let file = text(&item["path"]);
        invalid(errors, &child(&path, "path"), &item["path"], names::relative_path(file));
        if file.starts_with("..") {
            let why = "must not start with '..'";
            errors.push(FieldError::invalid(&child(&path, "path"), &item["path"], why));
        }
        mode(errors, &child(&path, "mode"), &item["mode"]);
    }
}

fn mode(errors: &mut Errors, path: &str, mode: &Value) {
    if mode.as_i64().is_some_and(|m| !(0..=0o777).contains(&m)) {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.push(FieldError::invalid(path, mode, why));
    }
}
