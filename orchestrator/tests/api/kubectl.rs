//! What a user types, with the kubectl of the machine. Without one there is nothing to test here.

use crate::client::World;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

struct Kubectl<'a>(&'a World);

impl Kubectl<'_> {
    /// Whether the machine has one.
    async fn is_there() -> bool {
        let mut version = Command::new("kubectl");
        version.args(["version", "--client"]).stdout(Stdio::null()).stderr(Stdio::null());
        version.status().await.is_ok_and(|status| status.success())
    }

    /// Runs a command line, which must succeed, and gives its output.
    async fn run(&self, line: &str) -> String {
        self.run_with(line, "").await
    }

    async fn run_with(&self, line: &str, input: &str) -> String {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(self.0.plane.kubeconfig_path());
        command.args(["--cache-dir".as_ref(), self.0.directory.path().join("cache").as_os_str()]);
        command
            .args(line.split_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = child.wait_with_output().await.unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "kubectl {line}: {text}{}", String::from_utf8_lossy(&output.stderr));
        text
    }
}

const MANIFEST: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: demo, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: hello, ports: [{containerPort: 80}]}]}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: demo}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_user_gets_about() {
    if !Kubectl::is_there().await {
        return;
    }
    let world = World::start().await;
    let kubectl = Kubectl(&world);
    assert!(kubectl.run("version").await.contains("Server Version: v1.36.0+peapod"));
    assert_eq!(kubectl.run("create namespace demo").await.trim(), "namespace/demo created");
    assert!(
        kubectl.run("get ns").await.lines().any(|line| line.starts_with("demo") && line.contains("Active"))
    );
    let applied = kubectl.run_with("apply -f -", MANIFEST).await;
    assert_eq!(applied, "deployment.apps/web created\nservice/web created\n");
    let applied = kubectl.run_with("apply -f -", MANIFEST).await;
    assert_eq!(applied, "deployment.apps/web unchanged\nservice/web unchanged\n");
    let wide = kubectl.run("get deployments -n demo -o wide").await;
    assert!(wide.contains("CONTAINERS") && wide.contains("app=web"), "{wide}");
    assert!(kubectl.run("get svc web -n demo").await.contains("80:3"), "a node port");
    assert_eq!(kubectl.run("get deploy web -n demo -o jsonpath={.spec.replicas}").await, "2");
    assert_eq!(
        kubectl.run("scale deploy/web --replicas=3 -n demo").await.trim(),
        "deployment.apps/web scaled"
    );
    assert!(kubectl.run("api-resources").await.contains("deployments"));
    assert!(kubectl.run("delete svc web -n demo").await.starts_with("service \"web\" deleted"));
}
