//! Kubernetes' protobuf encoding, driven by the table alone.
//!
//! A body is `k8s\0` followed by `runtime.Unknown`: the type's apiVersion and kind, and the object's own message.

mod decode;
mod encode;
#[cfg(test)]
mod tests;
mod time;
mod wire;

use super::decode::MAX_DEPTH;
use super::lookup_kind;
use super::types::FieldType;
use peapod_api::Error;
use peapod_api::error::Reason;
use serde_json::{Map, Value};

pub use wire::Writer;

/// The media type of such bodies.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";
const MAGIC: &[u8] = b"k8s\0";
/// Most objects that one body may decode to; bounds the memory that a small body can claim.
const MAX_OBJECTS: usize = 100_000;

/// Reads a body: the object in its one form (see [`super::normalize`]) with `apiVersion` and `kind`. 400 if the bytes
/// are malformed, 415 if the kind is not in the table.
pub fn decode(bytes: &[u8]) -> Result<Value, Error> {
    decode::body(bytes, &mut decode::Budget::new(MAX_OBJECTS), 0).map_err(|fault| fault.0)
}

/// Writes `object`, whose `apiVersion` and `kind` say what it is. 406 if the kind is not in the table or holds what
/// protobuf does not carry; the caller then answers in JSON.
pub fn encode(object: &Value) -> Result<Vec<u8>, Error> {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default();
    let (api_version, kind) = (text("apiVersion"), text("kind"));
    let ty = lookup_kind(api_version, kind).ok_or_else(|| not_acceptable(api_version, kind))?;
    let fields = object.as_object().ok_or_else(|| not_acceptable(api_version, kind))?;
    let message = encode::message(ty, fields).map_err(|_| not_acceptable(api_version, kind))?;
    Ok(envelope(api_version, kind, &message))
}

/// One event of a watch as the stream's frame, length included; `object` is what [`encode`] returned.
pub fn watch_frame(event_type: &str, object: &[u8]) -> Vec<u8> {
    let mut raw = Writer::default();
    raw.bytes(1, object);
    let mut event = Writer::default();
    event.bytes(1, event_type.as_bytes());
    event.bytes(2, &raw.0);
    let length = u32::try_from(event.0.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], &event.0].concat()
}

fn envelope(api_version: &str, kind: &str, message: &[u8]) -> Vec<u8> {
    let mut type_meta = Writer::default();
    type_meta.bytes(1, api_version.as_bytes());
    type_meta.bytes(2, kind.as_bytes());
    let mut unknown = Writer(MAGIC.to_vec());
    unknown.bytes(1, &type_meta.0);
    unknown.bytes(2, message);
    unknown.bytes(3, b"");
    unknown.bytes(4, b"");
    unknown.0
}

fn not_acceptable(api_version: &str, kind: &str) -> Error {
    Error::new(Reason::NotAcceptable, format!("{api_version} {kind} has no protobuf encoding here"))
}

/// A body that cannot be read.
#[derive(Debug)]
struct Fault(Error);

impl From<&str> for Fault {
    fn from(why: &str) -> Fault {
        Fault(Error::bad_request(format!("the body is no valid protobuf: {why}")))
    }
}

/// The two or three fields of a message whose JSON form is not an object of its own.
fn schema_type() -> FieldType {
    const NAME: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    FieldType::Object(super::TypeRef::named(NAME))
}

fn with_kind(api_version: &str, kind: &str, mut fields: Map<String, Value>) -> Value {
    fields.insert("apiVersion".into(), api_version.into());
    fields.insert("kind".into(), kind.into());
    Value::Object(fields)
}
