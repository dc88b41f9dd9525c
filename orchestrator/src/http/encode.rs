//! Objects and lists in the form that was agreed on. JSON of stored objects is copied, never parsed.

use super::accept::{Accept, Encoding, Shape};
use super::answer::JSON;
use bytes::Bytes;
use jiff::Timestamp;
use peapod_api::Object;
use peapod_core::schema::protobuf;
use peapod_core::served::Served;
pub(crate) use peapod_core::table::TAIL;
use peapod_core::table::{self, Include, Style};
use serde_json::{Value, json};
use std::sync::Arc;

/// How one request wants its objects.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) kind: Served,
    pub(crate) accept: Accept,
    /// What each row of a Table carries.
    pub(crate) include: Include,
    /// What ages are counted from.
    pub(crate) now: Timestamp,
}

/// A list's own metadata.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListMetadata {
    pub(crate) revision: u64,
    pub(crate) token: Option<String>,
    pub(crate) remaining: Option<usize>,
}

impl ListMetadata {
    fn value(&self) -> Value {
        let mut value = json!({ "resourceVersion": self.revision.to_string() });
        if let Some(token) = &self.token {
            value["continue"] = token.as_str().into();
        }
        if let Some(remaining) = self.remaining.filter(|remaining| *remaining > 0) {
            value["remainingItemCount"] = remaining.into();
        }
        value
    }
}

const PARTIAL_LIST: &str = "PartialObjectMetadataList";

/// A body and its content type.
pub(crate) type Encoded = (&'static str, Bytes);

impl Form {
    /// One stored object.
    pub(crate) fn object(&self, object: &Arc<Object>) -> Encoded {
        let object = &self.kind.shown(object);
        match (self.accept.shape, self.accept.encoding) {
            (Shape::Object, Encoding::Json | Encoding::Yaml) => (JSON, object.json().clone()),
            (Shape::Metadata(version), Encoding::Json | Encoding::Yaml) => {
                (JSON, table::partial(object, version).into())
            }
            _ => self.value(&object.value()),
        }
    }

    /// One object, or Status, that is not stored.
    pub(crate) fn value(&self, value: &Value) -> Encoded {
        let is_object = value["kind"] == *self.kind.kind;
        match self.accept.shape {
            Shape::Table(_) if is_object => {
                (JSON, table::table_of_one(&self.kind, value, self.style(true)).into())
            }
            Shape::Metadata(version) if is_object => self.plain(&table::partial_value(value, version)),
            _ => self.plain(value),
        }
    }

    /// Protobuf if that was asked for and the value has such a form, or JSON.
    fn plain(&self, value: &Value) -> Encoded {
        if self.accept.encoding == Encoding::Protobuf
            && let Ok(bytes) = protobuf::encode(value)
        {
            return (protobuf::CONTENT_TYPE, bytes.into());
        }
        (JSON, text(value))
    }

    /// A list of stored objects.
    pub(crate) fn list(&self, objects: &[Arc<Object>], metadata: &ListMetadata) -> Encoded {
        if self.accept.encoding != Encoding::Protobuf {
            let mut out = self.list_head(metadata);
            self.write_items(&mut out, objects);
            out.extend_from_slice(TAIL);
            return (JSON, out.into());
        }
        let values = objects.iter().map(|object| self.kind.shown(object).value());
        match self.accept.shape {
            Shape::Metadata(version) => {
                let items: Vec<Value> = values.map(|value| table::partial_value(&value, version)).collect();
                self.plain(&json!({
                    "kind": PARTIAL_LIST, "apiVersion": format!("meta.k8s.io/{version}"),
                    "metadata": metadata.value(), "items": items,
                }))
            }
            _ => self.plain(&json!({
                "kind": self.list_kind(), "apiVersion": self.kind.api_version(),
                "metadata": metadata.value(), "items": values.collect::<Vec<Value>>(),
            })),
        }
    }

    /// A list as JSON up to its first item.
    pub(crate) fn list_head(&self, metadata: &ListMetadata) -> Vec<u8> {
        let metadata = metadata.value();
        let (kind, api_version) = match self.accept.shape {
            Shape::Table(_) => return table::head(&self.kind, &metadata, self.style(true)),
            Shape::Metadata(version) => (PARTIAL_LIST.into(), format!("meta.k8s.io/{version}")),
            Shape::Object => (self.list_kind(), self.kind.api_version()),
        };
        format!("{{\"kind\":\"{kind}\",\"apiVersion\":\"{api_version}\",\"metadata\":{metadata},\"items\":[")
            .into_bytes()
    }

    /// The items of a list as JSON, with commas between them; [`TAIL`] ends the list.
    pub(crate) fn write_items(&self, out: &mut Vec<u8>, objects: &[Arc<Object>]) {
        let shown: Vec<Arc<Object>>;
        let objects = if self.kind.is_stored() {
            objects
        } else {
            shown = objects.iter().map(|object| self.kind.shown(object)).collect();
            &shown
        };
        match self.accept.shape {
            Shape::Table(_) => {
                let objects = objects.iter().map(|object| &**object);
                table::write_rows(out, &self.kind, objects, self.style(true));
            }
            Shape::Metadata(version) => {
                join(out, objects.iter().map(|object| table::partial(object, version)));
            }
            Shape::Object => join(out, objects.iter().map(|object| object.json())),
        }
    }

    fn list_kind(&self) -> String {
        format!("{}List", self.kind.kind)
    }

    /// How Tables are printed; `headers` as in [`Style`].
    pub(crate) fn style(&self, headers: bool) -> Style {
        let version = match self.accept.shape {
            Shape::Table(version) | Shape::Metadata(version) => version,
            Shape::Object => "v1",
        };
        Style { version, include: self.include, headers, now: self.now }
    }
}

fn text(value: &Value) -> Bytes {
    value.to_string().into()
}

fn join<T: AsRef<[u8]>>(out: &mut Vec<u8>, items: impl Iterator<Item = T>) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(item.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::super::accept::negotiate;
    use super::*;
    use peapod_api::{Draft, Key, kinds};

    fn object() -> Arc<Object> {
        let kind = kinds::lookup("", "configmaps").unwrap();
        let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "d"}, "data": {"a": "b"}});
        Arc::new(Draft::new(kind, Key::new("configmaps", "d", "c"), value).at(7))
    }

    fn form(accept: &str) -> Form {
        Form {
            kind: kinds::lookup("", "configmaps").unwrap().into(),
            accept: negotiate(accept).unwrap(),
            include: Include::Metadata,
            now: Timestamp::UNIX_EPOCH,
        }
    }

    fn read((content_type, bytes): Encoded) -> Value {
        assert_eq!(content_type, JSON);
        serde_json::from_slice(&bytes).unwrap()
    }

    #[test]
    fn lists_are_joined_from_stored_bytes() {
        let metadata = ListMetadata { revision: 9, token: Some("t".into()), remaining: Some(4) };
        let list = read(form("").list(&[object(), object()], &metadata));
        assert_eq!(
            list["metadata"],
            json!({"resourceVersion": "9", "continue": "t", "remainingItemCount": 4})
        );
        assert_eq!((&list["kind"], &list["items"][1]), (&json!("ConfigMapList"), &object().value()));
        let empty = read(form("").list(&[], &ListMetadata::default()));
        assert_eq!(empty["items"], json!([]));
    }

    #[test]
    fn metadata_alone_and_tables() {
        let metadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let one = read(form(metadata).object(&object()));
        assert_eq!((&one["kind"], &one["metadata"]["name"]), (&json!("PartialObjectMetadata"), &json!("c")));
        assert!(one.get("data").is_none());
        let list = read(form(metadata).list(&[object()], &ListMetadata::default()));
        assert_eq!(list["items"][0], one);
        let table = read(
            form("application/json;as=Table;g=meta.k8s.io;v=v1").list(&[object()], &ListMetadata::default()),
        );
        assert_eq!((&table["kind"], &table["rows"][0]["cells"][0]), (&json!("Table"), &json!("c")));
    }

    #[test]
    fn protobuf_is_answered_where_it_was_asked_for() {
        let (content_type, bytes) = form("application/vnd.kubernetes.protobuf").object(&object());
        assert_eq!(content_type, protobuf::CONTENT_TYPE);
        assert_eq!(protobuf::decode(&bytes).unwrap()["data"]["a"], "b");
        let metadata = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        let (content_type, bytes) = form(metadata).object(&object());
        assert_eq!(content_type, protobuf::CONTENT_TYPE);
        let one = protobuf::decode(&bytes).unwrap();
        assert_eq!((&one["kind"], &one["metadata"]["name"]), (&json!("PartialObjectMetadata"), &json!("c")));
        let (content_type, bytes) = form(metadata).list(&[object()], &ListMetadata::default());
        assert_eq!(content_type, protobuf::CONTENT_TYPE);
        assert_eq!(protobuf::decode(&bytes).unwrap()["items"][0]["metadata"]["name"], "c");
    }

    #[test]
    fn a_status_is_no_row() {
        let status = json!({"kind": "Status", "status": "Success"});
        assert_eq!(read(form("application/json;as=Table;g=meta.k8s.io;v=v1").value(&status)), status);
    }
}
