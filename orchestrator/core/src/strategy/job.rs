//! Jobs: the labels that tell their pods from others', and what may be said about indexes and failures.

mod failure_policy;

use super::workload::{self, WORKLOAD};
use super::{Findings, Strategy};
use crate::pod_fields;
use crate::validation::{
    Errors, child, immutable, invalid, names, not_negative, pod_spec, selector, status, text,
};
use peapod_api::FieldError;
use peapod_api::object::labels;
use peapod_api::selector::LabelSelector;
use serde_json::{Value, json};

pub(super) static STRATEGY: Strategy =
    Strategy { prepare_create, validate, validate_update, validate_status: status::job, ..WORKLOAD };

const UID_LABEL: &str = "batch.kubernetes.io/controller-uid";
const NAME_LABEL: &str = "batch.kubernetes.io/job-name";
const OLD_UID_LABEL: &str = "controller-uid";
const OLD_NAME_LABEL: &str = "job-name";
/// Most pods side by side of a Job whose pods have indexes.
const MAX_INDEXED_PARALLELISM: i64 = 100_000;
/// Beyond so many completions a limit per index has limits of its own.
const MAX_PLAIN_COMPLETIONS: i64 = 100_000;
const MAX_OF_MANY_COMPLETIONS: i64 = 10_000;
/// What never changes.
const FIXED: [&str; 6] =
    ["selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"];

/// Unless the creator looks after it himself, the pods are told from others' by the Job's uid.
fn prepare_create(job: &mut Value) {
    workload::prepare(job);
    if job["spec"]["manualSelector"] == true {
        return;
    }
    // A Job without labels of its own has those of its pods.
    let labels = &job["metadata"]["labels"];
    let inherited = labels.is_null() || *labels == job["spec"]["template"]["metadata"]["labels"];
    let (uid, name) = (job["metadata"]["uid"].clone(), job["metadata"]["name"].clone());
    let own = [(UID_LABEL, &uid), (OLD_UID_LABEL, &uid), (NAME_LABEL, &name), (OLD_NAME_LABEL, &name)];
    if job["spec"]["template"].is_object() {
        for (label, value) in own {
            let slot = &mut job["spec"]["template"]["metadata"]["labels"][label];
            if slot.is_null() {
                *slot = value.clone();
            }
        }
    }
    if inherited {
        job["metadata"]["labels"] = job["spec"]["template"]["metadata"]["labels"].clone();
    }
    let slot = &mut job["spec"]["selector"]["matchLabels"][UID_LABEL];
    if slot.is_null() {
        *slot = uid;
    }
}

fn validate(job: &Value, findings: &mut Findings) {
    let errors = &mut findings.errors;
    if job["spec"]["manualSelector"] != true {
        generated_selector(job, errors);
    }
    spec("spec", &job["spec"], findings);
    let errors = &mut findings.errors;
    let (chosen, own) = (&job["spec"]["selector"], &job["spec"]["template"]["metadata"]["labels"]);
    if !chosen.is_object() {
        errors.push(FieldError::required("spec.selector", ""));
    }
    selector::label_selector(errors, "spec.selector", chosen);
    if LabelSelector::from_object(chosen).is_some_and(|chosen| !chosen.matches(&labels(own))) {
        workload::mismatch(errors, own);
    }
    host_names(job, errors);
}

/// What was generated must not be contradicted.
fn generated_selector(job: &Value, errors: &mut Errors) {
    const LABELS: &str = "spec.template.metadata.labels";
    let (uid, name) = (&job["metadata"]["uid"], &job["metadata"]["name"]);
    let own = [(OLD_UID_LABEL, uid), (OLD_NAME_LABEL, name), (UID_LABEL, uid), (NAME_LABEL, name)];
    for (label, expected) in own {
        let found = &job["spec"]["template"]["metadata"]["labels"][label];
        let (path, why) = (format!("{LABELS}[{label}]"), format!("must be '{}'", text(expected)));
        match found {
            Value::Null => errors.push(FieldError::required(&path, &why)),
            found if found != expected => errors.push(FieldError::invalid(&path, found, &why)),
            _ => {}
        }
    }
    let expected =
        own.into_iter().map(|(label, value)| (label.to_string(), text(value).to_string())).collect();
    let chosen = &job["spec"]["selector"];
    if LabelSelector::from_object(chosen).is_some_and(|chosen| !chosen.matches(&expected)) {
        errors.push(FieldError::invalid("spec.selector", chosen, "`selector` not auto-generated"));
    }
}

/// The pods of an indexed Job are called by its name and their index.
fn host_names(job: &Value, errors: &mut Errors) {
    let (spec, name) = (&job["spec"], &job["metadata"]["name"]);
    let Some(last) = spec["completions"].as_i64().filter(|n| *n > 0).map(|n| n - 1) else { return };
    let longest = format!("{}-{last}", text(name));
    if spec["completionMode"] == "Indexed" && !names::label(&longest).is_empty() {
        let why = format!("will not able to create pod with invalid DNS label: {longest}");
        errors.push(FieldError::invalid("metadata.name", name, &why));
    }
}

/// The specification of a Job, or of the Jobs that a CronJob makes.
pub(super) fn spec(path: &str, spec: &Value, findings: &mut Findings) {
    let errors = &mut findings.errors;
    for field in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        not_negative(errors, &child(path, field), &spec[field]);
    }
    if !spec["maxFailedIndexes"].is_null() && spec["backoffLimitPerIndex"].is_null() {
        let why = "when maxFailedIndexes is specified";
        errors.push(FieldError::required(&child(path, "backoffLimitPerIndex"), why));
    }
    if let Some(manager) = spec["managedBy"].as_str() {
        invalid(errors, &child(path, "managedBy"), &spec["managedBy"], names::domain_path(manager));
    }
    match text(&spec["completionMode"]) {
        "Indexed" => indexed(path, spec, errors),
        _ => not_indexed(path, spec, errors),
    }
    failure_policy::validate(path, spec, errors);
    let (at, template) = (child(path, "template"), &spec["template"]);
    pod_spec::template(errors, &at, template);
    ends(&child(&at, "spec.restartPolicy"), spec, errors);
    let (at, warnings) = (child(&at, "spec"), &mut findings.warnings);
    pod_fields::judge(&at, &template["spec"], &mut findings.errors, warnings);
}

/// Pods of a Job come to an end.
fn ends(path: &str, spec: &Value, errors: &mut Errors) {
    let policy = &spec["template"]["spec"]["restartPolicy"];
    match text(policy) {
        "Always" | "" => errors.push(FieldError::required(path, "valid values: \"OnFailure\", \"Never\"")),
        "OnFailure" if spec["podFailurePolicy"].is_object() => {
            let why = "only \"Never\" is supported when podFailurePolicy is specified";
            errors.push(FieldError::invalid(path, policy, why));
        }
        _ => {}
    }
}

fn indexed(path: &str, spec: &Value, errors: &mut Errors) {
    let number = |field: &str| spec[field].as_i64();
    let mut at_most = |field: &str, max: i64, when: &str| {
        if number(field).is_some_and(|n| n > max) {
            let why = format!("must be less than or equal to {max}{when}");
            errors.push(FieldError::invalid(&child(path, field), &spec[field], &why));
        }
    };
    at_most("parallelism", MAX_INDEXED_PARALLELISM, " when completion mode is Indexed");
    at_most("maxFailedIndexes", MAX_PLAIN_COMPLETIONS, "");
    let many = number("completions").is_some_and(|n| n > MAX_PLAIN_COMPLETIONS);
    if many && number("backoffLimitPerIndex").is_some() {
        let when = format!(
            " when completions are above {MAX_PLAIN_COMPLETIONS} and used with backoff limit per index"
        );
        at_most("parallelism", MAX_OF_MANY_COMPLETIONS, &when);
        at_most("maxFailedIndexes", MAX_OF_MANY_COMPLETIONS, &when);
        if number("maxFailedIndexes").is_none() {
            let why = format!("must be specified when completions is above {MAX_PLAIN_COMPLETIONS}");
            errors.push(FieldError::required(&child(path, "maxFailedIndexes"), &why));
        }
    }
    match (number("completions"), number("maxFailedIndexes")) {
        (None, _) => {
            let why = "when completion mode is Indexed";
            errors.push(FieldError::required(&child(path, "completions"), why));
        }
        (Some(all), Some(failed)) if failed > all => {
            let why = "must be less than or equal to completions";
            errors.push(FieldError::invalid(
                &child(path, "maxFailedIndexes"),
                &spec["maxFailedIndexes"],
                why,
            ));
        }
        _ => {}
    }
}

fn not_indexed(path: &str, spec: &Value, errors: &mut Errors) {
    for field in ["backoffLimitPerIndex", "maxFailedIndexes", "successPolicy"] {
        if !spec[field].is_null() {
            let why = "requires indexed completion mode";
            errors.push(FieldError::invalid(&child(path, field), &spec[field], why));
        }
    }
}

fn validate_update(new: &Value, old: &Value, findings: &mut Findings) {
    let (new, old, errors) = (&new["spec"], &old["spec"], &mut findings.errors);
    for field in FIXED {
        immutable(errors, &child("spec", field), &new[field], &old[field]);
    }
    let in_tandem = new["completions"].is_null() || new["completions"] == new["parallelism"];
    if new["completionMode"] != "Indexed" {
        immutable(errors, "spec.completions", &new["completions"], &old["completions"]);
    } else if new["completions"] != old["completions"] && !in_tandem {
        let why = "can only be modified in tandem with spec.parallelism";
        errors.push(FieldError::invalid("spec.completions", &new["completions"], why));
    }
    let fixed = if old["suspend"] == true {
        movable(&old["template"], &new["template"])
    } else {
        old["template"].clone()
    };
    immutable(errors, "spec.template", &new["template"], &fixed);
}

/// The old template with those parts of the new one that may change while the Job rests: where its pods go.
fn movable(old: &Value, new: &Value) -> Value {
    let mut template = old.clone();
    for (part, fields) in [
        ("metadata", &["labels", "annotations"][..]),
        ("spec", &["nodeSelector", "tolerations", "schedulingGates", "affinity"][..]),
    ] {
        let Some(target) = template.get_mut(part).and_then(Value::as_object_mut) else { continue };
        for field in fields {
            match &new[part][*field] {
                Value::Null => _ = target.remove(*field),
                value => _ = target.insert((*field).into(), value.clone()),
            }
        }
    }
    let (was, is) = (&old["spec"]["affinity"], &new["spec"]["affinity"]);
    for kind in ["podAffinity", "podAntiAffinity"] {
        if was[kind] != is[kind] {
            // Only the affinity to nodes may change: this difference is what the comparison finds.
            template["spec"]["affinity"] = json!({ kind: was[kind] });
        }
    }
    template
}
