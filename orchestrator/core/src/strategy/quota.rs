//! LimitRanges and ResourceQuotas.

use super::{PLAIN, Strategy};
use crate::validation::{
    Errors, child, immutable, indexed, invalid, items, names, not_negative_amount, quantity, text,
};
use peapod_api::{FieldError, Quantity};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) static LIMIT_RANGE: Strategy = Strategy {
    validate: |range, findings| {
        let mut seen = BTreeSet::new();
        for (path, limit) in indexed(&range["spec"]["limits"], "spec.limits") {
            if !seen.insert(text(&limit["type"])) {
                findings.errors.push(FieldError::duplicate(&child(&path, "type"), &limit["type"]));
            }
            validate_limit(&path, limit, &mut findings.errors);
        }
    },
    ..PLAIN
};

pub(super) static RESOURCE_QUOTA: Strategy = Strategy {
    validate: |quota, findings| {
        let (spec, errors) = (&quota["spec"], &mut findings.errors);
        for (name, amount) in spec["hard"].as_object().into_iter().flatten() {
            hard(&format!("spec.hard[{name}]"), name, amount, errors);
        }
        scopes(&spec["scopes"], errors);
    },
    validate_status: |quota, _, errors| {
        for list in ["hard", "used"] {
            for (name, amount) in quota["status"][list].as_object().into_iter().flatten() {
                hard(&format!("status.{list}[{name}]"), name, amount, errors);
            }
        }
    },
    validate_update: |new, old, findings| {
        let (new, old) = (&new["spec"]["scopes"], &old["spec"]["scopes"]);
        immutable(&mut findings.errors, "spec.scopes", new, old);
    },
    ..PLAIN
};

/// What is compared with what: the first must not be above the second.
const ORDER: [(&str, &str); 6] = [
    ("min", "max"),
    ("min", "defaultRequest"),
    ("defaultRequest", "max"),
    ("defaultRequest", "default"),
    ("min", "default"),
    ("default", "max"),
];
/// Names without a domain that may stand in a quota.
const QUOTA_NAMES: [&str; 16] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "services",
    "replicationcontrollers",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
];
/// Names of counts.
const COUNTED: [&str; 9] = [
    "pods",
    "services",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "configmaps",
    "persistentvolumeclaims",
    "services.nodeports",
    "services.loadbalancers",
];
const SCOPES: [&str; 7] = [
    "Terminating",
    "NotTerminating",
    "BestEffort",
    "NotBestEffort",
    "PriorityClass",
    "CrossNamespacePodAffinity",
    "VolumeAttributesClass",
];

fn validate_limit(path: &str, limit: &Value, errors: &mut Errors) {
    let lists = ["min", "max", "default", "defaultRequest", "maxLimitRequestRatio"];
    let names: BTreeSet<&String> = lists
        .iter()
        .flat_map(|list| limit[*list].as_object().into_iter().flatten().map(|(name, _)| name))
        .collect();
    for name in &names {
        invalid(errors, path, &name.as_str().into(), names::label_key(name));
    }
    let type_ = text(&limit["type"]);
    if type_ == "Pod" {
        for field in ["default", "defaultRequest"] {
            if limit[field].as_object().is_some_and(|amounts| !amounts.is_empty()) {
                let why = "may not be specified when `type` is 'Pod'";
                errors.push(FieldError::forbidden(&child(path, field), why));
            }
        }
    }
    if type_ == "PersistentVolumeClaim" && ["min", "max"].iter().all(|list| limit[*list]["storage"].is_null())
    {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(FieldError::required(path, why));
    }
    for name in names {
        compare(path, limit, name, errors);
    }
}

fn compare(path: &str, limit: &Value, name: &str, errors: &mut Errors) {
    let called = |list: &str| match list {
        "default" => "default value",
        "defaultRequest" => "default request value",
        "min" => "min value",
        _ => "max value",
    };
    for (low, high) in ORDER {
        let (less, more) = (&limit[low][name], &limit[high][name]);
        let (Some(a), Some(b)) = (quantity(less), quantity(more)) else { continue };
        if a > b {
            // The complaint stands at the smaller bound, but at the default where one is concerned.
            let at = if low == "min" && high != "max" { high } else { low };
            let beyond = if low == "defaultRequest" && high == "default" {
                "default limit value"
            } else {
                called(high)
            };
            let why = format!("{} {} is greater than {beyond} {}", called(low), text(less), text(more));
            errors.push(FieldError::invalid(&format!("{path}.{at}[{name}]"), &limit[at][name], &why));
        }
    }
    let ratio = &limit["maxLimitRequestRatio"][name];
    if quantity(ratio).is_some_and(|ratio| ratio < Quantity::whole(1)) {
        let why = format!("ratio {} is less than 1", text(ratio));
        errors.push(FieldError::invalid(&format!("{path}.maxLimitRequestRatio[{name}]"), ratio, &why));
    }
}

fn hard(path: &str, name: &str, amount: &Value, errors: &mut Errors) {
    invalid(errors, path, &name.into(), names::label_key(name));
    let standard = QUOTA_NAMES.contains(&name) || COUNTED.contains(&name);
    let prefixed =
        ["count/", "hugepages-", "requests.hugepages-"].iter().any(|start| name.starts_with(start));
    if !name.contains('/') && !standard && !prefixed {
        errors.push(FieldError::invalid(path, &name.into(), "must be a standard resource for quota"));
    }
    not_negative_amount(errors, path, amount);
    let counted = COUNTED.contains(&name) || name.starts_with("count/");
    if counted && quantity(amount).is_some_and(|amount| amount.milli() % 1000 != 0) {
        errors.push(FieldError::invalid(path, amount, "must be an integer"));
    }
}

fn scopes(scopes: &Value, errors: &mut Errors) {
    let list: Vec<&str> = items(scopes).map(text).collect();
    if list.iter().any(|scope| !SCOPES.contains(scope)) {
        errors.push(FieldError::invalid("spec.scopes", scopes, "unsupported scope"));
    }
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if list.contains(&one) && list.contains(&other) {
            errors.push(FieldError::invalid("spec.scopes", scopes, "conflicting scopes"));
        }
    }
}
