//! Of a Job. Whoever manages it, a Job that has ended has ended, and its counters only grow. What was wrong before and is not
//! touched is not complained of.

use super::super::{Errors, child, indexed, items, not_negative, text};
use jiff::Timestamp;
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::BTreeSet;

const COUNTS: [&str; 5] = ["active", "succeeded", "failed", "ready", "terminating"];
const CONDITIONS: &str = "status.conditions";
/// Once true they stay so.
const TERMINAL: [&str; 3] = ["Failed", "Complete", "FailureTarget"];
/// What cannot both be true, in the order in which it is told; conditions that were so before are left alone.
const EXCLUSIVE: [(&str, &str, &str); 4] = [
    ("Complete", "Failed", "cannot set Complete=True and Failed=true conditions"),
    ("Complete", "FailureTarget", "cannot set Complete=True and FailureTarget=true conditions"),
    ("SuccessCriteriaMet", "Failed", "cannot set SuccessCriteriaMet=True and Failed=true conditions"),
    (
        "SuccessCriteriaMet",
        "FailureTarget",
        "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
    ),
];
/// The first is announced by the second.
const ANNOUNCED: [(&str, &str, &str); 2] = [
    ("Failed", "FailureTarget", "cannot set Failed=True condition without the FailureTarget=true condition"),
    (
        "Complete",
        "SuccessCriteriaMet",
        "cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
    ),
];

/// The Job before and after.
struct Change<'a> {
    new: &'a Value,
    old: &'a Value,
}

/// Of a Job.
pub fn job(new: &Value, old: &Value, errors: &mut Errors) {
    let change = Change { new, old };
    for field in COUNTS {
        not_negative(errors, &child("status", field), &new["status"][field]);
    }
    uncounted(&new["status"]["uncountedTerminatedPods"], errors);
    change.conditions(errors);
    change.times(errors);
    change.finished(errors);
    change.indexes(errors);
    change.counters(errors);
}

/// Pods that have ended and are not counted yet are named once.
fn uncounted(pods: &Value, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for list in ["succeeded", "failed"] {
        for (path, uid) in indexed(&pods[list], &format!("status.uncountedTerminatedPods.{list}")) {
            match text(uid) {
                "" => errors.push(FieldError::invalid(&path, uid, "must not be empty")),
                known if !seen.insert(known) => errors.push(FieldError::duplicate(&path, uid)),
                _ => {}
            }
        }
    }
}

fn is(job: &Value, condition: &str) -> bool {
    items(&job["status"]["conditions"]).any(|one| one["type"] == condition && one["status"] == "True")
}

fn is_finished(job: &Value) -> bool {
    is(job, "Complete") || is(job, "Failed")
}

fn number(job: &Value, field: &str) -> i64 {
    job["status"][field].as_i64().unwrap_or(0)
}

fn time(job: &Value, field: &str) -> Option<Timestamp> {
    text(&job["status"][field]).parse().ok()
}

impl Change<'_> {
    fn changes(&self, field: &str) -> bool {
        self.new["status"][field] != self.old["status"][field]
    }

    fn turns(&self, condition: &str) -> bool {
        is(self.new, condition) != is(self.old, condition)
    }

    fn conditions(&self, errors: &mut Errors) {
        let mut wrong = |why: &str| errors.push(FieldError::invalid_whole(CONDITIONS, why));
        let new = |condition: &str| is(self.new, condition);
        for (one, other, why) in EXCLUSIVE {
            let asked = one == "SuccessCriteriaMet" || self.turns(one) || self.turns(other);
            if asked && new(one) && new(other) {
                wrong(why);
            }
        }
        for (end, announcement, why) in ANNOUNCED {
            if self.turns(end) && new(end) && !new(announcement) {
                wrong(why);
            }
        }
        if self.new["spec"]["successPolicy"].is_object() && new("Complete") && !new("SuccessCriteriaMet") {
            wrong("cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True");
        }
        for condition in TERMINAL.into_iter().filter(|one| is(self.old, one) && !new(one)) {
            wrong(&format!("cannot disable the terminal {condition}=True condition"));
        }
        let was = |condition: &str| is(self.old, condition);
        if was("SuccessCriteriaMet") && !new("SuccessCriteriaMet") {
            wrong("cannot disable the SuccessCriteriaMet=True condition");
        }
        if was("Complete") && !was("SuccessCriteriaMet") && new("SuccessCriteriaMet") {
            wrong("cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions");
        }
    }

    fn times(&self, errors: &mut Errors) {
        let (start, end) = ("status.startTime", "status.completionTime");
        let given = &self.new["status"]["completionTime"];
        let (started, completed) = (time(self.new, "startTime"), time(self.new, "completionTime"));
        let before = (time(self.old, "startTime"), time(self.old, "completionTime"));
        let moved = (started != before.0, completed != before.1);
        let asked = self.turns("Complete") || moved.1;
        match (completed, is(self.new, "Complete")) {
            (Some(_), false) if asked => {
                let why = "cannot set completionTime when there is no Complete=True condition";
                errors.push(FieldError::invalid(end, given, why));
            }
            (None, true) if asked => {
                errors.push(FieldError::required(end, "completionTime is required for Complete jobs"));
            }
            _ => {}
        }
        if (moved.0 || moved.1) && completed.zip(started).is_some_and(|(end, start)| end < start) {
            errors.push(FieldError::invalid(end, given, "completionTime cannot be set before startTime"));
        }
        if completed.is_some() && before.1.is_some() && moved.1 {
            errors.push(FieldError::invalid(end, given, "completionTime cannot be mutated"));
        }
        if before.0.is_some() && moved.0 && self.new["spec"]["suspend"] != true {
            let why = "startTime cannot be removed for unsuspended job";
            errors.push(FieldError::required(start, why));
        }
    }

    /// Nothing is left to do for a Job that has ended.
    fn finished(&self, errors: &mut Errors) {
        let ends = is_finished(self.new) != is_finished(self.old);
        let asked = |field: &str| is_finished(self.new) && (ends || self.changes(field));
        for field in ["active", "terminating"] {
            if asked(field) && number(self.new, field) > 0 {
                let why = format!("{field}>0 is invalid for finished job");
                let given = &self.new["status"][field];
                errors.push(FieldError::invalid(&child("status", field), given, &why));
            }
        }
        if asked("startTime") && time(self.new, "startTime").is_none() {
            let why = "startTime is required for finished job";
            errors.push(FieldError::required("status.startTime", why));
        }
        let left = &self.new["status"]["uncountedTerminatedPods"];
        let is_left = ["succeeded", "failed"].iter().any(|list| items(&left[*list]).next().is_some());
        if asked("uncountedTerminatedPods") && is_left {
            let why = "uncountedTerminatedPods needs to be empty for finished job";
            errors.push(FieldError::invalid("status.uncountedTerminatedPods", left, why));
        }
    }

    fn indexes(&self, errors: &mut Errors) {
        let (spec, status) = (&self.new["spec"], &self.new["status"]);
        let (completed, failed) = (&status["completedIndexes"], &status["failedIndexes"]);
        let completions = spec["completions"].as_i64();
        let mut wrong = |field: &str, why: &str| {
            errors.push(FieldError::invalid(&child("status", field), &status[field], why));
        };
        let read = |list: &Value| completions.map_or(Ok(Vec::new()), |n| intervals(text(list), n));
        let per_index = !spec["backoffLimitPerIndex"].is_null();
        for (field, list) in [("completedIndexes", completed), ("failedIndexes", failed)] {
            let told = field == "completedIndexes" || per_index;
            if let Err(why) = read(list)
                && self.changes(field)
                && told
            {
                wrong(field, &format!("error parsing {field}: {why}"));
            }
        }
        let indexed = spec["completionMode"] == "Indexed";
        if self.changes("completedIndexes") && !text(completed).is_empty() && !indexed {
            wrong(
                "completedIndexes",
                "cannot set non-empty completedIndexes when non-indexed completion mode",
            );
        }
        if self.changes("failedIndexes") && failed.is_string() && !per_index {
            wrong("failedIndexes", "cannot set non-null failedIndexes when backoffLimitPerIndex is null");
        }
        if (self.changes("failedIndexes") || self.changes("completedIndexes"))
            && let (Ok(completed), Ok(failed)) = (read(completed), read(failed))
            && let Some(index) = overlap(&completed, &failed)
        {
            wrong("failedIndexes", &format!("failedIndexes and completedIndexes overlap at index: {index}"));
        }
    }

    /// What was counted stays counted.
    fn counters(&self, errors: &mut Errors) {
        let (spec, status) = (&self.new["spec"], &self.new["status"]);
        let (ready, active) = (number(self.new, "ready"), number(self.new, "active"));
        if (self.changes("ready") || self.changes("active")) && ready > active {
            let why = "cannot set more ready pods than active";
            errors.push(FieldError::invalid("status.ready", &status["ready"], why));
        }
        // An indexed Job whose completions change with its parallelism may be made smaller.
        let elastic = spec["completionMode"] == "Indexed" && spec["completions"] == spec["parallelism"];
        for field in ["failed", "succeeded"] {
            let now = number(self.new, field);
            if now < number(self.old, field) && !(field == "succeeded" && elastic) {
                let why = format!("cannot decrease the {field} counter");
                errors.push(FieldError::invalid(&child("status", field), &now.into(), &why));
            }
        }
    }
}

/// `0,3-5` as first and last indexes. Errors: what is wrong with it, in words.
fn intervals(list: &str, completions: i64) -> Result<Vec<(i64, i64)>, String> {
    let mut all: Vec<(i64, i64)> = Vec::new();
    for interval in list.split(',').filter(|_| !list.is_empty()) {
        let (first, last) = parse_interval(interval, completions)?;
        if let Some((_, previous)) = all.last().filter(|(_, previous)| *previous >= first) {
            return Err(format!("non-increasing order, previous: {previous}, current: {first}"));
        }
        all.push((first, last));
    }
    Ok(all)
}

fn parse_interval(interval: &str, completions: i64) -> Result<(i64, i64), String> {
    let index = |part: &str| match part.parse::<i64>() {
        Err(_) => Err(format!("cannot convert string to integer for index: {part:?}")),
        Ok(index) if index >= completions => Err(format!("too large index: {part:?}")),
        Ok(index) => Ok(index),
    };
    match interval.split('-').collect::<Vec<_>>()[..] {
        [one] => index(one).map(|index| (index, index)),
        [first, last] => match (index(first)?, index(last)?) {
            (first, last) if first >= last => {
                Err(format!("non-increasing order, previous: {first}, current: {last}"))
            }
            both => Ok(both),
        },
        _ => Err(format!(
            "the fragment {interval:?} violates the requirement that an index interval can have at most two parts \
             separated by '-'"
        )),
    }
}

/// The first index that is in both, which are in order.
fn overlap(mut some: &[(i64, i64)], mut others: &[(i64, i64)]) -> Option<i64> {
    while let ([one, more @ ..], [other, rest @ ..]) = (some, others) {
        if one.1 < other.0 {
            some = more;
        } else if other.1 < one.0 {
            others = rest;
        } else {
            return Some(one.0.max(other.0));
        }
    }
    None
}
