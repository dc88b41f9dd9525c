//! JSON patch, RFC 6902, as Kubernetes reads it: a `test` for null passes where nothing is, and a negative index counts from
//! the end of a list.

use crate::schema::decode::MAX_DEPTH;
use peapod_api::Error;
use peapod_api::error::Reason;
use serde_json::{Map, Value};

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
    let mut document = Document { root: object.clone(), copied_bytes: 0 };
    for (index, operation) in operations.iter().enumerate() {
        let Value::Object(operation) = operation else {
            let why = format!("error decoding patch: operation {index} is no JSON object");
            return Err(Error::bad_request(why));
        };
        document.apply(operation).map_err(|fault| match fault {
            Fault::Fails(why) => failed(&why),
            Fault::TooLarge(why) => too_large(why),
        })?;
    }
    Ok(document.root)
}

/// Why an operation was not done.
#[derive(Debug)]
enum Fault {
    Fails(String),
    TooLarge(String),
}

impl From<String> for Fault {
    fn from(why: String) -> Fault {
        Fault::Fails(why)
    }
}

fn too_large(why: String) -> Error {
    Error::new(Reason::RequestEntityTooLarge, why)
}

fn failed(why: &str) -> Error {
    let message = format!("the server rejected our request due to an error in our request: {why}");
    Error::new(Reason::Invalid, message)
}

/// The object while it is patched.
struct Document {
    root: Value,
    copied_bytes: usize,
}

impl Document {
    fn apply(&mut self, operation: &Map<String, Value>) -> Result<(), Fault> {
        let kind = operation.get("op").and_then(Value::as_str).unwrap_or("unknown");
        let pointer = |member: &str| {
            let text = operation.get(member).and_then(Value::as_str);
            text.ok_or_else(|| format!("{kind} operation failed to decode {member}: missing value"))
        };
        let value = || {
            let value = operation.get("value");
            value.ok_or_else(|| format!("{kind} operation failed to decode value: missing value"))
        };
        match kind {
            "add" => self.add(pointer("path")?, value()?.clone(), kind, "path"),
            "replace" => self.replace(pointer("path")?, value()?.clone()),
            "remove" => self.take(pointer("path")?, kind, "path").map(|_| ()),
            "test" => self.test(pointer("path")?, operation.get("value").unwrap_or(&Value::Null)),
            "copy" => {
                let (from, path) = (pointer("from")?, pointer("path")?);
                let value = self.find(from, kind, "from path")?.clone();
                self.count(&value)?;
                self.add(path, value, kind, "destination path")
            }
            "move" => {
                let (from, path) = (pointer("from")?, pointer("path")?);
                if path.strip_prefix(from).is_some_and(|below| below.starts_with('/')) {
                    return Err(format!("error in move for path: '{path}': it lies below '{from}'").into());
                }
                let value = self.take(from, kind, "from path")?;
                self.count(&value)?;
                self.add(path, value, kind, "destination path")
            }
            other => Err(format!("Unexpected kind: {other}").into()),
        }
    }

    /// A small patch must not build a large object: each copy can double it.
    fn count(&mut self, value: &Value) -> Result<(), Fault> {
        self.copied_bytes += value.to_string().len();
        if self.copied_bytes > MAX_COPIED_BYTES {
            return Err(Fault::TooLarge(format!("the patch copies more than {MAX_COPIED_BYTES} bytes")));
        }
        Ok(())
    }

    fn find(&self, path: &str, kind: &str, what: &str) -> Result<&Value, Fault> {
        let Some((parents, key)) = tokens(path) else {
            return if path.is_empty() { Ok(&self.root) } else { Err(missing(kind, what, path)) };
        };
        let parent = descend(&self.root, &parents).ok_or_else(|| missing(kind, what, path))?;
        let found = match parent {
            Value::Object(map) => map.get(&key),
            Value::Array(items) => {
                items.get(index(&key, items.len()).map_err(|why| within(kind, path, &why))?)
            }
            _ => None,
        };
        found.ok_or_else(|| {
            Fault::Fails(format!(
                "{kind} operation does not apply: doc is missing key: {path}: missing value"
            ))
        })
    }

    fn add(&mut self, path: &str, value: Value, kind: &str, what: &str) -> Result<(), Fault> {
        if path.split('/').count() + depth(&value) > MAX_DEPTH {
            let why = format!("the patch makes an object nested deeper than {MAX_DEPTH} levels");
            return Err(Fault::TooLarge(why));
        }
        if path.is_empty() {
            self.root = value;
            return Ok(());
        }
        let (parents, key) = tokens(path).ok_or_else(|| missing(kind, what, path))?;
        match descend_mut(&mut self.root, &parents) {
            Some(Value::Object(map)) => {
                map.insert(key, value);
            }
            Some(Value::Array(items)) if key == "-" => items.push(value),
            Some(Value::Array(items)) => {
                let at = index(&key, items.len() + 1).map_err(|why| within(kind, path, &why))?;
                items.insert(at, value);
            }
            _ => return Err(missing(kind, what, path)),
        }
        Ok(())
    }

    fn replace(&mut self, path: &str, value: Value) -> Result<(), Fault> {
        self.find(path, "replace", "path")?;
        let Some((parents, key)) = tokens(path) else {
            return self.add(path, value, "replace", "path");
        };
        if let Some(Value::Array(items)) = descend_mut(&mut self.root, &parents) {
            let at = index(&key, items.len()).map_err(|why| within("replace", path, &why))?;
            items.remove(at);
            items.insert(at, value);
            return Ok(());
        }
        self.add(path, value, "replace", "path")
    }

    fn take(&mut self, path: &str, kind: &str, what: &str) -> Result<Value, Fault> {
        let (parents, key) = tokens(path).ok_or_else(|| missing(kind, what, path))?;
        match descend_mut(&mut self.root, &parents) {
            Some(Value::Object(map)) => map.remove(&key).ok_or_else(|| {
                within(kind, path, &format!("Unable to remove nonexistent key: {key}: missing value"))
            }),
            Some(Value::Array(items)) => {
                let at = index(&key, items.len()).map_err(|why| within(kind, path, &why))?;
                Ok(items.remove(at))
            }
            _ => Err(missing(kind, what, path)),
        }
    }

    fn test(&self, path: &str, wanted: &Value) -> Result<(), Fault> {
        let found = match tokens(path) {
            None if path.is_empty() => Some(&self.root),
            None => return Err(missing("test", "path", path)),
            Some((parents, key)) => match descend(&self.root, &parents) {
                Some(Value::Object(map)) => map.get(&key),
                Some(Value::Array(items)) => {
                    items.get(index(&key, items.len()).map_err(|why| within("test", path, &why))?)
                }
                _ => return Err(missing("test", "path", path)),
            },
        };
        if found.unwrap_or(&Value::Null) == wanted {
            return Ok(());
        }
        Err(format!("testing value {path} failed: test failed").into())
    }
}

fn missing(kind: &str, what: &str, path: &str) -> Fault {
    Fault::Fails(format!("{kind} operation does not apply: doc is missing {what}: {path:?}: missing value"))
}

fn within(kind: &str, path: &str, why: &str) -> Fault {
    Fault::Fails(format!("error in {kind} for path: '{path}': {why}"))
}

/// The decoded reference tokens of a JSON pointer: those that lead to the container, and the last one. None for the
/// whole document and for what is no pointer.
fn tokens(path: &str) -> Option<(Vec<String>, String)> {
    let mut tokens: Vec<String> =
        path.strip_prefix('/')?.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect();
    let last = tokens.pop()?;
    Some((tokens, last))
}

fn descend<'v>(root: &'v Value, tokens: &[String]) -> Option<&'v Value> {
    tokens.iter().try_fold(root, |value, token| match value {
        Value::Object(map) => map.get(token),
        Value::Array(items) => items.get(index(token, items.len()).ok()?),
        _ => None,
    })
}

fn descend_mut<'v>(root: &'v mut Value, tokens: &[String]) -> Option<&'v mut Value> {
    tokens.iter().try_fold(root, |value, token| match value {
        Value::Object(map) => map.get_mut(token),
        Value::Array(items) => {
            let at = index(token, items.len()).ok()?;
            items.get_mut(at)
        }
        _ => None,
    })
}

/// The position below `len` that a token names.
fn index(token: &str, len: usize) -> Result<usize, String> {
    let digits = token.strip_prefix('-').unwrap_or(token);
    let plain = digits == "0" || !digits.is_empty() && !digits.starts_with('0');
    let number = token.parse::<i64>().ok().filter(|_| plain && digits.bytes().all(|b| b.is_ascii_digit()));
    let Some(number) = number else {
        return Err(format!("value was not a proper array index: '{token}'"));
    };
    let from_start = if number < 0 { number.saturating_add_unsigned(len as u64) } else { number };
    usize::try_from(from_start)
        .ok()
        .filter(|at| *at < len)
        .ok_or_else(|| format!("Unable to access invalid index: {number}: invalid index referenced"))
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
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
        assert_eq!(apply(&object, &json!([{"op": "nop", "path": ""}])).unwrap_err().code(), 422);
        assert_eq!(apply(&object, &json!(["nop"])).unwrap_err().code(), 400);
    }

    /// Controllers add their first finalizer so: nothing there, then a list.
    #[test]
    fn a_test_for_null_passes_where_nothing_is() {
        let patch = json!([
            {"op": "test", "path": "/metadata/finalizers", "value": null},
            {"op": "add", "path": "/metadata/finalizers", "value": ["a"]},
        ]);
        assert!(apply(&json!({"metadata": {}}), &patch).is_ok());
        assert_eq!(apply(&json!({"metadata": {"finalizers": []}}), &patch).unwrap_err().code(), 422);
        assert_eq!(apply(&json!({}), &patch).unwrap_err().code(), 422);
    }

    #[test]
    fn failures_say_what_failed() {
        let object = json!({"data": {"k": "v"}, "list": [1]});
        for (operation, why) in [
            (
                json!({"op": "test", "path": "/data/k", "value": 1}),
                "testing value /data/k failed: test failed",
            ),
            (
                json!({"op": "remove", "path": "/data/x"}),
                "Unable to remove nonexistent key: x: missing value",
            ),
            (
                json!({"op": "add", "path": "/no/x", "value": 1}),
                "doc is missing path: \"/no/x\": missing value",
            ),
            (
                json!({"op": "replace", "path": "/data/x", "value": 1}),
                "doc is missing key: /data/x: missing value",
            ),
            (json!({"op": "add", "path": "/list/7", "value": 1}), "Unable to access invalid index: 7"),
            (json!({"op": "add", "path": "/list/01", "value": 1}), "not a proper array index: '01'"),
            (json!({"op": "move", "from": "/data", "path": "/data/k"}), "it lies below '/data'"),
            (json!({"op": "add", "path": "/x"}), "failed to decode value"),
            (json!({"op": "copy", "path": "/x"}), "failed to decode from"),
            (json!({"path": "/x"}), "Unexpected kind: unknown"),
        ] {
            let error = apply(&object, &json!([operation])).unwrap_err();
            assert_eq!(error.code(), 422, "{operation}");
            assert!(error.to_string().contains(why), "{operation}: {error}");
        }
        let last = apply(&object, &json!([{"op": "remove", "path": "/list/-1"}])).unwrap();
        assert_eq!(last["list"], json!([]));
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
