//! What the node has seen of the API, kept on its disk, so that it can begin with that where the server does not answer.
//! One file an object, written beside the work that needs it: nobody waits for the disk.

use crate::api::Seen;
use crate::link::write_private;
use parking_lot::Mutex;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// When a collection that nobody has asked for since the start is given up: its pods went while the agent was away.
const CLAIMED_WITHIN: Duration = Duration::from_secs(600);

/// Everything that is kept. At most one change an object waits for the disk, the newest.
#[derive(Clone)]
pub(crate) struct Kept(Arc<Shared>);

struct Shared {
    dir: PathBuf,
    due: Mutex<BTreeMap<PathBuf, Due>>,
    claimed: Mutex<HashSet<PathBuf>>,
    wake: Notify,
}

/// What is to be done with a path.
enum Due {
    /// A directory holds no other files than these.
    Only(HashSet<String>),
    Write(String),
    Remove,
}

/// The objects that one watch follows.
pub(crate) struct Collection {
    kept: Kept,
    dir: PathBuf,
    written: HashMap<String, [u8; 32]>,
}

impl Kept {
    /// Keeps in `dir`, which nobody else uses; [`Kept::write`] does the writing.
    pub(crate) fn new(dir: PathBuf) -> Kept {
        let (due, claimed, wake) = Default::default();
        Kept(Arc::new(Shared { dir, due, claimed, wake }))
    }

    /// What a watch of `path` with `selector` follows.
    pub(crate) fn collection(&self, path: &str, selector: &str) -> Collection {
        let dir = self.dir(path, selector);
        self.0.claimed.lock().insert(dir.clone());
        Collection { kept: self.clone(), dir, written: HashMap::new() }
    }

    /// Nobody follows it any more.
    pub(crate) fn forget(&self, path: &str, selector: &str) {
        let dir = self.dir(path, selector);
        self.0.claimed.lock().remove(&dir);
        self.0.due.lock().retain(|path, _| !path.starts_with(&dir));
        self.plan(dir, Due::Remove);
    }

    fn dir(&self, path: &str, selector: &str) -> PathBuf {
        self.0.dir.join(format!("{:x}", Sha256::digest(format!("{path}?{selector}"))))
    }

    fn plan(&self, path: PathBuf, due: Due) {
        self.0.due.lock().insert(path, due);
        self.0.wake.notify_one();
    }

    /// Writes what is due until `stop`, and then what is left.
    pub(crate) async fn write(self, stop: CancellationToken) {
        let mut sweep = std::pin::pin!(tokio::time::sleep(CLAIMED_WITHIN));
        let mut swept = false;
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.0.wake.notified() => {}
                () = &mut sweep, if !swept => {
                    swept = true;
                    self.remove_unclaimed();
                }
            }
            let due = std::mem::take(&mut *self.0.due.lock());
            if let Err(error) = tokio::task::spawn_blocking(move || carry_out(due)).await {
                tracing::error!(%error, "writing what the node has seen was cut off");
            }
        }
    }

    fn remove_unclaimed(&self) {
        let entries = std::fs::read_dir(&self.0.dir).into_iter().flatten().flatten();
        for dir in entries.map(|entry| entry.path()) {
            if !self.0.claimed.lock().contains(&dir) {
                self.plan(dir, Due::Remove);
            }
        }
    }
}

/// A directory comes before its files. A failure costs what is kept, not what runs.
fn carry_out(due: BTreeMap<PathBuf, Due>) {
    let mut failed = None;
    for (path, due) in due {
        let done = match due {
            Due::Only(names) => clear(&path, &names).map_err(Into::into),
            Due::Write(text) => write_private(&path, &text),
            Due::Remove => remove(&path).map_err(Into::into),
        };
        failed = failed.or(done.err());
    }
    if let Some(error) = failed {
        tracing::warn!(
            "after a reboot without the server this node will start from what it knew before: {error:#}"
        );
    }
}

fn clear(dir: &Path, names: &HashSet<String>) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    for file in std::fs::read_dir(dir)?.flatten() {
        if !file.file_name().to_str().is_some_and(|name| names.contains(name)) {
            remove(&file.path())?;
        }
    }
    Ok(())
}

fn remove(path: &Path) -> std::io::Result<()> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    removed.or_else(|error| if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

impl Collection {
    /// What was there when it was last seen; none if it never was. A file that is damaged is passed over.
    pub(crate) async fn recall(&self) -> Option<Vec<Value>> {
        let dir = self.dir.clone();
        let read = move || {
            let files = std::fs::read_dir(dir).ok()?.flatten();
            Some(
                files
                    .filter_map(|file| serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok())
                    .collect(),
            )
        };
        tokio::task::spawn_blocking(read).await.ok().flatten()
    }

    /// Takes note of what a watch has told.
    pub(crate) fn see(&mut self, seen: &Seen<Value>) {
        match seen {
            Seen::Listed(objects) => self.replace(objects),
            Seen::Recalled(_) => {}
            Seen::Applied(object) => self.keep(object),
            Seen::Deleted(object) => {
                if let Some(name) = file_name(object) {
                    self.written.remove(&name);
                    self.kept.plan(self.dir.join(name), Due::Remove);
                }
            }
        }
    }

    fn replace(&mut self, objects: &[Value]) {
        let present: HashSet<String> = objects.iter().filter_map(file_name).collect();
        self.written.retain(|name, _| present.contains(name));
        self.kept.plan(self.dir.clone(), Due::Only(present));
        objects.iter().for_each(|object| self.keep(object));
    }

    fn keep(&mut self, object: &Value) {
        let Some(name) = file_name(object) else { return };
        let mut object = object.clone();
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("managedFields");
            metadata.remove("resourceVersion");
        }
        let text = object.to_string();
        let digest = Sha256::digest(&text).into();
        if self.written.insert(name.clone(), digest) != Some(digest) {
            self.kept.plan(self.dir.join(name), Due::Write(text));
        }
    }
}

/// Uids are the server's own and fit a file system; anything else is not kept.
fn file_name(object: &Value) -> Option<String> {
    let uid = object["metadata"]["uid"].as_str()?;
    let plain = uid.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (plain && !uid.is_empty()).then(|| format!("{uid}.json"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const PATH: &str = "/api/v1/services";

    fn object(uid: &str, port: u16) -> Value {
        json!({"metadata": {"uid": uid, "resourceVersion": "7", "managedFields": []}, "spec": {"port": port}})
    }

    async fn write(kept: &Kept) {
        let stop = CancellationToken::new();
        stop.cancel();
        carry_out(std::mem::take(&mut *kept.0.due.lock()));
        kept.clone().write(stop).await;
    }

    async fn recalled(dir: &Path) -> Option<Vec<String>> {
        let objects = Kept::new(dir.into()).collection(PATH, "").recall().await?;
        let text = |object: &Value| format!("{} {}", object["metadata"]["uid"], object["spec"]["port"]);
        let mut texts: Vec<String> = objects.iter().map(|object| text(object).replace('"', "")).collect();
        texts.sort();
        Some(texts)
    }

    #[tokio::test]
    async fn what_was_seen_last_is_recalled() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("kept");
        assert_eq!(recalled(&dir).await, None);
        let kept = Kept::new(dir.clone());
        let mut services = kept.collection(PATH, "");
        services.see(&Seen::Listed(vec![]));
        write(&kept).await;
        assert_eq!(recalled(&dir).await, Some(vec![]));
        services.see(&Seen::Listed(vec![object("a", 1), object("b", 2), object("../c", 3)]));
        services.see(&Seen::Applied(object("a", 4)));
        services.see(&Seen::Applied(object("d", 5)));
        services.see(&Seen::Deleted(object("b", 2)));
        write(&kept).await;
        assert_eq!(recalled(&dir).await.unwrap(), ["a 4", "d 5"]);
        services.see(&Seen::Listed(vec![object("d", 5)]));
        write(&kept).await;
        assert_eq!(recalled(&dir).await.unwrap(), ["d 5"]);
    }

    #[tokio::test]
    async fn the_same_is_not_written_twice_and_a_torn_file_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::new(dir.path().join("kept"));
        let mut services = kept.collection(PATH, "");
        services.see(&Seen::Listed(vec![object("a", 1), object("b", 2)]));
        write(&kept).await;
        let mut again = object("a", 1);
        again["metadata"]["resourceVersion"] = "8".into();
        services.see(&Seen::Applied(again));
        assert!(kept.0.due.lock().is_empty());
        std::fs::write(services.dir.join("b.json"), "{\"metadata\": {\"ui").unwrap();
        assert_eq!(recalled(&kept.0.dir).await.unwrap(), ["a 1"]);
    }

    #[tokio::test]
    async fn what_is_forgotten_or_never_claimed_leaves_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let kept = Kept::new(dir.path().join("kept"));
        let mut services = kept.collection(PATH, "");
        services.see(&Seen::Listed(vec![object("a", 1)]));
        kept.collection("/api/v1/pods", "").see(&Seen::Listed(vec![object("p", 1)]));
        write(&kept).await;
        services.see(&Seen::Applied(object("a", 2)));
        kept.forget(PATH, "");
        write(&kept).await;
        assert_eq!(recalled(&kept.0.dir).await, None);
        let later = Kept::new(kept.0.dir.clone());
        later.remove_unclaimed();
        write(&later).await;
        assert_eq!(std::fs::read_dir(&kept.0.dir).unwrap().count(), 0);
    }
}
