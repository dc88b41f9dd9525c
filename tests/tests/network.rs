//! Who reaches whom: localhost, Services, NodePorts and the way out.

#![allow(clippy::unwrap_used, reason = "test code")]

use peapod_tests::cluster::Cluster;
use peapod_tests::kubectl::Kubectl;
use peapod_tests::{file, http, wait};
use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// A pod that calls `url` over and over.
fn caller(kubectl: &Kubectl, name: &str, annotations: &str, url: &str) {
    let spec = format!("{{containers: [{{name: caller, image: caller, args: ['{url}', '0.2']}}]}}");
    kubectl.annotated_pod(name, annotations, &spec);
}

#[test]
fn a_pod_shares_localhost_and_volumes_with_nobody() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.apply("manifests/sidecar.yaml");
    kubectl.log_says("sidecar -c caller", "from sidecar");

    // The same address in another pod is that pod's own.
    caller(&kubectl, "stranger", "", "http://localhost:8080/news");
    let heard = kubectl.log_says("stranger", "cannot be reached");
    assert!(!heard.contains("from sidecar"), "{heard}");
    // A volume of the same name in another pod is another one.
    kubectl.pod(
        "elsewhere",
        "{volumes: [{name: shared, emptyDir: {}}], containers: [{name: files, image: files, \
         ports: [{containerPort: 8080}], volumeMounts: [{name: shared, mountPath: /data}]}]}",
    );
    kubectl.run("wait pod/elsewhere --for=condition=Ready --timeout=60s").ok();
    kubectl.run("expose pod elsewhere --type=NodePort --port=8080").ok();
    let at = cluster.node_port("elsewhere");
    let status = wait::until("an answer from elsewhere", 30, || http::get(at, "/news"));
    assert_eq!(status.0, 404, "{status:?}");
    assert_eq!(http::get(at, "/").unwrap().1, "", "nothing is in its volume");
    kubectl.log_says("sidecar -c caller --tail=1", "from sidecar");
}

#[test]
fn a_front_calls_its_back_by_name() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.apply("manifests/two-tier.yaml");
    for name in ["front", "hello-back"] {
        kubectl.run(&format!("rollout status deployment/{name} --timeout=60s")).ok();
    }
    let at = cluster.node_port("front");
    let body = wait::until("an answer of the back", 30, || match http::get(at, "/") {
        Ok((200, body)) => Ok(body),
        other => Err(format!("{other:?}")),
    });
    let (front, back) = body.split_once(" says: ").unwrap_or_else(|| panic!("{body}"));
    assert!(front.starts_with("front-"), "{body}");
    assert!(back.starts_with("good day from hello-back-"), "{body}");
    assert_eq!(kubectl.path("service hello-back", "{.spec.ports[0].nodePort}"), "");
}

/// Sends text, ends sending, and reads to the end.
fn echo(at: SocketAddr, text: &str) -> Result<String, String> {
    let io = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect_timeout(&at, Duration::from_secs(5)).map_err(io)?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(io)?;
    stream.write_all(text.as_bytes()).map_err(io)?;
    stream.shutdown(Shutdown::Write).map_err(io)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(io)?;
    if answer.is_empty() { Err("closed without an answer".into()) } else { Ok(answer) }
}

#[test]
fn streams_reach_servers_of_both_generations() {
    let cluster = Cluster::start(&[]);
    let kubectl = cluster.kubectl();
    kubectl.apply("manifests/echo.yaml");
    let long = "a line that is long enough to be told apart\n".repeat(3000);
    for service in ["echo", "echo-p2"] {
        kubectl.run(&format!("wait pod/{service} --for=condition=Ready --timeout=60s")).ok();
        let at = cluster.node_port(service);
        wait::until(&format!("an echo of {service}"), 30, || echo(at, "hello"));
        assert!(echo(at, &long).unwrap() == long, "{service} gave back something else");
        let mut streams: Vec<TcpStream> = (0..5).map(|_| TcpStream::connect(at).unwrap()).collect();
        for (number, stream) in streams.iter_mut().enumerate().rev() {
            let mut answer = [0; 1];
            stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            stream.write_all(&[number as u8]).unwrap();
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(usize::from(answer[0]), number, "{service}: each client has a stream of its own");
        }
    }
}

/// A server of the machine, outside of the pod network, that answers every request alike.
fn outside(host: IpAddr) -> SocketAddr {
    let listener = TcpListener::bind((host, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\noutside\n");
        }
    });
    address
}

/// An address of this machine that is not its loopback.
fn own_address() -> IpAddr {
    // Connecting a datagram socket sends nothing: it only asks the routing table which address would be used.
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect("198.51.100.1:9").expect("the machine has a network besides loopback");
    socket.local_addr().unwrap().ip()
}

#[test]
fn the_way_out_is_closed_unless_opened() {
    // In a pod's eyes all of 127.0.0.0/8 is its own.
    let host = own_address();
    let target = outside(host);
    let url = format!("http://{target}/");
    let closed = Cluster::start(&[]);
    caller(&closed.kubectl(), "caller", "", &url);
    let heard = closed.kubectl().log_says("caller", "cannot be reached");
    assert!(!heard.contains("outside"), "{heard}");
    // Its owner may open it by an annotation, unless the administrator forbids that.
    let allow = format!("peapod.dev/allow-egress: '{host}/32'");
    caller(&closed.kubectl(), "annotated", &allow, &url);
    closed.kubectl().log_says("annotated", "outside");

    let strict = Cluster::start(&["--forbid-egress-annotation"]);
    caller(&strict.kubectl(), "annotated", &allow, &url);
    let refusal = "this node does not let pods ask for egress";
    strict.kubectl().event_says("annotated", "Warning", "FailedCreatePodSandBox", refusal);
    assert_eq!(strict.kubectl().path("pod annotated", "{.status.phase}"), "Pending");
    let open = Cluster::start(&["--allow-egress", &format!("{host}/32")]);
    caller(&open.kubectl(), "caller", "", &url);
    open.kubectl().log_says("caller", "outside");
}

#[test]
fn a_node_port_that_is_taken_is_told_and_harms_nobody() {
    let hello = file("manifests/hello.yaml");
    let cluster = Cluster::start(&["--apply", hello.to_str().unwrap()]);
    let kubectl = cluster.kubectl();
    let taken = SocketAddr::new(cluster.host(), 31999);
    let _holder = TcpListener::bind(taken).unwrap();
    let manifest = "apiVersion: v1\nkind: Service\nmetadata: {name: late}\nspec: {type: NodePort, \
         selector: {app: hello}, ports: [{port: 80, nodePort: 31999}]}\n";
    kubectl.stdin("apply -f -", manifest).ok();
    kubectl.event_says("late", "Warning", "NodePortNotOpen", "NodePort 31999: ");
    let ready = "{.status.conditions[?(@.type==\"Ready\")].status}";
    assert_eq!(kubectl.path("node node-1", ready), "True");
    http::all_say(cluster.node_port("hello"), 3, |body| body.starts_with("hello from "));
}
