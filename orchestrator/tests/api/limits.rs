//! What the server does not let clients do to it and to each other, and the forms that save them bytes.

use crate::client::{Client, MERGE, World};
use http::Method;
use peapod_orchestrator::Identity;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A request of `node` whose body never ends.
async fn unfinished(world: &World, node: &str) -> DuplexStream {
    let mut stream = world.plane.connect(Identity::node(node));
    let head = "POST /api/v1/namespaces/default/events HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_flood_of_one_client_leaves_seats_to_the_others() {
    let world = World::start().await;
    let mut flood = Vec::new();
    let mut loud = Client::over(world.plane.connect(Identity::node("loud"))).await;
    let refused = loop {
        flood.push(unfinished(&world, "loud").await);
        let answer = loud.get("/api/v1/nodes").await;
        if answer.status() != 200 {
            break answer;
        }
        assert!(flood.len() < 1000, "nothing is refused");
    };
    assert_eq!((refused.status(), refused.header("retry-after")), (429, "1"));
    assert_eq!(refused.json()["reason"], "TooManyRequests");
    let mut other = Client::over(world.plane.connect(Identity::node("other"))).await;
    let lease =
        json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "other"}});
    other.create("/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases", &lease).await;
    assert_eq!(world.admin().await.get(MAPS).await.status(), 200);
    drop(flood);
    while loud.get("/api/v1/nodes").await.status() == 429 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn heartbeats_get_through_a_flood_of_a_user() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": "loud"}, "subjects": [{"kind": "User", "name": "loud"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}});
    admin.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &binding).await;
    let mut loud = Client::over(world.plane.connect(Identity::admin())).await;
    let as_loud = [("impersonate-user", "loud")];
    let mut flood = Vec::new();
    while loud.ask(Method::GET, MAPS, &as_loud, "").await.status() == 200 {
        let mut stream = world.plane.connect(Identity::admin());
        let head = format!(
            "POST {MAPS} HTTP/1.1\r\nhost: x\r\nimpersonate-user: loud\r\ncontent-length: 9\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        flood.push(stream);
        assert!(flood.len() < 1000, "nothing is refused");
    }
    let refused = loud.ask(Method::GET, MAPS, &as_loud, "").await;
    assert_eq!((refused.status(), refused.header("retry-after")), (429, "1"));
    println!("a user holds all of his {} seats", flood.len());
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    for name in ["n1", "n2", "n3"] {
        let mut node = Client::over(world.plane.connect(Identity::node(name))).await;
        let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": name},
            "spec": {"holderIdentity": name}});
        node.create(leases, &lease).await;
        let target = format!("{leases}/{name}");
        let before = node.get(&target).await.json()["spec"]["renewTime"].clone();
        let beaten = node.ask(Method::PATCH, &target, &MERGE, "{\"spec\":{\"leaseTransitions\":1}}").await;
        assert_eq!(beaten.status(), 200, "{}", beaten.text());
        assert_ne!(beaten.json()["spec"]["renewTime"], before, "{name} has been heard");
    }
}

#[tokio::test]
async fn bodies_and_objects_have_limits() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let map = |bytes: usize| {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big",
            "annotations": {}}, "binaryData": {"k": "QUJD".repeat(bytes / 4)}});
        object.to_string()
    };
    let body = admin.ask(Method::POST, MAPS, &[], map(3 << 20)).await;
    assert_eq!((body.status(), body.json()["reason"].clone()), (413, json!("RequestEntityTooLarge")));
    assert_eq!(body.json()["message"], "Request entity too large: limit is 3145728");
    let object = admin.ask(Method::POST, MAPS, &[], map(1_600_000)).await;
    assert!(matches!(object.status(), 413 | 422), "{}", object.text());
    assert_eq!(admin.ask(Method::POST, MAPS, &[], map(1_000_000)).await.status(), 201);
    let bomb = admin.ask(Method::POST, MAPS, &[("content-encoding", "gzip")], vec![0x1f, 0x8b]).await;
    assert_eq!(bomb.status(), 415, "{}", bomb.text());
    let deep = format!("{{\"data\":{}1{}}}", "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(admin.ask(Method::POST, MAPS, &[], deep).await.status(), 400);
    // Ten lines of YAML that mean a billion.
    let mut yaml = String::from("apiVersion: v1\nkind: ConfigMap\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..9 {
        let before = format!("*a{}", level - 1);
        yaml += &format!("a{level}: &a{level} [{}]\n", vec![before; 10].join(","));
    }
    let laughs = admin.ask(Method::POST, MAPS, &[("content-type", "application/yaml")], yaml).await;
    assert_eq!(laughs.status(), 400, "{}", laughs.text());
    for content_type in ["application/apply-patch+cbor", "text/plain", ""] {
        let odd =
            admin.ask(Method::PATCH, &format!("{MAPS}/big"), &[("content-type", content_type)], "{}").await;
        assert_eq!((odd.status(), odd.json()["reason"].clone()), (415, json!("UnsupportedMediaType")));
        assert!(odd.text().contains("application/strategic-merge-patch+json, application/apply-patch+yaml"));
    }
    assert_eq!(admin.get(&format!("{MAPS}?timeout=soon")).await.status(), 400);
    assert_eq!(admin.get(&format!("{MAPS}?timeout=1m0s")).await.status(), 200);
    let late = admin.get(&format!("{MAPS}?timeout=1ms&resourceVersion=999999")).await;
    assert_eq!((late.status(), late.json()["reason"].clone()), (504, json!("Timeout")));
    assert_eq!(admin.ask(Method::HEAD, "/livez", &[], "").await.status(), 200);
}

#[tokio::test]
async fn who_may_not_write_is_refused_before_his_body_is_read() {
    let world = World::start().await;
    let mut stream = world.plane.connect(Identity::node("n1"));
    let head = format!("POST {MAPS} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
}

#[tokio::test]
async fn large_answers_are_compressed_and_people_read_lines() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    for name in ["a", "b"] {
        let map = json!({"metadata": {"name": name}, "data": {"k": "x".repeat(100_000)}});
        admin.create(MAPS, &map).await;
    }
    let plain = admin.get(MAPS).await;
    assert_eq!(plain.header("content-encoding"), "");
    let packed = admin.ask(Method::GET, MAPS, &[("accept-encoding", "gzip")], "").await;
    assert_eq!((packed.header("content-encoding"), packed.header("vary")), ("gzip", "Accept-Encoding"));
    assert!(packed.body.len() < plain.body.len() / 10);
    let mut text = String::new();
    let mut unpacked = flate2::read::GzDecoder::new(&packed.body[..]);
    std::io::Read::read_to_string(&mut unpacked, &mut text).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), plain.json());
    let pretty = admin.get("/api/v1/namespaces/default?pretty=true").await;
    assert!(pretty.text().starts_with("{\n  \"apiVersion\""), "{}", pretty.text());
    let small = admin.ask(Method::GET, &format!("{MAPS}/none"), &[("accept-encoding", "gzip")], "").await;
    assert_eq!((small.status(), small.header("content-encoding")), (404, ""));
}

/// Every form of a list that is too long to be made at once has every object, once and in order.
#[tokio::test]
async fn long_lists_come_whole() {
    let world = World::start().await;
    let mut admin = world.admin().await;
    let expected: Vec<String> = (0..1001).map(|n| format!("map-{n:04}")).collect();
    for name in &expected {
        admin.create(MAPS, &json!({"metadata": {"name": name, "labels": {"long": "yes"}}})).await;
    }
    let long = format!("{MAPS}?labelSelector=long");
    let names = |list: &Value, items: &str, name: &str| -> Vec<String> {
        let items = list[items].as_array().unwrap().iter();
        items.map(|item| item.pointer(name).unwrap().as_str().unwrap().to_string()).collect()
    };
    let plain = admin.get(&long).await.json();
    assert_eq!(names(&plain, "items", "/metadata/name"), expected);
    let packed = admin.ask(Method::GET, &long, &[("accept-encoding", "gzip")], "").await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    let unpacked = flate2::read::GzDecoder::new(&packed.body[..]);
    assert_eq!(serde_json::from_reader::<_, Value>(unpacked).unwrap(), plain);
    let pretty = admin.get(&format!("{long}&pretty=true")).await;
    assert!(pretty.text().starts_with("{\n"), "indented");
    assert_eq!(pretty.json(), plain);
    let table = admin.get_as(&long, "application/json;as=Table;v=v1;g=meta.k8s.io").await.json();
    assert_eq!(names(&table, "rows", "/cells/0"), expected);
    assert_eq!(table["rows"][1000]["object"]["metadata"], plain["items"][1000]["metadata"]);
    let partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
    let partial = admin.get_as(&long, partial).await.json();
    assert_eq!(names(&partial, "items", "/metadata/name"), expected);
    let protobuf = admin.get_as(&long, "application/vnd.kubernetes.protobuf").await;
    let protobuf = peapod_core::schema::protobuf::decode(&protobuf.body).unwrap();
    assert_eq!(names(&protobuf, "items", "/metadata/name"), expected);
}
