//! The power is cut at every write and every sync that the store makes; every acknowledged write must be there afterwards,
//! and what is there must be a state that the store has been in.
#![allow(clippy::unwrap_used, reason = "test code")]

mod disk;
mod vfs;

use disk::{Disk, Op, Record, Unsynced};
use peapod_api::{Draft, Key, kinds};
use peapod_core::snapshot::{Change, Snapshot};
use peapod_orchestrator::cache::{Cache, HistoryLimits, Limits, Request, Write, WriteError};
use peapod_orchestrator::store::{Backend, Part, Sqlite, SqliteOptions};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use vfs::Recorder;

/// An answer that a client got, and how much the disk had been told by then.
struct Acknowledged {
    operations: usize,
    revision: u64,
}

struct Session {
    record: Record,
    acknowledged: Vec<Acknowledged>,
    history: Vec<Arc<Change>>,
}

fn put(resource: &str, namespace: &str, name: &str, content: &str) -> Write {
    let kind = kinds::of_resource(resource).unwrap();
    let value = json!({"metadata": {"name": name, "namespace": namespace}, "data": {"content": content}});
    Write::Put(Draft::new(kind, Key::new(resource, namespace, name), value))
}

/// What the `n`th request of writer `writer` asks for: mostly small changes, deletions, one that is larger than a page,
/// several at a time, and heartbeats that are not written down.
fn request(writer: usize, n: usize) -> Request {
    let name = format!("{writer}-{}", n % 3);
    let content = format!("{writer} {n} {}", "x".repeat(if n % 7 == 3 { 9000 } else { 200 }));
    let put_it = put("configmaps", "d", &name, &content);
    let delete = || Write::Delete(Key::new("configmaps", "d", &name));
    let writes = match n % 5 {
        2 => vec![delete()],
        3 => vec![put_it, put("secrets", "d", "shared", &content)],
        4 => vec![put("leases.coordination.k8s.io", "kube-node-lease", &name, &content)],
        _ => vec![put_it],
    };
    Request { writes, ..Request::default() }
}

/// Little history and small steps, so that compaction and checkpoints take part.
fn limits() -> Limits {
    let history = HistoryLimits { age: Duration::from_secs(300), rows: 15, bytes: 1 << 20 };
    Limits { history, ..Limits::default() }
}

fn options(vfs: &str) -> SqliteOptions {
    SqliteOptions { vfs: Some(vfs.into()), checkpoint_bytes: 96 << 10 }
}

async fn write_all(cache: &Cache, recorder: &'static Recorder, writer: usize) -> Vec<Acknowledged> {
    let mut acknowledged = Vec::new();
    for n in 0..25 {
        let revision = cache.write(request(writer, n)).await.unwrap().revision;
        acknowledged.push(Acknowledged { operations: recorder.len(), revision });
    }
    acknowledged
}

async fn session(recorder: &'static Recorder, vfs: &str, dir: &Path) -> Session {
    let store = Sqlite::open_with(dir, &options(vfs)).unwrap();
    let cache = Cache::open_with(Arc::new(store), limits()).unwrap();
    let (_, mut changes) = cache.changes();
    let (a, b, c) = tokio::join!(
        write_all(&cache, recorder, 0),
        write_all(&cache, recorder, 1),
        write_all(&cache, recorder, 2)
    );
    let mut history = Vec::new();
    while changes.bookmark() < cache.snapshot().revision() {
        history.extend(changes.next().await.unwrap().changes);
    }
    assert!(cache.oldest() > 0, "compaction took part");
    cache.shutdown().await;
    Session { record: recorder.record(), acknowledged: [a, b, c].into_iter().flatten().collect(), history }
}

/// The revision up to which the log of `store` goes, and whether it is consistent in itself.
fn log_end(store: &Sqlite) -> Result<u64, String> {
    let compacted = store.load(&mut |_, _, _| Ok(())).map_err(|e| e.to_string())?.compacted;
    let part = Part {
        after: compacted,
        upto: u64::MAX,
        prefix: String::new(),
        limit_rows: usize::MAX,
        limit_bytes: usize::MAX,
    };
    let chunk = store.changes(&part).map_err(|e| e.to_string())?;
    if let Some(broken) = chunk.changes.iter().find(|c| c.entry.prev.is_some() != c.before.is_some()) {
        return Err(format!("the value before {} is missing", broken.entry.revision));
    }
    Ok(chunk.changes.last().map_or(compacted, |logged| logged.entry.revision))
}

/// What the store held on disk once its log went up to `revision`.
fn state_at(history: &[Arc<Change>], revision: u64) -> Vec<String> {
    let mut state = Snapshot::default();
    let durable = |key: &Key| !kinds::is_volatile(key.resource(), key.namespace());
    for change in history.iter().filter(|c| c.revision <= revision && durable(&c.key)) {
        state.apply(change);
    }
    content(&state)
}

fn content(snapshot: &Snapshot) -> Vec<String> {
    snapshot.iter().map(|object| String::from_utf8(object.json().to_vec()).unwrap()).collect()
}

/// Opens the store as it is in `dir` and compares it with what it must hold. Errors: what is wrong.
fn check(dir: &Path, acknowledged: &[&Acknowledged], history: &[Arc<Change>]) -> Result<(), String> {
    let store = Arc::new(Sqlite::open(dir).map_err(|e| e.to_string())?);
    let end = log_end(&store)?;
    let cache = Cache::open_with(store, Limits::default()).map_err(|e| e.to_string())?;
    let durable: Vec<u64> =
        history.iter().filter(|c| c.key.resource() != LEASES).map(|c| c.revision).collect();
    for answer in acknowledged {
        if durable.contains(&answer.revision) && answer.revision > end {
            return Err(format!("{} was acknowledged, the log ends at {end}", answer.revision));
        }
        if answer.revision > cache.snapshot().revision() {
            return Err(format!("{} was given out and would be given out again", answer.revision));
        }
    }
    if content(&cache.snapshot()) != state_at(history, end) {
        return Err(format!("the objects are not those of revision {end}"));
    }
    Ok(())
}

const LEASES: &str = "leases.coordination.k8s.io";

fn write_files(dir: &Path, disk: &Disk, unsynced: Unsynced) {
    for (name, bytes) in disk.after_power_cut(unsynced) {
        std::fs::write(dir.join(name), bytes).unwrap();
    }
}

/// Cuts the power after every operation of `record`. Errors: the first loss.
fn cut_everywhere(
    session: &Session,
    record: &Record,
    outcomes: fn(usize) -> Vec<Unsynced>,
) -> Result<usize, String> {
    let mut disk = Disk::default();
    let mut cuts = 0;
    for (at, (file, op)) in record.iter().enumerate() {
        disk.run(file, op);
        let acknowledged: Vec<_> = session.acknowledged.iter().filter(|a| a.operations <= at + 1).collect();
        for unsynced in outcomes(at) {
            let dir = tempfile::tempdir().unwrap();
            write_files(dir.path(), &disk, unsynced);
            let checked = check(dir.path(), &acknowledged, &session.history);
            checked.map_err(|e| format!("power cut after operation {at}, {unsynced:?}: {e}"))?;
            cuts += 1;
        }
    }
    Ok(cuts)
}

#[tokio::test]
async fn no_power_cut_loses_an_acknowledged_write() {
    let recorder = Recorder::register("recorded");
    let dir = tempfile::tempdir().unwrap();
    let session = session(recorder, "recorded", dir.path()).await;
    let syncs =
        |file: &str| session.record.iter().filter(|(f, op)| f == file && matches!(op, Op::Sync)).count();
    assert!(syncs("store.db-wal") > 20 && syncs("store.db") > 1, "group commits and checkpoints took part");
    let outcomes = |at| vec![Unsynced::Lost, Unsynced::Kept, Unsynced::Torn { seed: at as u64 }];
    let cuts = cut_everywhere(&session, &session.record, outcomes).unwrap();
    assert_eq!(cuts, session.record.len() * 3);
}

#[tokio::test]
async fn without_syncs_the_test_would_notice() {
    let recorder = Recorder::register("recorded-without-syncs");
    let dir = tempfile::tempdir().unwrap();
    let mut session = session(recorder, "recorded-without-syncs", dir.path()).await;
    let is_write = |(_, op): &&(String, Op)| !matches!(op, Op::Sync);
    for answer in &mut session.acknowledged {
        answer.operations = session.record[..answer.operations].iter().filter(is_write).count();
    }
    let unsynced = session.record.iter().filter(is_write).cloned().collect();
    let loss = cut_everywhere(&session, &unsynced, |_| vec![Unsynced::Lost]).unwrap_err();
    assert!(loss.ends_with("was acknowledged, the log ends at 0"), "{loss}");
}

async fn fails_with(vfs: &'static str, fail: fn(&Recorder)) {
    let recorder = Recorder::register(vfs);
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open_with(dir.path(), &options(vfs)).unwrap();
    let cache = Cache::open_with(Arc::new(store), limits()).unwrap();
    for n in 0..3 {
        cache.write(request(0, n)).await.unwrap();
    }
    let acknowledged = content(&cache.snapshot());
    fail(recorder);
    // Of another writer: what it would have changed may be there or not, what is acknowledged is not touched.
    assert!(matches!(cache.write(request(1, 3)).await, Err(WriteError::Unknown)));
    assert!(cache.failed().await.contains("store.db"), "{}", cache.failed().await);
    assert!(matches!(cache.write(request(0, 5)).await, Err(WriteError::Closed)));
    assert_eq!(content(&cache.snapshot()), acknowledged, "what was not acknowledged is not shown");
    cache.shutdown().await;
    let again = Cache::open(Sqlite::open(dir.path()).unwrap()).unwrap();
    assert!(acknowledged.iter().all(|object| content(&again.snapshot()).contains(object)));
}

#[tokio::test]
async fn a_sync_that_fails_stops_the_store() {
    fails_with("failing-syncs", Recorder::fail_syncs).await;
}

#[tokio::test]
async fn a_full_disk_stops_the_store() {
    fails_with("failing-writes", Recorder::fail_writes).await;
}
