//! A world for one agent: an API in memory, as small as will do, that lists, watches, patches and serves images.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use parking_lot::Mutex;
use peapod_agent::peers::RelayOnly;
use peapod_agent::{Agent, Config};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How long a condition may take; only a broken agent needs it.
const PATIENCE: Duration = Duration::from_secs(60);

type Body = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    /// Type, path and object of every change.
    log: Vec<(&'static str, String, Value)>,
}

impl State {
    fn write(&mut self, kind: &'static str, path: &str, mut object: Value) -> Value {
        let revision = self.log.len() + 1;
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        if kind == "DELETED" {
            self.objects.remove(path);
        } else {
            self.objects.insert(path.into(), object.clone());
        }
        self.log.push((kind, path.into(), object.clone()));
        object
    }

    /// The answer to a write.
    fn answer(&mut self, method: &Method, path: &str, object: Value) -> Response<Body> {
        let item = path.strip_suffix("/status").unwrap_or(path);
        let known = self.objects.get(item).cloned();
        match (method.as_str(), known) {
            ("POST", _) => {
                let mut object = object;
                if path == "/api/v1/nodes" {
                    object["spec"]["podCIDR"] = "10.244.0.0/24".into();
                }
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                let made = self.write("ADDED", &format!("{path}/{name}"), object.clone());
                respond(StatusCode::CREATED, made.to_string().into())
            }
            ("PATCH", Some(known)) => {
                let uid = &object["metadata"]["uid"];
                if !uid.is_null() && *uid != known["metadata"]["uid"] {
                    return refuse(StatusCode::CONFLICT, path);
                }
                let mut merged = known.clone();
                merge(&mut merged, object);
                if merged == known {
                    return respond(StatusCode::OK, known.to_string().into());
                }
                respond(StatusCode::OK, self.write("MODIFIED", item, merged).to_string().into())
            }
            ("PUT", Some(_)) => {
                respond(StatusCode::OK, self.write("MODIFIED", item, object).to_string().into())
            }
            ("DELETE", Some(known)) => {
                respond(StatusCode::OK, self.write("DELETED", item, known).to_string().into())
            }
            _ => refuse(StatusCode::NOT_FOUND, path),
        }
    }
}

#[derive(Clone)]
pub(crate) struct World {
    state: Arc<Mutex<State>>,
    changes: watch::Sender<usize>,
    blobs: Arc<HashMap<String, Bytes>>,
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

impl World {
    /// An API without objects and with the repository's guests as images.
    pub(crate) fn new() -> World {
        let dist = Path::new(env!("CARGO_MANIFEST_DIR")).join("../modules/dist");
        let mut blobs = HashMap::new();
        for name in ["hello", "crasher", "job", "reader", "writer", "sleeper"] {
            let bytes: Bytes = std::fs::read(dist.join(format!("{name}.wasm"))).unwrap().into();
            let layer =
                json!({"mediaType": "application/wasm", "digest": digest(&bytes), "size": bytes.len()});
            let manifest = json!({"schemaVersion": 2, "layers": [layer]}).to_string();
            blobs.insert(format!("/v2/{name}/blobs/{}", digest(&bytes)), bytes);
            blobs.insert(format!("/v2/{name}/manifests/latest"), manifest.into());
        }
        World { state: Arc::default(), changes: watch::Sender::new(0), blobs: Arc::new(blobs) }
    }

    pub(crate) fn client(&self) -> kube::Client {
        let world = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let world = world.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
                Ok::<_, Infallible>(world.answer(&head.method, &head.uri, &body))
            }
        });
        kube::Client::new(service, "default")
    }

    /// Starts an agent on `dir`.
    pub(crate) async fn agent(&self, dir: &Path) -> Agent {
        let reach = Arc::new(RelayOnly(|| Err(io::Error::other("the node is alone"))));
        Agent::start(Config::new("node", dir), self.client(), reach).await.unwrap()
    }

    /// Reads and writes in one go: the agent and the test write at the same time.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let done = change(&mut state);
        let revision = state.log.len();
        drop(state);
        self.changes.send_replace(revision);
        done
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.state.lock().objects.get(path).cloned()
    }

    /// Creates or replaces an object.
    pub(crate) fn put(&self, path: &str, object: Value) {
        self.change(|state| {
            let kind = if state.objects.contains_key(path) { "MODIFIED" } else { "ADDED" };
            state.write(kind, path, object);
        });
    }

    /// Creates a pod that is bound to the node.
    pub(crate) fn pod(&self, name: &str, spec: Value) -> String {
        let path = format!("/api/v1/namespaces/default/pods/{name}");
        let metadata = json!({"name": name, "namespace": "default", "uid": format!("uid-{name}")});
        let mut spec = spec;
        spec["nodeName"] = "node".into();
        self.put(
            &path,
            json!({"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": "Pending"}}),
        );
        path
    }

    /// Asks for an orderly deletion, as the API server does.
    pub(crate) fn delete(&self, path: &str, grace_seconds: u64) {
        self.change(|state| {
            let mut object = state.objects[path].clone();
            object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
            object["metadata"]["deletionGracePeriodSeconds"] = grace_seconds.into();
            state.write("MODIFIED", path, object);
        });
    }

    /// Takes an object away at once.
    pub(crate) fn remove(&self, path: &str) {
        self.change(|state| {
            let object = state.objects[path].clone();
            state.write("DELETED", path, object);
        });
    }

    /// Waits until the object (null once it is gone) is as wanted, and gives it.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut changes = self.changes.subscribe();
        let waiting = async {
            loop {
                changes.borrow_and_update();
                let object = self.get(path).unwrap_or_default();
                if wanted(&object) {
                    return object;
                }
                changes.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(object) => object,
            Err(_) => panic!("{path} never came to be as wanted: {:#}", self.get(path).unwrap_or_default()),
        }
    }

    /// Waits until a pod has an event of that reason, and gives its message.
    pub(crate) async fn event(&self, pod: &str, reason: &str) -> String {
        let mut changes = self.changes.subscribe();
        let find = || {
            let state = self.state.lock();
            let about = |e: &&Value| e["involvedObject"]["name"] == *pod && e["reason"] == *reason;
            state.objects.values().find(about).map(|e| e["message"].as_str().unwrap_or_default().to_string())
        };
        let waiting = async {
            loop {
                changes.borrow_and_update();
                if let Some(message) = find() {
                    return message;
                }
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("no event {reason} of {pod}"))
    }

    fn answer(&self, method: &Method, uri: &http::Uri, body: &Bytes) -> Response<Body> {
        let (path, query) = (uri.path(), uri.query().unwrap_or_default());
        if let Some(blob) = self.blobs.get(path) {
            return respond(StatusCode::OK, blob.clone());
        }
        let object: Value = serde_json::from_slice(body).unwrap_or_default();
        if method != Method::GET {
            return self.change(|state| state.answer(method, path, object));
        }
        match self.get(path) {
            Some(known) => respond(StatusCode::OK, known.to_string().into()),
            None if is_collection(path) => self.collection(path, query),
            None => refuse(StatusCode::NOT_FOUND, path),
        }
    }

    fn collection(&self, path: &str, query: &str) -> Response<Body> {
        let parameter = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.to_string())
        };
        let name = parameter("fieldSelector")
            .and_then(|selector| selector.strip_prefix("metadata.name%3D").map(str::to_string));
        let folder = path.to_string();
        let wanted = move |item: &str| {
            let (parent, last) = item.rsplit_once('/').unwrap_or_default();
            name.as_deref().is_none_or(|name| name == last)
                && (parent == folder || without_namespace(parent) == folder)
        };
        if parameter("watch").is_none() {
            let state = self.state.lock();
            let items: Vec<&Value> =
                state.objects.iter().filter(|(item, _)| wanted(item)).map(|(_, object)| object).collect();
            let list = json!({"metadata": {"resourceVersion": state.log.len().to_string()}, "items": items});
            return respond(StatusCode::OK, list.to_string().into());
        }
        let from = parameter("resourceVersion").and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
        let begin = (self.clone(), self.changes.subscribe(), from, wanted);
        let events = stream::unfold(begin, |(world, mut changes, mut next, wanted)| async move {
            loop {
                changes.borrow_and_update();
                let entry = world.state.lock().log.get(next).cloned();
                match entry {
                    Some((kind, path, object)) => {
                        next += 1;
                        if wanted(&path) {
                            let line = format!("{}\n", json!({"type": kind, "object": object}));
                            return Some((
                                Ok(Frame::data(Bytes::from(line))),
                                (world, changes, next, wanted),
                            ));
                        }
                    }
                    None => changes.changed().await.ok()?,
                }
            }
        });
        Response::new(BodyExt::boxed_unsync(StreamBody::new(events.boxed())))
    }
}

fn is_collection(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    ["pods", "services", "endpointslices", "configmaps", "secrets", "nodes", "leases"].contains(&last)
}

fn without_namespace(path: &str) -> String {
    let Some((head, tail)) = path.split_once("/namespaces/") else { return path.into() };
    let rest = tail.split_once('/').map_or("", |(_, rest)| rest);
    format!("{head}/{rest}")
}

fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *into = patch;
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            into.as_object_mut().unwrap().remove(&key);
        } else {
            merge(&mut into[&key], value);
        }
    }
}

fn respond(status: StatusCode, body: Bytes) -> Response<Body> {
    let mut response = Response::new(BodyExt::boxed_unsync(Full::new(body)));
    *response.status_mut() = status;
    response
}

fn refuse(status: StatusCode, path: &str) -> Response<Body> {
    let code = status.as_u16();
    let reason = if code == 404 { "NotFound" } else { "Conflict" };
    let text =
        json!({"kind": "Status", "status": "Failure", "message": path, "reason": reason, "code": code});
    respond(status, text.to_string().into())
}
