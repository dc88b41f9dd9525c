//! Admission policies over HTTP.

use crate::client::{Events, MERGE, World};
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
    let patch = json!({"data": {"owner": "you"}}).to_string();
    let refused = admin.ask(Method::PATCH, &format!("{MAPS}/a"), &MERGE, patch).await;
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

/// A policy that asks what is given, bound to every ConfigMap, and then a ConfigMap: code and message.
async fn judged(validation: Value) -> (u16, String) {
    let world = World::start().await;
    let mut admin = world.admin().await;
    admin.create(&format!("{GROUP}/validatingadmissionpolicies"), &policy(json!([validation]))).await;
    admin.create(&format!("{GROUP}/validatingadmissionpolicybindings"), &binding(json!(["Deny"]))).await;
    let answer =
        admin.ask(Method::POST, &format!("{MAPS}?fieldManager=me"), &[], map("a", "x").to_string()).await;
    (answer.status(), answer.json()["message"].as_str().unwrap_or_default().into())
}

#[tokio::test]
async fn policies_ask_about_rights_options_and_the_namespace() {
    let robot = "authorizer.serviceAccount('default', 'robot')";
    for good in [
        "authorizer.group('').resource('configmaps').namespace('default').check('create').allowed() \
            && authorizer.requestResource.check('delete').allowed()",
        "authorizer.path('/healthz').check('get').reason() == '' && !authorizer.path('/').check('get').errored()",
        &format!("!{robot}.group('').resource('pods').namespace('default').name('p').check('get').allowed()"),
        "request.options.fieldManager == 'me' && request.options.kind == 'CreateOptions'",
        "namespaceObject.metadata.name == 'default' && request.userInfo.username == 'kubernetes-admin'",
    ] {
        assert_eq!(judged(json!({ "expression": good })).await, (201, String::new()), "{good}");
    }
    let twice = "authorizer.path('/').check('get').allowed()";
    let (_, message) = judged(json!({"expression": format!("{twice} && {twice} && {twice}")})).await;
    assert!(message.ends_with("the cost budget is exceeded"), "more than two checks are too many: {message}");
    let no = "authorizer.serviceAccount('default', 'robot').requestResource.check('create').allowed()";
    let (code, message) = judged(json!({"expression": no, "message": "robots write nothing"})).await;
    assert!(code == 422 && message.ends_with("denied request: robots write nothing"), "{message}");
    let (_, message) = judged(json!({"expression": "authorizer.path('').check('get').allowed()"})).await;
    assert!(message.ends_with("resulted in error: path must not be empty"), "{message}");
}

#[tokio::test]
async fn what_an_expression_cannot_mean_is_told_in_the_status() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let validations = json!([{"expression": "object.spec.replicaz < 5"},
        {"expression": "object.spec.template.spec.containers.all(c, c.image != '')"},
        {"expression": "object.metadata.name == 'x'", "messageExpression": "object.spec.replicas"}]);
    let mut policy = policy(validations);
    policy["spec"]["matchConstraints"]["resourceRules"][0] = json!({"apiGroups": ["apps"], "apiVersions": ["v1"],
        "operations": ["CREATE"], "resources": ["deployments"]});
    let path = format!("{GROUP}/validatingadmissionpolicies");
    admin.create(&path, &policy).await;
    let mut watcher = world.admin().await;
    let watch = format!("{path}?watch=true&fieldSelector=metadata.name=maps");
    let mut events = Events::of(&mut watcher, &watch, "application/json").await;
    let status = loop {
        let seen = events.next().await.unwrap()["object"]["status"].clone();
        if seen["observedGeneration"] == 1 {
            break seen;
        }
    };
    let warnings = &status["typeChecking"]["expressionWarnings"];
    assert_eq!(warnings.as_array().map(Vec::len), Some(2), "{status}");
    assert_eq!(warnings[0]["fieldRef"], "spec.validations[0].expression");
    let expected = "apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'replicaz'\n | object.spec.replicaz < 5\n | ...........^\n";
    assert_eq!(warnings[0]["warning"], expected);
    assert_eq!(warnings[1]["fieldRef"], "spec.validations[2].messageExpression");
}

#[tokio::test]
async fn audit_annotations_are_checked_and_evaluated() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let path = format!("{GROUP}/validatingadmissionpolicies");
    let with = |annotations: Value| {
        let mut policy = policy(json!([{"expression": "true"}]));
        policy["spec"]["auditAnnotations"] = annotations;
        policy
    };
    let bad = with(json!([{"key": "a b", "valueExpression": "1"}, {"key": "a b", "valueExpression": "'x'"}]));
    let refused = admin.ask(Method::POST, &path, &[], bad.to_string()).await;
    let message = refused.json()["message"].as_str().unwrap().to_string();
    for why in [
        "auditAnnotations[0].key: Invalid value: \"maps/a b\"",
        "must evaluate to a string",
        "auditAnnotations[1].key: Duplicate value",
    ] {
        assert!(message.contains(why), "{message}");
    }
    admin.create(&path, &with(json!([{"key": "owner", "valueExpression": "object.data.owner"}]))).await;
    admin.create(&format!("{GROUP}/validatingadmissionpolicybindings"), &binding(json!(["Deny"]))).await;
    admin.create(MAPS, &map("a", "me")).await;
    let mut bare = map("b", "");
    bare["data"] = json!({"x": "y"});
    let refused = admin.ask(Method::POST, MAPS, &[], bare.to_string()).await;
    let message = refused.json()["message"].as_str().unwrap().to_string();
    assert!(
        message.ends_with("expression 'object.data.owner' resulted in error: no such key: owner"),
        "{message}"
    );
}
