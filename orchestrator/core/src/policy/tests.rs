use super::*;
use crate::auth::User;
use peapod_api::{Draft, Key, kinds};
use serde_json::json;

/// A snapshot with a policy of that spec, bound with `actions`, and a namespace.
fn world(spec: Value, binding: Value) -> Snapshot {
    let mut snapshot = Snapshot::default();
    let mut add = |resource: &str, namespace: &str, name: &str, mut object: Value| {
        object["metadata"]["name"] = name.into();
        object["metadata"]["uid"] = name.into();
        let (key, revision) = (Key::new(resource, namespace, name), snapshot.revision() + 1);
        let draft = Draft::new(kinds::of_resource(resource).unwrap(), key.clone(), object);
        snapshot.apply(&Change::new(revision, key, None, Some(Arc::new(draft.at(revision)))));
    };
    add("namespaces", "", "d", json!({"metadata": {"labels": {"env": "prod"}}}));
    add("configmaps", "d", "limits", json!({"data": {"max": "3"}}));
    add(VALIDATING, "", "p", json!({ "spec": spec }));
    add(VALIDATING_BINDINGS, "", "b", json!({ "spec": binding }));
    snapshot
}

fn constraints() -> Value {
    json!({"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}]})
}

fn judged(snapshot: &Snapshot, resource: &str, object: &Value) -> Result<Vec<String>, String> {
    let kind = kinds::of_resource(resource).unwrap().into();
    let user = User::new("jane", &[]);
    let write = Write {
        user: &user,
        kind: &kind,
        part: None,
        name: "web",
        namespace: "d",
        new: Some(object),
        old: None,
        options: &Value::Null,
        dry_run: false,
    };
    judge(snapshot, &write).map_err(|error| format!("{} {error}", error.code()))
}

fn deployment(replicas: i64) -> Value {
    json!({"metadata": {"name": "web", "namespace": "d"}, "spec": {"replicas": replicas}})
}

const DEPLOYMENTS: &str = "deployments.apps";

#[test]
fn a_policy_denies_what_breaks_it_and_nothing_else() {
    let spec = json!({"matchConstraints": constraints(), "validations": [{"expression": "object.spec.replicas <= 5"}]});
    let snapshot = world(spec, json!({"policyName": "p", "validationActions": ["Deny"]}));
    assert_eq!(judged(&snapshot, DEPLOYMENTS, &deployment(5)), Ok(vec![]));
    assert_eq!(
        judged(&snapshot, DEPLOYMENTS, &deployment(6)),
        Err("422 deployments.apps \"web\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: failed expression: object.spec.replicas <= 5".into())
    );
    assert_eq!(judged(&snapshot, "replicasets.apps", &deployment(6)), Ok(vec![]));
}

#[test]
fn params_variables_conditions_and_messages_are_used() {
    let spec = json!({
        "matchConstraints": constraints(), "paramKind": {"apiVersion": "v1", "kind": "ConfigMap"},
        "matchConditions": [{"name": "people", "expression": "!request.userInfo.username.startsWith('system:')"}],
        "variables": [{"name": "max", "expression": "int(params.data.max)"}],
        "validations": [{"expression": "object.spec.replicas <= variables.max || namespaceObject.metadata.labels.env != 'prod'",
            "messageExpression": "'at most ' + string(variables.max)", "reason": "Forbidden"}]});
    let binding = json!({"policyName": "p", "validationActions": ["Deny"], "paramRef": {"name": "limits", "parameterNotFoundAction": "Deny"}});
    let snapshot = world(spec.clone(), binding.clone());
    assert_eq!(judged(&snapshot, DEPLOYMENTS, &deployment(3)), Ok(vec![]));
    assert!(judged(&snapshot, DEPLOYMENTS, &deployment(4)).unwrap_err().starts_with("403 "));
    assert!(judged(&snapshot, DEPLOYMENTS, &deployment(4)).unwrap_err().ends_with("at most 3"));
    let mut missing = binding;
    missing["paramRef"]["name"] = "other".into();
    let refused = judged(&world(spec, missing), DEPLOYMENTS, &deployment(1)).unwrap_err();
    assert!(refused.contains("no params found for policy binding"), "{refused}");
}

#[test]
fn a_policy_that_cannot_be_asked_follows_its_failure_policy() {
    let spec = |policy: &str| {
        json!({"matchConstraints": constraints(), "failurePolicy": policy,
        "validations": [{"expression": "object.spec.absent > 1"}]})
    };
    let binding = json!({"policyName": "p", "validationActions": ["Deny"]});
    let refused = judged(&world(spec("Fail"), binding.clone()), DEPLOYMENTS, &deployment(1)).unwrap_err();
    assert!(refused.contains("resulted in error: no such key: absent"), "{refused}");
    assert_eq!(judged(&world(spec("Ignore"), binding), DEPLOYMENTS, &deployment(1)), Ok(vec![]));
}

#[test]
fn bindings_warn_and_narrow() {
    let spec =
        json!({"matchConstraints": constraints(), "validations": [{"expression": "false", "message": "no"}]});
    let binding = json!({"policyName": "p", "validationActions": ["Warn", "Audit"]});
    let warned = judged(&world(spec.clone(), binding.clone()), DEPLOYMENTS, &deployment(1));
    assert_eq!(
        warned,
        Ok(vec!["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': no".into()])
    );
    let mut narrow = binding;
    narrow["matchResources"]["namespaceSelector"] = json!({"matchLabels": {"env": "test"}});
    assert_eq!(judged(&world(spec, narrow), DEPLOYMENTS, &deployment(1)), Ok(vec![]));
}
