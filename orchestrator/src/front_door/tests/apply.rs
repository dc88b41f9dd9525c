//! Server-side apply and the Scale.

use super::*;

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
async fn a_scale_is_applied_and_its_replicas_are_owned() {
    let w = world().await;
    w.create("deployments.apps", &deployment("web")).await.unwrap();
    let apply = |manager: &str, spec: Value, force| {
        let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "web"}, "spec": spec});
        let options = WriteOptions { field_manager: manager.into(), force, ..options() };
        let to = part("deployments.apps", "web", Subresource::Scale);
        w.door.patch(&w.root, to, PatchType::Apply, body(&scale), options)
    };
    // Whoever created the Deployment has its default of one replica.
    let shown = apply("scaler", json!({"replicas": 4}), true).await.unwrap().shown.value();
    assert_eq!((&shown["kind"], &shown["spec"]["replicas"]), (&json!("Scale"), &json!(4)));
    let web = w.get(&target("deployments.apps", "web")).unwrap();
    assert_eq!((&web["spec"]["replicas"], &web["metadata"]["generation"]), (&json!(4), &json!(2)));
    let entries = web["metadata"]["managedFields"].as_array().unwrap();
    let own = entries.iter().find(|entry| entry["manager"] == "scaler").unwrap();
    assert_eq!(
        (&own["operation"], &own["apiVersion"], &own["subresource"], &own["fieldsV1"]),
        (&json!("Apply"), &json!("apps/v1"), &json!("scale"), &json!({"f:spec": {"f:replicas": {}}}))
    );
    let others = entries.iter().filter(|entry| entry["manager"] != "scaler");
    assert!(
        others.into_iter().all(|entry| entry["fieldsV1"]["f:spec"]["f:replicas"].is_null()),
        "{entries:?}"
    );

    let conflict = apply("other", json!({"replicas": 5}), false).await.unwrap_err();
    assert_eq!(conflict.reason(), Reason::Conflict);
    assert!(
        conflict.to_string().contains("conflict with \"scaler\" with subresource \"scale\": .spec.replicas")
    );
    let again = apply("scaler", json!({"replicas": 4}), false).await.unwrap();
    let shown = again.shown.value();
    assert_eq!(
        shown["metadata"]["resourceVersion"], web["metadata"]["resourceVersion"],
        "nothing has changed"
    );
    assert_eq!(apply("scaler", json!({"replicas": -1}), false).await.unwrap_err().reason(), Reason::Invalid);
    assert_eq!(apply("", json!({"replicas": 1}), false).await.unwrap_err().reason(), Reason::Invalid);
}
