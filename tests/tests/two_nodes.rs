//! Two machines, each a network namespace, on a switch that the test can unplug: a server and an agent on one, an agent on
//! the other. Real processes, stock kubectl.

#![allow(clippy::unwrap_used, reason = "test code")]

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::Kubectl;
use peapod_tests::node::Node;
use peapod_tests::process::Place;
use peapod_tests::relay::Relay;
use peapod_tests::switch::Switch;
use peapod_tests::{http, wait};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// Seconds of silence after which a node is given up; it renews its Lease every ten, and on a loaded machine late.
const GRACE: &str = "25";
/// Only a broken node lets a lost stream stand for so long.
const LOST_WITHIN: Duration = Duration::from_secs(30);
const READY: &str = "{.status.conditions[?(@.type=='Ready')].status}";
const WEB: &str = "{.items[?(@.metadata.labels.app=='web')].metadata.name}";

/// A cluster of two machines. What is dropped first stands first.
struct Two {
    far: Node,
    near: Node,
    cluster: Cluster,
    far_machine: Place,
    switch: Switch,
}

impl Two {
    /// `far` joins with `line`'s changes of the join line and `args` besides.
    fn new(server: &[&str], line: impl Fn(&Switch, &Cluster, String) -> String, args: &[&str]) -> Two {
        let mut switch = Switch::new();
        let (near_machine, far_machine) = (switch.machine(), switch.machine());
        let host = switch.host().to_string();
        let flags = [&["--node-grace", GRACE, "--tls-san", &host], server].concat();
        let cluster = Cluster::server(&near_machine, &flags);
        let near = cluster.join(&near_machine, "near", &[]);
        let line = line(&switch, &cluster, cluster.token(&[]));
        let mut far = Node::new(cluster.scratch(), &far_machine, "far", &line, args);
        far.up();
        far.without_token();
        println!("near at {}, far at {}", near_machine.host, far_machine.host);
        Two { far, near, cluster, far_machine, switch }
    }

    fn kubectl(&self) -> Kubectl {
        self.cluster.kubectl()
    }

    /// Replicas of `hello` that say their names, behind a NodePort, on both nodes. They are evicted `seconds` after their
    /// node was given up.
    fn serve(&self, replicas: usize, seconds: u64) {
        let manifest = format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  selector: \
             {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec:\n      tolerations: \
             [{{key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: {seconds}}}, {{key: \
             node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: {seconds}}}]\n      \
             containers: [{{name: web, image: hello, ports: [{{containerPort: 80}}]}}]\n---\napiVersion: v1\nkind: \
             Service\nmetadata: {{name: web}}\nspec: {{type: NodePort, selector: {{app: web}}, ports: [{{port: 80}}]}}\n"
        );
        self.kubectl().stdin("apply -f -", &manifest).ok();
        self.kubectl().run("rollout status deployment/web --timeout=90s").ok();
        assert_eq!(self.nodes(), BTreeSet::from(["far".to_string(), "near".to_string()]));
    }

    /// The nodes on which there are replicas.
    fn nodes(&self) -> BTreeSet<String> {
        words(&self.kubectl().path("pods -l app=web", "{.items[*].spec.nodeName}"))
    }

    fn replicas(&self) -> BTreeSet<String> {
        words(&self.kubectl().path("pods", WEB))
    }

    /// Waits until exactly `expected` answer on `machine`'s NodePort.
    fn answer_on(&self, machine: &Place, expected: &BTreeSet<String>) {
        let at = SocketAddr::new(machine.host, self.cluster.node_port("web").port());
        http::all_answer(at, expected);
        println!("{at}: {expected:?} answer");
    }

    fn answer_everywhere(&self, expected: &BTreeSet<String>) {
        self.answer_on(self.near.place(), expected);
        self.answer_on(&self.far_machine, expected);
    }

    /// A stream by near's NodePort to `echo` on far.
    fn talk(&self) -> TcpStream {
        echo(&self.kubectl(), "far");
        let at = SocketAddr::new(self.near.place().host, self.cluster.node_port("echo").port());
        wait::until("an echo from far", 60, || {
            let error = |error: io::Error| error.to_string();
            let mut stream = TcpStream::connect(at).map_err(error)?;
            stream.set_read_timeout(Some(2 * LOST_WITHIN)).map_err(error)?;
            stream.write_all(b"!").map_err(error)?;
            stream.read_exact(&mut [0]).map_err(error)?;
            Ok(stream)
        })
    }

    fn wait_for_far(&self, ready: &str) {
        wait::until(&format!("far to be Ready: {ready}"), 90, || {
            match self.kubectl().path("node far", READY) {
                status if status == ready => Ok(()),
                status => Err(status),
            }
        });
    }

    /// Names, uids and restarts: equal as long as no container was started anew.
    fn runs(&self) -> String {
        let run = "{range .items[*]}{.metadata.name} {.metadata.uid} {.status.containerStatuses[*].restartCount}\n{end}";
        self.kubectl().path("pods", run)
    }

    /// Waits until both agents have a connection of their own to the other: till then the server passes on what they say, and
    /// each stream is an occasion to try.
    fn wait_for_direct(&self) {
        let port = self.cluster.node_port("web").port();
        wait::until("connections from node to node", 60, || {
            for machine in [self.near.place(), &self.far_machine] {
                for _ in self.replicas() {
                    http::get(SocketAddr::new(machine.host, port), "/")?;
                }
            }
            match [self.is_direct(&self.near, &self.far), self.is_direct(&self.far, &self.near)] {
                [true, true] => Ok(()),
                others => Err(format!("from near and from far: {others:?}")),
            }
        });
    }

    /// Whether the agent `from` has a connection of its own to the agent `to`.
    fn is_direct(&self, from: &Node, to: &Node) -> bool {
        let port = self
            .kubectl()
            .path(&format!("node {}", to.name()), "{.status.daemonEndpoints.kubeletEndpoint.Port}");
        let port: u16 = port.parse().unwrap_or_else(|_| panic!("{} tells no port: {port:?}", to.name()));
        let table = std::fs::read_to_string(format!("/proc/{}/net/tcp", from.pid())).unwrap();
        let remote = format!(":{port:04X}");
        // Local address, remote address, state: 01 is ESTABLISHED.
        table.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(2).is_some_and(|to| to.ends_with(&remote)) && fields.get(3) == Some(&"01")
        })
    }
}

/// The stream that answers byte by byte what it is sent.
fn echo(kubectl: &Kubectl, node: &str) {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: echo, labels: {{app: echo}}}}\nspec: {{nodeSelector: \
         {{kubernetes.io/hostname: {node}}}, containers: [{{name: main, image: echo, ports: [{{containerPort: \
         7}}]}}]}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: echo}}\nspec: {{type: NodePort, selector: {{app: \
         echo}}, ports: [{{port: 7}}]}}\n"
    );
    kubectl.stdin("create -f -", &manifest).ok();
    kubectl.run("wait pod/echo --for=condition=Ready --timeout=60s").ok();
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_string).collect()
}

fn same(_: &Switch, _: &Cluster, line: String) -> String {
    line
}

/// A pod on `node` that counts aloud, ten lines a second.
fn counter(kubectl: &Kubectl, name: &str, node: &str) {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{nodeSelector: {{kubernetes.io/hostname: {node}}}, volumes: \
         [{{name: v, emptyDir: {{}}}}], containers: [{{name: main, image: writer, args: [/data/lines, '0.1'], volumeMounts: \
         [{{name: v, mountPath: /data}}]}}]}}\n"
    );
    kubectl.stdin("create -f -", &manifest).ok();
    kubectl.run(&format!("wait pod/{name} --for=condition=Ready --timeout=60s")).ok();
}

#[test]
fn a_service_spans_two_nodes_and_outlives_one_of_them() {
    let mut two = Two::new(&[], same, &[]);
    let kubectl = two.kubectl();
    two.serve(3, 1);
    let replicas = two.replicas();
    assert_eq!(replicas.len(), 3);
    two.answer_everywhere(&replicas);
    two.wait_for_direct();
    counter(&kubectl, "counter", "far");
    kubectl.follows_counter("counter", 20);

    // Killed: its pods are replaced on the other one, whose own go on.
    let of_near =
        words(&kubectl.path("pods -l app=web", "{.items[?(@.spec.nodeName=='near')].metadata.name}"));
    two.far.kill();
    let replaced = wait::until("three replicas on near", 120, || {
        let near = "{.items[?(@.spec.nodeName=='near')].metadata.name}";
        let here = words(&kubectl.path("pods -l app=web", near));
        if here.len() == 3 { Ok(here) } else { Err(format!("{here:?}")) }
    });
    assert!(replaced.is_superset(&of_near), "{of_near:?} went on, {replaced:?}");
    two.answer_on(two.near.place(), &replaced);

    // Back: what was replaced stays replaced, and it is used again.
    two.far.up();
    two.wait_for_far("True");
    two.answer_everywhere(&replaced);
    let runs = |two: &Two| {
        two.runs().lines().filter(|line| line.starts_with("web")).map(String::from).collect::<BTreeSet<_>>()
    };
    let before = runs(&two);
    assert!(before.len() == 3 && before.iter().all(|line| line.ends_with(" 0")), "{before:?}");
    kubectl.run("scale deployment web --replicas=6").ok();
    kubectl.run("rollout status deployment/web --timeout=90s").ok();
    assert!(two.nodes().contains("far"));
    assert!(runs(&two).is_superset(&before), "the others went on");
    two.answer_everywhere(&two.replicas());
}

#[test]
fn a_cable_that_is_pulled_and_put_back_restarts_nothing() {
    let two = Two::new(&[], same, &[]);
    let kubectl = two.kubectl();
    two.serve(3, 300);
    counter(&kubectl, "counter", "far");
    let mut talk = two.talk();
    let (all, runs) = (two.replicas(), two.runs());
    two.answer_everywhere(&all);
    let began = Instant::now();
    two.switch.plug(&two.far_machine, false);
    // What was open is reset, and does not hang.
    talk.write_all(b"x").unwrap();
    let ended = talk.read(&mut [0]);
    assert!(matches!(&ended, Ok(0) | Err(_)) && began.elapsed() < LOST_WITHIN, "{ended:?}");
    println!("an open stream ended with {ended:?} after {:?}", began.elapsed());
    // At first by trying another endpoint, then because the node is known to be gone.
    let near = words(&kubectl.path("pods -l app=web", "{.items[?(@.spec.nodeName=='near')].metadata.name}"));
    two.answer_on(two.near.place(), &near);
    two.wait_for_far("Unknown");
    two.answer_on(two.near.place(), &near);
    two.switch.plug(&two.far_machine, true);
    two.wait_for_far("True");
    two.answer_everywhere(&all);
    assert_eq!(two.runs(), runs, "no container was started anew");
    // The connection on which the server asks the node comes back on its own.
    let log = kubectl.log_says("counter", "from counter");
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines.first() == Some(&"wrote line 1 from counter"), "{:?}", lines.first());
}

#[test]
fn a_node_that_nobody_reaches_over_a_slow_line_is_an_ordinary_node() {
    let delay = Duration::from_millis(40);
    let slowly = |switch: &Switch, cluster: &Cluster, line: String| {
        let relay = Relay::slow(switch.host(), cluster.address(), delay).address();
        println!("far reaches the server by {relay}, {delay:?} later each way");
        line.replace(&cluster.address().to_string(), &relay.to_string())
    };
    // It tells an address and a port at which nobody answers.
    let two = Two::new(&[], slowly, &["--listen", "127.0.0.1:0"]);
    two.serve(3, 300);
    two.answer_everywhere(&two.replicas());
    assert!(!two.is_direct(&two.near, &two.far), "nobody can have reached it");
    counter(&two.kubectl(), "counter", "far");
    two.kubectl().follows_counter("counter", 20);
    let runs = two.runs();
    assert!(runs.lines().all(|line| line.ends_with(" 0")), "{runs}");
}

#[test]
fn the_node_of_up_and_one_that_joined_are_one_network() {
    let cluster = Cluster::start(&[]);
    let far = cluster.join(&Place::own(), "far", &[]);
    let kubectl = cluster.kubectl();
    echo(&kubectl, "far");
    let port = cluster.node_port("echo").port();
    for host in [cluster.host(), far.place().host] {
        let at = SocketAddr::new(host, port);
        wait::until(&format!("an echo by {at}"), 60, || {
            let error = |error: io::Error| error.to_string();
            let mut stream = TcpStream::connect(at).map_err(error)?;
            stream.set_read_timeout(Some(LOST_WITHIN)).map_err(error)?;
            stream.write_all(b"hello").map_err(error)?;
            let mut answer = [0; 5];
            stream.read_exact(&mut answer).map_err(error)?;
            if &answer == b"hello" { Ok(()) } else { Err(format!("{answer:?}")) }
        });
    }
    // From a pod of one node to a pod of the other by its name: wasi:http, and the other way round.
    kubectl.run("run web --image=hello --port=80 --expose").ok();
    for node in ["node-1", "far"] {
        let manifest = format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: from-{node}}}\nspec: {{nodeSelector: {{kubernetes.io/hostname: {node}}}, \
             containers: [{{name: main, image: caller, args: ['http://web']}}]}}\n"
        );
        kubectl.stdin("create -f -", &manifest).ok();
        wait::until(&format!("a call from {node}"), 60, || {
            let log = kubectl.run(&format!("logs from-{node}"));
            if log.out.contains("hello from web") { Ok(()) } else { Err(format!("{log:?}")) }
        });
    }
}
