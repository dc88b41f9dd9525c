//! Statuses as programs write them, and what Kubernetes says about them.

use super::*;
use serde_json::json;

type Check = fn(&Value, &Value, &mut Errors);

fn said(check: Check, new: &Value, old: &Value) -> Vec<String> {
    let mut errors = Errors::new();
    check(new, old, &mut errors);
    errors.iter().map(ToString::to_string).collect()
}

/// What is said of each status where there was none before.
fn table(check: Check, rows: &[(Value, &[&str])]) {
    for (status, expected) in rows {
        let (new, old) = (json!({ "status": status }), json!({}));
        assert_eq!(said(check, &new, &old), *expected, "{status}");
    }
}

#[test]
fn counts_are_of_what_is_there() {
    let all = "cannot be greater than status.replicas";
    table(
        deployment,
        &[
            (json!({"replicas": 2, "readyReplicas": 2, "availableReplicas": 1, "updatedReplicas": 2}), &[]),
            (
                json!({"updatedReplicas": -1}),
                &["status.updatedReplicas: Invalid value: -1: must be greater than or equal to 0"],
            ),
            (json!({"readyReplicas": 2}), &[&format!("status.readyReplicas: Invalid value: 2: {all}")]),
            (
                json!({"replicas": 2, "availableReplicas": 1}),
                &["status.availableReplicas: Invalid value: 1: cannot be greater than readyReplicas"],
            ),
        ],
    );
    table(
        replica_set,
        &[
            (
                json!({"replicas": 1, "fullyLabeledReplicas": 2}),
                &[&format!("status.fullyLabeledReplicas: Invalid value: 2: {all}")],
            ),
            (
                json!({"observedGeneration": -3}),
                &["status.observedGeneration: Invalid value: -3: must be greater than or equal to 0"],
            ),
        ],
    );
    table(
        stateful_set,
        &[
            (json!({"currentReplicas": 1}), &[&format!("status.currentReplicas: Invalid value: 1: {all}")]),
            (
                json!({"replicas": 1, "availableReplicas": 1}),
                &["status.availableReplicas: Invalid value: 1: cannot be greater than status.readyReplicas"],
            ),
        ],
    );
    table(
        daemon_set,
        &[(
            json!({"numberReady": -1}),
            &["status.numberReady: Invalid value: -1: must be greater than or equal to 0"],
        )],
    );
    table(
        autoscaler,
        &[(
            json!({"desiredReplicas": -1}),
            &["status.desiredReplicas: Invalid value: -1: must be greater than or equal to 0"],
        )],
    );
    for check in [deployment, stateful_set, daemon_set] {
        let (new, old) = (json!({"status": {}}), json!({"status": {"collisionCount": 2}}));
        assert_eq!(
            said(check, &new, &old),
            ["status.collisionCount: Invalid value: 0: cannot be decremented"]
        );
        assert_eq!(said(check, &old, &new), [""; 0]);
    }
}

#[test]
fn conditions_are_complete() {
    let whole = json!({"type": "A", "status": "True", "reason": "Because", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    table(
        budget,
        &[
            (json!({"conditions": [whole]}), &[]),
            (json!({"conditions": [whole, whole]}), &["status.conditions[1].type: Duplicate value: \"A\""]),
            (
                json!({"expectedPods": -1}),
                &["status.expectedPods: Invalid value: -1: must be greater than or equal to 0"],
            ),
            (
                json!({"conditions": [{"type": "A", "status": "Yes", "observedGeneration": -1}]}),
                &[
                    "status.conditions[0].status: Unsupported value: \"Yes\": supported values: \"False\", \"True\", \"Unknown\"",
                    "status.conditions[0].observedGeneration: Invalid value: -1: must be greater than or equal to zero",
                    "status.conditions[0].lastTransitionTime: Required value: must be set",
                    "status.conditions[0].reason: Required value: must be set",
                ],
            ),
        ],
    );
    let mut odd = whole.clone();
    odd["reason"] = "no spaces".into();
    let complaint = said(budget, &json!({"status": {"conditions": [odd]}}), &json!({})).remove(0);
    assert!(
        complaint.starts_with(
            "status.conditions[0].reason: Invalid value: \"no spaces\": a condition reason must"
        )
    );
    table(
        policy,
        &[(
            json!({"typeChecking": {"expressionWarnings": [{"fieldRef": "spec"}]}}),
            &["status.typeChecking.expressionWarnings[0].warning: Required value"],
        )],
    );
    table(
        conditions::flow_control,
        &[
            (json!({"conditions": [{"type": "A"}, {"type": "B"}]}), &[]),
            (
                json!({"conditions": [{"type": "A"}, {"type": "A"}, {}]}),
                &[
                    "status.conditions[1].type: Duplicate value: \"A\"",
                    "status.conditions[2].type: Required value: must not be empty",
                ],
            ),
        ],
    );
    table(
        conditions::api_service,
        &[(
            json!({"conditions": [{"type": "Available", "status": "maybe"}]}),
            &[
                "status.conditions[0].status: Unsupported value: \"maybe\": supported values: \"True\", \"False\", \"Unknown\"",
            ],
        )],
    );
}

#[test]
fn addresses_are_addresses_and_names_are_names() {
    let point = |point: Value| json!({"spec": {"type": "LoadBalancer"}, "status": {"loadBalancer": {"ingress": [point]}}});
    let at = "status.loadBalancer.ingress[0]";
    let bad_ip = format!(
        "{at}.ip: Invalid value: \"10.0.0\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    );
    for (given, expected) in [
        (json!({"ip": "10.0.0.1", "ipMode": "VIP"}), vec![]),
        (json!({"hostname": "web.example.com"}), vec![]),
        (json!({"ip": "10.0.0", "ipMode": "VIP"}), vec![bad_ip.clone()]),
        (
            json!({"ip": "10.0.0.1"}),
            vec![format!("{at}.ipMode: Required value: must be specified when `ip` is set")],
        ),
        (
            json!({"hostname": "web", "ipMode": "VIP"}),
            vec![format!("{at}.ipMode: Forbidden: may not be specified when `ip` is not set")],
        ),
        (
            json!({"hostname": "10.0.0.1"}),
            vec![format!(
                "{at}.hostname: Invalid value: \"10.0.0.1\": must be a DNS name, not an IP address"
            )],
        ),
    ] {
        assert_eq!(said(service, &point(given.clone()), &json!({})), expected, "{given}");
    }
    let wrong = point(json!({"ip": "10.0.0"}));
    assert_eq!(said(ingress, &wrong, &json!({})), [bad_ip]);
    assert_eq!(said(ingress, &wrong, &wrong), [""; 0], "what was there stays");
    let mut inside = point(json!({"ip": "10.0.0.1"}));
    inside["spec"]["type"] = "ClusterIP".into();
    assert_eq!(
        said(service, &inside, &json!({})),
        ["status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"]
    );
}

#[test]
fn what_a_node_a_claim_and_a_namespace_say() {
    let node: Check = |new, _, errors| super::node(new, errors);
    table(
        node,
        &[
            (json!({"capacity": {"cpu": "500m", "pods": "10", "example.com/chip": "1"}}), &[]),
            (
                json!({"capacity": {"cpu": "-1"}, "allocatable": {"example.com/chip": "500m"}}),
                &[
                    "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
                    "status.allocatable.example.com/chip: Invalid value: \"500m\": must be an integer",
                ],
            ),
            (
                json!({"addresses": [{"type": "InternalIP", "address": "1"}, {"type": "InternalIP", "address": "1"}]}),
                &["status.addresses[1]: Duplicate value: {\"address\":\"1\",\"type\":\"InternalIP\"}"],
            ),
        ],
    );
    table(
        claim,
        &[
            (
                json!({"capacity": {"storage": "1Gi"}, "allocatedResourceStatuses": {"storage": "NodeResizePending"}}),
                &[],
            ),
            (
                json!({"capacity": {"storage": "-1Gi"}}),
                &["status.capacity[storage]: Invalid value: -1073741824: must be a valid resource quantity"],
            ),
            (
                json!({"allocatedResources": {"cpu": "1"}}),
                &["status.allocatedResources: Unsupported value: \"cpu\": supported values: \"storage\""],
            ),
        ],
    );
    table(
        namespace,
        &[
            (json!({"phase": "Active"}), &[]),
            (
                json!({"phase": "Terminating"}),
                &[
                    "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty",
                ],
            ),
        ],
    );
}

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
