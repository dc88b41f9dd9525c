//! What is special about a kind when its objects are created and changed.
//!
//! A strategy resets what the caller may not set (the other half of the object, what the system counts) and says what is
//! wrong with the result. Kinds without behaviour of their own share [`PLAIN`].

mod admission_rules;
mod autoscaler;
mod budget;
pub mod certificate;
pub mod class;
mod cronjob;
mod daemonset;
mod data;
mod definition;
pub mod deletion;
mod deployment;
mod endpoints;
mod event;
mod ingress;
mod job;
mod lease;
mod namespace;
mod network_policy;
mod node;
pub mod pod;
mod policy;
mod quota;
mod rbac;
mod register;
mod registration;
mod replicaset;
pub mod scale;
pub mod service;
mod statefulset;
mod storage;
mod volume;
mod webhook;
mod workload;

pub use register::of;

use crate::name;
use crate::patch::Operation;
use crate::served::Served;
use crate::validation::names::NameRule;
use crate::validation::{Errors, metadata, text};
use crate::warnings;
use jiff::Timestamp;
use peapod_api::{Error, Kind, Subresource, meta};
use serde_json::{Map, Value};

/// What was found out about an object.
#[derive(Debug, Default)]
pub struct Findings {
    /// They fail the request.
    pub errors: Errors,
    /// They are told to the client.
    pub warnings: Vec<String>,
}

/// The behaviour of a kind. The functions see objects that the schema has checked, defaulted and normalised.
pub struct Strategy {
    /// How objects may be called.
    pub name: NameRule,
    /// Whether `metadata.generation` counts the changes of everything but metadata and status.
    pub counts_generations: bool,
    /// Resets what a creator may not set.
    pub prepare_create: fn(&mut Value),
    /// Resets what a writer of the main endpoint may not change; `status` is already the old one.
    pub prepare_update: fn(new: &mut Value, old: &Value),
    /// What is wrong with an object, whether new or changed.
    pub validate: fn(&Value, &mut Findings),
    /// What is wrong with a new object and was tolerated in older ones.
    pub validate_create: fn(&Value, &mut Findings),
    /// What may not change from the second to the first.
    pub validate_update: fn(new: &Value, old: &Value, &mut Findings),
    /// Metadata of a writer's choice that the status endpoint leaves alone all the same.
    pub status_keeps: &'static [&'static str],
    /// Resets what a writer of the status endpoint may not change of the status.
    pub prepare_status: fn(new: &mut Value, old: &Value),
    /// What is wrong with a status that a writer of the status endpoint has changed from the second to the first.
    pub validate_status: fn(new: &Value, old: &Value, &mut Errors),
}

/// For kinds whose status endpoint writes no metadata.
pub(crate) const ALL_METADATA: &[&str] = &["labels", "annotations", "finalizers", "ownerReferences"];

/// A kind about which nothing is special.
pub const PLAIN: Strategy = Strategy {
    name: NameRule::Subdomain,
    counts_generations: false,
    prepare_create: |_| {},
    prepare_update: |_, _| {},
    validate: |_, _| {},
    validate_create: |_, _| {},
    validate_update: |_, _, _| {},
    status_keeps: &[],
    prepare_status: |_, _| {},
    validate_status: |_, _, _| {},
};

/// What the server gives a new object.
#[derive(Clone, Debug)]
pub struct Stamp {
    /// `metadata.creationTimestamp`.
    pub now: Timestamp,
    /// `metadata.uid`.
    pub uid: String,
    /// Where the end of a generated name, an address and a port come from.
    pub seed: u64,
}

/// Which half of an object is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Everything but the status.
    Main,
    /// The status, and the metadata as far as the kind's strategy has it so.
    Status,
    /// As [`Endpoint::Main`], by the system itself, which may also empty `spec.finalizers` of a namespace.
    System,
    /// The node of a pod, and the condition that says so.
    Binding,
    /// The conditions that approve or deny a certificate signing request.
    Approval,
}

const GENERATED_CHARACTERS: usize = 5;
const MAX_GENERATED_BASE_BYTES: usize = 58;

/// Makes `object` what a new object is: name, uid, time, generation; the status reset by the kind's rules.
pub fn prepare_create(kind: &Kind, object: &mut Value, stamp: &Stamp) {
    let strategy = of(kind);
    // A node registers itself together with its first status.
    if kind.has(Subresource::Status) && kind.custom {
        object.as_object_mut().map(|fields| fields.remove("status"));
    } else if kind.has(Subresource::Status) && kind.plural != "nodes" {
        object["status"] = Value::Object(Map::new());
    }
    let Some(metadata) = metadata_of(object) else { return };
    for field in
        ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"]
    {
        metadata.remove(field);
    }
    metadata.insert("uid".into(), stamp.uid.as_str().into());
    metadata.insert("creationTimestamp".into(), meta::time(stamp.now).into());
    if strategy.counts_generations {
        metadata.insert("generation".into(), 1.into());
    }
    let has = |field: &str| metadata.get(field).map(text).is_some_and(|t| !t.is_empty());
    if has("generateName") && !has("name") {
        let base = text(&metadata["generateName"]).to_string();
        metadata.insert("name".into(), generated_name(&base, stamp.seed).into());
    }
    (strategy.prepare_create)(object);
}

/// The same base and seed give the same name.
fn generated_name(base: &str, seed: u64) -> String {
    let mut end = base.len().min(MAX_GENERATED_BASE_BYTES);
    while !base.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{}", &base[..end], name::suffix(&[base.as_bytes(), &seed.to_le_bytes()], GENERATED_CHARACTERS))
}

fn metadata_of(object: &mut Value) -> Option<&mut Map<String, Value>> {
    object.as_object_mut()?.entry("metadata").or_insert_with(|| Value::Object(Map::new())).as_object_mut()
}

/// Takes over from `old` what a write through `endpoint` may not change, and counts the generation.
pub fn prepare_update(kind: &Kind, endpoint: Endpoint, new: &mut Value, old: &Value) {
    match endpoint {
        Endpoint::Status => {
            only_status(kind, new, old);
            return (of(kind).prepare_status)(new, old);
        }
        // The front door has put the node and the condition into a copy of the old object.
        Endpoint::Binding => return,
        Endpoint::Approval => {
            let conditions = certificate::decided(&new["status"]["conditions"], &old["status"]["conditions"]);
            new["status"] = old["status"].clone();
            new["status"]["conditions"] = conditions;
            return only_status(kind, new, old);
        }
        Endpoint::Main | Endpoint::System => {}
    }
    let strategy = of(kind);
    if kind.has(Subresource::Status) {
        take_over(new, old, "status");
    }
    keep_metadata(new, old);
    let spec = new["spec"].clone();
    (strategy.prepare_update)(new, old);
    if endpoint == Endpoint::System && kind.plural == "namespaces" {
        new["spec"] = spec;
    }
    let next = match old["metadata"]["generation"].as_i64() {
        Some(n) if strategy.counts_generations && substance(new) != substance(old) => Some(n + 1),
        other => other,
    };
    let Some(metadata) = metadata_of(new) else { return };
    match next {
        Some(n) => metadata.insert("generation".into(), n.into()),
        None => metadata.remove("generation"),
    };
}

/// Everything but the status and the metadata stays; of the metadata what no writer changes, and what the kind keeps.
fn only_status(kind: &Kind, new: &mut Value, old: &Value) {
    let (status, metadata) = (new["status"].take(), new["metadata"].take());
    *new = old.clone();
    new["status"] = status;
    new["metadata"] = metadata;
    keep_metadata(new, old);
    for field in of(kind).status_keeps.iter().chain(&["generation"]) {
        take_over(&mut new["metadata"], &old["metadata"], field);
    }
}

fn take_over(new: &mut Value, old: &Value, field: &str) {
    let (Some(new), Some(old)) = (new.as_object_mut(), old.as_object()) else { return };
    match old.get(field) {
        Some(value) => new.insert(field.into(), value.clone()),
        None => new.remove(field),
    };
}

/// Who writes what through which part of an object of `kind`, as managed fields record it.
pub fn operation<'a>(
    kind: &Kind,
    manager: &'a str,
    api_version: &'a str,
    subresource: &'a str,
    now: Timestamp,
) -> Operation<'a> {
    let (status_apart, status_keeps) = (kind.has(Subresource::Status), of(kind).status_keeps);
    Operation { manager, api_version, subresource, status_apart, status_keeps, now }
}

/// What a writer may leave out and may not change.
fn keep_metadata(new: &mut Value, old: &Value) {
    let old = &old["metadata"];
    let Some(metadata) = metadata_of(new) else { return };
    metadata.remove("selfLink");
    for field in ["uid", "generateName"] {
        if metadata.get(field).map(text).is_none_or(str::is_empty) && !old[field].is_null() {
            metadata.insert(field.into(), old[field].clone());
        }
    }
    for field in ["creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"] {
        match &old[field] {
            Value::Null => metadata.remove(field),
            value => metadata.insert(field.into(), value.clone()),
        };
    }
}

/// Everything but metadata and status.
fn substance(object: &Value) -> Vec<(&String, &Value)> {
    let fields = object.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !matches!(name.as_str(), "metadata" | "status" | "apiVersion" | "kind"))
        .collect()
}

/// Validates a prepared new object. Returns the warnings. Errors: 422 with every fault.
pub fn validate_create(kind: impl Into<Served>, object: &Value) -> Result<Vec<String>, Error> {
    let kind = &kind.into();
    let mut findings = Findings::default();
    metadata::create(kind, of(kind).name, object, &mut findings.errors);
    (of(kind).validate_create)(object, &mut findings);
    finish(kind, object, None, findings)
}

/// Validates a prepared change of `old`. Returns the warnings. Errors: 422 with every fault.
pub fn validate_update(
    kind: impl Into<Served>,
    endpoint: Endpoint,
    new: &Value,
    old: &Value,
) -> Result<Vec<String>, Error> {
    let kind = &kind.into();
    let mut findings = Findings::default();
    metadata::update(new, old, &mut findings.errors);
    if endpoint == Endpoint::Approval {
        certificate::validate_conditions(new, old, &mut findings.errors);
    }
    if endpoint == Endpoint::Status && kind.custom {
        kind.validate(new, Some(old), &mut findings.errors)?;
    }
    if endpoint == Endpoint::Status {
        (of(kind).validate_status)(new, old, &mut findings.errors);
    }
    if matches!(endpoint, Endpoint::Status | Endpoint::Binding | Endpoint::Approval) {
        return outcome(kind, new, findings);
    }
    (of(kind).validate_update)(new, old, &mut findings);
    finish(kind, new, Some(old), findings)
}

fn finish(
    kind: &Served,
    object: &Value,
    old: Option<&Value>,
    mut findings: Findings,
) -> Result<Vec<String>, Error> {
    kind.validate(object, old, &mut findings.errors)?;
    (of(kind).validate)(object, &mut findings);
    findings.warnings.extend(warnings::of(kind, object, old));
    outcome(kind, object, findings)
}

fn outcome(kind: &Kind, object: &Value, mut findings: Findings) -> Result<Vec<String>, Error> {
    if findings.errors.is_empty() {
        return Ok(findings.warnings);
    }
    let mut seen = std::collections::BTreeSet::new();
    findings.errors.retain(|error| seen.insert(error.to_string()));
    let name = &object["metadata"]["name"];
    let name = if text(name).is_empty() { &object["metadata"]["generateName"] } else { name };
    Err(Error::invalid(&kind.group, &kind.kind, text(name), &findings.errors))
}

#[cfg(test)]
mod tests;
