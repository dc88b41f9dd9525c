//! Classes that pods name: PriorityClasses and RuntimeClasses.

use super::{Findings, PLAIN, Strategy};
use crate::validation::{immutable, invalid, names, text};
use peapod_api::FieldError;
use serde_json::Value;

/// Users' priorities end here.
const MAX_USER_PRIORITY: i64 = 1_000_000_000;
const SYSTEM_PREFIX: &str = "system-";
/// The classes that the system brings, with their priorities.
pub const SYSTEM: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

pub(super) static PRIORITY: Strategy = Strategy {
    counts_generations: true,
    validate: validate_priority,
    validate_update: |new, old, findings| {
        if new["value"] != old["value"] {
            findings.errors.push(FieldError::forbidden("value", "may not be changed in an update."));
        }
        let (new, old) = (&new["preemptionPolicy"], &old["preemptionPolicy"]);
        immutable(&mut findings.errors, "preemptionPolicy", new, old);
    },
    ..PLAIN
};

pub(super) static RUNTIME: Strategy = Strategy {
    validate: |class, findings| {
        let handler = &class["handler"];
        invalid(&mut findings.errors, "handler", handler, names::label(text(handler)));
    },
    validate_update: |new, old, findings| {
        immutable(&mut findings.errors, "handler", &new["handler"], &old["handler"]);
    },
    ..PLAIN
};

fn validate_priority(class: &Value, findings: &mut Findings) {
    let (name, value) = (text(&class["metadata"]["name"]), class["value"].as_i64().unwrap_or(0));
    let known = SYSTEM.iter().any(|(system, priority)| *system == name && *priority == value);
    if known {
        return;
    }
    if name.starts_with(SYSTEM_PREFIX) {
        let why = format!(
            "priority class names with '{SYSTEM_PREFIX}' prefix are reserved for system use only. error: {name} is not \
             a known system priority class"
        );
        findings.errors.push(FieldError::forbidden("metadata.name", &why));
    } else if value > MAX_USER_PRIORITY {
        let why = format!("maximum allowed value of a user defined priority is {MAX_USER_PRIORITY}");
        findings.errors.push(FieldError::forbidden("value", &why));
    }
}
