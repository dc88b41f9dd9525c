//! What a row of a Table costs, beside reading its object as a tree. Run with `cargo bench -p peapod-core --bench table`.

use jiff::Timestamp;
use peapod_api::{Draft, Key, Object, kinds};
use peapod_core::table::{self, Include, Style};
use serde_json::{Value, json};
use std::hint::black_box;
use std::time::Instant;

const ROWS: usize = 10_000;
/// Median of so many rounds.
const ROUNDS: usize = 5;

fn config_map(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"key": "value".repeat(20)},
        "metadata": {
            "name": name, "namespace": "default", "uid": "0b8f4f0e-6a1c-4f43-9df2-4b0f0a2f6a11",
            "creationTimestamp": "2026-01-02T03:04:05Z", "labels": {"app": "bench"},
            "managedFields": managed(&json!({"f:data": {".": {}, "f:key": {}}})),
        },
    })
}

fn managed(fields: &Value) -> Value {
    json!([{"manager": "bench", "operation": "Update", "apiVersion": "v1", "time": "2026-01-02T03:04:05Z",
        "fieldsType": "FieldsV1", "fieldsV1": fields}])
}

fn pod(name: &str) -> Value {
    let container = json!({
        "name": "app", "image": "registry/app:1", "imagePullPolicy": "IfNotPresent",
        "env": (0..10).map(|n| json!({"name": format!("SETTING_{n}"), "value": "some value"})).collect::<Vec<_>>(),
        "resources": {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "32Mi"}},
        "ports": [{"containerPort": 8080, "protocol": "TCP"}], "terminationMessagePath": "/dev/termination-log",
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    });
    let conditions: Vec<Value> = ["PodScheduled", "Initialized", "ContainersReady", "Ready"]
        .map(|type_| json!({"type": type_, "status": "True", "lastTransitionTime": "2026-01-02T03:04:05Z"}))
        .into();
    let owned: Value = (0..20).map(|n| (format!("f:setting-{n}"), json!({".": {}, "f:name": {}}))).collect();
    let mut pod = config_map(name);
    pod["kind"] = "Pod".into();
    pod["data"].take();
    pod["metadata"]["managedFields"] = managed(&json!({"f:spec": {"f:containers": owned}}));
    pod["spec"] = json!({"containers": [container], "nodeName": "node-1", "volumes": [{"name": "data", "emptyDir": {}}]});
    pod["status"] = json!({
        "phase": "Running", "podIP": "10.240.0.7", "conditions": conditions,
        "containerStatuses": [{"name": "app", "ready": true, "restartCount": 0, "image": "registry/app:1",
            "imageID": "sha256:4f43", "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}],
    });
    pod
}

fn median_us(mut round: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            round();
            start.elapsed().as_secs_f64() * 1e6 / ROWS as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}

fn measure(resource: &str, make: fn(&str) -> Value) {
    let kind = kinds::lookup("", resource).expect("a kind");
    let objects: Vec<Object> = (0..ROWS)
        .map(|n| {
            let name = format!("object-{n}");
            Draft::new(kind, Key::new(resource, "default", &name), make(&name)).at(n as u64 + 1)
        })
        .collect();
    let style = Style { version: "v1", include: Include::Metadata, headers: true, now: Timestamp::now() };
    let rows = median_us(|| drop(black_box(table::table(kind, objects.iter(), &json!({}), style))));
    let trees = median_us(|| objects.iter().for_each(|object| drop(black_box(object.value()))));
    let bytes = objects[0].json().len();
    println!(
        "{resource} of {bytes} bytes: {rows:.2} us a row, {trees:.2} us to read as a tree: {:.2}",
        rows / trees
    );
}

fn main() {
    measure("configmaps", config_map);
    measure("pods", pod);
}
