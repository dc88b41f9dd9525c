//! What the system itself writes: the first objects, actions of controllers, events, agents.

use super::*;
use std::sync::atomic::{AtomicI64, Ordering};

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
async fn a_default_binding_to_another_role_is_made_anew_at_the_next_start() {
    let w = world().await;
    let bindings = "clusterrolebindings.rbac.authorization.k8s.io";
    for (name, update, role) in
        [("system:discovery", "true", "system:discovery"), ("system:basic-user", "false", "view")]
    {
        let mut binding = w.get(&target(bindings, name)).unwrap();
        w.delete(target(bindings, name), Wish::default()).await.unwrap();
        binding["roleRef"]["name"] = "view".into();
        binding["metadata"] = json!({"name": name,
            "annotations": {"rbac.authorization.kubernetes.io/autoupdate": update}});
        w.create(bindings, &binding).await.unwrap();
        w.door.bootstrap(&Advertised { address: "127.0.0.1:6443".parse().unwrap() }).await.unwrap();
        assert_eq!(w.get(&target(bindings, name)).unwrap()["roleRef"]["name"], role);
    }
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

/// Who sees the pod bound tells of what he does about it later than that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_happens_before_the_write_that_it_belongs_to_is_seen() {
    let seconds = AtomicI64::new(1_000_000);
    // Each look at it is a second later.
    let clock: Clock =
        Arc::new(move || Timestamp::from_second(seconds.fetch_add(1, Ordering::SeqCst)).unwrap());
    let w = world_with(Options { clock, ..Options::default() }).await;
    let p = w.create("pods", &pod("p")).await.unwrap();
    let key = target("pods", "p").key();
    let uid = p["metadata"]["uid"].as_str().unwrap().to_string();
    let bind = Action::Bind { key: key.clone(), uid, node: "n".into() };
    let event = Action::Event {
        regarding: key,
        type_: "Normal",
        reason: "Scheduled".into(),
        message: "Successfully assigned".into(),
    };
    w.door.act("system:kube-scheduler", Vec::new(), vec![bind, event]).await.unwrap();
    let bound = w.get(&target("pods", "p")).unwrap()["status"]["conditions"].clone();
    let bound = bound.as_array().unwrap().iter().find(|c| c["type"] == "PodScheduled").unwrap().clone();
    let bound = bound["lastTransitionTime"].as_str().unwrap().to_string();
    let snapshot = w.door.cache().snapshot();
    let event = snapshot.list("events", Some("default")).next().unwrap().value();
    let told = event["lastTimestamp"].as_str().unwrap();
    assert!(told < bound.as_str(), "told at {told}, bound at {bound}");
    let nanoseconds = bound.parse::<Timestamp>().unwrap().as_nanosecond();
    let by_the_node = format!("p.{nanoseconds:016x}");
    assert!(event["metadata"]["name"].as_str().unwrap() < by_the_node.as_str(), "{event} {by_the_node}");
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
