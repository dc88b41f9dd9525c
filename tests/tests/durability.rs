//! Kill -9 of the real process under write load: what was acknowledged is there afterwards.

use peapod_tests::cluster::Cluster;
use peapod_tests::{file, http, wait};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

/// How often the process is killed.
const KILLS: usize = 6;
/// Writers that create ConfigMaps meanwhile.
const WRITERS: usize = 4;

#[test]
fn nothing_acknowledged_is_lost_and_the_same_pods_come_back() {
    let hello = file("manifests/hello.yaml");
    let mut cluster = Cluster::start(&["--apply", hello.to_str().unwrap()]);
    let kubectl = cluster.kubectl();
    let names = kubectl.path("pods -l app=hello", "{.items[*].metadata.name}");
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (kubectl, acknowledged, stop) = (kubectl.clone(), acknowledged.clone(), stop.clone());
            std::thread::spawn(move || {
                for count in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let name = format!("w{writer}-{count}");
                    if kubectl.run(&format!("create configmap {name} --from-literal=a=b")).code == 0 {
                        acknowledged.lock().unwrap().insert(name);
                    }
                }
            })
        })
        .collect();
    for round in 0..KILLS {
        let enough = (round + 1) * 5;
        wait::until("acknowledged writes", 60, || {
            let count = acknowledged.lock().unwrap().len();
            if count >= enough { Ok(()) } else { Err(format!("{count} of {enough}")) }
        });
        cluster.kill();
        cluster.up();
    }
    stop.store(true, Ordering::Relaxed);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let there: BTreeSet<String> =
        kubectl.path("configmaps", "{.items[*].metadata.name}").split_whitespace().map(Into::into).collect();
    let lost: Vec<_> = acknowledged.lock().unwrap().difference(&there).cloned().collect();
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    println!("{} acknowledged writes survived {KILLS} kills", acknowledged.lock().unwrap().len());
    assert_eq!(kubectl.path("pods -l app=hello", "{.items[*].metadata.name}"), names);
    let at = cluster.node_port("hello");
    wait::until("answers from all three", 30, || {
        let bodies: Result<BTreeSet<String>, String> =
            (0..3).map(|_| http::get(at, "/").map(|(_, body)| body)).collect();
        bodies.and_then(|bodies| if bodies.len() == 3 { Ok(()) } else { Err(format!("{bodies:?}")) })
    });
}
