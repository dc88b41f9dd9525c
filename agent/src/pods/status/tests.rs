//! Tables of situations and the statuses that they show.

use super::*;
use crate::pods::observed::{Blocked, Ending, Failure};
use serde_json::json;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn pod(policy: &str, init: &[&str], containers: &[&str]) -> Pod {
    let list =
        |names: &[&str]| -> Value { names.iter().map(|n| json!({"name": n, "image": "img"})).collect() };
    serde_json::from_value(json!({
        "metadata": {"name": "p", "namespace": "d", "uid": "u"},
        "spec": {"restartPolicy": policy, "initContainers": list(init), "containers": list(containers)},
    }))
    .unwrap()
}

fn present() -> Image {
    Image::Present
}

fn running(ready: bool) -> Observation {
    let stage = Stage::Running(Running { id: "wasmtime://r".into(), since: at(7), started: true, ready });
    Observation { stage, image: present(), image_id: "sha256:x".into(), ..Observation::default() }
}

fn ended(code: i32) -> Observation {
    let ended = Ended {
        id: "wasmtime://e".into(),
        code,
        signal: None,
        reason: if code == 0 { "Completed".into() } else { "Error".into() },
        message: String::new(),
        started_at: Some(at(7)),
        finished_at: at(9),
    };
    Observation { stage: Stage::Ended(ended), image: present(), ..Observation::default() }
}

fn seen(containers: &[(&str, Observation)]) -> Observed {
    Observed {
        ip: Some([10, 244, 0, 2].into()),
        started_at: Some(at(5)),
        volumes: Volumes::Mounted,
        containers: containers.iter().map(|(name, o)| (name.to_string(), o.clone())).collect(),
        ..Observed::default()
    }
}

fn shown(pod: &Pod, seen: &Observed, now: i64) -> Value {
    status(pod, seen, &Value::Null, [127, 0, 0, 1].into(), at(now))
}

fn condition(status: &Value, kind: &str) -> Value {
    let list = status["conditions"].as_array().unwrap();
    list.iter().find(|condition| condition["type"] == kind).unwrap().clone()
}

#[test]
fn a_running_pod_in_full() {
    let status = shown(&pod("Always", &[], &["a"]), &seen(&[("a", running(true))]), 10);
    let time = "1970-01-01T00:00:10Z";
    let yes = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": time, "lastProbeTime": null});
    assert_eq!(
        status,
        json!({
            "phase": "Running", "reason": null, "message": null,
            "conditions": [yes("PodReadyToStartContainers"), yes("Initialized"), yes("ContainersReady"),
                yes("Ready"), yes("PodScheduled")],
            "containerStatuses": [{
                "name": "a", "image": "img", "imageID": "sha256:x", "containerID": "wasmtime://r", "ready": true,
                "started": true, "restartCount": 0, "lastState": {},
                "state": {"running": {"startedAt": "1970-01-01T00:00:07Z"}},
            }],
            "initContainerStatuses": null,
            "hostIP": "127.0.0.1", "hostIPs": [{"ip": "127.0.0.1"}],
            "podIP": "10.244.0.2", "podIPs": [{"ip": "10.244.0.2"}],
            "startTime": "1970-01-01T00:00:05Z", "qosClass": "BestEffort",
        })
    );
}

#[test]
fn phases() {
    let fresh = Observation::default;
    let restarted = Observation { last: ended(1).ended().cloned(), ..Observation::default() };
    for (policy, a, b, expected) in [
        ("Always", fresh(), running(true), "Pending"),
        ("Always", running(true), ended(1), "Running"),
        ("Always", ended(0), ended(0), "Running"),
        ("Always", ended(1), restarted, "Running"),
        ("OnFailure", ended(0), ended(0), "Succeeded"),
        ("OnFailure", ended(0), ended(1), "Running"),
        ("Never", ended(0), ended(0), "Succeeded"),
        ("Never", ended(0), ended(1), "Failed"),
        ("Never", ended(1), running(true), "Running"),
    ] {
        let pod = pod(policy, &[], &["a", "b"]);
        assert_eq!(phase(&pod, &seen(&[("a", a), ("b", b)])), expected, "{policy}");
    }
    let never = pod("Never", &["i"], &["a"]);
    assert_eq!(phase(&never, &seen(&[("i", ended(1)), ("a", fresh())])), "Failed");
    assert_eq!(phase(&never, &seen(&[("i", running(true)), ("a", fresh())])), "Pending");
}

#[test]
fn a_deleted_pod_ends_as_its_containers_did() {
    let pod = pod("Always", &[], &["a"]);
    for (container, expected) in
        [(ended(0), "Succeeded"), (ended(143), "Failed"), (Observation::default(), "Failed")]
    {
        let mut gone = seen(&[("a", container)]);
        gone.ending = Some(Ending { since: at(1), grace_seconds: 30 });
        gone.cleaned = true;
        assert_eq!(phase(&pod, &gone), expected);
    }
}

#[test]
fn a_crash_loop_shows_the_back_off_and_the_last_end() {
    let mut crashed = ended(1);
    crashed.restarts = 2;
    crashed.backoff.restarted(at(5), at(6));
    let pod = pod("Always", &[], &["a"]);
    let status = shown(&pod, &seen(&[("a", crashed)]), 10);
    let container = &status["containerStatuses"][0];
    assert_eq!(
        container["state"],
        json!({"waiting": {"reason": "CrashLoopBackOff",
            "message": "back-off 10s restarting failed container=a pod=p_d(u)"}})
    );
    assert_eq!(container["lastState"]["terminated"]["exitCode"], 1);
    assert_eq!((&container["restartCount"], &container["ready"]), (&json!(2), &json!(false)));
    assert_eq!(condition(&status, "Ready")["reason"], "ContainersNotReady");
    assert_eq!(condition(&status, "Ready")["message"], "containers with unready status: [a]");
}

#[test]
fn why_a_container_waits() {
    let failed = |reason: &str, attempts| Image::Failed {
        reason: reason.into(),
        message: "no such image".into(),
        retry_at: at(20),
        attempts,
    };
    let image = |image| Observation { image, ..Observation::default() };
    let blocked = Blocked {
        reason: "CreateContainerConfigError".into(),
        message: "configmap \"c\" not found".into(),
        retry_at: at(99),
    };
    for (container, reason, message) in [
        (Observation::default(), "ContainerCreating", ""),
        (image(failed("ErrImagePull", 1)), "ErrImagePull", "no such image"),
        (
            image(failed("ErrImagePull", 2)),
            "ImagePullBackOff",
            "Back-off pulling image \"img\": no such image",
        ),
        (image(failed("InvalidImageName", 3)), "InvalidImageName", "no such image"),
        (
            Observation { blocked: Some(blocked), ..Observation::default() },
            "CreateContainerConfigError",
            "configmap \"c\" not found",
        ),
    ] {
        let status = shown(&pod("Always", &[], &["a"]), &seen(&[("a", container)]), 10);
        let waiting = &status["containerStatuses"][0]["state"]["waiting"];
        assert_eq!(waiting["reason"], reason);
        assert_eq!(waiting["message"].as_str().unwrap_or_default(), message);
        assert_eq!(status["phase"], "Pending");
    }
}

#[test]
fn init_containers_hold_the_others_back() {
    let pod = pod("Always", &["i", "j"], &["a"]);
    let status = shown(&pod, &seen(&[("i", ended(0)), ("j", running(true)), ("a", present_only())]), 10);
    assert_eq!(condition(&status, "Initialized")["message"], "containers with incomplete status: [j]");
    assert_eq!(status["containerStatuses"][0]["state"]["waiting"]["reason"], "PodInitializing");
    assert_eq!(status["initContainerStatuses"][0]["ready"], true);
    assert_eq!(condition(&status, "ContainersReady")["status"], "False");
}

fn present_only() -> Observation {
    Observation { image: present(), ..Observation::default() }
}

#[test]
fn failures_of_the_whole_pod_are_told() {
    let mut late = seen(&[("a", ended(143))]);
    late.failure = Some(Failure { reason: "DeadlineExceeded".into(), message: "too long".into() });
    let status = shown(&pod("Always", &[], &["a"]), &late, 10);
    assert_eq!((&status["phase"], &status["reason"]), (&json!("Failed"), &json!("DeadlineExceeded")));
    assert!(status["containerStatuses"][0]["state"]["terminated"].is_object());
    assert_eq!(condition(&status, "Ready")["reason"], "PodFailed");
}

#[test]
fn gates_and_conditions_of_others_count_and_are_kept() {
    let mut pod = pod("Always", &[], &["a"]);
    pod.spec.readiness_gates =
        serde_json::from_value(json!([{"conditionType": "example.com/live"}])).unwrap();
    let seen = seen(&[("a", running(true))]);
    assert_eq!(condition(&shown(&pod, &seen, 10), "Ready")["reason"], "ReadinessGatesNotReady");
    let before = json!({"conditions": [{"type": "example.com/live", "status": "True"},
        {"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:01Z"}]});
    let status = status(&pod, &seen, &before, [127, 0, 0, 1].into(), at(10));
    assert_eq!(condition(&status, "Ready")["lastTransitionTime"], "1970-01-01T00:00:01Z");
    assert_eq!(condition(&status, "example.com/live")["status"], "True");
}

#[test]
fn classes_of_service() {
    let of = |resources: Value| {
        let mut pod = pod("Always", &[], &["a"]);
        pod.spec.containers[0].resources = serde_json::from_value(resources).unwrap();
        qos_class(&pod)
    };
    assert_eq!(of(json!({})), "BestEffort");
    assert_eq!(of(json!({"requests": {"cpu": "1"}})), "Burstable");
    assert_eq!(of(json!({"limits": {"cpu": "1", "memory": "1Gi"}})), "Guaranteed");
    assert_eq!(
        of(json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}})),
        "Burstable"
    );
}
