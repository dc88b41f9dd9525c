//! Volumes of a pod: directories below the pod's own, made before its containers start and kept in step with the
//! objects that they show.

mod files;
mod mounts;
pub(crate) mod reference;

pub(crate) use mounts::mounts;

use crate::pods::spec::{KeyedVolume, Pod, Volume};
use reference::{Content, Kind, Reference, References};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A volume that shows an object: it is written again when the object changes.
pub(crate) struct Shown {
    dir: PathBuf,
    volume: KeyedVolume,
    kind: Kind,
    pub(crate) reference: Arc<Reference>,
}

/// Where a volume of the pod lies.
pub(crate) fn dir(pod_dir: &Path, name: &str) -> PathBuf {
    pod_dir.join("volumes").join(name)
}

/// Makes all volumes of a pod. What the pod shows of other objects is returned, to be kept in step.
///
/// # Errors
/// A sentence as kubelet's `FailedMount` event has it.
pub(crate) async fn mount(
    pod: &Pod,
    pod_dir: &Path,
    references: &References,
) -> Result<Vec<Arc<Shown>>, String> {
    let mut shown = Vec::new();
    for volume in &pod.spec.volumes {
        let dir = dir(pod_dir, &volume.name);
        if let Some(keyed) = keyed(volume) {
            let (kind, keyed) = keyed;
            let reference = references.get(kind, &pod.metadata.namespace, &keyed.name);
            let volume_name = &volume.name;
            let one = Arc::new(Shown { dir, volume: keyed.clone(), kind, reference });
            let fail = |why: String| format!("MountVolume.SetUp failed for volume {volume_name:?} : {why}");
            one.refresh(&pod.metadata.namespace).await.map_err(fail)?;
            shown.push(one);
        } else if volume.empty_dir.is_some() {
            let made = tokio::fs::create_dir_all(&dir).await;
            made.map_err(|error| format!("cannot make volume {:?}: {error}", volume.name))?;
        } else {
            return Err(format!(
                "volume {:?} is of a type that this node cannot mount: use emptyDir, configMap or secret",
                volume.name
            ));
        }
    }
    Ok(shown)
}

fn keyed(volume: &Volume) -> Option<(Kind, &KeyedVolume)> {
    let map = volume.config_map.as_ref().map(|keyed| (Kind::ConfigMap, keyed));
    map.or_else(|| volume.secret.as_ref().map(|keyed| (Kind::Secret, keyed)))
}

impl Shown {
    /// Writes the object's present content.
    ///
    /// # Errors
    /// A sentence: the object or a key of it is missing, or the disk fails.
    pub(crate) async fn refresh(self: &Arc<Self>, namespace: &str) -> Result<(), String> {
        let (noun, name) = (self.kind.noun(), &self.volume.name);
        let content = match self.reference.content().await {
            Some(content) => content,
            None if self.volume.optional => Arc::new(Content::new()),
            None => return Err(format!("{noun} \"{name}\" not found")),
        };
        let this = self.clone();
        let about = format!("{noun} {namespace}/{name}");
        let written = tokio::task::spawn_blocking(move || {
            let files = files::project(&this.volume, &content).map_err(|why| format!("{about}: {why}"))?;
            let number = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0);
            files::write(&this.dir, &files, number).map_err(|error| format!("cannot write {about}: {error}"))
        });
        written.await.map_err(|error| error.to_string())?
    }
}
