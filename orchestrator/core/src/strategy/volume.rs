//! PersistentVolumes and the claims to them.

use super::{Findings, PLAIN, Strategy};
use crate::validation::{Errors, immutable, invalid, items, names, quantity, selector, status, text};
use peapod_api::{FieldError, Quantity};
use serde_json::{Value, json};

pub(super) static VOLUME: Strategy = Strategy {
    prepare_create: |volume| volume["status"] = json!({"phase": "Pending"}),
    validate: validate_volume,
    validate_update: |new, old, findings| {
        if source(new) != source(old) {
            let why = "spec.persistentvolumesource is immutable after creation";
            findings.errors.push(FieldError::forbidden("spec.persistentvolumesource", why));
        }
        let (new, old) = (&new["spec"]["volumeMode"], &old["spec"]["volumeMode"]);
        immutable(&mut findings.errors, "spec.volumeMode", new, old);
    },
    ..PLAIN
};

pub(super) static CLAIM: Strategy = Strategy {
    prepare_create: |claim| claim["status"] = json!({"phase": "Pending"}),
    validate: validate_claim,
    validate_update: validate_claim_update,
    validate_status: status::claim,
    ..PLAIN
};

const MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
/// Fields of a volume's spec that say nothing about where its data are.
const NO_SOURCES: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// Where a volume's data are: every field that names a place.
fn source(volume: &Value) -> Vec<(&String, &Value)> {
    let fields = volume["spec"].as_object().into_iter().flatten();
    fields.filter(|(name, _)| !NO_SOURCES.contains(&name.as_str())).collect()
}

fn modes(list: &Value, when_empty: &str, errors: &mut Errors) {
    const PATH: &str = "spec.accessModes";
    if items(list).next().is_none() {
        errors.push(FieldError::required(PATH, when_empty));
    }
    for mode in items(list).filter(|mode| !MODES.contains(&text(mode))) {
        errors.push(FieldError::not_supported(PATH, mode, &MODES));
    }
    if items(list).any(|mode| mode == "ReadWriteOncePod") && items(list).count() > 1 {
        let why = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden(PATH, why));
    }
}

fn class(spec: &Value, errors: &mut Errors) {
    let name = text(&spec["storageClassName"]);
    if !name.is_empty() {
        invalid(errors, "spec.storageClassName", &spec["storageClassName"], names::subdomain(name));
    }
}

fn above_zero(path: &str, amount: &Value, errors: &mut Errors) {
    if quantity(amount).is_some_and(|amount| amount <= Quantity::whole(0)) {
        errors.push(FieldError::invalid(path, amount, "must be greater than zero"));
    }
}

fn validate_volume(volume: &Value, findings: &mut Findings) {
    let (spec, errors) = (&volume["spec"], &mut findings.errors);
    modes(&spec["accessModes"], "", errors);
    let capacity = &spec["capacity"];
    match capacity.as_object().map_or(0, serde_json::Map::len) {
        0 => errors.push(FieldError::required("spec.capacity", "")),
        1 if !capacity["storage"].is_null() => {}
        _ => errors.push(FieldError::not_supported("spec.capacity", capacity, &["storage"])),
    }
    above_zero("spec.capacity[storage]", &capacity["storage"], errors);
    let sources = source(volume);
    if sources.is_empty() {
        errors.push(FieldError::required("spec", "must specify a volume type"));
    }
    for (name, _) in sources.iter().skip(1) {
        let why = "may not specify more than 1 volume type";
        errors.push(FieldError::forbidden(&format!("spec.{name}"), why));
    }
    if spec["hostPath"]["path"] == "/" && spec["persistentVolumeReclaimPolicy"] == "Recycle" {
        let why = "may not be 'recycle' for a hostPath mount of '/'";
        errors.push(FieldError::forbidden("spec.persistentVolumeReclaimPolicy", why));
    }
    class(spec, errors);
}

fn validate_claim(claim: &Value, findings: &mut Findings) {
    let (spec, errors) = (&claim["spec"], &mut findings.errors);
    modes(&spec["accessModes"], "at least 1 access mode is required", errors);
    let wanted = &spec["resources"]["requests"]["storage"];
    if wanted.is_null() {
        errors.push(FieldError::required("spec.resources[storage]", ""));
    }
    above_zero("spec.resources[storage]", wanted, errors);
    selector::label_selector(errors, "spec.selector", &spec["selector"]);
    class(spec, errors);
}

/// A bound claim may grow; the name of the volume and the class may be filled in once.
fn validate_claim_update(new: &Value, old: &Value, findings: &mut Findings) {
    let (errors, bound) = (&mut findings.errors, old["status"]["phase"] == "Bound");
    let fixed = |claim: &Value| {
        let mut spec = claim["spec"].clone();
        if let Some(fields) = spec.as_object_mut() {
            let empty = |field: &str| text(&old["spec"][field]).is_empty();
            fields.retain(|field, _| {
                !(matches!(field.as_str(), "volumeName" | "storageClassName") && empty(field))
            });
            if bound {
                fields.remove("volumeAttributesClassName");
                fields.get_mut("resources").and_then(Value::as_object_mut).map(|r| r.remove("requests"));
            }
        }
        spec
    };
    if fixed(new) != fixed(old) {
        let why = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
                   claims";
        errors.push(FieldError::forbidden("spec", why));
    }
    let request = |claim: &Value| quantity(&claim["spec"]["resources"]["requests"]["storage"]);
    let has = quantity(&old["status"]["capacity"]["storage"]);
    if bound && request(new) < request(old) && (has.is_none() || request(new) <= has) {
        let why = "field can not be less than status.capacity";
        errors.push(FieldError::forbidden("spec.resources.requests.storage", why));
    }
}
