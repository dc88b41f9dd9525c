//! kube-rs with a kind of one's own: its definition, every form of write, subresources, a watcher, and an operator that looks
//! after its objects; and the subresources of pods.

use crate::kube_rs::{WITHIN, operate, refusal, with_client};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, DeleteParams, EvictParams, LogParams, Patch, PatchParams, PostParams};
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::controller::Action;
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::{Controller, WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use peapod_tests::file;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

fn resource() -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk("peapod.test", "v1", "Tree"), "trees")
}

fn trees(client: &Client) -> Api<DynamicObject> {
    Api::default_namespaced_with(client.clone(), &resource())
}

fn tree(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "peapod.test/v1", "kind": "Tree", "metadata": {"name": name}, "spec": spec})
}

async fn create(trees: &Api<DynamicObject>, name: &str, spec: Value) -> kube::Result<DynamicObject> {
    let object = serde_json::from_value(tree(name, spec)).expect("an object");
    trees.create(&PostParams::default(), &object).await
}

async fn define(client: &Client) -> anyhow::Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = serde_json::from_slice(&std::fs::read(file("tests/clients/tree.json"))?)?;
    definitions.create(&PostParams::default(), &definition).await?;
    let established = await_condition(definitions, "trees.peapod.test", conditions::is_crd_established());
    tokio::time::timeout(WITHIN, established).await??;
    let (found, capabilities) =
        kube::discovery::oneshot::pinned_kind(client, &GroupVersionKind::gvk("peapod.test", "v1", "Tree"))
            .await?;
    assert_eq!((found.plural.as_str(), capabilities.subresources.len()), ("trees", 2));
    Ok(())
}

#[test]
fn kube_rs_writes_objects_of_a_kind_of_its_own() {
    with_client(|client| async move {
        define(&client).await?;
        let trees = trees(&client);
        let made = create(&trees, "oak", json!({"species": "oak"})).await?;
        assert_eq!((&made.data["spec"]["leaves"], made.metadata.generation), (&json!(3), Some(1)));
        let refused = refusal(create(&trees, "x", json!({"species": "rose"})).await);
        assert_eq!(refused, (422, "Invalid".into()));
        let merge = Patch::<Value>::Merge;
        let params = PatchParams::default();
        let merged = trees.patch("oak", &params, &merge(json!({"spec": {"leaves": 5}}))).await?;
        assert_eq!((&merged.data["spec"]["leaves"], merged.metadata.generation), (&json!(5), Some(2)));
        applies(&trees).await?;
        let status = json!({"spec": {"leaves": 99}, "status": {"phase": "Green", "leaves": 5}});
        let patched = trees.patch_status("oak", &params, &merge(status)).await?;
        assert_eq!(
            (&patched.data["status"]["phase"], &patched.data["spec"]["leaves"]),
            (&json!("Green"), &json!(5))
        );
        let scaled = trees.patch_scale("oak", &params, &merge(json!({"spec": {"replicas": 8}}))).await?;
        assert_eq!(scaled.spec.and_then(|spec| spec.replicas), Some(8));
        assert_eq!(trees.get("oak").await?.data["spec"]["leaves"], 8);
        let uid = made.uid().unwrap_or_default();
        trees.delete("oak", &DeleteParams::foreground()).await?;
        tokio::time::timeout(WITHIN, await_condition(trees, "oak", conditions::is_deleted(&uid))).await??;
        Ok(())
    });
}

async fn applies(trees: &Api<DynamicObject>) -> anyhow::Result<()> {
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    let branches = |list: Value| Patch::Apply(tree("oak", json!({"species": "oak", "branches": list})));
    trees.patch("oak", &one.force(), &branches(json!([{"name": "a", "length": 1}]))).await?;
    let longer = branches(json!([{"name": "b"}, {"name": "a", "length": 2}]));
    assert_eq!(refusal(trees.patch("oak", &two, &longer).await), (409, "Conflict".into()));
    let forced = trees.patch("oak", &two.force(), &longer).await?;
    assert_eq!(forced.data["spec"]["branches"], json!([{"name": "b"}, {"name": "a", "length": 2}]));
    Ok(())
}

#[test]
fn an_operator_on_kube_rs_looks_after_a_kind_of_its_own() {
    with_client(|client| async move {
        define(&client).await?;
        let running = Controller::new_with(trees(&client), watcher::Config::default(), resource())
            .owns(Api::<ConfigMap>::default_namespaced(client.clone()), watcher::Config::default())
            .run(reconcile, |_, _, _| Action::requeue(Duration::from_secs(1)), Arc::new(client.clone()));
        operate(running, use_operator(client)).await
    });
}

/// Writes the leaves of a tree into a ConfigMap that it owns, and into its status.
async fn reconcile(tree: Arc<DynamicObject>, client: Arc<Client>) -> Result<Action, kube::Error> {
    let (name, leaves) = (tree.name_any(), &tree.data["spec"]["leaves"]);
    let owner = tree.controller_owner_ref(&resource());
    let map = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "ownerReferences": [owner]},
        "data": {"leaves": leaves.to_string()},
    });
    let params = PatchParams::apply("gardener").force();
    Api::<ConfigMap>::default_namespaced((*client).clone()).patch(&name, &params, &Patch::Apply(map)).await?;
    let status = json!({
        "apiVersion": "peapod.test/v1", "kind": "Tree", "metadata": {"name": name},
        "status": {"phase": "Grown", "leaves": leaves},
    });
    trees(&client).patch_status(&name, &params, &Patch::Apply(status)).await?;
    Ok(Action::await_change())
}

async fn use_operator(client: Client) -> anyhow::Result<()> {
    let (trees, maps) = (trees(&client), Api::<ConfigMap>::default_namespaced(client));
    create(&trees, "yew", json!({"species": "yew"})).await?;
    let grown = |leaves: i64| {
        move |tree: Option<&DynamicObject>| tree.is_some_and(|tree| tree.data["status"]["leaves"] == leaves)
    };
    tokio::time::timeout(WITHIN, await_condition(trees.clone(), "yew", grown(3))).await??;
    let owned = maps.get("yew").await?;
    maps.delete("yew", &DeleteParams::default()).await?;
    let again = |map: Option<&ConfigMap>| map.is_some_and(|map| map.uid() != owned.uid());
    tokio::time::timeout(WITHIN, await_condition(maps.clone(), "yew", again)).await??;
    let more = Patch::Merge(json!({"spec": {"leaves": 7}}));
    trees.patch("yew", &PatchParams::default(), &more).await?;
    tokio::time::timeout(WITHIN, await_condition(trees.clone(), "yew", grown(7))).await??;
    let uid = maps.get("yew").await?.uid().unwrap_or_default();
    trees.delete("yew", &DeleteParams::default()).await?;
    tokio::time::timeout(WITHIN, await_condition(maps, "yew", conditions::is_deleted(&uid))).await??;
    Ok(())
}

#[test]
fn kube_rs_follows_a_kind_of_its_own_to_its_end() {
    with_client(|client| async move {
        define(&client).await?;
        let trees = trees(&client);
        for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
            let mut events = std::pin::pin!(watcher(trees.clone(), config).touched_objects());
            create(&trees, "oak", json!({"species": "oak"})).await?;
            let first = events.next().await.expect("an event")?;
            assert_eq!((first.name_any().as_str(), &first.data["spec"]["leaves"]), ("oak", &json!(3)));
            trees.delete("oak", &DeleteParams::default()).await?;
            assert_eq!(events.next().await.expect("an event")?.uid(), first.uid());
        }
        Ok(())
    });
}

#[test]
fn kube_rs_reads_logs_and_evicts() {
    with_client(|client| async move {
        let pods: Api<Pod> = Api::default_namespaced(client);
        let spec = json!({"restartPolicy": "Never", "containers": [{"name": "a", "image": "job"}]});
        let pod = serde_json::from_value(json!({"metadata": {"name": "talker"}, "spec": spec}))?;
        pods.create(&PostParams::default(), &pod).await?;
        let done = |pod: Option<&Pod>| {
            let phase = pod.and_then(|pod| pod.status.as_ref()).and_then(|status| status.phase.as_deref());
            phase == Some("Succeeded")
        };
        tokio::time::timeout(WITHIN, await_condition(pods.clone(), "talker", done)).await??;
        assert!(pods.logs("talker", &LogParams::default()).await?.ends_with("done\n"));
        pods.evict("talker", &EvictParams::default()).await?;
        assert_eq!(refusal(pods.evict("nobody", &EvictParams::default()).await), (404, "NotFound".into()));
        Ok(())
    });
}
