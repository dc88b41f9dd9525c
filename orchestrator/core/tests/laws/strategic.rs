//! Strategic merge patch: the patch that is the difference of two objects makes the one of the other.

use crate::draw::{hold, objects, variant};
use peapod_core::patch::strategic;
use peapod_core::schema::{Field, FieldType, Type, lookup_kind};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

type Object = Map<String, Value>;

fn below(field: Option<&Field>) -> Option<&Type> {
    match field.map(|field| &field.kind) {
        Some(FieldType::Object(reference)) => Some(reference.get()),
        Some(FieldType::List(item)) => match &**item {
            FieldType::Object(reference) => Some(reference.get()),
            _ => None,
        },
        _ => None,
    }
}

/// The two-way patch, as clients make it.
fn difference(ty: Option<&Type>, old: &Object, new: &Object) -> Object {
    let mut patch = Object::new();
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    for (name, value) in new {
        let field = ty.and_then(|ty| ty.field(name));
        let merges = field.is_some_and(|field| field.patch.merge);
        match (old.get(name), value) {
            (Some(old), new) if old == new => {}
            (Some(Value::Object(old)), Value::Object(new))
                if !field.is_some_and(|field| field.patch.replace) =>
            {
                patch.insert(name.clone(), difference(below(field), old, new).into());
            }
            (Some(Value::Array(old)), Value::Array(new)) if merges => {
                let key = field.and_then(|field| field.patch.key.as_deref());
                patch.append(&mut of_lists(name, key, below(field), old, new));
            }
            (_, new) => drop(patch.insert(name.clone(), new.clone())),
        }
    }
    patch
}

fn of_lists(name: &str, key: Option<&str>, ty: Option<&Type>, old: &[Value], new: &[Value]) -> Object {
    let mut patch = Object::new();
    let Some(key) = key else {
        let gone: Vec<&Value> = old.iter().filter(|item| !new.contains(item)).collect();
        let come: Vec<&Value> = new.iter().filter(|item| !old.contains(item)).collect();
        patch.insert(format!("$deleteFromPrimitiveList/{name}"), json!(gone));
        patch.insert(format!("$setElementOrder/{name}"), json!(new));
        patch.insert(name.into(), json!(come));
        return patch;
    };
    let same = |item: &&Value, other: &Value| item[key] == other[key];
    let mut items: Vec<Value> = Vec::new();
    for item in new {
        match old.iter().find(|old| same(old, item)) {
            Some(old) if old == item => {}
            Some(old) => {
                let mut change = difference(ty, old.as_object().unwrap(), item.as_object().unwrap());
                change.insert(key.into(), item[key].clone());
                items.push(change.into());
            }
            None => items.push(item.clone()),
        }
    }
    for item in old.iter().filter(|old| !new.iter().any(|new| same(old, new))) {
        items.push(json!({"$patch": "delete", key: item[key]}));
    }
    let order: Vec<Value> = new.iter().map(|item| json!({key: item[key]})).collect();
    patch.insert(format!("$setElementOrder/{name}"), order.into());
    patch.insert(name.into(), items.into());
    patch
}

#[test]
fn a_patch_that_is_a_difference_makes_the_target() {
    for (api_version, kind) in [("apps/v1", "Deployment"), ("v1", "Pod"), ("v1", "Service")] {
        let ty = lookup_kind(api_version, kind).unwrap();
        let object = objects(kind).remove(0);
        hold(any::<(u64, u64)>(), |(first, second)| {
            let (old, new) = (variant(&object, first), variant(&object, second));
            let patch = difference(Some(ty), old.as_object().unwrap(), new.as_object().unwrap());
            let patched = strategic::apply(ty, &old, &patch.clone().into());
            prop_assert_eq!(patched.as_ref().ok(), Some(&new), "{}: {}", old, Value::from(patch));
            Ok(())
        });
    }
}
