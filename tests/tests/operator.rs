//! An operator that others wrote, dask-kubernetes, reconciles its custom resources: installed by its own chart, run as a process
//! with the rights that the chart gives it. Guests of modules/dist stand in for its images.

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::Kubectl;
use peapod_tests::{tool, wait};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const PACKAGE: &str = "dask/dask_kubernetes/operator";

/// The running operator. Dropping it ends it, and shows the end of its log if the test has failed.
struct Operator {
    child: Child,
    log: PathBuf,
}

impl Operator {
    fn start(kubeconfig: &Path, directory: &Path) -> Operator {
        let log = directory.join("operator.log");
        let file = File::create(&log).expect("a log file");
        let libraries =
            [tool("python-client"), tool("dask")].map(|path| path.display().to_string()).join(":");
        let child = Command::new("python3")
            .args(["-m", "kopf", "run", "-m", "dask_kubernetes.operator.controller", "--all-namespaces"])
            .env("PYTHONPATH", libraries)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("KUBECONFIG", kubeconfig)
            .env("HOME", directory)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a second handle"))
            .stderr(file)
            .spawn()
            .expect("python3 starts");
        Operator { child, log }
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            println!("--- operator\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// A kubeconfig of the service account that the chart made for its operator.
fn kubeconfig(cluster: &Cluster, kubectl: &Kubectl, account: &str) -> PathBuf {
    let path = cluster.scratch().join("operator-kubeconfig");
    std::fs::copy(cluster.kubeconfig(), &path).expect("the administrator's kubeconfig");
    let token = kubectl.run(&format!("create token {account} -n dask")).ok();
    let entry = kubectl.run("config view -o jsonpath={.clusters[0].name}").ok();
    let config = |line: &str| kubectl.run(&format!("config --kubeconfig {} {line}", path.display())).ok();
    config(&format!("set-credentials operator --token {}", token.trim()));
    config(&format!("set-context operator --cluster {entry} --user operator"));
    config("use-context operator");
    path
}

/// An object of the package's own tests, with a guest in place of its image.
fn resource(name: &str) -> String {
    let path = tool(&format!("{PACKAGE}/controller/tests/resources/{name}.yaml"));
    std::fs::read_to_string(path).expect("a manifest").replace("dask-kubernetes:dev", "hello")
}

/// Names of the objects that a selector finds.
fn named(kubectl: &Kubectl, kind: &str, selector: &str) -> Vec<String> {
    let found = kubectl.path(&format!("{kind} -l {selector}"), "{.items[*].metadata.name}");
    found.split_whitespace().map(String::from).collect()
}

/// Waits until so many worker Deployments of the group are ready.
fn workers(kubectl: &Kubectl, group: &str, count: usize) {
    let what = format!("deployments -l dask.org/workergroup-name={group}");
    kubectl.becomes(&what, "{.items[*].status.readyReplicas}", |ready| ready == vec!["1"; count].join(" "));
}

/// Waits until nothing of these kinds is left, of those that `selector` finds if it is not empty.
fn gone(kubectl: &Kubectl, kinds: &str, selector: &str) {
    let line = format!("get {kinds} -o name --selector={selector}");
    wait::until(&format!("the end of {kinds}"), 40, || match kubectl.run(&line).ok().as_str() {
        "" => Ok(()),
        left => Err(left.to_string()),
    });
}

#[test]
fn an_operator_that_others_wrote_reconciles_its_objects() {
    let cluster = Cluster::start(&[]);
    let (helm, kubectl) = (cluster.kubectl_named("helm"), cluster.kubectl());
    let chart = tool(&format!("{PACKAGE}/deployment/helm/dask-kubernetes-operator"));
    let release = |line: &str| {
        helm.run(&format!("{line} -n dask").replace("CHART", chart.to_str().expect("UTF-8"))).ok()
    };
    release("install op CHART --create-namespace");
    release("upgrade op CHART --set workerAllocation.size=4,workerAllocation.delay=1");
    let variable = "{.spec.template.spec.containers[0].env[0].value}";
    let deployment = "deployment op-dask-kubernetes-operator -n dask";
    assert_eq!(kubectl.path(deployment, variable), "4");
    release("rollback op 1");
    assert_eq!(kubectl.path(deployment, variable), "", "what the second revision added is gone");
    assert!(release("history op").contains("Rollback to 1"));

    let config = kubeconfig(&cluster, &kubectl, "op-dask-kubernetes-operator");
    let operator = Operator::start(&config, cluster.scratch());
    println!("operator: dask-kubernetes, process {}", operator.child.id());
    a_cluster_gets_its_parts(&kubectl);
    groups_follow_their_replicas(&kubectl);
    a_job_runs_with_a_cluster_of_its_own(&kubectl);

    kubectl.run("delete daskcluster simple --timeout=40s").ok();
    gone(&kubectl, "daskworkergroups,deployments,replicasets,pods", "");
    gone(&kubectl, "services", "dask.org/cluster-name=simple");
    drop(operator);
    release("uninstall op --wait");
    kubectl.run("get clusterrole op-dask-kubernetes-operator-role-cluster").fails_with("NotFound");
    // Helm waits for the Deployment; what it owns goes after it.
    wait::until("nothing of the release is left", 60, || {
        match kubectl.run("get all -n dask -o name").ok().as_str() {
            "" => Ok(()),
            left => Err(left.to_string()),
        }
    });
    kubectl.run("get crd daskclusters.kubernetes.dask.org").ok();
}

fn a_cluster_gets_its_parts(kubectl: &Kubectl) {
    kubectl.stdin("apply -f -", &resource("simplecluster")).ok();
    kubectl.run("wait daskcluster/simple --for=jsonpath={.status.phase}=Running --timeout=60s").ok();
    kubectl.run("wait daskworkergroup/simple-default --for=create --timeout=60s").ok();
    kubectl.run("wait deployment/simple-scheduler --for=condition=Available --timeout=60s").ok();
    assert_eq!(kubectl.path("service simple-scheduler", "{.spec.ports[*].port}"), "8786 8787");
    let owner = |what: &str| {
        kubectl.path(what, "{.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name}")
    };
    assert_eq!(owner("service simple-scheduler"), "DaskCluster/simple");
    assert_eq!(owner("daskworkergroup simple-default"), "DaskCluster/simple");
    workers(kubectl, "simple-default", 2);
    let labels = "dask.org/component=worker,test-label=label-value,worker-sublabel=label-value";
    let deployments = named(kubectl, "deployments", labels);
    assert_eq!(deployments.len(), 2);
    assert_eq!(owner(&format!("deployment {}", deployments[0])), "DaskWorkerGroup/simple-default");
    let notes = kubectl.path("deployment simple-scheduler", "{.metadata.annotations}");
    assert!(
        notes.contains("scheduler-subannotation") && !notes.contains("should-not-be-propagated"),
        "{notes}"
    );
}

fn groups_follow_their_replicas(kubectl: &Kubectl) {
    kubectl.run("scale daskcluster simple --replicas=3").ok();
    kubectl.becomes("daskworkergroup simple-default", "{.spec.worker.replicas}", |replicas| replicas == "3");
    workers(kubectl, "simple-default", 3);
    kubectl.stdin("apply -f -", &resource("simpleworkergroup")).ok();
    workers(kubectl, "simple-additional", 1);
    let owner = "{.metadata.ownerReferences[0].name}";
    kubectl.becomes("daskworkergroup simple-additional", owner, |name| name == "simple");
    kubectl.run("delete daskworkergroup simple-additional --timeout=40s").ok();
    gone(kubectl, "deployments,pods", "dask.org/workergroup-name=simple-additional");
}

/// The job is held back until the operator has taken the cluster's parts as its own: it never ends sooner where a container
/// has to start.
fn a_job_runs_with_a_cluster_of_its_own(kubectl: &Kubectl) {
    let held =
        "image: \"job\"\n          env: [{name: GO, valueFrom: {configMapKeyRef: {name: go, key: go}}}]";
    let job = resource("simplejob").replacen("image: \"hello\"", held, 1);
    kubectl.stdin("apply -f -", &job).ok();
    kubectl.run("wait daskworkergroup/simple-job-default --for=create --timeout=60s").ok();
    let owner = "{.metadata.ownerReferences[0].name}";
    kubectl.becomes("daskworkergroup simple-job-default", owner, |name| name == "simple-job");
    kubectl.run("create configmap go --from-literal=go=on").ok();
    kubectl.run("wait daskjob/simple-job --for=jsonpath={.status.jobStatus}=Successful --timeout=60s").ok();
    assert_eq!(kubectl.path("pod simple-job-runner", "{.status.phase}"), "Succeeded");
    gone(kubectl, "daskclusters,deployments,services", "dask.org/cluster-name=simple-job");
    kubectl.run("delete daskjob simple-job --timeout=40s").ok();
}
