//! ConfigMaps and Secrets.

use super::{Findings, PLAIN, Strategy};
use crate::auth::account;
use crate::validation::{Errors, immutable, invalid, names, text};
use peapod_api::FieldError;
use serde_json::Value;

/// Most bytes that the values of a ConfigMap or a Secret hold together.
const LIMIT_BYTES: usize = 1024 * 1024;

pub(super) static CONFIG_MAP: Strategy = Strategy {
    validate: validate_config_map,
    validate_update: |new, old, findings| frozen(new, old, &["data", "binaryData"], findings),
    ..PLAIN
};

pub(super) static SECRET: Strategy = Strategy {
    validate: validate_secret,
    validate_update: |new, old, findings| {
        immutable(&mut findings.errors, "type", &new["type"], &old["type"]);
        frozen(new, old, &["data"], findings);
    },
    ..PLAIN
};

fn keys_of(map: &Value) -> impl Iterator<Item = &str> {
    map.as_object().into_iter().flatten().map(|(key, _)| key.as_str())
}

fn check_keys(errors: &mut Errors, map: &Value, field: &str) {
    for key in keys_of(map) {
        invalid(errors, &format!("{field}[{key}]"), &key.into(), names::data_key(key));
    }
}

/// The bytes of a map of texts, or of a map of base64.
fn size_bytes(map: &Value, is_base64: bool) -> usize {
    let values = map.as_object().into_iter().flatten().map(|(_, value)| text(value));
    values.map(|v| if is_base64 { v.trim_end_matches('=').len() * 3 / 4 } else { v.len() }).sum()
}

fn validate_config_map(map: &Value, findings: &mut Findings) {
    let errors = &mut findings.errors;
    check_keys(errors, &map["data"], "data");
    check_keys(errors, &map["binaryData"], "binaryData");
    for key in keys_of(&map["binaryData"]).filter(|key| !map["data"][*key].is_null()) {
        let why = "duplicate of key present in data";
        errors.push(FieldError::invalid(&format!("binaryData[{key}]"), &key.into(), why));
    }
    if size_bytes(&map["data"], false) + size_bytes(&map["binaryData"], true) > LIMIT_BYTES {
        // Kubernetes' words for a path that names nothing.
        errors.push(FieldError::too_long("[]", LIMIT_BYTES));
    }
}

fn validate_secret(secret: &Value, findings: &mut Findings) {
    let errors = &mut findings.errors;
    check_keys(errors, &secret["data"], "data");
    if size_bytes(&secret["data"], true) > LIMIT_BYTES {
        errors.push(FieldError::too_long("data", LIMIT_BYTES));
    }
    let lacks = |key: &str| secret["data"][key].is_null();
    let needed: &[&str] = match text(&secret["type"]) {
        "kubernetes.io/dockercfg" => &[".dockercfg"],
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        "kubernetes.io/basic-auth" if lacks("username") && lacks("password") => &["username", "password"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        _ => &[],
    };
    let missing = needed.iter().filter(|key| lacks(key));
    errors.extend(missing.map(|key| FieldError::required(&format!("data[{key}]"), "")));
    let is_token = secret["type"] == account::TOKEN_SECRET;
    if is_token && text(&secret["metadata"]["annotations"][account::NAME]).is_empty() {
        errors.push(FieldError::required(&format!("metadata.annotations[{}]", account::NAME), ""));
    }
}

fn frozen(new: &Value, old: &Value, fields: &[&str], findings: &mut Findings) {
    if old["immutable"] != true {
        return;
    }
    let thawed = (new["immutable"] != true).then_some("immutable");
    let changed = fields.iter().copied().filter(|field| new[*field] != old[*field]);
    let why = "field is immutable when `immutable` is set";
    findings.errors.extend(thawed.into_iter().chain(changed).map(|field| FieldError::forbidden(field, why)));
}
