//! Who may do what, as kubectl asks, grants and shows it: an old one and a new one.
#![allow(clippy::unwrap_used, reason = "test code")]

use peapod_tests::by_both_kubectls;
use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::{Kubectl, contains};

by_both_kubectls!(transcript);

fn transcript(name: &str) {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl_named(name);
    println!("{}", kubectl.run("version").ok());
    kubectl.run("create namespace team").ok();
    asking(&kubectl);
    granting(&kubectl);
    reconciling(&kubectl);
    acting(&cluster, &kubectl);
}

/// `auth can-i` of `line` says `expected` and ends as that.
fn can(kubectl: &Kubectl, line: &str, expected: bool) {
    let ran = kubectl.run(&format!("auth can-i {line}"));
    assert_eq!(
        (ran.out.trim(), ran.code == 0),
        (if expected { "yes" } else { "no" }, expected),
        "{line}: {}",
        ran.err
    );
}

fn whoami(kubectl: &Kubectl) {
    contains(
        &kubectl.run("auth whoami").ok(),
        &["kubernetes-admin", "system:masters", "system:authenticated"],
    );
    contains(
        &kubectl.run("auth whoami --as jane --as-group dev").ok(),
        &["jane", "[dev system:authenticated]"],
    );
}

fn asking(kubectl: &Kubectl) {
    whoami(kubectl);
    can(kubectl, "create deployments -n team", true);
    can(kubectl, "'*' '*' --all-namespaces".replace('\'', "").as_str(), true);
    can(kubectl, "get pods -n team --as jane", false);
    can(kubectl, "get /healthz --as jane", true);
    can(kubectl, "get /metrics --as jane", false);
    let own = kubectl.run("auth can-i --list -n team --as jane").ok();
    contains(&own, &["selfsubjectaccessreviews.authorization.k8s.io", "[create]", "/openapi/*", "[get]"]);
    assert!(!own.contains("pods"), "{own}");
    kubectl.run("get pods -n team --as jane").fails_with(
        "pods is forbidden: User \"jane\" cannot list resource \"pods\" in API group \"\" in the namespace \"team\"",
    );
    contains(
        &kubectl.run("get clusterroles").ok(),
        &["cluster-admin", "admin", "edit", "view", "system:discovery", "system:basic-user"],
    );
    contains(
        &kubectl.run("describe clusterrole view").ok(),
        &["pods/log", "[get list watch]", "deployments.apps"],
    );
    contains(&kubectl.run("get clusterrolebinding cluster-admin -o wide").ok(), &["system:masters"]);
}

fn granting(kubectl: &Kubectl) {
    kubectl.run("create role reader --verb=get,list --resource=pods,pods/log,deployments.apps -n team").ok();
    kubectl.run("create rolebinding jane --role=reader --user=jane -n team").ok();
    contains(&kubectl.run("get rolebinding jane -n team -o wide").ok(), &["Role/reader", "jane"]);
    can(kubectl, "get pods --subresource=log -n team --as jane", true);
    can(kubectl, "list deployments.apps -n team --as jane", true);
    can(kubectl, "delete pods -n team --as jane", false);
    can(kubectl, "get pods -n default --as jane", false);
    kubectl.run("get pods,deployments -n team --as jane").ok();
    kubectl.run("create clusterrole nodes --verb=get --resource=nodes --resource-name=node-1").ok();
    kubectl.run("create clusterrole metrics --verb=get --non-resource-url=/metrics").ok();
    kubectl.run("create clusterrolebinding nodes --clusterrole=nodes --group=dev").ok();
    kubectl.run("create clusterrolebinding metrics --clusterrole=metrics --serviceaccount=team:robot").ok();
    can(kubectl, "get nodes/node-1 --as jane --as-group dev", true);
    can(kubectl, "get nodes/node-2 --as jane --as-group dev", false);
    can(kubectl, "get /metrics --as system:serviceaccount:team:robot", true);
    kubectl.run("create rolebinding joe --clusterrole=admin --user=joe -n team").ok();
    kubectl
        .run("create role up --verb=* --resource=secrets,nodes -n team --as joe")
        .fails_with("is attempting to grant RBAC permissions not currently held");
    kubectl
        .run("create rolebinding up --clusterrole=cluster-admin --user=joe -n team --as joe")
        .fails_with("forbidden");
    kubectl.run("create role down --verb=get --resource=secrets -n team --as joe").ok();
    kubectl.run("get pods --as root --as-group system:masters").ok();
    kubectl.run("create clusterrole sum --aggregation-rule=team=true").ok();
    kubectl.run("create clusterrole part --verb=list --resource=secrets").ok();
    kubectl.run("label clusterrole part team=true").ok();
    kubectl.becomes("clusterrole sum", "{.rules[0].resources[0]}", |resource| resource == "secrets");
}

const RECONCILED: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: nodes}
rules:
- {apiGroups: [""], resources: [nodes], verbs: [list]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: nodes}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: nodes}
subjects:
- {kind: User, name: ann, apiGroup: rbac.authorization.k8s.io}
"#;

fn reconciling(kubectl: &Kubectl) {
    contains(&kubectl.stdin("auth reconcile -f -", RECONCILED).ok(), &["clusterrole", "clusterrolebinding"]);
    can(kubectl, "list nodes --as ann", true);
    can(kubectl, "get nodes/node-1 --as jane --as-group dev", true);
    kubectl.run("delete clusterrolebinding nodes").ok();
    can(kubectl, "list nodes --as ann", false);
}

/// A service account with its token in a kubeconfig of its own.
fn acting(cluster: &Cluster, kubectl: &Kubectl) {
    kubectl.run("create serviceaccount robot -n team").ok();
    let token = kubectl.run("create token robot -n team --duration=20m --audience=https://kubernetes.default.svc.cluster.local").ok();
    let config = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster: {{server: 'https://{}', \
         certificate-authority: '{}'}}\ncontexts:\n- name: c\n  context: {{cluster: c, user: u, namespace: team}}\nusers:\n\
         - name: u\n  user: {{token: '{}'}}\n",
        cluster.address(),
        cluster.data_dir().join("pki/ca.crt").display(),
        token.trim()
    );
    let path = cluster.scratch().join("robot.kubeconfig");
    std::fs::write(&path, config).unwrap();
    let robot = |line: &str| {
        let args: Vec<&str> = line.split_whitespace().collect();
        let output = kubectl.command(&args).env("KUBECONFIG", &path).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.success(), text(output.stdout), text(output.stderr))
    };
    let (_, who, _) = robot("auth whoami");
    contains(&who, &["system:serviceaccount:team:robot", "system:serviceaccounts:team", "credential-id"]);
    let (done, _, why) = robot("get pods");
    assert!(
        !done && why.contains("User \"system:serviceaccount:team:robot\" cannot list resource \"pods\""),
        "{why}"
    );
    kubectl.run("create rolebinding robot --clusterrole=edit --serviceaccount=team:robot -n team").ok();
    assert!(robot("create configmap made --from-literal=by=robot").0);
    assert!(robot("get pods,configmaps").0);
    assert!(!robot("get configmaps -n default").0);
    assert!(!robot("get pods --as jane").0, "acting as somebody else is a right of its own");
    kubectl.run("delete serviceaccount robot -n team").ok();
    let (done, _, why) = robot("get pods");
    assert!(!done && why.contains("Unauthorized"), "{why}");
    kubectl.run("create token robot -n team").fails_with("serviceaccounts \"robot\" not found");
}
