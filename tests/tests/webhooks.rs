//! Admission webhooks that run in a pod, with stock kubectl. The pod passes what comes to it on to an HTTPS server in this
//! process: WASI has no TLS of its own.

#![allow(clippy::unwrap_used, reason = "test code")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use peapod_tests::cluster::Cluster;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;

const SERVICE: &str = "hook.default.svc";

/// An address of this machine that is not its loopback, which is each pod's own.
fn own_address() -> IpAddr {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("198.51.100.1:9").expect("the machine has a network besides loopback");
    socket.local_addr().unwrap().ip()
}

/// Starts the server: where it is and its certificate, PEM.
fn server(at: IpAddr) -> (SocketAddr, String) {
    let signed = rcgen::generate_simple_self_signed([SERVICE.to_string()]).unwrap();
    let key = PrivateKeyDer::try_from(signed.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let certificates = vec![signed.cert.der().clone()];
    let config = Arc::new(config.with_no_client_auth().with_single_cert(certificates, key).unwrap());
    let listener = TcpListener::bind((at, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            std::thread::spawn(move || serve(StreamOwned::new(connection, stream)));
        }
    });
    (address, signed.cert.pem())
}

/// Answers reviews until the client leaves.
fn serve(stream: StreamOwned<ServerConnection, TcpStream>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        let answer = answer(&serde_json::from_slice(&body).ok()?).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            answer.len()
        );
        stream.get_mut().write_all(format!("{head}{answer}").as_bytes()).ok()?;
    }
}

/// Denies what is called `bad`, and adds a label to everything else.
fn answer(review: &Value) -> Value {
    let request = &review["request"];
    let mut response = json!({"uid": request["uid"], "allowed": true, "warnings": ["mind the gap"]});
    if request["name"] == "bad" {
        response["allowed"] = false.into();
        response["status"] = json!({"message": "bad ones stay out", "reason": "Forbidden", "code": 403});
    } else if request["operation"] != "DELETE" {
        let patch = r#"[{"op": "add", "path": "/metadata/labels/mutated", "value": "yes"}]"#;
        response["patchType"] = "JSONPatch".into();
        response["patch"] = STANDARD.encode(patch).into();
    }
    json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "response": response})
}

fn map(name: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, labels: {{hooked: 'yes'}}}}\ndata: {{a: '1'}}\n"
    )
}

#[test]
fn kubectl_meets_a_webhook_in_a_pod() {
    let (address, certificate) = server(own_address());
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    let (host, port) = (address.ip(), address.port());
    let allow = format!("peapod.dev/allow-egress: '{host}/32'");
    let spec =
        format!("{{containers: [{{name: c, image: pipe, args: [forward, '8443', '{host}', '{port}']}}]}}");
    kubectl.annotated_pod("hook", &allow, &spec);
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: hook}\nspec: {selector: {app: hook}, ports: [{port: 443, targetPort: 8443}]}\n";
    kubectl.stdin("apply -f -", service).ok();
    kubectl.run("wait --for=condition=Ready pod/hook --timeout=60s").ok();
    kubectl.log_says("hook", "forwarding 8443");
    kubectl.becomes(
        "endpointslices -l kubernetes.io/service-name=hook",
        "{.items[*].endpoints[*].conditions.ready}",
        |ready| ready.contains("true"),
    );

    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": "hook"}, "webhooks": [{"name": "hook.example.com", "sideEffects": "None", "timeoutSeconds": 5,
            "admissionReviewVersions": ["v1"], "objectSelector": {"matchLabels": {"hooked": "yes"}},
            "clientConfig": {"caBundle": STANDARD.encode(certificate), "service": {"name": "hook", "namespace": "default"}},
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"], "resources": ["configmaps"]}]}]});
    let applied = kubectl.stdin("apply -f -", &configuration.to_string());
    assert!(!applied.err.contains("Warning"), "{}", applied.err);
    applied.ok();

    let created = kubectl.stdin("apply -f -", &map("good"));
    assert!(created.err.contains("Warning: mind the gap"), "{created:?}");
    created.ok();
    assert_eq!(kubectl.path("configmap good", "{.metadata.labels.mutated}"), "yes");
    let denied = "Error from server (Forbidden): error when creating \"STDIN\": admission webhook \"hook.example.com\" denied the request: bad ones stay out";
    for line in ["create -f -", "apply -f -", "create --dry-run=server -f -"] {
        kubectl.stdin(line, &map("bad")).fails_with(denied);
        cluster.kubectl_named("kubectl-old").stdin(line, &map("bad")).fails_with(denied);
    }
    kubectl.stdin("apply --server-side -f -", &map("bad")).fails_with("bad ones stay out");
    kubectl.stdin("apply --server-side --force-conflicts -f -", &map("good")).ok();
    let dry = kubectl
        .stdin("create --dry-run=server -o jsonpath={.metadata.labels.mutated} -f -", &map("dry"))
        .ok();
    assert_eq!(dry, "yes");
    kubectl.run("label configmap good more=yes").ok();
    let deleted = kubectl.run("delete configmap good");
    assert!(deleted.err.contains("Warning: mind the gap"), "{deleted:?}");

    kubectl.run("delete pod hook --grace-period=1").ok();
    let failed = "failed calling webhook \"hook.example.com\": failed to call webhook: Post \"https://hook.default.svc:443/?timeout=5s\": no endpoints available for service \"hook\"";
    peapod_tests::wait::until("a failing call", 30, || {
        let ran = kubectl.stdin("create -f -", &map("late"));
        if ran.code != 0 && ran.err.contains(failed) { Ok(()) } else { Err(format!("{ran:?}")) }
    });
    println!("webhook server at {address}, reached by pod hook and Service {SERVICE}");
}
