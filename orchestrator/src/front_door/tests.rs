//! The front door over a real cache and a real log on disk.

mod nodes;

use super::*;
use crate::cache::Guard;
use crate::store::Sqlite;
use peapod_api::error::Reason;
use peapod_api::selector::LabelSelector;
use peapod_api::{Subresource, kinds};
use peapod_core::action::{Action, Propagation};
use peapod_core::strategy::deletion::Wish;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use tempfile::TempDir;
use tokio::task::JoinSet;

struct World {
    door: FrontDoor,
    root: User,
    _dir: TempDir,
}

async fn world() -> World {
    let dir = TempDir::new().unwrap();
    let cache = Cache::open(Sqlite::open(dir.path()).unwrap()).unwrap();
    let door = FrontDoor::new(cache, Options::default());
    let address: SocketAddr = "127.0.0.1:6443".parse().unwrap();
    door.bootstrap(&Advertised { address }).await.unwrap();
    World { door, root: User::new("root", &[auth::MASTERS]), _dir: dir }
}

fn target(resource: &str, name: &str) -> Target {
    let kind = kinds::of_resource(resource).unwrap();
    let namespace = if kind.namespaced() { "default" } else { "" };
    Target { kind, namespace: namespace.into(), name: name.into(), subresource: None }
}

fn part(resource: &str, name: &str, subresource: Subresource) -> Target {
    Target { subresource: Some(subresource), ..target(resource, name) }
}

fn body(value: &Value) -> Body {
    Body { media_type: MediaType::Json, bytes: value.to_string().into() }
}

fn options() -> WriteOptions {
    WriteOptions { field_manager: "test".into(), ..WriteOptions::default() }
}

fn config(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {}})
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "a", "image": "hello"}]}})
}

fn deployment(name: &str) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}},
        "spec": {"containers": [{"name": "a", "image": "hello"}]}}}})
}

fn service(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"app": "web"}}})
}

impl World {
    async fn create(&self, resource: &str, object: &Value) -> Result<Value, Error> {
        self.create_with(resource, object, options()).await.map(|written| written.shown.value())
    }

    async fn create_with(
        &self,
        resource: &str,
        object: &Value,
        options: WriteOptions,
    ) -> Result<Written, Error> {
        self.door.create(&self.root, target(resource, ""), body(object), options).await
    }

    async fn merge(&self, target: Target, patch: Value) -> Result<Value, Error> {
        let written = self.door.patch(&self.root, target, PatchType::Merge, body(&patch), options()).await?;
        Ok(written.shown.value())
    }

    async fn update(&self, target: Target, object: &Value) -> Result<Value, Error> {
        self.door
            .update(&self.root, target, body(object), options())
            .await
            .map(|written| written.shown.value())
    }

    async fn delete(&self, target: Target, wish: Wish) -> Result<Value, Error> {
        let options = DeleteOptions { wish, ..DeleteOptions::default() };
        self.door.delete(&self.root, target, options).await.map(|written| written.shown.value())
    }

    fn get(&self, target: &Target) -> Option<Value> {
        self.door.cache().snapshot().get(&target.key()).map(|object| object.value())
    }

    async fn bind(&self, name: &str, node: &str) {
        let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": {"name": node}});
        let to = part("pods", name, Subresource::Binding);
        self.door.create(&self.root, to, body(&binding), options()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_begins_with_what_clients_expect() {
    let w = world().await;
    let service = w.get(&target("services", "kubernetes")).unwrap();
    assert_eq!(service["spec"]["clusterIP"], "10.96.0.1");
    assert_eq!(
        w.get(&target("endpoints", "kubernetes")).unwrap()["subsets"][0]["addresses"][0]["ip"],
        "127.0.0.1"
    );
    let slice = w.get(&target("endpointslices.discovery.k8s.io", "kubernetes")).unwrap();
    assert_eq!(slice["endpoints"][0]["addresses"][0], "127.0.0.1");
    assert!(w.get(&target("namespaces", "kube-system")).is_some());
    // A second start changes nothing but what is different.
    let revision = w.door.cache().snapshot().revision();
    let moved: SocketAddr = "127.0.0.1:7443".parse().unwrap();
    w.door.bootstrap(&Advertised { address: "127.0.0.1:6443".parse().unwrap() }).await.unwrap();
    assert_eq!(w.door.cache().snapshot().revision(), revision);
    w.door.bootstrap(&Advertised { address: moved }).await.unwrap();
    assert_eq!(w.get(&target("endpoints", "kubernetes")).unwrap()["subsets"][0]["ports"][0]["port"], 7443);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes_of_one_object_lose_nothing() {
    const WRITERS: usize = 64;
    let w = world().await;
    w.create("configmaps", &config("shared")).await.unwrap();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (door, root) = (w.door.clone(), w.root.clone());
        writers.spawn(async move {
            let patch = body(&json!({"data": {format!("k{writer}"): "x"}}));
            door.patch(&root, target("configmaps", "shared"), PatchType::Merge, patch, options())
                .await
                .map(|_| ())
        });
    }
    for result in writers.join_all().await {
        result.unwrap();
    }
    let data = w.get(&target("configmaps", "shared")).unwrap()["data"].clone();
    assert_eq!(data.as_object().unwrap().len(), WRITERS);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_services_never_share_an_address_or_a_port() {
    const SERVICES: usize = 40;
    let dir = TempDir::new().unwrap();
    let cache = Cache::open(Sqlite::open(dir.path()).unwrap()).unwrap();
    // Just enough room: every allocation is a race.
    let ranges =
        Ranges { prefix_bits: 26, node_ports: (30000, 30000 + SERVICES as u16 - 1), ..Ranges::default() };
    let door = FrontDoor::new(cache, Options { ranges, ..Options::default() });
    door.bootstrap(&Advertised { address: "127.0.0.1:6443".parse().unwrap() }).await.unwrap();
    let mut creators = JoinSet::new();
    for index in 0..SERVICES {
        let door = door.clone();
        creators.spawn(async move {
            let root = User::new("root", &[auth::MASTERS]);
            let object = body(&service(&format!("s{index}")));
            door.create(&root, target("services", ""), object, options())
                .await
                .map(|written| written.shown.value())
        });
    }
    let made: Vec<Value> = creators.join_all().await.into_iter().map(Result::unwrap).collect();
    let all =
        |path: &str| made.iter().map(|s| s.pointer(path).unwrap().to_string()).collect::<BTreeSet<_>>().len();
    assert_eq!((all("/spec/clusterIP"), all("/spec/ports/0/nodePort")), (SERVICES, SERVICES));
    let root = User::new("root", &[auth::MASTERS]);
    let full =
        door.create(&root, target("services", ""), body(&service("more")), options()).await.unwrap_err();
    assert_eq!(full.to_string(), "Internal error occurred: failed to allocate a nodePort: range is full");
    let mut taken = service("taken");
    taken["spec"]["ports"][0]["nodePort"] = 30000.into();
    let error = door.create(&root, target("services", ""), body(&taken), options()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Service \"taken\" is invalid: spec.ports[0].nodePort: Invalid value: 30000: provided port is already allocated"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_says_everything_and_writes_nothing() {
    let w = world().await;
    w.create("configmaps", &config("there")).await.unwrap();
    let (revision, dry) = (w.door.cache().snapshot().revision(), WriteOptions { dry_run: true, ..options() });
    let written = w.create_with("services", &service("web"), dry.clone()).await.unwrap();
    assert!(written.created);
    assert!(written.shown.value()["spec"]["clusterIP"].is_string());
    let there = || target("configmaps", "there");
    let patch = body(&json!({"data": {"a": "b"}}));
    let written = w.door.patch(&w.root, there(), PatchType::Merge, patch, dry.clone()).await.unwrap();
    assert_eq!(written.shown.value()["data"]["a"], "b");
    let options = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
    assert_eq!(w.door.delete(&w.root, there(), options).await.unwrap().shown.value()["status"], "Success");
    let error = w.create_with("configmaps", &config("there"), dry).await.unwrap_err();
    assert_eq!(error.to_string(), "configmaps \"there\" already exists");
    assert_eq!(w.door.cache().snapshot().revision(), revision);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_resource_version_is_a_conflict() {
    let w = world().await;
    let old = w.create("configmaps", &config("c")).await.unwrap();
    w.merge(target("configmaps", "c"), json!({"data": {"a": "1"}})).await.unwrap();
    let error = w.update(target("configmaps", "c"), &old).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Operation cannot be fulfilled on configmaps \"c\": the object has been modified; please apply your changes to \
         the latest version and try again"
    );
    let patch =
        json!({"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}, "data": {"b": "2"}});
    assert_eq!(w.merge(target("configmaps", "c"), patch).await.unwrap_err().reason(), Reason::Conflict);
    let mut unconditional = old;
    unconditional["metadata"]["resourceVersion"] = Value::Null;
    assert!(w.update(target("configmaps", "c"), &unconditional).await.unwrap()["data"].is_null());
    let mut other = unconditional;
    other["metadata"]["uid"] = "another".into();
    assert_eq!(w.update(target("configmaps", "c"), &other).await.unwrap_err().reason(), Reason::Conflict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finalizers_hold_an_object_until_the_last_is_gone() {
    let w = world().await;
    let mut held = config("held");
    held["metadata"]["finalizers"] = json!(["example.com/a"]);
    w.create("configmaps", &held).await.unwrap();
    let marked = w.delete(target("configmaps", "held"), Wish::default()).await.unwrap();
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let again = w.delete(target("configmaps", "held"), Wish::default()).await.unwrap();
    assert_eq!(again, marked);
    let last =
        w.merge(target("configmaps", "held"), json!({"metadata": {"finalizers": null}})).await.unwrap();
    assert!(last["metadata"]["finalizers"].is_null());
    assert!(w.get(&target("configmaps", "held")).is_none());
    assert_eq!(
        w.delete(target("configmaps", "held"), Wish::default()).await.unwrap_err().to_string(),
        "configmaps \"held\" not found"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_pod_is_ended_by_its_agent() {
    let w = world().await;
    w.create("pods", &pod("p")).await.unwrap();
    w.bind("p", "n1").await;
    let bound = w.get(&target("pods", "p")).unwrap();
    assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
    let again =
        json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"name": "n2"}});
    let to = part("pods", "p", Subresource::Binding);
    let error = w.door.create(&w.root, to, body(&again), options()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"n1\""
    );
    let dying = w.delete(target("pods", "p"), Wish::default()).await.unwrap();
    assert_eq!(dying["metadata"]["deletionGracePeriodSeconds"], 30);
    let agent = User::new("system:node:n1", &[auth::NODES]);
    let stranger = User::new("system:node:n2", &[auth::NODES]);
    let wish = Wish { grace_seconds: Some(0), propagation: None };
    let now = DeleteOptions { wish, ..DeleteOptions::default() };
    let refused = w.door.delete(&stranger, target("pods", "p"), now.clone()).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::Forbidden);
    let status = part("pods", "p", Subresource::Status);
    let patch = body(&json!({"status": {"phase": "Running"}, "spec": {"nodeName": "n9"}}));
    w.door.patch(&agent, status, PatchType::Merge, patch, options()).await.unwrap();
    let running = w.get(&target("pods", "p")).unwrap();
    assert_eq!(
        (&running["status"]["phase"], &running["spec"]["nodeName"]),
        (&json!("Running"), &json!("n1"))
    );
    w.door.delete(&agent, target("pods", "p"), now).await.unwrap();
    assert!(w.get(&target("pods", "p")).is_none());
    // One that no node runs goes at once; so does an evicted one.
    w.create("pods", &pod("q")).await.unwrap();
    let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "q"}});
    let to = part("pods", "q", Subresource::Eviction);
    assert!(w.door.create(&w.root, to, body(&eviction), options()).await.unwrap().created);
    assert!(w.get(&target("pods", "q")).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn namespaces_begin_live_and_end() {
    let w = world().await;
    let gone = Target { namespace: "nowhere".into(), ..target("configmaps", "") };
    let error = w.door.create(&w.root, gone, body(&config("c")), options()).await.unwrap_err();
    assert_eq!(error.to_string(), "namespaces \"nowhere\" not found");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}});
    w.create("namespaces", &namespace).await.unwrap();
    let dying = w.delete(target("namespaces", "team"), Wish::default()).await.unwrap();
    assert_eq!(dying["status"]["phase"], "Terminating");
    let inside = Target { namespace: "team".into(), ..target("configmaps", "") };
    let error = w.door.create(&w.root, inside, body(&config("c")), options()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "configmaps \"c\" is forbidden: unable to create new content in namespace team because it is being terminated"
    );
    // Users cannot finalize a namespace; its controller can.
    w.merge(target("namespaces", "team"), json!({"spec": {"finalizers": null}})).await.unwrap();
    assert!(w.get(&target("namespaces", "team")).is_some());
    let patch = json!({"spec": {"finalizers": null}});
    let finalize = Action::Patch { key: target("namespaces", "team").key(), patch };
    w.door
        .act("system:serviceaccount:kube-system:namespace-controller", Vec::new(), vec![finalize])
        .await
        .unwrap();
    assert!(w.get(&target("namespaces", "team")).is_none());
    let error = w.delete(target("namespaces", "default"), Wish::default()).await.unwrap_err();
    assert_eq!(error.to_string(), "namespaces \"default\" is forbidden: this namespace may not be deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_unknown_is_told_or_refused() {
    let w = world().await;
    let mut odd = config("odd");
    odd["dta"] = 1.into();
    let with = |field_validation| WriteOptions { field_validation, ..options() };
    let warned = w.create_with("configmaps", &odd, with(FieldValidation::Warn)).await.unwrap();
    assert_eq!(warned.warnings, ["unknown field \"dta\""]);
    assert!(warned.shown.value()["dta"].is_null());
    let error = w.create_with("configmaps", &odd, with(FieldValidation::Strict)).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BadRequest);
    let mut noisy = pod("noisy");
    noisy["spec"]["containers"][0]["securityContext"] = json!({"runAsUser": 1});
    let warned = w.create_with("pods", &noisy, options()).await.unwrap();
    assert_eq!(warned.warnings.len(), 1, "{:?}", warned.warnings);
    let wrong = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}});
    assert_eq!(w.create("configmaps", &wrong).await.unwrap_err().reason(), Reason::BadRequest);
    assert!(w.create("configmaps", &json!([])).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scale_is_a_view_of_replicas() {
    let w = world().await;
    w.create("deployments.apps", &deployment("web")).await.unwrap();
    let scale = || part("deployments.apps", "web", Subresource::Scale);
    let shown = w.merge(scale(), json!({"spec": {"replicas": 5}})).await.unwrap();
    assert_eq!((&shown["kind"], &shown["spec"]["replicas"]), (&json!("Scale"), &json!(5)));
    let web = w.get(&target("deployments.apps", "web")).unwrap();
    assert_eq!((&web["spec"]["replicas"], &web["metadata"]["generation"]), (&json!(5), &json!(2)));
    let mut put = w.door.scale(&scale()).unwrap();
    put["spec"]["replicas"] = 2.into();
    assert_eq!(w.update(scale(), &put).await.unwrap()["spec"]["replicas"], 2);
    assert_eq!(w.update(scale(), &put).await.unwrap_err().reason(), Reason::Conflict);
    put["metadata"]["resourceVersion"] = Value::Null;
    put["spec"]["replicas"] = json!(-1);
    assert_eq!(w.update(scale(), &put).await.unwrap_err().reason(), Reason::Invalid);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_creates_changes_and_defends() {
    let w = world().await;
    let apply = |manager: &str, text: &str, force| {
        let options = WriteOptions { field_manager: manager.into(), force, ..options() };
        let body = Body { media_type: MediaType::Yaml, bytes: text.to_string().into() };
        w.door.patch(&w.root, target("configmaps", "c"), PatchType::Apply, body, options)
    };
    let yaml =
        |value: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\ndata:\n  a: {value}\n");
    assert!(apply("one", &yaml("red"), false).await.unwrap().created);
    assert!(!apply("one", &yaml("green"), false).await.unwrap().created);
    let conflict = apply("two", &yaml("blue"), false).await.unwrap_err();
    assert_eq!(conflict.reason(), Reason::Conflict);
    let forced = apply("two", &yaml("blue"), true).await.unwrap();
    assert_eq!(forced.shown.value()["data"]["a"], "blue");
    let error = apply("", &yaml("blue"), false).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Invalid);
    let bomb = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n";
    assert_eq!(apply("one", bomb, false).await.unwrap_err().reason(), Reason::BadRequest);
    assert_eq!(apply("one", &"[".repeat(5000), false).await.unwrap_err().reason(), Reason::BadRequest);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manager_owns_nothing_that_it_did_not_name() {
    let w = world().await;
    let options = || WriteOptions { field_manager: "one".into(), ..options() };
    let target = || target("deployments.apps", "web");
    let config = body(&deployment("web"));
    let made = w.door.patch(&w.root, target(), PatchType::Apply, config, options()).await.unwrap();
    let object = made.shown.value();
    let fields = object["metadata"]["managedFields"][0]["fieldsV1"].to_string();
    assert!(fields.contains("f:image"), "{fields}");
    for filled_in in ["f:resources", "f:strategy", "f:status", "f:creationTimestamp"] {
        assert!(!fields.contains(filled_in), "{filled_in} in {fields}");
    }
    assert_eq!(object["spec"]["strategy"]["type"], "RollingUpdate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn actions_are_done_together_or_not_at_all() {
    let w = world().await;
    let web = w.create("deployments.apps", &deployment("web")).await.unwrap();
    let (key, uid) =
        (target("deployments.apps", "web").key(), web["metadata"]["uid"].as_str().unwrap().to_string());
    let revision = w.door.cache().snapshot().get(&key).unwrap().revision;
    let mut child = config("child");
    child["metadata"]["namespace"] = "default".into();
    let actions = vec![
        Action::Create { object: child },
        Action::Patch { key: key.clone(), patch: json!({"metadata": {"annotations": {"a": "b"}}}) },
        Action::SetStatus { key: key.clone(), status: json!({"replicas": 1, "observedGeneration": 1}) },
    ];
    let stale = vec![Guard::Revision { key: key.clone(), revision: revision - 1 }];
    let error = w.door.act("c", stale, actions.clone()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::Conflict);
    assert!(w.get(&target("configmaps", "child")).is_none());
    let guards = vec![
        Guard::Revision { key: key.clone(), revision },
        Guard::NothingChangedUnder { uid: uid.as_str().into(), since: w.door.cache().snapshot().revision() },
    ];
    w.door.act("c", guards, actions).await.unwrap();
    let web = w.get(&target("deployments.apps", "web")).unwrap();
    assert_eq!((&web["status"]["replicas"], &web["metadata"]["annotations"]["a"]), (&json!(1), &json!("b")));
    assert_eq!(web["metadata"]["generation"], 1);
    let propagation = Some(Propagation::Foreground);
    let delete = Action::Delete { key: key.clone(), uid, propagation, grace_seconds: None };
    w.door.act("c", Vec::new(), vec![delete]).await.unwrap();
    assert_eq!(
        w.get(&target("deployments.apps", "web")).unwrap()["metadata"]["finalizers"][0],
        "foregroundDeletion"
    );
    let other = Action::Delete { key, uid: "another".into(), propagation: None, grace_seconds: None };
    w.door.act("c", Vec::new(), vec![other]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_counted_and_never_in_the_way() {
    let w = world().await;
    let p = w.create("pods", &pod("p")).await.unwrap();
    let (key, uid) = (target("pods", "p").key(), p["metadata"]["uid"].as_str().unwrap().to_string());
    let event = || Action::Event {
        regarding: target("pods", "p").key(),
        type_: "Warning",
        reason: "FailedScheduling".into(),
        message: "0/1 nodes are available".into(),
    };
    for _ in 0..3 {
        w.door.act("system:kube-scheduler", Vec::new(), vec![event()]).await.unwrap();
    }
    let snapshot = w.door.cache().snapshot();
    let events: Vec<Value> = snapshot.list("events", Some("default")).map(|e| e.value()).collect();
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["count"], &events[0]["source"]["component"]),
        (&json!(3), &json!("default-scheduler"))
    );
    assert_eq!(events[0]["involvedObject"]["uid"], uid.as_str());
    let bind = Action::Bind { key: key.clone(), uid: uid.clone(), node: "n".into() };
    let homeless = Action::Event {
        regarding: Key::new("pods", "nowhere", &"x".repeat(253)),
        type_: "Normal",
        reason: "Scheduled".into(),
        message: "x".into(),
    };
    w.door.act("system:kube-scheduler", Vec::new(), vec![bind.clone(), homeless]).await.unwrap();
    assert_eq!(w.get(&target("pods", "p")).unwrap()["spec"]["nodeName"], "n");
    let twice = w.door.act("system:kube-scheduler", Vec::new(), vec![bind]).await.unwrap_err();
    assert_eq!(twice.reason(), Reason::Conflict);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn collections_go_by_selector() {
    let w = world().await;
    for (name, app) in [("a", "x"), ("b", "x"), ("c", "y")] {
        let mut object = config(name);
        object["metadata"]["labels"] = json!({"app": app});
        w.create("configmaps", &object).await.unwrap();
    }
    let (labels, fields) = (LabelSelector::parse("app=x").unwrap(), FieldSelector::default());
    let all = target("configmaps", "");
    let options = DeleteOptions::default();
    let written = w.door.delete_collection(&w.root, all, &labels, &fields, options).await.unwrap();
    assert_eq!(written.shown.value()["items"].as_array().unwrap().len(), 2);
    let left = w.door.cache().snapshot().list("configmaps", Some("default")).count();
    assert_eq!(left, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_registers_itself_and_nobody_else() {
    let w = world().await;
    let agent = User::new("system:node:n1", &[auth::NODES]);
    let node = |name: &str| json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"capacity": {"cpu": "4"}}});
    let create = |name: &str| w.door.create(&agent, target("nodes", ""), body(&node(name)), options());
    assert_eq!(create("n2").await.unwrap_err().reason(), Reason::Forbidden);
    assert_eq!(create("n1").await.unwrap().shown.value()["status"]["capacity"]["cpu"], "4");
    let lease = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "n1"},
        "spec": {"holderIdentity": "n1", "renewTime": "1999-01-01T00:00:00.000000Z"}});
    let at = Target { namespace: "kube-node-lease".into(), ..target("leases.coordination.k8s.io", "") };
    let made = w.door.create(&agent, at, body(&lease), options()).await.unwrap().shown.value();
    assert!(made["spec"]["renewTime"].as_str().unwrap() > "2020");
    let nobody = User::new("jane", &[]);
    let error = w.door.create(&nobody, target("pods", ""), body(&pod("p")), options()).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "pods is forbidden: User \"jane\" cannot create resource \"pods\" in API group \"\" in the namespace \"default\""
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubectl_sends_is_understood() {
    let w = world().await;
    // `create namespace`, `create configmap`, `create deployment` send protobuf.
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "demo"}});
    for (resource, object) in
        [("namespaces", namespace), ("configmaps", config("c")), ("deployments.apps", deployment("web"))]
    {
        let bytes = peapod_core::schema::protobuf::encode(&object).unwrap().into();
        let sent = Body { media_type: MediaType::Protobuf, bytes };
        let strict = WriteOptions { field_validation: FieldValidation::Strict, ..options() };
        let written = w.door.create(&w.root, target(resource, ""), sent, strict).await.unwrap();
        assert!(written.created && written.warnings.is_empty(), "{resource}: {:?}", written.warnings);
    }
    // `set image`, `rollout restart`, `rollout pause`, `label`, `taint`.
    let change =
        |patch_type, to: Target, patch: Value| w.door.patch(&w.root, to, patch_type, body(&patch), options());
    let web = || target("deployments.apps", "web");
    let image = json!({"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "a"}],
        "containers": [{"image": "hello:2", "name": "a"}]}}}});
    let written = change(PatchType::Strategic, web(), image).await.unwrap().shown.value();
    assert_eq!(written["spec"]["template"]["spec"]["containers"][0]["image"], "hello:2");
    assert_eq!(written["metadata"]["generation"], 2);
    let restart = json!({"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "x"}}}}});
    change(PatchType::Strategic, web(), restart).await.unwrap();
    let undo = json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "hello"}]);
    change(PatchType::Json, web(), undo).await.unwrap();
    let label = json!({"metadata": {"labels": {"x": "y"}}});
    let written = change(PatchType::Merge, web(), label).await.unwrap().shown.value();
    assert_eq!(
        (&written["metadata"]["labels"]["x"], &written["metadata"]["generation"]),
        (&json!("y"), &json!(4))
    );
    let revision = w.door.cache().snapshot().revision();
    change(PatchType::Merge, web(), json!({"metadata": {"labels": {"x": "y"}}})).await.unwrap();
    assert_eq!(w.door.cache().snapshot().revision(), revision, "what changes nothing is not written");
    // `run`
    let run = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p1", "labels": {"run": "p1"}}, "status": {},
        "spec": {"containers": [{"name": "p1", "image": "x", "resources": {}}], "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst"}});
    let written = w.create_with("pods", &run, options()).await.unwrap();
    assert_eq!(written.warnings, Vec::<String>::new());
    assert_eq!(written.shown.value()["spec"]["serviceAccountName"], "default");
}
