//! What a user types, with the kubectl of the machine. Without one there is nothing to test here.

use crate::client::World;
use futures_util::{StreamExt, stream};
use peapod_api::kinds::{self, KINDS};
use peapod_core::schema;
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

/// Explanations that are asked for at a time.
const AT_A_TIME: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_listed_and_explained() {
    if !Kubectl::is_there().await {
        return;
    }
    let world = World::start().await;
    let kubectl = Kubectl(&world);
    let listed = kubectl.run("api-resources --no-headers").await;
    for kind in KINDS.iter().filter(|kind| kinds::stored_as(kind).is_none()) {
        let words = |line: &str| line.split_whitespace().map(str::to_string).collect::<Vec<_>>();
        let is_own = |line: &Vec<String>| {
            line.first() == Some(&kind.plural.to_string()) && line.contains(&kind.api_version())
        };
        let line = listed.lines().map(words).find(is_own).unwrap_or_else(|| panic!("{listed}"));
        assert_eq!(line.last(), Some(&kind.kind.to_string()), "{line:?}");
        assert!(kind.short_names.is_empty() || line[1] == kind.short_names.join(","), "{line:?}");
    }
    stream::iter(KINDS.iter())
        .for_each_concurrent(AT_A_TIME, |kind| async {
            let (plural, version) = (&kind.plural, kind.api_version());
            let text = kubectl.run(&format!("explain {plural} --api-version={version} --recursive")).await;
            assert!(
                text.contains(&format!("KIND:       {}\n", kind.kind)) && text.contains("FIELDS:"),
                "{text}"
            );
            let fields = schema::lookup_kind(&version, &kind.kind).unwrap().fields.iter();
            for field in fields {
                let shown = text.lines().any(|line| line.starts_with(&format!("  {}\t", field.name)));
                assert!(shown, "{version} {plural}: {} is missing in {text}", field.name);
            }
            assert!(!text.contains("DESCRIPTION:\n    <empty>"), "{text}");
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typed_commands_make_print_and_describe_their_kinds() {
    if !Kubectl::is_there().await {
        return;
    }
    let world = World::start().await;
    let kubectl = Kubectl(&world);
    for line in [
        "create quota quota --hard=pods=30,cpu=2",
        "create pdb budget --selector=app=web --min-available=1",
        "create priorityclass urgent --value=1000 --description=first",
        "create role reader --verb=get,list --resource=pods",
        "create rolebinding reads --role=reader --user=jane --serviceaccount=default:robot",
        "create clusterrole nodes --verb=get --resource=nodes",
        "create clusterrolebinding seen --clusterrole=nodes --group=people",
        "create ingress web --class=nginx --rule=example.com/shop*=web:80,tls=cert",
        "create cronjob nightly --image=hello --schedule=@daily",
        "create job once --image=hello",
        "create job now --from=cronjob/nightly",
        "create deployment web --image=hello --replicas=0",
        "autoscale deployment web --max=3 --cpu-percent=50",
    ] {
        let made = kubectl.run(line).await;
        assert!(made.ends_with("created\n") || made.ends_with("autoscaled\n"), "{line}: {made}");
    }
    kubectl.run_with("apply -f -", STORED).await;
    for (line, expected) in [
        ("get quota", "quota"),
        ("get pdb", "budget 1 N/A 0"),
        ("get priorityclass", "urgent 1000 false"),
        ("get rolebinding reads -o wide", "Role/reader"),
        ("get ingress", "web nginx example.com 80, 443"),
        ("get cronjob", "nightly @daily <none> False 0 <none>"),
        ("get job once", "once Running 0/1"),
        ("get hpa", "web Deployment/web cpu: <unknown>/50% 1 3 0"),
        ("get sts,ds -o wide", "statefulset.apps/db 0/0"),
        ("get pvc", "data Pending"),
        ("get pv", "disk 1Gi RWO Retain"),
        ("get sc", "fast (default) example.com/disks Delete Immediate false"),
        ("get rc old", "old 0 0 0"),
        ("get limits", "bounds"),
    ] {
        let text = kubectl.run(line).await;
        let words: Vec<_> = text.split_whitespace().collect();
        assert!(words.join(" ").contains(expected), "{line}: {text}");
    }
    for line in [
        "describe quota,pdb,role,rolebinding,ingress,cronjob,job,hpa,sts,ds,pvc,rc,limits",
        "describe priorityclass,clusterrole,clusterrolebinding,pv,sc",
        "get all",
        "get events.events.k8s.io",
        "scale rc/old --replicas=0",
        "label job/once a=b",
        "annotate sc/fast a=b",
        "set image cronjob/nightly nightly=other",
        "auth can-i --list",
        "delete quota,pdb,role,rolebinding,ingress,cronjob,job,hpa,sts,ds,pvc,rc,limits,deployment --all",
    ] {
        kubectl.run(line).await;
    }
    assert_eq!(kubectl.run("get quota,pdb,ingress,cronjob,hpa,sts,ds,pvc,rc,limits -o name").await, "");
}

const STORED: &str = "
apiVersion: v1
kind: List
items:
- {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {serviceName: db, replicas: 0, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: hello}]}}}}
- {apiVersion: apps/v1, kind: DaemonSet, metadata: {name: logs}, spec: {selector: {matchLabels: {app: logs}}, template: {metadata: {labels: {app: logs}}, spec: {containers: [{name: c, image: hello}]}}}}
- {apiVersion: v1, kind: ReplicationController, metadata: {name: old}, spec: {replicas: 0, template: {metadata: {labels: {app: old}}, spec: {containers: [{name: c, image: hello}]}}}}
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
- {apiVersion: v1, kind: PersistentVolume, metadata: {name: disk}, spec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}, hostPath: {path: /data}}}
- {apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: fast, annotations: {storageclass.kubernetes.io/is-default-class: 'true'}}, provisioner: example.com/disks}
- {apiVersion: v1, kind: LimitRange, metadata: {name: bounds}, spec: {limits: [{type: Container, max: {cpu: 2}}]}}
";
