//! Server-side printing: `meta.k8s.io` Tables made from the columns of a kind's row.
//! What a cell shows follows Kubernetes' own printers, so that `kubectl get` reads the same.

mod age;
mod autoscaler;
mod batch;
mod cells;
mod certificate;
mod custom;
mod ingress;
mod network;
mod node;
mod pod;
mod policy;
mod rbac;
mod volume;
mod workload;

pub use age::human_duration;

use crate::convert;
use jiff::Timestamp;
use peapod_api::kind::{Cell, Column};
use peapod_api::{Kind, Object, kinds, meta};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// How much of its object each row carries: the query parameter `includeObject`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// A PartialObjectMetadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the query parameter; none if it is no known policy.
    pub fn parse(text: &str) -> Option<Include> {
        match text {
            "None" => Some(Include::None),
            "" | "Metadata" => Some(Include::Metadata),
            "Object" => Some(Include::Object),
            _ => None,
        }
    }
}

/// How a Table is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// `v1` or `v1beta1` of `meta.k8s.io`.
    pub version: &'static str,
    /// What each row carries.
    pub include: Include,
    /// Whether `columnDefinitions` are written: not after the first event of a watch.
    pub headers: bool,
    /// What ages are counted from.
    pub now: Timestamp,
}

/// The Table of `objects` as JSON; `list_metadata` is the list's (`resourceVersion`, `continue`, ...).
pub fn table<'a>(
    kind: &Kind,
    objects: impl Iterator<Item = &'a Object>,
    list_metadata: &Value,
    style: Style,
) -> Vec<u8> {
    let mut out = head(kind, list_metadata, style);
    for (index, object) in objects.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_row(&mut out, kind, &object.value(), Some(object), style);
    }
    out.extend_from_slice(b"]}");
    out
}

/// The Table of one object that is given as a tree, as JSON.
pub fn table_of_one(kind: &Kind, object: &Value, style: Style) -> Vec<u8> {
    let list_metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
    let mut out = head(kind, &list_metadata, style);
    write_row(&mut out, kind, object, None, style);
    out.extend_from_slice(b"]}");
    out
}

/// Everything up to the first row.
fn head(kind: &Kind, list_metadata: &Value, style: Style) -> Vec<u8> {
    let columns: Vec<Value> =
        if style.headers { kind.columns.iter().map(definition).collect() } else { Vec::new() };
    format!(
        "{{\"kind\":\"Table\",\"apiVersion\":\"meta.k8s.io/{}\",\"metadata\":{list_metadata},\
         \"columnDefinitions\":{},\"rows\":[",
        style.version,
        Value::from(columns)
    )
    .into_bytes()
}

fn definition(column: &Column) -> Value {
    let format = if column.name == "Name" { "name" } else { "" };
    json!({
        "name": column.name, "type": column.type_, "format": format,
        "description": "", "priority": column.priority,
    })
}

/// `stored` are the bytes that the tree was read from, if it was.
fn write_row(out: &mut Vec<u8>, kind: &Kind, object: &Value, stored: Option<&Object>, style: Style) {
    let cells = Value::from(cells(kind, object, style.now));
    out.extend_from_slice(b"{\"cells\":");
    out.extend_from_slice(cells.to_string().as_bytes());
    if let Some(conditions) = conditions(kind, object) {
        out.extend_from_slice(b",\"conditions\":");
        out.extend_from_slice(conditions.to_string().as_bytes());
    }
    if style.include != Include::None {
        out.extend_from_slice(b",\"object\":");
    }
    match (style.include, stored) {
        (Include::None, _) => {}
        (Include::Metadata, Some(stored)) => out.extend_from_slice(&partial(stored, style.version)),
        (Include::Metadata, None) => {
            out.extend_from_slice(partial_value(object, style.version).to_string().as_bytes());
        }
        (Include::Object, Some(stored)) => out.extend_from_slice(stored.json()),
        (Include::Object, None) => out.extend_from_slice(object.to_string().as_bytes()),
    }
    out.push(b'}');
}

/// An object's metadata alone, as a `PartialObjectMetadata` of `meta.k8s.io/VERSION`.
pub fn partial_value(object: &Value, version: &str) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": object["metadata"],
    })
}

/// The same of a stored object, cut out of its bytes.
pub fn partial(object: &Object, version: &str) -> Vec<u8> {
    #[derive(Deserialize)]
    struct Cut<'a> {
        #[serde(borrow)]
        metadata: &'a RawValue,
    }
    let cut = serde_json::from_slice::<Cut<'_>>(object.json());
    let metadata = cut.as_ref().map_or("{}", |cut| cut.metadata.get());
    let head = "{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/";
    format!("{head}{version}\",\"metadata\":{metadata}}}").into_bytes()
}

/// The cells of one object, in the order of the kind's columns.
pub fn cells(kind: &Kind, object: &Value, now: Timestamp) -> Vec<Value> {
    let stored = kinds::stored_as(kind).map(|_| {
        let mut stored = object.clone();
        convert::store(kind, &mut stored);
        stored
    });
    let object = stored.as_ref().unwrap_or(object);
    kind.columns.iter().map(|column| cell(column, object, now)).collect()
}

fn cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    match &column.cell {
        Cell::Name => object["metadata"]["name"].clone(),
        Cell::Age => age::since(meta::text(object, "metadata.creationTimestamp"), now).into(),
        Cell::Path(path) => at_path(column, object, path),
        Cell::JsonPath(path) => custom::cell(&column.type_, path.find(object).first().copied(), now),
        Cell::Computed(name) => cells::computed(name, object, now).unwrap_or_default(),
    }
}

/// Absent numbers are 0 and absent truths false, as they are in a decoded object; absent texts are empty.
fn at_path(column: &Column, object: &Value, path: &str) -> Value {
    match meta::at(object, path) {
        None | Some(Value::Null) if column.type_ == "integer" => 0.into(),
        None | Some(Value::Null) if column.type_ == "boolean" => false.into(),
        None | Some(Value::Null) => "".into(),
        Some(value) => value.clone(),
    }
}

/// Rows of pods that are over say so, for clients that grey them out.
fn conditions(kind: &Kind, object: &Value) -> Option<Value> {
    let phase = meta::text(object, "status.phase").filter(|_| kind.kind == "Pod")?;
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!([{ "type": "Completed", "status": "True", "reason": phase, "message": message }]))
}

#[cfg(test)]
mod tests;
