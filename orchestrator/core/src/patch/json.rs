//! JSON patch, RFC 6902.

use crate::schema::decode::MAX_DEPTH;
use json_patch::{CopyOperation, MoveOperation, PatchErrorKind, PatchOperation};
use peapod_api::Error;
use peapod_api::error::Reason;
use serde_json::Value;

/// Most operations of one patch.
pub const MAX_OPERATIONS: usize = 10_000;
/// Most bytes of JSON that the `copy` and `move` operations of one patch may handle.
pub const MAX_COPIED_BYTES: usize = 3 * 1024 * 1024;

/// `object` after all operations of `patch`, or none. 400 if the patch is malformed, 413 if it is too large, 422 if an
/// operation fails.
pub fn apply(object: &Value, patch: &Value) -> Result<Value, Error> {
    let Value::Array(operations) = patch else {
        return Err(Error::bad_request("a JSON patch must be a list of operations"));
    };
    if operations.len() > MAX_OPERATIONS {
        let why = "The allowed maximum operations in a JSON patch is";
        return Err(too_large(format!("{why} {MAX_OPERATIONS}, got {}", operations.len())));
    }
    let mut result = object.clone();
    let mut copied_bytes = 0;
    for (index, operation) in operations.iter().enumerate() {
        let operation: PatchOperation = serde_json::from_value(operation.clone()).map_err(|error| {
            Error::bad_request(format!("error decoding patch: operation {index}: {error}"))
        })?;
        check_growth(&operation, &result, &mut copied_bytes)?;
        json_patch::patch(&mut result, std::slice::from_ref(&operation))
            .map_err(|error| failed(&operation, &error.kind))?;
    }
    Ok(result)
}

/// A small patch must not build a large or a deep object: `copy` and `move` can double either.
fn check_growth(operation: &PatchOperation, object: &Value, copied_bytes: &mut usize) -> Result<(), Error> {
    let value = match operation {
        PatchOperation::Add(add) => &add.value,
        PatchOperation::Replace(replace) => &replace.value,
        PatchOperation::Test(_) | PatchOperation::Remove(_) => return Ok(()),
        PatchOperation::Copy(CopyOperation { from, .. })
        | PatchOperation::Move(MoveOperation { from, .. }) => {
            let Ok(value) = from.resolve(object) else { return Ok(()) };
            *copied_bytes += value.to_string().len();
            value
        }
    };
    if *copied_bytes > MAX_COPIED_BYTES {
        return Err(too_large(format!("the patch copies more than {MAX_COPIED_BYTES} bytes")));
    }
    if operation.path().tokens().count() + depth(value) > MAX_DEPTH {
        return Err(too_large(format!("the patch makes an object nested deeper than {MAX_DEPTH} levels")));
    }
    Ok(())
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn too_large(why: String) -> Error {
    Error::new(Reason::RequestEntityTooLarge, why)
}

fn failed(operation: &PatchOperation, kind: &PatchErrorKind) -> Error {
    let path = operation.path();
    let why = match kind {
        PatchErrorKind::TestFailed => format!("testing value {path} failed: test failed"),
        other => format!("operation at {path:?} does not apply: {other}"),
    };
    let message = format!("the server rejected our request due to an error in our request: {why}");
    Error::new(Reason::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn operations_apply_in_order_or_not_at_all() {
        let object = json!({"spec": {"list": [1, 2], "a/b": 1}});
        let patch = json!([
            {"op": "test", "path": "/spec/list/0", "value": 1},
            {"op": "add", "path": "/spec/list/-", "value": 3},
            {"op": "remove", "path": "/spec/list/0"},
            {"op": "replace", "path": "/spec/a~1b", "value": 2},
            {"op": "copy", "from": "/spec/list", "path": "/copy"},
            {"op": "move", "from": "/spec/a~1b", "path": "/moved"},
        ]);
        assert_eq!(
            apply(&object, &patch).unwrap(),
            json!({"spec": {"list": [2, 3]}, "copy": [2, 3], "moved": 2})
        );
        let failing = json!([{"op": "remove", "path": "/spec/list/0"}, {"op": "test", "path": "/spec/list/0", "value": 9}]);
        let error = apply(&object, &failing).unwrap_err();
        assert_eq!((error.code(), error.reason()), (422, Reason::Invalid));
        assert_eq!(apply(&object, &json!([{"op": "nop", "path": ""}])).unwrap_err().code(), 400);
    }

    #[test]
    fn copies_cannot_grow_without_bound() {
        let object = json!({"a": "x".repeat(1000)});
        let double: Vec<Value> =
            (0..64).map(|n| json!({"op": "copy", "from": "", "path": format!("/b{n}")})).collect();
        assert_eq!(apply(&object, &Value::Array(double)).unwrap_err().code(), 413);
        let deepen = vec![json!({"op": "copy", "from": "", "path": "/a"}); 1000];
        assert_eq!(apply(&json!({"a": 1}), &Value::Array(deepen)).unwrap_err().code(), 413);
    }

    proptest! {
        #[test]
        fn any_paths_apply_or_fail(from in "[/a-c0-9~-]{0,8}", path in "[/a-c0-9~-]{0,8}", op in 0usize..6) {
            let op = ["add", "remove", "replace", "move", "copy", "test"][op];
            let patch = json!([{"op": op, "from": from, "path": path, "value": 1}]);
            let _ = apply(&json!({"a": [1, {"b": 2}], "b": {"c": {}}}), &patch);
        }
    }
}
