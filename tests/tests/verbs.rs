//! The verbs of kubectl that the transcript does not go through, by an old kubectl and a new one: what makes objects of other
//! kinds, what looks after nodes, what changes one field, and what is refused in words.

#![allow(clippy::unwrap_used, reason = "test code")]

use peapod_tests::by_both_kubectls;
use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::Kubectl;

by_both_kubectls!(go_through);

fn go_through(kubectl: &str) {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl_named(kubectl);
    println!("{}", kubectl.run("version --client").ok());
    kubectl.apply("manifests/hello.yaml");
    kubectl.run("rollout status deployment/hello --timeout=60s").ok();
    creating(&kubectl);
    nodes(&kubectl);
    setting(&kubectl);
    reading(&kubectl, &cluster);
    securing(&kubectl);
    refused(&kubectl);
}

fn says(kubectl: &Kubectl, line: &str, text: &str) {
    let out = kubectl.run(line).ok();
    assert!(out.contains(text), "kubectl {line} does not say {text:?}:\n{out}");
}

/// Typed commands send protobuf.
fn creating(kubectl: &Kubectl) {
    let made = [
        ("create quota q --hard=pods=50", "resourcequota/q"),
        ("create poddisruptionbudget pdb --selector=app=hello --min-available=1", "pdb"),
        ("create priorityclass high --value=1000", "priorityclass.scheduling.k8s.io/high"),
        ("create job j --image=job", "job.batch/j"),
        ("create cronjob cj --image=job --schedule=@hourly", "cronjob.batch/cj"),
        ("create ingress ing --rule=foo.com/bar=hello:80", "ingress.networking.k8s.io/ing"),
        ("autoscale deployment hello --min=1 --max=5 --cpu-percent=80", "autoscaled"),
        ("expose deployment hello --name=again --port=80", "service/again exposed"),
        ("run alone --image=hello --port=80", "pod/alone created"),
    ];
    made.iter().for_each(|(line, text)| says(kubectl, line, text));
    assert_eq!(kubectl.path("quota q", "{.spec.hard.pods}"), "50");
    assert_eq!(kubectl.path("hpa hello", "{.spec.minReplicas}-{.spec.maxReplicas}"), "1-5");
    says(
        kubectl,
        "get horizontalpodautoscalers.v1.autoscaling hello -o yaml",
        "targetCPUUtilizationPercentage: 80",
    );
    says(kubectl, "get ingress", "foo.com");
    let all = "job/j cronjob/cj ingress/ing pdb/pdb quota/q priorityclass/high hpa/hello svc/again pod/alone";
    says(kubectl, &format!("delete {all}"), "ingress.networking.k8s.io \"ing\" deleted");
}

fn nodes(kubectl: &Kubectl) {
    says(kubectl, "cordon node-1", "cordoned");
    says(kubectl, "get node node-1", "SchedulingDisabled");
    says(kubectl, "uncordon node-1", "uncordoned");
    says(kubectl, "taint nodes node-1 a=b:PreferNoSchedule", "tainted");
    assert_eq!(kubectl.path("node node-1", "{.spec.taints[*].key}"), "a");
    says(kubectl, "taint nodes node-1 a-", "untainted");
    says(kubectl, "drain node-1 --dry-run=server", "server dry run");
    assert_eq!(kubectl.path("node node-1", "{.spec.unschedulable}"), "", "a dry run changes nothing");
}

/// A namespace's security level, over pods and over the labels that set it.
fn securing(kubectl: &Kubectl) {
    const LABEL: &str = "label namespace strict pod-security.kubernetes.io";
    kubectl.run("create namespace strict").ok();
    kubectl
        .run(&format!("{LABEL}/enforce=strict"))
        .fails_with("must be one of privileged, baseline, restricted");
    kubectl.run(&format!("{LABEL}/enforce=restricted")).ok();
    says(kubectl, "run plain --image=hello -n strict", "pod/plain created");
    kubectl
        .run("run far --image=hello -n strict --annotations=peapod.dev/allow-egress=10.0.0.0/8")
        .fails_with("violates PodSecurity \"restricted:latest\": egress");
    says(kubectl, "delete namespace strict", "deleted");
}

fn setting(kubectl: &Kubectl) {
    kubectl.run("set env deployment/hello A=B").ok();
    kubectl.run("set resources deployment hello --limits=memory=64Mi").ok();
    kubectl.run("set serviceaccount deployment hello default").ok();
    kubectl.run("set selector svc hello app=hello").ok();
    let path = "{.env[0].value} {.resources.limits.memory}";
    let path = path.replace("{.", "{.spec.template.spec.containers[0].");
    assert_eq!(kubectl.path("deployment hello", &path), "B 64Mi");
    kubectl.run("rollout status deployment/hello --timeout=60s").ok();
    says(kubectl, "rollout history deployment/hello --revision=1", "Pod Template:");
    let hello = peapod_tests::file("manifests/hello.yaml");
    let hello = hello.to_str().unwrap();
    says(kubectl, &format!("replace -f {hello} --dry-run=server"), "replaced (server dry run)");
    says(kubectl, &format!("apply -f {hello} --prune -l app=hello"), "deployment.apps/hello");
    says(kubectl, "apply view-last-applied deployment hello", "kind: Deployment");
}

fn reading(kubectl: &Kubectl, cluster: &Cluster) {
    says(kubectl, "get pods -o custom-columns=N:.metadata.name", "hello-");
    says(kubectl, "get --raw /healthz", "ok");
    let dump = cluster.scratch().join("dump");
    says(kubectl, &format!("cluster-info dump --output-directory={}", dump.display()), "dumped");
    assert!(dump.join("nodes.json").exists());
    says(kubectl, "api-resources --verbs=list -o name", "poddisruptionbudgets.policy");
    says(kubectl, "explain ingress.spec.rules --recursive", "pathType");
    says(kubectl, "explain hpa --api-version=autoscaling/v1", "VERSION:");
    says(kubectl, "get all -A", "deployment.apps/hello");
    kubectl.run("wait --for=delete pod/none --timeout=1s").ok();
}

/// What a node of this kind does not do yet says so.
fn refused(kubectl: &Kubectl) {
    let pod = kubectl.path("pods -l app=hello", "{.items[0].metadata.name}");
    for verb in ["exec POD -- ls", "attach POD", "port-forward POD 8080:80", "debug POD --image=hello"] {
        kubectl.run(&verb.replace("POD", &pod)).fails_with("is not supported by this server");
    }
    kubectl.run("top pods").fails_with("Metrics API not available");
    kubectl.run("certificate approve nothing").fails_with("NotFound");
    kubectl.run("create cronjob bad --image=job --schedule=never").fails_with("spec.schedule");
    kubectl.run("create quota bad --hard=pods=many").fails_with("quantities must match");
}
