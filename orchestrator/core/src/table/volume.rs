//! Cells of volumes, claims and storage classes.

use super::cells::{NONE, UNSET, join, list};
use crate::classes::STORAGE;
use peapod_api::meta;
use serde_json::Value;

/// `RWO,RWX`
pub(super) fn modes(modes: &Value) -> String {
    const SHORT: [(&str, &str); 4] = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let has = |long: &str| list(modes).any(|mode| mode == long);
    let short: Vec<&str> = SHORT.iter().filter(|(long, _)| has(long)).map(|(_, short)| *short).collect();
    short.join(",")
}

/// The phase, or that it is being deleted.
pub(super) fn phase(object: &Value) -> &str {
    let deleted = meta::text(object, "metadata.deletionTimestamp").map(|_| "Terminating");
    deleted.or(meta::text(object, "status.phase")).unwrap_or_default()
}

/// Whose volume it is: `default/data`.
pub(super) fn claim(volume: &Value) -> String {
    let claim = &volume["spec"]["claimRef"];
    if !claim.is_object() {
        return String::new();
    }
    let part = |field: &str| claim[field].as_str().unwrap_or_default();
    format!("{}/{}", part("namespace"), part("name"))
}

/// The storage class of a volume or a claim.
pub(super) fn class(object: &Value) -> &str {
    STORAGE.named(object).unwrap_or_default()
}

/// What a claim got; nothing before it has a volume.
pub(super) fn claim_capacity(claim: &Value) -> &str {
    bound(claim).and_then(|claim| claim["status"]["capacity"]["storage"].as_str()).unwrap_or_default()
}

/// How the volume of a claim may be used.
pub(super) fn claim_modes(claim: &Value) -> String {
    bound(claim).map(|claim| modes(&claim["status"]["accessModes"])).unwrap_or_default()
}

fn bound(claim: &Value) -> Option<&Value> {
    meta::text(claim, "spec.volumeName").filter(|name| !name.is_empty()).map(|_| claim)
}

/// A class's name, with a mark on the one that is taken where none is named.
pub(super) fn class_name(class: &Value) -> String {
    let name = meta::text(class, "metadata.name").unwrap_or_default();
    if STORAGE.is_default(class) { format!("{name} (default)") } else { name.into() }
}

/// For whom a driver asks tokens.
pub(super) fn token_audiences(driver: &Value) -> String {
    let requests = list(&driver["spec"]["tokenRequests"]);
    let audiences: Vec<&str> = requests.map(|r| r["audience"].as_str().unwrap_or_default()).collect();
    if audiences.is_empty() { UNSET.into() } else { audiences.join(",") }
}

/// How long volumes of a driver live.
pub(super) fn lifecycle_modes(driver: &Value) -> String {
    let modes = join(&driver["spec"]["volumeLifecycleModes"]);
    if modes.is_empty() { NONE.into() } else { modes }
}
