//! What has ended stays ended: Jobs, and the containers of pods.

use super::*;

/// A Job that has ended well.
fn done() -> Value {
    let conditions = ["SuccessCriteriaMet", "Complete"].map(|type_| json!({"type": type_, "status": "True"}));
    json!({"spec": {}, "status": {"conditions": conditions, "succeeded": 1,
        "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z"}})
}

#[test]
fn a_job_ends_once() {
    let (running, ended) =
        (json!({"spec": {}, "status": {"startTime": "2026-01-01T00:00:00Z", "active": 1}}), done());
    assert_eq!(said(job, &ended, &running), [""; 0]);
    assert_eq!(
        said(job, &running, &ended),
        [
            "status.conditions: Invalid value: cannot disable the terminal Complete=True condition",
            "status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition",
            "status.succeeded: Invalid value: 0: cannot decrease the succeeded counter",
        ]
    );
    for (pointer, value, expected) in [
        ("/status/active", json!(1), "status.active: Invalid value: 1: active>0 is invalid for finished job"),
        (
            "/status/startTime",
            Value::Null,
            "status.startTime: Required value: startTime cannot be removed for unsuspended job",
        ),
        (
            "/status/completionTime",
            Value::Null,
            "status.completionTime: Required value: completionTime is required for Complete jobs",
        ),
        (
            "/status/completionTime",
            json!("2025-01-01T00:00:00Z"),
            "status.completionTime: Invalid value: \"2025-01-01T00:00:00Z\": completionTime cannot be set before startTime",
        ),
        (
            "/status/conditions",
            json!([{"type": "Complete", "status": "True"}]),
            "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
        ),
        (
            "/status/conditions/0/type",
            json!("Failed"),
            "status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions",
        ),
        (
            "/status/uncountedTerminatedPods",
            json!({"failed": ["u", "u"]}),
            "status.uncountedTerminatedPods.failed[1]: Duplicate value: \"u\"",
        ),
        ("/status/ready", json!(1), "status.ready: Invalid value: 1: cannot set more ready pods than active"),
    ] {
        let mut new = done();
        match new.pointer_mut(pointer) {
            Some(slot) => *slot = value,
            None => new["status"][pointer.rsplit('/').next().unwrap()] = value,
        }
        let complaints = said(job, &new, &running);
        assert!(complaints.iter().any(|complaint| complaint == expected), "{pointer}: {complaints:?}");
    }
}

#[test]
fn indexes_of_a_job_are_in_order_and_apart() {
    let indexed = |completed: &str, failed: &str| {
        json!({"spec": {"completionMode": "Indexed", "completions": 10, "backoffLimitPerIndex": 1},
            "status": {"completedIndexes": completed, "failedIndexes": failed}})
    };
    for (completed, failed, expected) in [
        ("0,3-5", "1,7-9", vec![]),
        (
            "3,1",
            "",
            vec![
                "status.completedIndexes: Invalid value: \"3,1\": error parsing completedIndexes: non-increasing order, previous: 3, current: 1",
            ],
        ),
        (
            "1-2-3",
            "",
            vec![
                "status.completedIndexes: Invalid value: \"1-2-3\": error parsing completedIndexes: the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'",
            ],
        ),
        (
            "",
            "x",
            vec![
                "status.failedIndexes: Invalid value: \"x\": error parsing failedIndexes: cannot convert string to integer for index: \"x\"",
            ],
        ),
        (
            "10",
            "",
            vec![
                "status.completedIndexes: Invalid value: \"10\": error parsing completedIndexes: too large index: \"10\"",
            ],
        ),
        (
            "0-4",
            "6,3-4",
            vec![
                "status.failedIndexes: Invalid value: \"6,3-4\": error parsing failedIndexes: non-increasing order, previous: 6, current: 3",
            ],
        ),
        (
            "0-1,4-6",
            "3,5",
            vec![
                "status.failedIndexes: Invalid value: \"3,5\": failedIndexes and completedIndexes overlap at index: 5",
            ],
        ),
    ] {
        assert_eq!(said(job, &indexed(completed, failed), &json!({})), expected, "{completed} {failed}");
    }
    let plain = json!({"spec": {"completions": 2}, "status": {"completedIndexes": "0"}});
    assert_eq!(
        said(job, &plain, &json!({})),
        [
            "status.completedIndexes: Invalid value: \"0\": cannot set non-empty completedIndexes when non-indexed completion mode"
        ]
    );
    assert_eq!(said(job, &plain, &plain), [""; 0], "what was wrong before and stays is not complained of");
}

#[test]
fn a_container_that_has_ended_for_good_stays_ended() {
    let with = |policy: &str, state: Value| json!({"spec": {"restartPolicy": policy, "nodeName": "n"}, "status": {"containerStatuses": [{"name": "a", "state": state}]}});
    let ended = |policy: &str, code: i64| with(policy, json!({"terminated": {"exitCode": code}}));
    let refusal =
        "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state";
    for (policy, code, refused) in
        [("Always", 0, false), ("OnFailure", 1, false), ("OnFailure", 0, true), ("Never", 1, true)]
    {
        let running = with(policy, json!({"running": {}}));
        let expected = if refused { vec![refusal] } else { vec![] };
        assert_eq!(said(pod, &running, &ended(policy, code)), expected, "{policy} {code}");
    }
    let old = json!({"spec": {"nodeName": "n"}, "status": {"qosClass": "Burstable"}});
    for (status, expected) in [
        (json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}), vec![]),
        (
            json!({"podIPs": [{"ip": "x"}]}),
            vec![
                "status.podIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ],
        ),
        (
            json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}),
            vec![
                "status.podIPs: Invalid value: [{\"ip\":\"10.0.0.1\"},{\"ip\":\"10.0.0.2\"}]: may specify no more than one IP for each IP family",
            ],
        ),
        (
            json!({"hostIP": "10.0.0.1", "hostIPs": [{"ip": "10.0.0.2"}]}),
            vec!["status.hostIPs[0].ip: Invalid value: \"10.0.0.2\": must be equal to `hostIP`"],
        ),
        (
            json!({"qosClass": "Guaranteed"}),
            vec!["status.qosClass: Invalid value: \"Guaranteed\": field is immutable"],
        ),
        (
            json!({"nominatedNodeName": "m"}),
            vec![
                "status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node",
            ],
        ),
        (json!({"conditions": [{"type": "Ready"}, {"type": "example.com/warm"}]}), vec![]),
        (
            json!({"observedGeneration": -1}),
            vec!["status.observedGeneration: Invalid value: -1: must be a non-negative integer"],
        ),
        (
            json!({"resourceClaimStatuses": [{"name": "chip"}]}),
            vec![
                "status.resourceClaimStatuses[0].name: Invalid value: \"chip\": must match the name of an entry in `spec.resourceClaims`",
            ],
        ),
        (
            json!({"containerStatuses": [{"name": "a", "user": {"linux": {"uid": -1, "gid": 0}}}]}),
            vec![
                "status.containerStatuses[0].user.linux.uid: Invalid value: -1: must be between 0 and 2147483647, inclusive",
            ],
        ),
    ] {
        let mut new = json!({"spec": {"nodeName": "n"}, "status": status});
        if new["status"]["qosClass"].is_null() {
            new["status"]["qosClass"] = "Burstable".into();
        }
        assert_eq!(said(pod, &new, &old), expected, "{status}");
    }
}
