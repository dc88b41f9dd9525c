//! Volumes of pods.

use super::{Errors, child, indexed, invalid, names, text};
use peapod_api::{FieldError, Quantity};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

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
        "projected" => projected(errors, &path, first),
        "downwardAPI" => facts(errors, &path, first),
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

/// For how many seconds a token of a service account may be asked for.
pub(crate) const TOKEN_SECONDS: RangeInclusive<i64> = 600..=1 << 32;

/// What is wrong with asking for a token for so many seconds.
pub(crate) fn token_lifetime(seconds: i64) -> Option<&'static str> {
    match seconds {
        _ if seconds < *TOKEN_SECONDS.start() => Some("may not specify a duration less than 10 minutes"),
        _ if seconds > *TOKEN_SECONDS.end() => Some("may not specify a duration larger than 2^32 seconds"),
        _ => None,
    }
}

/// Each source is one, and no two make the same file.
fn projected(errors: &mut Errors, path: &str, volume: &Value) {
    mode(errors, &child(path, "defaultMode"), &volume["defaultMode"]);
    let mut seen = BTreeSet::new();
    for (path, projection) in indexed(&volume["sources"], &child(path, "sources")) {
        let mut sources =
            projection.as_object().into_iter().flatten().filter(|(_, source)| !source.is_null());
        let Some((kind, source)) = sources.next() else {
            errors.push(FieldError::required(&path, "must specify one volume type"));
            continue;
        };
        for (name, _) in sources {
            let why = "may not specify more than 1 volume type";
            errors.push(FieldError::forbidden(&child(&path, name), why));
        }
        let path = child(&path, kind);
        match kind.as_str() {
            "configMap" | "secret" => {
                require(errors, &path, source, "name");
                files(errors, &path, source);
            }
            "downwardAPI" => facts(errors, &path, source),
            "serviceAccountToken" => token(errors, &path, source),
            _ => {}
        }
        let items = child(&path, "items");
        let paths = indexed(&source["items"], &items).map(|(at, item)| (child(&at, "path"), &item["path"]));
        for (at, file) in paths.chain(Some((child(&path, "path"), &source["path"]))) {
            if !text(file).is_empty() && !seen.insert(text(file)) {
                errors.push(FieldError::invalid(&at, file, "conflicting duplicate paths"));
            }
        }
    }
}

fn token(errors: &mut Errors, path: &str, source: &Value) {
    let (seconds, at) = (&source["expirationSeconds"], child(path, "expirationSeconds"));
    if let Some(why) = seconds.as_i64().and_then(token_lifetime) {
        errors.push(FieldError::invalid(&at, seconds, why));
    }
    require(errors, path, source, "path");
    local(errors, &child(path, "path"), &source["path"]);
}

/// The facts of the pod that become files.
fn facts(errors: &mut Errors, path: &str, source: &Value) {
    mode(errors, &child(path, "defaultMode"), &source["defaultMode"]);
    for (path, item) in indexed(&source["items"], &child(path, "items")) {
        require(errors, &path, item, "path");
        local(errors, &child(&path, "path"), &item["path"]);
        match (item["fieldRef"].is_object(), item["resourceFieldRef"].is_object()) {
            (true, true) => {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(FieldError::invalid(&path, &"resource".into(), why));
            }
            (false, false) => {
                errors.push(FieldError::required(&path, "one of fieldRef and resourceFieldRef is required"));
            }
            (true, false) => {
                fact(errors, &child(&path, "fieldRef.fieldPath"), &item["fieldRef"]["fieldPath"])
            }
            (false, true) => {
                require(
                    errors,
                    &child(&path, "resourceFieldRef"),
                    &item["resourceFieldRef"],
                    "containerName",
                );
            }
        }
        mode(errors, &child(&path, "mode"), &item["mode"]);
    }
}

/// What a volume can show of a pod.
const FACTS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"];

fn fact(errors: &mut Errors, path: &str, field: &Value) {
    let name = text(field);
    let one = ["metadata.annotations['", "metadata.labels['"].iter().any(|map| name.starts_with(map));
    if name.is_empty() {
        errors.push(FieldError::required(path, ""));
    } else if !(FACTS.contains(&name) || one && name.ends_with("']")) {
        errors.push(FieldError::not_supported(path, field, &FACTS));
    }
}

/// A path that stays inside of the volume; an empty one is missing.
fn local(errors: &mut Errors, path: &str, file: &Value) {
    if text(file).is_empty() {
        return;
    }
    invalid(errors, path, file, names::relative_path(text(file)));
    if text(file).starts_with("..") {
        errors.push(FieldError::invalid(path, file, "must not start with '..'"));
    }
}

/// The keys that become files, and their modes.
fn files(errors: &mut Errors, path: &str, source: &Value) {
    mode(errors, &child(path, "defaultMode"), &source["defaultMode"]);
    for (path, item) in indexed(&source["items"], &child(path, "items")) {
        require(errors, &path, item, "key");
        require(errors, &path, item, "path");
        local(errors, &child(&path, "path"), &item["path"]);
        mode(errors, &child(&path, "mode"), &item["mode"]);
    }
}

fn mode(errors: &mut Errors, path: &str, mode: &Value) {
    if mode.as_i64().is_some_and(|m| !(0..=0o777).contains(&m)) {
        let why = "must be a number between 0 and 0777 (octal), both inclusive";
        errors.push(FieldError::invalid(path, mode, why));
    }
}
