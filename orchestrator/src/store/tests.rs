//! What any backend must keep, run against each of them; and what only files can go through.

use super::*;
use rusqlite::Connection;
use std::sync::Arc;

/// A backend that can be closed and opened again.
trait Reopen {
    type Kept: Backend;
    fn open(&self) -> Self::Kept;
}

struct OnDisk(tempfile::TempDir);

impl Reopen for OnDisk {
    type Kept = Sqlite;
    fn open(&self) -> Sqlite {
        Sqlite::open(self.0.path()).unwrap()
    }
}

struct InMemory(Arc<Memory>);

impl Reopen for InMemory {
    type Kept = Arc<Memory>;
    fn open(&self) -> Arc<Memory> {
        self.0.clone()
    }
}

fn disk() -> OnDisk {
    OnDisk(tempfile::tempdir().unwrap())
}

fn key(name: &str) -> Key {
    Key::new("configmaps", "d", name)
}

fn put(revision: u64, name: &str, prev: Option<u64>) -> Entry {
    let value = Some(Bytes::from(format!("{{\"metadata\":{{\"name\":\"{name}\",\"r\":{revision}}}}}")));
    Entry { revision, key: key(name), prev, value }
}

fn delete(revision: u64, name: &str, prev: u64) -> Entry {
    Entry { revision, key: key(name), prev: Some(prev), value: None }
}

fn live(backend: &impl Backend) -> (Vec<(String, u64)>, Loaded) {
    let mut objects = Vec::new();
    let loaded = backend.load(&mut |key, revision, value| {
        assert!(String::from_utf8(value).unwrap().contains(&format!("\"r\":{revision}")));
        objects.push((key.name().to_string(), revision));
        Ok(())
    });
    (objects, loaded.unwrap())
}

fn everything(after: u64, upto: u64) -> Part {
    Part { after, upto, prefix: String::new(), limit_rows: 1000, limit_bytes: usize::MAX }
}

fn revisions(chunk: &Chunk) -> Vec<u64> {
    chunk.changes.iter().map(|logged| logged.entry.revision).collect()
}

/// a: 1, 3, gone at 5; b: 2, 4; a again: 7.
fn fill(backend: &impl Backend) -> Vec<Entry> {
    let entries = vec![
        put(1, "a", None),
        put(2, "b", None),
        put(3, "a", Some(1)),
        put(4, "b", Some(2)),
        delete(5, "a", 3),
        put(7, "a", None),
    ];
    backend.commit(&entries[..2], Some(50)).unwrap();
    backend.commit(&entries[2..], None).unwrap();
    entries
}

fn keeps_what_was_committed(kept: &impl Reopen) {
    assert_eq!(live(&kept.open()), (vec![], Loaded { revision: 0, compacted: 0 }));
    let entries = fill(&kept.open());
    let expected = (vec![("a".into(), 7), ("b".into(), 4)], Loaded { revision: 50, compacted: 0 });
    assert_eq!(live(&kept.open()), expected);
    let chunk = kept.open().changes(&everything(0, 100)).unwrap();
    assert_eq!(chunk.changes.iter().map(|logged| logged.entry.clone()).collect::<Vec<_>>(), entries);
    let before = |at: usize| chunk.changes[at].before.clone();
    assert_eq!((before(0), before(2), before(4)), (None, entries[0].value.clone(), entries[2].value.clone()));
}

fn a_reserved_revision_is_never_lowered(kept: &impl Reopen) {
    let backend = kept.open();
    backend.commit(&[], Some(500)).unwrap();
    backend.commit(&[put(1, "a", None)], Some(100)).unwrap();
    drop(backend);
    assert_eq!(live(&kept.open()).1.revision, 500);
    kept.open().commit(&[put(501, "b", None)], None).unwrap();
    assert_eq!(live(&kept.open()).1.revision, 501);
}

fn a_contradiction_is_refused_whole(kept: &impl Reopen) {
    let backend = kept.open();
    fill(&backend);
    for wrong in [put(8, "b", None), put(8, "b", Some(2)), put(8, "c", Some(3)), delete(8, "c", 1)] {
        assert!(backend.commit(std::slice::from_ref(&wrong), None).is_err(), "{wrong:?}");
    }
    assert_eq!(live(&backend).0, [("a".to_string(), 7), ("b".to_string(), 4)]);
}

fn reads_in_parts(kept: &impl Reopen) {
    let backend = kept.open();
    fill(&backend);
    let read = |part: &Part| {
        let chunk = backend.changes(part).unwrap();
        (revisions(&chunk), chunk.upto)
    };
    assert_eq!(read(&everything(0, 4)), (vec![1, 2, 3, 4], 4));
    assert_eq!(read(&everything(4, 6)), (vec![5], 6));
    assert_eq!(read(&everything(7, 9)), (vec![], 9));
    assert_eq!(read(&everything(9, 3)).0, Vec::<u64>::new());
    assert_eq!(read(&Part { limit_rows: 2, ..everything(1, 7) }), (vec![2, 3], 3));
    assert_eq!(read(&Part { limit_bytes: 1, ..everything(1, 7) }), (vec![2], 2));
    let named = |prefix: &str| Part { prefix: prefix.into(), ..everything(0, 7) };
    assert_eq!(read(&named("configmaps/d/b")), (vec![2, 4], 7));
    assert_eq!(read(&named("configmaps/")).0.len(), 6);
    assert_eq!(read(&named("config_aps/")), (vec![], 7));
    assert_eq!(read(&everything(u64::MAX - 1, u64::MAX)).0, Vec::<u64>::new());
}

fn forgets_what_nobody_needs(kept: &impl Reopen) {
    let backend = kept.open();
    fill(&backend);
    assert_eq!(backend.compact(3, 1000).unwrap(), 3);
    assert!(matches!(backend.changes(&everything(2, 7)), Err(ReadError::Compacted(3))));
    let rest = backend.changes(&everything(3, 7)).unwrap();
    assert_eq!(revisions(&rest), [4, 5, 7]);
    // The values that retained changes replaced are still there: a selector watch needs them.
    assert_eq!(rest.changes[0].before, put(2, "b", None).value);
    assert_eq!(rest.changes[1].before, put(3, "a", None).value);
    assert_eq!(backend.compact(2, 1000).unwrap(), 3);
    drop(backend);
    let expected = (vec![("a".into(), 7), ("b".into(), 4)], Loaded { revision: 50, compacted: 3 });
    assert_eq!(live(&kept.open()), expected);
    let backend = kept.open();
    assert_eq!(backend.compact(7, 2).unwrap(), 5);
    assert_eq!(backend.compact(7, 2).unwrap(), 7);
    assert_eq!(live(&backend).0, expected.0);
    backend.commit(&[put(8, "a", Some(7)), delete(9, "b", 4)], None).unwrap();
    let rest = backend.changes(&everything(7, 9)).unwrap();
    assert_eq!((revisions(&rest), &rest.changes[1].before), (vec![8, 9], &put(4, "b", None).value));
}

macro_rules! contract {
    ($($name:ident),*) => {
        mod sqlite_contract { $(#[test] fn $name() { super::$name(&super::disk()) })* }
        mod memory_contract { $(#[test] fn $name() { super::$name(&super::InMemory(Default::default())) })* }
    };
}

contract!(
    keeps_what_was_committed,
    a_reserved_revision_is_never_lowered,
    a_contradiction_is_refused_whole,
    reads_in_parts,
    forgets_what_nobody_needs
);

/// How many rows of the log are left: compaction must give space back.
fn rows(disk: &OnDisk) -> u64 {
    let connection = Connection::open(disk.0.path().join("store.db")).unwrap();
    connection.query_row("SELECT count(*) FROM log", [], |row| row.get(0).map(|n: i64| n as u64)).unwrap()
}

#[test]
fn compaction_leaves_live_values_only() {
    let disk = disk();
    let backend = disk.open();
    fill(&backend);
    assert_eq!(rows(&disk), 6);
    backend.compact(7, 1000).unwrap();
    assert_eq!(rows(&disk), 2);
}

#[test]
fn a_directory_belongs_to_one_process() {
    let disk = disk();
    let first = disk.open();
    let refused = Sqlite::open(disk.0.path()).err().unwrap().to_string();
    assert_eq!(refused, format!("{}: in use by another peapod process", disk.0.path().display()));
    drop(first);
    disk.open();
}

fn refusal(disk: &OnDisk) -> StoreError {
    let error = match Sqlite::open(disk.0.path()) {
        Err(error) => error,
        Ok(store) => store.load(&mut |_, _, _| Ok(())).expect_err("the damage goes unnoticed"),
    };
    assert_eq!(error.to_string().lines().count(), 1, "{error}");
    error
}

#[test]
fn files_that_are_not_ours_are_left_alone() {
    let text = disk();
    std::fs::write(text.0.path().join("store.db"), "what a day ".repeat(500)).unwrap();
    assert!(matches!(refusal(&text), StoreError::Foreign(..)));
    let foreign = disk();
    let path = foreign.0.path().join("store.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE people(name)").unwrap();
    let before = std::fs::read(&path).unwrap();
    assert!(matches!(refusal(&foreign), StoreError::Foreign(..)));
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_newer_format_is_refused() {
    let disk = disk();
    fill(&disk.open());
    let connection = Connection::open(disk.0.path().join("store.db")).unwrap();
    connection.execute_batch("PRAGMA user_version = 9").unwrap();
    drop(connection);
    assert!(matches!(refusal(&disk), StoreError::Newer { found: 9, .. }));
}

#[test]
fn damage_is_told() {
    let torn = disk();
    fill(&torn.open());
    let path = torn.0.path().join("store.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle..].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    assert!(matches!(refusal(&torn), StoreError::Corrupt(..)));
    let lost = disk();
    fill(&lost.open());
    let connection = Connection::open(lost.0.path().join("store.db")).unwrap();
    connection.execute_batch("DELETE FROM log WHERE revision = 4").unwrap();
    drop(connection);
    assert!(matches!(refusal(&lost), StoreError::Corrupt(..)));
}

#[test]
fn the_write_ahead_log_begins_anew_under_a_load_that_never_pauses() {
    let disk = disk();
    let backend = disk.open();
    let wal = disk.0.path().join("store.db-wal");
    let value = Bytes::from(format!("{{\"metadata\":{{\"pad\":\"{}\"}}}}", "x".repeat(200_000)));
    let mut written = 0;
    for revision in 1..=2000 {
        let prev = (revision > 1).then(|| revision - 1);
        backend.commit(&[Entry { revision, key: key("a"), prev, value: Some(value.clone()) }], None).unwrap();
        written += value.len() as u64;
        if std::fs::metadata(&wal).unwrap().len() < written {
            return;
        }
    }
    panic!("{written} bytes written, and all of them are still in the write-ahead log");
}

/// Commits so many small changes of one object and closes the store. Returns how long the log's file is then.
fn log_after(commits: u64) -> u64 {
    let disk = disk();
    let backend = disk.open();
    // As long as somebody else has the database open, its log stays.
    let other = Connection::open(disk.0.path().join("store.db")).unwrap();
    for revision in 1..=commits {
        let prev = (revision > 1).then(|| revision - 1);
        backend.commit(&[put(revision, "a", prev)], None).unwrap();
        let seen: i64 = other.query_row("SELECT count(*) FROM log", [], |row| row.get(0)).unwrap();
        assert_eq!(seen as u64, revision);
    }
    drop(backend);
    std::fs::metadata(disk.0.path().join("store.db-wal")).unwrap().len()
}

#[test]
fn the_log_of_an_idle_store_is_not_laid_out() {
    let whole = SqliteOptions::default().checkpoint_bytes;
    let (idle, busy) = (log_after(5), log_after(40));
    println!("after 5 commits the log takes {idle} bytes, after 40 {busy}");
    assert!(idle < whole / 16, "{idle}");
    assert!(busy >= whole, "{busy}");
}

/// A log that was laid out and then left as after a kill -9 says what was committed and nothing else.
#[test]
fn what_is_laid_out_is_no_change() {
    let (disk, left) = (disk(), disk());
    let backend = disk.open();
    let wal = disk.0.path().join("store.db-wal");
    fill(&backend);
    let mut revision = 51;
    backend.commit(&[put(revision, "c", None)], None).unwrap();
    while std::fs::metadata(&wal).unwrap().len() < SqliteOptions::default().checkpoint_bytes {
        revision += 1;
        backend.commit(&[put(revision, "c", Some(revision - 1))], None).unwrap();
    }
    let expected = live(&backend).0;
    for file in ["store.db", "store.db-wal"] {
        std::fs::copy(disk.0.path().join(file), left.0.path().join(file)).unwrap();
    }
    assert_eq!(expected.last(), Some(&("c".to_string(), revision)));
    assert_eq!(live(&left.open()).0, expected);
    drop(backend);
    assert_eq!(live(&disk.open()).0, expected);
}
