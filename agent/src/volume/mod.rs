//! Volumes of a pod: directories below the pod's own, made before its containers start and kept in step with the
//! objects that they show.

mod files;
pub(crate) mod reference;

use crate::pods::spec::{Container, KeyedVolume, Pod, Volume, VolumeMount};
use crate::runtime::Mount;
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

/// What a container sees of the volumes.
///
/// # Errors
/// A sentence as kubelet's: an unknown volume, a sub-path that leads out of the volume or is a file.
pub(crate) fn mounts(pod: &Pod, container: &Container, pod_dir: &Path) -> Result<Vec<Mount>, String> {
    container.volume_mounts.iter().map(|mount| one_mount(pod, mount, pod_dir)).collect()
}

fn one_mount(pod: &Pod, mount: &VolumeMount, pod_dir: &Path) -> Result<Mount, String> {
    let name = &mount.name;
    let volume = pod.spec.volumes.iter().find(|volume| volume.name == *name);
    let volume = volume.ok_or_else(|| format!("volume {name:?} of a volumeMount is not in the pod"))?;
    let read_only = mount.read_only || volume.empty_dir.is_none();
    let root = dir(pod_dir, name);
    let host = match mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
        None => root,
        Some(path) => sub_path(&root, path, volume.empty_dir.is_some())
            .map_err(|why| format!("failed to prepare subPath for volumeMount {name:?}: {why}"))?,
    };
    Ok(Mount { host, guest: mount.mount_path.clone(), read_only })
}

/// The directory `path` below `root`, made if it is not there; no link may lead out of the volume.
fn sub_path(root: &Path, path: &str, make: bool) -> Result<PathBuf, String> {
    if !files::is_inside(path) {
        return Err(format!("{path:?} must be a relative path that stays inside of the volume"));
    }
    let root = root.canonicalize().map_err(|error| error.to_string())?;
    let mut place = root.clone();
    for part in Path::new(path).components() {
        place.push(part);
        match place.canonicalize() {
            Ok(real) if real.starts_with(&root) => place = real,
            Ok(_) => return Err(format!("{path:?} leads out of the volume")),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && make => {
                std::fs::create_dir(&place).map_err(|error| error.to_string())?;
            }
            Err(error) => return Err(format!("{path:?}: {error}")),
        }
    }
    match place.is_dir() {
        true => Ok(place),
        false => {
            Err(format!("{path:?} is a file: WASI programs are given directories only, mount its folder"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_paths_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("v");
        std::fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
        std::fs::write(root.join("file"), "x").unwrap();
        assert_eq!(sub_path(&root, "a/b", true).unwrap(), root.canonicalize().unwrap().join("a/b"));
        for bad in ["../x", "/etc", "out", "out/ssl", "file", "a/../../x", "dangling"] {
            assert!(sub_path(&root, bad, true).is_err(), "{bad}");
        }
        assert!(sub_path(&root, "absent", false).is_err());
    }
}
