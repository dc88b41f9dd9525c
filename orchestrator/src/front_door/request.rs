//! The parts of a write request and of its answer, free of HTTP.

use bytes::Bytes;
use peapod_api::error::Reason;
use peapod_api::{Error, Key, Object, Subresource};
use peapod_core::action::Propagation;
pub use peapod_core::schema::decode::FieldValidation;
use peapod_core::served::Served;
use peapod_core::strategy::deletion::Wish;
use serde_json::Value;
use std::sync::Arc;

/// What a request is about.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its kind.
    pub kind: Served,
    /// Empty for cluster-wide kinds.
    pub namespace: String,
    /// Empty where the path names no object: a create, a deletion of many.
    pub name: String,
    /// The part of the object that is written.
    pub subresource: Option<Subresource>,
}

impl Target {
    /// Where the object is stored.
    pub fn key(&self) -> Key {
        Key::new(&self.kind.stored_resource(), &self.namespace, &self.name)
    }

    /// The subresource as managed fields and the schema name it; empty for the object itself.
    pub(super) fn part(&self) -> &'static str {
        self.subresource.map_or("", Subresource::name)
    }
}

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaType {
    /// `application/json`.
    Json,
    /// `application/yaml`.
    Yaml,
    /// `application/vnd.kubernetes.protobuf`.
    Protobuf,
}

impl MediaType {
    /// Reads a `Content-Type`; none counts as JSON. Errors: 415.
    pub fn parse(content_type: &str) -> Result<MediaType, Error> {
        match essence(content_type) {
            "" | "application/json" => Ok(MediaType::Json),
            "application/yaml" => Ok(MediaType::Yaml),
            "application/vnd.kubernetes.protobuf" => Ok(MediaType::Protobuf),
            _ => Err(unsupported(&BODIES)),
        }
    }
}

fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The bodies that are taken.
pub(crate) const BODIES: [&str; 3] =
    ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
/// Of custom resources.
pub(crate) const CUSTOM_BODIES: [&str; 2] = ["application/json", "application/yaml"];
/// The patches that are taken.
pub(crate) const PATCHES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
/// Of custom resources: no schema says how their lists merge strategically.
pub(crate) const CUSTOM_PATCHES: [&str; 3] =
    ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// 415.
pub(super) fn unsupported(known: &[&str]) -> Error {
    let known = known.join(", ");
    let why =
        format!("the body of the request was in an unknown format - accepted media types include: {known}");
    Error::new(Reason::UnsupportedMediaType, why)
}

/// The body of a request.
#[derive(Clone, Debug)]
pub struct Body {
    /// How it is encoded.
    pub media_type: MediaType,
    /// As it came; its size is limited where it is read.
    pub bytes: Bytes,
}

/// How a patch is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' strategic merge.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl PatchType {
    /// Reads a `Content-Type`. Errors: 415.
    pub fn parse(content_type: &str) -> Result<PatchType, Error> {
        match essence(content_type) {
            "application/json-patch+json" => Ok(PatchType::Json),
            "application/merge-patch+json" => Ok(PatchType::Merge),
            "application/strategic-merge-patch+json" => Ok(PatchType::Strategic),
            "application/apply-patch+yaml" => Ok(PatchType::Apply),
            _ => Err(unsupported(&PATCHES)),
        }
    }
}

/// The parameters of creates, updates and patches.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Everything is done but the commit.
    pub dry_run: bool,
    /// Who is recorded in the managed fields: the parameter, or the user agent up to its first slash.
    pub field_manager: String,
    /// What becomes of unknown fields.
    pub field_validation: FieldValidation,
    /// Server-side apply takes over fields of other managers.
    pub force: bool,
}

/// The parameters of deletions.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Grace of pods, and the fate of dependents.
    pub wish: Wish,
    /// The deletion fails if the object has another uid.
    pub uid: Option<String>,
    /// The deletion fails if the object is at another revision.
    pub resource_version: Option<String>,
    /// Everything is done but the commit.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Reads a `DeleteOptions` object: a body, or query parameters brought into its form. Errors: 400, 422.
    pub fn read(options: &Value) -> Result<DeleteOptions, Error> {
        if options["orphanDependents"].is_boolean() && options["propagationPolicy"].is_string() {
            let (value, why) = (
                &options["propagationPolicy"],
                "orphanDependents and deletionPropagation cannot be both set",
            );
            let fault = peapod_api::FieldError::invalid("propagationPolicy", value, why);
            return Err(Error::invalid("meta.k8s.io", "DeleteOptions", "", &[fault]));
        }
        let propagation = match options["propagationPolicy"].as_str() {
            None | Some("") if options["orphanDependents"] == true => Some(Propagation::Orphan),
            None | Some("") if options["orphanDependents"] == false => Some(Propagation::Background),
            None | Some("") => None,
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(_) => {
                let supported = ["Foreground", "Background", "Orphan", "nil"];
                let value = &options["propagationPolicy"];
                let fault = peapod_api::FieldError::not_supported("propagationPolicy", value, &supported);
                return Err(Error::invalid("meta.k8s.io", "DeleteOptions", "", &[fault]));
            }
        };
        let text = |value: &Value| value.as_str().filter(|t| !t.is_empty()).map(String::from);
        Ok(DeleteOptions {
            wish: Wish { grace_seconds: options["gracePeriodSeconds"].as_i64(), propagation },
            uid: text(&options["preconditions"]["uid"]),
            resource_version: text(&options["preconditions"]["resourceVersion"]),
            dry_run: options["dryRun"].as_array().is_some_and(|list| list.iter().any(|mode| mode == "All")),
        })
    }
}

/// What the client is shown.
#[derive(Clone, Debug)]
pub enum Shown {
    /// An object as it was committed.
    Object(Arc<Object>),
    /// Anything else: the result of a dry run, a Scale, a Status.
    Value(Value),
}

impl Shown {
    /// As JSON.
    pub fn json(&self) -> Bytes {
        match self {
            Shown::Object(object) => object.json().clone(),
            Shown::Value(value) => value.to_string().into(),
        }
    }

    /// As a tree.
    pub fn value(&self) -> Value {
        match self {
            Shown::Object(object) => object.value(),
            Shown::Value(value) => value.clone(),
        }
    }
}

/// The answer to a write.
#[derive(Clone, Debug)]
pub struct Written {
    /// The body.
    pub shown: Shown,
    /// Answered with 201.
    pub created: bool,
    /// Each is sent in a `Warning` header.
    pub warnings: Vec<String>,
}

impl Written {
    pub(super) fn ok(shown: Shown) -> Written {
        Written { shown, created: false, warnings: Vec::new() }
    }
}
