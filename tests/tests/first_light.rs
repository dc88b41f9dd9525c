//! The main job: stock kubectl deploys real modules and a client reaches them through a Service.

use peapod_tests::cluster::Cluster;
use peapod_tests::{file, http, wait};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

fn answers(cluster: &Cluster, requests: usize) -> BTreeSet<String> {
    let at = cluster.node_port("hello");
    (0..requests)
        .map(|_| {
            let (code, body) = http::get(at, "/").unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(code, 200, "{body}");
            assert!(body.contains("request 1"), "a fresh instance always answers 1: {body}");
            body
        })
        .collect()
}

#[test]
fn three_pods_answer_in_turn_and_again_after_a_restart() {
    let hello = file("manifests/hello.yaml");
    let mut cluster = Cluster::start(&["--apply", hello.to_str().unwrap()]);
    assert_eq!(answers(&cluster, 3).len(), 3, "each of three pods answers once in three requests");
    let kubectl = cluster.kubectl();
    let names = kubectl.path("pods -l app=hello", "{.items[*].metadata.name}");

    cluster.terminate(Duration::from_secs(3));
    cluster.up();
    assert_eq!(
        kubectl.path("pods -l app=hello", "{.items[*].metadata.name}"),
        names,
        "the same pods run again"
    );
    assert_eq!(answers(&cluster, 3).len(), 3);
    let restarts = kubectl.path("pods -l app=hello", "{.items[*].status.containerStatuses[0].restartCount}");
    assert_eq!(restarts, "1 1 1", "one restart each");
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
    let bodies = wait::until("four pods behind the Service", 10, || {
        let bodies: Result<BTreeSet<String>, String> =
            (0..4).map(|_| http::get(at, "/").map(|(_, body)| body)).collect();
        bodies.and_then(|bodies| if bodies.len() == 4 { Ok(bodies) } else { Err(format!("{bodies:?}")) })
    });
    assert_eq!(bodies.len(), 4);
    kubectl.run("set env deployment/web GREETING=ahoy").ok();
    kubectl.run("rollout status deployment/web --timeout=60s").ok();
    let (_, body) = http::get(at, "/").unwrap();
    assert!(body.contains("ahoy"), "{body}");
    kubectl.run("rollout undo deployment/web").ok();
    kubectl.run("rollout status deployment/web --timeout=60s").ok();
    let (_, body) = http::get(at, "/").unwrap();
    assert!(!body.contains("ahoy"), "{body}");
}

#[test]
fn a_deleted_pod_is_gone_at_once_and_replaced() {
    let hello = file("manifests/hello.yaml");
    let cluster = Cluster::start(&["--apply", hello.to_str().unwrap()]);
    let kubectl = cluster.kubectl();
    let victim = kubectl.path("pods -l app=hello", "{.items[0].metadata.name}");
    let start = Instant::now();
    kubectl.run(&format!("delete pod {victim}")).ok();
    assert!(start.elapsed() < Duration::from_secs(10), "nothing waits for the grace of 30 s");
    kubectl.run(&format!("get pod {victim}")).fails_with("not found");
    kubectl.run("wait deployment/hello --for=condition=Available --timeout=30s").ok();
    wait::until("three ready pods", 30, || {
        match kubectl.path("deployment hello", "{.status.readyReplicas}").as_str() {
            "3" => Ok(()),
            other => Err(other.to_string()),
        }
    });
    assert_eq!(answers(&cluster, 3).len(), 3);
}

#[test]
fn shutdown_is_prompt() {
    let hello = file("manifests/hello.yaml");
    let mut cluster = Cluster::start(&["--apply", hello.to_str().unwrap()]);
    cluster.terminate(Duration::from_secs(5));
}
