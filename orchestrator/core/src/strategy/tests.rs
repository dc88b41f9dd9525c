//! Objects as clients send them, through the whole pure path, compared with what Kubernetes says about them.

use super::*;
use crate::schema;
use peapod_api::kinds;
use serde_json::json;

fn stamp() -> Stamp {
    Stamp { now: Timestamp::from_second(1000).unwrap(), uid: "u-1".into(), seed: 7 }
}

/// Decoded, normalised and defaulted as the front door does it.
fn read(object: Value) -> (&'static Kind, Value) {
    let (api_version, name) = (text(&object["apiVersion"]).to_string(), text(&object["kind"]).to_string());
    let kind = kinds::of_object(&api_version, &name).unwrap();
    let ty = schema::lookup_kind(&api_version, &name).unwrap();
    let mut object = object;
    schema::validate::check_types(ty, &object).unwrap();
    schema::normalize::normalize(ty, &mut object);
    schema::apply_defaults(&name, &api_version, &mut object);
    (kind, object)
}

fn create(object: Value) -> Result<Value, String> {
    let (kind, mut object) = read(object);
    prepare_create(kind, &mut object, &stamp());
    validate_create(kind, &object).map(|_| object).map_err(|e| e.to_string())
}

fn update(old: &Value, change: impl Fn(&mut Value)) -> Result<Value, String> {
    let mut new = old.clone();
    change(&mut new);
    let (kind, mut new) = read(new);
    prepare_update(kind, Endpoint::Main, &mut new, old);
    validate_update(kind, Endpoint::Main, &new, old).map(|_| new).map_err(|e| e.to_string())
}

fn pod() -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "d"},
        "spec": {"containers": [{"name": "a", "image": "hello"}]}})
}

fn deployment() -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "d"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "a", "image": "hello"}]}}}})
}

fn service() -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "d"},
        "spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}})
}

/// `base` with the value at a JSON pointer replaced or inserted.
fn with(mut base: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    match base.pointer_mut(parent).unwrap() {
        Value::Array(items) => items.push(value),
        object => object[field] = value,
    }
    base
}

#[test]
fn a_new_object_is_complete() {
    let pod = create(pod()).unwrap();
    assert_eq!(pod["metadata"]["uid"], "u-1");
    assert_eq!(pod["metadata"]["creationTimestamp"], "1970-01-01T00:16:40Z");
    assert_eq!(pod["metadata"]["generation"], 1);
    assert_eq!(pod["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    let old = with(super::tests::pod(), "/spec/serviceAccount", json!("robot"));
    assert_eq!(create(old).unwrap()["spec"]["serviceAccountName"], "robot", "the old name is understood");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "c-", "namespace": "d"}});
    let (one, two) = (create(config.clone()).unwrap(), create(config).unwrap());
    assert_eq!(one, two, "the same seed gives the same name");
    assert_eq!(text(&one["metadata"]["name"]).len(), 7);
    assert!(one["metadata"]["generation"].is_null());
    let namespace =
        create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})).unwrap();
    assert_eq!(namespace["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(namespace["metadata"]["labels"]["kubernetes.io/metadata.name"], "n");
}

#[test]
fn faults_are_worded_as_kubernetes_words_them() {
    let label = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                 and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
                 '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
    let cases = [
        (with(pod(), "/spec/containers/0/name", json!("A_b")), format!("Pod \"p\" is invalid: spec.containers[0].name: Invalid value: \"A_b\": {label}")),
        (
            with(pod(), "/spec/containers/1", json!({"name": "a", "image": "x"})),
            "Pod \"p\" is invalid: spec.containers[1].name: Duplicate value: \"a\"".into(),
        ),
        (
            with(pod(), "/spec/containers/0/resources", json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}})),
            "Pod \"p\" is invalid: spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or \
             equal to cpu limit of 1"
                .into(),
        ),
        (
            with(pod(), "/spec/containers/0/volumeMounts", json!([{"name": "v", "mountPath": "/v"}])),
            "Pod \"p\" is invalid: spec.containers[0].volumeMounts[0].name: Not found: \"v\"".into(),
        ),
        (
            with(pod(), "/spec/containers/0/ports", json!([{"containerPort": 70000}])),
            "Pod \"p\" is invalid: spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 \
             and 65535, inclusive"
                .into(),
        ),
        (
            with(pod(), "/spec/containers/0/livenessProbe", json!({"periodSeconds": 1})),
            "Pod \"p\" is invalid: spec.containers[0].livenessProbe: Required value: must specify a handler type".into(),
        ),
        (
            with(pod(), "/spec/containers", json!([{"name": "a"}])),
            "Pod \"p\" is invalid: spec.containers[0].image: Required value".into(),
        ),
        (with(pod(), "/spec/containers", json!([])), "Pod \"p\" is invalid: spec.containers: Required value".into()),
        (
            with(pod(), "/spec/volumes", json!([{"name": "v"}, {"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}])),
            "Pod \"p\" is invalid: [spec.volumes[1].name: Duplicate value: \"v\", \
             spec.volumes[1].secret: Forbidden: may not specify more than 1 volume type]"
                .into(),
        ),
        (
            with(pod(), "/spec/restartPolicy", json!("Sometimes")),
            "Pod \"p\" is invalid: spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \
             \"Never\", \"OnFailure\""
                .into(),
        ),
        (
            with(pod(), "/spec/hostAliases", json!([{"ip": "here", "hostnames": ["a_b"]}])),
            "Pod \"p\" is invalid: [spec.hostAliases[0].ip: Invalid value: \"here\": must be a valid IP address, (e.g. \
             10.9.8.7 or 2001:db8::ffff), spec.hostAliases[0].hostnames[0]: Invalid value: \"a_b\": a lowercase RFC 1123 \
             subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an \
             alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')]"
                .into(),
        ),
        (
            with(pod(), "/spec/readinessGates", json!([{"conditionType": "a/b/c"}])),
            "Pod \"p\" is invalid: spec.readinessGates[0].conditionType: Invalid value: \"a/b/c\": a valid label key must \
             consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
             (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
             'example.com/MyName')"
                .into(),
        ),
        (
            with(pod(), "/spec/containers/0/env", json!([{"name": "A", "valueFrom": {"resourceFieldRef":
                {"resource": "limits.disk", "divisor": "0.3"}}}])),
            "Pod \"p\" is invalid: spec.containers[0].env[0].valueFrom.resourceFieldRef.resource: Unsupported value: \
             \"limits.disk\": supported values: \"limits.cpu\", \"limits.memory\", \"requests.cpu\", \"requests.memory\""
                .into(),
        ),
        (
            with(pod(), "/spec/containers/0/env", json!([{"name": "A", "valueFrom": {"resourceFieldRef":
                {"resource": "limits.cpu", "divisor": "1k"}}}])),
            "Pod \"p\" is invalid: spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"1k\": \
             only divisor's values 1m and 1 are supported with the cpu resource"
                .into(),
        ),
        (
            with(pod(), "/spec/hostNetwork", json!(true)),
            "Pod \"p\" is invalid: spec.hostNetwork: Forbidden: pods live in their own network; use a Service of type \
             NodePort"
                .into(),
        ),
        (
            with(pod(), "/metadata/labels", json!({"a": "-"})),
            "Pod \"p\" is invalid: metadata.labels: Invalid value: \"-\": a valid label must be an empty string or \
             consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
             (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .into(),
        ),
        (
            with(deployment(), "/spec/replicas", json!(-1)),
            "Deployment.apps \"web\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0".into(),
        ),
        (
            with(deployment(), "/spec/selector/matchLabels", json!({"app": "api"})),
            "Deployment.apps \"web\" is invalid: spec.template.metadata.labels: Invalid value: {\"app\":\"web\"}: \
             `selector` does not match template `labels`"
                .into(),
        ),
        (
            with(deployment(), "/spec/strategy", json!({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}})),
            "Deployment.apps \"web\" is invalid: spec.strategy.rollingUpdate.maxUnavailable: Invalid value: \"0%\": may \
             not be 0 when `maxSurge` is 0"
                .into(),
        ),
        (
            with(deployment(), "/spec/template/spec/restartPolicy", json!("Never")),
            "Deployment.apps \"web\" is invalid: spec.template.spec.restartPolicy: Unsupported value: \"Never\": \
             supported values: \"Always\""
                .into(),
        ),
        (
            with(service(), "/spec/ports", json!([])),
            "Service \"web\" is invalid: spec.ports: Required value".into(),
        ),
        (
            with(service(), "/spec/ports", json!([{"port": 80}, {"port": 81, "name": "b"}])),
            "Service \"web\" is invalid: spec.ports[0].name: Required value".into(),
        ),
        (
            with(service(), "/spec/ports", json!([{"port": 80, "nodePort": 30080}])),
            "Service \"web\" is invalid: spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'".into(),
        ),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d"}, "data": {"a b": "x"}}),
            "ConfigMap \"c\" is invalid: data[a b]: Invalid value: \"a b\": a valid config key must consist of \
             alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for \
             validation is '[-._a-zA-Z0-9]+')"
                .into(),
        ),
        (
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "d"}, "type": "kubernetes.io/tls"}),
            "Secret \"s\" is invalid: [data[tls.crt]: Required value, data[tls.key]: Required value]".into(),
        ),
        (
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "d"}}),
            "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required".into(),
        ),
    ];
    for (object, expected) in cases {
        let found = create(object.clone()).expect_err(&object.to_string());
        assert_eq!(found, expected, "{object}");
    }
}

#[test]
fn what_people_deploy_is_accepted_without_a_word() {
    for object in [pod(), deployment(), service()] {
        let (kind, mut object) = read(object);
        prepare_create(kind, &mut object, &stamp());
        assert_eq!(validate_create(kind, &object).unwrap(), Vec::<String>::new());
    }
}

#[test]
fn what_nobody_provides_is_warned_of() {
    let (kind, mut object) = read(with(service(), "/spec/type", json!("LoadBalancer")));
    prepare_create(kind, &mut object, &stamp());
    let warnings = validate_create(kind, &object).unwrap();
    assert_eq!(warnings, ["spec.type: no load balancer is made: the Service is reached on its node ports"]);
}

#[test]
fn a_data_limit_holds() {
    let big = |n: usize| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d"}, "data": {"k": "x".repeat(n)}});
    assert!(create(big(1 << 20)).is_ok());
    assert_eq!(
        create(big((1 << 20) + 1)).unwrap_err(),
        "ConfigMap \"c\" is invalid: []: Too long: may not be more than 1048576 bytes"
    );
}

#[test]
fn little_of_a_pod_may_change() {
    let old = create(pod()).unwrap();
    let new = update(&old, |p| p["spec"]["containers"][0]["image"] = "hello:2".into()).unwrap();
    assert_eq!(new["metadata"]["generation"], 2);
    let error = update(&old, |p| p["spec"]["containers"][0]["command"] = json!(["x"])).unwrap_err();
    assert!(
        error.starts_with(
            "Pod \"p\" is invalid: spec: Forbidden: pod updates may not change fields other than"
        )
    );
    assert!(error.ends_with("changed: spec.containers"), "{error}");
    let old =
        update(&old, |p| p["spec"]["tolerations"] = json!([{"key": "a", "operator": "Exists"}])).unwrap();
    assert!(update(&old, |p| p["spec"]["tolerations"] = json!([])).is_err());
    assert!(update(&old, |p| p["spec"]["activeDeadlineSeconds"] = 5.into()).is_ok());
    // What the system set stays, whatever the writer says; the status endpoint is the way to the status.
    let new = update(&old, |p| {
        p["status"]["phase"] = "Failed".into();
        p["metadata"]["creationTimestamp"] = Value::Null;
    });
    assert_eq!(new.unwrap(), old);
}

#[test]
fn the_status_endpoint_changes_the_status_and_what_metadata_the_kind_lets_it() {
    let metadata = json!({"labels": {"x": "y"}, "annotations": {"x": "y"}, "finalizers": ["x.org/y"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "y"}]});
    let flow = json!({"apiVersion": "flowcontrol.apiserver.k8s.io/v1", "kind": "PriorityLevelConfiguration",
        "metadata": {"name": "p"}, "spec": {"type": "Exempt"}});
    for (object, changed) in [
        (deployment(), &["annotations", "finalizers", "ownerReferences"][..]),
        (pod(), &["labels", "annotations", "finalizers"]),
        (service(), &["labels", "annotations", "finalizers", "ownerReferences"]),
        (flow, &[]),
    ] {
        let (kind, _) = read(object.clone());
        let old = create(object).unwrap();
        let mut new = old.clone();
        new["status"] = json!({"observedGeneration": 3});
        new["spec"]["replicas"] = 9.into();
        for (field, value) in metadata.as_object().unwrap() {
            new["metadata"][field] = value.clone();
        }
        new["metadata"]["generation"] = 7.into();
        prepare_update(kind, Endpoint::Status, &mut new, &old);
        let mut expected = old.clone();
        expected["status"] = json!({"observedGeneration": 3});
        if kind.plural == "pods" {
            expected["status"]["qosClass"] = old["status"]["qosClass"].clone();
        }
        for field in changed {
            expected["metadata"][field] = metadata[field].clone();
        }
        assert_eq!(new, expected, "{}", kind.plural);
    }
}

#[test]
fn what_was_chosen_once_stays() {
    let old = create(deployment()).unwrap();
    let error = update(&old, |d| {
        d["spec"]["selector"]["matchLabels"] = json!({"app": "b"});
        d["spec"]["template"]["metadata"]["labels"] = json!({"app": "b"});
    });
    assert_eq!(
        error.unwrap_err(),
        "Deployment.apps \"web\" is invalid: spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable"
    );
    let same = update(&old, |_| {}).unwrap();
    assert_eq!(same["metadata"]["generation"], 1);
    let mut old = create(service()).unwrap();
    old["spec"]["clusterIP"] = "10.96.0.9".into();
    old["spec"]["clusterIPs"] = json!(["10.96.0.9"]);
    let kept = update(&old, |s| {
        s["spec"]["clusterIP"] = Value::Null;
        s["spec"]["clusterIPs"] = Value::Null;
    });
    assert_eq!(kept.unwrap()["spec"]["clusterIP"], "10.96.0.9");
    let error = update(&old, |s| {
        s["spec"]["clusterIP"] = "10.96.0.8".into();
        s["spec"]["clusterIPs"] = json!(["10.96.0.8"]);
    });
    assert_eq!(
        error.unwrap_err(),
        "Service \"web\" is invalid: spec.clusterIPs[0]: Invalid value: [\"10.96.0.8\"]: may not change once set"
    );
    let error = update(&old, |s| s["spec"]["clusterIP"] = "None".into());
    assert_eq!(
        error.unwrap_err(),
        "Service \"web\" is invalid: spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set"
    );
    let frozen = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d"},
        "data": {"a": "1"}, "immutable": true});
    let frozen = create(frozen).unwrap();
    assert_eq!(
        update(&frozen, |c| c["data"]["a"] = "2".into()).unwrap_err(),
        "ConfigMap \"c\" is invalid: data: Forbidden: field is immutable when `immutable` is set"
    );
    let mut dying = create(pod()).unwrap();
    dying["metadata"]["deletionTimestamp"] = "1970-01-01T00:16:40Z".into();
    assert_eq!(
        update(&dying, |p| p["metadata"]["finalizers"] = json!(["x.io/y"])).unwrap_err(),
        "Pod \"p\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is being \
         deleted, found new finalizers []string{\"x.io/y\"}"
    );
}

mod kinds_by_table;
