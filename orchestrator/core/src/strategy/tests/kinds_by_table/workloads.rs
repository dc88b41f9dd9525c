//! What keeps pods running.

use super::*;

#[test]
fn stateful_sets() {
    refused(
        "StatefulSet",
        &[
            ("/spec/selector", json!(null), "spec.selector: Required value"),
            (
                "/spec/selector",
                json!({}),
                "spec.selector: Invalid value: {}: empty selector is invalid for statefulset",
            ),
            (
                "/spec/selector/matchLabels",
                json!({"app": "x"}),
                "`selector` does not match template `labels`",
            ),
            (
                "/spec/replicas",
                json!(-1),
                "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/ordinals",
                json!({"start": -1}),
                "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/updateStrategy",
                json!({"type": "OnDelete", "rollingUpdate": {"partition": 1}}),
                "spec.updateStrategy.rollingUpdate: Invalid value: {\"partition\":1}: only allowed for updateStrategy 'RollingUpdate'",
            ),
            (
                "/spec/updateStrategy",
                json!({"rollingUpdate": {"partition": -1}}),
                "spec.updateStrategy.rollingUpdate.partition: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/updateStrategy",
                json!({"rollingUpdate": {"maxUnavailable": 0}}),
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0",
            ),
            (
                "/spec/template/spec/restartPolicy",
                json!("Never"),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
            ),
            (
                "/spec/template/spec/activeDeadlineSeconds",
                json!(5),
                "activeDeadlineSeconds in StatefulSet is not Supported",
            ),
        ],
    );
    let forbidden = "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                     'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                     'minReadySeconds' are forbidden";
    unchangeable(
        "StatefulSet",
        &[
            ("/spec/serviceName", json!("other"), forbidden),
            ("/spec/podManagementPolicy", json!("Parallel"), forbidden),
        ],
    );
    let claims = json!([{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}]);
    let mounted = with(
        minimal("StatefulSet"),
        "/spec/template/spec/containers/0/volumeMounts",
        json!([{"name": "data", "mountPath": "/d"}]),
    );
    assert!(create(mounted.clone()).unwrap_err().contains("volumeMounts[0].name: Not found: \"data\""));
    assert!(create(with(mounted, "/spec/volumeClaimTemplates", claims)).is_ok());
}

#[test]
fn daemon_sets() {
    let rolling = |unavailable: Value, surge: Value| json!({"rollingUpdate": {"maxUnavailable": unavailable, "maxSurge": surge}});
    const PATH: &str = "spec.updateStrategy.rollingUpdate";
    refused(
        "DaemonSet",
        &[
            (
                "/spec/updateStrategy",
                rolling(json!(1), json!(1)),
                &format!("{PATH}.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"),
            ),
            (
                "/spec/updateStrategy",
                rolling(json!(0), json!(0)),
                &format!("{PATH}.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"),
            ),
            (
                "/spec/updateStrategy",
                rolling(json!("200%"), json!(0)),
                &format!("{PATH}.maxUnavailable: Invalid value: \"200%\": must not be greater than 100%"),
            ),
            (
                "/spec/updateStrategy",
                rolling(json!("x"), json!(0)),
                "a valid percent string must be a numeric string followed by an ending '%'",
            ),
            ("/spec/selector", json!({}), "empty selector is invalid for daemonset"),
            ("/spec/minReadySeconds", json!(-1), "spec.minReadySeconds: Invalid value: -1"),
            (
                "/spec/template/spec/restartPolicy",
                json!("OnFailure"),
                "spec.template.spec.restartPolicy: Unsupported value: \"OnFailure\"",
            ),
            ("/spec/template/spec/containers", json!([]), "spec.template.spec.containers: Required value"),
        ],
    );
    unchangeable(
        "DaemonSet",
        &[(
            "/spec/selector/matchLabels",
            json!({"app": "tester", "more": "x"}),
            "spec.selector: Invalid value",
        )],
    );
}

#[test]
fn replication_controllers() {
    refused(
        "ReplicationController",
        &[
            (
                "/spec/selector",
                json!({"app": "x"}),
                "spec.template.metadata.labels: Invalid value: {\"app\":\"tester\"}: `selector` does not match template `labels`",
            ),
            ("/spec/template", json!(null), "spec.template: Required value"),
            (
                "/spec/replicas",
                json!(-2),
                "spec.replicas: Invalid value: -2: must be greater than or equal to 0",
            ),
            (
                "/spec/template/spec/restartPolicy",
                json!("Never"),
                "spec.template.spec.restartPolicy: Unsupported value: \"Never\"",
            ),
        ],
    );
    assert_eq!(
        create(with(minimal("ReplicationController"), "/spec/selector", json!(null))).unwrap()["spec"]["selector"],
        json!({"app": "tester"})
    );
}

#[test]
fn autoscalers() {
    let resource =
        |target: Value| json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
    refused(
        "HorizontalPodAutoscaler",
        &[
            (
                "/spec/minReplicas",
                json!(0),
                "spec.minReplicas: Invalid value: 0: must be greater than or equal to 1",
            ),
            ("/spec/maxReplicas", json!(0), "spec.maxReplicas: Invalid value: 0: must be greater than 0"),
            (
                "/spec/minReplicas",
                json!(4),
                "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`",
            ),
            ("/spec/scaleTargetRef/name", json!(""), "spec.scaleTargetRef.name: Required value"),
            (
                "/spec/scaleTargetRef/kind",
                json!("a/b"),
                "spec.scaleTargetRef.kind: Invalid value: \"a/b\": may not contain '/'",
            ),
            (
                "/spec/metrics",
                json!([{"type": "Resource"}]),
                "spec.metrics[0].resource: Required value: must populate information for the given metric source",
            ),
            (
                "/spec/metrics",
                resource(json!({"type": "Utilization"})),
                "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
            ),
            (
                "/spec/metrics",
                resource(json!({"type": "Utilization", "averageUtilization": 0})),
                "spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0",
            ),
            (
                "/spec/metrics",
                resource(json!({"type": "AverageValue", "averageValue": "0"})),
                "spec.metrics[0].resource.target.averageValue: Invalid value: \"0\": must be positive",
            ),
            (
                "/spec/behavior",
                json!({"scaleUp": {"stabilizationWindowSeconds": 4000}}),
                "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600",
            ),
            (
                "/spec/behavior",
                json!({"scaleDown": {"policies": [{"type": "Pods", "value": 0, "periodSeconds": 5}]}}),
                "spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero",
            ),
        ],
    );
    let behaved = create(with(
        minimal("HorizontalPodAutoscaler"),
        "/spec/behavior",
        json!({"scaleUp": {"selectPolicy": "Min"}}),
    ))
    .unwrap();
    let percent = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
    assert_eq!(
        behaved["spec"]["behavior"],
        json!({
            "scaleUp": {"selectPolicy": "Min", "stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}, percent]},
            "scaleDown": {"selectPolicy": "Max", "policies": [percent]},
        })
    );
}

#[test]
fn budgets() {
    refused(
        "PodDisruptionBudget",
        &[
            ("/spec/maxUnavailable", json!(1), "minAvailable and maxUnavailable cannot be both set"),
            (
                "/spec/minAvailable",
                json!(-1),
                "spec.minAvailable: Invalid value: -1: must be greater than or equal to 0",
            ),
            (
                "/spec/minAvailable",
                json!("101%"),
                "spec.minAvailable: Invalid value: \"101%\": must not be greater than 100%",
            ),
            (
                "/spec/minAvailable",
                json!("many"),
                "spec.minAvailable: Invalid value: \"many\": a valid percent string must be",
            ),
            (
                "/spec/selector",
                json!({"matchLabels": {"a": "b c"}}),
                "spec.selector.matchLabels: Invalid value: \"b c\"",
            ),
        ],
    );
}
