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
mod parts;
mod pod;
mod policy;
mod rbac;
mod stored;
mod volume;
mod workload;

pub use age::human_duration;

use self::parts::Parts;
use crate::convert;
use jiff::Timestamp;
use peapod_api::kind::{Cell, Column};
use peapod_api::{Kind, Object, kinds, meta};
use serde::Serialize;
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
    write_rows(&mut out, kind, objects, style);
    out.extend_from_slice(TAIL);
    out
}

/// What a Table ends with.
pub const TAIL: &[u8] = b"]}";

/// The rows of `objects`, with commas between them.
pub fn write_rows<'a>(
    out: &mut Vec<u8>,
    kind: &Kind,
    objects: impl Iterator<Item = &'a Object>,
    style: Style,
) {
    let (parts, mut scratch) = (Parts::of_row(kind), Vec::new());
    for (index, object) in objects.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let tree = stored::read(object, &parts, &mut scratch);
        open_row(out, kind, &Subject::stored(object, &tree), style);
        match style.include {
            Include::None => {}
            Include::Metadata => write_partial(out, object.metadata_json(), style.version),
            Include::Object => out.extend_from_slice(object.json()),
        }
        out.push(b'}');
    }
}

/// The Table of one object that is given as a tree, as JSON.
pub fn table_of_one(kind: &Kind, object: &Value, style: Style) -> Vec<u8> {
    let list_metadata = json!({ "resourceVersion": object["metadata"]["resourceVersion"] });
    let mut out = head(kind, &list_metadata, style);
    open_row(&mut out, kind, &Subject::tree(object), style);
    match style.include {
        Include::None => {}
        Include::Metadata => write_json(&mut out, &partial_value(object, style.version)),
        Include::Object => write_json(&mut out, object),
    }
    out.push(b'}');
    out.extend_from_slice(TAIL);
    out
}

/// Everything up to the first row.
pub fn head(kind: &Kind, list_metadata: &Value, style: Style) -> Vec<u8> {
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
    let format = if column.name == "Name" { "name" } else { &*column.format };
    json!({
        "name": column.name, "type": column.type_, "format": format,
        "description": column.description, "priority": column.priority,
    })
}

/// A row up to where what it carries of its object begins.
fn open_row(out: &mut Vec<u8>, kind: &Kind, subject: &Subject<'_>, style: Style) {
    out.extend_from_slice(b"{\"cells\":");
    write_json(out, &cells(kind, subject, style.now));
    if let Some(conditions) = conditions(kind, subject) {
        out.extend_from_slice(b",\"conditions\":");
        write_json(out, &conditions);
    }
    if style.include != Include::None {
        out.extend_from_slice(b",\"object\":");
    }
}

fn write_json(out: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(out, value).expect("a Value always serialises into memory");
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
    let metadata = object.metadata_json();
    let mut out = Vec::with_capacity(metadata.len() + 96);
    write_partial(&mut out, metadata, version);
    out
}

fn write_partial(out: &mut Vec<u8>, metadata: &[u8], version: &str) {
    out.extend_from_slice(b"{\"kind\":\"PartialObjectMetadata\",\"apiVersion\":\"meta.k8s.io/");
    out.extend_from_slice(version.as_bytes());
    out.extend_from_slice(b"\",\"metadata\":");
    out.extend_from_slice(metadata);
    out.push(b'}');
}

/// What a row is about.
struct Subject<'a> {
    name: &'a str,
    created: Option<Timestamp>,
    phase: Option<&'a str>,
    /// The object, or the parts of it that the kind's columns read.
    object: &'a Value,
}

impl<'a> Subject<'a> {
    /// The header of a stored object spares reading what every row shows.
    fn stored(object: &'a Object, parts: &'a Value) -> Subject<'a> {
        let header = &object.header;
        Subject {
            name: object.name(),
            created: header.created,
            phase: header.phase.as_deref(),
            object: parts,
        }
    }

    fn tree(object: &'a Value) -> Subject<'a> {
        let text = |path| meta::text(object, path);
        Subject {
            name: text("metadata.name").unwrap_or_default(),
            created: text("metadata.creationTimestamp").and_then(meta::parse_time),
            phase: text("status.phase"),
            object,
        }
    }
}

/// The cells of a row, in the order of the kind's columns.
fn cells(kind: &Kind, subject: &Subject<'_>, now: Timestamp) -> Vec<Value> {
    let stored = kinds::stored_as(kind).map(|_| {
        let mut stored = subject.object.clone();
        convert::store(kind, &mut stored);
        stored
    });
    let subject = Subject { object: stored.as_ref().unwrap_or(subject.object), ..*subject };
    kind.columns.iter().map(|column| cell(column, &subject, now)).collect()
}

fn cell(column: &Column, subject: &Subject<'_>, now: Timestamp) -> Value {
    let object = subject.object;
    match &column.cell {
        Cell::Name => subject.name.into(),
        Cell::Age => age::since(subject.created, now).into(),
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
fn conditions(kind: &Kind, subject: &Subject<'_>) -> Option<Value> {
    let phase = subject.phase.filter(|_| kind.kind == "Pod")?;
    let message = match phase {
        "Succeeded" => "The pod has completed successfully.",
        "Failed" => "The pod failed.",
        _ => return None,
    };
    Some(json!([{ "type": "Completed", "status": "True", "reason": phase, "message": message }]))
}

#[cfg(test)]
mod tests;
