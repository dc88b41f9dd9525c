//! The control plane's decisions in a world of values: controllers and the scheduler act on snapshots that may be stale,
//! in an order that a seed picks, and a fake kubelet answers. After every step the invariants hold; when the seeds have
//! had their way the world must have converged.

#![allow(clippy::unwrap_used, reason = "test code")]

mod world;

use serde_json::{Value, json};
use world::World;

const SEEDS: u64 = 40;

fn deployment(image: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas, "revisionHistoryLimit": 2, "progressDeadlineSeconds": 600,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": image}]}},
        },
    })
}

fn images(world: &World) -> Vec<String> {
    let pods = world.snapshot().list("pods", Some("default")).map(|pod| pod.value());
    pods.map(|pod| pod["spec"]["containers"][0]["image"].as_str().unwrap().to_string()).collect()
}

#[test]
fn a_deployment_rolls_scales_and_rolls_back() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 3);
        world.create(deployment("one", 4));
        world.settle();
        assert_eq!(images(&world), ["one"; 4], "seed {seed}");

        world.patch("deployments.apps", "default", "web", deployment("two", 4));
        world.settle_while(|world| {
            let ready = world.ready_pods("default");
            assert!((3..=5).contains(&ready), "seed {seed}: {ready} ready pods during the rollout");
        });
        assert_eq!(images(&world), ["two"; 4], "seed {seed}");

        world.patch("deployments.apps", "default", "web", deployment("one", 6));
        world.settle();
        assert_eq!(images(&world), ["one"; 6], "seed {seed}");
        let sets: Vec<_> = world.snapshot().list("replicasets.apps", None).cloned().collect();
        assert_eq!(sets.len(), 2, "seed {seed}: the old set is used again");
        let status = world.value("deployments.apps", "default", "web")["status"].clone();
        assert_eq!(status["availableReplicas"], 6, "seed {seed}: {status}");
        assert_eq!(status["updatedReplicas"], 6, "seed {seed}: {status}");
        let annotations = &world.value("deployments.apps", "default", "web")["metadata"]["annotations"];
        assert_eq!(annotations["deployment.kubernetes.io/revision"], "3", "seed {seed}");
    }
}

#[test]
fn history_is_kept_as_long_as_asked_for() {
    let mut world = World::new(1, 1);
    for image in ["a", "b", "c", "d", "e"] {
        world.apply(deployment(image, 2));
        world.settle();
    }
    assert_eq!(world.snapshot().list("replicasets.apps", None).count(), 3);
}

#[test]
fn a_deployment_that_is_deleted_takes_everything_along() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 2);
        world.create(deployment("one", 3));
        world.settle();
        world.delete("deployments.apps", "default", "web");
        world.settle();
        let left: Vec<_> = world
            .snapshot()
            .list("pods", None)
            .chain(world.snapshot().list("replicasets.apps", None))
            .collect();
        assert!(left.is_empty(), "seed {seed}: {left:?}");
    }
}

#[test]
fn a_lost_pod_is_replaced_and_strangers_are_left_alone() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 2);
        world.create(deployment("one", 3));
        world.create(
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other", "namespace": "default"},
            "spec": {"containers": [{"name": "c", "image": "x"}]}}),
        );
        world.settle();
        let victim =
            world.snapshot().list("pods", None).find(|p| p.name() != "other").unwrap().name().to_string();
        world.delete("pods", "default", &victim);
        world.settle();
        assert_eq!(world.ready_pods("default"), 4, "seed {seed}");
        assert!(world.snapshot().find("pods", "default", &victim).is_none());
        assert!(world.snapshot().find("pods", "default", "other").is_some());
    }
}

#[test]
fn slices_list_exactly_the_ready_pods() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 2);
        world.create(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"},
            "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080, "protocol": "TCP"}]}}));
        world.create(deployment("one", 5));
        world.settle();
        world.apply(deployment("one", 3));
        world.settle();
        let mut listed = Vec::new();
        for slice in world.snapshot().list("endpointslices.discovery.k8s.io", None) {
            let slice = slice.value();
            assert_eq!(slice["ports"][0]["port"], 8080);
            listed.extend(
                slice["endpoints"].as_array().unwrap().iter().map(|e| e["targetRef"]["name"].clone()),
            );
        }
        let pods: Vec<Value> = world.snapshot().list("pods", None).map(|p| p.name().into()).collect();
        listed.sort_by_key(|name| name.to_string());
        assert_eq!(listed, pods, "seed {seed}");
        let endpoints = world.value("endpoints", "default", "web");
        assert_eq!(endpoints["subsets"][0]["addresses"].as_array().unwrap().len(), 3, "seed {seed}");
    }
}

#[test]
fn a_namespace_that_is_deleted_is_emptied_first() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 1);
        world.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"},
            "spec": {"finalizers": ["kubernetes"]}}));
        world.create(deployment("one", 3));
        world.settle();
        world.delete("namespaces", "", "default");
        world.settle();
        let left: Vec<_> =
            world.snapshot().iter().map(|o| o.key.to_string()).filter(|k| !k.starts_with("nodes/")).collect();
        assert!(left.iter().all(|key| key.starts_with("leases")), "seed {seed}: {left:?}");
    }
}

#[test]
fn a_silent_node_loses_its_pods_to_the_others() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 2);
        world.create(deployment("one", 4));
        world.settle();
        world.silence("node-0");
        world.pass(std::time::Duration::from_secs(400));
        world.settle();
        let running: Vec<_> =
            world.snapshot().list("pods", None).filter(|p| p.header.deleted.is_none()).collect();
        assert_eq!(running.len(), 4, "seed {seed}");
        assert!(running.iter().all(|pod| pod.header.node.as_deref() == Some("node-1")), "seed {seed}");
    }
}

#[test]
fn foreground_deletion_waits_for_dependents_and_orphaning_lets_them_live() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, 1);
        world.create(deployment("one", 2));
        world.settle();
        world.delete_with("deployments.apps", "default", "web", "orphan");
        world.settle();
        assert!(world.snapshot().list("deployments.apps", None).next().is_none(), "seed {seed}");
        assert_eq!(world.ready_pods("default"), 2, "seed {seed}");
        let set = world.snapshot().list("replicasets.apps", None).next().unwrap().name().to_string();
        world.delete_with("replicasets.apps", "default", &set, "foregroundDeletion");
        world.settle_while(|world| {
            let set_is_there = world.snapshot().list("replicasets.apps", None).next().is_some();
            let pods = world.snapshot().list("pods", None).count();
            assert!(set_is_there || pods == 0, "seed {seed}: the set went before its pods");
        });
        assert!(world.snapshot().list("pods", None).next().is_none(), "seed {seed}");
    }
}
