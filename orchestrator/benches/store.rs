//! What the store costs: acknowledged creates beside a bare loop on the same disk, a write in a small and in a large
//! cluster, and how long a write takes to reach its watchers. Run with `cargo bench -p peapod-orchestrator --bench store`.

use peapod_api::{Draft, Key, kinds};
use peapod_orchestrator::cache::{Cache, Guard, Interest, Request, Write};
use peapod_orchestrator::store::Sqlite;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Median of so many rounds.
const ROUNDS: usize = 5;
const CREATES: usize = 4000;
const UPDATES: usize = 3000;
const EVENTS: usize = 200;

type Outcome<T> = anyhow::Result<T>;

fn draft(name: &str, content: usize) -> Outcome<Draft> {
    let kind = kinds::of_resource("configmaps").ok_or_else(|| anyhow::anyhow!("no configmaps"))?;
    let metadata = json!({"name": name, "namespace": "bench", "uid": format!("00000000-0000-0000-0000-{name:0>12}"),
        "creationTimestamp": "2026-01-01T00:00:00Z", "labels": {"app": "bench"}});
    let data = json!({"number": content.to_string(), "text": "x".repeat(300)});
    let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
    Ok(Draft::new(kind, Key::new("configmaps", "bench", name), value))
}

fn create(number: usize) -> Outcome<Request> {
    let draft = draft(&number.to_string(), number)?;
    let guards = vec![Guard::Absent { key: draft.key.clone() }];
    Ok(Request { guards, writes: vec![Write::Put(draft)], rule: None })
}

fn update(name: &str, content: usize) -> Outcome<Request> {
    Ok(Request { writes: vec![Write::Put(draft(name, content)?)], ..Request::default() })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

/// One durable insert per commit, and nothing else: what SQLite gives on this disk.
fn bare_creates() -> Outcome<f64> {
    let dir = tempfile::tempdir()?;
    let connection = rusqlite::Connection::open(dir.path().join("bare.db"))?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE objects(key TEXT PRIMARY KEY, value BLOB)",
    )?;
    let start = Instant::now();
    for number in 0..CREATES {
        let draft = draft(&number.to_string(), number)?;
        let mut insert = connection.prepare_cached("INSERT INTO objects VALUES (?1, ?2)")?;
        insert.execute((draft.key.as_str(), draft.json().as_ref()))?;
    }
    Ok(per_second(CREATES, start.elapsed()))
}

async fn creates(writers: usize) -> Outcome<f64> {
    let dir = tempfile::tempdir()?;
    let cache = Cache::open(Sqlite::open(dir.path())?)?;
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for _ in 0..writers {
        let (cache, next) = (cache.clone(), next.clone());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= CREATES {
                    return Outcome::Ok(());
                }
                cache.write(create(number)?).await?;
            }
        });
    }
    tasks.join_all().await.into_iter().collect::<Outcome<()>>()?;
    let rate = per_second(CREATES, start.elapsed());
    cache.shutdown().await;
    Ok(rate)
}

async fn compare_creates() -> Outcome<()> {
    let (mut bare, mut one, mut many) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        bare.push(tokio::task::spawn_blocking(bare_creates).await??);
        one.push(creates(1).await?);
        many.push(creates(64).await?);
    }
    let (bare, one, many) = (median(bare), median(one), median(many));
    println!("durable creates, bare loop             {bare:9.0} /s");
    println!("durable creates, 1 writer              {one:9.0} /s   {:.2} of the bare loop", one / bare);
    println!("durable creates, 64 writers            {many:9.0} /s   {:.2} of the bare loop", many / bare);
    Ok(())
}

/// A cluster with so many objects.
async fn filled(dir: &std::path::Path, objects: usize) -> Outcome<Cache> {
    let cache = Cache::open(Sqlite::open(dir)?)?;
    for first in (0..objects).step_by(500) {
        let last = objects.min(first + 500);
        let drafts = (first..last).map(|number| Ok(Write::Put(draft(&number.to_string(), number)?)));
        cache.write(Request { writes: drafts.collect::<Outcome<_>>()?, ..Request::default() }).await?;
    }
    Ok(cache)
}

/// Microseconds that one update of the object `number` takes.
async fn timed_update(cache: &Cache, number: usize, content: usize) -> Outcome<f64> {
    let request = update(&number.to_string(), content)?;
    let start = Instant::now();
    cache.write(request).await?;
    Ok(start.elapsed().as_secs_f64() * 1e6)
}

/// In turn, so that a disk that others use is as busy for both.
async fn compare_sizes() -> Outcome<()> {
    let (small_dir, large_dir) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (small, large) = (filled(small_dir.path(), 100).await?, filled(large_dir.path(), 20_000).await?);
    let (mut at_small, mut at_large) = (vec![], vec![]);
    for turn in 0..UPDATES {
        at_small.push(timed_update(&small, turn % 100, 20_000 + turn).await?);
        at_large.push(timed_update(&large, turn * 7919 % 20_000, 20_000 + turn).await?);
    }
    let (at_small, at_large) = (median(at_small), median(at_large));
    println!("one write among    100 objects, median {at_small:9.1} us");
    println!(
        "one write among 20,000 objects, median {at_large:9.1} us  {:.2} times that",
        at_large / at_small
    );
    large.shutdown().await;
    drop(large);
    let start = Instant::now();
    let again = Cache::open(Sqlite::open(large_dir.path())?)?;
    let (took, objects) = (start.elapsed(), again.snapshot().len());
    println!("opening a store of {objects} objects         {:9.1} ms", took.as_secs_f64() * 1e3);
    Ok(())
}

/// Times from the call of a write to its answer, and to the last of `watchers` having it, sorted.
async fn latencies(watchers: usize) -> Outcome<(Vec<f64>, Vec<f64>)> {
    let dir = tempfile::tempdir()?;
    let cache = filled(dir.path(), 100).await?;
    let (tell, mut told) = tokio::sync::mpsc::channel(16);
    let waiting = Arc::new(AtomicUsize::new(watchers));
    let mut tasks = JoinSet::new();
    for _ in 0..watchers {
        let mut cursor = cache.watch(Interest::resource("configmaps"), cache.snapshot().revision())?;
        let (tell, waiting) = (tell.clone(), waiting.clone());
        tasks.spawn(async move {
            while cursor.next().await.is_ok() {
                if waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
                    let _ = tell.send(Instant::now()).await;
                }
            }
        });
    }
    let (mut answered, mut heard) = (vec![], vec![]);
    for number in 0..EVENTS {
        waiting.store(watchers, Ordering::Release);
        let request = update("1", 1000 + number)?;
        let start = Instant::now();
        cache.write(request).await?;
        answered.push(start.elapsed().as_secs_f64() * 1e6);
        let last = told.recv().await.ok_or_else(|| anyhow::anyhow!("no watcher is left"))?;
        heard.push(last.duration_since(start).as_secs_f64() * 1e6);
    }
    answered.sort_by(f64::total_cmp);
    heard.sort_by(f64::total_cmp);
    Ok((answered, heard))
}

async fn compare_watchers() -> Outcome<()> {
    for watchers in [1, 100, 10_000] {
        let (answered, heard) = latencies(watchers).await?;
        let (middle, high) = (EVENTS / 2, EVENTS * 99 / 100);
        println!(
            "watchers {watchers:6}: write answered p50 / p99  {:7.0} / {:7.0} us, heard by the last {:7.0} / {:7.0} us",
            answered[middle], answered[high], heard[middle], heard[high]
        );
    }
    Ok(())
}

/// Runs the parts that the arguments name: `creates`, `sizes`, `watchers`; without any, all.
#[tokio::main]
async fn main() -> Outcome<()> {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if wanted("creates") {
        compare_creates().await?;
    }
    if wanted("sizes") {
        compare_sizes().await?;
    }
    if wanted("watchers") {
        compare_watchers().await?;
    }
    Ok(())
}
