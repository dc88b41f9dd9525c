//! Programs written for Kubernetes, with the client libraries that most are written with, find nothing missing.

mod connection;
mod kube_rs;
mod kube_rs_custom;

use peapod_tests::cluster::Cluster;
use peapod_tests::{file, tool};
use std::process::Command;

/// Runs a scenario to its end and shows what it passed.
fn run(cluster: &Cluster, command: &mut Command) {
    let output = command
        .env("KUBECONFIG", cluster.kubeconfig())
        .env("HOME", cluster.scratch())
        .output()
        .expect("the scenario starts");
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.ends_with("done\n"), "{command:?}:\n{said}{complained}");
}

#[test]
fn the_python_client_finds_nothing_missing() {
    let cluster = Cluster::start(&[]);
    for scenario in ["scenario.py", "custom.py"] {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", tool("python-client")).env("PYTHONDONTWRITEBYTECODE", "1");
        run(&cluster, python.arg(file("tests/clients/python").join(scenario)));
    }
}

#[test]
fn the_javascript_client_finds_nothing_missing() {
    let installed = file("tests/clients/node/node_modules");
    assert!(installed.exists(), "no {}: run tests/install/clients.sh", installed.display());
    let cluster = Cluster::start(&[]);
    for scenario in ["scenario.mjs", "custom.mjs"] {
        run(&cluster, Command::new("node").arg(file("tests/clients/node").join(scenario)));
    }
}

#[test]
fn headlamp_gets_what_it_asks_for() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.apply("manifests/hello.yaml");
    // It is scaled at the version that was read: nobody else must write to it any more.
    kubectl.run("rollout status deployment/hello --timeout=60s").ok();
    kubectl.run("create serviceaccount headlamp").ok();
    kubectl
        .run("create clusterrolebinding headlamp --clusterrole=cluster-admin --serviceaccount=default:headlamp")
        .ok();
    kubectl.pod("talker", "{restartPolicy: Never, containers: [{name: talker, image: job}]}");
    kubectl.becomes("pod talker", "{.status.phase}", |phase| phase == "Succeeded");
    let token = kubectl.run("create token headlamp").ok();
    let mut node = Command::new("node");
    node.env("TOKEN", token.trim());
    run(&cluster, node.arg(file("tests/clients/node/headlamp.mjs")));
}
