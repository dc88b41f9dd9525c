//! Jobs and CronJobs.

use super::*;

#[test]
fn jobs() {
    let job = create(minimal("Job")).unwrap();
    let own = json!({"batch.kubernetes.io/controller-uid": "u-1", "controller-uid": "u-1",
        "batch.kubernetes.io/job-name": "tester", "job-name": "tester"});
    assert_eq!(
        job["spec"]["selector"],
        json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}})
    );
    assert_eq!((&job["spec"]["template"]["metadata"]["labels"], &job["metadata"]["labels"]), (&own, &own));
    refused(
        "Job",
        &[
            (
                "/spec/template/spec/restartPolicy",
                json!("Always"),
                "spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\"",
            ),
            (
                "/spec/parallelism",
                json!(-1),
                "spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
            ),
            ("/spec/backoffLimit", json!(-1), "spec.backoffLimit: Invalid value: -1"),
            (
                "/spec/backoffLimitPerIndex",
                json!(1),
                "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
            ),
            (
                "/spec/maxFailedIndexes",
                json!(1),
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
            ),
            (
                "/spec/selector",
                json!({"matchLabels": {"a": "b"}}),
                "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\",\"batch.kubernetes.io/controller-uid\":\"u-1\"}}: `selector` not auto-generated",
            ),
            (
                "/spec/managedBy",
                json!("me"),
                "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path",
            ),
            (
                "/spec/podFailurePolicy",
                json!({"rules": [{"action": "Ignore"}]}),
                "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            ),
            (
                "/spec/podFailurePolicy",
                json!({"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [3, 0]}}]}),
                "spec.podFailurePolicy.rules[0].onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
            ),
            (
                "/spec/template/metadata",
                json!({"labels": {"job-name": "other"}}),
                "spec.template.metadata.labels[job-name]: Invalid value: \"other\": must be 'tester'",
            ),
        ],
    );
    unchangeable(
        "Job",
        &[
            ("/spec/completions", json!(5), "spec.completions: Invalid value: 5: field is immutable"),
            (
                "/spec/completionMode",
                json!("Indexed"),
                "spec.completionMode: Invalid value: \"Indexed\": field is immutable",
            ),
            ("/spec/template/spec/containers/0/image", json!("other"), "spec.template: Invalid value"),
            ("/spec/template/spec/nodeSelector", json!({"a": "b"}), "spec.template: Invalid value"),
        ],
    );
    let several = with(minimal("Job"), "/spec/parallelism", json!(2));
    let indexed = create(with(several, "/spec/completionMode", json!("Indexed"))).unwrap_err();
    assert!(
        indexed.contains("spec.completions: Required value: when completion mode is Indexed"),
        "{indexed}"
    );
    let resting = create(with(minimal("Job"), "/spec/suspend", json!(true))).unwrap();
    assert!(
        update(&resting, |job| job["spec"]["template"]["spec"]["nodeSelector"] = json!({"a": "b"})).is_ok()
    );
    assert!(
        update(&resting, |job| job["spec"]["template"]["spec"]["containers"][0]["image"] = json!("b"))
            .is_err()
    );
    assert!(update(&job, |job| job["spec"]["parallelism"] = json!(4)).is_ok());
}

#[test]
fn cron_jobs() {
    refused(
        "CronJob",
        &[
            (
                "/spec/schedule",
                json!("* * *"),
                "spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3: [* * *]",
            ),
            ("/spec/schedule", json!(""), "spec.schedule: Required value"),
            (
                "/spec/schedule",
                json!("TZ=UTC 0 * * * *"),
                "cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
            (
                "/spec/timeZone",
                json!(""),
                "spec.timeZone: Invalid value: \"\": timeZone must be nil or non-empty string",
            ),
            (
                "/spec/timeZone",
                json!("Local"),
                "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones",
            ),
            (
                "/spec/timeZone",
                json!("A/../B"),
                "spec.timeZone: Invalid value: \"A/../B\": unknown time zone A/../B",
            ),
            (
                "/spec/concurrencyPolicy",
                json!("Maybe"),
                "spec.concurrencyPolicy: Unsupported value: \"Maybe\"",
            ),
            (
                "/spec/successfulJobsHistoryLimit",
                json!(-1),
                "spec.successfulJobsHistoryLimit: Invalid value: -1",
            ),
            (
                "/spec/jobTemplate/spec/selector",
                json!({"matchLabels": {"a": "b"}}),
                "spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated",
            ),
            (
                "/spec/jobTemplate/spec/template/spec/restartPolicy",
                json!("Always"),
                "spec.jobTemplate.spec.template.spec.restartPolicy: Required value",
            ),
            ("/metadata/name", json!("a".repeat(53)), "must be no more than 52 bytes"),
        ],
    );
}
