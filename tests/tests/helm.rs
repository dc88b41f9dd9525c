//! Charts from install to uninstall by the real Helm: one with a hook and a kind of its own, and one that others wrote.

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::{Kubectl, contains};
use peapod_tests::{file, http, tool, wait};

/// The objects of the release say that. Helm waits for ReplicaSets; the Deployment's status follows.
fn says(kubectl: &Kubectl, replicas: &str, text: &str) {
    assert_eq!(kubectl.path("deployment web", "{.spec.replicas}"), replicas);
    assert_eq!(kubectl.path("greetings.example.com web", "{.spec.text}"), text);
    kubectl.becomes("deployment web", "{.status.replicas} {.status.readyReplicas}", |ready| {
        ready == format!("{replicas} {replicas}")
    });
}

#[test]
fn a_chart_lives_through_its_releases() {
    let cluster = Cluster::start(&[]);
    let (helm, kubectl) = (cluster.kubectl_named("helm"), cluster.kubectl());
    println!("{}", helm.run("version --short").ok());
    let chart = file("tests/charts/greeter");
    let run = |line: &str| helm.run(&line.replace("CHART", chart.to_str().unwrap()));

    contains(&run("install web CHART --wait --timeout 60s").ok(), &["STATUS: deployed", "REVISION: 1"]);
    says(&kubectl, "2", "hello");
    contains(&kubectl.run("logs web-before").ok(), &["revision 1", "done"]);
    let at = cluster.node_port("web");
    let (code, body) = wait::until("an answer of the release", 30, || http::get(at, "/"));
    assert_eq!(code, 200, "{body}");
    run("install web CHART").fails_with("cannot re-use a name that is still in use");

    run("upgrade web CHART --set replicas=3,greeting=hi --wait --timeout 60s").ok();
    says(&kubectl, "3", "hi");
    contains(&kubectl.run("get greetings").ok(), &["TEXT", "hi"]);
    contains(&run("get manifest web").ok(), &["kind: Greeting", "replicas: 3"]);
    run("upgrade web CHART --set greeting=far-too-long-for-a-greeting").fails_with("spec.text: Too long");
    assert_eq!(kubectl.path("greetings.example.com web", "{.spec.text}"), "hi", "nothing was half done");

    run("rollback web 1 --wait --timeout 60s").ok();
    says(&kubectl, "2", "hello");
    contains(&run("history web").ok(), &["superseded", "failed", "Rollback to 1"]);
    contains(&run("list").ok(), &["web", "greeter-0.1.0", "deployed"]);
    contains(&run("test web --logs --timeout 60s").ok(), &["Phase:          Succeeded", "hello from web-"]);

    contains(&run("uninstall web --wait --timeout 60s").ok(), &["release \"web\" uninstalled"]);
    kubectl.run("get deployment,service web").fails_with("NotFound");
    kubectl.run("get greetings web").fails_with("NotFound");
    assert_eq!(kubectl.path("crd greetings.example.com", "{.metadata.name}"), "greetings.example.com");
    run("status web").fails_with("release: not found");
}

/// What a release of Redis Commander leaves in a namespace, by kind and name.
fn left(kubectl: &Kubectl) -> String {
    let kinds = "deployments,replicasets,pods,services,ingresses,hpa,secrets,serviceaccounts,configmaps";
    let all = kubectl.run(&format!("get {kinds} -n web -o name")).ok();
    let own = |name: &&str| !["configmap/kube-root-ca.crt", "serviceaccount/default"].contains(name);
    all.lines().filter(own).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_chart_that_others_wrote_is_taken_as_it_is() {
    let cluster = Cluster::start(&[]);
    let (helm, kubectl) = (cluster.kubectl_named("helm"), cluster.kubectl());
    let chart = tool("charts/redis-commander");
    let run = |line: &str| helm.run(&line.replace("CHART", chart.to_str().unwrap()));
    println!("{}", run("show chart CHART").ok());

    // As it comes its image is a container, which no node here runs; all its objects are taken, and what means nothing to a
    // module is said.
    let installed = run("install web CHART -n web --create-namespace");
    for warning in installed.err.lines() {
        assert!(warning.contains("securityContext") && warning.contains("has no effect"), "{warning}");
    }
    contains(&installed.ok(), &["STATUS: deployed", "REVISION: 1"]);
    let reason = "{.items[0].status.containerStatuses[0].state.waiting.reason}";
    kubectl.becomes("pods -n web", reason, |reason| ["ErrImagePull", "ImagePullBackOff"].contains(&reason));

    // With a module in place of the image it runs.
    let module = "--reuse-values --set image.repository=hello,image.tag=latest,image.pullPolicy=IfNotPresent";
    run(&format!("upgrade web CHART -n web {module} --wait --timeout 60s")).ok();
    let more = "replicaCount=2,service.type=NodePort,ingress.enabled=true";
    run(&format!("upgrade web CHART -n web --reuse-values --set {more} --wait --timeout 60s")).ok();
    let name = "web-redis-commander";
    kubectl.becomes(&format!("deployment {name} -n web"), "{.status.readyReplicas}", |ready| ready == "2");
    assert_eq!(
        kubectl.path(&format!("ingress {name} -n web"), "{.spec.rules[0].host}"),
        "chart-example.local"
    );
    let port = kubectl.path(&format!("service {name} -n web"), "{.spec.ports[0].nodePort}");
    let at = (cluster.host(), port.parse().unwrap()).into();
    let (code, body) = wait::until("an answer of the release", 30, || http::get(at, "/"));
    assert_eq!(code, 200, "{body}");

    // What Helm sent is what is there.
    let manifest = run("get manifest web -n web").ok();
    kubectl.stdin("diff -n web -f -", &manifest).ok();
    let bad = "--reuse-values --set ingress.hosts[0].host=No_Host,ingress.hosts[0].paths[0]=/";
    run(&format!("upgrade web CHART -n web {bad}"))
        .fails_with("spec.rules[0].host: Invalid value: \"No_Host\"");
    assert_eq!(
        kubectl.path(&format!("ingress {name} -n web"), "{.spec.rules[0].host}"),
        "chart-example.local"
    );

    run("rollback web 2 -n web --wait --timeout 60s").ok();
    kubectl.becomes(&format!("deployment {name} -n web"), "{.status.replicas}", |count| count == "1");
    assert_eq!(
        kubectl.path(&format!("service {name} -n web"), "{.spec.type} {.spec.ports[0].nodePort}"),
        "ClusterIP "
    );
    kubectl.run(&format!("get ingress {name} -n web")).fails_with("NotFound");
    let history = run("history web -n web -o json").ok();
    let statuses: Vec<_> =
        history.split("\"status\":\"").skip(1).map(|rest| &rest[..rest.find('"').unwrap()]).collect();
    assert_eq!(statuses, ["superseded", "superseded", "superseded", "failed", "deployed"]);

    run("uninstall web -n web --wait --timeout 60s").ok();
    wait::until("nothing of the release is left", 30, || match left(&kubectl).as_str() {
        "" => Ok(()),
        left => Err(left.to_string()),
    });
}
