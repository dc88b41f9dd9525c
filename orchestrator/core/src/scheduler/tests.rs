use super::*;
use crate::snapshot::Change;
use peapod_api::{Draft, Key, Object, kinds};
use serde_json::{Value, json};

fn object(resource: &str, namespace: &str, name: &str, mut value: Value) -> Arc<Object> {
    value["metadata"]["name"] = name.into();
    let kind = kinds::of_resource(resource).unwrap();
    Arc::new(Draft::new(kind, Key::new(resource, namespace, name), value).at(1))
}

fn created(object: &Arc<Object>) -> Change {
    Change::new(1, object.key.clone(), None, Some(object.clone()))
}

fn node(name: &str, spec: Value) -> Arc<Object> {
    let status = json!({"allocatable": {"cpu": "2", "memory": "4Gi", "pods": "10"}});
    object("nodes", "", name, json!({"metadata": {"labels": {"disk": name}}, "spec": spec, "status": status}))
}

fn pod(name: &str, spec: Value) -> Arc<Object> {
    let owner = json!([{"uid": "rs", "controller": true}]);
    object("pods", "d", name, json!({"metadata": {"namespace": "d", "ownerReferences": owner}, "spec": spec}))
}

fn cluster(nodes: &[Arc<Object>]) -> ClusterView {
    let mut view = ClusterView::default();
    for node in nodes {
        view.apply(&created(node));
    }
    view
}

fn asking(cpu: &str) -> Value {
    json!({"containers": [{"resources": {"requests": {"cpu": cpu}}}]})
}

#[test]
fn pods_of_one_controller_spread() {
    let mut view = cluster(&[node("a", json!({})), node("b", json!({}))]);
    let mut used = std::collections::BTreeMap::new();
    for index in 0..4 {
        let pod = pod(&format!("p{index}"), asking("100m"));
        let view_of = PodView::read(&pod);
        let place = schedule(&view_of, &view, index).unwrap();
        view.assume(&pod.key, &view_of, &place.node);
        *used.entry(place.node).or_insert(0) += 1;
    }
    assert_eq!(used.values().copied().collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn every_node_gives_its_reason() {
    let taint = json!({"taints": [{"key": "k", "effect": "NoSchedule"}]});
    let view = cluster(&[node("a", json!({})), node("b", taint), node("c", json!({"unschedulable": true}))]);
    let error = schedule(&PodView::read(&pod("p", asking("3"))), &view, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint {k: }, \
         1 node(s) were unschedulable."
    );
    let none = schedule(&PodView::read(&pod("p", asking("1"))), &ClusterView::default(), 0).unwrap_err();
    assert_eq!(none.to_string(), "no nodes available to schedule pods");
}

#[test]
fn selectors_affinity_and_tolerations_are_followed() {
    let taint = json!({"taints": [{"key": "k", "value": "v", "effect": "NoSchedule"}]});
    let view = cluster(&[node("a", json!({})), node("b", taint)]);
    let place = |spec: Value| schedule(&PodView::read(&pod("p", spec)), &view, 0).map(|p| p.node.to_string());
    let tolerant = json!([{"key": "k", "operator": "Equal", "value": "v", "effect": "NoSchedule"}]);
    assert!(place(json!({"nodeSelector": {"disk": "b"}})).is_err());
    assert_eq!(place(json!({"nodeSelector": {"disk": "b"}, "tolerations": tolerant})).unwrap(), "b");
    let not_a = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
        {"matchExpressions": [{"key": "disk", "operator": "NotIn", "values": ["a"]}]}]}}});
    assert_eq!(place(json!({"affinity": not_a, "tolerations": tolerant})).unwrap(), "b");
    let prefer_b = json!({"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 100, "preference": {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}}]}});
    assert_eq!(place(json!({"affinity": prefer_b, "tolerations": tolerant})).unwrap(), "b");
}

#[test]
fn resources_come_back_when_a_pod_ends() {
    let mut view = cluster(&[node("a", json!({}))]);
    let mut bound = json!({"nodeName": "a"});
    bound["containers"] = asking("2")["containers"].clone();
    let big = pod("big", bound);
    view.apply(&created(&big));
    let small = PodView::read(&pod("p", asking("1")));
    assert!(schedule(&small, &view, 0).is_err());
    let gone = Change::new(2, big.key.clone(), Some(big), None);
    assert!(view.apply(&gone), "a pod that goes lets others in");
    assert!(schedule(&small, &view, 0).is_ok());
}

#[test]
fn an_assumption_taken_back_frees_the_node() {
    let mut view = cluster(&[node("a", json!({}))]);
    let pod_object = pod("p", asking("2"));
    let wanted = PodView::read(&pod_object);
    let place = schedule(&wanted, &view, 0).unwrap();
    view.assume(&pod_object.key, &wanted, &place.node);
    assert!(schedule(&wanted, &view, 0).is_err());
    view.forget(&pod_object.key);
    assert!(schedule(&wanted, &view, 0).is_ok());
}
