//! What agents of nodes may do and write, and who may decide on certificates.

use crate::client::{APPLY, Answer, Client, MERGE, World};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use peapod_orchestrator::Identity;
use serde_json::{Value, json};

const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

fn node(name: &str, labels: Value) -> String {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}).to_string()
}

/// A pod of the account `robot` on `node` that reads the Secret of its own name.
fn pod(name: &str, node: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"nodeName": node,
        "serviceAccountName": "robot", "containers": [{"name": "c", "image": "x"}],
        "volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": name}}]}}]}})
}

/// A cluster with nodes n1 and n2, a pod and a Secret for each, and the agent of n1.
async fn world() -> (World, Client, Client) {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    admin.create("/api/v1/namespaces/default/serviceaccounts", &account).await;
    for (name, on) in [("mine", "n1"), ("other", "n2")] {
        admin.ask(Method::POST, "/api/v1/nodes", &[], node(on, json!({}))).await;
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}});
        admin.create("/api/v1/namespaces/default/secrets", &secret).await;
        admin.create("/api/v1/namespaces/default/pods", &pod(name, on)).await;
    }
    let agent = Client::over(world.plane.connect(Identity::node("n1"))).await;
    (world, admin, agent)
}

#[tokio::test]
async fn a_node_writes_itself_and_not_what_keeps_it_apart() {
    let (_world, mut admin, mut agent) = world().await;
    let path = "/api/v1/nodes/n1";
    for (patch, refused) in [
        (json!({"metadata": {"labels": {"disk": "ssd", "kubernetes.io/hostname": "n1"}}}), ""),
        (
            json!({"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}}),
            "nodes \"n1\" is forbidden: is not allowed to modify labels: node-role.kubernetes.io/control-plane",
        ),
        (
            json!({"metadata": {"labels": {"node-restriction.kubernetes.io/team": "a"}}}),
            "nodes \"n1\" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/team",
        ),
        (
            json!({"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}),
            "nodes \"n1\" is forbidden: node \"n1\" is not allowed to modify taints",
        ),
    ] {
        let answer = agent.ask(Method::PATCH, path, &MERGE, patch.to_string()).await;
        assert_eq!(answer.message(), refused, "{}", answer.text());
    }
    let role = json!({"metadata": {"labels": {"node-role.kubernetes.io/x": ""}}}).to_string();
    let through_status = agent.ask(Method::PATCH, &format!("{path}/status"), &MERGE, role).await;
    assert_eq!(through_status.status(), 403, "nor through its status: {}", through_status.text());
    let mine = "/api/v1/namespaces/default/pods/mine/status";
    let told = json!({"metadata": {"annotations": {"seen": "yes"}}, "status": {"message": "m"}}).to_string();
    let told = agent.ask(Method::PATCH, mine, &MERGE, told).await;
    assert_eq!((told.status(), told.json()["metadata"]["annotations"]["seen"].clone()), (200, json!("yes")));
    let labelled = json!({"metadata": {"labels": {"app": "x"}}}).to_string();
    let labelled = agent.ask(Method::PATCH, mine, &MERGE, labelled).await;
    let why = "pods \"mine\" is forbidden: node \"n1\" cannot update labels through pod status";
    assert_eq!((labelled.status(), labelled.message()), (403, why.into()));
    let labelled = node("n1", json!({"node-role.kubernetes.io/x": ""}));
    let applied = agent.ask(Method::PATCH, &format!("{path}?fieldManager=a"), &APPLY, labelled).await;
    assert_eq!(applied.status(), 403, "nor by server-side apply: {}", applied.text());
    for (method, target) in [
        (Method::PATCH, "/api/v1/nodes/n2"),
        (Method::DELETE, path),
        (Method::POST, "/api/v1/namespaces/default/pods"),
        (Method::GET, "/api/v1/pods"),
        (Method::GET, "/api/v1/namespaces/default/pods/other"),
        (Method::DELETE, "/api/v1/namespaces/default/pods/other"),
    ] {
        let body = if method == Method::POST { pod("new", "n1").to_string() } else { "{}".into() };
        let headers = if method == Method::PATCH { &MERGE[..] } else { &[] };
        assert_eq!(agent.ask(method.clone(), target, headers, body).await.status(), 403, "{method} {target}");
    }
    admin.ask(Method::DELETE, path, &[], "").await;
    let created = agent.ask(Method::POST, "/api/v1/nodes", &[], node("n1", json!({"x.k8s.io/y": ""}))).await;
    assert!(
        created.message().ends_with("is not allowed to set the following labels: x.k8s.io/y"),
        "{}",
        created.text()
    );
    let other = agent.ask(Method::POST, "/api/v1/nodes", &[], node("n3", json!({}))).await;
    assert_eq!(other.status(), 403);
    assert_eq!(agent.ask(Method::POST, "/api/v1/nodes", &[], node("n1", json!({}))).await.status(), 201);
}

#[tokio::test]
async fn a_node_sees_what_its_pods_need() {
    let (_world, _admin, mut agent) = world().await;
    let secrets = "/api/v1/namespaces/default/secrets";
    assert_eq!(agent.get(&format!("{secrets}/mine")).await.status(), 200);
    assert_eq!(agent.get(&format!("{secrets}?fieldSelector=metadata.name%3Dmine")).await.status(), 200);
    let refused = agent.get(&format!("{secrets}/other")).await;
    assert_eq!(
        refused.message(),
        "secrets \"other\" is forbidden: User \"system:node:n1\" cannot get resource \"secrets\" in API group \"\" in the \
         namespace \"default\": no relationship found between node 'n1' and this object"
    );
    assert_eq!(agent.get(secrets).await.status(), 403);

    let token = "/api/v1/namespaces/default/serviceaccounts/robot/token";
    let uid = agent.get("/api/v1/namespaces/default/pods/mine").await.json()["metadata"]["uid"].clone();
    for (reference, code) in [
        (json!({"apiVersion": "v1", "kind": "Pod", "name": "mine", "uid": uid}), 201),
        (json!({"apiVersion": "v1", "kind": "Pod", "name": "mine", "uid": "another"}), 409),
        (json!({"apiVersion": "v1", "kind": "Pod", "name": "mine"}), 403),
        (json!({"apiVersion": "v1", "kind": "Pod", "name": "other", "uid": "u"}), 403),
        (json!({"apiVersion": "v1", "kind": "Node", "name": "n1"}), 403),
        (Value::Null, 403),
    ] {
        let request = json!({"spec": {"boundObjectRef": reference}});
        let answer = agent.ask(Method::POST, token, &[], request.to_string()).await;
        assert_eq!(answer.status(), code, "{reference}: {}", answer.text());
    }
    let default = token.replace("robot", "default");
    assert_eq!(
        agent.ask(Method::POST, &default, &[], "{}").await.status(),
        403,
        "no pod of its runs as that"
    );
}

/// Asks for a certificate as `admin` and approves it as `user`; gives the answer.
async fn approve(admin: &mut Client, user: &str, name: &str) -> Answer {
    let request = include_str!("../../core/src/certificate/node.csr");
    let request = STANDARD.encode(request);
    let object = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": name}, "spec": {"request": request, "usages": ["client auth"],
            "signerName": "kubernetes.io/kube-apiserver-client"}});
    admin.create(REQUESTS, &object).await;
    let patch = json!({"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "r"}]}});
    let headers = [MERGE[0], ("impersonate-user", user)];
    admin.ask(Method::PATCH, &format!("{REQUESTS}/{name}/approval"), &headers, patch.to_string()).await
}

#[tokio::test]
async fn who_approves_needs_a_right_to_the_signer() {
    let (_world, mut admin, _agent) = world().await;
    let rbac = "/apis/rbac.authorization.k8s.io/v1";
    let group = "certificates.k8s.io";
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "decides"},
        "rules": [{"apiGroups": [group], "resources": ["certificatesigningrequests/approval"], "verbs": ["patch"]}]});
    admin.create(&format!("{rbac}/clusterroles"), &role).await;
    let bind = |role: &str| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": role},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": "jane", "apiGroup": "rbac.authorization.k8s.io"}]})
    };
    assert_eq!(approve(&mut admin, "jane", "one").await.status(), 403);
    admin.create(&format!("{rbac}/clusterrolebindings"), &bind("decides")).await;
    let refused = approve(&mut admin, "jane", "two").await;
    assert!(
        refused.message().ends_with(
            "user not permitted to approve requests with signerName \"kubernetes.io/kube-apiserver-client\""
        ),
        "{}",
        refused.text()
    );
    let approver = bind("system:certificates.k8s.io:kube-apiserver-client-approver");
    admin.create(&format!("{rbac}/clusterrolebindings"), &approver).await;
    let approved = approve(&mut admin, "jane", "three").await;
    assert_eq!(approved.status(), 200, "{}", approved.text());
    let mut issued = admin.get(&format!("{REQUESTS}/three")).await.json();
    while issued["status"]["certificate"].is_null() {
        issued = admin.get(&format!("{REQUESTS}/three")).await.json();
    }
    assert_eq!(issued["spec"]["username"], "kubernetes-admin", "the one who asked");
}

#[tokio::test]
async fn the_status_of_a_request_for_a_certificate_decides_nothing() {
    let (_world, mut admin, _agent) = world().await;
    let request = include_str!("../../core/src/certificate/node.csr");
    let object = json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": "r"}, "spec": {"request": STANDARD.encode(request), "signerName": "example.com/own",
            "usages": ["client auth"]}});
    admin.create(REQUESTS, &object).await;
    let mut patch = async |part: &str, status: Value| {
        let target = format!("{REQUESTS}/r/{part}");
        admin.ask(Method::PATCH, &target, &MERGE, json!({"status": status}).to_string()).await
    };
    let condition = |type_: &str| json!({"type": type_, "status": "True", "reason": "r"});
    let why =
        |what: &str| format!("CertificateSigningRequest.certificates.k8s.io \"r\" is invalid: status.{what}");
    let decided = patch("status", json!({"conditions": [condition("Approved")]})).await;
    let said = why("conditions: Forbidden: updates may not add a condition of type \"Approved\"");
    assert_eq!((decided.status(), decided.message()), (422, said));
    assert_eq!(patch("approval", json!({"conditions": [condition("Approved")]})).await.status(), 200);
    let undone = patch("status", json!({"conditions": [condition("Failed")]})).await;
    let said = why("conditions: Forbidden: updates may not remove a condition of type \"Approved\"");
    assert_eq!((undone.status(), undone.message()), (422, said));
    let mut changed = condition("Approved");
    changed["reason"] = "another".into();
    let failed = patch("status", json!({"conditions": [changed, condition("Failed")]})).await;
    let conditions = failed.json()["status"]["conditions"].clone();
    assert_eq!((&conditions[0]["reason"], &conditions[1]["type"]), (&json!("r"), &json!("Failed")));
    assert!(conditions[1]["lastTransitionTime"].is_string(), "{conditions}");
    let odd = patch("status", json!({"certificate": STANDARD.encode("no certificate")})).await;
    let said = why(
        "certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block",
    );
    assert_eq!((odd.status(), odd.message()), (422, said));
}
