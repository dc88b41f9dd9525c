use super::*;
use peapod_api::kinds::{self, KINDS};
use peapod_api::{Draft, Key};

fn now() -> Timestamp {
    "2026-01-01T01:00:00Z".parse().unwrap()
}

fn pod(status: Value) -> Value {
    json!({
        "metadata": {"name": "p", "namespace": "d", "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}, {"name": "j"}]},
        "status": status,
    })
}

/// Ready, status and restarts of a pod.
fn shown(pod: &Value) -> [String; 3] {
    let cells = cells(kinds::lookup("", "pods").unwrap(), &Subject::tree(pod), now());
    [1, 2, 3].map(|index| cells[index].as_str().unwrap().to_string())
}

fn running(name: &str) -> Value {
    json!({"name": name, "ready": true, "restartCount": 0, "state": {"running": {}}})
}

#[test]
fn every_computed_cell_of_the_kinds_table_is_registered() {
    for column in KINDS.iter().flat_map(|kind| &kind.columns) {
        if let Cell::Computed(name) = column.cell {
            assert!(cells::computed(name, &Value::Null, now()).is_some(), "{name}");
        }
    }
}

#[test]
fn pods_read_as_kubernetes_prints_them() {
    let done = json!({"name": "i", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}});
    let waiting = |name: &str, reason: &str| {
        json!({"name": name, "restartCount": 2, "state": {"waiting": {"reason": reason}},
        "lastState": {"terminated": {"finishedAt": "2026-01-01T00:59:55Z"}}})
    };
    let ended = |name: &str, terminated: Value| json!({"name": name, "restartCount": 0, "state": {"terminated": terminated}});
    let init = json!([done, ended("j", json!({"exitCode": 0}))]);
    for (status, expected) in [
        (json!({"phase": "Pending"}), ["0/2", "Pending", "0"]),
        (
            json!({"phase": "Pending", "initContainerStatuses": [{"name": "i", "state": {"running": {}}}]}),
            ["0/2", "Init:0/2", "0"],
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [done, waiting("j", "PodInitializing")]}),
            ["0/2", "Init:1/2", "2 (5s ago)"],
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [waiting("i", "CrashLoopBackOff")]}),
            ["0/2", "Init:CrashLoopBackOff", "2 (5s ago)"],
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": [ended("i", json!({"exitCode": 3}))]}),
            ["0/2", "Init:ExitCode:3", "0"],
        ),
        (
            json!({"phase": "Pending", "initContainerStatuses": init,
                "containerStatuses": [waiting("a", "ContainerCreating"), running("b")]}),
            ["1/2", "ContainerCreating", "2 (5s ago)"],
        ),
        (
            json!({"phase": "Running", "initContainerStatuses": init, "containerStatuses": [running("a"), running("b")]}),
            ["2/2", "Running", "0"],
        ),
        (
            json!({"phase": "Running", "containerStatuses": [ended("a", json!({"exitCode": 137, "reason": "OOMKilled"})), running("b")]}),
            ["1/2", "OOMKilled", "0"],
        ),
        (
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
                "containerStatuses": [ended("a", json!({"exitCode": 0, "reason": "Completed"})), running("b")]}),
            ["1/2", "Running", "0"],
        ),
        (
            json!({"phase": "Failed", "containerStatuses": [ended("a", json!({"exitCode": 0, "signal": 9})), ended("b", json!({"exitCode": 2}))]}),
            ["0/2", "Signal:9", "0"],
        ),
        (json!({"phase": "Failed", "reason": "Evicted"}), ["0/2", "Evicted", "0"]),
    ] {
        assert_eq!(shown(&pod(status.clone())), expected, "{status}");
    }
}

#[test]
fn a_deleted_pod_is_terminating_until_it_is_over() {
    let mut value = pod(json!({"phase": "Running"}));
    value["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:10Z".into();
    assert_eq!(shown(&value)[1], "Terminating");
    value["status"]["phase"] = "Succeeded".into();
    assert_eq!(shown(&value)[1], "Succeeded");
}

#[test]
fn services_and_nodes() {
    let service = json!({
        "metadata": {"name": "s"},
        "spec": {"type": "NodePort", "clusterIP": "10.96.0.7", "selector": {"app": "x"},
            "ports": [{"port": 80, "nodePort": 30080, "protocol": "TCP"}, {"port": 53, "protocol": "UDP"}]},
    });
    let row = cells(kinds::lookup("", "services").unwrap(), &Subject::tree(&service), now());
    assert_eq!(
        json!(row),
        json!(["s", "NodePort", "10.96.0.7", "<none>", "80:30080/TCP,53/UDP", "<unknown>", "app=x"])
    );
    let node = json!({
        "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "addresses": [{"type": "InternalIP", "address": "1.2.3.4"}]},
    });
    let row = cells(kinds::lookup("", "nodes").unwrap(), &Subject::tree(&node), now());
    assert_eq!(json!(row[1..3]), json!(["Ready,SchedulingDisabled", "control-plane"]));
    assert_eq!(json!(row[5..7]), json!(["1.2.3.4", "<none>"]));
}

#[test]
fn long_address_lists_are_cut() {
    let addresses: Vec<Value> = (1..=5).map(|n| json!({"ip": format!("10.0.0.{n}")})).collect();
    let endpoints =
        json!({"metadata": {"name": "e"}, "subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]});
    let row = cells(kinds::lookup("", "endpoints").unwrap(), &Subject::tree(&endpoints), now());
    assert_eq!(row[1], "10.0.0.1:80,10.0.0.2:80,10.0.0.3:80 + 2 more...");
}

#[test]
fn events_and_deployments() {
    let event = json!({
        "metadata": {"name": "e.1"}, "type": "Normal", "reason": "Started", "message": "m", "count": 3,
        "involvedObject": {"kind": "Pod", "name": "p"}, "source": {"component": "kubelet", "host": "n"},
        "firstTimestamp": "2026-01-01T00:00:00Z", "lastTimestamp": "2026-01-01T00:59:00Z",
    });
    let row = cells(kinds::lookup("", "events").unwrap(), &Subject::tree(&event), now());
    assert_eq!(
        json!(row),
        json!(["60s", "Normal", "Started", "pod/p", "", "kubelet, n", "m", "60m", 3, "e.1"])
    );
    let deployment = json!({
        "metadata": {"name": "d"}, "status": {"readyReplicas": 1},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "c", "operator": "In", "values": ["d", "e"]}]},
            "template": {"spec": {"containers": [{"name": "x", "image": "i:1"}, {"name": "y", "image": "j"}]}}},
    });
    let row = cells(kinds::lookup("apps", "deployments").unwrap(), &Subject::tree(&deployment), now());
    assert_eq!(json!(row), json!(["d", "1/3", 0, 0, "<unknown>", "x,y", "i:1,j", "a=b,c in (d,e)"]));
}

#[test]
fn a_table_carries_what_was_asked_for() {
    let kind = kinds::lookup("", "configmaps").unwrap();
    let object =
        json!({"kind": "ConfigMap", "metadata": {"name": "c", "resourceVersion": "7"}, "data": {"a": "b"}});
    let style = Style { version: "v1", include: Include::Metadata, headers: true, now: now() };
    let read = |bytes: Vec<u8>| -> Value { serde_json::from_slice(&bytes).unwrap() };
    let one = read(table_of_one(kind, &object, style));
    let stored = Draft::new(kind, Key::new("configmaps", "", "c"), object.clone()).at(7);
    let table = read(table(kind, [&stored, &stored].into_iter(), &json!({"resourceVersion": "7"}), style));
    assert_eq!((&table["rows"][1], &table["metadata"]), (&one["rows"][0], &one["metadata"]));
    assert_eq!(table["columnDefinitions"][0]["format"], "name");
    assert_eq!(table["metadata"]["resourceVersion"], "7");
    assert_eq!(table["rows"][0]["cells"][1], 1);
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
    assert!(table["rows"][0]["object"].get("data").is_none());
    let bare = read(table_of_one(kind, &object, Style { include: Include::None, headers: false, ..style }));
    assert_eq!(bare["columnDefinitions"], json!([]));
    assert!(bare["rows"][0].get("object").is_none());
}

mod by_kind;
