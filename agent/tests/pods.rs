//! Real pods under a real agent, with an API in memory.

#![allow(clippy::unwrap_used, reason = "test code")]

mod world;

use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use peapod_agent::Agent;
use serde_json::{Value, json};
use world::World;

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn container(pod: &Value) -> Value {
    pod["status"]["containerStatuses"][0].clone()
}

fn waits_for(reason: &str) -> impl Fn(&Value) -> bool {
    move |pod| container(pod)["state"]["waiting"]["reason"] == *reason
}

fn has_restarted(pod: &Value) -> bool {
    container(pod)["restartCount"].as_u64().is_some_and(|count| count >= 1)
}

/// GET on a stream; the body as text.
async fn get<IO>(io: IO, path: &str) -> String
where
    IO: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await.unwrap();
    let request = http::Request::get(path).header("host", "test").body(Empty::<bytes::Bytes>::new()).unwrap();
    let (answer, _) = tokio::join!(
        async move {
            let answer = sender.send_request(request).await.unwrap();
            String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
        },
        connection
    );
    answer
}

/// Waits until nothing is left at `path`; the file system has nothing to await.
async fn until_gone(path: &std::path::Path) {
    while path.exists() {
        tokio::task::yield_now().await;
    }
}

async fn logs(agent: &Agent, pod: &str, container: &str, query: &str) -> String {
    let (near, far) = tokio::io::duplex(1 << 16);
    let path = format!("/containerLogs/default/{pod}/{container}?{query}");
    let (text, ()) = tokio::join!(get(near, &path), agent.serve(far));
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_runs_answers_and_goes() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let agent = world.agent(dir.path()).await;
    let probe = json!({"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1});
    let spec = json!({"containers": [{"name": "hello", "image": "hello", "readinessProbe": probe,
        "ports": [{"containerPort": 80, "name": "http"}]}]});
    let path = world.pod("web", spec);
    let pod = world.until(&path, is_ready).await;
    assert_eq!(pod["status"]["phase"], "Running");
    let ip: std::net::IpAddr = pod["status"]["podIP"].as_str().unwrap().parse().unwrap();
    let connection = agent.fabric().dial((ip, 80).into()).await.unwrap();
    let text = get(connection, "/").await;
    assert!(text.contains("web"), "{text}");
    assert_eq!(world.event("web", "Started").await, "Started container hello");
    let (near, far) = tokio::io::duplex(1 << 16);
    let (metrics, ()) = tokio::join!(get(near, "/metrics"), agent.serve(far));
    assert!(metrics.contains(
        "container_cpu_usage_seconds_total{container=\"hello\",namespace=\"default\",pod=\"web\"}"
    ));
    world.delete(&path, 30);
    world.until(&path, Value::is_null).await;
    assert!(agent.fabric().dial((ip, 80).into()).await.is_err());
    assert_eq!(world.event("web", "Killing").await, "Stopping container hello");
    until_gone(&dir.path().join("pods/uid-web")).await;
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_is_restarted_at_once_then_held_back() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let agent = world.agent(dir.path()).await;
    let crasher = json!({"name": "c", "image": "crasher", "args": ["0", "7"]});
    let path = world.pod("always", json!({"containers": [crasher]}));
    let pod = world.until(&path, waits_for("CrashLoopBackOff")).await;
    let status = container(&pod);
    assert_eq!(status["restartCount"], 1);
    assert_eq!(status["lastState"]["terminated"]["exitCode"], 7);
    assert_eq!(pod["status"]["phase"], "Running");
    assert!(
        world.event("always", "BackOff").await.starts_with("Back-off restarting failed container c in pod")
    );
    assert_eq!(
        logs(&agent, "always", "c", "previous=true").await,
        "crashing in 0 s\ncrashed with exit code 7\n"
    );
    // It ends as fast as it starts, and is told to have started nevertheless.
    assert_eq!(world.event("always", "Started").await, "Started container c");
    let never = world.pod("never", json!({"containers": [crasher], "restartPolicy": "Never"}));
    let pod = world.until(&never, |pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(container(&pod)["state"]["terminated"]["exitCode"], 7);
    assert_eq!(logs(&agent, "never", "c", "tailLines=1").await, "crashed with exit code 7\n");
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_references_hold_a_container_until_they_come() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let agent = world.agent(dir.path()).await;
    let env =
        json!([{"name": "COLOUR", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "colour"}}}]);
    let spec = json!({"restartPolicy": "Never", "containers": [{"name": "j", "image": "job", "args": ["$(COLOUR)"], "env": env}]});
    let path = world.pod("job", spec);
    let pod = world.until(&path, waits_for("CreateContainerConfigError")).await;
    assert_eq!(container(&pod)["state"]["waiting"]["message"], "configmap \"settings\" not found");
    let map = json!({"metadata": {"name": "settings", "namespace": "default"}, "data": {"colour": "green"}});
    world.put("/api/v1/namespaces/default/configmaps/settings", map);
    world.until(&path, |pod| pod["status"]["phase"] == "Succeeded").await;
    let text = logs(&agent, "job", "j", "").await;
    assert!(text.starts_with("argument 1: green\n") && text.contains("HOSTNAME=job\n"), "{text}");
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_share_volumes_and_init_containers_come_first() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let agent = world.agent(dir.path()).await;
    let mount = json!([{"name": "data", "mountPath": "/data"}]);
    let map =
        json!({"metadata": {"name": "words", "namespace": "default"}, "data": {"lines": "from a map\n"}});
    world.put("/api/v1/namespaces/default/configmaps/words", map);
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [{"name": "data", "emptyDir": {}}, {"name": "map", "configMap": {"name": "words"}}],
        "initContainers": [{"name": "w", "image": "writer", "args": ["/data/lines", "0", "2"], "volumeMounts": mount}],
        "containers": [
            {"name": "r", "image": "reader", "args": ["/data/lines", "0.01", "2"], "volumeMounts": mount},
            {"name": "m", "image": "reader", "args": ["/etc/words/lines", "0.01", "1"],
                "volumeMounts": [{"name": "map", "mountPath": "/etc/words", "readOnly": true}]},
        ],
    });
    let path = world.pod("share", spec);
    world.until(&path, |pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(logs(&agent, "share", "r", "").await, "read line 1 from share\nread line 2 from share\n");
    assert_eq!(logs(&agent, "share", "m", "").await, "read from a map\n");
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_of_a_map_reaches_a_running_container() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let agent = world.agent(dir.path()).await;
    let put = |text: &str| {
        let map = json!({"metadata": {"name": "words", "namespace": "default"}, "data": {"lines": text}});
        world.put("/api/v1/namespaces/default/configmaps/words", map);
    };
    put("one\n");
    let spec = json!({
        "restartPolicy": "Never",
        "volumes": [{"name": "map", "configMap": {"name": "words"}}],
        "containers": [{"name": "r", "image": "reader", "args": ["/map/lines", "0.01", "2"],
            "volumeMounts": [{"name": "map", "mountPath": "/map"}]}],
    });
    let path = world.pod("follow", spec);
    world.until(&path, is_ready).await;
    put("one\ntwo\n");
    world.until(&path, |pod| pod["status"]["phase"] == "Succeeded").await;
    assert_eq!(logs(&agent, "follow", "r", "").await, "read one\nread two\n");
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_takes_its_pods_up_again() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let agent = world.agent(dir.path()).await;
    let spec = json!({"containers": [{"name": "s", "image": "sleeper"}]});
    let path = world.pod("stays", spec.clone());
    let gone = world.pod("goes", spec);
    let before = world.until(&path, is_ready).await;
    world.until(&gone, is_ready).await;
    agent.shutdown().await;
    assert_eq!(world.get(&path).unwrap(), before, "a shutdown leaves the status as it is");
    world.remove(&gone);
    let agent = world.agent(dir.path()).await;
    let after = world.until(&path, |pod| container(pod)["restartCount"] == 1 && is_ready(pod)).await;
    assert_eq!(after["status"]["podIP"], before["status"]["podIP"]);
    assert_eq!(
        container(&after)["lastState"]["terminated"]["containerID"],
        container(&before)["containerID"]
    );
    until_gone(&dir.path().join("pods/uid-goes")).await;
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_run_says_why() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let agent = world.agent(dir.path()).await;
    for (name, image, policy, reason) in [
        ("absent", "nowhere", "IfNotPresent", "ErrImagePull"),
        ("bad", "Not A Name", "Always", "InvalidImageName"),
        ("never", "hello", "Never", "ErrImageNeverPull"),
    ] {
        let spec = json!({"containers": [{"name": "c", "image": image, "imagePullPolicy": policy}]});
        let path = world.pod(name, spec);
        let pod = world.until(&path, waits_for(reason)).await;
        assert!(!container(&pod)["state"]["waiting"]["message"].as_str().unwrap().is_empty());
        assert_eq!(pod["status"]["phase"], "Pending");
        world.delete(&path, 30);
        world.until(&path, Value::is_null).await;
    }
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_liveness_probe_restarts_and_a_deadline_ends() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let agent = world.agent(dir.path()).await;
    let probe = json!({"tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 1});
    let spec = json!({"containers": [{"name": "s", "image": "sleeper", "livenessProbe": probe}],
        "terminationGracePeriodSeconds": 1});
    let path = world.pod("sick", spec);
    let pod = world.until(&path, has_restarted).await;
    assert!(container(&pod)["lastState"]["terminated"]["exitCode"].as_i64().unwrap() > 128);
    assert!(world.event("sick", "Unhealthy").await.starts_with("Liveness probe failed: dial tcp"));
    assert_eq!(world.event("sick", "Killing").await, "Container s failed liveness probe, will be restarted");
    let spec = json!({"containers": [{"name": "s", "image": "sleeper"}], "activeDeadlineSeconds": 1,
        "terminationGracePeriodSeconds": 0});
    let late = world.pod("late", spec);
    let pod = world.until(&late, |pod| pod["status"]["phase"] == "Failed").await;
    assert_eq!(pod["status"]["reason"], "DeadlineExceeded");
    agent.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_startup_probe_gates_the_others_and_restarts_what_never_starts() {
    let (world, dir) = (World::new(), tempfile::tempdir().unwrap());
    let agent = world.agent(dir.path()).await;
    let asked = |port: u16, failures: u32| json!({"tcpSocket": {"port": port}, "periodSeconds": 1, "failureThreshold": failures});
    let spec = |port: u16, failures: u32| {
        json!({"terminationGracePeriodSeconds": 0, "containers": [{"name": "h", "image": "hello",
            "ports": [{"containerPort": 80}], "startupProbe": asked(port, failures), "readinessProbe": asked(80, 1)}]})
    };
    let path = world.pod("starts", spec(80, 60));
    let pod = world.until(&path, is_ready).await;
    assert_eq!((&container(&pod)["started"], &container(&pod)["restartCount"]), (&json!(true), &json!(0)));
    let path = world.pod("hangs", spec(81, 1));
    let pod = world.until(&path, has_restarted).await;
    assert!(!is_ready(&pod), "{pod}");
    assert!(world.event("hangs", "Unhealthy").await.starts_with("Startup probe failed: dial tcp"));
    agent.shutdown().await;
}
