//! PodDisruptionBudgets.

use super::{PLAIN, Strategy};
use crate::validation::{selector, share, status};
use peapod_api::FieldError;

pub(super) static STRATEGY: Strategy = Strategy {
    counts_generations: true,
    validate: |budget, findings| {
        let (spec, errors) = (&budget["spec"], &mut findings.errors);
        if !spec["minAvailable"].is_null() && !spec["maxUnavailable"].is_null() {
            let why = "minAvailable and maxUnavailable cannot be both set";
            errors.push(FieldError::invalid("spec", spec, why));
        }
        for field in ["minAvailable", "maxUnavailable"] {
            if !spec[field].is_null() {
                share(errors, &format!("spec.{field}"), &spec[field], true);
            }
        }
        selector::label_selector(errors, "spec.selector", &spec["selector"]);
    },
    validate_status: status::budget,
    ..PLAIN
};
