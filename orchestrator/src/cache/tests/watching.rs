//! Topics, slow watchers, expiry, bookmarks.

use super::*;
use std::time::Duration;

async fn next(cursor: &mut Cursor) -> Vec<u64> {
    revisions(&cursor.next().await.unwrap())
}

fn is_idle(cursor: &mut Cursor) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    std::pin::pin!(cursor.next()).poll(&mut context).is_pending()
}

#[tokio::test]
async fn a_watcher_hears_of_what_concerns_it_and_of_nothing_else() {
    let (_, cache) = cache();
    let watch = |interest: Interest| cache.watch(interest, 0).unwrap();
    let mut all = watch(Interest::everything());
    let mut maps = watch(Interest::resource("configmaps"));
    let mut one = watch(Interest::object(&key("b")));
    let mut elsewhere =
        watch(Interest { namespace: Some("other".into()), ..Interest::resource("configmaps") });
    let mut named = watch(Interest { name: Some("b".into()), ..Interest::resource("configmaps") });
    cache.write(put("a", 1)).await.unwrap();
    cache.write(put("b", 1)).await.unwrap();
    cache.write(pod("p", "")).await.unwrap();
    cache.write(delete("b")).await.unwrap();
    assert_eq!(next(&mut all).await, [1, 2, 3, 4]);
    assert_eq!(next(&mut maps).await, [1, 2, 4]);
    assert_eq!(next(&mut one).await, [2, 4]);
    assert_eq!(next(&mut named).await, [2, 4]);
    assert!(is_idle(&mut elsewhere) && is_idle(&mut one));
    assert_eq!((elsewhere.bookmark(), one.bookmark()), (4, 4));
}

#[tokio::test]
async fn who_fell_behind_reads_on_although_nothing_concerned_it() {
    let (_, cache) = cache_with(small_ring(1));
    for content in 0..5 {
        cache.write(put("a", content)).await.unwrap();
    }
    let mut cursor = cache.watch(Interest::object(&key("b")), 1).unwrap();
    assert_eq!(cursor.bookmark(), 1, "what it has not read may concern it");
    assert!(is_idle(&mut cursor), "the log is read elsewhere");
    assert_eq!(cursor.bookmark(), 1);
    let reading = tokio::spawn(async move { next(&mut cursor).await });
    cache.write(put("b", 0)).await.unwrap();
    assert_eq!(reading.await.unwrap(), [6]);
}

#[tokio::test]
async fn a_node_hears_of_pods_that_come_and_go() {
    let (_, cache) = cache();
    let interest = Interest { node: Some("n1".into()), ..Interest::resource("pods") };
    let mut cursor = cache.watch(interest.clone(), 0).unwrap();
    for (name, node) in [("p", ""), ("p", "n1"), ("q", "n2"), ("p", "n2"), ("p", "")] {
        cache.write(pod(name, node)).await.unwrap();
    }
    assert_eq!(next(&mut cursor).await, [2, 4]);
    let mut later = cache.watch(interest, 2).unwrap();
    assert_eq!(next(&mut later).await, [4]);
}

#[tokio::test]
async fn cluster_wide_kinds_need_no_namespace() {
    let (_, cache) = cache();
    let interest = Interest { name: Some("n".into()), ..Interest::resource("namespaces") };
    let mut cursor = cache.watch(interest, 0).unwrap();
    let draft = |name: &str| Write::Put(object(&Key::new("namespaces", "", name), 0));
    let writes = vec![draft("m"), draft("n"), draft("nn")];
    cache.write(Request { writes, ..Request::default() }).await.unwrap();
    assert_eq!(next(&mut cursor).await, [2]);
}

#[tokio::test]
async fn a_slow_watcher_reads_the_log_and_loses_nothing() {
    let (_, cache) = cache_with(small_ring(10));
    let mut maps = cache.watch(Interest::resource("configmaps"), 0).unwrap();
    let mut quiet = cache.watch(Interest::object(&key("once")), 0).unwrap();
    cache.write(put("once", 0)).await.unwrap();
    for n in 1..=1200 {
        cache.write(put("a", n)).await.unwrap();
    }
    let mut seen = Vec::new();
    while seen.len() < 1201 {
        let batch = maps.next().await.unwrap();
        assert!(batch.changes.len() <= 500 && batch.upto >= *revisions(&batch).last().unwrap());
        seen.extend(batch.changes);
    }
    assert!(seen.iter().map(|change| change.revision).eq(1..=1201));
    for pair in seen[1..].windows(2) {
        assert_eq!(pair[1].before.as_ref().unwrap().json(), pair[0].after.as_ref().unwrap().json());
    }
    assert_eq!(next(&mut quiet).await, [1]);
    let mut late = cache.watch(Interest::object(&key("once")), 0).unwrap();
    assert_eq!(next(&mut late).await, [1]);
    assert!(is_idle(&mut late) && is_idle(&mut maps));
    assert_eq!((late.bookmark(), maps.bookmark()), (1201, 1201));
}

#[tokio::test]
async fn a_quiet_watcher_does_not_fall_behind_a_busy_ring() {
    let (backend, cache) = cache_with(small_ring(10));
    let mut quiet = cache.watch(Interest::object(&key("quiet")), 0).unwrap();
    for n in 0..100 {
        cache.write(put("busy", n)).await.unwrap();
    }
    assert_eq!(quiet.bookmark(), 100);
    cache.write(put("quiet", 1)).await.unwrap();
    // Even a log that cannot be read does not matter to it.
    backend.compact(90, 1000).unwrap();
    assert_eq!(next(&mut quiet).await, [101]);
}

#[tokio::test]
async fn a_channel_reaches_back_for_a_watcher_that_joins_further_back() {
    let (_, cache) = cache();
    for n in 0..10 {
        cache.write(put("a", n)).await.unwrap();
    }
    let mut newer = cache.watch(Interest::resource("configmaps"), 8).unwrap();
    let mut older = cache.watch(Interest::resource("configmaps"), 5).unwrap();
    let mut future = cache.watch(Interest::resource("configmaps"), 11).unwrap();
    assert_eq!(next(&mut older).await, [6, 7, 8, 9, 10]);
    assert_eq!(next(&mut newer).await, [9, 10]);
    cache.write(put("a", 77)).await.unwrap();
    assert!(is_idle(&mut future));
    cache.write(put("a", 78)).await.unwrap();
    assert_eq!(next(&mut future).await, [12]);
}

#[tokio::test]
async fn only_what_is_compacted_away_has_expired() {
    let history = HistoryLimits { age: Duration::ZERO, rows: 1000, bytes: 1 << 20 };
    let (_, cache) = cache_with(Limits { history, ..small_ring(2) });
    let mut slow = cache.watch(Interest::resource("configmaps"), 0).unwrap();
    for n in 1..=10 {
        cache.write(put("a", n)).await.unwrap();
    }
    // The write that forgets is answered before it has forgotten.
    cache.write(pod("p", "")).await.unwrap();
    let oldest = cache.oldest();
    assert!((9..=11).contains(&oldest), "{oldest}");
    assert_eq!(slow.next().await.unwrap_err().requested, 0);
    let refused = cache.watch(Interest::resource("configmaps"), 3).err().unwrap();
    assert!(refused.to_string().starts_with("too old resource version: 3 ("), "{refused}");
    assert!(cache.watch(Interest::resource("configmaps"), 11).is_ok());
}

#[tokio::test]
async fn heartbeats_can_be_watched_as_far_back_as_the_ring_goes() {
    let (_, cache) = cache_with(small_ring(5));
    let leases = Interest::resource("leases.coordination.k8s.io");
    let mut quick = cache.watch(leases.clone(), 0).unwrap();
    let mut slow = cache.watch(leases.clone(), 0).unwrap();
    for beat in 1..=20 {
        cache.write(lease("kube-node-lease", beat)).await.unwrap();
        assert_eq!(next(&mut quick).await, [beat]);
    }
    assert_eq!(slow.next().await.unwrap_err(), Expired { requested: 0, oldest: 15 });
    assert!(cache.watch(leases.clone(), 14).is_err());
    assert!(cache.watch(Interest { namespace: Some("other".into()), ..leases }, 0).is_ok());
    let (snapshot, mut all) = cache.changes();
    cache.write(lease("kube-node-lease", 99)).await.unwrap();
    assert_eq!((snapshot.revision(), next(&mut all).await), (20, vec![21]));
}

#[tokio::test]
async fn a_dropped_wait_takes_nothing() {
    let (_, cache) = cache_with(small_ring(1));
    let mut cursor = cache.watch(Interest::resource("configmaps"), 0).unwrap();
    assert!(is_idle(&mut cursor));
    for n in 1..=5 {
        cache.write(put("a", n)).await.unwrap();
    }
    // It is behind: this begins to read the log and is dropped on the way.
    assert!(is_idle(&mut cursor));
    assert_eq!(cursor.bookmark(), 0);
    assert_eq!(next(&mut cursor).await, [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn channels_end_with_their_last_cursor() {
    let (_, cache) = cache();
    let interest = Interest::resource("pods");
    let (one, two) = (cache.watch(interest.clone(), 0).unwrap(), cache.watch(interest, 0).unwrap());
    assert_eq!(cache.shared.ring.channels(), 1);
    drop(one);
    assert_eq!(cache.shared.ring.channels(), 1);
    drop(two);
    assert_eq!(cache.shared.ring.channels(), 0);
}

#[tokio::test]
async fn watchers_share_each_change() {
    let (_, cache) = cache();
    let mut cursors: Vec<Cursor> =
        (0..1000).map(|_| cache.watch(Interest::resource("configmaps"), 0).unwrap()).collect();
    cache.write(put("a", 1)).await.unwrap();
    cache.write(delete("a")).await.unwrap();
    let mut objects = Vec::new();
    for cursor in &mut cursors {
        let batch = cursor.next().await.unwrap();
        objects.push(Arc::as_ptr(batch.changes[1].deleted_object().unwrap()));
    }
    assert!(objects.iter().all(|object| *object == objects[0]));
}
