//! Sets of fields, as `managedFields` holds them in its FieldsV1 format.
//!
//! A path is a sequence of elements: `f:NAME` a field or map key, `k:{"KEY":VALUE}` an item of a list by its keys,
//! `v:VALUE` an item of a set. An element that has elements below it and is in the set itself holds a `.`.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A set of fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    /// The path that leads here is in the set.
    pub(crate) owned: bool,
    /// What lies below, by element.
    pub(crate) children: BTreeMap<String, FieldSet>,
}

impl FieldSet {
    /// The set of only the path that leads here.
    pub(crate) fn leaf() -> FieldSet {
        FieldSet { owned: true, children: BTreeMap::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        !self.owned && self.children.is_empty()
    }

    /// Puts `child` at `element` unless it is empty.
    pub(crate) fn insert(&mut self, element: String, child: FieldSet) {
        if !child.is_empty() {
            self.children.insert(element, child);
        }
    }

    /// Everything in either set.
    pub(crate) fn union(mut self, other: &FieldSet) -> FieldSet {
        self.owned |= other.owned;
        for (element, child) in &other.children {
            let mine = self.children.remove(element).unwrap_or_default();
            self.children.insert(element.clone(), mine.union(child));
        }
        self
    }

    /// What is in this set and in `other`.
    pub(crate) fn intersection(&self, other: &FieldSet) -> FieldSet {
        let mut both = FieldSet { owned: self.owned && other.owned, children: BTreeMap::new() };
        for (element, child) in &self.children {
            if let Some(theirs) = other.children.get(element) {
                both.insert(element.clone(), child.intersection(theirs));
            }
        }
        both
    }

    /// What is in this set and not in `other`.
    pub(crate) fn difference(&self, other: &FieldSet) -> FieldSet {
        let mut rest = FieldSet { owned: self.owned && !other.owned, children: BTreeMap::new() };
        for (element, child) in &self.children {
            match other.children.get(element) {
                Some(theirs) => rest.insert(element.clone(), child.difference(theirs)),
                None => rest.insert(element.clone(), child.clone()),
            }
        }
        rest
    }

    /// Removes what lies at and below a path of field names.
    pub(crate) fn remove(&mut self, path: &[&str]) {
        let [first, rest @ ..] = path else { return };
        let element = format!("f:{first}");
        if rest.is_empty() {
            self.children.remove(&element);
        } else if let Some(child) = self.children.get_mut(&element) {
            child.remove(rest);
            if child.is_empty() {
                self.children.remove(&element);
            }
        }
    }

    /// Every path in the set as Kubernetes prints it: `.spec.containers[name="a"].image`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut found = Vec::new();
        self.collect_paths(&mut String::new(), &mut found);
        found
    }

    fn collect_paths(&self, path: &mut String, found: &mut Vec<String>) {
        if self.owned {
            found.push(path.clone());
        }
        for (element, child) in &self.children {
            let before = path.len();
            path.push_str(&printed(element));
            child.collect_paths(path, found);
            path.truncate(before);
        }
    }

    /// The FieldsV1 form.
    pub(crate) fn to_value(&self) -> Value {
        let mut map = Map::new();
        if self.owned && !self.children.is_empty() {
            map.insert(".".into(), Value::Object(Map::new()));
        }
        for (element, child) in &self.children {
            map.insert(element.clone(), child.to_value());
        }
        Value::Object(map)
    }

    /// Reads the FieldsV1 form; None if it is malformed.
    pub(crate) fn from_value(value: &Value) -> Option<FieldSet> {
        let mut set = FieldSet::default();
        for (element, below) in value.as_object()? {
            if element == "." {
                set.owned = true;
                continue;
            }
            let mut child = FieldSet::from_value(below)?;
            child.owned |= below.as_object().is_some_and(Map::is_empty);
            set.insert(canonical(element)?, child);
        }
        Some(set)
    }
}

/// The element of a map key or field.
pub(crate) fn field_element(name: &str) -> String {
    format!("f:{name}")
}

/// The element of an item with these keys, which are sorted by name.
pub(crate) fn key_element(keys: &BTreeMap<&str, Value>) -> String {
    let pairs: Vec<String> =
        keys.iter().map(|(key, value)| format!("{}:{value}", Value::from(*key))).collect();
    format!("k:{{{}}}", pairs.join(","))
}

/// The element of an item of a set.
pub(crate) fn value_element(value: &Value) -> String {
    format!("v:{value}")
}

fn canonical(element: &str) -> Option<String> {
    let (prefix, rest) = element.split_once(':')?;
    match prefix {
        "f" | "i" => Some(element.into()),
        "v" => Some(value_element(&serde_json::from_str(rest).ok()?)),
        "k" => {
            let keys: BTreeMap<String, Value> = serde_json::from_str(rest).ok()?;
            Some(key_element(&keys.iter().map(|(key, value)| (key.as_str(), value.clone())).collect()))
        }
        _ => None,
    }
}

/// The element as Kubernetes prints it in a path.
pub(super) fn printed(element: &str) -> String {
    match element.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("k", keys)) => {
            let keys: BTreeMap<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let pairs: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", pairs.join(","))
        }
        Some(("v", value)) => format!("[={value}]"),
        Some((_, rest)) => format!("[{rest}]"),
        None => element.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn set(value: Value) -> FieldSet {
        FieldSet::from_value(&value).unwrap()
    }

    #[test]
    fn reads_and_writes_the_published_form() {
        let value = json!({"f:spec": {
            "f:ports": {".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}}},
            "f:finalizers": {"v:\"a\"": {}},
        }});
        assert_eq!(set(value.clone()).to_value(), value);
        assert_eq!(
            set(value).paths(),
            [
                ".spec.finalizers[=\"a\"]",
                ".spec.ports",
                ".spec.ports[containerPort=80,protocol=\"TCP\"]",
                ".spec.ports[containerPort=80,protocol=\"TCP\"].name",
            ]
        );
        assert_eq!(FieldSet::from_value(&json!({"x": 1})), None);
        assert_eq!(FieldSet::from_value(&json!({"k:{": {}})), None);
    }

    #[test]
    fn set_algebra_keeps_owned_inner_nodes_apart() {
        let a = set(json!({"f:a": {".": {}, "f:x": {}, "f:y": {}}, "f:b": {}}));
        let b = set(json!({"f:a": {"f:x": {}}, "f:c": {}}));
        assert_eq!(a.difference(&b).to_value(), json!({"f:a": {".": {}, "f:y": {}}, "f:b": {}}));
        assert_eq!(a.intersection(&b).to_value(), json!({"f:a": {"f:x": {}}}));
        assert_eq!(b.clone().union(&a).difference(&a).to_value(), json!({"f:c": {}}));
        let mut c = b;
        c.remove(&["a", "x"]);
        assert_eq!(c.to_value(), json!({"f:c": {}}));
    }
}
