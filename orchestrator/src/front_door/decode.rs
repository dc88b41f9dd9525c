//! From a body to an object of the kind that the path names.

use super::FrontDoor;
use super::request::{Body, FieldValidation, MediaType, Target, WriteOptions};
use peapod_api::error::Reason;
use peapod_api::{Error, FieldError, Kind};
use peapod_core::patch::typed;
use peapod_core::schema::decode::{self, Decoded};
use peapod_core::schema::normalize::normalize;
use peapod_core::schema::yaml::yaml;
use peapod_core::schema::{self, Type, protobuf};
use peapod_core::served::Served;
use serde_json::Value;

/// The schema of a kind. Errors: 500, as every kind of the table has one (tested).
pub(super) fn type_of(api_version: &str, kind: &str) -> Result<&'static Type, Error> {
    schema::lookup_kind(api_version, kind)
        .ok_or_else(|| Error::internal(format!("no schema for {api_version} {kind}")))
}

/// Reads a body of whatever encoding; nothing is checked against a schema yet, except for protobuf.
pub(super) fn read(body: &Body) -> Result<Decoded, Error> {
    match body.media_type {
        MediaType::Json => decode::json(&body.bytes),
        MediaType::Yaml => yaml(&body.bytes),
        MediaType::Protobuf => Ok(protobuf::decode(&body.bytes)?.into()),
    }
}

/// The body of an apply patch, which names what it is. Errors: 400; 422 if nobody is named as its manager.
pub(super) fn applied_body(body: &Body, options: &WriteOptions) -> Result<Decoded, Error> {
    if options.field_manager.is_empty() {
        return Err(bad_option(FieldError::required("fieldManager", "is required for apply patch")));
    }
    let decoded = yaml(&body.bytes)?;
    if decoded.value["apiVersion"].is_null() || decoded.value["kind"].is_null() {
        return Err(Error::bad_request("apiVersion and kind must be set in an apply patch"));
    }
    Ok(decoded)
}

/// What takes the place of an object has to say which it is. Errors: 400.
pub(super) fn named(target: &Target, decoded: &Decoded) -> Result<(), Error> {
    let name = decoded.value["metadata"]["name"].as_str().unwrap_or_default();
    if !decoded.value.is_object() || !name.is_empty() {
        return Ok(());
    }
    let why = format!(
        "the name of the object ({} based on URL) was undeterminable: name must be provided",
        target.name
    );
    Err(Error::bad_request(why))
}

/// An option of a patch that cannot be. 422.
pub(super) fn bad_option(fault: FieldError) -> Error {
    Error::invalid("meta.k8s.io", "PatchOptions", "", &[fault])
}

/// An object of `target`'s kind: types checked, unknown fields dropped or refused, apiVersion, kind and namespace filled in
/// from the path. No defaults yet. Returns the warnings besides.
pub(super) fn object(
    target: &Target,
    decoded: Decoded,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Error> {
    typed(&target.kind, &target.namespace, &target.name, decoded, validation)
}

/// As [`object`] for an applied configuration, which is left as its manager wrote it: what is filled in would be owned.
/// Errors besides: 500 if it does not fit its type, whatever `validation` says.
pub(super) fn applied(
    target: &Target,
    mut decoded: Decoded,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Error> {
    let (kind, api_version) = (&target.kind, target.kind.api_version());
    let text = |field: &str| decoded.value[field].as_str().unwrap_or_default();
    if (text("apiVersion"), text("kind")) != (&api_version, &*kind.kind) {
        let slash = if text("apiVersion").contains('/') { "" } else { "/" };
        let why = format!("invalid object type: {slash}{}, Kind={}", text("apiVersion"), text("kind"));
        return Err(Error::bad_request(why));
    }
    identify(&mut decoded.value, &api_version, &kind.kind)?;
    typed::check(kind.ty()?, &decoded.value)?;
    let (mut config, warnings) = kind.decode(decoded, validation)?;
    place(kind, &target.namespace, &target.name, &mut config)?;
    Ok((config, warnings))
}

/// As [`object`], by the parts of the path.
fn typed(
    kind: &Served,
    namespace: &str,
    name: &str,
    mut decoded: Decoded,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Error> {
    let api_version = kind.api_version();
    identify(&mut decoded.value, &api_version, &kind.kind)?;
    let (mut object, warnings) = kind.decode(decoded, validation)?;
    // An empty list asks for what one empty entry asks for, and would be lost as empty lists are.
    if let Some(Value::Array(entries)) = object.pointer_mut("/metadata/managedFields")
        && entries.is_empty()
    {
        entries.push(Value::Object(serde_json::Map::new()));
    }
    kind.normalize(&mut object)?;
    place(kind, namespace, name, &mut object)?;
    Ok((object, warnings))
}

/// Fills in apiVersion and kind, or refuses others.
pub(super) fn identify(object: &mut Value, api_version: &str, kind: &str) -> Result<(), Error> {
    let Some(map) = object.as_object_mut() else {
        return Err(Error::bad_request(format!("the body is no {kind}: a JSON object is expected")));
    };
    let differs = |field: &str, wanted: &str| match map.get(field) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.is_empty() || text == wanted => None,
        Some(other) => Some(other.as_str().map_or_else(|| other.to_string(), String::from)),
    };
    if let Some(found) = differs("apiVersion", api_version) {
        return Err(Error::bad_request(format!(
            "the API version in the data ({found}) does not match the expected API version ({api_version})"
        )));
    }
    if let Some(found) = differs("kind", kind) {
        return Err(Error::bad_request(format!(
            "the object provided is of kind {found:?}, but the request is for kind {kind:?}"
        )));
    }
    map.insert("apiVersion".into(), api_version.into());
    map.insert("kind".into(), kind.into());
    Ok(())
}

/// Name and namespace come from the path; the object may repeat them, not contradict them. The namespace of an object that
/// lives in none is dropped.
fn place(kind: &Kind, namespace: &str, name: &str, object: &mut Value) -> Result<(), Error> {
    let Some(metadata) = object["metadata"].as_object_mut() else {
        return Err(Error::bad_request("metadata is missing"));
    };
    let own = |field: &str| metadata.get(field).and_then(Value::as_str).unwrap_or_default().to_string();
    let (own_name, own_namespace) = (own("name"), own("namespace"));
    if !name.is_empty() && own_name != name {
        if !own_name.is_empty() {
            return Err(Error::bad_request(format!(
                "the name of the object ({own_name}) does not match the name on the URL ({name})"
            )));
        }
        metadata.insert("name".into(), name.into());
    }
    if kind.namespaced() {
        if !own_namespace.is_empty() && own_namespace != namespace {
            return Err(Error::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        metadata.insert("namespace".into(), namespace.into());
    } else {
        metadata.remove("namespace");
    }
    Ok(())
}

/// Decodes what the body of a binding, an eviction or a Scale is said to be.
pub(super) fn other(
    api_version: &str,
    kind: &str,
    mut decoded: Decoded,
    validation: FieldValidation,
) -> Result<(Value, Vec<String>), Error> {
    identify(&mut decoded.value, api_version, kind)?;
    let ty = type_of(api_version, kind)?;
    let (mut object, warnings) = decode::object(ty, api_version, kind, decoded, validation)?;
    normalize(ty, &mut object);
    Ok((object, warnings))
}

impl FrontDoor {
    /// Decodes a body that is not to be stored. Returns the warnings besides. Errors: 400, 415, 422.
    pub(crate) fn read(
        &self,
        api_version: &str,
        kind: &str,
        body: &Body,
        validation: FieldValidation,
    ) -> Result<(Value, Vec<String>), Error> {
        other(api_version, kind, read(body)?, validation)
    }
}

/// Reads delete options from a body, which may be empty.
pub(super) fn delete_options(body: &Body) -> Result<Value, Error> {
    if body.bytes.is_empty() {
        return Ok(Value::Object(serde_json::Map::new()));
    }
    let decoded = read(body)?;
    let ty = type_of("v1", "DeleteOptions")?;
    let (options, _) = decode::object(ty, "v1", "DeleteOptions", decoded, FieldValidation::Ignore)?;
    if !options.is_object() {
        return Err(Error::new(Reason::BadRequest, "delete options must be an object"));
    }
    Ok(options)
}
