//! Who may do what, asked over TLS: roles and bindings, impersonation, reviews.

use crate::client::{Answer, Client, World};
use http::Method;
use serde_json::{Value, json};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const MAY_I: &str = "/apis/authorization.k8s.io/v1";

/// What `admin` answers when he asks as `user` of `groups`.
async fn ask_as(
    admin: &mut Client,
    (user, groups): (&str, &[&str]),
    method: Method,
    target: &str,
    body: &Value,
) -> Answer {
    let mut headers = vec![("impersonate-user", user)];
    headers.extend(groups.iter().map(|group| ("impersonate-group", *group)));
    let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
    headers.push(("content-type", kind));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    admin.ask(method, target, &headers, body).await
}

fn role(kind: &str, name: &str, resources: &[&str], verbs: &[&str]) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": resources, "verbs": verbs}]})
}

fn binding(name: &str, (kind, role): (&str, &str), subject: Value) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}, "subjects": [subject]})
}

fn user(name: &str) -> Value {
    json!({"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"})
}

/// A cluster in whose namespace `default` jane is `admin` and joe may `view`.
async fn world() -> (World, Client) {
    let world = World::start().await;
    let mut admin = world.admin().await;
    for (name, role, who) in [("jane", "admin", "jane"), ("joe", "view", "joe")] {
        let object = binding(name, ("ClusterRole", role), user(who));
        admin.create(&format!("{RBAC}/namespaces/default/rolebindings"), &object).await;
    }
    (world, admin)
}

const NONE: (&str, &[&str]) = ("nobody", &[]);
const JANE: (&str, &[&str]) = ("jane", &[]);
const JOE: (&str, &[&str]) = ("joe", &[]);

#[tokio::test]
async fn default_roles_work_from_the_first_request() {
    let (_world, mut admin) = world().await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}});
    let maps = "/api/v1/namespaces/default/configmaps";
    for (who, method, target, code) in [
        (JANE, Method::POST, maps, 201),
        (JANE, Method::GET, maps, 200),
        (JANE, Method::GET, "/api/v1/namespaces/default/secrets", 200),
        (JANE, Method::GET, "/api/v1/namespaces/default", 200),
        (JANE, Method::GET, "/api/v1/namespaces/kube-system/configmaps", 403),
        (JANE, Method::GET, "/api/v1/nodes", 403),
        (JOE, Method::GET, maps, 200),
        (JOE, Method::GET, "/api/v1/namespaces/default/secrets", 403),
        (JOE, Method::DELETE, "/api/v1/namespaces/default/configmaps/c", 403),
        (NONE, Method::GET, maps, 403),
        (NONE, Method::GET, "/apis", 200),
        (NONE, Method::GET, "/apis/none.example.com/v1/widgets", 403),
        (("root", &["system:masters"]), Method::GET, "/apis/none.example.com/v1/widgets", 404),
        (("system:anonymous", &[]), Method::GET, "/apis", 403),
        (("system:anonymous", &[]), Method::GET, "/version", 200),
    ] {
        let body = if method == Method::POST { map.clone() } else { Value::Null };
        let answer = ask_as(&mut admin, who, method.clone(), target, &body).await;
        assert_eq!(answer.status(), code, "{} {method} {target}: {}", who.0, answer.text());
    }
    let refused = ask_as(&mut admin, JOE, Method::GET, "/api/v1/namespaces/kube-system", &Value::Null).await;
    assert_eq!(
        refused.message(),
        "namespaces \"kube-system\" is forbidden: User \"joe\" cannot get resource \"namespaces\" in API group \"\" in the \
         namespace \"kube-system\""
    );
}

#[tokio::test]
async fn nobody_rises_by_writing_roles() {
    let (_world, mut admin) = world().await;
    let (roles, bindings) =
        (format!("{RBAC}/namespaces/default/roles"), format!("{RBAC}/namespaces/default/rolebindings"));
    let small = role("Role", "small", &["configmaps"], &["get"]);
    assert_eq!(ask_as(&mut admin, JANE, Method::POST, &roles, &small).await.status(), 201);
    let large = role("Role", "large", &["nodes"], &["get", "delete"]);
    let refused = ask_as(&mut admin, JANE, Method::POST, &roles, &large).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(
        refused.message(),
        "roles.rbac.authorization.k8s.io \"large\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is \
         attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"nodes\"], \
         Verbs:[\"get\" \"delete\"]}"
    );
    let patch = json!({"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]});
    let small_path = format!("{roles}/small");
    assert_eq!(
        ask_as(&mut admin, JANE, Method::PATCH, &small_path, &patch).await.status(),
        403,
        "nor by a patch"
    );
    let to_all = binding("up", ("ClusterRole", "cluster-admin"), user("jane"));
    assert_eq!(ask_as(&mut admin, JANE, Method::POST, &bindings, &to_all).await.status(), 403);
    let dry = format!("{bindings}?dryRun=All");
    assert_eq!(
        ask_as(&mut admin, JANE, Method::POST, &dry, &to_all).await.status(),
        403,
        "nor in a rehearsal"
    );
    let to_small = binding("joe-small", ("Role", "small"), user("joe"));
    assert_eq!(ask_as(&mut admin, JANE, Method::POST, &bindings, &to_small).await.status(), 201);
    let joe = ask_as(&mut admin, JOE, Method::POST, &bindings, &to_small).await;
    assert!(joe.message().contains("cannot create resource \"rolebindings\""), "{}", joe.text());
}

#[tokio::test]
async fn roles_gather_others_by_label() {
    let (_world, mut admin) = world().await;
    let mut part = role("ClusterRole", "widgets", &["widgets"], &["list"]);
    part["metadata"]["labels"] = json!({"rbac.authorization.k8s.io/aggregate-to-view": "true"});
    part["rules"][0]["apiGroups"] = json!(["example.com"]);
    let question = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": "joe",
        "resourceAttributes": {"verb": "list", "group": "example.com", "resource": "widgets", "namespace": "default"}}});
    let reviews = format!("{MAY_I}/subjectaccessreviews");
    assert_eq!(admin.create(&reviews, &question).await["status"], json!({"allowed": false}));
    admin.create(&format!("{RBAC}/clusterroles"), &part).await;
    let mut status = Value::Null;
    while status["allowed"] != true {
        status = admin.create(&reviews, &question).await["status"].clone();
    }
    assert_eq!(
        status["reason"],
        "RBAC: allowed by RoleBinding \"joe/default\" of ClusterRole \"view\" to User \"joe\""
    );
}

#[tokio::test]
async fn impersonation_needs_its_right_for_each_part() {
    let (_world, mut admin) = world().await;
    let whoami = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
    let question = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let extra = ("impersonate-extra-example.com%2Fscope", "x");
    let headers =
        [("impersonate-user", "jane"), ("impersonate-group", "dev"), ("impersonate-uid", "7"), extra];
    let own = admin.ask(Method::POST, whoami, &headers, question.to_string()).await.json();
    let expected = json!({"username": "jane", "uid": "7", "groups": ["dev", "system:authenticated"],
        "extra": {"example.com/scope": ["x"]}});
    assert_eq!(own["status"]["userInfo"], expected);
    let alone = admin.ask(Method::POST, whoami, &[("impersonate-group", "dev")], question.to_string()).await;
    assert_eq!(alone.status(), 400);

    // Jane may impersonate the accounts of her namespace, and nobody else.
    let token = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "jane"}});
    admin.create("/api/v1/namespaces/default/serviceaccounts", &token).await;
    let account = json!({"kind": "ServiceAccount", "name": "jane", "namespace": "default"});
    let grant = binding("account", ("ClusterRole", "edit"), account);
    admin.create(&format!("{RBAC}/namespaces/default/rolebindings"), &grant).await;
    let minted = admin
        .create("/api/v1/namespaces/default/serviceaccounts/jane/token", &json!({"spec": {}}))
        .await["status"]["token"]
        .clone();
    admin.authorization = Some(format!("Bearer {}", minted.as_str().unwrap()));
    let default = ("system:serviceaccount:default:default", &[][..]);
    let as_default = ask_as(&mut admin, default, Method::POST, whoami, &question).await.json();
    assert_eq!(as_default["status"]["userInfo"]["username"], "system:serviceaccount:default:default");
    let refused = ask_as(&mut admin, ("root", &["system:masters"]), Method::POST, whoami, &question).await;
    assert_eq!(refused.status(), 403);
    assert_eq!(
        refused.message(),
        "users \"root\" is forbidden: User \"system:serviceaccount:default:jane\" cannot impersonate resource \"users\" in \
         API group \"\" at the cluster scope"
    );
}

#[tokio::test]
async fn questions_are_answered_and_not_kept() {
    let (_world, mut admin) = world().await;
    let before = admin.get("/api/v1/namespaces/default/configmaps").await.json()["metadata"].clone();
    let rules = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": "default"}});
    let of_joe =
        ask_as(&mut admin, JOE, Method::POST, &format!("{MAY_I}/selfsubjectrulesreviews"), &rules).await;
    assert_eq!(of_joe.status(), 201);
    let listed = of_joe.json()["status"]["resourceRules"].to_string();
    assert!(listed.contains("pods/log") && !listed.contains("secrets"), "{listed}");
    let may = json!({"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": {}});
    let path = format!("{MAY_I}/selfsubjectaccessreviews");
    let neither = ask_as(&mut admin, JOE, Method::POST, &path, &may).await;
    assert_eq!((neither.status(), neither.json()["reason"].clone()), (422, json!("Invalid")));
    let of_others = format!("{MAY_I}/subjectaccessreviews");
    assert_eq!(ask_as(&mut admin, JOE, Method::POST, &of_others, &may).await.status(), 403);
    for (method, target) in [
        (Method::GET, path.clone()),
        (Method::GET, format!("{path}/x")),
        (Method::DELETE, path.clone()),
        (Method::PUT, format!("{path}/x")),
    ] {
        assert_eq!(admin.ask(method.clone(), &target, &[], "").await.status(), 405, "{method} {target}");
    }
    let resources = admin.get(MAY_I).await.json()["resources"].clone();
    let verbs: Vec<&Value> =
        resources.as_array().unwrap().iter().map(|resource| &resource["verbs"]).collect();
    assert_eq!(verbs, vec![&json!(["create"]); 4]);
    let after = admin.get("/api/v1/namespaces/default/configmaps").await.json()["metadata"].clone();
    assert_eq!(before, after, "no revision was spent");
}
