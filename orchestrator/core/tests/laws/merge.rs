//! JSON merge patch: the law of RFC 7386.

use crate::draw::{hold, small_json};
use peapod_core::patch::merge;
use proptest::prelude::*;
use serde_json::{Map, Value};

/// The patch that makes `new` of `old`; `new` holds no null.
fn difference(old: &Map<String, Value>, new: &Map<String, Value>) -> Value {
    let mut patch = Map::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        match (old.get(name), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                patch.insert(name.clone(), difference(old, new));
            }
            (before, value) if before != Some(value) => drop(patch.insert(name.clone(), value.clone())),
            _ => {}
        }
    }
    Value::Object(patch)
}

fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let kept = map.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect::<Map<_, _>>().into()
        }
        // What stands in a list is one value: nulls stay.
        other => other.clone(),
    }
}

#[test]
fn a_patch_that_is_a_difference_makes_the_target() {
    hold((small_json(), small_json()), |(old, new)| {
        let new = without_nulls(&new);
        let (Value::Object(before), Value::Object(after)) = (&old, &new) else { return Ok(()) };
        prop_assert_eq!(&merge::apply(&old, &difference(before, after)).unwrap(), &new);
        Ok(())
    });
}

#[test]
fn merging_again_changes_nothing() {
    hold((small_json(), small_json()), |(object, patch)| {
        let Ok(once) = merge::apply(&object, &patch) else {
            prop_assert!(!patch.is_object());
            return Ok(());
        };
        prop_assert_eq!(&merge::apply(&once, &patch).unwrap(), &once);
        Ok(())
    });
}
