//! Configurations of admission webhooks.

use super::admission_rules;
use super::{Findings, PLAIN, Strategy};
use crate::validation::selector::label_selector;
use crate::validation::{Errors, child, indexed, invalid, items, names, one_of, text};
use peapod_api::FieldError;
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) static STRATEGY: Strategy = Strategy { counts_generations: true, validate, ..PLAIN };

const MAX_TIMEOUT_SECONDS: i64 = 30;
const MAX_PORT: i64 = 65535;
const REVIEW_VERSIONS: &str = "v1, v1beta1";
/// What match conditions may speak of.
const SUBJECTS: [&str; 4] = ["object", "oldObject", "request", "authorizer"];

fn validate(configuration: &Value, findings: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (path, webhook) in indexed(&configuration["webhooks"], "webhooks") {
        let errors = &mut findings.errors;
        name(&child(&path, "name"), &webhook["name"], errors);
        admission_rules::rules(&webhook["rules"], &child(&path, "rules"), errors);
        side_effects_and_timeout(&path, webhook, errors);
        review_versions(
            &child(&path, "admissionReviewVersions"),
            &webhook["admissionReviewVersions"],
            errors,
        );
        for field in ["namespaceSelector", "objectSelector"] {
            label_selector(errors, &child(&path, field), &webhook[field]);
        }
        client_config(&child(&path, "clientConfig"), &webhook["clientConfig"], errors);
        let at = child(&path, "matchConditions");
        admission_rules::conditions(&webhook["matchConditions"], &at, &SUBJECTS, errors);
        if !seen.insert(text(&webhook["name"])) {
            errors.push(FieldError::duplicate(&child(&path, "name"), &webhook["name"]));
        }
    }
}

fn name(path: &str, name: &Value, errors: &mut Errors) {
    if text(name).is_empty() {
        return errors.push(FieldError::required(path, ""));
    }
    invalid(errors, path, name, names::subdomain(text(name)));
    if text(name).split('.').count() < 3 {
        let why = "should be a domain with at least three segments separated by dots";
        errors.push(FieldError::invalid(path, name, why));
    }
}

fn side_effects_and_timeout(path: &str, webhook: &Value, errors: &mut Errors) {
    let (at, effects) = (child(path, "sideEffects"), &webhook["sideEffects"]);
    match text(effects) {
        "" => errors.push(FieldError::required(&at, "must specify one of None, NoneOnDryRun")),
        _ => one_of(errors, &at, effects, &["None", "NoneOnDryRun"]),
    }
    let timeout = &webhook["timeoutSeconds"];
    if timeout.as_i64().is_some_and(|seconds| !(1..=MAX_TIMEOUT_SECONDS).contains(&seconds)) {
        let why = "the timeout value must be between 1 and 30 seconds";
        errors.push(FieldError::invalid(&child(path, "timeoutSeconds"), timeout, why));
    }
}

fn review_versions(path: &str, versions: &Value, errors: &mut Errors) {
    if items(versions).next().is_none() {
        return errors.push(FieldError::required(path, &format!("must specify one of {REVIEW_VERSIONS}")));
    }
    let mut seen = BTreeSet::new();
    for (at, version) in indexed(versions, path) {
        if seen.insert(text(version)) {
            invalid(errors, &at, version, names::dns1035_label(text(version)));
        } else {
            errors.push(FieldError::invalid(&at, version, "duplicate version"));
        }
    }
    if !seen.contains("v1") && !seen.contains("v1beta1") {
        let why = format!("must include at least one of {REVIEW_VERSIONS}");
        errors.push(FieldError::invalid(path, versions, &why));
    }
}

fn client_config(path: &str, config: &Value, errors: &mut Errors) {
    let (address, service) = (&config["url"], &config["service"]);
    match (address.as_str(), service.is_object()) {
        (Some(address), false) => url(&child(path, "url"), address, errors),
        (None, true) => self::service(&child(path, "service"), service, errors),
        _ => errors.push(FieldError::required(path, "exactly one of url or service is required")),
    }
}

fn url(path: &str, url: &str, errors: &mut Errors) {
    const FORM: &str = "; desired format: https://host[/path]";
    let mut refuse = |value: &str, why: &str| errors.push(FieldError::invalid(path, &value.into(), why));
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = rest.split_once("://").unwrap_or(("", rest));
    let authority = if scheme.is_empty() { "" } else { rest.split('/').next().unwrap_or_default() };
    let (user, host) =
        authority.rsplit_once('@').map_or((None, authority), |(user, host)| (Some(user), host));
    if scheme != "https" {
        refuse(scheme, &format!("'https' is the only allowed URL scheme{FORM}"));
    }
    if host.is_empty() {
        refuse(host, &format!("host must be specified{FORM}"));
    }
    if let Some(user) = user {
        refuse(user, "user information is not permitted in the URL");
    }
    if !fragment.is_empty() {
        refuse(fragment, "fragments are not permitted in the URL");
    }
    if !query.is_empty() {
        refuse(query, "query parameters are not permitted in the URL");
    }
    let is_bad = |c: char| c.is_control() || c.is_whitespace() || "<>\"\\^`{|}".contains(c);
    if url.contains(is_bad) {
        let why = format!("url must be a valid URL: it holds a character that no URL has{FORM}");
        errors.push(FieldError::required(path, &why));
    }
}

fn service(path: &str, service: &Value, errors: &mut Errors) {
    for field in ["name", "namespace"] {
        if text(&service[field]).is_empty() {
            errors.push(FieldError::required(&child(path, field), &format!("service {field} is required")));
        }
    }
    let port = &service["port"];
    if port.as_i64().is_some_and(|port| !(1..=MAX_PORT).contains(&port)) {
        let why = "port is not valid: must be between 1 and 65535, inclusive";
        errors.push(FieldError::invalid(&child(path, "port"), port, why));
    }
    service_path(&child(path, "path"), &service["path"], errors);
}

fn service_path(path: &str, value: &Value, errors: &mut Errors) {
    let given = text(value);
    let mut refuse = |why: String| errors.push(FieldError::invalid(path, value, &why));
    match given {
        "" | "/" => return,
        "//" => return refuse("segment[0] may not be empty".into()),
        _ if !given.starts_with('/') => refuse("must start with a '/'".into()),
        _ => {}
    }
    let inner: String = given.chars().skip(1).collect();
    for (at, step) in inner.strip_suffix('/').unwrap_or(&inner).split('/').enumerate() {
        if step.is_empty() {
            refuse(format!("segment[{at}] may not be empty"));
            continue;
        }
        names::subdomain(step).into_iter().for_each(|why| refuse(format!("segment[{at}]: {why}")));
    }
}
