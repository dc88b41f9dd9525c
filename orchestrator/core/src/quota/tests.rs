//! Namespaces that use much.

use super::*;
use peapod_api::{Draft, Key, kinds};
use serde_json::json;

fn put(snapshot: &mut Snapshot, resource: &str, mut value: Value) -> Arc<Object> {
    value["metadata"]["namespace"] = "d".into();
    let key = Key::new(resource, "d", value["metadata"]["name"].as_str().unwrap());
    let revision = snapshot.revision() + 1;
    let kind = kinds::of_resource(resource).unwrap();
    let object = Arc::new(Draft::new(kind, key.clone(), value).at(revision));
    snapshot.apply(&Change::new(revision, key, None, Some(object.clone())));
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
    admit(snapshot, kinds::of_resource(resource).unwrap(), object)
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
        printed(&used(&snapshot, &limited)),
        json!({"pods": "2", "cpu": "1200m", "requests.memory": "128Mi", "count/pods": "3", "configmaps": "1", "count/deployments.apps": "0"})
    );
    let parsed = quota(&mut snapshot, json!({"hard": {"limits.cpu": "9", "cpu": "2"}}));
    assert_eq!(printed(&used(&snapshot, &parsed)), json!({"limits.cpu": "1200m", "cpu": "1200m"}));
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
