//! JSON patch against the published test records.

use peapod_core::patch::json;
use serde_json::Value;

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
