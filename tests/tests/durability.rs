//! Kill -9 of the real process under write load: what was acknowledged is there afterwards, a watch that resumes misses
//! nothing, and the same pods come back.

#![allow(clippy::unwrap_used, reason = "test code")]

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::Proxy;
use peapod_tests::{file, http, wait};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// How often the process is killed.
const KILLS: usize = 200;
/// Writers that create and change ConfigMaps meanwhile.
const WRITERS: usize = 4;
/// Each writer changes a ConfigMap of its own after so many creations.
const CHANGE_EVERY: usize = 3;
/// Acknowledged writes between two kills, at least.
const WRITES_PER_ROUND: usize = 4;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// What the server has acknowledged: name, revision, and the number that the object held.
#[derive(Default)]
struct Acknowledged {
    objects: BTreeMap<String, (u64, usize)>,
    writes: usize,
}

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn number(object: &Value) -> usize {
    object["data"]["number"].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Writes until `stop`; a failed write is neither acknowledged nor repeated.
fn write(at: SocketAddr, writer: usize, acknowledged: &Mutex<Acknowledged>, stop: &AtomicBool) {
    for count in 1.. {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let own = format!("own-{writer}");
        let data = json!({"number": count.to_string()});
        let (name, sent) = if count % CHANGE_EVERY == 0 {
            let path = format!("{MAPS}/{own}");
            let body = json!({ "data": data }).to_string();
            (own, http::send(at, "PATCH", &path, "application/merge-patch+json", &body))
        } else {
            let name = if count == 1 { own } else { format!("w{writer}-{count}") };
            let body =
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data});
            (name, http::send(at, "POST", MAPS, "application/json", &body.to_string()))
        };
        let Ok((200..=201, body)) = sent else { continue };
        // An answer that was cut off is none.
        let Ok(object) = serde_json::from_str::<Value>(&body) else { continue };
        let mut acknowledged = acknowledged.lock().unwrap();
        acknowledged.objects.insert(name, (revision(&object), count));
        acknowledged.writes += 1;
    }
}

/// The events of ConfigMaps after `revision`, watched on across every kill, until one is called `last`.
fn watch(at: SocketAddr, mut after: u64, last: &str) -> Vec<(String, Value)> {
    let mut events = Vec::new();
    loop {
        let path = format!("{MAPS}?watch=true&resourceVersion={after}");
        let Ok(stream) = http::open(at, "GET", &path, "", "") else { continue };
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            // Heads, sizes of chunks and lines that a kill has cut are no events.
            let Ok(mut event) = serde_json::from_str::<Value>(&line) else { continue };
            let Some(kind) = event["type"].as_str().map(String::from) else { continue };
            let object = event["object"].take();
            assert_ne!(kind, "ERROR", "the watch after {after} ended with {object}");
            after = revision(&object);
            let is_last = object["metadata"]["name"] == last;
            events.push((kind, object));
            if is_last {
                return events;
            }
        }
    }
}

/// Events are ordered and unique, and folded they are the list.
fn check_history(events: &[(String, Value)], list: &BTreeMap<String, (u64, usize)>) {
    let revisions: Vec<u64> = events.iter().map(|(_, object)| revision(object)).collect();
    assert!(revisions.is_sorted_by(|a, b| a < b), "the watch went back or repeated itself");
    let mut fold = BTreeMap::new();
    for (kind, object) in events {
        let name = object["metadata"]["name"].as_str().unwrap().to_string();
        let old = fold.insert(name.clone(), (revision(object), number(object)));
        assert_eq!(old.is_none(), kind == "ADDED", "{kind} of {name}");
    }
    assert_eq!(&fold, list, "the fold of the watch is the list");
}

fn list(at: SocketAddr) -> (u64, BTreeMap<String, (u64, usize)>) {
    let (code, body) = http::get(at, MAPS).unwrap();
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{code}: {error}: {body}"));
    let items = body["items"].as_array().unwrap_or_else(|| panic!("{body}"));
    let entry =
        |item: &Value| (item["metadata"]["name"].as_str().unwrap().into(), (revision(item), number(item)));
    (revision(&body), items.iter().map(entry).filter(|(name, _)| name != "kube-root-ca.crt").collect())
}

#[test]
fn nothing_acknowledged_is_lost_and_the_same_pods_come_back() {
    let hello = file("manifests/hello.yaml");
    let mut cluster = Cluster::start(&["--apply", hello.to_str().unwrap()]);
    let kubectl = cluster.kubectl();
    let identities = "{range .items[*]}{.metadata.name}={.metadata.uid} {end}";
    let pods = kubectl.path("pods -l app=hello", identities);
    assert_eq!(pods.split_whitespace().count(), 3, "{pods}");
    let proxy = Proxy::start(&kubectl);
    let at = proxy.address();
    let (start, _) = list(at);
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let stop = Arc::new(AtomicBool::new(false));
    let watcher = std::thread::spawn(move || watch(at, start, "last"));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (acknowledged, stop) = (acknowledged.clone(), stop.clone());
            std::thread::spawn(move || write(at, writer, &acknowledged, &stop))
        })
        .collect();
    cluster.without_manifests();
    for _ in 0..KILLS {
        let before = acknowledged.lock().unwrap().writes;
        wait::until("acknowledged writes", 60, || {
            let count = acknowledged.lock().unwrap().writes - before;
            if count >= WRITES_PER_ROUND { Ok(()) } else { Err(format!("{count} of {WRITES_PER_ROUND}")) }
        });
        cluster.kill();
        cluster.up();
    }
    stop.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    kubectl.run("create configmap last").ok();
    let events = watcher.join().unwrap();
    let (_, there) = list(at);
    let acknowledged = acknowledged.lock().unwrap();
    for (name, (revision, number)) in &acknowledged.objects {
        let (held, value) = there.get(name).unwrap_or_else(|| panic!("{name} was acknowledged and is lost"));
        assert!(
            held >= revision && value >= number,
            "{name}: {held} {value}, acknowledged {revision} {number}"
        );
    }
    check_history(&events, &there);
    println!(
        "{} acknowledged writes of {} objects survived {KILLS} kills; {} watch events",
        acknowledged.writes,
        acknowledged.objects.len(),
        events.len()
    );
    assert_eq!(kubectl.path("pods -l app=hello", identities), pods, "the same Pod objects");
    let node_port = cluster.node_port("hello");
    wait::until("answers from all three", 30, || {
        let bodies: Result<BTreeSet<String>, String> =
            (0..3).map(|_| http::get(node_port, "/").map(|(_, body)| body)).collect();
        bodies.and_then(|bodies| if bodies.len() == 3 { Ok(()) } else { Err(format!("{bodies:?}")) })
    });
}
