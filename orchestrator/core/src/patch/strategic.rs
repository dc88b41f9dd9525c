//! Strategic merge patch: lists merge by the keys that the types publish, and directives say what merging cannot.

use crate::schema::{Field, FieldType, Type};
use peapod_api::Error;
use serde_json::{Map, Value};
use std::collections::HashMap;

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";

/// `object` of type `ty` with `patch` merged in. 400 if the patch is no object or a directive is malformed.
pub fn apply(ty: &Type, object: &Value, patch: &Value) -> Result<Value, Error> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(Error::bad_request("a strategic merge patch must be a JSON object"));
    };
    merge_object(object.clone(), patch.clone(), Schema::Object(ty)).map(Value::Object)
}

/// What is known of a value while it is merged.
#[derive(Clone, Copy)]
enum Schema<'a> {
    Object(&'a Type),
    Values(&'a FieldType),
    Unknown,
}

impl<'a> Schema<'a> {
    fn of(kind: &'a FieldType) -> Schema<'a> {
        match kind {
            FieldType::Object(reference) => Schema::Object(reference.get()),
            FieldType::Map(item) => Schema::Values(item),
            _ => Schema::Unknown,
        }
    }

    fn field(self, name: &str) -> Option<&'a Field> {
        match self {
            Schema::Object(ty) => ty.field(name),
            _ => None,
        }
    }

    fn below(self, name: &str) -> Schema<'a> {
        match self {
            Schema::Object(ty) => ty.field(name).map_or(Schema::Unknown, |field| Schema::of(&field.kind)),
            Schema::Values(item) => Schema::of(item),
            Schema::Unknown => Schema::Unknown,
        }
    }
}

type Object = Map<String, Value>;

fn merge_object(mut original: Object, mut patch: Object, schema: Schema<'_>) -> Result<Object, Error> {
    match directive(&mut patch)? {
        Directive::Replace => return Ok(plain_object(patch)),
        Directive::Delete => return Ok(Map::new()),
        Directive::Merge => {}
    }
    retain_keys(&mut original, &mut patch)?;
    delete_from_lists(&mut original, &mut patch)?;
    let orders = element_orders(&mut patch)?;
    let before: HashMap<String, Value> =
        orders.keys().filter_map(|name| Some((name.clone(), original.get(name)?.clone()))).collect();
    for (name, value) in patch {
        if value.is_null() {
            original.remove(&name);
            continue;
        }
        let merged = match original.remove(&name) {
            Some(old) => merge_value(old, value, schema.field(&name), schema.below(&name))?,
            None => plain(value),
        };
        original.insert(name, merged);
    }
    for (name, order) in orders {
        let key = schema.field(&name).and_then(|field| field.patch.key.as_deref());
        let old = before.get(&name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        if let Some(Value::Array(list)) = original.get_mut(&name) {
            *list = in_order(std::mem::take(list), &order, old, key);
        }
    }
    Ok(original)
}

fn merge_value(old: Value, new: Value, field: Option<&Field>, schema: Schema<'_>) -> Result<Value, Error> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            if field.is_some_and(|field| field.patch.replace) {
                return Ok(Value::Object(plain_object(new)));
            }
            merge_object(old, new, schema).map(Value::Object)
        }
        (Value::Array(old), Value::Array(new)) => {
            let items = field.filter(|field| field.patch.merge);
            let Some(field) = items else {
                return Ok(Value::Array(new.into_iter().filter_map(plain_item).collect()));
            };
            match &field.patch.key {
                Some(key) => merge_by_key(old, new, key, item_schema(&field.kind)),
                None => Ok(merge_scalars(old, new)),
            }
        }
        (_, new) => Ok(plain(new)),
    }
}

fn item_schema(kind: &FieldType) -> Schema<'_> {
    match kind {
        FieldType::List(item) => Schema::of(item),
        _ => Schema::Unknown,
    }
}

fn merge_scalars(old: Vec<Value>, new: Vec<Value>) -> Value {
    let mut seen = std::collections::HashSet::new();
    let merged: Vec<Value> =
        old.iter().chain(&new).filter(|item| seen.insert(item.to_string())).cloned().collect();
    Value::Array(in_order(merged, &new, &old, None))
}

fn merge_by_key(old: Vec<Value>, new: Vec<Value>, key: &str, schema: Schema<'_>) -> Result<Value, Error> {
    let mut merged: Vec<Option<Value>> = old.iter().cloned().map(Some).collect();
    let mut place: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, item) in old.iter().enumerate() {
        place.entry(identity(item, Some(key))).or_default().push(at);
    }
    let mut order = Vec::new();
    let mut replace = false;
    for item in new {
        let Value::Object(mut item) = item else {
            return Err(Error::bad_request(format!("the items of a list merged by {key:?} must be objects")));
        };
        let directive = directive(&mut item)?;
        if !item.contains_key(key) {
            match directive {
                Directive::Replace => replace = true,
                Directive::Merge if item.is_empty() => {}
                _ => {
                    let item = Value::Object(item);
                    let why = format!("map: {item} does not contain declared merge key: {key}");
                    return Err(Error::bad_request(why));
                }
            }
            continue;
        }
        let id = identity_of(&item, key);
        if directive == Directive::Delete {
            for at in place.remove(&id).unwrap_or_default() {
                merged[at] = None;
            }
            continue;
        }
        order.push(Value::Object(item.clone()));
        let at = place.get(&id).and_then(|places| places.first().copied());
        match at.and_then(|at| Some((at, merged[at].take()?))) {
            Some((at, Value::Object(base))) if directive == Directive::Merge => {
                merged[at] = Some(Value::Object(merge_object(base, item, schema)?));
            }
            Some((at, _)) => merged[at] = Some(Value::Object(plain_object(item))),
            None => {
                place.entry(id).or_default().push(merged.len());
                merged.push(Some(Value::Object(plain_object(item))));
            }
        }
    }
    if replace {
        return Ok(order.into_iter().map(plain).collect());
    }
    Ok(Value::Array(in_order(merged.into_iter().flatten().collect(), &order, &old, Some(key))))
}

/// What tells an item from the others: the value of its merge key, or the item itself.
fn identity(item: &Value, key: Option<&str>) -> String {
    match (key, item) {
        (Some(key), Value::Object(map)) => identity_of(map, key),
        _ => item.to_string(),
    }
}

fn identity_of(item: &Object, key: &str) -> String {
    item.get(key).unwrap_or(&Value::Null).to_string()
}

/// `list` with the items named in `order` in that order, and the others where they stood among them in `old`.
fn in_order(list: Vec<Value>, order: &[Value], old: &[Value], key: Option<&str>) -> Vec<Value> {
    let index = |items: &[Value]| {
        let mut index = HashMap::new();
        for (at, item) in items.iter().enumerate() {
            index.entry(identity(item, key)).or_insert(at);
        }
        index
    };
    let (wanted, stood) = (index(order), index(old));
    let (mut named, others): (Vec<_>, Vec<_>) = list
        .into_iter()
        .map(|item| (identity(&item, key), item))
        .partition(|(id, _)| wanted.contains_key(id));
    named.sort_by_key(|(id, _)| wanted[id]);
    let mut result = Vec::with_capacity(named.len() + others.len());
    let mut named = named.into_iter().peekable();
    for (id, item) in others {
        let comes_first = |named_id: &String| match (stood.get(&id), stood.get(named_id)) {
            (Some(other), Some(named)) => named < other,
            _ => true,
        };
        while let Some((_, next)) = named.next_if(|(named_id, _)| comes_first(named_id)) {
            result.push(next);
        }
        result.push(item);
    }
    result.extend(named.map(|(_, item)| item));
    result
}

#[derive(PartialEq, Clone, Copy)]
enum Directive {
    Merge,
    Replace,
    Delete,
}

fn directive(patch: &mut Object) -> Result<Directive, Error> {
    match patch.remove(DIRECTIVE) {
        None => Ok(Directive::Merge),
        Some(Value::String(text)) if text == "merge" => Ok(Directive::Merge),
        Some(Value::String(text)) if text == "replace" => Ok(Directive::Replace),
        Some(Value::String(text)) if text == "delete" => Ok(Directive::Delete),
        Some(other) => Err(Error::bad_request(format!("unknown patch directive {DIRECTIVE}: {other}"))),
    }
}

fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), Error> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let keys = list_of(RETAIN_KEYS, keys)?;
    let listed = |name: &str| keys.iter().any(|key| key.as_str() == Some(name));
    if let Some(stray) =
        patch.iter().find(|(name, value)| !name.starts_with('$') && !value.is_null() && !listed(name))
    {
        return Err(Error::bad_request(format!(
            "{RETAIN_KEYS} does not list {:?} that the patch sets",
            stray.0
        )));
    }
    original.retain(|name, _| listed(name));
    Ok(())
}

fn delete_from_lists(original: &mut Object, patch: &mut Object) -> Result<(), Error> {
    for (name, gone) in take_prefixed(patch, DELETE_FROM_LIST) {
        let gone = list_of(DELETE_FROM_LIST, gone)?;
        if let Some(Value::Array(items)) = original.get_mut(&name) {
            items.retain(|item| !gone.contains(item));
        }
    }
    Ok(())
}

fn element_orders(patch: &mut Object) -> Result<HashMap<String, Vec<Value>>, Error> {
    take_prefixed(patch, ELEMENT_ORDER)
        .into_iter()
        .map(|(name, order)| Ok((name, list_of(ELEMENT_ORDER, order)?)))
        .collect()
}

fn take_prefixed(patch: &mut Object, prefix: &str) -> Vec<(String, Value)> {
    let names: Vec<String> = patch.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
    names
        .into_iter()
        .filter_map(|name| Some((name[prefix.len()..].to_string(), patch.remove(&name)?)))
        .collect()
}

fn list_of(directive: &str, value: Value) -> Result<Vec<Value>, Error> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(Error::bad_request(format!("the directive {directive} must hold a list"))),
    }
}

/// A value of the patch that meets nothing in the original: without directives and nulls.
fn plain(value: Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(plain_object(map)),
        Value::Array(items) => Value::Array(items.into_iter().filter_map(plain_item).collect()),
        other => other,
    }
}

fn plain_item(item: Value) -> Option<Value> {
    match item {
        Value::Object(map) if map.contains_key(DIRECTIVE) => {
            let deleted = map[DIRECTIVE] == "delete";
            let map = plain_object(map);
            (!deleted && !map.is_empty()).then_some(Value::Object(map))
        }
        other => Some(plain(other)),
    }
}

fn plain_object(map: Object) -> Object {
    let is_directive = |name: &str| {
        name == DIRECTIVE
            || name == RETAIN_KEYS
            || name.starts_with(ELEMENT_ORDER)
            || name.starts_with(DELETE_FROM_LIST)
    };
    map.into_iter()
        .filter(|(name, value)| !value.is_null() && !is_directive(name))
        .map(|(name, value)| (name, plain(value)))
        .collect()
}

#[cfg(test)]
pub(crate) mod tests;
