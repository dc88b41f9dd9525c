//! Objects as users write them.

use super::*;

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

#[tokio::test]
async fn a_namespace_is_dropped_where_there_is_none() {
    let w = world().await;
    let class = json!({"metadata": {"name": "high", "namespace": "default"}, "value": 1});
    let made = w.create("priorityclasses.scheduling.k8s.io", &class).await.unwrap();
    assert_eq!(made.pointer("/metadata/namespace"), None);
    let mut config = config("a");
    config["metadata"]["namespace"] = "other".into();
    let error = w.create("configmaps", &config).await.unwrap_err();
    let why = "the namespace of the provided object does not match the namespace sent on the request";
    assert_eq!(error.to_string(), why);
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
