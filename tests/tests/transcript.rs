//! What a user types, with an old and a new kubectl.

#![allow(clippy::unwrap_used, reason = "test code")]

use peapod_tests::by_both_kubectls;
use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::{Kubectl, contains};
use peapod_tests::{file, wait};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

by_both_kubectls!(transcript);

fn transcript(name: &str) {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl_named(name);
    println!("{}", kubectl.run("version").ok());
    discovery(&kubectl);
    objects(&kubectl);
    let hello = file("manifests/hello.yaml");
    kubectl.args(&["apply", "-f", hello.to_str().unwrap()]).ok();
    kubectl.run("rollout status deployment/hello --timeout=60s").ok();
    apply_again(&kubectl, &hello);
    looking(&kubectl);
    changing(&kubectl);
    rollouts(&kubectl);
    logs(&kubectl);
    watching(&kubectl);
    deleting(&kubectl);
}

fn discovery(kubectl: &Kubectl) {
    contains(&kubectl.run("api-resources").ok(), &["deployments", "deploy", "apps/v1", "pods", "Lease"]);
    contains(&kubectl.run("api-versions").ok(), &["apps/v1", "v1", "discovery.k8s.io/v1"]);
    contains(&kubectl.run("cluster-info").ok(), &["is running at"]);
    contains(&kubectl.run("explain pod.spec.containers").ok(), &["image", "FIELD"]);
    contains(
        &kubectl.run("explain deployment --recursive").ok(),
        &["maxSurge", "terminationGracePeriodSeconds"],
    );
    contains(&kubectl.run("get nodes -o wide").ok(), &["node-1", "Ready", "wasmtime://"]);
    contains(&kubectl.run("get ns").ok(), &["default", "kube-system", "kube-public", "kube-node-lease"]);
    contains(&kubectl.run("get svc kubernetes").ok(), &["ClusterIP", "443/TCP"]);
    contains(&kubectl.run("get sa,cm").ok(), &["serviceaccount/default", "configmap/kube-root-ca.crt"]);
}

fn objects(kubectl: &Kubectl) {
    contains(&kubectl.run("create namespace demo").ok(), &["namespace/demo created"]);
    kubectl.run("create configmap c --from-literal=a=b -n demo").ok();
    assert_eq!(kubectl.path("cm c -n demo", "{.data.a}"), "b");
    kubectl.run("create secret generic s --from-literal=k=v -n demo").ok();
    assert_eq!(kubectl.path("secret s -n demo", "{.data.k}"), "dg==");
    kubectl.run("create configmap c -n demo").fails_with("already exists");
    kubectl.run("create serviceaccount robot -n demo").ok();
    kubectl.run("create service clusterip quiet --tcp=80:8080 -n demo").ok();
    contains(&kubectl.run("get svc -n demo").ok(), &["quiet", "80/TCP"]);
    contains(
        &kubectl.run("create configmap dry --from-literal=a=b --dry-run=server -o name").ok(),
        &["configmap/dry"],
    );
    kubectl.run("get configmap dry").fails_with("not found");
    contains(&kubectl.run("delete namespace demo").ok(), &["deleted"]);
    kubectl.run("get configmap c -n demo").fails_with("not found");
}

fn apply_again(kubectl: &Kubectl, hello: &std::path::Path) {
    let path = hello.to_str().unwrap();
    contains(&kubectl.args(&["apply", "-f", path]).ok(), &["unchanged"]);
    kubectl.args(&["diff", "-f", path]).ok();
    let edited = std::fs::read_to_string(hello).unwrap().replace("replicas: 3", "replicas: 2");
    let diff = kubectl.stdin("diff -f -", &edited);
    assert_eq!(diff.code, 1, "a difference: {}{}", diff.out, diff.err);
    contains(&diff.out, &["-  replicas: 3", "+  replicas: 2"]);
    contains(&kubectl.stdin("apply -f -", &edited).ok(), &["deployment.apps/hello configured"]);
    kubectl.run("rollout status deployment/hello --timeout=60s").ok();
    assert_eq!(kubectl.path("deployment hello", "{.spec.replicas}"), "2");
    kubectl.args(&["apply", "--server-side", "--force-conflicts", "-f", path]).ok();
    assert_eq!(kubectl.path("deployment hello", "{.spec.replicas}"), "3");
    kubectl.run("rollout status deployment/hello --timeout=60s").ok();
}

fn looking(kubectl: &Kubectl) {
    contains(
        &kubectl.run("get all").ok(),
        &["pod/hello-", "service/hello", "deployment.apps/hello", "replicaset.apps/hello-"],
    );
    contains(&kubectl.run("get pods -o wide").ok(), &["1/1", "Running", "node-1", "10.240."]);
    contains(&kubectl.run("get deployment hello -o yaml").ok(), &["kind: Deployment", "replicas: 3"]);
    contains(&kubectl.run("get pods -A --show-labels").ok(), &["default", "app=hello"]);
    contains(&kubectl.run("get pods -l app=hello,!nothing -o name").ok(), &["pod/hello-"]);
    assert_eq!(kubectl.run("get pods -l app=nobody -o name").ok(), "");
    contains(&kubectl.run("get pods --field-selector status.phase=Running").ok(), &["hello-"]);
    contains(&kubectl.run("get pods --sort-by=.metadata.name").ok(), &["hello-"]);
    contains(&kubectl.run("get endpointslices,endpoints").ok(), &["hello", "10.240."]);
    contains(
        &kubectl.run("describe deployment hello").ok(),
        &["ScalingReplicaSet", "NewReplicaSet:", "3 available"],
    );
    let pod = kubectl.path("pods -l app=hello", "{.items[0].metadata.name}");
    contains(
        &kubectl.run(&format!("describe pod {pod}")).ok(),
        &["Status:", "Running", "Scheduled", "Started"],
    );
    contains(&kubectl.run("describe node node-1").ok(), &["Capacity:", "Allocated resources", "Ready"]);
    contains(&kubectl.run("describe svc hello").ok(), &["Endpoints:", "NodePort:"]);
    contains(&kubectl.run("events").ok(), &["Scheduled", "ScalingReplicaSet"]);
    contains(&kubectl.run("get events").ok(), &["SuccessfulCreate"]);
    events(kubectl, &pod);
    kubectl.run("get pods nothing").fails_with("NotFound");
    kubectl.run("get nonsense").fails_with("the server doesn't have a resource type");
}

/// The ways to look at events. Those of one second are in the order in which they happened.
fn events(kubectl: &Kubectl, pod: &str) {
    // The node tells of it a little later than of the pod's being ready.
    kubectl.event_says(pod, "Normal", "Started", "Started container hello");
    let order = ["Scheduled", "Pulling", "Pulled", "Created", "Started"];
    for line in [format!("events --for pod/{pod}"), format!("describe pod {pod}")] {
        let said = kubectl.run(&line).ok();
        let said = said.rsplit("Events:").next().unwrap();
        let places: Vec<_> = order.iter().map(|reason| said.find(&format!(" {reason} "))).collect();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{line}: {said}");
    }
    let of_deployment = kubectl.run("events --for deployment/hello").ok();
    contains(&of_deployment, &["ScalingReplicaSet", "Deployment/hello"]);
    assert!(!of_deployment.contains("Pod/"), "{of_deployment}");
    assert!(!kubectl.run("events --types=Warning").ok().contains("Normal"));
    contains(&kubectl.run("events --types=Normal -A").ok(), &["NAMESPACE", "Scheduled"]);
    contains(&kubectl.run("events --for deployment/hello -o json").ok(), &["\"kind\": \"EventList\""]);
    contains(
        &kubectl.run("get events --sort-by=.lastTimestamp -o wide").ok(),
        &["SUBOBJECT", "spec.containers{hello}"],
    );
    let chosen =
        format!("get events --field-selector involvedObject.name={pod},reason=Scheduled,type=Normal -o name");
    assert_eq!(kubectl.run(&chosen).ok().lines().count(), 1);
    let mut watch = kubectl
        .command(&["events", "--for", "deployment/hello", "-w"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("ScalingReplicaSet")), "what there is comes first");
    watch.kill().unwrap();
    watch.wait().unwrap();
}

fn changing(kubectl: &Kubectl) {
    kubectl.run("label deployment hello tier=front").ok();
    kubectl.run("annotate deployment hello note=x").ok();
    assert_eq!(
        kubectl.path("deployment hello", "{.metadata.labels.tier}/{.metadata.annotations.note}"),
        "front/x"
    );
    kubectl.run("label deployment hello tier-").ok();
    assert_eq!(kubectl.path("deployment hello", "{.metadata.labels.tier}"), "");
    let patches = [
        ("strategic", r#"{"spec":{"template":{"metadata":{"annotations":{"a":"1"}}}}}"#),
        ("merge", r#"{"metadata":{"annotations":{"b":"2"}}}"#),
        ("json", r#"[{"op":"add","path":"/metadata/annotations/c","value":"3"}]"#),
    ];
    for (kind, patch) in patches {
        kubectl.args(&["patch", "deployment", "hello", "--type", kind, "-p", patch]).ok();
    }
    assert_eq!(kubectl.path("deployment hello", "{.metadata.annotations.b}{.metadata.annotations.c}"), "23");
    kubectl.run("scale deployment hello --replicas=1").ok();
    kubectl.run("rollout status deployment/hello --timeout=60s").ok();
    kubectl.run("wait deployment/hello --for=condition=Available --timeout=30s").ok();
    kubectl.run("wait deployment/hello --for=jsonpath={.status.replicas}=1 --timeout=30s").ok();
    kubectl.run("scale deployment hello --replicas=3").ok();
    kubectl.run("rollout status deployment/hello --timeout=60s").ok();
}

fn rollouts(kubectl: &Kubectl) {
    let before =
        kubectl.path("deployment hello", "{.metadata.annotations.deployment\\.kubernetes\\.io/revision}");
    kubectl.run("set image deployment/hello hello=front").ok();
    kubectl.run("rollout history deployment/hello").ok();
    kubectl.run("rollout undo deployment/hello").ok();
    kubectl.run("rollout status deployment/hello --timeout=60s").ok();
    assert_eq!(kubectl.path("deployment hello", "{.spec.template.spec.containers[0].image}"), "hello");
    let after =
        kubectl.path("deployment hello", "{.metadata.annotations.deployment\\.kubernetes\\.io/revision}");
    assert!(after.parse::<u32>().unwrap() > before.parse::<u32>().unwrap(), "{before} {after}");
    kubectl.run("rollout pause deployment/hello").ok();
    kubectl.run("rollout resume deployment/hello").ok();
    kubectl.run("rollout restart deployment/hello").ok();
    kubectl.run("rollout status deployment/hello --timeout=60s").ok();
}

fn logs(kubectl: &Kubectl) {
    kubectl.stdin("apply -f -", JOB).ok();
    kubectl.becomes("pod lines", "{.status.phase}", |phase| phase == "Succeeded");
    let all = kubectl.run("logs lines").ok();
    assert!(all.ends_with("done\n") && all.lines().count() >= 2, "{all}");
    assert_eq!(kubectl.run("logs lines --tail=1").ok().lines().count(), 1);
    let stamped = kubectl.run("logs lines --timestamps").ok();
    assert!(stamped.starts_with("20"), "{stamped}");
    assert_eq!(kubectl.run("logs -f lines").ok(), all, "following a log that has ended ends");
    assert_eq!(kubectl.run("logs lines -c main --since=1h").ok(), all);
    kubectl.run("logs lines -c other").fails_with("container other is not valid for pod lines");
    contains(&kubectl.run("get pod lines").ok(), &["Completed", "0/1"]);
}

const JOB: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: lines}
spec:
  restartPolicy: Never
  containers: [{name: main, image: job}]
"#;

fn watching(kubectl: &Kubectl) {
    let mut child =
        kubectl.command(&["get", "configmap", "-w", "-o", "name"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    kubectl.run("create configmap watched --from-literal=a=b").ok();
    let seen = lines.by_ref().map_while(Result::ok).find(|line| line == "configmap/watched");
    assert!(seen.is_some(), "the watch shows what was created");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn deleting(kubectl: &Kubectl) {
    kubectl.run("delete deployment hello --cascade=orphan").ok();
    let set = kubectl.path("rs -l app=hello", "{.items[-1:].metadata.name}");
    contains(&kubectl.run("get pods -l app=hello -o name").ok(), &["pod/hello-"]);
    kubectl.run(&format!("delete rs {set} --cascade=foreground")).ok();
    kubectl.run("delete rs --all").ok();
    wait::until("no pods", 30, || match kubectl.run("get pods -l app=hello -o name").ok() {
        pods if pods.is_empty() => Ok(()),
        pods => Err(pods),
    });
    kubectl.run("delete svc hello").ok();
    kubectl.run("delete pod lines --now").ok();
    kubectl.run("delete configmap watched").ok();
    kubectl.run("delete configmap watched").fails_with("not found");
}
