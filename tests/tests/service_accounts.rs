//! Pods that act as their service account: what they find in their files, and that it counts.

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::Kubectl;
use peapod_tests::{http, wait};

const READY: &str = "{.status.conditions[?(@.type==\"Ready\")].status}";
const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// A pod of the guest `files`, which serves what it finds in `directory`, behind a NodePort.
fn serve(kubectl: &Kubectl, name: &str, directory: &str, spec: &str, mounts: &str) {
    let container = format!(
        "{{name: a, image: files, env: [{{name: DIRECTORY, value: {directory}}}], ports: [{{containerPort: 80}}], \
         resources: {{limits: {{memory: 64Mi}}}}, volumeMounts: {mounts}}}"
    );
    kubectl.pod(name, &format!("{{{spec}, containers: [{container}]}}"));
    kubectl.becomes(&format!("pod {name}"), READY, |ready| ready == "True");
    let service = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{type: NodePort, selector: {{app: {name}}}, \
         ports: [{{port: 80}}]}}\n"
    );
    kubectl.stdin("apply -f -", &service).ok();
}

/// A file of that pod.
fn read(cluster: &Cluster, name: &str, file: &str) -> String {
    let at = cluster.node_port(name);
    wait::until(&format!("{file} of {name}"), 30, || match http::get(at, &format!("/{file}")) {
        Ok((200, text)) => Ok(text),
        other => Err(format!("{other:?}")),
    })
}

/// User name and first audience that a TokenReview of `token` answers, or its error.
fn review(kubectl: &Kubectl, token: &str, audience: &str) -> String {
    let spec = format!("{{token: '{token}', audiences: ['{audience}']}}");
    let review = format!("{{apiVersion: authentication.k8s.io/v1, kind: TokenReview, spec: {spec}}}");
    let output = "jsonpath={.status.user.username}:{.status.audiences[0]}{.status.error}";
    kubectl.stdin(&format!("create -f - -o {output}"), &review).ok()
}

#[test]
fn projected_volumes_show_tokens_objects_and_the_pod() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.run("create serviceaccount robot").ok();
    kubectl.args(&["create", "configmap", "settings", "--from-literal=mode=fast"]).ok();
    kubectl.args(&["create", "secret", "generic", "vault", "--from-literal=word=sesame"]).ok();
    let facts = "items: [{path: uid, fieldRef: {fieldPath: metadata.uid}, mode: 0400}, \
                 {path: memory, resourceFieldRef: {containerName: a, resource: limits.memory, divisor: 1Mi}}]";
    let sources = format!(
        "[{{configMap: {{name: settings, optional: false, items: [{{key: mode, path: map}}]}}}}, \
         {{secret: {{name: vault, optional: false, items: [{{key: word, path: deep/secret}}]}}}}, \
         {{configMap: {{name: nowhere, optional: true}}}}, {{downwardAPI: {{{facts}}}}}, \
         {{serviceAccountToken: {{audience: vault, expirationSeconds: 600, path: deep/token}}}}]"
    );
    let labels = "{defaultMode: 0444, items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}";
    let spec = format!(
        "serviceAccountName: robot, volumes: [{{name: all, projected: {{defaultMode: 0440, sources: {sources}}}}}, \
         {{name: own, downwardAPI: {labels}}}]"
    );
    serve(&kubectl, "all", "/all", &spec, "[{name: all, mountPath: /all}, {name: own, mountPath: /all/own}]");
    let file = |name: &str| read(&cluster, "all", name);
    assert_eq!((file("map").as_str(), file("deep/secret").as_str()), ("fast", "sesame"));
    assert_eq!(file("uid"), kubectl.path("pod all", "{.metadata.uid}"));
    assert_eq!(file("memory"), "64");
    let token = file("deep/token");
    assert_eq!(review(&kubectl, &token, "vault"), "system:serviceaccount:default:robot:vault");
    assert!(review(&kubectl, &token, "other").contains("invalid bearer token"));

    assert_eq!(file("own/labels"), "app=\"all\"");
    kubectl.run("label pod all tier=front").ok();
    wait::until("the new label", 30, || match file("own/labels").as_str() {
        "app=\"all\"\ntier=\"front\"" => Ok(()),
        other => Err(other.to_string()),
    });
    kubectl.run("delete pod all --now").ok();
    assert!(review(&kubectl, &token, "vault").contains("has been invalidated"), "it ends with its pod");
}

#[test]
fn a_pod_that_asks_for_it_finds_its_token() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    let directory = "/var/run/secrets/kubernetes.io/serviceaccount";
    serve(&kubectl, "client", directory, "automountServiceAccountToken: true", "[]");
    let token = read(&cluster, "client", "token");
    assert_eq!(review(&kubectl, &token, ISSUER), format!("system:serviceaccount:default:default:{ISSUER}"));
    assert_eq!(read(&cluster, "client", "namespace"), "default");
    assert!(read(&cluster, "client", "ca.crt").starts_with("-----BEGIN CERTIFICATE-----"));
    assert!(kubectl.path("pod client", "{.spec.volumes[0].name}").starts_with("kube-api-access-"));
    kubectl.pod("plain", "{restartPolicy: Never, containers: [{name: a, image: job}]}");
    assert_eq!(kubectl.path("pod plain", "{.spec.volumes}"), "", "nothing is mounted that was not asked for");
}
