//! CronJobs.

use super::{Findings, PLAIN, Strategy, job, pod};
use crate::cron::Schedule;
use crate::validation::{Errors, not_negative, text};
use peapod_api::FieldError;
use serde_json::Value;

pub(super) static STRATEGY: Strategy = Strategy {
    counts_generations: true,
    prepare_create: prepare,
    prepare_update: |new, _| prepare(new),
    validate,
    validate_create: |cron_job, findings| {
        let name = &cron_job["metadata"]["name"];
        if text(name).len() > MAX_NAME_BYTES {
            let why = format!("must be no more than {MAX_NAME_BYTES} bytes");
            findings.errors.push(FieldError::invalid("metadata.name", name, &why));
        }
    },
    validate_update: |new, old, findings| {
        if new["spec"]["timeZone"] != old["spec"]["timeZone"] {
            time_zone(&new["spec"]["timeZone"], &mut findings.errors);
        }
    },
    ..PLAIN
};

/// A Job's name is this and eleven characters more.
const MAX_NAME_BYTES: usize = 52;
/// Longest part of the name of a time zone.
const MAX_ZONE_PART_BYTES: usize = 14;

fn prepare(cron_job: &mut Value) {
    if let Some(spec) = cron_job.pointer_mut("/spec/jobTemplate/spec/template/spec") {
        pod::name_account_twice(spec);
    }
}

fn validate(cron_job: &Value, findings: &mut Findings) {
    let (spec, errors) = (&cron_job["spec"], &mut findings.errors);
    schedule(&spec["schedule"], errors);
    time_zone(&spec["timeZone"], errors);
    for field in ["startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        not_negative(errors, &format!("spec.{field}"), &spec[field]);
    }
    const TEMPLATE: &str = "spec.jobTemplate.spec";
    let template = &spec["jobTemplate"]["spec"];
    if !template["selector"].is_null() {
        let why = "`selector` will be auto-generated";
        errors.push(FieldError::invalid(&format!("{TEMPLATE}.selector"), &template["selector"], why));
    }
    if template["manualSelector"] == true {
        let path = format!("{TEMPLATE}.manualSelector");
        errors.push(FieldError::not_supported(&path, &template["manualSelector"], &["nil", "false"]));
    }
    job::spec(TEMPLATE, template, findings);
}

fn schedule(schedule: &Value, errors: &mut Errors) {
    const PATH: &str = "spec.schedule";
    let text = text(schedule);
    if text.contains("TZ") {
        let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.push(FieldError::invalid(PATH, schedule, why));
    } else if text.is_empty() {
        errors.push(FieldError::required(PATH, ""));
    } else if let Err(why) = Schedule::parse(text) {
        errors.push(FieldError::invalid(PATH, schedule, &why));
    }
}

/// The name of a time zone, by its form.
fn time_zone(zone: &Value, errors: &mut Errors) {
    let Some(text) = zone.as_str() else { return };
    let is_part = |part: &str| {
        let known = part.chars().all(|c| c.is_ascii_alphanumeric() || "._-+".contains(c));
        known
            && (1..=MAX_ZONE_PART_BYTES).contains(&part.len())
            && !matches!(part, "." | "..")
            && !part.starts_with('-')
    };
    let why = match text {
        "" => "timeZone must be nil or non-empty string".to_string(),
        _ if !text.split('/').all(is_part) => format!("unknown time zone {text}"),
        _ if text.eq_ignore_ascii_case("local") => {
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones".into()
        }
        _ => return,
    };
    errors.push(FieldError::invalid("spec.timeZone", zone, &why));
}
