//! Events, as `v1` has them.

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
