//! Volumes of a pod: directories below the pod's own, made before its containers start and kept in step with what they
//! show: objects, the pod itself, tokens.

mod files;
mod mounts;
mod part;
pub(crate) mod reference;

pub(crate) use mounts::mounts;

use crate::api::Api;
use crate::pods::spec::{KeyedVolume, Pod, Projected, Source, Volume};
use files::Files;
use futures_util::future::select_all;
use parking_lot::Mutex;
use part::Part;
use reference::{Kind, References};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;

/// A volume that shows something: it is written again when that changes.
pub(crate) struct Shown {
    name: String,
    dir: PathBuf,
    parts: Vec<Part>,
    /// Has seen the pod of the last files.
    pods: Mutex<watch::Receiver<Arc<Pod>>>,
    written: Mutex<Option<Arc<Files>>>,
}

/// Where a volume of the pod lies.
pub(crate) fn dir(pod_dir: &Path, name: &str) -> PathBuf {
    pod_dir.join("volumes").join(name)
}

/// Makes all volumes of the pod that `pods` tells of. What shows something is returned, to be kept in step.
///
/// # Errors
/// A sentence as kubelet's `FailedMount` event has it.
pub(crate) async fn mount(
    pods: watch::Receiver<Arc<Pod>>,
    pod_dir: &Path,
    references: &References,
    api: &Api,
) -> Result<Vec<Arc<Shown>>, String> {
    let mut shown = Vec::new();
    let pod = pods.borrow().clone();
    for volume in &pod.spec.volumes {
        let dir = dir(pod_dir, &volume.name);
        if let Some(parts) = parts(volume, &pod.metadata.namespace, references, api) {
            let (name, pods) = (volume.name.clone(), Mutex::new(pods.clone()));
            let one = Arc::new(Shown { name, dir, parts, pods, written: Mutex::default() });
            let name = &volume.name;
            let fail = |why: String| format!("MountVolume.SetUp failed for volume {name:?} : {why}");
            one.refresh().await.map_err(fail)?;
            shown.push(one);
        } else if volume.empty_dir.is_some() {
            let made = tokio::fs::create_dir_all(&dir).await;
            made.map_err(|error| format!("cannot make volume {:?}: {error}", volume.name))?;
        } else {
            return Err(format!(
                "volume {:?} is of a type that this node cannot mount: use emptyDir, configMap, secret, downwardAPI or \
                 projected",
                volume.name
            ));
        }
    }
    Ok(shown)
}

/// What the volume shows; none for one that shows nothing.
fn parts(volume: &Volume, namespace: &str, references: &References, api: &Api) -> Option<Vec<Part>> {
    let object = |kind: Kind, keyed: &KeyedVolume| {
        let reference = references.get(kind, namespace, &keyed.name);
        Part::Object { kind, volume: keyed.clone(), reference }
    };
    if let Some(Projected { sources, default_mode }) = &volume.projected {
        let keyed = |keyed: &KeyedVolume| KeyedVolume { default_mode: *default_mode, ..keyed.clone() };
        let mode = *default_mode;
        let part = |source: &Source| {
            let map = source.config_map.as_ref().map(|map| object(Kind::ConfigMap, &keyed(map)));
            let secret = || source.secret.as_ref().map(|secret| object(Kind::Secret, &keyed(secret)));
            let facts = || source.downward_api.as_ref().map(|of| Part::Pod { items: of.items.clone(), mode });
            let token = || {
                let (wanted, api) = (source.service_account_token.clone()?, api.clone());
                Some(Part::Token { wanted, mode, api, held: Mutex::default() })
            };
            map.or_else(secret).or_else(facts).or_else(token)
        };
        return Some(sources.iter().filter_map(part).collect());
    }
    if let Some(facts) = &volume.downward_api {
        return Some(vec![Part::Pod { items: facts.items.clone(), mode: facts.default_mode }]);
    }
    let map = volume.config_map.as_ref().map(|map| object(Kind::ConfigMap, map));
    let part = map.or_else(|| volume.secret.as_ref().map(|secret| object(Kind::Secret, secret)));
    part.map(|part| vec![part])
}

impl Shown {
    /// Writes what there is to be shown now.
    ///
    /// # Errors
    /// A sentence: an object or a key of it is missing, there is no token, or the disk fails.
    pub(crate) async fn refresh(self: &Arc<Self>) -> Result<(), String> {
        let pod = self.pods.lock().borrow_and_update().clone();
        let mut files = Files::new();
        for part in &self.parts {
            files.extend(part.files(&pod, &self.dir).await?);
        }
        // Most changes of a pod are none of what is shown of it.
        if self.written.lock().as_ref().is_some_and(|written| **written == files) {
            return Ok(());
        }
        let (this, files) = (self.clone(), Arc::new(files));
        let written = tokio::task::spawn_blocking(move || {
            let number = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0);
            let written = files::write(&this.dir, &files, number);
            written.map_err(|error| format!("cannot write volume {:?}: {error}", this.name))?;
            *this.written.lock() = Some(files);
            Ok(())
        });
        written.await.map_err(|error| error.to_string())?
    }

    /// Resolves when what is shown may have changed since it was last written.
    pub(crate) fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        let pods = self.pods.lock().clone();
        let waits: Vec<_> = self.parts.iter().map(|part| part.changed(&pods)).collect();
        async move {
            if waits.is_empty() {
                return std::future::pending().await;
            }
            select_all(waits).await;
        }
    }
}
