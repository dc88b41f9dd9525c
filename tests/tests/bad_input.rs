//! Bad input gets a clear error and loses nothing.

#![allow(clippy::unwrap_used, reason = "test code")]

use peapod_tests::cluster::Cluster;
use peapod_tests::process::peapod;
use peapod_tests::wait;
use std::process::Command;

fn pod(name: &str, spec: &str) -> String {
    format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {spec}\n")
}

#[test]
fn manifests_are_refused_with_reason_field_and_value() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    let cases = [
        (pod("Upper", "{containers: [{name: a, image: hello}]}"), "metadata.name: Invalid value: \"Upper\""),
        (pod("a", "{containers: []}"), "spec.containers: Required value"),
        (pod("a", "{containers: [{name: a}]}"), "spec.containers[0].image: Required value"),
        (
            pod("a", "{containers: [{name: a, image: hello}, {name: a, image: hello}]}"),
            "Duplicate value: \"a\"",
        ),
        (
            pod("a", "{restartPolicy: Sometimes, containers: [{name: a, image: hello}]}"),
            "supported values: \"Always\"",
        ),
        (
            pod("a", "{containers: [{name: a, image: hello, ports: [{containerPort: 70000}]}]}"),
            "must be between 1 and 65535",
        ),
        (
            pod("a", "{containers: [{name: a, image: hello, volumeMounts: [{name: v, mountPath: /v}]}]}"),
            "Not found: \"v\"",
        ),
        (
            pod("a", "{containers: [{name: a, image: hello, resources: {limits: {memory: lots}}}]}"),
            "quantities must match",
        ),
        (pod("a", "{containers: [{name: a, image: hello, readinessProbe: {exec: {command: [x]}}}]}"), "exec"),
        (
            pod("a", "{containers: [{name: a, image: hello, lifecycle: {preStop: {exec: {command: [x]}}}}]}"),
            "lifecycle",
        ),
        (pod("a", "{hostNetwork: true, containers: [{name: a, image: hello}]}"), "hostNetwork"),
        (
            pod("a", "{volumes: [{name: v, hostPath: {path: /}}], containers: [{name: a, image: hello}]}"),
            "hostPath",
        ),
    ];
    for (manifest, expected) in cases {
        kubectl.stdin("create --validate=false -f -", &manifest).fails_with(expected);
    }
    kubectl
        .stdin("create -f -", &pod("a", "{contaniers: []}"))
        .fails_with("unknown field \"spec.contaniers\"");
    kubectl.stdin("create -f -", &pod("a", "{containers: none}")).fails_with("containers");
    assert_eq!(kubectl.run("get pods -o name").ok(), "", "nothing was left behind");
}

/// A pod that cannot start says why in its state and by an Event.
fn waits_with(cluster: &Cluster, name: &str, image: &str, reasons: &[&str], message: &str) {
    let kubectl = cluster.kubectl();
    let spec = format!("{{restartPolicy: Never, containers: [{{name: a, image: {image}}}]}}");
    kubectl.stdin("apply -f -", &pod(name, &spec)).ok();
    wait::until(&format!("{name}: {reasons:?}"), 30, || {
        let state = kubectl.path(&format!("pod {name}"), "{.status.containerStatuses[0].state}");
        if reasons.iter().any(|reason| state.contains(reason)) && state.contains(message) {
            Ok(())
        } else {
            Err(state)
        }
    });
    wait::until(&format!("an event about {name}"), 30, || {
        let events =
            kubectl.run(&format!("get events --field-selector involvedObject.name={name},type=Warning")).ok();
        if events.is_empty() { Err("no warning".into()) } else { Ok(()) }
    });
}

#[test]
fn images_that_cannot_run_say_what_to_do() {
    let cluster = Cluster::start(&[]);
    let dir = cluster.scratch().to_path_buf();
    let load = |name: &str, bytes: &[u8]| {
        let path = dir.join(format!("{name}.wasm"));
        std::fs::write(&path, bytes).unwrap();
        let command = Command::new(peapod())
            .args([
                "image",
                "push",
                path.to_str().unwrap(),
                name,
                "--data-dir",
                cluster.data_dir().to_str().unwrap(),
            ])
            .output()
            .unwrap();
        assert!(command.status.success(), "{}", String::from_utf8_lossy(&command.stderr));
    };
    load("noexport", b"(module)");
    load(
        "import",
        br#"(module (import "env" "secret" (func)) (memory (export "memory") 1) (func (export "_start")))"#,
    );
    load("trap", br#"(module (memory (export "memory") 1) (func (export "_start") unreachable))"#);
    load("broken", b"\0asm\x01\0\0\0garbage");
    waits_with(&cluster, "unknown", "nowhere", &["ErrImagePull", "ImagePullBackOff"], "nowhere");
    waits_with(&cluster, "noexport", "noexport", &[""], "_start");
    waits_with(&cluster, "import", "import", &[""], "secret");
    waits_with(&cluster, "trap", "trap", &["Error"], "unreachable");
    waits_with(&cluster, "broken", "broken", &[""], "");
    cluster.kubectl().run("get nodes").ok();
}

fn up(args: &[&str]) -> (i32, String) {
    let output = Command::new(peapod()).arg("up").args(args).output().unwrap();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_start_that_cannot_succeed_ends_with_one_line() {
    let cluster = Cluster::start(&[]);
    let taken = format!(
        "{}:{}",
        cluster.host(),
        cluster.kubectl().path("endpoints kubernetes", "{.subsets[0].ports[0].port}")
    );
    let fresh = cluster.scratch().join("fresh");
    let data = cluster.data_dir();
    let damaged = cluster.scratch().join("damaged");
    std::fs::create_dir_all(&damaged).unwrap();
    let database = std::fs::read_dir(&data)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .find(|n| n.to_string_lossy().ends_with(".db"));
    std::fs::write(
        damaged.join(database.expect("a database file")),
        b"this is no database, whatever its name says",
    )
    .unwrap();
    let file = cluster.scratch().join("file");
    std::fs::write(&file, "x").unwrap();
    let any = ["--listen", "127.0.0.1:0"];
    let path = |p: &std::path::Path| p.to_str().unwrap().to_string();
    let cases: [(Vec<String>, &str); 4] = [
        (vec!["--listen".into(), taken, "--data-dir".into(), path(&fresh)], "in use"),
        (vec![any[0].into(), any[1].into(), "--data-dir".into(), path(&data)], "in use"),
        (vec![any[0].into(), any[1].into(), "--data-dir".into(), path(&damaged)], "damaged"),
        (vec![any[0].into(), any[1].into(), "--data-dir".into(), path(&file)], "file"),
    ];
    for (args, expected) in cases {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (code, text) = up(&args);
        assert_ne!(code, 0, "{args:?} succeeded");
        assert_eq!(text.trim().lines().count(), 1, "{args:?} says more than a line:\n{text}");
        assert!(text.contains(expected), "{args:?} does not say {expected:?}: {text}");
    }
}

#[test]
fn a_newcomer_is_told_what_to_do_next() {
    for args in [&[][..], &["--help"]] {
        let output = Command::new(peapod()).args(args).env("KUBECONFIG", "/nowhere").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("Getting started:\n  peapod up"),
            "{args:?}: {text}"
        );
    }
}
