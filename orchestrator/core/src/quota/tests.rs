//! Namespaces that use much.

use super::*;
use crate::snapshot::Snapshot;
use peapod_api::{Draft, Key, kinds};
use serde_json::json;
use std::sync::Arc;

fn put(snapshot: &mut Snapshot, resource: &str, mut value: Value) -> Arc<Object> {
    value["metadata"]["namespace"] = "d".into();
    let key = Key::new(resource, "d", value["metadata"]["name"].as_str().unwrap());
    let revision = snapshot.revision() + 1;
    let kind = kinds::of_resource(resource).unwrap();
    let object = Arc::new(Draft::new(kind, key.clone(), value).at(revision));
    let before = snapshot.get(&key).cloned();
    snapshot.apply(&Change::new(revision, key, before, Some(object.clone())));
    object
}

fn pod(name: &str, resources: Value, phase: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "d"}, "status": {"phase": phase},
        "spec": {"containers": [{"name": "a", "resources": resources}]}})
}

fn asking(cpu: &str, memory: &str) -> Value {
    json!({"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu}})
}

fn quota(snapshot: &mut Snapshot, spec: Value) -> Arc<Object> {
    put(snapshot, QUOTAS, json!({"metadata": {"name": "q"}, "spec": spec}))
}

fn printed(amounts: &Amounts) -> Value {
    amounts
        .iter()
        .map(|(name, amount)| (name.clone(), Value::from(amount.to_string())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn refusal(snapshot: &Snapshot, resource: &str, object: &Value) -> String {
    snapshot
        .quotas()
        .admit(kinds::of_resource(resource).unwrap(), object, None)
        .map_or_else(|e| e.to_string(), |()| String::new())
}

#[test]
fn usage_is_the_sum_of_what_runs() {
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, "pods", pod("a", asking("500m", "64Mi"), "Running"));
    put(&mut snapshot, "pods", pod("b", asking("700m", "64Mi"), "Pending"));
    put(&mut snapshot, "pods", pod("c", asking("5", "1Gi"), "Succeeded"));
    put(&mut snapshot, "configmaps", json!({"metadata": {"name": "m"}}));
    let limited = quota(
        &mut snapshot,
        json!({"hard": {"pods": "5", "cpu": "2", "requests.memory": "1Gi", "count/pods": "9",
        "configmaps": "3", "count/deployments.apps": "1"}}),
    );
    assert_eq!(
        printed(&snapshot.quotas().used(&limited.key)),
        json!({"pods": "2", "cpu": "1200m", "requests.memory": "128Mi", "count/pods": "3", "configmaps": "1", "count/deployments.apps": "0"})
    );
    let parsed = quota(&mut snapshot, json!({"hard": {"limits.cpu": "9", "cpu": "2"}}));
    assert_eq!(printed(&snapshot.quotas().used(&parsed.key)), json!({"limits.cpu": "1200m", "cpu": "1200m"}));
}

#[test]
fn what_is_too_much_is_refused_in_kubernetes_words() {
    let mut snapshot = Snapshot::default();
    put(&mut snapshot, "pods", pod("a", asking("500m", "64Mi"), "Running"));
    quota(&mut snapshot, json!({"hard": {"pods": "1", "cpu": "1"}}));
    assert_eq!(
        refusal(&snapshot, "pods", &pod("b", asking("600m", "1Mi"), "Pending")),
        "pods \"b\" is forbidden: exceeded quota: q, requested: cpu=600m,pods=1, used: cpu=500m,pods=1, limited: cpu=1,pods=1"
    );
    assert_eq!(
        refusal(&snapshot, "pods", &pod("b", json!({}), "Pending")),
        "pods \"b\" is forbidden: failed quota: q: must specify cpu for: a"
    );
    assert_eq!(refusal(&snapshot, "configmaps", &json!({"metadata": {"name": "m", "namespace": "d"}})), "");
    quota(&mut snapshot, json!({"hard": {"services.nodeports": "1", "count/services": "5"}}));
    let service = json!({"metadata": {"name": "s", "namespace": "d"}, "spec": {"ports": [{"nodePort": 1}, {"nodePort": 2}]}});
    assert!(
        refusal(&snapshot, "services", &service)
            .contains("requested: services.nodeports=2, used: services.nodeports=0")
    );
}

#[test]
fn scopes_choose_pods() {
    let mut snapshot = Snapshot::default();
    quota(&mut snapshot, json!({"hard": {"pods": "0"}, "scopes": ["BestEffort"]}));
    assert!(refusal(&snapshot, "pods", &pod("b", json!({}), "Pending")).contains("exceeded quota"));
    assert_eq!(refusal(&snapshot, "pods", &pod("b", asking("1", "1Mi"), "Pending")), "");
    let high =
        json!({"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]});
    quota(&mut snapshot, json!({"hard": {"pods": "0"}, "scopeSelector": high}));
    let mut important = pod("b", json!({}), "Pending");
    assert_eq!(refusal(&snapshot, "pods", &important), "");
    important["spec"]["priorityClassName"] = "high".into();
    assert!(refusal(&snapshot, "pods", &important).contains("exceeded quota"));
}

fn used(snapshot: &Snapshot) -> Value {
    printed(&snapshot.quotas().used(&Key::new(QUOTAS, "d", "q")))
}

fn forget(snapshot: &mut Snapshot, resource: &str, name: &str) {
    let key = Key::new(resource, "d", name);
    let before = snapshot.get(&key).cloned();
    snapshot.apply(&Change::new(snapshot.revision() + 1, key, before, None));
}

#[test]
fn usage_follows_each_change() {
    let mut snapshot = Snapshot::default();
    let hard = json!({"pods": "5", "requests.cpu": "2", "limits.cpu": "9", "count/configmaps": "3", "resourcequotas": "9"});
    quota(&mut snapshot, json!({ "hard": hard }));
    put(&mut snapshot, "pods", pod("a", asking("500m", "64Mi"), "Pending"));
    put(&mut snapshot, "configmaps", json!({"metadata": {"name": "m"}}));
    let one = json!({"pods": "1", "requests.cpu": "500m", "limits.cpu": "500m", "count/configmaps": "1", "resourcequotas": "1"});
    assert_eq!(used(&snapshot), one);
    put(&mut snapshot, "pods", pod("a", asking("500m", "64Mi"), "Running"));
    assert_eq!(used(&snapshot), one);
    let key = Key::new(QUOTAS, "d", "q");
    let mut with_status = snapshot.get(&key).unwrap().value();
    with_status["status"] = json!({"used": {}});
    put(&mut snapshot, QUOTAS, with_status);
    assert_eq!(used(&snapshot), one, "a status is no other quota");
    put(&mut snapshot, "pods", pod("a", asking("500m", "64Mi"), "Failed"));
    forget(&mut snapshot, "configmaps", "m");
    let none = json!({"pods": "0", "requests.cpu": "0", "limits.cpu": "0", "count/configmaps": "0", "resourcequotas": "1"});
    assert_eq!(used(&snapshot), none);
    forget(&mut snapshot, QUOTAS, "q");
    assert_eq!(used(&snapshot), json!({}));
}

#[test]
fn changes_are_judged_by_what_they_ask_for_besides() {
    let mut snapshot = Snapshot::default();
    quota(
        &mut snapshot,
        json!({"hard": {"requests.storage": "3Gi", "services.nodeports": "1", "services.loadbalancers": "0"}}),
    );
    let claim = |size: &str| {
        json!({"metadata": {"name": "c", "namespace": "d"},
        "spec": {"resources": {"requests": {"storage": size}}}})
    };
    put(&mut snapshot, CLAIMS, claim("2Gi"));
    let grown = |size: &str| {
        let kind = kinds::of_resource(CLAIMS).unwrap();
        snapshot.quotas().admit(kind, &claim(size), Some(&claim("2Gi"))).map_err(|error| error.to_string())
    };
    assert_eq!(grown("3Gi"), Ok(()));
    assert_eq!(grown("1Gi"), Ok(()));
    let why = "persistentvolumeclaims \"c\" is forbidden: exceeded quota: q, requested: requests.storage=2Gi, \
               used: requests.storage=2Gi, limited: requests.storage=3Gi";
    assert_eq!(grown("4Gi"), Err(why.into()));
    let service = |type_: &str, port: i64| {
        json!({"metadata": {"name": "s", "namespace": "d"},
        "spec": {"type": type_, "ports": [{"nodePort": port}]}})
    };
    let kind = kinds::of_resource(SERVICES).unwrap();
    let change = |new: &Value| snapshot.quotas().admit(kind, new, Some(&service("ClusterIP", 0)));
    assert!(change(&service("NodePort", 30000)).is_ok());
    assert!(
        change(&service("LoadBalancer", 30000)).unwrap_err().to_string().contains("services.loadbalancers=1")
    );
}

#[test]
fn what_is_reserved_counts() {
    let mut snapshot = Snapshot::default();
    quota(&mut snapshot, json!({"hard": {"pods": "1"}}));
    let (mut quotas, kind, asked) =
        (snapshot.quotas().clone(), kinds::of_resource(PODS).unwrap(), pod("a", json!({}), "Pending"));
    assert!(quotas.admit(kind, &asked, None).is_ok());
    quotas.reserve(kind, &asked, None);
    assert!(quotas.admit(kind, &asked, None).is_err());
    assert!(snapshot.quotas().admit(kind, &asked, None).is_ok(), "the snapshot is as it was");
}

#[test]
fn scopes_are_about_affinity_and_claims_too() {
    let elsewhere = json!({"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"podAffinityTerm": {"namespaces": ["x"]}}]}});
    let spec = |scope: &str, operator: &str| {
        json!({"scopeSelector": {"matchExpressions": [
        {"scopeName": scope, "operator": operator, "values": ["gold"]}]}})
    };
    let affine = spec("CrossNamespacePodAffinity", "Exists");
    assert!(takes_in(&affine, PODS, &json!({"spec": {"affinity": elsewhere}})));
    assert!(!takes_in(&affine, PODS, &json!({"spec": {"affinity": {"podAffinity": {}}}})));
    let gold = json!({"spec": {"volumeAttributesClassName": "gold"}});
    assert!(takes_in(&spec("VolumeAttributesClass", "In"), CLAIMS, &gold));
    assert!(!takes_in(&spec("VolumeAttributesClass", "In"), PODS, &gold));
    assert!(!takes_in(&spec("PriorityClass", "In"), CLAIMS, &gold));
}

#[test]
fn sidecars_count_beside_what_they_start_with() {
    let asking = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
    let mut sidecar = asking("300m");
    sidecar["restartPolicy"] = "Always".into();
    let spec = |containers: &str| {
        json!({"initContainers": [asking("100m"), sidecar, asking("500m")],
        "containers": [asking(containers)]})
    };
    let cpu = |spec: &Value| total(spec, "requests")["cpu"].to_string();
    assert_eq!((cpu(&spec("200m")), cpu(&spec("1"))), ("800m".to_string(), "1300m".to_string()));
}
