//! Statuses as programs write them, and what Kubernetes says about them.

use super::*;
use serde_json::json;

mod life;

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
