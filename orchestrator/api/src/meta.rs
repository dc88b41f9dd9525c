//! Small readers over an object's JSON that every part needs.

use jiff::Timestamp;
use serde_json::Value;

/// The string at a dotted path (`spec.nodeName`), if it is there and a string.
pub fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    at(value, path)?.as_str()
}

/// The value at a dotted path; keys that hold dots cannot be named.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |v, key| v.get(key))
}

/// The items of a list; none for anything else.
pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A timestamp as Kubernetes writes `metav1.Time`: RFC 3339 in UTC, whole seconds.
pub fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// A timestamp as Kubernetes writes `metav1.MicroTime`.
pub fn micro_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// Reads either of the two.
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Appends a condition or updates the one of the same type in `conditions`; `lastTransitionTime` moves only when the
/// status does. `condition` holds at least `type` and `status`.
pub fn set_condition(conditions: &mut Vec<Value>, mut condition: Value, now: Timestamp) {
    let same_type = |c: &&mut Value| c["type"] == condition["type"];
    let Some(old) = conditions.iter_mut().find(same_type) else {
        condition["lastTransitionTime"] = time(now).into();
        conditions.push(condition);
        return;
    };
    condition["lastTransitionTime"] = if old["status"] == condition["status"] {
        old["lastTransitionTime"].clone()
    } else {
        time(now).into()
    };
    *old = condition;
}

/// Whether `object.status.conditions` holds `type_` with status True.
pub fn condition_is_true(object: &Value, type_: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    conditions.is_some_and(|list| list.iter().any(|c| c["type"] == type_ && c["status"] == "True"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_keeps_its_transition_time_while_its_status_stays() {
        let (first, later) = (Timestamp::from_second(10).unwrap(), Timestamp::from_second(20).unwrap());
        let mut list = Vec::new();
        set_condition(&mut list, json!({"type": "Ready", "status": "False"}), first);
        set_condition(&mut list, json!({"type": "Ready", "status": "False", "reason": "x"}), later);
        assert_eq!(list[0]["lastTransitionTime"], "1970-01-01T00:00:10Z");
        set_condition(&mut list, json!({"type": "Ready", "status": "True"}), later);
        assert_eq!(list[0]["lastTransitionTime"], "1970-01-01T00:00:20Z");
    }
}
