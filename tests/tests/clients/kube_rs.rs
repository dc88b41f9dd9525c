//! kube-rs: its verbs, its watcher and reflector, and an operator on its Controller.

use crate::connection::client;
use futures_util::{Stream, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{
    Api, DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy,
};
use kube::core::PartialObjectMeta;
use kube::runtime::controller::Action;
use kube::runtime::finalizer::{Event as Finalizer, finalizer};
use kube::runtime::{Controller, WatchStreamExt, reflector, watcher};
use kube::{Resource, ResourceExt};
use peapod_tests::cluster::Cluster;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// How long a step may take on a loaded machine.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);

/// Runs `scenario` against a cluster of its own.
pub(crate) fn with_client<F: Future<Output = anyhow::Result<()>>>(scenario: impl FnOnce(kube::Client) -> F) {
    let cluster = Cluster::start(&[]);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let ran = runtime.block_on(async {
        let client = client(&cluster).await?;
        tokio::time::timeout(4 * WITHIN, scenario(client)).await?
    });
    ran.expect("the scenario passes");
}

fn config_map(name: &str, data: serde_json::Value) -> ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).expect("a ConfigMap")
}

/// The code and reason with which the server refused.
pub(crate) fn refusal<T: std::fmt::Debug>(result: kube::Result<T>) -> (u16, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.reason),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn kube_rs_creates_patches_applies_lists_and_deletes() {
    with_client(|client| async move {
        let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
        writes_and_patches(&maps).await?;
        applies(&maps).await?;
        lists_in_pages(&maps).await?;
        scales(Api::default_namespaced(client)).await?;
        deletes(&maps).await
    });
}

async fn writes_and_patches(maps: &Api<ConfigMap>) -> anyhow::Result<()> {
    let made = maps.create(&PostParams::default(), &config_map("a", json!({"k": "v"}))).await?;
    let again = maps.create(&PostParams::default(), &made).await;
    assert_eq!(refusal(again), (400, "BadRequest".into()), "resourceVersion must not be set on creation");
    let same = maps.create(&PostParams::default(), &config_map("a", json!({}))).await;
    assert_eq!(refusal(same), (409, "AlreadyExists".into()));
    let mut changed = made.clone();
    changed.data.get_or_insert_default().insert("k".into(), "second".into());
    maps.replace("a", &PostParams::default(), &changed).await?;
    let stale = maps.replace("a", &PostParams::default(), &made).await;
    assert_eq!(refusal(stale), (409, "Conflict".into()));

    let plain = PatchParams::default();
    let operations = json!([
        {"op": "test", "path": "/data/k", "value": "second"},
        {"op": "copy", "from": "/data/k", "path": "/data/copied"},
        {"op": "move", "from": "/data/k", "path": "/data/moved"},
    ]);
    let operations: json_patch::Patch = serde_json::from_value(operations)?;
    let patched = maps.patch("a", &plain, &Patch::<()>::Json(operations)).await?;
    assert_eq!(json!(patched.data), json!({"copied": "second", "moved": "second"}), "after a JSON patch");
    let merge = Patch::Merge(json!({"data": {"copied": null, "m": "1"}}));
    assert_eq!(json!(maps.patch("a", &plain, &merge).await?.data), json!({"m": "1", "moved": "second"}));
    let strategic = Patch::Strategic(json!({"data": {"$patch": "replace", "only": "this"}}));
    assert_eq!(json!(maps.patch("a", &plain, &strategic).await?.data), json!({"only": "this"}));
    let dry = PatchParams { dry_run: true, ..PatchParams::default() };
    maps.patch("a", &dry, &Patch::Merge(json!({"data": {"dry": "run"}}))).await?;
    let read = maps.get("a").await?;
    assert_eq!(json!(read.data), json!({"only": "this"}), "a dry run changes nothing");
    let metadata = maps.get_metadata("a").await?;
    assert_eq!(metadata.uid(), read.uid());
    Ok(())
}

async fn applies(maps: &Api<ConfigMap>) -> anyhow::Result<()> {
    let configuration = |data: serde_json::Value| {
        let whole =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "applied"}, "data": data});
        Patch::Apply(whole)
    };
    let (one, two) = (PatchParams::apply("one"), PatchParams::apply("two"));
    maps.patch("applied", &one, &configuration(json!({"shared": "1", "own": "1"}))).await?;
    let conflict = maps.patch("applied", &two, &configuration(json!({"shared": "2"}))).await;
    assert_eq!(refusal(conflict), (409, "Conflict".into()));
    maps.patch("applied", &two.clone().force(), &configuration(json!({"shared": "2"}))).await?;
    let left = maps.patch("applied", &two, &configuration(json!({}))).await?;
    assert_eq!(json!(left.data), json!({"own": "1"}), "who applies less gives up what it owned alone");
    let entries: Vec<_> =
        left.managed_fields().iter().map(|entry| json!([entry.manager, entry.fields_v1])).collect();
    assert_eq!(entries, [json!(["one", {"f:data": {"f:own": {}}}]), json!(["two", {"f:data": {}}])]);
    Ok(())
}

async fn lists_in_pages(maps: &Api<ConfigMap>) -> anyhow::Result<()> {
    for number in 0..7 {
        let mut map = config_map(&format!("page-{number}"), json!({}));
        map.labels_mut().insert("page".into(), "yes".into());
        maps.create(&PostParams::default(), &map).await?;
    }
    let (mut names, mut params) = (Vec::new(), ListParams::default().labels("page in (yes)").limit(3));
    loop {
        let page = maps.list(&params).await?;
        names.extend(page.items.iter().map(ResourceExt::name_any));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    assert_eq!(names, (0..7).map(|number| format!("page-{number}")).collect::<Vec<_>>());
    let metadata = maps.list_metadata(&ListParams::default().fields("metadata.name=page-3")).await?;
    assert_eq!(metadata.items.len(), 1);
    Ok(())
}

async fn scales(deployments: Api<Deployment>) -> anyhow::Result<()> {
    let web: Deployment = serde_json::from_value(json!({
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "hello", "image": "hello"}]},
            },
        },
    }))?;
    deployments.create(&PostParams::default(), &web).await?;
    let scale = deployments.get_scale("web").await?;
    assert_eq!(scale.status.and_then(|status| status.selector).as_deref(), Some("app=web"));
    let patch = Patch::Merge(json!({"spec": {"replicas": 1}}));
    deployments.patch_scale("web", &PatchParams::default(), &patch).await?;
    let ready = kube::runtime::wait::await_condition(
        deployments.clone(),
        "web",
        kube::runtime::conditions::is_deployment_completed(),
    );
    tokio::time::timeout(WITHIN, ready).await??;
    let status = Patch::Merge(json!({"spec": {"replicas": 9}, "status": {"observedGeneration": 99}}));
    let patched = deployments.patch_status("web", &PatchParams::default(), &status).await?;
    assert_eq!(patched.spec.and_then(|spec| spec.replicas), Some(1));
    let foreground =
        DeleteParams { propagation_policy: Some(PropagationPolicy::Foreground), ..DeleteParams::default() };
    deployments.delete("web", &foreground).await?;
    Ok(())
}

async fn deletes(maps: &Api<ConfigMap>) -> anyhow::Result<()> {
    let with_uid = |uid: &str| DeleteParams {
        preconditions: Some(Preconditions { uid: Some(uid.into()), resource_version: None }),
        ..DeleteParams::default()
    };
    assert_eq!(refusal(maps.delete("a", &with_uid("other")).await), (409, "Conflict".into()));
    let uid = maps.get("a").await?.uid().unwrap_or_default();
    maps.delete("a", &with_uid(&uid)).await?;
    assert!(maps.get_opt("a").await?.is_none());
    maps.delete_collection(&DeleteParams::default(), &ListParams::default().labels("page")).await?;
    assert!(maps.list(&ListParams::default().labels("page")).await?.items.is_empty());
    Ok(())
}

#[test]
fn kube_rs_watches_and_reflects_in_each_way_that_it_knows() {
    with_client(|client| async move {
        let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
        for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
            follows(&maps, config.labels("followed=yes")).await?;
        }
        let metadata: Api<PartialObjectMeta<ConfigMap>> = Api::default_namespaced(client);
        let mut events = std::pin::pin!(watcher(metadata, watcher::Config::default().streaming_lists()));
        while let Some(event) = events.try_next().await? {
            if let watcher::Event::InitDone = event {
                return Ok(());
            }
        }
        anyhow::bail!("the watcher ended")
    });
}

/// What is there, what comes and what goes, as a store sees it.
async fn follows(maps: &Api<ConfigMap>, config: watcher::Config) -> anyhow::Result<()> {
    let mut map = config_map("followed", json!({}));
    map.labels_mut().insert("followed".into(), "yes".into());
    maps.create(&PostParams::default(), &map).await?;
    let (store, writer) = reflector::store::<ConfigMap>();
    let mut events = std::pin::pin!(reflector(writer, watcher(maps.clone(), config)).touched_objects());
    let first = events.try_next().await?.expect("the object that is there");
    assert_eq!(first.name_any(), "followed");
    let patch = Patch::Merge(json!({"data": {"x": "y"}}));
    maps.patch("followed", &PatchParams::default(), &patch).await?;
    let second = events.try_next().await?.expect("the change");
    assert_eq!(json!(second.data), json!({"x": "y"}));
    store.wait_until_ready().await?;
    assert_eq!(store.state().len(), 1);
    maps.delete("followed", &DeleteParams::default()).await?;
    events.try_next().await?.expect("the deletion");
    assert!(store.is_empty());
    Ok(())
}

#[test]
fn an_operator_on_kube_rs_reconciles_its_objects() {
    with_client(|client| async move {
        let running = Controller::new(Api::<ConfigMap>::default_namespaced(client.clone()), labelled())
            .owns(Api::<Secret>::default_namespaced(client.clone()), watcher::Config::default())
            .run(reconcile, |_, _, _| Action::requeue(Duration::from_secs(1)), Arc::new(client.clone()));
        operate(running, use_operator(client)).await
    });
}

/// Runs an operator for as long as it is used. Errors: what using it says, or the operator ends.
pub(crate) async fn operate<T, E: std::fmt::Display>(
    outcomes: impl Stream<Item = Result<T, E>>,
    used: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let running = outcomes.for_each(|outcome| async move {
        if let Err(error) = outcome {
            println!("reconciling failed: {error}");
        }
    });
    tokio::select! {
        () = running => anyhow::bail!("the controller ended"),
        used = used => used,
    }
}

fn labelled() -> watcher::Config {
    watcher::Config::default().labels("operated=yes").streaming_lists()
}

/// Mirrors a ConfigMap in a Secret that it owns; a finalizer holds the ConfigMap until the Secret says so.
async fn reconcile(
    map: Arc<ConfigMap>,
    client: Arc<kube::Client>,
) -> Result<Action, kube::runtime::finalizer::Error<kube::Error>> {
    let maps: Api<ConfigMap> = Api::default_namespaced((*client).clone());
    finalizer(&maps, "peapod.test/mirror", map, |event| async move {
        let secrets: Api<Secret> = Api::default_namespaced((*client).clone());
        match event {
            Finalizer::Apply(map) => {
                let mirror = json!({
                    "apiVersion": "v1", "kind": "Secret",
                    "metadata": {"name": map.name_any(), "ownerReferences": [map.controller_owner_ref(&())]},
                    "stringData": map.data,
                });
                let apply = PatchParams::apply("mirror").force();
                secrets.patch(&map.name_any(), &apply, &Patch::Apply(mirror)).await?;
            }
            Finalizer::Cleanup(map) => {
                secrets.delete(&map.name_any(), &DeleteParams::default()).await?;
            }
        }
        Ok(Action::await_change())
    })
    .await
}

async fn use_operator(client: kube::Client) -> anyhow::Result<()> {
    let maps: Api<ConfigMap> = Api::default_namespaced(client.clone());
    let secrets: Api<Secret> = Api::default_namespaced(client);
    let mut map = config_map("mirrored", json!({"k": "v"}));
    map.labels_mut().insert("operated".into(), "yes".into());
    maps.create(&PostParams::default(), &map).await?;
    let first = mirrored(&secrets, |secret| holds(secret, "v")).await?;
    secrets.delete("mirrored", &DeleteParams::default()).await?;
    mirrored(&secrets, |secret| holds(secret, "v") && secret.uid() != first.uid()).await?;
    let patch = Patch::Merge(json!({"data": {"k": "second"}}));
    maps.patch("mirrored", &PatchParams::default(), &patch).await?;
    mirrored(&secrets, |secret| holds(secret, "second")).await?;
    let uid = maps.get("mirrored").await?.uid().unwrap_or_default();
    maps.delete("mirrored", &DeleteParams::default()).await?;
    let gone =
        kube::runtime::wait::await_condition(maps, "mirrored", kube::runtime::conditions::is_deleted(&uid));
    tokio::time::timeout(WITHIN, gone).await??;
    assert!(secrets.get_opt("mirrored").await?.is_none(), "the finalizer ran before the object went");
    Ok(())
}

fn holds(secret: &Secret, text: &str) -> bool {
    let data = secret.data.as_ref().and_then(|data| data.get("k"));
    data.is_some_and(|bytes| bytes.0 == text.as_bytes())
}

async fn mirrored(secrets: &Api<Secret>, fits: impl Fn(&Secret) -> bool + Send) -> anyhow::Result<Secret> {
    let there =
        kube::runtime::wait::await_condition(secrets.clone(), "mirrored", |secret: Option<&Secret>| {
            secret.is_some_and(&fits)
        });
    let found = tokio::time::timeout(WITHIN, there).await??;
    Ok(found.expect("the condition wants one"))
}
