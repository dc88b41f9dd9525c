//! Tables of situations and the steps that they call for.

use super::*;
use crate::pods::observed::{Blocked, Ended, Ending, Failure, Running, Stopping, Unhealthy};
use serde_json::{Value, json};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pod(policy: &str, init: &[&str], containers: &[&str]) -> Pod {
    let list = |names: &[&str]| -> Value { names.iter().map(|n| json!({"name": n, "image": "i"})).collect() };
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "d", "uid": "u"},
        "spec": {"restartPolicy": policy, "initContainers": list(init), "containers": list(containers)},
    }))
    .unwrap()
}

fn deleting(mut pod: Pod) -> Pod {
    pod.metadata.deletion_timestamp = Some("1970-01-01T00:00:00Z".into());
    pod
}

fn present() -> Image {
    Image::Present
}

fn running() -> Observation {
    let stage = Stage::Running(Running { id: "r".into(), since: at(0), started: true, ready: true });
    Observation { stage, image: present(), ..Observation::default() }
}

fn ended(code: i32, second: i64) -> Observation {
    let ended = Ended {
        id: "e".into(),
        code,
        signal: None,
        reason: "Error".into(),
        message: String::new(),
        started_at: Some(at(0)),
        finished_at: at(second),
    };
    Observation { stage: Stage::Ended(ended), image: present(), ..Observation::default() }
}

fn fresh() -> Observation {
    Observation { image: present(), ..Observation::default() }
}

fn seen(containers: &[(&str, Observation)]) -> Observed {
    Observed {
        ip: Some([10, 244, 0, 2].into()),
        started_at: Some(at(0)),
        volumes: Volumes::Mounted,
        containers: containers.iter().map(|(name, o)| (name.to_string(), o.clone())).collect(),
        ..Observed::default()
    }
}

fn start(name: &str) -> Step {
    Step::Start(name.into())
}

#[test]
fn a_new_pod_gets_network_volumes_and_images_at_once() {
    let steps = step(&pod("Always", &[], &["a", "b"]), &Observed::default(), at(0));
    assert_eq!(steps, [Step::Attach, Step::Mount, Step::Pull("a".into()), Step::Pull("b".into())]);
}

#[test]
fn nothing_starts_before_the_volumes_are_there() {
    let mut waiting = seen(&[("a", fresh())]);
    waiting.volumes = Volumes::Mounting;
    assert_eq!(step(&pod("Always", &[], &["a"]), &waiting, at(0)), []);
    waiting.volumes = Volumes::Failed { message: String::new(), retry_at: at(5) };
    assert_eq!(step(&pod("Always", &[], &["a"]), &waiting, at(0)), [Step::WakeAt(at(5))]);
    assert_eq!(step(&pod("Always", &[], &["a"]), &waiting, at(5)), [Step::Mount]);
}

#[test]
fn init_containers_go_one_after_another() {
    let pod = pod("Always", &["i", "j"], &["a"]);
    for (i, j, expected) in [
        (fresh(), fresh(), vec![start("i")]),
        (running(), fresh(), vec![]),
        (ended(0, 1), fresh(), vec![start("j")]),
        (ended(0, 1), ended(1, 1), vec![start("j")]),
        (ended(0, 1), ended(0, 1), vec![start("a")]),
    ] {
        assert_eq!(step(&pod, &seen(&[("i", i), ("j", j), ("a", fresh())]), at(2)), expected);
    }
}

#[test]
fn restart_policies() {
    for (policy, code, expected) in [
        ("Always", 0, vec![start("a")]),
        ("Always", 1, vec![start("a")]),
        ("OnFailure", 1, vec![start("a")]),
        ("OnFailure", 0, vec![Step::CleanUp]),
        ("Never", 1, vec![Step::CleanUp]),
        ("Never", 0, vec![Step::CleanUp]),
    ] {
        assert_eq!(step(&pod(policy, &[], &["a"]), &seen(&[("a", ended(code, 1))]), at(1)), expected);
    }
    let never = pod("Never", &["i"], &["a"]);
    assert_eq!(step(&never, &seen(&[("i", ended(1, 1)), ("a", fresh())]), at(1)), [Step::CleanUp]);
    let mixed = seen(&[("a", ended(0, 1)), ("b", running())]);
    assert_eq!(step(&pod("Never", &[], &["a", "b"]), &mixed, at(1)), []);
}

#[test]
fn a_second_crash_waits() {
    let mut crashed = ended(1, 100);
    crashed.backoff.restarted(at(98), at(99));
    let pod = pod("Always", &[], &["a"]);
    assert_eq!(step(&pod, &seen(&[("a", crashed.clone())]), at(101)), [Step::WakeAt(at(110))]);
    assert_eq!(step(&pod, &seen(&[("a", crashed)]), at(110)), [start("a")]);
}

#[test]
fn a_failed_pull_and_a_missing_reference_are_tried_again() {
    let pod = pod("Always", &[], &["a"]);
    let image = Image::Failed {
        reason: "ErrImagePull".into(),
        message: String::new(),
        retry_at: at(10),
        attempts: 1,
    };
    let failed = Observation { image, ..Observation::default() };
    assert_eq!(step(&pod, &seen(&[("a", failed.clone())]), at(1)), [Step::WakeAt(at(10))]);
    assert_eq!(step(&pod, &seen(&[("a", failed)]), at(10)), [Step::Pull("a".into())]);
    let blocked = Blocked { reason: "r".into(), message: "m".into(), retry_at: at(20) };
    let blocked = Observation { blocked: Some(blocked), ..fresh() };
    assert_eq!(step(&pod, &seen(&[("a", blocked.clone())]), at(1)), [Step::WakeAt(at(20))]);
    assert_eq!(step(&pod, &seen(&[("a", blocked)]), at(20)), [start("a")]);
}

#[test]
fn an_unhealthy_container_is_stopped_then_interrupted() {
    let pod = pod("Always", &[], &["a"]);
    let mut sick = running();
    sick.unhealthy = Some(Unhealthy { message: "failed liveness probe".into(), grace_seconds: 30 });
    let why = Why::Unhealthy("failed liveness probe".into());
    let stop = Step::Stop { name: "a".into(), kill_at: at(35), why };
    assert_eq!(step(&pod, &seen(&[("a", sick.clone())]), at(5)), [stop]);
    sick.stopping = Some(Stopping { kill_at: at(35), killed: false });
    assert_eq!(step(&pod, &seen(&[("a", sick.clone())]), at(6)), [Step::WakeAt(at(35))]);
    assert_eq!(step(&pod, &seen(&[("a", sick)]), at(35)), [Step::Kill("a".into())]);
}

#[test]
fn a_deleted_pod_ends_within_its_grace() {
    let pod = deleting(pod("Always", &[], &["a", "b"]));
    let mut going = seen(&[("a", running()), ("b", ended(0, 1))]);
    going.ending = Some(Ending { since: at(10), grace_seconds: 30 });
    let stop = Step::Stop { name: "a".into(), kill_at: at(40), why: Why::PodEnds };
    assert_eq!(step(&pod, &going, at(10)), [stop]);
    let stopping = Some(Stopping { kill_at: at(40), killed: false });
    going.containers.insert("a".into(), Observation { stopping, ..running() });
    assert_eq!(step(&pod, &going, at(11)), [Step::WakeAt(at(40))]);
    assert_eq!(step(&pod, &going, at(40)), [Step::Kill("a".into())]);
    going.ending = Some(Ending { since: at(10), grace_seconds: 1 });
    assert_eq!(step(&pod, &going, at(11)), [Step::Kill("a".into())], "a shorter grace counts");
    going.containers.insert("a".into(), ended(143, 12));
    assert_eq!(step(&pod, &going, at(12)), [Step::CleanUp]);
    going.cleaned = true;
    assert_eq!(step(&pod, &going, at(12)), [], "the final status is not known yet");
    going.reported = true;
    assert_eq!(step(&pod, &going, at(12)), [Step::Delete]);
}

#[test]
fn a_pod_that_never_started_is_cleaned_up_at_once() {
    let mut going = seen(&[("a", Observation::default())]);
    going.ending = Some(Ending { since: at(10), grace_seconds: 30 });
    assert_eq!(step(&deleting(pod("Always", &[], &["a"])), &going, at(10)), [Step::CleanUp]);
}

#[test]
fn the_active_deadline_fails_the_pod() {
    let mut pod = pod("Always", &[], &["a"]);
    pod.spec.active_deadline_seconds = Some(60);
    let mut late = seen(&[("a", running())]);
    assert_eq!(step(&pod, &late, at(59)), [Step::WakeAt(at(60))]);
    assert!(matches!(step(&pod, &late, at(60))[..], [Step::Fail { reason: "DeadlineExceeded", .. }]));
    late.failure = Some(Failure { reason: "DeadlineExceeded".into(), message: String::new() });
    assert!(matches!(&step(&pod, &late, at(60))[..], [Step::Stop { name, .. }] if name == "a"));
}

#[test]
fn what_is_under_way_is_not_decided_twice() {
    let pod = pod("Always", &[], &["a"]);
    let pulling = Observation { image: Image::Pulling { attempts: 0 }, ..Observation::default() };
    assert_eq!(step(&pod, &seen(&[("a", pulling)]), at(1)), []);
    let starting = Observation { stage: Stage::Starting, ..fresh() };
    assert_eq!(step(&pod, &seen(&[("a", starting)]), at(1)), []);
    assert_eq!(step(&pod, &seen(&[("a", running())]), at(1)), []);
}
