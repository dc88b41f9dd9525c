//! Certificate signing requests: who asks is written down by the server, what is asked for never changes, and a decision
//! is not taken back.

use super::{PLAIN, Strategy};
use crate::auth::User;
use crate::certificate::{RESOURCE, Wanted, usages};
use crate::validation::{Errors, items, text};
use peapod_api::{FieldError, Kind};
use serde_json::{Map, Value, json};

/// Shortest lifetime that may be asked for.
const LIFETIME_MIN_SECONDS: i64 = 600;
/// The types of conditions that are a decision.
const DECISIONS: [&str; 2] = ["Approved", "Denied"];

pub(super) static STRATEGY: Strategy = Strategy {
    prepare_update: |new, old| new["spec"] = old["spec"].clone(),
    validate: |object, findings| {
        let (spec, errors) = (&object["spec"], &mut findings.errors);
        if let Err(why) = Wanted::of(object) {
            errors.push(FieldError::invalid("spec.request", &spec["request"], &why));
        }
        let signer = text(&spec["signerName"]);
        let is_path =
            signer.split_once('/').is_some_and(|(domain, path)| domain.contains('.') && !path.is_empty());
        if signer.is_empty() {
            errors.push(FieldError::required("spec.signerName", ""));
        } else if !is_path {
            let why = "must be a fully qualified domain and path of the form 'example.com/signer-name'";
            errors.push(FieldError::invalid("spec.signerName", &spec["signerName"], why));
        }
        if usages(object).is_empty() {
            errors.push(FieldError::required("spec.usages", ""));
        }
        let lifetime = &spec["expirationSeconds"];
        if lifetime.as_i64().is_some_and(|seconds| seconds < LIFETIME_MIN_SECONDS) {
            let why =
                format!("may not specify a duration less than {LIFETIME_MIN_SECONDS} seconds (10 minutes)");
            errors.push(FieldError::invalid("spec.expirationSeconds", lifetime, &why));
        }
    },
    ..PLAIN
};

/// Writes down who asks, whatever the object says of it.
pub fn stamp_requester(kind: &Kind, object: &mut Value, user: &User) {
    if kind.resource() != RESOURCE || !object["spec"].is_object() {
        return;
    }
    let extra: Map<String, Value> =
        user.extra.iter().map(|(key, values)| (key.clone(), json!(values))).collect();
    object["spec"]["username"] = user.name.as_str().into();
    object["spec"]["uid"] = user.uid.as_str().into();
    object["spec"]["groups"] = json!(user.groups);
    object["spec"]["extra"] = extra.into();
}

/// The conditions after a write to `approval`: decisions as they are sent, everything else as it was.
pub(super) fn decided(new: &Value, old: &Value) -> Value {
    let is_decision = |condition: &&Value| DECISIONS.contains(&text(&condition["type"]));
    let kept = items(old).filter(|condition| !is_decision(condition));
    items(new).filter(is_decision).chain(kept).cloned().collect()
}

/// A decision is one of the two, it is true, and it stays.
pub(super) fn validate_decision(new: &Value, old: &Value, errors: &mut Errors) {
    let (path, list) = ("status.conditions", &new["status"]["conditions"]);
    let has = |list: &Value, type_: &str| items(list).any(|condition| condition["type"] == type_);
    if DECISIONS.iter().all(|type_| has(list, type_)) {
        errors.push(FieldError::invalid(path, list, "Approved and Denied conditions are mutually exclusive"));
    }
    for type_ in
        DECISIONS.iter().filter(|type_| has(&old["status"]["conditions"], type_) && !has(list, type_))
    {
        let why = format!("updates may not remove a condition of type {type_:?}");
        errors.push(FieldError::forbidden(path, &why));
    }
    for (index, condition) in items(list).enumerate().filter(|(_, condition)| condition["status"] != "True") {
        if DECISIONS.contains(&text(&condition["type"])) {
            let path = format!("{path}[{index}].status");
            errors.push(FieldError::not_supported(&path, &condition["status"], &["True"]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_taken_once() {
        let status = |types: &[&str]| -> Value {
            types.iter().map(|type_| json!({"type": type_, "status": "True"})).collect()
        };
        assert_eq!(
            decided(&status(&["Approved", "Failed"]), &status(&["Other"])),
            status(&["Approved", "Other"])
        );
        let faults = |new: &[&str], old: &[&str]| {
            let mut errors = Errors::new();
            let object = |types| json!({"status": {"conditions": status(types)}});
            validate_decision(&object(new), &object(old), &mut errors);
            errors.len()
        };
        assert_eq!(faults(&["Approved"], &[]), 0);
        assert_eq!(faults(&["Approved", "Denied"], &[]), 1);
        assert_eq!(faults(&[], &["Denied"]), 1);
    }
}
