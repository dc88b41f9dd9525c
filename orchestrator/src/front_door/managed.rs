//! Who manages which field is not recorded: what clients say about it is dropped.

use jiff::Timestamp;
use peapod_core::schema::Type;
use serde_json::Value;

/// Who writes, through what, and when.
#[derive(Clone, Copy, Debug)]
#[allow(dead_code)]
pub(super) struct Operation<'a> {
    pub(super) manager: &'a str,
    pub(super) api_version: &'a str,
    pub(super) subresource: &'a str,
    pub(super) now: Timestamp,
}

pub(super) fn update(_: &Type, _: Option<&Value>, object: &mut Value, _: &Operation<'_>) {
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("managedFields");
    }
}
