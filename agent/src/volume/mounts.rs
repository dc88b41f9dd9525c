//! What a container sees of its pod's volumes. WASI programs are given directories only, so a single file is mounted as a
//! directory of the container's own that holds it under its name: the files that are mounted into one folder share one.

use super::{dir, files};
use crate::pods::spec::{Container, Pod, VolumeMount};
use crate::runtime::Mount;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where directories for single files lie, beside the volumes. No volume is called so.
const FILES: &str = "..files";

/// The mounts of a container, made ready.
///
/// # Errors
/// A sentence as kubelet's: an unknown volume, a sub-path that leads out of the volume, files that cannot be mounted side
/// by side.
pub(crate) fn mounts(pod: &Pod, container: &Container, pod_dir: &Path) -> Result<Vec<Mount>, String> {
    let own = dir(pod_dir, FILES).join(&container.name);
    let _ = fs::remove_dir_all(&own);
    let mut mounts: Vec<Mount> = Vec::new();
    for mount in &container.volume_mounts {
        let found = find(pod, mount, pod_dir)?;
        if found.host.is_dir() {
            mounts.push(found);
        } else {
            add_file(&mut mounts, found, &own)?;
        }
    }
    let shares = |mount: &&Mount| mounts.iter().filter(|other| other.guest == mount.guest).count() > 1;
    match mounts.iter().find(shares) {
        None => Ok(mounts),
        Some(mount) => Err(format!("a file and a folder cannot both be mounted at {:?}", mount.guest)),
    }
}

/// A mount as the spec has it: a directory, or a single file.
fn find(pod: &Pod, mount: &VolumeMount, pod_dir: &Path) -> Result<Mount, String> {
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

/// Puts a file into the directory that stands for its folder; `own` holds those of the container.
fn add_file(mounts: &mut Vec<Mount>, file: Mount, own: &Path) -> Result<(), String> {
    let fail = |why: &dyn std::fmt::Display| format!("failed to mount a file at {:?}: {why}", file.guest);
    let guest = file.guest.trim_end_matches('/');
    let (folder, name) = guest.rsplit_once('/').unwrap_or(("", guest));
    let folder = if folder.is_empty() { "/" } else { folder };
    if matches!(name, "" | "." | "..") {
        return Err(fail(&"the mountPath names no file"));
    }
    let there = mounts.iter().find(|mount| mount.guest == folder && mount.host.starts_with(own));
    let host = match there {
        Some(mount) if mount.read_only != file.read_only => {
            return Err(fail(&"files of one folder are all readOnly, or none is"));
        }
        Some(mount) => mount.host.clone(),
        None => {
            let host = own.join(mounts.len().to_string());
            fs::create_dir_all(&host).map_err(|error| fail(&error))?;
            mounts.push(Mount { host: host.clone(), guest: folder.into(), read_only: file.read_only });
            host
        }
    };
    // A second name of the same file: what one container writes into it, the others read.
    fs::hard_link(&file.host, host.join(name)).map_err(|error| fail(&error))
}

/// The file or directory `path` below `root`, made as a directory if it is not there; no link may lead out of the volume.
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
            Err(error) if error.kind() == io::ErrorKind::NotFound && make => {
                fs::create_dir(&place).map_err(|error| error.to_string())?;
            }
            Err(error) => return Err(format!("{path:?}: {error}")),
        }
    }
    match fs::symlink_metadata(&place).map_err(|error| error.to_string())?.file_type() {
        kind if kind.is_dir() || kind.is_file() => Ok(place),
        _ => Err(format!("{path:?} is neither a file nor a folder")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sub_paths_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("v");
        fs::create_dir(&root).unwrap();
        std::os::unix::fs::symlink("/etc", root.join("out")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
        fs::write(root.join("file"), "x").unwrap();
        let real = root.canonicalize().unwrap();
        assert_eq!(sub_path(&root, "a/b", true).unwrap(), real.join("a/b"));
        assert_eq!(sub_path(&root, "file", false).unwrap(), real.join("file"));
        for bad in ["../x", "/etc", "out", "out/ssl", "file/x", "a/../../x", "dangling"] {
            assert!(sub_path(&root, bad, true).is_err(), "{bad}");
        }
        assert!(sub_path(&root, "absent", false).is_err());
    }

    #[test]
    fn files_of_one_folder_share_a_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (own, file) = (dir.path().join("own"), dir.path().join("file"));
        fs::write(&file, "x").unwrap();
        let at = |guest: &str, read_only| Mount { host: file.clone(), guest: guest.into(), read_only };
        let mut mounts = Vec::new();
        for guest in ["/etc/app/a", "/etc/app/b", "/c"] {
            add_file(&mut mounts, at(guest, true), &own).unwrap();
        }
        let guests: Vec<&str> = mounts.iter().map(|mount| mount.guest.as_str()).collect();
        assert_eq!(guests, ["/etc/app", "/"]);
        assert_eq!(fs::read_to_string(mounts[0].host.join("b")).unwrap(), "x");
        for bad in [at("/etc/app/d", false), at("/", true), at("/etc/..", true), at("/etc/app/a", true)] {
            assert!(add_file(&mut mounts, bad.clone(), &own).is_err(), "{bad:?}");
        }
    }
}
