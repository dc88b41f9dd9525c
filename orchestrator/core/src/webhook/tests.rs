use super::*;
use crate::auth::User;
use crate::policy::Write;
use crate::served::Served;
use crate::snapshot::Snapshot;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_api::{Draft, Key, kinds};
use serde_json::json;

fn add(snapshot: &mut Snapshot, resource: &str, namespace: &str, name: &str, mut object: Value) {
    object["metadata"]["name"] = name.into();
    let (key, revision) = (Key::new(resource, namespace, name), snapshot.revision() + 1);
    let draft = Draft::new(kinds::of_resource(resource).unwrap(), key.clone(), object);
    snapshot.apply(&Change::new(revision, key, None, Some(Arc::new(draft.at(revision)))));
}

fn hook(name: &str, groups: Value, resources: Value) -> Value {
    json!({"name": name, "sideEffects": "None", "admissionReviewVersions": ["v9", "v1"], "clientConfig": {"url": "https://h"},
        "rules": [{"apiGroups": groups, "apiVersions": ["*"], "operations": ["CREATE"], "resources": resources}]})
}

fn names(hooks: &[Arc<Hook>]) -> Vec<&str> {
    hooks.iter().map(|hook| hook.name.as_str()).collect()
}

fn kind(resource: &str) -> Served {
    kinds::of_resource(resource).unwrap().into()
}

#[test]
fn webhooks_stand_in_the_order_of_calls_under_the_resources_that_they_name() {
    let mut snapshot = Snapshot::default();
    let hooks = json!({"webhooks": [hook("2", json!([""]), json!(["pods/*", "nodes"])), hook("1", json!(["*"]), json!(["*/*"]))]});
    add(&mut snapshot, MUTATING, "", "b", hooks);
    add(&mut snapshot, MUTATING, "", "a", json!({"webhooks": [hook("3", json!([""]), json!(["pods"]))]}));
    let webhooks = snapshot.webhooks();
    assert_eq!(names(webhooks.mutating(&kind("pods"))), ["3", "2", "1"]);
    assert_eq!(names(webhooks.mutating(&kind("nodes"))), ["2", "1"]);
    assert_eq!(names(webhooks.mutating(&kind("secrets"))), ["1"]);
    assert_eq!(names(webhooks.mutating(&kind(MUTATING))), [""; 0]);
    assert_eq!(names(webhooks.validating(&kind("pods"))), [""; 0]);
    let before = snapshot.webhooks().clone();
    add(&mut snapshot, "configmaps", "d", "c", json!({}));
    assert!(Arc::ptr_eq(&before, snapshot.webhooks()), "nothing is made anew for other writes");
    let key = Key::new(MUTATING, "", "a");
    let gone = snapshot.get(&key).cloned();
    snapshot.apply(&Change::new(9, key, gone, None));
    assert_eq!(names(snapshot.webhooks().mutating(&kind("pods"))), ["2", "1"]);
}

#[test]
fn only_what_has_no_side_effects_is_asked_about_a_dry_run() {
    let (snapshot, user, pods) = (Snapshot::default(), User::new("jane", &[]), kind("pods"));
    let mut value = hook("a.b.c", json!([""]), json!(["pods"]));
    let (object, options) = (json!({}), json!({}));
    let write = Write {
        user: &user,
        kind: &pods,
        part: None,
        name: "p",
        namespace: "",
        new: Some(&object),
        old: None,
        options: &options,
        dry_run: true,
    };
    assert!(Hook::read(&value).concerns(&snapshot, &write).unwrap().is_some());
    value["sideEffects"] = "Some".into();
    let refused = Hook::read(&value).concerns(&snapshot, &write).unwrap_err();
    assert_eq!(
        (refused.code(), refused.to_string().as_str()),
        (400, "admission webhook \"a.b.c\" does not support dry run")
    );
}

#[test]
fn urls_are_written_as_kubernetes_writes_them() {
    let url = |config: Value| Hook::read(&json!({"clientConfig": config, "timeoutSeconds": 3})).url();
    assert_eq!(url(json!({"url": "https://h:1/p"})), "https://h:1/p?timeout=3s");
    assert_eq!(url(json!({"url": "https://h"})), "https://h/?timeout=3s");
    let service = json!({"name": "s", "namespace": "n"});
    assert_eq!(url(json!({"service": service})), "https://s.n.svc:443/?timeout=3s");
    let service = json!({"name": "s", "namespace": "n", "port": 8443, "path": "/a/b"});
    assert_eq!(url(json!({"service": service})), "https://s.n.svc:8443/a/b?timeout=3s");
}

fn read(version: &str, response: Value, mutates: bool) -> Result<Answer, String> {
    let hook = Hook::read(&json!({"name": "a.b.c", "admissionReviewVersions": [version]}));
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response});
    hook.read_answer(body.to_string().as_bytes(), "u", mutates)
}

#[test]
fn answers_are_read_with_care() {
    let patch = STANDARD.encode(r#"[{"op": "remove", "path": "/a"}]"#);
    let good = json!({"uid": "u", "allowed": true, "patch": patch, "patchType": "JSONPatch"});
    assert_eq!(read("v1", good.clone(), true).unwrap().patch, [json!({"op": "remove", "path": "/a"})]);
    let older = json!({"allowed": true, "patch": patch});
    assert_eq!(read("v1beta1", older.clone(), true).unwrap().patch.len(), 1);
    for (version, response, mutates, why) in [
        ("v1", older, true, "expected response.uid=\"u\", got \"\""),
        ("v1", good, false, "validating webhook may not return response.patch"),
        (
            "v1",
            json!({"uid": "u", "patch": patch}),
            true,
            "webhook returned response.patch but not response.patchType",
        ),
        (
            "v1",
            json!({"uid": "u", "patchType": "JSONPatch"}),
            true,
            "webhook returned response.patchType but not response.patch",
        ),
        (
            "v1",
            json!({"uid": "u", "patchType": "JSONPatch"}),
            false,
            "validating webhook may not return response.patchType",
        ),
        (
            "v1",
            json!({"uid": "u", "patch": patch, "patchType": "Other"}),
            true,
            "unsupported patch type \"Other\"",
        ),
        (
            "v1",
            json!({"uid": "u", "patch": "?", "patchType": "JSONPatch"}),
            true,
            "response.patch is no base64",
        ),
        (
            "v1",
            json!({"uid": "u", "patch": "e30=", "patchType": "JSONPatch"}),
            true,
            "response.patch is no JSON patch",
        ),
    ] {
        let refused = read(version, response, mutates).unwrap_err();
        assert!(refused.starts_with(&format!("received invalid webhook response: {why}")), "{refused}");
    }
    let many: Vec<String> = (0..100).map(|_| "w".repeat(300)).collect();
    let warnings = read("v1", json!({"uid": "u", "allowed": true, "warnings": many}), true).unwrap().warnings;
    assert_eq!((warnings.len(), warnings[0].len()), (16, 256));
}

#[test]
fn a_service_is_reached_by_its_ready_endpoints() {
    let mut snapshot = Snapshot::default();
    assert_eq!(backends(&snapshot, "d", "s", 443), Err("service \"s\" not found".into()));
    add(&mut snapshot, "services", "d", "s", json!({"spec": {"ports": [{"name": "a", "port": 443}]}}));
    assert_eq!(backends(&snapshot, "d", "s", 80), Err("no service port 80 found for service \"s\"".into()));
    assert_eq!(backends(&snapshot, "d", "s", 443), Err("no endpoints available for service \"s\"".into()));
    let slice = json!({"metadata": {"labels": {SERVICE: "s"}}, "ports": [{"name": "b", "port": 1}, {"name": "a", "port": 2}],
        "endpoints": [{"addresses": ["10.0.0.1"], "nodeName": "n", "targetRef": {"kind": "Pod"}},
            {"addresses": ["10.0.0.2"], "conditions": {"ready": false}}, {"addresses": ["192.168.0.9"], "nodeName": "n"}]});
    add(&mut snapshot, "endpointslices.discovery.k8s.io", "d", "s-1", slice);
    let backend =
        |host: &str, node: Option<&str>| Backend { host: host.into(), port: 2, node: node.map(String::from) };
    assert_eq!(
        backends(&snapshot, "d", "s", 443),
        Ok(vec![backend("10.0.0.1", Some("n")), backend("192.168.0.9", None)])
    );
    add(
        &mut snapshot,
        "services",
        "d",
        "e",
        json!({"spec": {"type": "ExternalName", "externalName": "h.org"}}),
    );
    assert_eq!(
        backends(&snapshot, "d", "e", 5),
        Ok(vec![Backend { host: "h.org".into(), port: 5, node: None }])
    );
}

const SERVICE: &str = "kubernetes.io/service-name";
