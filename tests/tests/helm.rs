//! A chart from install to uninstall by the real Helm: a hook, a kind of its own, upgrades, a rollback.

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::{Kubectl, contains};
use peapod_tests::{file, http, wait};

/// What the objects of the release say.
fn state(kubectl: &Kubectl) -> String {
    let replicas = kubectl.path("deployment web", "{.status.readyReplicas}");
    let text = kubectl.path("greetings.example.com web", "{.spec.text}");
    format!("{replicas} {text}")
}

#[test]
fn a_chart_lives_through_its_releases() {
    let cluster = Cluster::start(&[]);
    let (helm, kubectl) = (cluster.kubectl_named("helm"), cluster.kubectl());
    println!("{}", helm.run("version --short").ok());
    let chart = file("tests/charts/greeter");
    let run = |line: &str| helm.run(&line.replace("CHART", chart.to_str().unwrap()));

    contains(&run("install web CHART --wait --timeout 60s").ok(), &["STATUS: deployed", "REVISION: 1"]);
    assert_eq!(state(&kubectl), "2 hello");
    contains(&kubectl.run("logs web-before").ok(), &["revision 1", "done"]);
    let at = cluster.node_port("web");
    let (code, body) = wait::until("an answer of the release", 30, || http::get(at, "/"));
    assert_eq!(code, 200, "{body}");
    run("install web CHART").fails_with("cannot re-use a name that is still in use");

    run("upgrade web CHART --set replicas=3,greeting=hi --wait --timeout 60s").ok();
    assert_eq!(state(&kubectl), "3 hi");
    contains(&kubectl.run("get greetings").ok(), &["TEXT", "hi"]);
    contains(&run("get manifest web").ok(), &["kind: Greeting", "replicas: 3"]);
    run("upgrade web CHART --set greeting=far-too-long-for-a-greeting").fails_with("spec.text: Too long");
    assert_eq!(kubectl.path("greetings.example.com web", "{.spec.text}"), "hi", "nothing was half done");

    run("rollback web 1 --wait --timeout 60s").ok();
    assert_eq!(state(&kubectl), "2 hello");
    contains(&run("history web").ok(), &["superseded", "failed", "Rollback to 1"]);
    contains(&run("list").ok(), &["web", "greeter-0.1.0", "deployed"]);

    contains(&run("uninstall web --wait --timeout 60s").ok(), &["release \"web\" uninstalled"]);
    kubectl.run("get deployment,service web").fails_with("NotFound");
    kubectl.run("get greetings web").fails_with("NotFound");
    assert_eq!(kubectl.path("crd greetings.example.com", "{.metadata.name}"), "greetings.example.com");
    run("status web").fails_with("release: not found");
}
