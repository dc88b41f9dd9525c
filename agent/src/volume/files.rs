//! Files of a configMap or secret volume, replaced all at once: a directory for each content, and one symbolic link
//! `..data` that is moved from one to the next, as kubelet does. What readers open through it is of one content.

use super::reference::Content;
use crate::pods::spec::{Item, KeyedVolume};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path};

/// The link to the present content.
const DATA: &str = "..data";
/// The mode of files where nothing else is said.
pub(super) const DEFAULT_MODE: u32 = 0o644;

/// Path below the volume, mode and bytes of each file.
pub(super) type Files = BTreeMap<String, (u32, Vec<u8>)>;

/// What the volume holds of `content`. Errors: a key of `items` is missing and the volume is not optional, or a path
/// leads out of the volume; the words are kubelet's.
pub(super) fn project(volume: &KeyedVolume, content: &Content) -> Result<Files, String> {
    let mode = volume.default_mode.unwrap_or(DEFAULT_MODE);
    if volume.items.is_empty() {
        return Ok(content.iter().map(|(key, bytes)| (key.clone(), (mode, bytes.clone()))).collect());
    }
    let mut files = Files::new();
    for Item { key, path, mode: own } in &volume.items {
        inside(path)?;
        match content.get(key) {
            Some(bytes) => drop(files.insert(path.clone(), (own.unwrap_or(mode), bytes.clone()))),
            None if volume.optional => {}
            None => return Err(format!("references non-existent config key: {key}")),
        }
    }
    Ok(files)
}

/// Whether a relative path stays below its start.
pub(super) fn is_inside(path: &str) -> bool {
    let ordinary = |part: Component<'_>| matches!(part, Component::Normal(name) if name != "..data");
    !path.is_empty() && Path::new(path).components().all(ordinary)
}

/// The path, if it is inside. Errors: it is not, in kubelet's words.
pub(super) fn inside(path: &str) -> Result<&str, String> {
    let outside = || format!("invalid path {path:?}: it must stay inside of the volume");
    if is_inside(path) { Ok(path) } else { Err(outside()) }
}

/// Makes `dir` hold exactly `files`; `number` is one that no earlier content had.
pub(super) fn write(dir: &Path, files: &Files, number: u64) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let name = format!("..{number:016}");
    let fresh = dir.join(&name);
    let _ = fs::remove_dir_all(&fresh);
    fs::create_dir(&fresh)?;
    for (path, (mode, bytes)) in files {
        let file = fresh.join(path);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(&file, bytes)?;
        // The agent itself must be able to read what it has written.
        fs::set_permissions(&file, fs::Permissions::from_mode(mode & 0o777 | 0o400))?;
    }
    let link = dir.join("..data_new");
    let _ = fs::remove_file(&link);
    symlink(&name, &link)?;
    fs::rename(&link, dir.join(DATA))?;
    link_names(dir, files)?;
    remove_older(dir, &name)
}

/// One link for each first part of a path; names that are gone are removed.
fn link_names(dir: &Path, files: &Files) -> io::Result<()> {
    let wanted: BTreeSet<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
    for name in &wanted {
        match symlink(Path::new(DATA).join(name), dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| !name.starts_with("..") && !wanted.contains(name)) {
            fs::remove_file(dir.join(name))?;
        }
    }
    Ok(())
}

fn remove_older(dir: &Path, present: &str) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let old = name.to_str().is_some_and(|n| n.starts_with("..") && n != DATA && n != present);
        if old {
            fs::remove_dir_all(dir.join(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(pairs: &[(&str, &str)]) -> Content {
        pairs.iter().map(|(key, text)| (key.to_string(), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn an_update_replaces_everything_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let volume = KeyedVolume::default();
        let first = content(&[("a", "1"), ("b", "1")]);
        write(dir.path(), &project(&volume, &first).unwrap(), 1).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "1");
        let second = content(&[("a", "2"), ("c", "2")]);
        write(dir.path(), &project(&volume, &second).unwrap(), 2).unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("a")).unwrap(), "2");
        assert_eq!(fs::read_to_string(dir.path().join("c")).unwrap(), "2");
        assert!(fs::symlink_metadata(dir.path().join("b")).is_err());
        let mut names: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["..0000000000000002", "..data", "a", "c"]);
    }

    #[test]
    fn items_choose_rename_and_set_modes() {
        let dir = tempfile::tempdir().unwrap();
        let item = |key: &str, path: &str, mode| Item { key: key.into(), path: path.into(), mode };
        let mut volume =
            KeyedVolume { items: vec![item("a", "deep/x", Some(0o400))], ..KeyedVolume::default() };
        let both = content(&[("a", "1"), ("b", "1")]);
        let restricted = KeyedVolume { default_mode: Some(0o440), ..KeyedVolume::default() };
        assert!(project(&restricted, &both).unwrap().values().all(|(mode, _)| *mode == 0o440));
        write(dir.path(), &project(&volume, &both).unwrap(), 1).unwrap();
        let file = dir.path().join("deep/x");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o400);
        assert!(!dir.path().join("b").exists());
        volume.items = vec![item("z", "z", None)];
        assert_eq!(project(&volume, &both).unwrap_err(), "references non-existent config key: z");
        volume.optional = true;
        assert!(project(&volume, &both).unwrap().is_empty());
        for path in ["../x", "/etc/x", "a/../../x", "", "..data/x"] {
            volume.items = vec![item("a", path, None)];
            assert!(project(&volume, &both).is_err(), "{path}");
        }
    }
}
