//! Guarded writes, group commit, watches and what happens when the store fails.

mod random;
mod watching;
mod writing;

use super::*;
use crate::store::{Chunk, Entry, Loaded, Memory, Part, ReadError};
use serde_json::json;
use std::sync::atomic::AtomicUsize;

/// Memory whose commits can be held up and are counted.
#[derive(Default)]
struct Gated {
    memory: Memory,
    gate: Mutex<()>,
    commits: AtomicUsize,
}

impl Gated {
    fn commits(&self) -> usize {
        self.commits.load(Ordering::SeqCst)
    }
}

impl Backend for Gated {
    fn load(
        &self,
        each: &mut dyn FnMut(Key, u64, Vec<u8>) -> Result<(), StoreError>,
    ) -> Result<Loaded, StoreError> {
        self.memory.load(each)
    }

    fn commit(&self, entries: &[Entry], reserve: Option<u64>) -> Result<(), StoreError> {
        self.commits.fetch_add(1, Ordering::SeqCst);
        let _open = self.gate.lock();
        self.memory.commit(entries, reserve)
    }

    fn changes(&self, part: &Part) -> Result<Chunk, ReadError> {
        self.memory.changes(part)
    }

    fn compact(&self, upto: u64, limit_rows: usize) -> Result<u64, StoreError> {
        self.memory.compact(upto, limit_rows)
    }
}

fn cache() -> (Arc<Gated>, Cache) {
    cache_with(Limits::default())
}

fn cache_with(limits: Limits) -> (Arc<Gated>, Cache) {
    let backend = Arc::new(Gated::default());
    (backend.clone(), Cache::open_with(backend, limits).unwrap())
}

/// A ring of `entries` changes over a log that forgets nothing.
fn small_ring(entries: usize) -> Limits {
    let ring = RingLimits { entries, ..Limits::default().ring };
    Limits { ring, ..Limits::default() }
}

fn key(name: &str) -> Key {
    Key::new("configmaps", "d", name)
}

fn object(key: &Key, content: u64) -> Draft {
    let kind = kinds::of_resource(key.resource()).unwrap();
    let metadata = json!({"name": key.name(), "namespace": key.namespace(), "uid": key.name()});
    let value = json!({"apiVersion": kind.api_version(), "kind": &*kind.kind, "metadata": metadata,
        "data": {"content": content.to_string()}});
    Draft::new(kind, key.clone(), value)
}

fn put(name: &str, content: u64) -> Request {
    Request { writes: vec![Write::Put(object(&key(name), content))], ..Request::default() }
}

fn create(name: &str) -> Request {
    Request { guards: vec![Guard::Absent { key: key(name) }], ..put(name, 0) }
}

fn delete(name: &str) -> Request {
    Request { writes: vec![Write::Delete(key(name))], ..Request::default() }
}

fn lease(namespace: &str, content: u64) -> Request {
    let key = Key::new("leases.coordination.k8s.io", namespace, "n1");
    Request { writes: vec![Write::Put(object(&key, content))], ..Request::default() }
}

fn pod(name: &str, node: &str) -> Request {
    let key = Key::new("pods", "d", name);
    let value = json!({"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": node},
        "metadata": {"name": name, "namespace": "d", "uid": name}});
    let kind = kinds::of_resource("pods").unwrap();
    Request { writes: vec![Write::Put(Draft::new(kind, key, value))], ..Request::default() }
}

fn revisions(batch: &Batch) -> Vec<u64> {
    batch.changes.iter().map(|change| change.revision).collect()
}

/// Lets `requests` enter as one group commit while the writer is busy with another request, and returns what became of
/// that and of them, in order.
async fn as_one_group(
    backend: &Gated,
    cache: &Cache,
    requests: Vec<Request>,
) -> Vec<Result<Committed, WriteError>> {
    let commits = backend.commits();
    let closed = backend.gate.lock();
    let mut all = vec![queued(cache.write(put("holds-the-writer", 0)))];
    while backend.commits() == commits {
        std::thread::yield_now();
    }
    all.extend(requests.into_iter().map(|request| queued(cache.write(request))));
    drop(closed);
    let mut results = Vec::new();
    for result in all {
        results.push(result.await);
    }
    results
}

/// Polls `future` once, so that its request is queued, and gives it back.
fn queued<F: Future>(future: F) -> std::pin::Pin<Box<F>> {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    future
}
