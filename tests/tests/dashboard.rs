//! The dashboard in a real browser: tests/web/journeys.mjs does what people do, against a real `peapod up`.

use peapod_tests::cluster::Cluster;
use peapod_tests::file;
use peapod_tests::process::{PROMPT, Place};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// Runs the journey `name`; `act` does what it asks for.
fn journey(name: &str, cluster: &mut Cluster, mut act: impl FnMut(&mut Cluster, &str) -> String) {
    let token =
        std::fs::read_to_string(cluster.data_dir().join("admin.token")).expect("the server made a token");
    let mut node = Command::new("node")
        .arg(file("tests/web/journeys.mjs"))
        .arg(name)
        .env("PEAPOD_SERVER", format!("https://{}", cluster.address()))
        .env("PEAPOD_TOKEN", token.trim())
        .env("NODE_EXTRA_CA_CERTS", cluster.data_dir().join("pki/ca.crt"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node starts");
    let mut answers = node.stdin.take().expect("stdin is piped");
    let mut last = String::new();
    for line in BufReader::new(node.stdout.take().expect("stdout is piped")).lines() {
        last = line.expect("the journey speaks UTF-8");
        println!("{last}");
        if let Some(asked) = last.strip_prefix("? ") {
            let answer = if asked == "link" { link(cluster) } else { act(cluster, asked) };
            writeln!(answers, "{answer}").expect("the journey listens");
        }
    }
    let status = node.wait().expect("the journey ends");
    assert!(
        status.success() && last == "journey: done",
        "the journey {name} ended with {status} after {last:?}"
    );
}

/// What `peapod dashboard` prints.
fn link(cluster: &Cluster) -> String {
    let link = cluster.peapod(&["dashboard"]).ok().trim().to_string();
    assert!(link.starts_with(&format!("https://{}/ui/#code=", cluster.address())), "{link}");
    link
}

fn nothing_else(_: &mut Cluster, asked: &str) -> String {
    panic!("the journey asked for {asked:?}")
}

#[test]
fn a_link_signs_in_once_and_pods_are_seen_live() {
    journey("sign_in", &mut Cluster::start(&[]), nothing_else);
}

#[test]
fn a_dropped_file_runs_and_scales() {
    journey("drop", &mut Cluster::start(&[]), nothing_else);
}

#[test]
fn a_log_is_followed() {
    journey("logs", &mut Cluster::start(&[]), nothing_else);
}

#[test]
fn wrong_tokens_and_files_are_refused_in_words() {
    journey("refusals", &mut Cluster::start(&[]), nothing_else);
}

#[test]
fn thousands_of_pods_are_drawn_a_screen_at_a_time() {
    journey("many", &mut Cluster::start(&[]), nothing_else);
}

#[test]
fn hostile_strings_are_text() {
    journey("hostile", &mut Cluster::start(&[]), nothing_else);
}

#[test]
fn the_page_survives_a_restart_of_the_server() {
    journey("restart", &mut Cluster::start(&[]), |cluster, asked| {
        match asked {
            "stop the server" => cluster.terminate(PROMPT),
            "start the server" => cluster.up(),
            other => panic!("the journey asked for {other:?}"),
        }
        "done".into()
    });
}

#[test]
fn a_second_node_is_seen_to_go_and_come() {
    // Two heartbeats may be lost or late, and it is short of what the journey waits for.
    let mut cluster = Cluster::start(&["--node-grace", "25"]);
    let mut far = cluster.join(&Place::own(), "far", &[]);
    journey("nodes", &mut cluster, |_, asked| {
        match asked {
            "kill the node" => far.kill(),
            "start the node" => far.up(),
            other => panic!("the journey asked for {other:?}"),
        }
        "done".into()
    });
}
