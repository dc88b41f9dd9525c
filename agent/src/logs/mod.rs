//! Containers' logs: files per run in the line format of the container runtime interface, with rotation, read back for
//! `kubectl logs`.
//!
//! Guests never wait for the disk: their lines go to a bounded buffer that one thread writes out, and a guest that writes
//! faster than that, or faster than [`RATE_BYTES_PER_SECOND`], waits at its own next write.

mod line;
mod read;
mod run;
mod writer;

pub(crate) use read::{LogOptions, read};
pub(crate) use run::RunLog;

use parking_lot::RwLock;
use run::Run;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use writer::Writer;

/// Size at which a run's file is closed and the next begun.
const SEGMENT_BYTES: u64 = 10 << 20;
/// Files of one run that are kept; the oldest goes.
const SEGMENTS_PER_RUN: u64 = 5;
/// Bytes of a run that may wait for the disk; more, and the guest waits.
const PENDING_BYTES: usize = 256 << 10;
/// What one container may write in the long run, in bytes a second.
const RATE_BYTES_PER_SECOND: u64 = 8 << 20;

/// The logs of all pods of the node.
#[derive(Clone)]
pub(crate) struct Directory(Arc<Inner>);

struct Inner {
    pods: RwLock<HashMap<(String, String), PodLogs>>,
    writer: Writer,
}

/// The logs of one pod.
#[derive(Clone)]
pub(crate) struct PodLogs {
    uid: String,
    dir: PathBuf,
    writer: Writer,
    /// The newest run of each container since the agent started.
    runs: Arc<RwLock<HashMap<String, Arc<Run>>>>,
}

impl Directory {
    /// An empty directory with its writer thread, which ends with the last clone.
    pub(crate) fn new() -> io::Result<Directory> {
        Ok(Directory(Arc::new(Inner { pods: RwLock::default(), writer: Writer::start()? })))
    }

    /// The logs of a pod, kept in `dir`; what an earlier process left there can be read.
    pub(crate) fn open(&self, namespace: &str, pod: &str, uid: &str, dir: &Path) -> io::Result<PodLogs> {
        std::fs::create_dir_all(dir)?;
        let logs =
            PodLogs { uid: uid.into(), dir: dir.into(), writer: self.0.writer.clone(), runs: Arc::default() };
        self.0.pods.write().insert((namespace.into(), pod.into()), logs.clone());
        Ok(logs)
    }

    /// Forgets a pod's logs, unless its name belongs to another pod by now. The files stay.
    pub(crate) fn close(&self, namespace: &str, pod: &str, uid: &str) {
        let key = (namespace.to_string(), pod.to_string());
        let mut pods = self.0.pods.write();
        if pods.get(&key).is_some_and(|logs| logs.uid == uid) {
            pods.remove(&key);
        }
    }

    /// The logs of a pod that is known here.
    pub(crate) fn find(&self, namespace: &str, pod: &str) -> Option<PodLogs> {
        self.0.pods.read().get(&(namespace.to_string(), pod.to_string())).cloned()
    }
}

/// A run's directory and number, and the run itself if it goes on.
type Found = (PathBuf, u32, Option<Arc<Run>>);

impl PodLogs {
    /// Begins the log of a run. The run before stays readable as the previous one; older ones are deleted.
    pub(crate) fn begin(&self, container: &str, number: u32) -> io::Result<RunLog> {
        let dir = self.dir.join(container);
        std::fs::create_dir_all(&dir)?;
        for (old, path) in run::files(&dir)? {
            if old.run + 1 < number || old.run >= number {
                std::fs::remove_file(path)?;
            }
        }
        let run = Arc::new(Run::begin(dir, number)?);
        self.runs.write().insert(container.into(), run.clone());
        Ok(RunLog::new(run, self.writer.clone()))
    }

    /// The run to read: the newest, or the one before it. None: there is no such run.
    fn run(&self, container: &str, previous: bool) -> io::Result<Option<Found>> {
        let dir = self.dir.join(container);
        let live = self.runs.read().get(container).cloned();
        let mut numbers: Vec<u32> = run::files(&dir)?.into_iter().map(|(file, _)| file.run).collect();
        numbers.extend(live.iter().map(|run| run.number));
        let Some(newest) = numbers.iter().max().copied() else { return Ok(None) };
        let wanted = if previous { newest.checked_sub(1) } else { Some(newest) };
        let found = wanted.filter(|number| numbers.contains(number));
        Ok(found.map(|number| (dir, number, live.filter(|run| run.number == number))))
    }
}

#[cfg(test)]
mod tests;
