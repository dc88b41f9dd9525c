//! JSON patch against the published test records and another implementation.

use crate::draw::{hold, small_json};
use ::json_patch::Patch;
use peapod_core::patch::json;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Records that Kubernetes answers otherwise, and so does this server: a negative index counts from the end of the list,
/// and a test without a value is one for null.
const OTHERWISE: [&str; 2] = ["Out of bounds (lower)", "missing 'value' parameter to test"];

#[test]
fn the_published_records_hold() {
    let files = [
        include_str!("../corpus/json-patch/tests.json"),
        include_str!("../corpus/json-patch/spec_tests.json"),
    ];
    let mut held = 0;
    for record in files.iter().flat_map(|file| serde_json::from_str::<Vec<Value>>(file).unwrap()) {
        let text = |member: &str| record.get(member).and_then(Value::as_str).unwrap_or_default();
        let otherwise = OTHERWISE.contains(&text("error")) || OTHERWISE.contains(&text("comment"));
        if record["disabled"] == true || otherwise {
            continue;
        }
        let patched = json::apply(&record["doc"], &record["patch"]);
        match (record.get("expected"), record.get("error")) {
            (_, Some(_)) => assert!(patched.is_err(), "{} {record}: {patched:?}", text("comment")),
            (Some(expected), None) => assert_eq!(&patched.unwrap(), expected, "{record}"),
            (None, None) => assert!(patched.is_ok(), "{record}: {patched:?}"),
        }
        held += 1;
    }
    assert!(held > 70, "only {held} records were tried");
}

/// One of the six operations on short paths.
fn operation() -> impl Strategy<Value = Value> {
    let path = "(/([a-c]|[0-2]|-|m~0n|~1)){0,3}";
    (prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test"]), path, path, small_json())
        .prop_map(|(op, from, path, value)| json!({"op": op, "from": from, "path": path, "value": value}))
}

/// Moves into themselves and tests for null aside.
#[test]
fn agrees_with_another_implementation() {
    hold((small_json(), vec(operation(), 0..5)), |(object, patch)| {
        let is_ours = |op: &Value| op["op"] == "test" && op["value"].is_null() || op["op"] == "move";
        let ours = json::apply(&object, &Value::from(patch.clone()));
        let operations: Result<Patch, _> = serde_json::from_value(Value::from(patch.clone()));
        let mut theirs = object.clone();
        let done = operations.is_ok_and(|patch| ::json_patch::patch_unsafe(&mut theirs, &patch).is_ok());
        match ours {
            Ok(patched) if done => prop_assert_eq!(patched, theirs),
            Ok(_) => prop_assert!(patch.iter().any(is_ours), "theirs fails"),
            Err(error) => {
                prop_assert!(matches!(error.code(), 413 | 422), "{}", error);
                prop_assert!(!done || patch.iter().any(is_ours), "ours fails: {}", error);
            }
        }
        Ok(())
    });
}
