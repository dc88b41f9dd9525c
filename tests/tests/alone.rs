//! A node that starts while its server is away: real `peapod server` and `peapod agent` processes, killed like machines
//! that lose their power.

use peapod_tests::cluster::Cluster;
use peapod_tests::process::Place;
use peapod_tests::{http, wait};
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Two replicas that say whose they are, by a variable of a ConfigMap and one of a Secret, and a pod that is over.
const MANIFEST: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {place: the barn}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {key: 9qXz}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      volumes: [{name: key, secret: {secretName: key}}]
      containers:
      - name: web
        image: hello
        ports: [{containerPort: 80}]
        env: [{name: PLACE, valueFrom: {configMapKeyRef: {name: settings, key: place}}}]
        volumeMounts: [{name: key, mountPath: /key}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Pod
metadata: {name: once}
spec: {restartPolicy: Never, containers: [{name: main, image: job}]}
"#;

const RUNS: &str = "{range .items[*]}{.metadata.name} {.metadata.uid} {.status.podIP} {.status.containerStatuses[*].restartCount};{end}";

#[test]
fn pods_start_from_the_nodes_own_disk() {
    let mut cluster = Cluster::server(&Place::own(), &[]);
    let mut far = cluster.join(&Place::own(), "far", &[]);
    let kubectl = cluster.kubectl();
    kubectl.stdin("apply -f -", MANIFEST).ok();
    kubectl.run("rollout status deployment/web --timeout=60s").ok();
    kubectl.run("wait pod/once --for=jsonpath={.status.phase}=Succeeded --timeout=60s").ok();
    let names = kubectl.path("pods -l app=web", "{.items[*].metadata.name}");
    let expected: BTreeSet<String> = names.split(' ').map(Into::into).collect();
    let at = SocketAddr::new(far.place().host, cluster.node_port("web").port());
    http::all_answer(at, &expected);
    let before = kubectl.path("pods -l app=web", RUNS);
    let kept = far.data_dir().join("agent/kept");
    wait::until("what the node knows to be on its disk", 30, || {
        let files = walk(&kept);
        let holds = |text: &str| files.iter().any(|file| file.contains(text));
        let all = ["\"the barn\"", "OXFYeg==", "\"Succeeded\"", "\"addressType\"", "\"nodePort\""];
        match all.iter().find(|text| !holds(text)) {
            None => Ok(()),
            Some(text) => Err(format!("{text} in {} files", files.len())),
        }
    });

    cluster.kill();
    far.kill();
    far.without_token();
    far.start();
    http::all_answer(at, &expected);
    far.complains("cannot reach");

    cluster.up();
    far.says("ready far");
    let after = wait::until("the pods' new starts in the API", 60, || {
        let after = kubectl.path("pods -l app=web", RUNS);
        if after == before.replace(" 0;", " 1;") { Ok(after) } else { Err(after) }
    });
    println!("{after}");
    http::all_answer(at, &expected);
    assert_eq!(
        kubectl.path("pod once", "{.status.phase} {.status.containerStatuses[0].restartCount}"),
        "Succeeded 0"
    );

    // What nobody needs any more leaves the disk.
    kubectl.run("delete deployment web").ok();
    wait::until("the Secret to leave the node", 60, || {
        if walk(&kept).iter().any(|file| file.contains("OXFYeg==")) {
            Err("it is there".to_string())
        } else {
            Ok(())
        }
    });
}

/// The contents of all files below `dir`.
fn walk(dir: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let read = |path: std::path::PathBuf| match path.is_dir() {
        true => walk(&path),
        false => std::fs::read_to_string(path).into_iter().collect(),
    };
    entries.flat_map(|entry| read(entry.path())).collect()
}
