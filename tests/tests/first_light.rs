//! The main job: stock kubectl deploys real modules and a client reaches them through a Service.

use peapod_tests::cluster::Cluster;
use peapod_tests::process::PROMPT;
use peapod_tests::{file, http};
use std::collections::BTreeSet;
use std::time::Instant;

/// Waits until the pods of `hello` are those that answer, and each of them answers once in as many requests.
fn answer_in_turn(cluster: &Cluster) {
    let at = cluster.node_port("hello");
    let names = cluster.kubectl().path("pods -l app=hello", "{.items[*].metadata.name}");
    let names: BTreeSet<String> = names.split(' ').map(Into::into).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    http::all_answer(at, &names);
    let answers = names.iter().map(|_| {
        let (code, body) = http::get(at, "/").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(code, 200, "{body}");
        assert!(body.contains("request 1"), "a fresh instance always answers 1: {body}");
        body
    });
    assert_eq!(
        answers.collect::<BTreeSet<_>>().len(),
        3,
        "each of three pods answers once in three requests"
    );
}

#[test]
fn three_pods_answer_in_turn_and_again_after_a_restart() {
    let hello = file("manifests/hello.yaml");
    let mut cluster = Cluster::start(&["--apply", hello.to_str().unwrap()]);
    answer_in_turn(&cluster);
    let kubectl = cluster.kubectl();
    let names = kubectl.path("pods -l app=hello", "{.items[*].metadata.name}");

    cluster.terminate(PROMPT);
    cluster.up();
    assert_eq!(
        kubectl.path("pods -l app=hello", "{.items[*].metadata.name}"),
        names,
        "the same pods run again"
    );
    let restarts = "{.items[*].status.containerStatuses[0].restartCount}";
    kubectl.becomes("pods -l app=hello", restarts, |restarts| restarts == "1 1 1");
    answer_in_turn(&cluster);
    assert_eq!(kubectl.path("pods -l app=hello", restarts), "1 1 1", "one restart each");
}

#[test]
fn a_deployment_made_by_kubectl_alone_scales_and_rolls() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.run("create deployment web --image=hello --replicas=2 --port=80").ok();
    kubectl.run("rollout status deployment/web --timeout=60s").ok();
    kubectl.run("expose deployment web --type=NodePort --port=80").ok();
    kubectl.run("scale deployment web --replicas=4").ok();
    kubectl.run("rollout status deployment/web --timeout=60s").ok();
    let at = cluster.node_port("web");
    let names = kubectl.path("pods -l app=web", "{.items[*].metadata.name}");
    http::all_answer(at, &names.split(' ').map(Into::into).collect());
    kubectl.run("set env deployment/web GREETING=ahoy").ok();
    kubectl.run("rollout status deployment/web --timeout=60s").ok();
    // The node hears of it a little later than kubectl.
    http::all_say(at, 4, |body| body.starts_with("ahoy from web-"));
    kubectl.run("rollout undo deployment/web").ok();
    kubectl.run("rollout status deployment/web --timeout=60s").ok();
    http::all_say(at, 4, |body| body.starts_with("hello from web-"));
}

#[test]
fn a_deleted_pod_is_gone_at_once_and_replaced() {
    let hello = file("manifests/hello.yaml");
    let cluster = Cluster::start(&["--apply", hello.to_str().unwrap()]);
    let kubectl = cluster.kubectl();
    let victim = kubectl.path("pods -l app=hello", "{.items[0].metadata.name}");
    let start = Instant::now();
    kubectl.run(&format!("delete pod {victim}")).ok();
    assert!(start.elapsed() < PROMPT, "nothing waits for the grace of 30 s");
    kubectl.run(&format!("get pod {victim}")).fails_with("not found");
    kubectl.run("wait deployment/hello --for=condition=Available --timeout=60s").ok();
    kubectl.becomes("deployment hello", "{.status.readyReplicas}", |ready| ready == "3");
    answer_in_turn(&cluster);
}

#[test]
fn shutdown_is_prompt() {
    let hello = file("manifests/hello.yaml");
    let mut cluster = Cluster::start(&["--apply", hello.to_str().unwrap()]);
    cluster.terminate(PROMPT);
}
