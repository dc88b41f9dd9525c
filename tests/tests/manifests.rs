//! Every manifest of the repository is one that kubectl applies.

use peapod_tests::cluster::Cluster;
use peapod_tests::{file, wait};

/// Manifests whose images are not committed: tests/third_party.rs runs them, all but the JavaScript one, whose toolchain
/// is too large to install for one test.
const NEED_IMAGES: [&str; 5] = ["flite.yaml", "gohello.yaml", "jshello.yaml", "python.yaml", "sqlite.yaml"];

#[test]
fn every_manifest_is_applied() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    let mut names: Vec<String> = std::fs::read_dir(file("manifests"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() >= 15, "{names:?}");
    for name in names.iter().filter(|name| name.ends_with(".yaml")) {
        let path = file("manifests").join(name);
        let path = path.to_str().unwrap();
        kubectl.args(&["apply", "--dry-run=server", "-f", path]).ok();
        if NEED_IMAGES.contains(&name.as_str()) {
            continue;
        }
        kubectl.args(&["apply", "-f", path]).ok();
        wait::until(&format!("every pod of {name} has run"), 60, || {
            let states =
                kubectl.path("pods", "{range .items[*]}{.metadata.name}={.status.phase}{\"\\n\"}{end}");
            let waits = states.is_empty() || states.lines().any(|line| line.ends_with("=Pending"));
            if waits { Err(states) } else { Ok(()) }
        });
        kubectl.args(&["delete", "--wait=false", "-f", path]).ok();
    }
}
