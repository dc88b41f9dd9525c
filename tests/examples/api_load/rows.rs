//! What is measured.

use crate::client::{Ask, Connection, Result, Server, watch};
use futures_util::future::try_join_all;
use http::Method;
use http_body_util::BodyExt;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

const MAPS: &str = "/api/v1/namespaces/api-load/configmaps";
/// Holds what is listed and nothing else.
const LISTS: &str = "/api/v1/namespaces/api-load-lists/configmaps";
const PODS: &str = "/api/v1/namespaces/api-load/pods";
const JSON: &str = "application/json";
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
/// Objects in the lists.
const LISTED: usize = 10_000;
/// Watches that share a connection, as client-go's default limit has it.
const STREAMS: usize = 100;

/// Every row, in the order in which they are run: later ones use what earlier ones have made.
pub(crate) const NAMES: [&str; 18] = [
    "create-1",
    "create-16",
    "create-64",
    "get-1",
    "get-16",
    "put",
    "merge-patch",
    "apply",
    "writers-64-objects",
    "writers-one-object",
    "delete",
    "list",
    "list-pages",
    "list-table",
    "list-none",
    "watch-1",
    "watch-100",
    "watch-10000",
];

/// Rows that are run only where they are named: what they leave behind would weigh on the others.
pub(crate) const BY_NAME: [&str; 1] = ["pods-150000"];

pub(crate) async fn run(server: &Server, row: &str) -> Result<()> {
    prepare(server).await?;
    let target = format!("{MAPS}/target");
    let put = |n: usize| Ask::with(Method::PUT, target.clone(), JSON, map("target", n));
    let create = |row: &'static str| {
        move |n: usize| Ask::with(Method::POST, MAPS, JSON, map(&format!("{row}-{n}"), n))
    };
    match row {
        "create-1" => load(server, row, 1, 2000, create("a")).await,
        "create-16" => load(server, row, 16, 10_000, create("b")).await,
        "create-64" => load(server, row, 64, 20_000, create("c")).await,
        "get-1" => load(server, row, 1, 5000, |_| Ask::get(target.clone())).await,
        "get-16" => load(server, row, 16, 30_000, |_| Ask::get(target.clone())).await,
        "put" => load(server, row, 1, 3000, put).await,
        "merge-patch" => {
            let patch = |n| format!(r#"{{"data":{{"k":"{n}"}}}}"#);
            let ask = |n| Ask::with(Method::PATCH, target.clone(), "application/merge-patch+json", patch(n));
            load(server, row, 1, 3000, ask).await
        }
        "apply" => {
            let path = format!("{MAPS}/applied?fieldManager=load&force=true");
            let ask =
                |n| Ask::with(Method::PATCH, path.clone(), "application/apply-patch+yaml", map("applied", n));
            load(server, row, 1, 3000, ask).await
        }
        "writers-64-objects" => {
            let ask = |n: usize| {
                let name = format!("w-{}", n % 64);
                let path = format!("{MAPS}/{name}?fieldManager=load&force=true");
                Ask::with(Method::PATCH, path, "application/apply-patch+yaml", map(&name, n))
            };
            load(server, row, 64, 10_000, ask).await
        }
        "writers-one-object" => load(server, row, 64, 10_000, put).await,
        "delete" => {
            let path = |n: usize| Ask { method: Method::DELETE, ..Ask::get(format!("{MAPS}/a-{n}")) };
            load(server, row, 1, 2000, path).await
        }
        "list" => lists(server, row, JSON, "").await,
        "list-table" => lists(server, row, TABLE, "").await,
        "list-none" => lists(server, row, JSON, "?labelSelector=no%3Dsuch").await,
        "list-pages" => pages(server, row).await,
        "pods-150000" => {
            let create = |n: usize| Ask::with(Method::POST, PODS, JSON, pod(n));
            load(server, row, 64, 150_000, create).await
        }
        "watch-1" => fan_out(server, row, 1, 500).await,
        "watch-100" => fan_out(server, row, 100, 200).await,
        _ => fan_out(server, row, 10_000, 50).await,
    }
}

fn map(name: &str, n: usize) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"k":"value {n}"}}}}"#
    )
}

/// A pod that is 4.7 KB when it is stored, and that no scheduler here takes up.
fn pod(n: usize) -> String {
    let settings: Vec<String> = (0..24)
        .map(|n| format!(r#"{{"name":"SETTING_{n:02}","value":"what the program does without {n:02}"}}"#))
        .collect();
    format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"pod-{n}","labels":{{"app":"load"}}}},"spec":{{
        "schedulerName":"nobody","containers":[{{"name":"app","image":"app","env":[{}]}}]}}}}"#,
        settings.join(",")
    )
}

/// The namespace and the one object that many rows write.
async fn prepare(server: &Server) -> Result<()> {
    let mut connection = server.one_by_one().await?;
    if connection.send(Ask::get(format!("{MAPS}/target"))).await.is_err() {
        for name in ["api-load", "api-load-lists"] {
            let namespace =
                format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
            connection.send(Ask::with(Method::POST, "/api/v1/namespaces", JSON, namespace)).await?;
        }
        connection.send(Ask::with(Method::POST, MAPS, JSON, map("target", 0))).await?;
    }
    Ok(())
}

/// `count` requests over `connections`, each connection sending one after the other.
async fn load(
    server: &Server,
    row: &str,
    connections: usize,
    count: usize,
    ask: impl Fn(usize) -> Ask,
) -> Result<()> {
    let mut open = try_join_all((0..connections).map(|_| server.one_by_one())).await?;
    let (next, times) = (Cell::new(0), RefCell::new(Vec::with_capacity(count)));
    let clock = Clock::start();
    let (next, times, ask) = (&next, &times, &ask);
    try_join_all(open.iter_mut().map(|connection| async move {
        while next.get() < count {
            let n = next.replace(next.get() + 1);
            let time = timed(connection, ask(n)).await?;
            times.borrow_mut().push(time);
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    }))
    .await?;
    clock.tell(row, times.take());
    Ok(())
}

async fn timed(connection: &mut Connection<'_>, ask: Ask) -> Result<Duration> {
    let begin = Instant::now();
    connection.send(ask).await?;
    Ok(begin.elapsed())
}

/// Makes what the lists list.
async fn fill(server: &Server, connection: &mut Connection<'_>) -> Result<()> {
    let page = connection.send(Ask::get(format!("{LISTS}?limit=2"))).await?;
    if String::from_utf8_lossy(&page).contains("listed-") {
        return Ok(());
    }
    let body = |n| {
        let text = "x".repeat(200);
        format!(
            r#"{{"metadata":{{"name":"listed-{n}","labels":{{"app":"listed"}}}},"data":{{"k":"{text}"}}}}"#
        )
    };
    let mut open = try_join_all((0..16).map(|_| server.one_by_one())).await?;
    try_join_all(open.iter_mut().enumerate().map(|(offset, connection)| async move {
        for n in (offset..LISTED).step_by(16) {
            connection.send(Ask::with(Method::POST, LISTS, JSON, body(n))).await?;
        }
        Ok::<_, Box<dyn std::error::Error>>(())
    }))
    .await?;
    Ok(())
}

async fn lists(server: &Server, row: &str, accept: &'static str, query: &str) -> Result<()> {
    let mut connection = server.one_by_one().await?;
    fill(server, &mut connection).await?;
    let (clock, mut times) = (Clock::start(), Vec::new());
    for _ in 0..10 {
        times.push(timed(&mut connection, Ask { accept, ..Ask::get(format!("{LISTS}{query}")) }).await?);
    }
    clock.tell(row, times);
    Ok(())
}

async fn pages(server: &Server, row: &str) -> Result<()> {
    let mut connection = server.one_by_one().await?;
    fill(server, &mut connection).await?;
    let (clock, mut times) = (Clock::start(), Vec::new());
    for _ in 0..10 {
        let (begin, mut query) = (Instant::now(), "?limit=500".to_string());
        loop {
            let page = connection.send(Ask::get(format!("{LISTS}{query}"))).await?;
            // Parsing whole pages would measure the client.
            let Some(token) = token(&page) else { break };
            query = format!("?limit=500&continue={token}");
        }
        times.push(begin.elapsed());
    }
    clock.tell(row, times);
    Ok(())
}

fn token(page: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(page).ok()?;
    let rest = text.split_once(r#""continue":""#)?.1;
    let token = rest.split_once('"')?.0;
    (!token.is_empty()).then(|| token.replace('+', "%2B").replace('=', "%3D").replace('/', "%2F"))
}

/// From a PUT to the last of `watchers` that has its event.
async fn fan_out(server: &Server, row: &str, watchers: usize, rounds: usize) -> Result<()> {
    let mut connection = server.one_by_one().await?;
    let listed: serde_json::Value =
        serde_json::from_slice(&connection.send(Ask::get(format!("{MAPS}?limit=1"))).await?)?;
    let version = listed["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_string();
    let path = format!("{MAPS}?watch=true&resourceVersion={version}");
    let (seen, all) = (Rc::new(Cell::new(0_usize)), Rc::new(Notify::new()));
    let local = tokio::task::LocalSet::new();
    let work = async {
        for begin in (0..watchers).step_by(STREAMS) {
            let shared = server.multiplexed().await?;
            for _ in begin..watchers.min(begin + STREAMS) {
                let mut body = watch(server, shared.clone(), path.clone()).await?;
                let (seen, all) = (seen.clone(), all.clone());
                tokio::task::spawn_local(async move {
                    while let Some(Ok(frame)) = body.frame().await {
                        let Some(data) = frame.data_ref() else { continue };
                        let events = data.iter().filter(|byte| **byte == b'\n').count();
                        seen.set(seen.get() + events);
                        if seen.get() >= watchers {
                            all.notify_one();
                        }
                    }
                });
            }
        }
        let (clock, mut times) = (Clock::start(), Vec::new());
        for n in 0..rounds {
            seen.set(0);
            let begin = Instant::now();
            connection
                .send(Ask::with(Method::PUT, format!("{MAPS}/target"), JSON, map("target", n + 1_000_000)))
                .await?;
            while seen.get() < watchers {
                all.notified().await;
            }
            times.push(begin.elapsed());
            tokio::task::yield_now().await;
        }
        clock.tell(row, times);
        Ok(())
    };
    local.run_until(work).await
}

/// Wall time and this process's CPU time.
struct Clock {
    begin: Instant,
    cpu: Duration,
}

impl Clock {
    fn start() -> Clock {
        Clock { begin: Instant::now(), cpu: cpu_time() }
    }

    fn tell(self, row: &str, mut times: Vec<Duration>) {
        let (wall, cpu) = (self.begin.elapsed().as_secs_f64(), (cpu_time() - self.cpu).as_secs_f64());
        times.sort_unstable();
        let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
        println!(
            "{row}: {:.0}/s, p50 {:.2} ms, p99 {:.2} ms (client busy {:.2} of the time)",
            times.len() as f64 / wall,
            at(0.5),
            at(0.99),
            cpu / wall
        );
    }
}

/// User and system time so far; clock ticks are 10 ms on Linux.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().filter_map(|at| fields.get(*at)?.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
