//! Certificate signing requests: who asks is written down by the server, what is asked for never changes, and a decision
//! is not taken back.

use super::{PLAIN, Strategy};
use crate::auth::User;
use crate::certificate::{RESOURCE, Wanted, certificates, usages};
use crate::validation::{Errors, items, text};
use jiff::Timestamp;
use peapod_api::{FieldError, Kind, meta};
use serde_json::{Map, Value, json};

/// Shortest lifetime that may be asked for.
const LIFETIME_MIN_SECONDS: i64 = 600;
/// The types of conditions that are a decision,
const DECISIONS: [&str; 2] = ["Approved", "Denied"];
/// and those that are true and stay.
const LASTING: [&str; 3] = ["Approved", "Denied", "Failed"];

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
    prepare_status: |new, old| keep_decisions(&mut new["status"]["conditions"], &old["status"]["conditions"]),
    validate_status: |new, old, errors| {
        validate_conditions(new, old, errors);
        no_decision(new, old, errors);
        validate_certificate(&new["status"]["certificate"], &old["status"]["certificate"], errors);
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

/// Gives conditions that are new, or newly what they are, the times that their writer left out.
pub(crate) fn date(kind: &Kind, object: &mut Value, old: &Value, now: Timestamp) {
    if kind.resource() != RESOURCE {
        return;
    }
    let list = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut);
    for condition in list.into_iter().flatten().filter(|condition| condition.is_object()) {
        let is_same = |old: &&Value| ["type", "status"].iter().all(|field| old[*field] == condition[*field]);
        let before = items(&old["status"]["conditions"]).find(is_same);
        let since = before.map(|before| before["lastTransitionTime"].clone()).filter(Value::is_string);
        let now = Value::from(meta::time(now));
        for (field, time) in [("lastUpdateTime", now.clone()), ("lastTransitionTime", since.unwrap_or(now))] {
            if !condition[field].is_string() {
                condition[field] = time;
            }
        }
    }
}

/// How many conditions of a type there are, and which.
fn of_type<'a>(conditions: &'a Value, type_: &str) -> Vec<&'a Value> {
    items(conditions).filter(|condition| condition["type"] == type_).collect()
}

/// What the status endpoint does not decide it leaves as it was, unless there is more or less of it, which is refused.
fn keep_decisions(new: &mut Value, old: &Value) {
    for type_ in DECISIONS {
        let before = of_type(old, type_);
        if of_type(new, type_).len() != before.len() {
            continue;
        }
        let list = new.as_array_mut().into_iter().flatten();
        for (new, old) in list.filter(|condition| condition["type"] == type_).zip(before) {
            *new = old.clone();
        }
    }
}

/// A decision is one of the two; that it was taken, or that the request failed, stays true.
pub(super) fn validate_conditions(new: &Value, old: &Value, errors: &mut Errors) {
    let path = "status.conditions";
    let (new, old) = (&new["status"]["conditions"], &old["status"]["conditions"]);
    for (index, condition) in items(new).enumerate() {
        let (path, type_) = (format!("{path}[{index}]"), text(&condition["type"]));
        let before = || items(new).take(index);
        if type_.is_empty() {
            errors.push(FieldError::required(&format!("{path}.type"), ""));
        }
        let known: &[&str] = if LASTING.contains(&type_) { &["True"] } else { &["False", "True", "Unknown"] };
        let status = &condition["status"];
        if text(status).is_empty() {
            errors.push(FieldError::required(&format!("{path}.status"), ""));
        } else if !known.contains(&text(status)) {
            errors.push(FieldError::not_supported(&format!("{path}.status"), status, known));
        }
        let is_other = |other: &Value| DECISIONS.contains(&text(&other["type"])) && other["type"] != type_;
        if DECISIONS.contains(&type_) && before().any(is_other) {
            let why = "Approved and Denied conditions are mutually exclusive";
            errors.push(FieldError::invalid(&format!("{path}.type"), &condition["type"], why));
        }
        if before().any(|other| other["type"] == type_) {
            errors.push(FieldError::duplicate(&format!("{path}.type"), &condition["type"]));
        }
    }
    for type_ in LASTING.iter().filter(|type_| of_type(new, type_).len() < of_type(old, type_).len()) {
        let why = format!("updates may not remove a condition of type {type_:?}");
        errors.push(FieldError::forbidden(path, &why));
    }
}

/// Decisions are taken through `approval` alone.
fn no_decision(new: &Value, old: &Value, errors: &mut Errors) {
    let (new, old) = (&new["status"]["conditions"], &old["status"]["conditions"]);
    for type_ in DECISIONS.iter().filter(|type_| of_type(new, type_).len() > of_type(old, type_).len()) {
        let why = format!("updates may not add a condition of type {type_:?}");
        errors.push(FieldError::forbidden("status.conditions", &why));
    }
}

/// What was issued is a certificate, and stays.
fn validate_certificate(new: &Value, old: &Value, errors: &mut Errors) {
    const PATH: &str = "status.certificate";
    if new == old {
        return;
    }
    if !text(old).is_empty() {
        errors.push(FieldError::forbidden(PATH, "updates may not modify existing certificate content"));
    }
    if let Err(why) = certificates(text(new)) {
        errors.push(FieldError::invalid(PATH, &"<certificate data>".into(), &why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

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
            validate_conditions(&object(new), &object(old), &mut errors);
            errors.len()
        };
        assert_eq!(faults(&["Approved"], &[]), 0);
        assert_eq!(faults(&["Approved", "Denied"], &[]), 1);
        assert_eq!(faults(&[], &["Denied"]), 1);
        assert_eq!(faults(&["Failed", "Failed"], &[]), 1);
        assert_eq!(faults(&[], &["Failed"]), 1);
        assert_eq!(faults(&["Other"], &["Another"]), 0);
    }

    #[test]
    fn the_status_endpoint_decides_nothing() {
        let conditions = |types: &[(&str, &str)]| -> Value {
            types.iter().map(|(type_, why)| json!({"type": type_, "status": "True", "reason": why})).collect()
        };
        let faults = |new: &Value, old: &Value| {
            let mut errors = Errors::new();
            no_decision(
                &json!({"status": {"conditions": new}}),
                &json!({"status": {"conditions": old}}),
                &mut errors,
            );
            errors.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let (old, mut new) =
            (conditions(&[("Approved", "a")]), conditions(&[("Failed", "f"), ("Approved", "b")]));
        keep_decisions(&mut new, &old);
        assert_eq!(new, conditions(&[("Failed", "f"), ("Approved", "a")]));
        assert_eq!(faults(&new, &old), [""; 0]);
        let mut more = conditions(&[("Denied", "x")]);
        keep_decisions(&mut more, &json!(null));
        let said = "status.conditions: Forbidden: updates may not add a condition of type \"Denied\"";
        assert_eq!(faults(&more, &json!(null)), [said]);
    }

    #[test]
    fn what_is_issued_is_a_certificate_and_stays() {
        let faults = |new: &str, old: &str| {
            let mut errors = Errors::new();
            validate_certificate(&STANDARD.encode(new).into(), &STANDARD.encode(old).into(), &mut errors);
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        };
        assert_eq!(faults("", ""), "");
        assert!(
            faults("x", "").ends_with("must contain at least one CERTIFICATE PEM block"),
            "{}",
            faults("x", "")
        );
        let request = "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n";
        assert!(
            faults(request, "")
                .contains("only CERTIFICATE PEM blocks are allowed, found \"CERTIFICATE REQUEST\"")
        );
        assert!(faults("x", "y").contains("updates may not modify existing certificate content"));
    }

    #[test]
    fn conditions_are_dated() {
        let kind = peapod_api::kinds::of_resource(RESOURCE).unwrap();
        let old = json!({"status": {"conditions": [{"type": "A", "status": "True", "lastTransitionTime": "2020-01-01T00:00:00Z"}]}});
        let mut new = json!({"status": {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]}});
        date(kind, &mut new, &old, "2030-01-01T00:00:00Z".parse().unwrap());
        let conditions = &new["status"]["conditions"];
        assert_eq!(conditions[0]["lastTransitionTime"], "2020-01-01T00:00:00Z");
        assert_eq!(conditions[0]["lastUpdateTime"], "2030-01-01T00:00:00Z");
        assert_eq!(conditions[1]["lastTransitionTime"], "2030-01-01T00:00:00Z");
    }
}
