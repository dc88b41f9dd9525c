//! Concurrent random load, judged by [`super::super::history`].

use super::*;
use crate::cache::history::{self, Event, EventType, History, List, Watch};
use crate::store::Sqlite;
use proptest::prelude::*;
use std::collections::BTreeMap;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

const HANGS_AFTER: Duration = Duration::from_secs(60);

/// What one writer does.
#[derive(Clone, Debug)]
enum Step {
    Put(usize, u64),
    Create(usize),
    Replace(usize),
    Delete(usize),
    Beat(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let name = 0..NAMES.len();
    prop_oneof![
        3 => (name.clone(), 0..3u64).prop_map(|(name, content)| Step::Put(name, content)),
        2 => name.clone().prop_map(Step::Create),
        3 => name.clone().prop_map(Step::Replace),
        2 => name.prop_map(Step::Delete),
        1 => any::<u64>().prop_map(Step::Beat),
    ]
}

impl Step {
    fn request(&self, snapshot: &Snapshot) -> Request {
        match self {
            Step::Put(name, content) => put(NAMES[*name], *content),
            Step::Create(name) => create(NAMES[*name]),
            Step::Replace(name) => {
                let (key, revision) = (key(NAMES[*name]), snapshot.revision());
                let found = snapshot.get(&key).map_or(0, |object| object.revision);
                Request {
                    guards: vec![Guard::Revision { key, revision: found }],
                    ..put(NAMES[*name], revision)
                }
            }
            Step::Delete(name) => delete(NAMES[*name]),
            Step::Beat(content) => lease("kube-node-lease", *content),
        }
    }
}

fn list(snapshot: &Snapshot, interest: &Interest) -> List {
    let namespace = interest.namespace.as_deref();
    let objects = snapshot.list(&interest.resource, namespace);
    let objects = objects.filter(|o| interest.name.as_ref().is_none_or(|name| o.name() == name));
    let objects: BTreeMap<String, u64> = objects.map(|o| (o.key.to_string(), o.revision)).collect();
    List { revision: snapshot.revision(), objects }
}

fn event(change: &Change) -> Event {
    let type_ = match (&change.before, &change.after) {
        (None, _) => EventType::Added,
        (_, Some(_)) => EventType::Modified,
        (_, None) => EventType::Deleted,
    };
    let object = change.after.as_ref().or_else(|| change.deleted_object()).unwrap();
    Event::Object { type_, key: object.key.to_string(), revision: object.revision }
}

/// One watch until it has `patience` events or expires, or, once `done` tells the last revision, has seen that.
/// Returns whether it has.
async fn follow(
    cursor: &mut Cursor,
    seen: &mut Watch,
    patience: usize,
    done: &mut watch::Receiver<u64>,
) -> bool {
    let mut last = 0;
    while seen.events.len() < patience && (last == 0 || cursor.bookmark() < last) {
        let batch = tokio::select! {
            biased;
            batch = cursor.next() => batch,
            // Every write was answered by now, the last words among them, so a cursor that has not reached the last revision
            // has a change to come. Without them it might only have log to read of which nothing concerns it.
            done = done.wait_for(|done| *done != 0), if last == 0 => {
                last = *done.unwrap();
                continue;
            }
        };
        let Ok(batch) = batch else { return false };
        seen.events.extend(batch.changes.iter().map(|change| event(change)));
        tokio::task::yield_now().await;
    }
    seen.events.push(Event::Bookmark(cursor.bookmark()));
    last != 0 && cursor.bookmark() >= last
}

/// Watches until everything was seen: lists after each watch, and goes on from where it was, at times from further back,
/// or from the list where history has expired.
async fn observe(
    cache: Cache,
    interest: Interest,
    patience: usize,
    mut done: watch::Receiver<u64>,
) -> History {
    let mut history = History { lists: vec![list(&cache.snapshot(), &interest)], watches: vec![] };
    let mut after = history.lists[0].revision;
    loop {
        let mut seen = Watch { after, events: vec![] };
        let mut reached = after;
        let mut finished = false;
        let cursor = cache.watch(interest.clone(), after);
        if let Ok(mut cursor) = cursor {
            finished = follow(&mut cursor, &mut seen, patience, &mut done).await;
            reached = cursor.bookmark();
        }
        let list = list(&cache.snapshot(), &interest);
        let bookmarked = matches!(seen.events.last(), Some(Event::Bookmark(_)));
        after = match (bookmarked, history.watches.len() % 3) {
            (false, _) => list.revision,
            (true, 1) => seen.after,
            (true, _) => reached,
        };
        history.lists.push(list);
        history.watches.push(seen);
        if finished {
            return history;
        }
    }
}

async fn run(cache: Cache, writers: Vec<Vec<Step>>, patience: usize) -> Vec<History> {
    let (tell, done) = watch::channel(0);
    let interests = [
        Interest::resource("configmaps"),
        Interest { namespace: Some("d".into()), ..Interest::resource("configmaps") },
        Interest::object(&key("a")),
        Interest::resource("leases.coordination.k8s.io"),
    ];
    let observers: Vec<_> = (0..interests.len() * 2)
        .map(|n| {
            let interest = interests[n % interests.len()].clone();
            tokio::spawn(observe(cache.clone(), interest, patience + n, done.clone()))
        })
        .collect();
    let mut writing = tokio::task::JoinSet::new();
    for steps in writers {
        let cache = cache.clone();
        writing.spawn(async move {
            for step in steps {
                match cache.write(step.request(&cache.snapshot())).await {
                    Ok(_) | Err(WriteError::Guard { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    writing.join_all().await;
    for last_word in [put("a", u64::MAX), lease("kube-node-lease", u64::MAX)] {
        cache.write(last_word).await.unwrap();
    }
    tell.send_replace(cache.snapshot().revision());
    let mut histories = Vec::new();
    for observer in observers {
        histories.push(observer.await.unwrap());
    }
    histories
}

fn judge(backend: Arc<dyn Backend>, ring: usize, writers: Vec<Vec<Step>>, patience: usize) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let cache = Cache::open_with(backend, small_ring(ring)).unwrap();
    // Something to begin with, so that an empty run has a revision, too.
    runtime.block_on(cache.write(put("a", 100))).unwrap();
    // A lost wake-up shows as a watcher that never ends.
    let run = async { tokio::time::timeout(HANGS_AFTER, run(cache.clone(), writers, patience)).await };
    let histories = runtime.block_on(run).expect("a watcher hangs");
    for history in &histories {
        history::check(history).unwrap();
    }
    // Both watch the same, so what one saw must fit what the other saw.
    for (one, other) in histories[..4].iter().zip(&histories[4..]) {
        let lists = [&one.lists[..], &other.lists].concat();
        let watches = [&one.watches[..], &other.watches].concat();
        history::check(&History { lists, watches }).unwrap();
    }
    runtime.block_on(cache.shutdown());
}

fn writers() -> impl Strategy<Value = Vec<Vec<Step>>> {
    proptest::collection::vec(proptest::collection::vec(step(), 0..60), 1..5)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn watches_are_true_in_memory(writers in writers(), ring in 1..40usize, patience in 1..20usize) {
        judge(Arc::new(Memory::default()), ring, writers, patience);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn watches_are_true_on_disk(writers in writers(), ring in 1..40usize, patience in 1..20usize) {
        let dir = tempfile::tempdir().unwrap();
        judge(Arc::new(Sqlite::open(dir.path()).unwrap()), ring, writers, patience);
    }
}
