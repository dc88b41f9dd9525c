//! Values seen through their types: what is one value, what merges, and which fields differ between two objects.

use super::field_set::{FieldSet, field_element, key_element, value_element};
use crate::schema::{Field, FieldType, ListType, Type};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// How a value is taken apart.
#[derive(Clone, Copy)]
pub(crate) enum Shape<'a> {
    /// One value.
    Leaf,
    /// An object of a type.
    Object(&'a Type),
    /// An object with arbitrary keys.
    Map(&'a FieldType),
    /// A list whose items are values of their own.
    Set,
    /// A list of objects identified by keys.
    Keyed(&'a [String], &'a Type),
    /// Below a field that no type describes: objects are taken apart, everything else is one value.
    Unknown,
}

impl<'a> Shape<'a> {
    pub(super) fn of_field(field: &'a Field) -> Shape<'a> {
        match (&field.kind, &field.list) {
            (FieldType::Object(_) | FieldType::Map(_), _) if field.atomic => Shape::Leaf,
            (FieldType::Object(reference), _) => Shape::Object(reference.get()),
            (FieldType::Map(item), _) => Shape::Map(item),
            (FieldType::List(_), ListType::Set) => Shape::Set,
            (FieldType::List(item), ListType::Map(keys)) => match item.object() {
                Some(ty) => Shape::Keyed(keys, ty),
                None => Shape::Leaf,
            },
            _ => Shape::Leaf,
        }
    }

    fn of_item(kind: &'a FieldType) -> Shape<'a> {
        match kind {
            FieldType::Object(reference) if !reference.get().atomic => Shape::Object(reference.get()),
            FieldType::Map(item) => Shape::Map(item),
            _ => Shape::Leaf,
        }
    }

    fn of_type(ty: &'a Type) -> Shape<'a> {
        if ty.atomic { Shape::Leaf } else { Shape::Object(ty) }
    }

    /// The shape of the field or key `name`.
    fn below(self, name: &str) -> Shape<'a> {
        match self {
            Shape::Object(ty) => match ty.field(name) {
                Some(field) => Shape::of_field(field),
                None if ty.open => Shape::Unknown,
                None => Shape::Leaf,
            },
            Shape::Map(item) => Shape::of_item(item),
            Shape::Unknown => Shape::Unknown,
            Shape::Leaf | Shape::Set | Shape::Keyed(..) => Shape::Leaf,
        }
    }

    /// The shape of the items of the list.
    fn items(self) -> Shape<'a> {
        match self {
            Shape::Keyed(_, ty) => Shape::of_type(ty),
            _ => Shape::Leaf,
        }
    }

    pub(super) fn is_list(self) -> bool {
        matches!(self, Shape::Set | Shape::Keyed(..))
    }

    fn is_object(self) -> bool {
        matches!(self, Shape::Object(_) | Shape::Map(_) | Shape::Unknown)
    }

    /// The element that names `item` in this list; None for an item without keys.
    pub(super) fn element(self, item: &Value) -> Option<String> {
        match self {
            Shape::Set => Some(value_element(item)),
            Shape::Keyed(keys, ty) => {
                let default = |key: &str| ty.field(key).and_then(|field| field.default.clone());
                let found: BTreeMap<&str, Value> = keys
                    .iter()
                    .filter_map(|key| Some((key.as_str(), item.get(key).cloned().or_else(|| default(key))?)))
                    .collect();
                (item.is_object() && !found.is_empty()).then(|| key_element(&found))
            }
            _ => None,
        }
    }

    /// Whether `name` is one of the keys that identify an item.
    fn is_key(self, name: &str) -> bool {
        matches!(self, Shape::Keyed(keys, _) if keys.iter().any(|key| key == name))
    }
}

/// Which fields differ between two objects.
#[derive(Default, Debug, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) added: FieldSet,
    pub(crate) modified: FieldSet,
    pub(crate) removed: FieldSet,
}

impl Comparison {
    pub(crate) fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    fn insert(&mut self, element: String, below: Comparison) {
        self.added.insert(element.clone(), below.added);
        self.modified.insert(element.clone(), below.modified);
        self.removed.insert(element, below.removed);
    }
}

/// What changes from `old` to `new`, both of type `ty`.
pub(crate) fn compare(ty: &Type, old: &Value, new: &Value) -> Comparison {
    compare_values(Shape::Object(ty), Some(old), Some(new))
}

fn compare_values(shape: Shape<'_>, old: Option<&Value>, new: Option<&Value>) -> Comparison {
    let mut found = Comparison::default();
    let both_empty = old.is_none_or(is_empty) && new.is_none_or(is_empty);
    let fits = |value: Option<&Value>| value.is_none_or(|value| value.is_null() || shape_fits(shape, value));
    if matches!(shape, Shape::Leaf) || both_empty || !fits(old) || !fits(new) {
        match (old, new) {
            (None, Some(_)) => found.added.owned = true,
            (Some(_), None) => found.removed.owned = true,
            (old, new) => found.modified.owned = old != new,
        }
        return found;
    }
    if shape.is_list() {
        compare_lists(shape, old, new, &mut found);
    } else {
        compare_objects(shape, old, new, &mut found);
    }
    found.added.owned = old.is_none();
    found.removed.owned = new.is_none();
    found
}

fn compare_objects<'v>(
    shape: Shape<'_>,
    old: Option<&'v Value>,
    new: Option<&'v Value>,
    found: &mut Comparison,
) {
    let (old, new) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
    let names: BTreeSet<&String> = old.into_iter().chain(new).flat_map(Map::keys).collect();
    for name in names {
        // A list or map that is always written counts as there, and empty.
        let stand_in = match shape {
            Shape::Object(ty) => ty.field(name).filter(|field| is_always_there(field)).map(|_| &Value::Null),
            _ => None,
        };
        let of = |map: Option<&'v Map<String, Value>>| map.and_then(|map| map.get(name)).or(stand_in);
        found.insert(field_element(name), compare_values(shape.below(name), of(old), of(new)));
    }
}

fn compare_lists(shape: Shape<'_>, old: Option<&Value>, new: Option<&Value>, found: &mut Comparison) {
    let (old, new) = (by_element(shape, old), by_element(shape, new));
    let elements: HashSet<&String> = old.keys().chain(new.keys()).collect();
    for element in elements {
        let below = match (old.get(element).map(Vec::as_slice), new.get(element).map(Vec::as_slice)) {
            (Some([old]), Some([new])) => compare_values(shape.items(), Some(old), Some(new)),
            (None, Some([new])) => compare_values(shape.items(), None, Some(new)),
            (Some([old]), None) => compare_values(shape.items(), Some(old), None),
            (old, new) => {
                let mut below = Comparison::default();
                below.added.owned = old.is_none();
                below.removed.owned = new.is_none();
                below.modified.owned = old.is_some() && new.is_some() && old != new;
                below
            }
        };
        found.insert(element.clone(), below);
    }
}

fn by_element<'v>(shape: Shape<'_>, list: Option<&'v Value>) -> HashMap<String, Vec<&'v Value>> {
    let mut found: HashMap<String, Vec<&Value>> = HashMap::new();
    for item in list.and_then(Value::as_array).into_iter().flatten() {
        if let Some(element) = shape.element(item) {
            found.entry(element).or_default().push(item);
        }
    }
    found
}

fn is_always_there(field: &Field) -> bool {
    matches!(field.kind, FieldType::List(_) | FieldType::Map(_)) && !field.omit_empty && !field.pointer
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn shape_fits(shape: Shape<'_>, value: &Value) -> bool {
    shape.is_object() && value.is_object() || shape.is_list() && value.is_array()
}

/// The fields that an applied configuration sets.
pub(crate) fn fields_of(ty: &Type, value: &Value) -> FieldSet {
    fields_below(Shape::Object(ty), value)
}

fn fields_below(shape: Shape<'_>, value: &Value) -> FieldSet {
    if !shape_fits(shape, value) {
        return FieldSet::leaf();
    }
    let mut set = FieldSet::default();
    match value {
        Value::Array(items) => {
            for item in items {
                if let Some(element) = shape.element(item) {
                    let mut below = fields_below(shape.items(), item);
                    below.owned = true;
                    set.insert(element, below);
                }
            }
        }
        Value::Object(map) => {
            for (name, value) in map {
                let mut below = fields_below(shape.below(name), value);
                let named = matches!(shape, Shape::Object(ty) if ty.field(name).is_some());
                below.owned |= !named || value.as_object().is_some_and(Map::is_empty);
                set.insert(field_element(name), below);
            }
        }
        _ => {}
    }
    set
}

/// `live` with `config` merged in: its values win, its items come in its order, what it does not name stays.
pub(crate) fn merge(ty: &Type, live: &Value, config: &Value) -> Value {
    merge_values(Shape::Object(ty), Some(live), config)
}

fn merge_values(shape: Shape<'_>, live: Option<&Value>, config: &Value) -> Value {
    let live = live.filter(|live| shape_fits(shape, live));
    match (config, live) {
        (Value::Object(config), live) if shape.is_object() => {
            let mut merged = live.and_then(Value::as_object).cloned().unwrap_or_default();
            for (name, value) in config {
                let value = merge_values(shape.below(name), merged.get(name), value);
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(config), Some(Value::Array(live))) if shape.is_list() => {
            Value::Array(merge_lists(shape, live, config))
        }
        _ => config.clone(),
    }
}

/// The items of `config` in their order; before each the live items that it does not name and that stood before it.
fn merge_lists(shape: Shape<'_>, live: &[Value], config: &[Value]) -> Vec<Value> {
    let elements = |items: &[Value]| items.iter().map(|item| shape.element(item)).collect::<Vec<_>>();
    let (live_elements, config_elements) = (elements(live), elements(config));
    let named: HashSet<&String> = config_elements.iter().flatten().collect();
    let mut place: HashMap<&String, usize> = HashMap::new();
    for (at, element) in live_elements.iter().enumerate() {
        if let Some(element) = element {
            place.entry(element).or_insert(at);
        }
    }
    let is_free = |at: usize| live_elements[at].as_ref().is_none_or(|element| !named.contains(element));
    let mut merged = Vec::with_capacity(live.len() + config.len());
    let mut next = 0;
    for (item, element) in config.iter().zip(&config_elements) {
        let stood = element.as_ref().and_then(|element| place.get(element)).copied();
        if let Some(stood) = stood {
            while next < stood {
                if is_free(next) {
                    merged.push(live[next].clone());
                }
                next += 1;
            }
        }
        merged.push(merge_values(shape.items(), stood.map(|stood| &live[stood]), item));
    }
    merged.extend((next..live.len()).filter(|at| is_free(*at)).map(|at| live[at].clone()));
    merged
}

/// Removes from `value` what is in `gone`, except what is in `kept` or has something in `kept` below it.
pub(crate) fn remove(ty: &Type, value: &mut Value, gone: &FieldSet, kept: &FieldSet) {
    remove_below(Shape::Object(ty), value, gone, kept);
}

fn remove_below(shape: Shape<'_>, value: &mut Value, gone: &FieldSet, kept: &FieldSet) {
    if !shape_fits(shape, value) {
        return;
    }
    let nothing = FieldSet::default();
    // True if the child is to go as a whole; what remains of it otherwise has been cleaned.
    let goes = |element: &str, shape: Shape<'_>, child: &mut Value| {
        let Some(gone) = gone.children.get(element) else { return false };
        let kept = kept.children.get(element);
        if gone.owned && kept.is_none() {
            return true;
        }
        let was_empty = is_empty(child);
        remove_below(shape, child, gone, kept.unwrap_or(&nothing));
        !was_empty && is_empty(child) && kept.is_none()
    };
    match value {
        Value::Object(map) => {
            map.retain(|name, child| !goes(&field_element(name), shape.below(name), child));
        }
        Value::Array(items) => items.retain_mut(|item| {
            let Some(element) = shape.element(item) else { return true };
            let keys = keys_of(shape, item);
            let goes = goes(&element, shape.items(), item);
            if !goes && let Value::Object(map) = item {
                map.extend(keys);
            }
            !goes
        }),
        _ => {}
    }
}

/// The identifying keys of an item, which stay for as long as the item does.
fn keys_of(shape: Shape<'_>, item: &Value) -> Vec<(String, Value)> {
    let Value::Object(map) = item else { return Vec::new() };
    map.iter()
        .filter(|(name, _)| shape.is_key(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
