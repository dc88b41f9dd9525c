//! Nodes and their ranges of pod addresses.

use super::*;

fn node(name: &str, pods: &str, range: Option<&str>) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "spec": {"podCIDR": range},
        "status": {"capacity": {"pods": pods}}})
}

fn range(node: &Value) -> String {
    assert_eq!(node["spec"]["podCIDRs"], json!([node["spec"]["podCIDR"]]));
    node["spec"]["podCIDR"].as_str().unwrap().into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_register_at_once_never_share_a_range() {
    let w = world().await;
    let mut creators = JoinSet::new();
    for index in 0..20 {
        let (door, root) = (w.door.clone(), w.root.clone());
        creators.spawn(async move {
            let object = body(&node(&format!("n{index}"), "250", None));
            door.create(&root, target("nodes", ""), object, options()).await.unwrap().shown.value()
        });
    }
    let made = creators.join_all().await;
    assert_eq!(made.iter().map(range).collect::<BTreeSet<_>>().len(), made.len());
    let last = "10.240.19.0/24";
    assert!(made.iter().any(|node| range(node) == last), "the first that are free");
    let large = w.create("nodes", &node("large", "10000", None)).await.unwrap();
    assert_eq!(range(&large), "10.240.64.0/18");
    let again = w.create("nodes", &node("large", "10000", None)).await.unwrap_err();
    assert_eq!(again.reason(), Reason::AlreadyExists);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_is_the_nodes_for_ever() {
    let w = world().await;
    let asked = node("n1", "110", Some("10.250.1.0/24"));
    assert_eq!(range(&w.create("nodes", &asked).await.unwrap()), "10.250.1.0/24");
    for (asked, why) in [
        ("10.250.0.0/23", "it overlaps with the range of another node"),
        ("192.168.0.0/24", "must be a range of IPv4 addresses within the cluster's, 10.240.0.0/12"),
        ("everything", "must be a range of IPv4 addresses within the cluster's, 10.240.0.0/12"),
    ] {
        let error = w.create("nodes", &node("n2", "110", Some(asked))).await.unwrap_err().to_string();
        assert_eq!(error, format!("Node \"n2\" is invalid: spec.podCIDR: Invalid value: {asked:?}: {why}"));
    }
    let change = |patch: Value| {
        w.door.patch(&w.root, target("nodes", "n1"), PatchType::Merge, body(&patch), options())
    };
    change(json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    let other = json!({"spec": {"podCIDR": "10.250.2.0/24", "podCIDRs": ["10.250.2.0/24"]}});
    for patch in [other, json!({"spec": {"podCIDR": null, "podCIDRs": null}})] {
        let error = change(patch).await.unwrap_err().to_string();
        assert!(error.contains("spec.podCIDRs: Forbidden: node updates may not change podCIDR"), "{error}");
    }
}
