//! Defaulted objects against what Kubernetes returns for the same input.

use super::*;
use crate::schema::normalize::normalize;
use crate::schema::{kinds, lookup_kind};

fn defaulted(kind: &str, api_version: &str, mut object: Value) -> Value {
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    normalize(lookup_kind(api_version, kind).unwrap(), &mut object);
    apply_defaults(kind, api_version, &mut object);
    object
}

#[test]
fn a_pod_gets_everything_that_kubernetes_fills_in() {
    let pod = json!({"spec": {
        "containers": [{
            "name": "a", "image": "hello", "ports": [{"containerPort": 80}],
            "resources": {"limits": {"memory": "64Mi"}},
            "readinessProbe": {"httpGet": {"port": 80}},
            "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}],
        }],
        "volumes": [{"name": "c", "configMap": {"name": "x"}}, {"name": "e"}],
    }});
    let spec = defaulted("Pod", "v1", pod)["spec"].take();
    assert_eq!(
        spec,
        json!({
            "containers": [{
                "name": "a", "image": "hello", "imagePullPolicy": "Always",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}},
                "readinessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "timeoutSeconds": 1,
                    "periodSeconds": 10, "successThreshold": 1, "failureThreshold": 3},
                "env": [{"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}],
                "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File",
            }],
            "volumes": [
                {"name": "c", "configMap": {"name": "x", "defaultMode": 420}}, {"name": "e", "emptyDir": {}},
            ],
            "dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "securityContext": {}, "terminationGracePeriodSeconds": 30, "enableServiceLinks": true,
        })
    );
}

#[test]
fn the_pull_policy_follows_the_tag() {
    for (image, policy) in [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("host:5000/a", "Always"),
        ("host:5000/a:1", "IfNotPresent"),
        ("a@sha256:00", "IfNotPresent"),
    ] {
        let pod = json!({"spec": {"containers": [{"name": "a", "image": image}]}});
        assert_eq!(
            defaulted("Pod", "v1", pod)["spec"]["containers"][0]["imagePullPolicy"],
            policy,
            "{image}"
        );
    }
}

#[test]
fn a_deployment_rolls_by_a_quarter() {
    let spec = defaulted("Deployment", "apps/v1", json!({"spec": {"replicas": 0}}))["spec"].take();
    assert_eq!(spec["replicas"], 0);
    assert_eq!(
        spec["strategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}})
    );
    assert_eq!((&spec["revisionHistoryLimit"], &spec["progressDeadlineSeconds"]), (&json!(10), &json!(600)));
    assert!(spec["template"]["spec"].get("enableServiceLinks").is_none());
    let recreate = json!({"spec": {"strategy": {"type": "Recreate"}}});
    assert_eq!(defaulted("Deployment", "apps/v1", recreate)["spec"]["strategy"], json!({"type": "Recreate"}));
}

#[test]
fn a_service_gets_ports_and_policies() {
    let service =
        json!({"spec": {"ports": [{"port": 80}, {"port": 81, "targetPort": "web", "protocol": "UDP"}]}});
    assert_eq!(
        defaulted("Service", "v1", service)["spec"],
        json!({"type": "ClusterIP", "sessionAffinity": "None", "internalTrafficPolicy": "Cluster", "ports": [
            {"port": 80, "targetPort": 80, "protocol": "TCP"},
            {"port": 81, "targetPort": "web", "protocol": "UDP"},
        ]})
    );
}

#[test]
fn a_secrets_plain_text_becomes_data() {
    let secret = json!({"data": {"a": "AQI=", "b": "AQI="}, "stringData": {"a": "hi"}});
    let secret = defaulted("Secret", "v1", secret);
    assert_eq!(secret["data"], json!({"a": "aGk=", "b": "AQI="}));
    assert_eq!(secret["type"], "Opaque");
    assert!(secret.get("stringData").is_none());
}

#[test]
fn defaulting_is_stable_and_stays_in_normal_form() {
    for (api_version, kind) in kinds() {
        let once = defaulted(kind, api_version, json!({}));
        let mut again = once.clone();
        normalize(lookup_kind(api_version, kind).unwrap(), &mut again);
        apply_defaults(kind, api_version, &mut again);
        assert_eq!(again, once, "{api_version} {kind}");
    }
}

#[test]
fn the_address_of_a_load_balancer_is_one_of_its_own() {
    let service = |type_: &str| {
        let points = json!([{"ip": "10.0.0.1"}, {"hostname": "lb.example.com"}]);
        let service = json!({"spec": {"type": type_}, "status": {"loadBalancer": {"ingress": points}}});
        defaulted("Service", "v1", service)["status"]["loadBalancer"]["ingress"].take()
    };
    let expected = json!([{"ip": "10.0.0.1", "ipMode": "VIP"}, {"hostname": "lb.example.com"}]);
    assert_eq!(service("LoadBalancer"), expected);
    assert_eq!(service("ClusterIP")[0], json!({"ip": "10.0.0.1"}));
}
