//! `storage.k8s.io`: classes, attachments and what drivers say of nodes.

use super::{PLAIN, Strategy};
use crate::validation::{child, immutable, indexed, invalid, names, text};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) static CLASS: Strategy = Strategy {
    validate: |class, findings| {
        let errors = &mut findings.errors;
        match text(&class["provisioner"]) {
            "" => errors.push(FieldError::required("provisioner", "")),
            name => {
                let complaints = names::label_key(&name.to_lowercase());
                invalid(errors, "provisioner", &class["provisioner"], complaints);
            }
        }
        for (key, _) in
            class["parameters"].as_object().into_iter().flatten().filter(|(key, _)| key.is_empty())
        {
            errors.push(FieldError::invalid("parameters", &key.as_str().into(), "field can not be empty."));
        }
    },
    validate_update: |new, old, findings| {
        forbid_changes(new, old, &["parameters", "provisioner", "reclaimPolicy"], findings);
        let (new, old) = (&new["volumeBindingMode"], &old["volumeBindingMode"]);
        immutable(&mut findings.errors, "volumeBindingMode", new, old);
    },
    ..PLAIN
};

pub(super) static ATTRIBUTES_CLASS: Strategy = Strategy {
    validate: |class, findings| {
        let errors = &mut findings.errors;
        if text(&class["driverName"]).is_empty() {
            errors.push(FieldError::required("driverName", ""));
        }
        if class["parameters"].as_object().is_none_or(serde_json::Map::is_empty) {
            errors.push(FieldError::required("parameters", "must contain at least one key/value pair"));
        }
    },
    validate_update: |new, old, findings| forbid_changes(new, old, &["driverName", "parameters"], findings),
    ..PLAIN
};

pub(super) static ATTACHMENT: Strategy = Strategy {
    validate: |attachment, findings| {
        let (spec, errors) = (&attachment["spec"], &mut findings.errors);
        for field in ["attacher", "nodeName"] {
            if text(&spec[field]).is_empty() {
                errors.push(FieldError::required(&child("spec", field), ""));
            }
        }
        let source = &spec["source"];
        let named = !text(&source["persistentVolumeName"]).is_empty();
        let why = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        match (named, source["inlineVolumeSpec"].is_object()) {
            (false, false) => errors.push(FieldError::required("spec.source", why)),
            (true, true) => errors.push(FieldError::forbidden("spec.source", why)),
            _ => {}
        }
    },
    validate_update: |new, old, findings| {
        immutable(&mut findings.errors, "spec", &new["spec"], &old["spec"]);
    },
    ..PLAIN
};

pub(super) static NODE: Strategy = Strategy {
    validate: |node, findings| {
        let mut seen = BTreeSet::new();
        for (path, driver) in indexed(&node["spec"]["drivers"], "spec.drivers") {
            for field in ["name", "nodeID"] {
                if text(&driver[field]).is_empty() {
                    findings.errors.push(FieldError::required(&child(&path, field), ""));
                }
            }
            if !seen.insert(text(&driver["name"])) {
                findings.errors.push(FieldError::duplicate(&child(&path, "name"), &driver["name"]));
            }
        }
    },
    ..PLAIN
};

fn forbid_changes(new: &Value, old: &Value, fields: &[&str], findings: &mut super::Findings) {
    for field in fields.iter().filter(|field| new[**field] != old[**field]) {
        let why = format!("updates to {field} are forbidden.");
        findings.errors.push(FieldError::forbidden(field, &why));
    }
}
