//! Leases.

use super::{PLAIN, Strategy};
use crate::validation::not_negative;
use peapod_api::FieldError;

pub(super) static STRATEGY: Strategy = Strategy {
    validate: |lease, findings| {
        let (spec, errors) = (&lease["spec"], &mut findings.errors);
        let seconds = &spec["leaseDurationSeconds"];
        if seconds.as_i64().is_some_and(|n| n <= 0) {
            errors.push(FieldError::invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
        }
        not_negative(errors, "spec.leaseTransitions", &spec["leaseTransitions"]);
    },
    ..PLAIN
};
