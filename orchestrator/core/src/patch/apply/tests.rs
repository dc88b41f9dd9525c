use super::*;
use crate::patch::managed_fields::tests::operation;
use crate::patch::managed_fields::update;
use crate::patch::strategic::tests::values;
use crate::schema::{apply_defaults, lookup_kind};
use proptest::prelude::*;
use serde_json::json;

fn ty() -> &'static Type {
    lookup_kind("apps/v1", "Deployment").unwrap()
}

/// As the front door finishes every object.
fn finished(mut object: Value) -> Value {
    normalize(ty(), &mut object);
    apply_defaults("Deployment", "apps/v1", &mut object);
    object
}

fn applied(
    live: Option<&Value>,
    config: &Value,
    manager: &'static str,
    second: i64,
    force: bool,
) -> Result<Value, Error> {
    apply(ty(), live, config, &operation(manager, second), force).map(finished)
}

fn config(spec: Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
}

fn containers(list: Value) -> Value {
    json!({"template": {"spec": {"containers": list}}})
}

#[test]
fn the_applier_owns_exactly_what_it_names() {
    let live = applied(
        None,
        &config(json!({"replicas": 2, "template": {"spec": {"containers": [
        {"name": "a", "image": "a", "ports": [{"containerPort": 80}]}]}}})),
        "kubectl",
        1,
        false,
    )
    .unwrap();
    assert_eq!(
        live["metadata"]["managedFields"],
        json!([{"manager": "kubectl", "operation": "Apply", "apiVersion": "apps/v1", "time": "1970-01-01T00:00:01Z",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {
                "k:{\"name\":\"a\"}": {".": {}, "f:image": {}, "f:name": {}, "f:ports": {
                    "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}}}}}}}}}}])
    );
    assert_eq!(live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "Always");
}

#[test]
fn applying_again_changes_nothing_not_even_the_time() {
    let wanted = config(json!({"replicas": 2, "paused": false, "template": {"spec": {"containers": [
        {"name": "a", "resources": {"limits": {"cpu": "1000m"}}}]}}}));
    let live = applied(None, &wanted, "kubectl", 1, false).unwrap();
    assert_eq!(applied(Some(&live), &wanted, "kubectl", 2, false).unwrap(), live);
}

#[test]
fn fields_that_are_no_longer_named_are_removed_and_defaults_return() {
    let live = applied(None, &config(json!({"replicas": 3, "paused": true})), "kubectl", 1, false).unwrap();
    let next = applied(Some(&live), &config(json!({})), "kubectl", 2, false).unwrap();
    assert_eq!(next["spec"]["replicas"], 1);
    assert!(next["spec"].get("paused").is_none());
    assert_eq!(read(&next)[0].set.paths(), [".spec"], "an empty object is a value");
}

#[test]
fn a_list_item_goes_with_its_defaults_but_others_keep_theirs() {
    let two = config(containers(json!([{"name": "a", "image": "a:1"}, {"name": "b", "image": "b:1"}])));
    let live = applied(None, &two, "kubectl", 1, false).unwrap();
    let mut injected = live.clone();
    let mut sidecar = live["spec"]["template"]["spec"]["containers"][1].clone();
    sidecar["name"] = "sidecar".into();
    injected["spec"]["template"]["spec"]["containers"].as_array_mut().unwrap().insert(0, sidecar);
    update(ty(), Some(&live), &mut injected, &operation("injector", 2));
    let one = config(containers(json!([{"name": "b", "image": "b:2"}])));
    let next = applied(Some(&injected), &one, "kubectl", 3, false).unwrap();
    let names: Vec<_> = next["spec"]["template"]["spec"]["containers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].clone())
        .collect();
    assert_eq!(names, ["sidecar", "b"]);
    assert_eq!(next["spec"]["template"]["spec"]["containers"][1]["image"], "b:2");
}

#[test]
fn an_item_that_another_manager_uses_stays_with_its_key() {
    let live = applied(
        None,
        &config(containers(json!([{"name": "a", "image": "a:1", "tty": true}]))),
        "x",
        1,
        false,
    )
    .unwrap();
    let shared = config(containers(json!([{"name": "a", "workingDir": "/"}])));
    let live = applied(Some(&live), &shared, "y", 2, false).unwrap();
    let next = applied(Some(&live), &config(json!({})), "x", 3, false).unwrap();
    let container = &next["spec"]["template"]["spec"]["containers"][0];
    assert_eq!((&container["name"], &container["workingDir"]), (&json!("a"), &json!("/")));
    assert!(container.get("image").is_none() && container.get("tty").is_none());
}

#[test]
fn conflicts_are_worded_as_kubernetes_words_them() {
    let live = applied(None, &config(json!({"replicas": 2, "paused": true})), "alice", 1, false).unwrap();
    let error = applied(Some(&live), &config(json!({"replicas": 3})), "bob", 2, false).unwrap_err();
    assert_eq!(error.to_string(), "Apply failed with 1 conflict: conflict with \"alice\": .spec.replicas");
    assert_eq!(error.code(), 409);
    assert_eq!(
        error.status()["details"]["causes"],
        json!([{"reason": "FieldManagerConflict", "message": "conflict with \"alice\"", "field": ".spec.replicas"}])
    );
    let mut scaled = live.clone();
    scaled["spec"]["replicas"] = 5.into();
    update(ty(), Some(&live), &mut scaled, &Operation { subresource: "scale", ..operation("kubectl", 2) });
    let error = applied(Some(&scaled), &config(json!({"replicas": 2, "paused": true})), "alice", 3, false)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("conflict with \"kubectl\" with subresource \"scale\" using apps/v1: .spec.replicas")
    );
    let both = config(json!({"replicas": 4, "paused": false}));
    let error = applied(Some(&live), &both, "bob", 2, false).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Apply failed with 2 conflicts: conflicts with \"alice\":\n- .spec.paused\n- .spec.replicas"
    );
}

#[test]
fn force_takes_over_and_equal_values_are_shared() {
    let live = applied(None, &config(json!({"replicas": 2})), "alice", 1, false).unwrap();
    let shared = applied(Some(&live), &config(json!({"replicas": 2})), "bob", 2, false).unwrap();
    assert_eq!(read(&shared).len(), 2);
    let kept = applied(Some(&shared), &config(json!({})), "bob", 3, false).unwrap();
    assert_eq!(kept["spec"]["replicas"], 2, "alice still wants it");
    let forced = applied(Some(&live), &config(json!({"replicas": 9})), "bob", 2, true).unwrap();
    assert_eq!(forced["spec"]["replicas"], 9);
    let entries = read(&forced);
    assert_eq!((entries.len(), entries[0].manager.as_str()), (1, "bob"));
}

/// kubectl's first server-side apply after client-side ones.
#[test]
fn what_kubectl_applied_on_the_client_is_taken_over_without_conflict() {
    let mut live = finished(config(json!({"replicas": 2, "paused": true, "minReadySeconds": 3})));
    let last = config(json!({"replicas": 2, "minReadySeconds": 7}));
    live["metadata"]["annotations"] = json!({LAST_APPLIED: last.to_string()});
    let bare = live.clone();
    update(ty(), None, &mut live, &operation("kubectl-client-side-apply", 1));
    let next = applied(Some(&live), &config(json!({"replicas": 5})), "kubectl", 2, false).unwrap();
    assert_eq!(next["spec"]["replicas"], 5);
    let owner = read(&next).into_iter().find(|entry| entry.applied).unwrap();
    assert!(owner.set.paths().contains(&".spec.replicas".to_string()));
    // Others' fields, fields that have changed since, and other managers still conflict.
    for (spec, manager) in [
        (json!({"paused": false}), "kubectl"),
        (json!({"minReadySeconds": 9}), "kubectl"),
        (json!({"replicas": 5}), "someone"),
    ] {
        assert_eq!(
            applied(Some(&live), &config(spec), manager, 2, false).unwrap_err().code(),
            409,
            "{manager}"
        );
    }
    let mut broken = bare;
    broken["metadata"]["annotations"] = json!({LAST_APPLIED: "{"});
    update(ty(), None, &mut broken, &operation("kubectl-client-side-apply", 1));
    assert!(applied(Some(&broken), &config(json!({"replicas": 5})), "kubectl", 2, false).is_err());
}

#[test]
fn what_nobody_managed_belongs_to_before_first_apply() {
    let live = finished(config(json!({"replicas": 2})));
    let error = applied(Some(&live), &config(json!({"replicas": 3})), "kubectl", 1, false).unwrap_err();
    assert!(error.to_string().contains("conflict with \"before-first-apply\" using apps/v1: .spec.replicas"));
}

#[test]
fn managed_fields_in_the_configuration_are_refused() {
    let mut wanted = config(json!({}));
    wanted["metadata"]["managedFields"] = json!([{"manager": "x"}]);
    assert_eq!(applied(None, &wanted, "kubectl", 1, false).unwrap_err().code(), 400);
}

proptest! {
    #[test]
    fn any_configuration_applies_or_fails(live in values(), first in values(), second in values()) {
        let object = |value: &Value| config(value.clone());
        let base = finished(object(&live));
        let Ok(once) = applied(Some(&base), &object(&first), "a", 1, true) else { return Ok(()) };
        if let Ok(twice) = applied(Some(&once), &object(&second), "a", 2, true) {
            let mut updated = base.clone();
            update(ty(), Some(&twice), &mut updated, &operation("b", 3));
        }
    }
}
