//! Programs that others wrote, as pods.

#![allow(clippy::unwrap_used, reason = "test code")]

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::Kubectl;
use peapod_tests::process::peapod;
use peapod_tests::{file, http, tool, wait};
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

/// Starts a cluster, gives it an image from those that were installed, and applies the manifest of that name.
fn start(name: &str) -> (Cluster, Kubectl) {
    let cluster = Cluster::start(&[]);
    let loaded = Command::new(peapod())
        .args(["image", "push"])
        .arg(tool(&format!("images/{name}.wasm")))
        .args([name, "--data-dir"])
        .arg(cluster.data_dir())
        .output()
        .unwrap();
    assert!(loaded.status.success(), "{}", String::from_utf8_lossy(&loaded.stderr));
    let kubectl = cluster.kubectl();
    kubectl.args(&["apply", "-f", file(&format!("manifests/{name}.yaml")).to_str().unwrap()]).ok();
    (cluster, kubectl)
}

/// Waits for the pod's end and gives its log. Compiling a big program takes most of the time.
fn log_of_success(kubectl: &Kubectl, name: &str) -> String {
    wait::until(&format!("the end of {name}"), 150, || {
        match kubectl.path(&format!("pod {name}"), "{.status.phase}").as_str() {
            "Succeeded" => Ok(()),
            "Failed" => panic!("{name} failed:\n{:?}", kubectl.run(&format!("logs {name}"))),
            other => Err(other.to_string()),
        }
    });
    kubectl.run(&format!("logs {name}")).ok()
}

#[test]
fn python_runs_a_script_from_a_config_map() {
    let (_cluster, kubectl) = start("python");
    let log = log_of_success(&kubectl, "python");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines, ["Python 3.12.0 on wasi in python", r#"{"limit": 100000, "primes": 9592}"#]);
}

#[test]
fn sqlite_keeps_a_table_on_a_volume() {
    let (_cluster, kubectl) = start("sqlite");
    let log = log_of_success(&kubectl, "sqlite");
    let words: Vec<Vec<&str>> = log.lines().map(|line| line.split(['|', '\t', ' ']).collect()).collect();
    let expected = [["redwood", "115"], ["larch", "45"], ["birch", "25"], ["yew", "20"], ["trees", "4"]];
    assert_eq!(words, expected, "{log}");
}

/// The body of a response as bytes.
fn bytes(at: SocketAddr, path: &str) -> Vec<u8> {
    use std::io::Write;
    let mut stream = TcpStream::connect(at).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {at}\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("the end of the head");
    answer.split_off(head + 4)
}

#[test]
fn flite_speaks_into_a_volume_that_is_served() {
    let (cluster, kubectl) = start("flite");
    kubectl.run("wait pod/flite --for=condition=Ready --timeout=150s").ok();
    let at = cluster.node_port("flite");
    wait::until("the list of files", 30, || match http::get(at, "/") {
        Ok((200, names)) if names == "hello.wav\n" => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let sound = bytes(at, "/hello.wav");
    assert_eq!((&sound[..4], &sound[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
    assert!(sound.len() > 20_000, "{} bytes are no sentence", sound.len());
}

#[test]
fn a_go_server_counts_in_its_one_process() {
    let (cluster, kubectl) = start("gohello");
    kubectl.run("wait pod/gohello --for=condition=Ready --timeout=150s").ok();
    let at = cluster.node_port("gohello");
    wait::until("the first answer", 30, || http::get(at, "/healthz"));
    for number in 1..=3 {
        let (code, body) = http::get(at, "/").unwrap();
        assert_eq!((code, body), (200, format!("hello from gohello: request {number}\n")));
    }
}
