//! Volumes, claims and classes.

use super::{node_expressions, node_label, node_terms};
use crate::classes::STORAGE;
use crate::validation::{child, indexed, quantity, text};
use serde_json::Value;

/// Sources of volumes that are gone, and since when.
const GONE: [(&str, &str); 6] = [
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// There are no parts of a byte.
pub(super) fn fraction(path: &str, amounts: &Value, name: &str, out: &mut Vec<String>) {
    let amount = &amounts[name];
    if quantity(amount).is_some_and(|amount| amount.milli() % 1000 != 0) {
        let given = text(amount);
        out.push(format!("{path}[{name}]: fractional byte value {given:?} is invalid, must be an integer"));
    }
}

fn annotation(object: &Value, out: &mut Vec<String>) {
    if !object["metadata"]["annotations"][STORAGE.annotation].is_null() {
        let why = "deprecated since v1.8; use \"storageClassName\" attribute instead";
        out.push(format!("metadata.annotations[{}]: {why}", STORAGE.annotation));
    }
}

/// A PersistentVolume.
pub(super) fn volume(volume: &Value, out: &mut Vec<String>) {
    let spec = &volume["spec"];
    annotation(volume, out);
    if spec["persistentVolumeReclaimPolicy"] == "Recycle" {
        let why = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic \
                   provisioning.";
        out.push(format!("spec.persistentVolumeReclaimPolicy: {why}"));
    }
    let terms = &spec["nodeAffinity"]["required"]["nodeSelectorTerms"];
    node_terms("spec.nodeAffinity.required.nodeSelectorTerms", terms, out);
    let gone = GONE.iter().filter(|(source, _)| !spec[*source].is_null());
    out.extend(gone.map(|(source, since)| format!("spec.{source}: {since}")));
}

/// A PersistentVolumeClaim.
pub(super) fn claim(claim: &Value, out: &mut Vec<String>) {
    annotation(claim, out);
    amounts("spec", &claim["spec"], out);
}

/// How much a claim asks for.
pub(super) fn amounts(path: &str, spec: &Value, out: &mut Vec<String>) {
    for list in ["requests", "limits"] {
        let path = child(path, &format!("resources.{list}"));
        fraction(&path, &spec["resources"][list], "storage", out);
    }
}

/// A StorageClass.
pub(super) fn class(class: &Value, out: &mut Vec<String>) {
    for (path, topology) in indexed(&class["allowedTopologies"], "allowedTopologies") {
        let path = child(&path, "matchLabelExpressions");
        for (path, expression) in indexed(&topology["matchLabelExpressions"], &path) {
            out.extend(node_label(text(&expression["key"])).map(|why| format!("{path}.key: {why}")));
        }
    }
}

/// A CSIStorageCapacity.
pub(super) fn capacity(capacity: &Value, out: &mut Vec<String>) {
    let nodes = &capacity["nodeTopology"];
    node_expressions("nodeTopology.matchExpressions", &nodes["matchExpressions"], out);
    for (label, _) in nodes["matchLabels"].as_object().into_iter().flatten() {
        out.extend(node_label(label).map(|why| format!("nodeTopology.matchLabels.{label}: {why}")));
    }
}
