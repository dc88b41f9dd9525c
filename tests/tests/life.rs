//! What becomes of containers: restarts, limits, probes, init containers and what they are given.

use peapod_tests::cluster::Cluster;
use peapod_tests::{file, http, wait};

/// Every one of `count` requests is answered.
fn answers(cluster: &Cluster, count: usize) {
    let at = cluster.node_port("hello");
    for _ in 0..count {
        let (code, body) = http::get(at, "/").unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(code, 200, "{body}");
    }
}

const RESTARTS: &str = "{.status.containerStatuses[0].restartCount}";
const PHASE: &str = "{.status.phase}";

#[test]
fn a_crashed_container_restarts_and_keeps_its_last_words() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.apply("manifests/crasher.yaml");
    kubectl.becomes("pod crasher", RESTARTS, |count| count.parse::<u32>().is_ok_and(|count| count >= 1));
    kubectl.log_says("crasher --previous", "crashed with exit code 1");
    let last = "{.status.containerStatuses[0].lastState.terminated['exitCode','reason']}";
    assert_eq!(kubectl.path("pod crasher", last), "1 Error");
    let waits = "{.status.containerStatuses[0].state.waiting.reason}";
    kubectl.becomes("pod crasher", waits, |reason| reason == "CrashLoopBackOff");
    kubectl.event_says("crasher", "Warning", "BackOff", "Back-off restarting failed container crasher");
}

#[test]
fn a_memory_bomb_and_a_burner_leave_their_neighbours_alone() {
    let hello = file("manifests/hello.yaml");
    let cluster = Cluster::start(&["--apply", hello.to_str().unwrap()]);
    let kubectl = cluster.kubectl();
    // The node opens the port a little later than it tells that the pods are ready.
    http::all_say(cluster.node_port("hello"), 3, |body| body.starts_with("hello from "));
    kubectl.apply("manifests/burner.yaml");
    kubectl.apply("manifests/memory-bomb.yaml");
    let ended = "{.status.containerStatuses[0].state.terminated['exitCode','reason']}";
    wait::until("the end of memory-bomb", 60, || {
        answers(&cluster, 3);
        let state = kubectl.path("pod memory-bomb", ended);
        if state == "137 OOMKilled" { Ok(()) } else { Err(state) }
    });
    assert_eq!(kubectl.path("pod memory-bomb", PHASE), "Failed");
    kubectl.event_says("memory-bomb", "Warning", "Failed", "137 (OOMKilled)");
    kubectl.log_says("burner", "loops/s");
    answers(&cluster, 30);
    assert_eq!(kubectl.path("pod burner", PHASE), "Running");
    let restarts = kubectl.path("pods -l app=hello", "{.items[*].status.containerStatuses[0].restartCount}");
    assert_eq!(restarts, "0 0 0");
}

#[test]
fn a_failed_liveness_probe_restarts_the_container() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.pod(
        "sick",
        "{containers: [{name: files, image: files, ports: [{containerPort: 80}], livenessProbe: \
         {httpGet: {path: /missing, port: 80}, periodSeconds: 1, failureThreshold: 2}}]}",
    );
    kubectl.becomes("pod sick", RESTARTS, |count| count.parse::<u32>().is_ok_and(|count| count >= 1));
    kubectl.event_says("sick", "Warning", "Unhealthy", "Liveness probe failed");
}

#[test]
fn init_containers_run_in_order_before_the_others() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    let mount = "volumeMounts: [{name: v, mountPath: /data}]";
    kubectl.pod(
        "ordered",
        &format!(
            "{{restartPolicy: Never, volumes: [{{name: v, emptyDir: {{}}}}], initContainers: [\
             {{name: one, image: writer, args: [/data/lines, '0', '1'], {mount}}}, \
             {{name: two, image: writer, args: [/data/lines, '0', '2'], {mount}}}], \
             containers: [{{name: reader, image: reader, args: [/data/lines, '0.1', '3'], {mount}}}]}}"
        ),
    );
    kubectl.becomes("pod ordered", PHASE, |phase| phase == "Succeeded");
    let lines = ["1", "1", "2"].map(|number| format!("read line {number} from ordered\n"));
    assert_eq!(kubectl.run("logs ordered -c reader").ok(), lines.concat());
    let inits = "{.status.initContainerStatuses[*].state.terminated.reason}";
    assert_eq!(kubectl.path("pod ordered", inits), "Completed Completed");

    kubectl.pod(
        "stuck",
        "{restartPolicy: Never, initContainers: [{name: bad, image: crasher, args: ['0', '3']}], \
         containers: [{name: job, image: job}]}",
    );
    kubectl.becomes("pod stuck", PHASE, |phase| phase == "Failed");
    assert_eq!(kubectl.path("pod stuck", "{.status.containerStatuses[0].state.terminated}"), "");
    kubectl.event_says("stuck", "Warning", "Failed", "Container bad ended with exit code 3 (Error)");
}

#[test]
fn restart_policies_are_followed() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    let pod = |name: &str, policy: &str, code: u8| {
        let spec = format!(
            "{{restartPolicy: {policy}, containers: [{{name: a, image: crasher, args: ['0', '{code}']}}]}}"
        );
        kubectl.pod(name, &spec);
    };
    pod("never-fails", "Never", 4);
    pod("never-succeeds", "Never", 0);
    pod("retry-fails", "OnFailure", 5);
    pod("retry-succeeds", "OnFailure", 0);
    pod("always-succeeds", "Always", 0);
    kubectl.becomes("pod never-fails", PHASE, |phase| phase == "Failed");
    for name in ["never-succeeds", "retry-succeeds"] {
        kubectl.becomes(&format!("pod {name}"), PHASE, |phase| phase == "Succeeded");
    }
    for name in ["retry-fails", "always-succeeds"] {
        kubectl.becomes(&format!("pod {name}"), RESTARTS, |count| {
            count.parse::<u32>().is_ok_and(|count| count >= 1)
        });
        assert_eq!(kubectl.path(&format!("pod {name}"), PHASE), "Running");
    }
    for name in ["never-fails", "never-succeeds", "retry-succeeds"] {
        assert_eq!(kubectl.path(&format!("pod {name}"), RESTARTS), "0", "{name}");
    }
    let code = "{.status.containerStatuses[0].state.terminated.exitCode}";
    assert_eq!(kubectl.path("pod never-fails", code), "4");
    kubectl.event_says("never-fails", "Warning", "Failed", "Container a ended with exit code 4 (Error)");
}

#[test]
fn environment_comes_from_settings_secrets_and_the_pod_itself() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.run("create configmap settings --from-literal=colour=green --from-literal=SIZE=large").ok();
    kubectl.run("create secret generic vault --from-literal=word=sesame").ok();
    kubectl.pod(
        "given",
        "{restartPolicy: Never, containers: [{name: job, image: job, args: ['$(COLOUR) door', '$$(COLOUR)'], \
         envFrom: [{configMapRef: {name: settings}}], env: [\
         {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}, \
         {name: WORD, valueFrom: {secretKeyRef: {name: vault, key: word}}}, \
         {name: NONE, valueFrom: {secretKeyRef: {name: vault, key: none, optional: true}}}, \
         {name: ME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}, \
         {name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}, \
         {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]}]}",
    );
    kubectl.becomes("pod given", PHASE, |phase| phase == "Succeeded");
    let log = kubectl.run("logs given").ok();
    let ip = kubectl.path("pod given", "{.status.podIP}");
    let lines: Vec<&str> = log.lines().collect();
    for expected in [
        "argument 1: green door",
        "argument 2: $(COLOUR)",
        "COLOUR=green",
        "SIZE=large",
        "WORD=sesame",
        "ME=given",
        "NODE=node-1",
        "HOSTNAME=given",
        &format!("IP={ip}"),
        "done",
    ] {
        assert!(lines.contains(&expected), "{expected:?} is not in:\n{log}");
    }
    assert!(!log.contains("NONE="), "{log}");

    kubectl.pod(
        "waits",
        "{restartPolicy: Never, containers: [{name: job, image: job, env: [\
         {name: LATE, valueFrom: {configMapKeyRef: {name: late, key: word}}}]}]}",
    );
    let waits = "{.status.containerStatuses[0].state.waiting.reason}";
    kubectl.becomes("pod waits", waits, |reason| reason == "CreateContainerConfigError");
    kubectl.run("create configmap late --from-literal=word=arrived").ok();
    kubectl.becomes("pod waits", PHASE, |phase| phase == "Succeeded");
    kubectl.log_says("waits", "LATE=arrived");
}
