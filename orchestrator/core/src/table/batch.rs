//! Cells of Jobs and CronJobs.

use super::age::{human_duration, since};
use super::cells::{NONE, UNSET, list, number};
use jiff::Timestamp;
use peapod_api::meta;
use serde_json::Value;

/// The conditions of a Job that say how it stands, the weightiest first.
const ENDS: [(&str, &str); 2] = [("Complete", "Complete"), ("Failed", "Failed")];
const ON_THE_WAY: [(&str, &str); 3] = [
    ("Suspended", "Suspended"),
    ("FailureTarget", "FailureTarget"),
    ("SuccessCriteriaMet", "SuccessCriteriaMet"),
];

/// How a Job stands, in one word.
pub(super) fn status(job: &Value) -> &'static str {
    let holds =
        |type_: &str| list(&job["status"]["conditions"]).any(|c| c["type"] == type_ && c["status"] == "True");
    let first =
        |table: &[(&str, &'static str)]| table.iter().find(|(type_, _)| holds(type_)).map(|(_, word)| *word);
    let terminating = meta::text(job, "metadata.deletionTimestamp").map(|_| "Terminating");
    first(&ENDS).or(terminating).or_else(|| first(&ON_THE_WAY)).unwrap_or("Running")
}

/// `1/3`; `1/1 of 4` where four pods run side by side until one succeeds.
pub(super) fn completions(job: &Value) -> String {
    let (spec, succeeded) = (&job["spec"], number(&job["status"]["succeeded"]));
    match (spec["completions"].as_i64(), number(&spec["parallelism"])) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, side_by_side) if side_by_side > 1 => format!("{succeeded}/1 of {side_by_side}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

/// From the start to the end, or until now.
pub(super) fn duration(job: &Value, now: Timestamp) -> String {
    let time = |field: &str| meta::parse_time(job["status"][field].as_str()?);
    let Some(start) = time("startTime") else { return String::new() };
    let end = time("completionTime").unwrap_or(now);
    human_duration(end.as_second() - start.as_second())
}

/// Whether a CronJob rests.
pub(super) fn suspend(job: &Value) -> &'static str {
    match job["spec"]["suspend"].as_bool() {
        Some(true) => "True",
        Some(false) => "False",
        None => UNSET,
    }
}

/// When a CronJob last began a Job.
pub(super) fn last_schedule(job: &Value, now: Timestamp) -> String {
    let at = job["status"]["lastScheduleTime"].as_str();
    at.map_or_else(|| NONE.into(), |at| since(meta::parse_time(at), now))
}
