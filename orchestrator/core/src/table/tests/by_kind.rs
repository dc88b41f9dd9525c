//! Rows of the kinds that are mostly stored, as `kubectl get -o wide` prints them.

use super::*;

/// The cells of an object, without its name and its age.
fn row(api_version: &str, kind: &str, object: Value) -> Value {
    let row = kinds::of_object(api_version, kind).unwrap();
    let mut object = object;
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object["metadata"]["name"] = "x".into();
    object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z".into();
    let cells = cells(row, &Subject::tree(&object), now());
    let shown = row.columns.iter().zip(cells).filter(|(column, _)| !matches!(&*column.name, "Name" | "Age"));
    shown.map(|(_, cell)| cell).collect::<Vec<_>>().into()
}

#[test]
fn volumes_and_claims() {
    let volume = json!({"spec": {"capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteMany", "ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain", "storageClassName": "fast", "volumeMode": "Block",
        "claimRef": {"namespace": "d", "name": "data"}}, "status": {"phase": "Bound"}});
    assert_eq!(
        row("v1", "PersistentVolume", volume),
        json!(["5Gi", "RWO,RWX", "Retain", "Bound", "d/data", "fast", "<unset>", "", "Block"])
    );
    let claim = json!({"spec": {"volumeName": "v", "storageClassName": "fast"},
        "status": {"phase": "Bound", "capacity": {"storage": "5Gi"}, "accessModes": ["ReadWriteOncePod"]}});
    assert_eq!(
        row("v1", "PersistentVolumeClaim", claim),
        json!(["Bound", "v", "5Gi", "RWOP", "fast", "<unset>", "<unset>"])
    );
    let pending = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}, "status": {"phase": "Pending"}});
    assert_eq!(row("v1", "PersistentVolumeClaim", pending)[0], "Terminating");
}

#[test]
fn classes() {
    let mut class = json!({"metadata": {"name": "fast", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        "provisioner": "p.io/x", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"});
    let kind = kinds::lookup("storage.k8s.io", "storageclasses").unwrap();
    assert_eq!(
        cells(kind, &Subject::tree(&class), now())[..5],
        ["fast (default)", "p.io/x", "Delete", "Immediate"]
            .map(Value::from)
            .into_iter()
            .chain([json!(false)])
            .collect::<Vec<_>>()[..]
    );
    class["metadata"]["annotations"] = Value::Null;
    assert_eq!(cells(kind, &Subject::tree(&class), now())[0], "fast");
    assert_eq!(
        row("scheduling.k8s.io/v1", "PriorityClass", json!({"value": 7, "preemptionPolicy": "Never"})),
        json!([7, false, "Never"])
    );
    assert_eq!(row("node.k8s.io/v1", "RuntimeClass", json!({"handler": "wasm"})), json!(["wasm"]));
    let driver =
        json!({"spec": {"attachRequired": true, "volumeLifecycleModes": ["Persistent", "Ephemeral"]}});
    assert_eq!(
        row("storage.k8s.io/v1", "CSIDriver", driver),
        json!([true, false, false, "<unset>", false, "Persistent,Ephemeral"])
    );
}

#[test]
fn jobs_and_cron_jobs() {
    let template = json!({"spec": {"containers": [{"name": "c", "image": "i"}]}});
    let job = |spec: Value, status: Value| {
        let mut spec = spec;
        spec["template"] = template.clone();
        row("batch/v1", "Job", json!({"spec": spec, "status": status}))
    };
    let done = json!({"succeeded": 3, "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:05:30Z",
        "conditions": [{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]});
    let selector = json!({"matchLabels": {"a": "b"}});
    assert_eq!(
        job(json!({"completions": 3, "selector": selector}), done),
        json!(["Complete", "3/3", "5m30s", "c", "i", "a=b"])
    );
    let running = json!({"startTime": "2026-01-01T00:59:00Z"});
    assert_eq!(
        job(json!({"parallelism": 4}), running),
        json!(["Running", "0/1 of 4", "60s", "c", "i", "<none>"])
    );
    let suspended = json!({"conditions": [{"type": "Suspended", "status": "True"}]});
    assert_eq!(
        job(json!({"parallelism": 1}), suspended),
        json!(["Suspended", "0/1", "", "c", "i", "<none>"])
    );
    let cron = json!({"spec": {"schedule": "@daily", "suspend": false, "jobTemplate": {"spec": {"template": template}}},
        "status": {"active": [{}], "lastScheduleTime": "2026-01-01T00:58:00Z"}});
    assert_eq!(
        row("batch/v1", "CronJob", cron),
        json!(["@daily", "<none>", "False", 1, "2m", "c", "i", "<none>"])
    );
}

#[test]
fn workloads() {
    let template =
        json!({"spec": {"nodeSelector": {"arch": "x"}, "containers": [{"name": "c", "image": "i"}]}});
    let set = json!({"spec": {"replicas": 2, "template": template}, "status": {"readyReplicas": 1}});
    assert_eq!(row("apps/v1", "StatefulSet", set), json!(["1/2", "c", "i"]));
    let set = json!({"spec": {"template": template, "selector": {"matchLabels": {"a": "b"}}},
        "status": {"desiredNumberScheduled": 3, "currentNumberScheduled": 2, "numberReady": 1}});
    assert_eq!(row("apps/v1", "DaemonSet", set), json!([3, 2, 1, 0, 0, "arch=x", "c", "i", "a=b"]));
    let controller = json!({"spec": {"replicas": 1, "selector": {"a": "b"}, "template": template}});
    assert_eq!(row("v1", "ReplicationController", controller), json!([1, 0, 0, "c", "i", "a=b"]));
    let revision = json!({"revision": 3, "metadata": {"ownerReferences": [
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "controller": true}]}});
    assert_eq!(row("apps/v1", "ControllerRevision", revision), json!(["statefulset.apps/web", 3]));
    let budget = json!({"spec": {"minAvailable": "50%"}, "status": {"disruptionsAllowed": 2}});
    assert_eq!(row("policy/v1", "PodDisruptionBudget", budget), json!(["50%", "N/A", 2]));
}

#[test]
fn autoscalers_of_both_versions() {
    let cpu = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}});
    let pods = json!({"type": "Pods", "pods": {"metric": {"name": "r"}, "target": {"type": "AverageValue", "averageValue": "5"}}});
    let external = json!({"type": "External", "external": {"metric": {"name": "q"}, "target": {"type": "Value", "value": "30"}}});
    let current =
        json!([{"type": "Resource", "resource": {"name": "cpu", "current": {"averageUtilization": 12}}}]);
    let reference = json!({"kind": "Deployment", "name": "web"});
    let spec = json!({"scaleTargetRef": reference, "minReplicas": 1, "maxReplicas": 4, "metrics": [cpu, pods, external]});
    assert_eq!(
        row(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            json!({"spec": spec, "status": {"currentReplicas": 2, "currentMetrics": current}})
        ),
        json!(["Deployment/web", "cpu: 12%/80%, <unknown>/5 + 1 more...", "1", 4, 2])
    );
    let older = json!({"scaleTargetRef": reference, "maxReplicas": 4, "minReplicas": 1, "targetCPUUtilizationPercentage": 70});
    assert_eq!(
        row("autoscaling/v1", "HorizontalPodAutoscaler", json!({"spec": older, "status": {}})),
        json!(["Deployment/web", "cpu: <unknown>/70%", "1", 4, 0])
    );
}

#[test]
fn networks() {
    let rule = |host: &str| json!({"host": host});
    let ingress = json!({"spec": {"ingressClassName": "nginx", "tls": [{}], "rules": [rule("a"), rule("b"), rule("c"), rule("d")]},
        "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}, {"hostname": "h"}]}}});
    assert_eq!(
        row("networking.k8s.io/v1", "Ingress", ingress),
        json!(["nginx", "a,b,c + 1 more...", "1.2.3.4,h", "80, 443"])
    );
    assert_eq!(row("networking.k8s.io/v1", "Ingress", json!({"spec": {}})), json!(["<none>", "*", "", "80"]));
    let class = json!({"spec": {"controller": "e.io/c", "parameters": {"apiGroup": "k8s.e.io", "kind": "P", "name": "n"}}});
    assert_eq!(row("networking.k8s.io/v1", "IngressClass", class), json!(["e.io/c", "P.k8s.e.io/n"]));
    assert_eq!(
        row("networking.k8s.io/v1", "NetworkPolicy", json!({"spec": {"podSelector": {}}})),
        json!(["<none>"])
    );
    let address = json!({"spec": {"parentRef": {"resource": "services", "namespace": "d", "name": "web"}}});
    assert_eq!(row("networking.k8s.io/v1", "IPAddress", address), json!(["services/d/web"]));
}

#[test]
fn limits_roles_and_policies() {
    let quota =
        json!({"status": {"hard": {"pods": "10", "limits.cpu": "4", "cpu": "2"}, "used": {"pods": "3"}}});
    assert_eq!(row("v1", "ResourceQuota", quota), json!(["cpu: 0/2, pods: 3/10", "limits.cpu: 0/4"]));
    assert_eq!(row("v1", "LimitRange", json!({})), json!(["2026-01-01T00:00:00Z"]));
    let binding = json!({"roleRef": {"kind": "ClusterRole", "name": "view"}, "subjects": [{"kind": "User", "name": "jane"},
        {"kind": "User", "name": "joe"}, {"kind": "ServiceAccount", "namespace": "d", "name": "robot"}]});
    assert_eq!(
        row("rbac.authorization.k8s.io/v1", "RoleBinding", binding),
        json!(["ClusterRole/view", "jane, joe", "", "d/robot"])
    );
    let policy =
        json!({"spec": {"validations": [{}, {}], "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}}});
    assert_eq!(
        row("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", policy),
        json!([2, "v1/ConfigMap"])
    );
    let bound = json!({"spec": {"policyName": "p", "paramRef": {"namespace": "d", "name": "c"}}});
    assert_eq!(
        row("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding", bound),
        json!(["p", "d/c"])
    );
    let level = json!({"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 30, "limitResponse": {"type": "Reject"}}}});
    let shown = row("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration", level);
    assert_eq!(shown, json!(["Limited", 30, "<none>", "<none>", "<none>"]));
    let service = json!({"spec": {"service": {"namespace": "d", "name": "s"}}, "status": {"conditions": [
        {"type": "Available", "status": "False", "reason": "NotPassedOn"}]}});
    assert_eq!(
        row("apiregistration.k8s.io/v1", "APIService", service),
        json!(["d/s", "False (NotPassedOn)"])
    );
}
