//! Nodes that join over the network: real `peapod server` and `peapod agent` processes, stock kubectl.

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::Kubectl;
use peapod_tests::process::{PROMPT, Place};
use peapod_tests::{http, wait};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

const RESTARTS: &str = "{.status.containerStatuses[0].restartCount}";
const READY: &str = "{.status.conditions[?(@.type=='Ready')].status}";

/// A pod that counts aloud, ten lines a second.
fn counter(kubectl: &Kubectl, name: &str) {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\nspec: {{volumes: [{{name: v, emptyDir: \
         {{}}}}], containers: [{{name: main, image: writer, args: [/data/lines, '0.1'], volumeMounts: [{{name: v, mountPath: \
         /data}}]}}]}}\n"
    );
    kubectl.stdin("create -f -", &manifest).ok();
    kubectl.run(&format!("wait pod/{name} --for=condition=Ready --timeout=60s")).ok();
}

/// The newest number that the counter has said, once it is above `above`.
fn counted(kubectl: &Kubectl, name: &str, above: u64) -> u64 {
    wait::until(&format!("{name} counting past {above}"), 60, || {
        let ran = kubectl.run(&format!("logs {name} --tail=1"));
        let number = ran.out.split(' ').nth(2).and_then(|number| number.parse().ok());
        number.filter(|number| *number > above).ok_or_else(|| format!("{ran:?}"))
    })
}

#[test]
fn a_machine_joins_by_the_printed_line_and_runs_pods() {
    let cluster = Cluster::server(&Place::own(), &[]);
    let kubectl = cluster.kubectl();
    let line = cluster.token(&[]);
    let url = format!("peapod agent --server https://{} --token ", cluster.address());
    assert!(
        line.starts_with(&url) && line.contains(" --ca-hash sha256:") && line.lines().count() == 1,
        "{line}"
    );
    let node = cluster.join(&Place::own(), "far", &[]);
    kubectl.run("wait node/far --for=condition=Ready --timeout=30s").ok();
    kubectl.run("create deployment web --image=hello --port=80 --replicas=2").ok();
    kubectl.run("expose deployment web --type=NodePort --port=80").ok();
    kubectl.run("rollout status deployment/web --timeout=60s").ok();
    assert_eq!(kubectl.path("pods -l app=web", "{.items[*].spec.nodeName}"), "far far");
    let at = SocketAddr::new(node.place().host, cluster.node_port("web").port());
    let (code, body) = wait::until("an answer on the node's port", 30, || http::get(at, "/"));
    assert_eq!(code, 200, "{body}");
    // The control plane gives the node its part of the pods' addresses; two nodes never have the same.
    let second = cluster.join(&Place::own(), "farther", &["--max-pods", "100"]);
    let ranges = kubectl.path("nodes", "{.items[*].spec.podCIDR}");
    let (range, other) = ranges.split_once(' ').expect("two ranges");
    assert!(range.starts_with("10.240.0.0/") && other.ends_with(".0/24") && range != other, "{ranges}");
    for ip in kubectl.path("pods", "{.items[*].status.podIP}").split(' ') {
        assert!(ip.starts_with("10.240."), "{ip}");
    }
    assert_eq!(kubectl.path("node farther", "{.status.capacity.pods}"), "100");
    drop(second);
    assert!(!node.log_text().contains("ERROR"), "{}", node.log_text());
}

#[test]
fn kubectl_follows_a_log_on_a_far_node() {
    let cluster = Cluster::server(&Place::own(), &[]);
    let _node = cluster.join(&Place::own(), "far", &[]);
    let kubectl = cluster.kubectl();
    counter(&kubectl, "counter");
    kubectl.follows_counter("counter", 30);
}

#[test]
fn an_agent_that_comes_back_takes_its_pods_up_again() {
    let cluster = Cluster::server(&Place::own(), &[]);
    let mut node = cluster.join(&Place::own(), "far", &[]);
    let kubectl = cluster.kubectl();
    counter(&kubectl, "counter");
    let ip = kubectl.path("pod counter", "{.status.podIP}");
    node.without_token();
    for (restart, gently) in [(1, false), (2, true)] {
        counted(&kubectl, "counter", 5);
        if gently {
            node.terminate(PROMPT)
        } else {
            node.kill()
        }
        node.up();
        wait::until("the next start of the container", 60, || match kubectl.path("pod counter", RESTARTS) {
            count if count == restart.to_string() => Ok(()),
            count => Err(count),
        });
        // It counts from 1 again, and once: the lines of this run are all there is, in order.
        counted(&kubectl, "counter", 10);
        let log = kubectl.run("logs counter").ok();
        let expected: Vec<String> =
            (1..=log.lines().count()).map(|number| format!("wrote line {number} from counter")).collect();
        assert_eq!(log.lines().collect::<Vec<_>>(), expected);
        assert_eq!(kubectl.path("pod counter", RESTARTS), restart.to_string());
        assert_eq!(kubectl.path("pod counter", "{.status.podIP}"), ip, "the pod keeps its address");
    }
    assert_eq!(kubectl.path("nodes", "{.items[*].metadata.name}"), "far");
}

#[test]
fn pods_run_on_while_the_server_is_away() {
    let mut cluster = Cluster::server(&Place::own(), &[]);
    let _node = cluster.join(&Place::own(), "far", &[]);
    let kubectl = cluster.kubectl();
    counter(&kubectl, "counter");
    let mut last = counted(&kubectl, "counter", 3);
    for gently in [false, true] {
        if gently {
            cluster.terminate(PROMPT)
        } else {
            cluster.kill()
        }
        cluster.up();
        wait::until("the node to be heard of again", 60, || match kubectl.path("node far", READY).as_str() {
            "True" => Ok(()),
            other => Err(other.to_string()),
        });
        last = counted(&kubectl, "counter", last);
        let first = kubectl.run("logs counter").ok().lines().next().map(str::to_string);
        assert_eq!(first.as_deref(), Some("wrote line 1 from counter"), "one run, from the start");
        assert_eq!(kubectl.path("pod counter", RESTARTS), "0");
    }
}

#[test]
fn a_far_node_pulls_by_digest_and_strangers_do_not() {
    let cluster = Cluster::server(&Place::own(), &[]);
    let kubectl = cluster.kubectl();
    let node = cluster.join(&Place::own(), "far", &[]);
    // A module that no other image is made of.
    let wasm = cluster.scratch().join("own.wasm");
    std::fs::write(&wasm, "(module (memory (export \"memory\") 1) (func (export \"_start\")) ;; own\n)")
        .unwrap();
    let push = |name: &str| cluster.peapod(&["image", "push", wasm.to_str().unwrap(), name]);
    let said = push("team/own:v1").ok();
    let digest = said.trim().strip_prefix("pushed team/own:v1 ").expect("what was pushed").to_string();
    assert_eq!(
        push("team/own").ok(),
        format!("pushed team/own:latest {digest}\n"),
        "the same file, the same digest"
    );
    let images = cluster.peapod(&["image", "ls"]).ok();
    assert!(images.lines().any(|row| row.starts_with("team/own") && row.contains("v1")), "{images}");
    let manifest = format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: own}}, spec: {{restartPolicy: Never, nodeName: far, containers: [{{name: \
         main, image: 'team/own@{digest}'}}]}}}}"
    );
    kubectl.stdin("create -f -", &manifest).ok();
    wait::until("the end of the pod", 60, || match kubectl.path("pod own", "{.status.phase}").as_str() {
        "Succeeded" => Ok(()),
        _ => Err(kubectl.run("describe pod own").out),
    });
    let layer = kubectl.path("pod own", "{.status.containerStatuses[0].imageID}");
    let hex = layer.rsplit_once("sha256:").expect("a digest").1;
    let kept = std::fs::read(node.data_dir().join("agent/images/blobs/sha256").join(hex)).unwrap();
    assert_eq!(kept, std::fs::read(&wasm).unwrap(), "the node has the very bytes");

    let tags = format!("https://{}/v2/team/own/tags/list", cluster.address());
    let ask = |header: &str| {
        let mut curl = Command::new("curl");
        let output =
            curl.args(["-sk", "-H", header, "-w", " %{http_code}", &tags]).output().expect("curl starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let nobody = ask("Accept: */*");
    assert!(nobody.contains("authentication required") && nobody.ends_with(" 401"), "{nobody}");
    let token = cluster.token(&[]);
    let token = token.split_whitespace().skip_while(|word| *word != "--token").nth(1).unwrap();
    let joining = ask(&format!("Authorization: Bearer {token}"));
    assert!(joining.contains("denied") && joining.ends_with(" 403"), "{joining}");
    push("Team/Own").fails_with("invalid repository name or tag");
    std::fs::write(&wasm, "#!/bin/sh").unwrap();
    push("team/own").fails_with("own.wasm: it is no WebAssembly module or component");
}

#[test]
fn a_cluster_on_all_addresses_is_joined_at_the_one_that_it_tells() {
    let everywhere = Place { host: Ipv4Addr::UNSPECIFIED.into(), namespace: None };
    let cluster = Cluster::start_at(&everywhere, &[]);
    let kubectl = cluster.kubectl();
    let address = "{.status.addresses[?(@.type=='InternalIP')].address}";
    let told = kubectl.path("node node-1", address);
    let line = cluster.token(&[]);
    assert!(
        line.contains(&format!("--server https://{told}:{} ", cluster.address().port())),
        "{told}: {line}"
    );
    assert_ne!(told, "0.0.0.0");
    let _far = cluster.join(&Place::own(), "far", &[]);
    kubectl.run("wait nodes --all --for=condition=Ready --timeout=60s").ok();
    kubectl.run("create deployment web --image=hello --replicas=4").ok();
    kubectl.run("rollout status deployment/web --timeout=60s").ok();
    let nodes = kubectl.path("pods -l app=web", "{.items[*].spec.nodeName}");
    assert!(nodes.contains("far") && nodes.contains("node-1"), "the pods are spread: {nodes}");
}
