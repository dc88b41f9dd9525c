use super::*;
use crate::cache::Cache;
use crate::front_door::{Advertised, FrontDoor, Options};
use crate::store::Sqlite;
use bytes::Bytes;
use futures_util::stream;
use http_body_util::BodyExt;
use peapod_api::{Draft, Key, kinds};
use peapod_core::auth::rbac::{CLUSTER_BINDINGS, CLUSTER_ROLES};
use peapod_core::auth::{MASTERS, NODES};
use peapod_core::snapshot::Change;
use serde_json::{Value, json};

/// A module without anything in it.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn admin() -> User {
    User::new("kubernetes-admin", &[MASTERS])
}

fn node() -> User {
    User::new("system:node:n1", &[NODES])
}

struct World {
    registry: Registry,
    cluster: Snapshot,
    _directory: tempfile::TempDir,
}

async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(Sqlite::open(directory.path()).unwrap()).unwrap();
    let door = FrontDoor::new(cache, Options::default());
    door.bootstrap(&Advertised { address: "127.0.0.1:6443".parse().unwrap() }).await.unwrap();
    let cluster = Snapshot::clone(&door.cache().snapshot());
    World { registry: Registry::open(directory.path()).unwrap(), cluster, _directory: directory }
}

impl World {
    async fn ask(&self, who: &User, method: Method, target: &str, range: &str, body: &[u8]) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut headers = HeaderMap::new();
        if !range.is_empty() {
            let name = if method == Method::GET { header::RANGE } else { header::CONTENT_RANGE };
            headers.insert(name, range.parse().unwrap());
        }
        let pieces: Vec<Result<Bytes, warp::Error>> =
            body.chunks(3).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
        let (query, body) = (Query::parse(query), Box::pin(stream::iter(pieces)));
        let asked = Asked { method: &method, path, query: &query, headers: &headers, body };
        self.registry.answer(&self.cluster, who, asked).await
    }

    fn put(&mut self, resource: &str, object: Value) {
        let (kind, revision) = (kinds::of_resource(resource).unwrap(), self.cluster.revision() + 1);
        let key = Key::new(resource, "", object["metadata"]["name"].as_str().unwrap());
        let after = Arc::new(Draft::new(kind, key.clone(), object).at(revision));
        self.cluster.apply(&Change::new(revision, key, None, Some(after)));
    }

    async fn admin(&self, method: Method, target: &str, body: &[u8]) -> Answer {
        self.ask(&admin(), method, target, "", body).await
    }
}

async fn bytes(answer: Answer) -> Bytes {
    answer.into_body().collect().await.unwrap().to_bytes()
}

async fn code(answer: Answer) -> String {
    let value: Value = serde_json::from_slice(&bytes(answer).await).unwrap();
    value["errors"][0]["code"].as_str().unwrap().into()
}

fn location(answer: &Answer) -> String {
    answer.headers()[header::LOCATION].to_str().unwrap().into()
}

#[tokio::test]
async fn a_pushed_file_is_pulled_as_an_image() {
    let world = world().await;
    let digest = world.registry.push("team/hello", "latest", MODULE).unwrap();
    let node = node();
    let answer = world.ask(&node, Method::GET, "/v2/team/hello/manifests/latest", "", b"").await;
    assert_eq!(answer.headers()["docker-content-digest"], digest.as_str());
    let manifest: Value = serde_json::from_slice(&bytes(answer).await).unwrap();
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    let blob = format!("/v2/team/hello/blobs/{}", manifest["layers"][0]["digest"].as_str().unwrap());
    assert_eq!(bytes(world.ask(&node, Method::GET, &blob, "", b"").await).await, MODULE);
    let part = world.ask(&node, Method::GET, &blob, "bytes=1-3", b"").await;
    assert_eq!((part.status(), bytes(part).await), (StatusCode::PARTIAL_CONTENT, Bytes::from_static(b"asm")));
    let head = world.ask(&node, Method::HEAD, &blob, "", b"").await;
    assert_eq!(
        (head.headers()[header::CONTENT_LENGTH].clone(), bytes(head).await),
        ("8".parse().unwrap(), Bytes::new())
    );
    let tags = bytes(world.admin(Method::GET, "/v2/team/hello/tags/list", b"").await).await;
    assert_eq!(tags, json!({"name": "team/hello", "tags": ["latest"]}).to_string());
    let catalog = bytes(world.admin(Method::GET, "/v2/_catalog", b"").await).await;
    assert_eq!(catalog, json!({"repositories": ["team/hello"]}).to_string());
}

#[tokio::test]
async fn uploads_are_monolithic_or_chunked_and_verified() {
    let world = world().await;
    let digest = Digest::of(b"hello world");
    let begun = location(&world.admin(Method::POST, "/v2/a/blobs/uploads/", b"").await);
    let first = world.ask(&admin(), Method::PATCH, &begun, "0-4", b"hello").await;
    assert_eq!(
        (first.status(), first.headers()[header::RANGE].clone()),
        (StatusCode::ACCEPTED, "0-4".parse().unwrap())
    );
    let wrong_place = world.ask(&admin(), Method::PATCH, &begun, "9-12", b"xxxx").await;
    assert_eq!(wrong_place.status(), StatusCode::RANGE_NOT_SATISFIABLE);
    let done = world.admin(Method::PUT, &format!("{begun}?digest={digest}"), b" world").await;
    assert_eq!(done.status(), StatusCode::CREATED);
    assert_eq!(bytes(world.admin(Method::GET, &location(&done), b"").await).await, "hello world");

    let other = Digest::of(b"other");
    let at_once = world.admin(Method::POST, &format!("/v2/a/blobs/uploads/?digest={other}"), b"other").await;
    assert_eq!(at_once.status(), StatusCode::CREATED);
    let lie = world.admin(Method::POST, &format!("/v2/a/blobs/uploads/?digest={other}"), b"not that").await;
    assert_eq!(code(lie).await, "DIGEST_INVALID");
    let gone = world.admin(Method::PATCH, "/v2/a/blobs/uploads/none", b"x").await;
    assert_eq!(code(gone).await, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(std::fs::read_dir(world._directory.path().join("uploads")).unwrap().count(), 0);
}

#[tokio::test]
async fn manifests_name_only_what_is_there() {
    let world = world().await;
    let layer = Digest::of(b"layer");
    let manifest = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"digest": layer.as_str()}, "layers": [{"digest": layer.as_str()}]})
    .to_string();
    let put = |body: String| {
        let world = &world;
        async move { world.admin(Method::PUT, "/v2/a/manifests/v1", body.as_bytes()).await }
    };
    assert_eq!(code(put(manifest.clone()).await).await, "BLOB_UNKNOWN");
    world.admin(Method::POST, &format!("/v2/a/blobs/uploads/?digest={layer}"), b"layer").await;
    assert_eq!(put(manifest).await.status(), StatusCode::CREATED);
    assert_eq!(code(put("no json".into()).await).await, "MANIFEST_INVALID");
    let unknown = world.admin(Method::GET, "/v2/a/manifests/v2", b"").await;
    assert_eq!(code(unknown).await, "MANIFEST_UNKNOWN");
    assert!(world.registry.push("a", "v", b"no wasm").is_err());
    assert!(world.registry.push("../a", "v", MODULE).is_err());
}

#[tokio::test]
async fn roles_say_who_pushes_and_who_pulls() {
    let mut world = world().await;
    world.put(
        CLUSTER_ROLES,
        json!({"metadata": {"name": "team"},
        "rules": [{"nonResourceURLs": ["/v2/team/*"], "verbs": ["get", "post"]}]}),
    );
    for (name, role) in [("robot", "system:image-pusher"), ("jane", "team")] {
        world.put(
            CLUSTER_BINDINGS,
            json!({"metadata": {"name": name}, "subjects": [{"kind": "User", "name": name}],
            "roleRef": {"kind": "ClusterRole", "name": role}}),
        );
    }
    let user = |name: &str| User::new(name, &[]);
    for (who, method, target, status) in [
        (User::anonymous(), Method::POST, "/v2/a/blobs/uploads/", 401),
        (User::anonymous(), Method::GET, "/v2/", 401),
        (node(), Method::POST, "/v2/a/blobs/uploads/", 403),
        (node(), Method::GET, "/v2/", 200),
        (node(), Method::HEAD, "/v2/", 200),
        (user("nobody"), Method::POST, "/v2/a/blobs/uploads/", 403),
        (user("nobody"), Method::GET, "/v2/", 403),
        (user("robot"), Method::POST, "/v2/a/blobs/uploads/", 202),
        (user("robot"), Method::GET, "/v2/_catalog", 200),
        (user("jane"), Method::POST, "/v2/team/a/blobs/uploads/", 202),
        (user("jane"), Method::POST, "/v2/other/blobs/uploads/", 403),
        (user("jane"), Method::GET, "/v2/team/../other/manifests/latest", 400),
        (admin(), Method::POST, "/v2/a/blobs/uploads/", 202),
    ] {
        let answer = world.ask(&who, method.clone(), target, "", b"").await;
        assert_eq!(answer.status(), status, "{} {method} {target}", who.name);
    }
}
