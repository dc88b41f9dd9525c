//! Objects as they are kept: JSON bytes plus a [`Header`] that is extracted once.

use crate::kind::Kind;
use crate::meta;
use crate::pod::{self, Resources};
use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where an object is stored: `RESOURCE/NAMESPACE/NAME`, e.g. `deployments.apps/default/web` or `nodes//edge-1`.
/// Keys order as strings, so one resource, or one namespace of it, is one range.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(Arc<str>);

impl Key {
    /// `namespace` is empty for a cluster-wide kind.
    pub fn new(resource: &str, namespace: &str, name: &str) -> Key {
        Key(format!("{resource}/{namespace}/{name}").into())
    }

    /// Reads a stored key; none if it has not three parts.
    pub fn parse(text: &str) -> Option<Key> {
        (text.split('/').count() == 3).then(|| Key(text.into()))
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn part(&self, index: usize) -> &str {
        self.0.split('/').nth(index).unwrap_or_default()
    }

    /// `pods`, `deployments.apps`.
    pub fn resource(&self) -> &str {
        self.part(0)
    }

    /// Empty for a cluster-wide kind.
    pub fn namespace(&self) -> &str {
        self.part(1)
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.part(2)
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// One entry of `metadata.ownerReferences`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// `apiVersion` of the owner.
    pub api_version: Box<str>,
    /// Kind of the owner, e.g. `ReplicaSet`.
    pub kind: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its uid.
    pub uid: Arc<str>,
    /// Whether it is the managing controller.
    pub controller: bool,
    /// Whether foreground deletion of the owner waits for this object.
    pub blocks_deletion: bool,
}

/// What selectors, indexes, the scheduler and most Tables need of an object.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// `metadata.uid`.
    pub uid: Arc<str>,
    /// `metadata.labels`.
    pub labels: Arc<BTreeMap<String, String>>,
    /// `metadata.ownerReferences`.
    pub owners: Vec<Owner>,
    /// `metadata.generation`, 0 where absent.
    pub generation: i64,
    /// `metadata.creationTimestamp`.
    pub created: Option<Timestamp>,
    /// `metadata.deletionTimestamp`.
    pub deleted: Option<Timestamp>,
    /// `metadata.finalizers`.
    pub finalizers: Vec<Box<str>>,
    /// `spec.nodeName`, for pods.
    pub node: Option<Arc<str>>,
    /// `status.phase`.
    pub phase: Option<Box<str>>,
    /// Values of the kind's selectable fields, in the row's order.
    pub fields: Box<[(Box<str>, Box<str>)]>,
    /// What a pod asks of a node; zero for other kinds.
    pub requests: Resources,
    /// Since when a pod's Ready condition is true; none while it is not, and for other kinds.
    pub ready_since: Option<Timestamp>,
    /// A Service's `spec.selector`; none for one without, and for other kinds.
    pub selector: Option<Arc<BTreeMap<String, String>>>,
}

impl Header {
    /// Reads the header of `object`, of kind `kind`.
    pub fn extract(kind: &Kind, object: &Value) -> Header {
        let metadata = &object["metadata"];
        let is_core = |plural: &str| kind.group.is_empty() && kind.plural == plural;
        let is_pod = is_core("pods");
        let selector =
            object["spec"]["selector"].as_object().filter(|s| is_core("services") && !s.is_empty());
        let text = |path| meta::text(object, path);
        Header {
            uid: metadata["uid"].as_str().unwrap_or_default().into(),
            labels: Arc::new(labels(&metadata["labels"])),
            owners: metadata["ownerReferences"]
                .as_array()
                .map(|l| l.iter().map(owner).collect())
                .unwrap_or_default(),
            generation: metadata["generation"].as_i64().unwrap_or_default(),
            created: text("metadata.creationTimestamp").and_then(meta::parse_time),
            deleted: text("metadata.deletionTimestamp").and_then(meta::parse_time),
            finalizers: strings(&metadata["finalizers"]).map(Into::into).collect(),
            node: text("spec.nodeName").filter(|n| is_pod && !n.is_empty()).map(Into::into),
            phase: text("status.phase").map(Into::into),
            fields: kind.fields.iter().map(|path| (Box::from(&**path), field(object, path))).collect(),
            requests: if is_pod { pod::requests(&object["spec"]) } else { Resources::default() },
            ready_since: if is_pod { pod::ready_since(object) } else { None },
            selector: selector.map(|_| Arc::new(labels(&object["spec"]["selector"]))),
        }
    }

    /// The managing controller, if there is one.
    pub fn controller(&self) -> Option<&Owner> {
        self.owners.iter().find(|owner| owner.controller)
    }
}

/// `metadata.labels` or any other map of strings; entries that are no strings are left out.
pub fn labels(value: &Value) -> BTreeMap<String, String> {
    let entries = value.as_object().into_iter().flatten();
    entries.filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_string()))).collect()
}

fn strings(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str)
}

fn field(object: &Value, path: &str) -> Box<str> {
    match meta::at(object, path) {
        Some(Value::String(s)) => s.as_str().into(),
        Some(Value::Null) | None => "".into(),
        Some(other) => other.to_string().into(),
    }
}

fn owner(value: &Value) -> Owner {
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    Owner {
        api_version: text("apiVersion").into(),
        kind: text("kind").into(),
        name: text("name").into(),
        uid: text("uid").into(),
        controller: value["controller"] == true,
        blocks_deletion: value["blockOwnerDeletion"] == true,
    }
}

/// What the stored bytes begin with: metadata comes first so that the revision has a fixed place.
const HEAD: &[u8] = b"{\"metadata\":{";
/// Where the metadata's own brace is.
const METADATA_AT: usize = HEAD.len() - 1;

/// An object that has no revision yet: what is handed to the store.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Where it goes.
    pub key: Key,
    /// Extracted from the same value as the bytes.
    pub header: Header,
    json: Bytes,
    /// How many bytes of `json` come after the metadata.
    rest_bytes: usize,
}

impl Draft {
    /// Serialises `object` without its `metadata.resourceVersion`, which the store gives. `object.metadata` must be a
    /// map that is not empty once the resourceVersion is gone, as every named object's is.
    pub fn new(kind: &Kind, key: Key, mut object: Value) -> Draft {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.remove("resourceVersion");
        }
        let header = Header::extract(kind, &object);
        let (json, rest_bytes) = metadata_first(&object);
        Draft { key, header, json: json.into(), rest_bytes }
    }

    /// Reads back what [`Draft::json`] gave. Errors: the bytes are no such JSON.
    pub fn from_stored(kind: &Kind, key: Key, json: Bytes) -> Result<Draft, serde_json::Error> {
        let object: Value = serde_json::from_slice(&json)?;
        if json.starts_with(HEAD) {
            let metadata: &RawValue = serde_json::Deserializer::from_slice(&json[METADATA_AT..])
                .into_iter()
                .next()
                .transpose()?
                .unwrap_or(RawValue::NULL);
            let rest_bytes = json.len() - METADATA_AT - metadata.get().len();
            return Ok(Draft { key, header: Header::extract(kind, &object), json, rest_bytes });
        }
        Ok(Draft::new(kind, key, object))
    }

    /// The bytes to store.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// The object at the revision that the store gave it.
    pub fn at(self, revision: u64) -> Object {
        let json = with_revision(revision, &self.json[HEAD.len()..]);
        Object { key: self.key, revision, header: self.header, json, rest_bytes: self.rest_bytes }
    }

    /// Whether storing this over `object` would change nothing.
    pub fn is_unchanged(&self, object: &Object) -> bool {
        self.key == object.key && self.json[HEAD.len()..] == *object.after_revision()
    }
}

fn version_field(revision: u64) -> String {
    format!("\"resourceVersion\":\"{revision}\",")
}

fn with_revision(revision: u64, rest: &[u8]) -> Bytes {
    [HEAD, version_field(revision).as_bytes(), rest].concat().into()
}

/// The stored form, and how many bytes of it come after the metadata.
fn metadata_first(object: &Value) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(1024);
    let empty = Map::new();
    let fields = object.as_object().unwrap_or(&empty);
    let metadata = fields.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    out.extend_from_slice(b"{\"metadata\":");
    write_json(&mut out, &metadata);
    let rest_at = out.len();
    for (name, value) in fields.iter().filter(|(name, _)| *name != "metadata") {
        out.push(b',');
        write_json(&mut out, &Value::String(name.clone()));
        out.push(b':');
        write_json(&mut out, value);
    }
    out.push(b'}');
    let rest_bytes = out.len() - rest_at;
    (out, rest_bytes)
}

fn write_json(out: &mut Vec<u8>, value: &Value) {
    serde_json::to_writer(out, value).expect("a Value always serialises into memory");
}

/// A committed object.
#[derive(Clone, Debug)]
pub struct Object {
    /// Where it is stored.
    pub key: Key,
    /// The revision of its last change: `metadata.resourceVersion`.
    pub revision: u64,
    /// Its header.
    pub header: Header,
    json: Bytes,
    /// How many bytes of `json` come after the metadata.
    rest_bytes: usize,
}

impl Object {
    /// The whole object as JSON, resourceVersion included.
    pub fn json(&self) -> &Bytes {
        &self.json
    }

    /// Its `metadata` as JSON, resourceVersion included.
    pub fn metadata_json(&self) -> &[u8] {
        &self.json[METADATA_AT..self.rest_at()]
    }

    /// What the JSON says after the metadata: `,"spec":{...}}`, or just `}`.
    pub fn rest_json(&self) -> &[u8] {
        &self.json[self.rest_at()..]
    }

    fn rest_at(&self) -> usize {
        self.json.len() - self.rest_bytes
    }

    /// The same object as it was seen at a later revision: what DELETED events carry.
    pub fn at_revision(&self, revision: u64) -> Object {
        let json = with_revision(revision, self.after_revision());
        Object { revision, json, ..self.clone() }
    }

    /// The same object with the header that `kind` extracts.
    pub fn with_header_of(&self, kind: &Kind) -> Object {
        Object { header: Header::extract(kind, &self.value()), ..self.clone() }
    }

    fn after_revision(&self) -> &[u8] {
        &self.json[HEAD.len() + version_field(self.revision).len()..]
    }

    /// Decodes it into a tree; null if the stored bytes are damaged, which the store's check at load excludes.
    pub fn value(&self) -> Value {
        serde_json::from_slice(&self.json).unwrap_or_default()
    }

    /// Decodes it into a typed object. Errors: the JSON does not fit the type.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.json)
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        self.key.name()
    }

    /// `metadata.namespace`, empty for cluster-wide kinds.
    pub fn namespace(&self) -> &str {
        self.key.namespace()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;
    use serde_json::json;

    fn pod() -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": "n1", "containers": []},
            "metadata": {"name": "a", "namespace": "b", "uid": "u", "labels": {"app": "x"}, "resourceVersion": "7"}})
    }

    #[test]
    fn a_revision_is_spliced_in_and_never_stored() {
        let kind = kinds::lookup("", "pods").unwrap();
        let key = Key::new("pods", "b", "a");
        let draft = Draft::new(kind, key.clone(), pod());
        assert!(!String::from_utf8_lossy(draft.json()).contains("resourceVersion"));
        let again = Draft::from_stored(kind, key, draft.json().clone()).unwrap().at(42);
        let mut expected = pod();
        expected["metadata"]["resourceVersion"] = "42".into();
        assert_eq!(again.value(), expected);
        assert!(draft.is_unchanged(&again));
        let mut other = pod();
        other["metadata"]["labels"]["app"] = "y".into();
        assert!(!Draft::new(kind, again.key.clone(), other).is_unchanged(&again));
        expected["metadata"]["resourceVersion"] = "4321".into();
        assert_eq!(again.at_revision(4321).value(), expected);
        assert_eq!(draft.at(42).json(), again.json());
        let metadata: Value = serde_json::from_slice(again.metadata_json()).unwrap();
        assert_eq!(metadata, again.value()["metadata"]);
        assert!(again.rest_json().starts_with(b",\""));
        assert_eq!(again.header.node.as_deref(), Some("n1"));
    }

    #[test]
    fn keys_take_apart() {
        let key = Key::new("deployments.apps", "default", "web");
        assert_eq!((key.resource(), key.namespace(), key.name()), ("deployments.apps", "default", "web"));
        assert_eq!(Key::parse(key.as_str()), Some(key));
        assert_eq!(Key::parse("a/b"), None);
    }
}
