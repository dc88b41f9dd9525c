use super::*;
use crate::snapshot::Change;
use peapod_api::selector::FieldSelector;
use peapod_api::{Draft, Key, kinds};
use serde_json::json;
use std::sync::Arc;

fn world() -> Snapshot {
    let mut snapshot = Snapshot::default();
    for (revision, (name, node)) in [("mine", "n1"), ("other", "n2")].into_iter().enumerate() {
        let value = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "d"},
            "spec": {"nodeName": node, "volumes": [{"name": "v", "secret": {"secretName": format!("{name}-secret")}}],
                "containers": [{"name": "c", "envFrom": [{"configMapRef": {"name": format!("{name}-env")}}]}]}});
        let key = Key::new("pods", "d", name);
        let kind = kinds::lookup("", "pods").unwrap();
        let after = Arc::new(Draft::new(kind, key.clone(), value).at(revision as u64 + 1));
        snapshot.apply(&Change::new(revision as u64 + 1, key, None, Some(after)));
    }
    snapshot
}

fn ask<'a>(verb: &'a str, resource: &'a str, namespace: &'a str, name: &'a str) -> Attributes<'a> {
    let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
    let kind = kinds::of_resource(resource).unwrap();
    Attributes { subresource: sub, ..Attributes::new(verb, kind, namespace, name) }
}

#[test]
fn refusals_are_worded_as_kubernetes_words_them() {
    let (snapshot, user) = (world(), User::new("jane", &[]));
    let error = authorize(&snapshot, &user, &ask("list", "pods", "default", "")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\""
    );
    let error =
        authorize(&snapshot, &user, &ask("patch", "deployments.apps/status", "d", "web")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "deployments.apps \"web\" is forbidden: User \"jane\" cannot patch resource \"deployments/status\" in API group \
         \"apps\" in the namespace \"d\""
    );
    let error = authorize(&snapshot, &user, &ask("list", "nodes", "", "")).unwrap_err();
    assert!(error.to_string().ends_with("in API group \"\" at the cluster scope"));
    assert_eq!(
        authorize_path(&snapshot, &User::anonymous(), "get", "/apis").unwrap_err().to_string(),
        "forbidden: User \"system:anonymous\" cannot get path \"/apis\""
    );
}

#[test]
fn a_node_reaches_its_own_and_nothing_else() {
    let (snapshot, agent) = (world(), User::new("system:node:n1", &[NODES]));
    let allowed = [
        ("get", "nodes", "", "n1"),
        ("create", "nodes", "", ""),
        ("patch", "nodes/status", "", "n1"),
        ("update", "leases.coordination.k8s.io", "kube-node-lease", "n1"),
        ("get", "pods", "d", "mine"),
        ("delete", "pods", "d", "mine"),
        ("patch", "pods/status", "d", "mine"),
        ("create", "events", "d", ""),
        ("watch", "services", "", ""),
        ("get", "secrets", "d", "mine-secret"),
        ("get", "configmaps", "d", "mine-env"),
    ];
    for (verb, resource, namespace, name) in allowed {
        assert!(
            authorize(&snapshot, &agent, &ask(verb, resource, namespace, name)).is_ok(),
            "{verb} {resource} {name}"
        );
    }
    let refused = [
        ("patch", "nodes/status", "", "n2"),
        ("delete", "nodes", "", "n1"),
        ("create", "nodes", "", "n2"),
        ("update", "leases.coordination.k8s.io", "kube-node-lease", "n2"),
        ("update", "leases.coordination.k8s.io", "default", "n1"),
        ("list", "pods", "", ""),
        ("get", "pods", "d", "other"),
        ("delete", "pods", "d", "other"),
        ("patch", "pods", "d", "mine"),
        ("create", "pods", "d", ""),
        ("get", "secrets", "d", "other-secret"),
        ("get", "secrets", "d", "mine-env"),
        ("list", "secrets", "d", ""),
        ("get", "secrets", "e", "mine-secret"),
        ("create", "deployments.apps", "d", ""),
    ];
    for (verb, resource, namespace, name) in refused {
        assert!(
            authorize(&snapshot, &agent, &ask(verb, resource, namespace, name)).is_err(),
            "{verb} {resource} {name}"
        );
    }
    let narrow = |text: &str| FieldSelector::parse(text, &["spec.nodeName"]).unwrap();
    let mine = narrow("spec.nodeName=n1");
    let theirs = narrow("spec.nodeName=n2");
    assert!(authorize(&snapshot, &agent, &ask("watch", "pods", "", "").narrowed(&mine)).is_ok());
    assert!(authorize(&snapshot, &agent, &ask("watch", "pods", "", "").narrowed(&theirs)).is_err());
    let one = narrow("metadata.name=mine-secret");
    assert!(authorize(&snapshot, &agent, &ask("watch", "secrets", "d", "").narrowed(&one)).is_ok());
    // The name alone makes no node.
    let pretender = User::new("system:node:n1", &[]);
    assert!(authorize(&snapshot, &pretender, &ask("get", "nodes", "", "n1")).is_err());
}
