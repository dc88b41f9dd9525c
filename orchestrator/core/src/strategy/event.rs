//! Events, as `v1` has them and as `events.k8s.io/v1` does.

use super::{PLAIN, Strategy};
use crate::validation::text;
use peapod_api::FieldError;

pub(super) static STRATEGY: Strategy = Strategy {
    validate: |event, findings| {
        let subject = &event["involvedObject"]["namespace"];
        // What is said about something without a namespace is kept in `default`, or wherever its speaker lives.
        if !text(subject).is_empty() && *subject != event["metadata"]["namespace"] {
            let why = "does not match event.namespace";
            findings.errors.push(FieldError::invalid("involvedObject.namespace", subject, why));
        }
    },
    ..PLAIN
};

/// What is created in the newer form says more.
pub(super) static NEWER: Strategy = Strategy {
    validate: |event, findings| {
        let (subject, errors) = (&event["regarding"]["namespace"], &mut findings.errors);
        if !text(subject).is_empty() && *subject != event["metadata"]["namespace"] {
            let why = "does not match event.namespace";
            errors.push(FieldError::invalid("regarding.namespace", subject, why));
        }
    },
    validate_create: |event, findings| {
        let errors = &mut findings.errors;
        for field in ["eventTime", "reportingController", "reportingInstance", "action", "reason"] {
            if text(&event[field]).is_empty() {
                errors.push(FieldError::required(field, ""));
            }
        }
        if !matches!(text(&event["type"]), "Normal" | "Warning") {
            errors.push(FieldError::invalid(
                "type",
                &"".into(),
                &format!("has invalid value: {}", text(&event["type"])),
            ));
        }
        for field in ["deprecatedFirstTimestamp", "deprecatedLastTimestamp", "deprecatedCount"] {
            if !event[field].is_null() && event[field] != 0 {
                errors.push(FieldError::invalid(field, &event[field], "must be unset"));
            }
        }
        if text(&event["note"]).len() > MAX_NOTE_BYTES {
            let why = format!("can have at most {MAX_NOTE_BYTES} characters");
            errors.push(FieldError::invalid("message", &"".into(), &why));
        }
    },
    ..PLAIN
};

/// Longest note of an event.
const MAX_NOTE_BYTES: usize = 1024;
