//! Guards, rules, group commit, failure.

use super::*;
use crate::store::Sqlite;
use peapod_api::Error;

#[tokio::test]
async fn an_answered_write_is_in_the_snapshot() {
    let (_, cache) = cache();
    let committed = cache.write(put("a", 1)).await.unwrap();
    let object = committed.objects[0].clone().unwrap();
    assert_eq!((committed.revision, object.revision), (1, 1));
    assert_eq!(object.value()["metadata"]["resourceVersion"], "1");
    assert_eq!(cache.snapshot().get(&key("a")).unwrap().json(), object.json());
    let gone = cache.write(delete("a")).await.unwrap();
    let object = gone.objects[0].clone().unwrap();
    assert_eq!((gone.revision, object.value()["metadata"]["resourceVersion"].as_str()), (2, Some("2")));
    assert!(cache.snapshot().is_empty());
}

#[tokio::test]
async fn what_changes_nothing_takes_no_revision_and_no_commit() {
    let (backend, cache) = cache();
    cache.write(put("a", 1)).await.unwrap();
    let commits = backend.commits();
    let again = cache.write(put("a", 1)).await.unwrap();
    assert_eq!((again.revision, again.objects[0].as_ref().unwrap().revision), (1, 1));
    let nothing = cache.write(delete("b")).await.unwrap();
    assert_eq!((nothing.revision, nothing.objects[0].is_none()), (1, true));
    assert_eq!(backend.commits(), commits);
}

#[tokio::test]
async fn guards_hold_or_name_what_is_there() {
    let (_, cache) = cache();
    cache.write(put("a", 1)).await.unwrap();
    let guarded = |guard: Guard| cache.write(Request { guards: vec![guard], ..put("b", 0) });
    let stale = Guard::Revision { key: key("a"), revision: 7 };
    let Err(WriteError::Guard { guard, current }) = guarded(stale.clone()).await else { panic!("must fail") };
    assert_eq!((guard, current.unwrap().revision), (stale, 1));
    assert!(guarded(Guard::Absent { key: key("a") }).await.is_err());
    assert!(guarded(Guard::Present { key: key("b") }).await.is_err());
    assert_eq!(cache.snapshot().len(), 1);
    assert!(guarded(Guard::Revision { key: key("a"), revision: 1 }).await.is_ok());
    assert!(guarded(Guard::Present { key: key("b") }).await.is_ok());
}

#[tokio::test]
async fn nothing_may_have_changed_under_an_owner() {
    let (_, cache) = cache();
    let child = |content: u64| {
        let kind = kinds::of_resource("configmaps").unwrap();
        let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "o"});
        let value =
            json!({"metadata": {"name": "c", "namespace": "d", "ownerReferences": [owner]}, "n": content});
        Write::Put(Draft::new(kind, key("c"), value))
    };
    cache.write(put("o", 0)).await.unwrap();
    let guard = |since| vec![Guard::NothingChangedUnder { uid: "o".into(), since }];
    let request = |since, content| Request { guards: guard(since), writes: vec![child(content)], rule: None };
    assert_eq!(cache.write(request(1, 1)).await.unwrap().revision, 2);
    assert!(matches!(cache.write(request(1, 2)).await, Err(WriteError::Guard { .. })));
    assert!(cache.write(request(2, 2)).await.is_ok());
}

#[tokio::test]
async fn a_request_that_fails_touches_nothing() {
    let (_, cache) = cache();
    cache.write(put("a", 1)).await.unwrap();
    let writes = vec![Write::Put(object(&key("b"), 1)), Write::Delete(key("a"))];
    let refused = Error::new(peapod_api::error::Reason::Forbidden, "no");
    let rule: Rule = Box::new(move |_| Err(refused.clone()));
    let result = cache.write(Request { guards: vec![], writes, rule: Some(rule) }).await;
    assert!(matches!(result, Err(WriteError::Rule(error)) if error.to_string() == "no"));
    let big = Draft::new(
        kinds::of_resource("configmaps").unwrap(),
        key("big"),
        json!({"metadata": {"name": "big"}, "data": "x".repeat(MAX_OBJECT_BYTES)}),
    );
    let writes = vec![Write::Delete(key("a")), Write::Put(big)];
    let result = cache.write(Request { writes, ..Request::default() }).await;
    assert!(matches!(result, Err(WriteError::TooLarge { .. })));
    assert_eq!((cache.snapshot().revision(), cache.snapshot().len()), (1, 1));
}

#[tokio::test]
async fn in_one_group_commit_only_one_can_win() {
    let (backend, cache) = cache();
    let two_at_most: fn() -> Rule = || {
        Box::new(|snapshot: &Snapshot| match snapshot.list("configmaps", Some("d")).count() {
            0..3 => Ok(()),
            _ => Err(Error::bad_request("quota")),
        })
    };
    let limited = |name: &str| Request { rule: Some(two_at_most()), ..create(name) };
    let commits = backend.commits();
    let requests = vec![create("a"), create("a"), limited("b"), limited("c"), put("a", 9)];
    let results = as_one_group(&backend, &cache, requests).await;
    let revision = |at: usize| results[at].as_ref().map(|committed| committed.revision).ok();
    assert_eq!([0, 1, 2, 3, 4, 5].map(revision), [Some(1), Some(2), None, Some(3), None, Some(4)]);
    assert!(
        matches!(&results[2], Err(WriteError::Guard { current: Some(object), .. }) if object.revision == 2)
    );
    assert!(matches!(results[4], Err(WriteError::Rule(_))));
    assert_eq!(backend.commits(), commits + 2);
}

#[tokio::test]
async fn several_writes_of_one_request_follow_each_other() {
    let (_, cache) = cache();
    let writes = vec![
        Write::Put(object(&key("a"), 1)),
        Write::Put(object(&key("a"), 2)),
        Write::Delete(key("a")),
        Write::Put(object(&key("a"), 3)),
    ];
    let (_, mut changes) = cache.changes();
    let committed = cache.write(Request { writes, ..Request::default() }).await.unwrap();
    let given: Vec<u64> = committed.objects.iter().flatten().map(|object| object.revision).collect();
    assert_eq!((committed.revision, given), (4, vec![1, 2, 3, 4]));
    let batch = changes.next().await.unwrap();
    let before: Vec<_> = batch.changes.iter().map(|c| c.before.as_ref().map(|o| o.revision)).collect();
    assert_eq!(before, [None, Some(1), Some(2), None]);
}

#[tokio::test]
async fn heartbeats_are_not_written_down_and_their_revisions_never_come_again() {
    let (backend, first) = cache();
    first.write(lease("kube-node-lease", 0)).await.unwrap();
    let commits = backend.commits();
    for beat in 1..=100 {
        first.write(lease("kube-node-lease", beat)).await.unwrap();
    }
    assert_eq!(backend.commits(), commits);
    let last = first.snapshot().revision();
    let second = Cache::open_with(backend.clone(), Limits::default()).unwrap();
    assert!(second.snapshot().is_empty());
    let revision = second.write(lease("other", 0)).await.unwrap().revision;
    assert!(revision > last, "{revision} was given out already");
    assert_eq!(Cache::open_with(backend, Limits::default()).unwrap().snapshot().len(), 1);
}

#[tokio::test]
async fn a_failed_commit_leaves_the_outcome_unknown_and_stops_the_store() {
    let (backend, cache) = cache();
    cache.write(create("a")).await.unwrap();
    backend.memory.fail("disk full");
    let results = as_one_group(&backend, &cache, vec![create("b"), create("a")]).await;
    assert!(matches!(
        results[..],
        [Err(WriteError::Unknown), Err(WriteError::Closed), Err(WriteError::Closed)]
    ));
    assert_eq!(&*cache.failed().await, "memory: disk full");
    assert!(matches!(cache.write(create("c")).await, Err(WriteError::Closed)));
    assert_eq!((cache.snapshot().revision(), cache.snapshot().len()), (1, 1));
}

#[tokio::test]
async fn a_rule_that_panics_stops_the_store() {
    let (_, cache) = cache();
    let rule: Rule = Box::new(|_| panic!("a rule must not"));
    let result = cache.write(Request { rule: Some(rule), ..put("a", 1) }).await;
    assert!(matches!(result, Err(WriteError::Closed | WriteError::Unknown)));
    assert!(cache.failed().await.contains("unexpectedly"));
}

#[tokio::test]
async fn shutdown_commits_what_is_queued_and_frees_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let cache = Cache::open(Sqlite::open(dir.path()).unwrap()).unwrap();
    let (_, mut changes) = cache.changes();
    let names: Vec<String> = (0..50).map(|n| format!("n{n}")).collect();
    let writes: Vec<_> = names.iter().map(|name| queued(cache.write(create(name)))).collect();
    cache.shutdown().await;
    for write in writes {
        write.await.unwrap();
    }
    assert!(matches!(cache.write(create("late")).await, Err(WriteError::Closed)));
    assert_eq!(changes.next().await.unwrap().changes.len(), 50);
    let again = Cache::open(Sqlite::open(dir.path()).unwrap()).unwrap();
    assert_eq!(again.snapshot().len(), 50);
    for (before, after) in cache.snapshot().iter().zip(again.snapshot().iter()) {
        assert_eq!(before.json(), after.json());
    }
}

#[tokio::test]
async fn a_fresh_read_waits_for_its_revision() {
    let (_, cache) = cache();
    let waiting = queued(cache.wait_for(2));
    cache.write(put("a", 1)).await.unwrap();
    cache.write(put("a", 2)).await.unwrap();
    waiting.await;
    assert_eq!(cache.snapshot().revision(), 2);
    cache.wait_for(1).await;
}
