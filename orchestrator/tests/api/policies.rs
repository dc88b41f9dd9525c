//! Admission policies over HTTP.

use crate::client::World;
use http::Method;
use serde_json::{Value, json};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn policy(validations: Value) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "maps"},
        "spec": {"matchConstraints": {"resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE", "DELETE"], "resources": ["configmaps"]}]}, "validations": validations}})
}

fn binding(actions: Value) -> Value {
    json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "maps"},
        "spec": {"policyName": "maps", "validationActions": actions,
            "matchResources": {"objectSelector": {"matchLabels": {"judged": "yes"}}}}})
}

fn map(name: &str, owner: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"judged": "yes"}}, "data": {"owner": owner}})
}

#[tokio::test]
async fn policies_deny_creations_changes_and_deletions() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let validations = json!([
        {"expression": "request.operation == 'DELETE' || has(object.data) && 'owner' in object.data", "message": "an owner is needed"},
        {"expression": "request.operation != 'UPDATE' || object.data.owner == oldObject.data.owner", "reason": "Forbidden",
            "messageExpression": "'the owner stays ' + oldObject.data.owner"},
        {"expression": "request.operation != 'DELETE' || oldObject.data.owner != 'root'", "message": "root's stay"}]);
    admin.create(&format!("{GROUP}/validatingadmissionpolicies"), &policy(validations)).await;
    admin.create(MAPS, &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "free"}})).await;
    admin.create(&format!("{GROUP}/validatingadmissionpolicybindings"), &binding(json!(["Deny"]))).await;

    let mut bare = map("a", "me");
    bare["data"] = json!({"x": "y"});
    let refused = admin.ask(Method::POST, MAPS, &[], bare.to_string()).await;
    assert_eq!(
        (refused.status(), refused.json()["message"].clone()),
        (
            422,
            json!(
                "configmaps \"a\" is forbidden: ValidatingAdmissionPolicy 'maps' with binding 'maps' denied request: an owner is needed"
            )
        )
    );
    admin.create(MAPS, &map("a", "root")).await;
    let merge = [("content-type", "application/merge-patch+json")];
    let patch = json!({"data": {"owner": "you"}}).to_string();
    let refused = admin.ask(Method::PATCH, &format!("{MAPS}/a"), &merge, patch).await;
    assert_eq!(refused.status(), 403);
    assert!(refused.json()["message"].as_str().unwrap().ends_with("the owner stays root"));
    let refused = admin.ask(Method::DELETE, &format!("{MAPS}/a"), &[], "").await;
    assert_eq!(refused.status(), 422);
    let refused = admin.ask(Method::DELETE, &format!("{MAPS}?labelSelector=judged"), &[], "").await;
    assert_eq!(refused.status(), 422);
    assert_eq!(admin.ask(Method::DELETE, &format!("{MAPS}/free"), &[], "").await.status(), 200);

    let name = format!("{GROUP}/validatingadmissionpolicybindings/maps");
    assert_eq!(admin.ask(Method::DELETE, &name, &[], "").await.status(), 200);
    admin.create(&format!("{GROUP}/validatingadmissionpolicybindings"), &binding(json!(["Warn"]))).await;
    let deleted = admin.ask(Method::DELETE, &format!("{MAPS}/a"), &[], "").await;
    assert_eq!(deleted.status(), 200);
    assert!(deleted.header("warning").ends_with("root's stay\""), "{}", deleted.header("warning"));
}

#[tokio::test]
async fn a_policy_that_does_not_compile_is_refused() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let policies = format!("{GROUP}/validatingadmissionpolicies");
    for (expression, expected) in [
        (
            "object.data.size() >",
            "spec.validations[0].expression: Invalid value: \"object.data.size() >\": compilation failed: ERROR: <input>:1:",
        ),
        ("thing == 1", "undeclared reference to 'thing' (in container '')"),
        ("object.a + ", "Syntax error"),
        ("'text'", "must evaluate to a bool"),
    ] {
        let body = policy(json!([{ "expression": expression }])).to_string();
        let refused = admin.ask(Method::POST, &policies, &[], body).await;
        let message = refused.json()["message"].as_str().unwrap().to_string();
        assert!(refused.status() == 422 && message.contains(expected), "{expression}: {message}");
    }
    let bindings = format!("{GROUP}/validatingadmissionpolicybindings");
    let refused = admin.ask(Method::POST, &bindings, &[], binding(json!(["Deny", "Warn"])).to_string()).await;
    assert!(refused.json()["message"].as_str().unwrap().contains("must not contain both Deny and Warn"));
}

#[tokio::test]
async fn mutating_policies_change_what_is_written() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let rules = json!({"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}]});
    let make = |name: &str, mutation: Value| {
        let policy = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {"matchConstraints": rules, "reinvocationPolicy": "Never", "mutations": [mutation]}});
        let binding = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": name}, "spec": {"policyName": name}});
        [("mutatingadmissionpolicies", policy), ("mutatingadmissionpolicybindings", binding)]
    };
    let apply = json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression":
        "Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{containers: \
         object.spec.template.spec.containers.map(c, Object.spec.template.spec.containers{name: c.name, env: [\
         Object.spec.template.spec.containers.env{name: 'TEAM', value: 'blue'}]})}}}}"}});
    let patch = json!({"patchType": "JSONPatch", "jsonPatch": {"expression":
        "[JSONPatch{op: 'add', path: '/metadata/labels', value: {'team': 'blue'}}]"}});
    for (resource, object) in make("env", apply).into_iter().chain(make("label", patch)) {
        admin.create(&format!("{GROUP}/{resource}"), &object).await;
    }
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
        "selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "hello", "env": [{"name": "A", "value": "1"}]}]}}}});
    let created = admin.create("/apis/apps/v1/namespaces/default/deployments", &deployment).await;
    let container = &created["spec"]["template"]["spec"]["containers"][0];
    assert_eq!(container["image"], "hello");
    let env: Vec<&Value> =
        container["env"].as_array().unwrap().iter().map(|variable| &variable["name"]).collect();
    assert!(env.len() == 2 && env.contains(&&json!("TEAM")) && env.contains(&&json!("A")), "{env:?}");
    assert_eq!(created["metadata"]["labels"], json!({"team": "blue"}));
}
