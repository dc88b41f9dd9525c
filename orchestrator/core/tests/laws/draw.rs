//! Inputs: the stored ones, damaged ones made of them, and variants of stored objects.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use serde_json::{Map, Value};
use std::fmt::Debug;
use std::path::Path;
use std::time::{Duration, Instant};

/// Inputs drawn for one law by default.
const CASES: u32 = 1_000;

/// Fails the test with the smallest input found that breaks `law`.
pub(crate) fn hold<S: Strategy>(inputs: S, law: impl Fn(S::Value) -> Result<(), TestCaseError>)
where
    S::Value: Debug,
{
    let seconds = std::env::var("PEAPOD_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let (begin, seconds) = (Instant::now(), seconds.unwrap_or(0));
    let mut inputs_tried = 0;
    loop {
        let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
        if let Err(failure) = TestRunner::new(config).run(&inputs, &law) {
            panic!("{failure}");
        }
        inputs_tried += u64::from(CASES);
        if begin.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
    }
    let law = std::thread::current().name().unwrap_or_default().to_string();
    println!("{law}: {inputs_tried} inputs in {} s", begin.elapsed().as_secs());
}

/// The stored inputs of one kind.
pub(crate) fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(name);
    let entries = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{directory:?} is empty");
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The stored objects of a kind.
pub(crate) fn objects(kind: &str) -> Vec<Value> {
    let documents = corpus("documents");
    let values = documents.iter().filter_map(|document| serde_json::from_slice::<Value>(document).ok());
    values.filter(|value| value["kind"] == kind).collect()
}

/// One of `seeds`, with up to eight pieces of damage.
pub(crate) fn damaged(seeds: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damage = (any::<Index>(), any::<Index>(), 0..6u8, any::<u8>());
    (any::<Index>(), vec(damage, 0..8)).prop_map(move |(seed, damages)| {
        let mut bytes = seed.get(&seeds).clone();
        for (at, from, how, byte) in damages {
            let (at, from) = (at.index(bytes.len() + 1), from.index(bytes.len() + 1));
            let piece = bytes[from..(from + 1 + usize::from(byte) / 8).min(bytes.len())].to_vec();
            match how {
                0 if at < bytes.len() => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.splice(at..at, piece)),
                3 => drop(bytes.drain(at..(at + usize::from(byte) / 16).min(bytes.len()))),
                4 if at < bytes.len() => bytes[at] = b"0123456789[]{}\",:-/\\"[usize::from(byte) % 20],
                _ => bytes.truncate(at.max(bytes.len() / 2)),
            }
        }
        bytes
    })
}

/// `object` with some fields and items left out and some values changed, by `seed`. Names and keys stay.
pub(crate) fn variant(object: &Value, seed: u64) -> Value {
    let mut seed = seed;
    vary(object, &mut seed, "")
}

fn chance(seed: &mut u64, of: u64) -> bool {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33).is_multiple_of(of)
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn vary(value: &Value, seed: &mut u64, name: &str) -> Value {
    const FIXED: [&str; 9] = [
        "apiVersion",
        "kind",
        "name",
        "port",
        "containerPort",
        "protocol",
        "mountPath",
        "metadata",
        "selector",
    ];
    match value {
        Value::Object(map) => {
            let mut kept = Map::new();
            for (name, value) in map {
                if FIXED.contains(&name.as_str()) && (name != "metadata" || value.get("name").is_none()) {
                    kept.insert(name.clone(), value.clone());
                } else if name == "metadata" || !chance(seed, 4) {
                    let varied = vary(value, seed, name);
                    // What has lost everything is as if it were not there.
                    if !is_empty(&varied) || is_empty(value) {
                        kept.insert(name.clone(), varied);
                    }
                }
            }
            Value::Object(kept)
        }
        Value::Array(items) => {
            let mut kept: Vec<Value> = Vec::new();
            for item in items {
                if !chance(seed, 4) {
                    kept.push(vary(item, seed, name));
                }
            }
            if kept.len() > 1 && chance(seed, 3) {
                kept.rotate_left(1);
            }
            kept.into()
        }
        Value::String(text) if chance(seed, 5) && !FIXED.contains(&name) => format!("{text}x").into(),
        Value::Number(number) if chance(seed, 5) => number.as_i64().map_or(value.clone(), |n| (n + 1).into()),
        Value::Bool(on) if chance(seed, 3) => (!on).into(),
        other => other.clone(),
    }
}

/// Any JSON of few and short words, so that documents meet.
pub(crate) fn small_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2i64..3).prop_map(Value::from),
        "[a-b]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[a-c]|m~n|/", inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}
