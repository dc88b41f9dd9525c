//! Roles and their bindings.

use super::{Findings, PLAIN, Strategy};
use crate::validation::names::NameRule;
use crate::validation::{Errors, child, indexed, invalid, items, names, selector, text};
use peapod_api::FieldError;
use peapod_api::well_known::RBAC_GROUP;
use serde_json::Value;

pub(super) static ROLE: Strategy = Strategy {
    name: NameRule::PathSegment,
    validate: |role, findings| rules(role, true, &mut findings.errors),
    ..PLAIN
};

pub(super) static CLUSTER_ROLE: Strategy = Strategy {
    name: NameRule::PathSegment,
    validate: |role, findings| {
        rules(role, false, &mut findings.errors);
        aggregation(&role["aggregationRule"], &mut findings.errors);
    },
    ..PLAIN
};

pub(super) static ROLE_BINDING: Strategy = Strategy {
    name: NameRule::PathSegment,
    validate: |binding, findings| binds(binding, &["ClusterRole", "Role"], &mut findings.errors),
    validate_update: same_role,
    ..PLAIN
};

pub(super) static CLUSTER_ROLE_BINDING: Strategy = Strategy {
    name: NameRule::PathSegment,
    validate: |binding, findings| binds(binding, &["ClusterRole"], &mut findings.errors),
    validate_update: same_role,
    ..PLAIN
};

fn is_empty(list: &Value) -> bool {
    items(list).next().is_none()
}

fn rules(role: &Value, namespaced: bool, errors: &mut Errors) {
    for (path, rule) in indexed(&role["rules"], "rules") {
        if is_empty(&rule["verbs"]) {
            errors
                .push(FieldError::required(&child(&path, "verbs"), "verbs must contain at least one value"));
        }
        if is_empty(&rule["nonResourceURLs"]) {
            for (field, what) in [("apiGroups", "api group"), ("resources", "resource")] {
                if is_empty(&rule[field]) {
                    let why = format!("resource rules must supply at least one {what}");
                    errors.push(FieldError::required(&child(&path, field), &why));
                }
            }
            continue;
        }
        let (path, urls) = (child(&path, "nonResourceURLs"), &rule["nonResourceURLs"]);
        if namespaced {
            let why = "namespaced rules cannot apply to non-resource URLs";
            errors.push(FieldError::invalid(&path, urls, why));
        }
        if ["apiGroups", "resources", "resourceNames"].iter().any(|field| !is_empty(&rule[*field])) {
            let why = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(FieldError::invalid(&path, urls, why));
        }
    }
}

fn aggregation(rule: &Value, errors: &mut Errors) {
    const PATH: &str = "aggregationRule.clusterRoleSelectors";
    if rule.is_object() && is_empty(&rule["clusterRoleSelectors"]) {
        let why = "at least one clusterRoleSelector required if aggregationRule is non-nil";
        errors.push(FieldError::required(PATH, why));
    }
    for (path, one) in indexed(&rule["clusterRoleSelectors"], PATH) {
        selector::label_selector(errors, &path, one);
    }
}

fn binds(binding: &Value, kinds: &[&str], errors: &mut Errors) {
    let role = &binding["roleRef"];
    if role["apiGroup"] != RBAC_GROUP {
        errors.push(FieldError::not_supported("roleRef.apiGroup", &role["apiGroup"], &[RBAC_GROUP]));
    }
    if !kinds.contains(&text(&role["kind"])) {
        errors.push(FieldError::not_supported("roleRef.kind", &role["kind"], kinds));
    }
    match text(&role["name"]) {
        "" => errors.push(FieldError::required("roleRef.name", "")),
        name => invalid(errors, "roleRef.name", &role["name"], names::path_segment(name, false)),
    }
    let everywhere = !kinds.contains(&"Role");
    for (path, one) in indexed(&binding["subjects"], "subjects") {
        subject(one, &path, everywhere, errors);
    }
}

fn subject(subject: &Value, path: &str, everywhere: bool, errors: &mut Errors) {
    const KINDS: [&str; 3] = ["ServiceAccount", "User", "Group"];
    let name = text(&subject["name"]);
    if name.is_empty() {
        errors.push(FieldError::required(&child(path, "name"), ""));
    }
    let (group, at) = (text(&subject["apiGroup"]), child(path, "apiGroup"));
    match text(&subject["kind"]) {
        "ServiceAccount" => {
            if !name.is_empty() {
                invalid(errors, &child(path, "name"), &subject["name"], names::subdomain(name));
            }
            if !group.is_empty() {
                errors.push(FieldError::not_supported(&at, &subject["apiGroup"], &[""]));
            }
            if everywhere && text(&subject["namespace"]).is_empty() {
                errors.push(FieldError::required(&child(path, "namespace"), ""));
            }
        }
        "User" | "Group" if group != RBAC_GROUP => {
            errors.push(FieldError::not_supported(&at, &subject["apiGroup"], &[RBAC_GROUP]));
        }
        "User" | "Group" => {}
        _ => errors.push(FieldError::not_supported(&child(path, "kind"), &subject["kind"], &KINDS)),
    }
}

fn same_role(new: &Value, old: &Value, findings: &mut Findings) {
    if new["roleRef"] != old["roleRef"] {
        findings.errors.push(FieldError::invalid("roleRef", &new["roleRef"], "cannot change roleRef"));
    }
}
