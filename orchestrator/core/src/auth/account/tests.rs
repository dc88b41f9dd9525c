use super::*;
use crate::auth::rbac::tests::put;
use crate::auth::{AUTHENTICATED, MASTERS, NODES};
use serde_json::json;

const NOW: &str = "2030-01-01T12:00:00Z";

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

fn world() -> Snapshot {
    let mut world = Snapshot::default();
    put(&mut world, "serviceaccounts", "a", "robot", json!({"metadata": {"uid": "u1"}}));
    put(&mut world, "serviceaccounts", "a", "other", json!({"metadata": {"uid": "u2"}}));
    put(&mut world, "nodes", "", "n1", json!({"metadata": {"uid": "n"}}));
    put(&mut world, "secrets", "a", "s", json!({"metadata": {"uid": "s"}}));
    let pod = json!({"metadata": {"uid": "p"}, "spec": {"nodeName": "n1", "serviceAccountName": "robot"}});
    put(&mut world, "pods", "a", "web", pod);
    world
}

fn ask(world: &Snapshot, user: &User, name: &str, spec: Value) -> Result<Claims, Error> {
    claims(world, user, ("a", name), &mut json!({ "spec": spec }), at(NOW), "id")
}

fn root() -> User {
    User::new("root", &[MASTERS])
}

fn refusal(result: Result<Claims, Error>) -> (u16, String) {
    let error = result.unwrap_err();
    (error.code(), error.to_string())
}

fn pod() -> Value {
    json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "web", "uid": "p"}})
}

#[test]
fn a_token_says_whose_it_is_for_whom_and_how_long() {
    let world = world();
    let claims = ask(&world, &root(), "robot", json!({})).unwrap();
    assert_eq!((claims.exp - claims.iat, claims.aud.as_slice()), (3600, [ISSUER.to_string()].as_slice()));
    let user = claims.user(&world, at(NOW)).unwrap();
    assert_eq!((user.name.as_str(), user.uid.as_str()), ("system:serviceaccount:a:robot", "u1"));
    assert_eq!(user.groups, ["system:serviceaccounts", "system:serviceaccounts:a", AUTHENTICATED]);
    assert_eq!(user.extra, [("authentication.kubernetes.io/credential-id".into(), vec!["JTI=id".into()])]);

    let mut spec = pod();
    spec["audiences"] = json!(["vault", "api"]);
    spec["expirationSeconds"] = 600.into();
    let bound = ask(&world, &root(), "robot", spec).unwrap();
    assert_eq!(bound.exp - bound.iat, 600);
    assert_eq!(bound.audiences(&["api".into(), "x".into()]), ["api"]);
    let extra: Vec<String> =
        bound.user(&world, at(NOW)).unwrap().extra.into_iter().map(|(key, _)| key).collect();
    let keys = ["credential-id", "node-name", "node-uid", "pod-name", "pod-uid"];
    assert_eq!(extra, keys.map(|key| format!("authentication.kubernetes.io/{key}")));
}

#[test]
fn requests_are_judged_as_kubernetes_judges_them() {
    let world = world();
    let ask = |name: &str, spec: Value| refusal(ask(&world, &root(), name, spec));
    assert_eq!(ask("absent", json!({})), (404, "serviceaccounts \"absent\" not found".into()));
    let (code, why) = ask("robot", json!({"expirationSeconds": 599}));
    assert_eq!(
        (code, why.as_str()),
        (
            422,
            "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 599: may not specify \
             a duration less than 10 minutes"
        )
    );
    assert!(ask("robot", json!({"expirationSeconds": 1_i64 << 33})).1.ends_with("larger than 2^32 seconds"));
    let mut other = pod();
    other["boundObjectRef"]["uid"] = "q".into();
    assert_eq!(ask("robot", other).0, 409);
    assert_eq!(ask("other", pod()).0, 400, "the pod runs as somebody else");
    let of_map = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}});
    assert_eq!(ask("robot", of_map).0, 400);
    let of_none = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "x"}});
    assert_eq!(ask("robot", of_none).0, 404);
}

#[test]
fn a_node_gets_tokens_of_its_pods_alone() {
    let mut world = world();
    let node = User::new("system:node:n1", &[NODES]);
    assert!(ask(&world, &node, "robot", pod()).is_ok());
    let (code, why) = refusal(ask(&world, &node, "robot", json!({})));
    assert_eq!((code, why.ends_with("not bound to a pod")), (403, true));
    let mut without_uid = pod();
    without_uid["boundObjectRef"]["uid"] = Value::Null;
    assert!(refusal(ask(&world, &node, "robot", without_uid)).1.ends_with("without a uid"));
    let elsewhere =
        json!({"metadata": {"uid": "p"}, "spec": {"nodeName": "n2", "serviceAccountName": "robot"}});
    put(&mut world, "pods", "a", "web", elsewhere);
    assert!(refusal(ask(&world, &node, "robot", pod())).1.ends_with("on a different node"));
}

#[test]
fn a_token_ends_with_its_time_its_account_and_what_it_is_bound_to() {
    let mut world = world();
    let plain = ask(&world, &root(), "robot", json!({})).unwrap();
    let bound = ask(&world, &root(), "robot", pod()).unwrap();
    let secret = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Secret", "name": "s"}});
    let of_secret = ask(&world, &root(), "robot", secret).unwrap();
    let node = json!({"boundObjectRef": {"apiVersion": "v1", "kind": "Node", "name": "n1"}});
    let of_node = ask(&world, &root(), "robot", node).unwrap();
    let why = |claims: &Claims, world: &Snapshot, time: &str| claims.user(world, at(time)).unwrap_err();
    assert_eq!(why(&plain, &world, "2030-01-01T13:00:00Z"), "service account token has expired");
    assert_eq!(why(&plain, &world, "2030-01-01T11:59:59Z"), "service account token is not valid yet");
    assert!(Claims { iss: "x".into(), ..plain.clone() }.user(&world, at(NOW)).is_err());
    let stolen = Claims { sub: "system:serviceaccount:a:other".into(), ..plain.clone() };
    assert!(stolen.user(&world, at(NOW)).is_err());

    let going = json!({"metadata": {"uid": "p", "deletionTimestamp": NOW}});
    put(&mut world, "pods", "a", "web", going);
    assert!(bound.user(&world, at("2030-01-01T12:00:30Z")).is_ok(), "while the pod ends");
    let gone = "service account token has been invalidated";
    assert_eq!(why(&bound, &world, "2030-01-01T12:02:00Z"), gone);
    put(&mut world, "nodes", "", "n1", Value::Null);
    assert_eq!(why(&of_node, &world, NOW), gone);
    put(&mut world, "secrets", "a", "s", json!({"metadata": {"uid": "another"}}));
    assert_eq!(why(&of_secret, &world, NOW), gone);
    put(&mut world, "serviceaccounts", "a", "robot", json!({"metadata": {"uid": "another"}}));
    assert_eq!(why(&plain, &world, NOW), "serviceaccount a/robot has been deleted");
}
