//! Custom resource definitions: names, versions and what each version says of itself.

mod rules;
mod structural;

use super::{Findings, PLAIN, Strategy};
use crate::validation::names::{dns1035_label, subdomain};
use crate::validation::{Errors, child, immutable, indexed, invalid, items, one_of, text};
use peapod_api::meta::condition_is_true;
use peapod_api::{FieldError, JsonPath};
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) static STRATEGY: Strategy = Strategy {
    counts_generations: true,
    prepare_create: |definition| {
        definition["status"] = json!({"storedVersions": []});
        remember_storage(definition);
    },
    prepare_update: |definition, _| remember_storage(definition),
    validate,
    validate_create: |definition, findings| costs(definition, &Value::Null, &mut findings.errors),
    validate_update,
    ..PLAIN
};

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 10] =
    ["byte", "date", "date-time", "double", "float", "int32", "int64", "name", "password", "url"];
const MAX_SELECTABLE_FIELDS: usize = 8;

/// Objects are stored in the storage version from now on.
fn remember_storage(definition: &mut Value) {
    let versions = items(&definition["spec"]["versions"]);
    let Some(storage) = versions.into_iter().find(|version| version["storage"] == true) else { return };
    let name = storage["name"].clone();
    if let Value::Array(stored) = &mut definition["status"]["storedVersions"] {
        if !stored.contains(&name) {
            stored.push(name);
        }
    } else {
        definition["status"]["storedVersions"] = json!([name]);
    }
}

fn validate(definition: &Value, findings: &mut Findings) {
    let (spec, errors) = (&definition["spec"], &mut findings.errors);
    let required = format!("{}.{}", text(&spec["names"]["plural"]), text(&spec["group"]));
    if definition["metadata"]["name"] != required {
        let why = r#"must be spec.names.plural+"."+spec.group"#;
        errors.push(FieldError::invalid("metadata.name", &definition["metadata"]["name"], why));
    }
    group(definition, errors);
    one_of(errors, "spec.scope", &spec["scope"], &["Cluster", "Namespaced"]);
    names(&spec["names"], errors);
    versions(spec, findings);
    conversion(&spec["conversion"], &mut findings.errors);
    if spec["preserveUnknownFields"] == true {
        let why = "must be false in order to use defaults in the schema and to prune unknown fields";
        let path = "spec.preserveUnknownFields";
        findings.errors.push(FieldError::invalid(path, &true.into(), why));
    }
    stored_versions(definition, &mut findings.errors);
}

fn group(definition: &Value, errors: &mut Errors) {
    let group = &definition["spec"]["group"];
    let name = text(group);
    if name.is_empty() {
        return;
    }
    let complaints = subdomain(name);
    if complaints.is_empty() && !name.contains('.') {
        errors.push(FieldError::invalid("spec.group", group, "should be a domain with at least one dot"));
    }
    invalid(errors, "spec.group", group, complaints);
    const APPROVED: &str = "api-approved.kubernetes.io";
    let protected =
        ["k8s.io", "kubernetes.io"].iter().any(|own| name == *own || name.ends_with(&format!(".{own}")));
    if protected {
        let path = format!("metadata.annotations[{APPROVED}]");
        match text(&definition["metadata"]["annotations"][APPROVED]) {
            "" => errors.push(FieldError::required(
                &path,
                "protected groups must have approval annotation \"api-approved.kubernetes.io\", see https://github.com/kubernetes/enhancements/pull/1111",
            )),
            approval if approval.starts_with("https://") || approval.starts_with("unapproved") => {}
            approval => errors.push(FieldError::invalid(
                &path,
                &approval.into(),
                "protected groups must have approval annotation \"api-approved.kubernetes.io\" with either a URL or a reason starting with \"unapproved\", see https://github.com/kubernetes/enhancements/pull/1111",
            )),
        }
    }
}

fn names(names: &Value, errors: &mut Errors) {
    let mut check = |field: &str, value: &Value| {
        if !text(value).is_empty() {
            invalid(errors, &format!("spec.names.{field}"), value, dns1035_label(text(value)));
        }
    };
    check("plural", &names["plural"]);
    check("singular", &names["singular"]);
    for list in ["shortNames", "categories"] {
        for (path, name) in indexed(&names[list], list) {
            check(&path, name);
        }
    }
    for field in ["kind", "listKind"] {
        let value = &names[field];
        let complaints = dns1035_label(&text(value).to_lowercase());
        let worded =
            complaints.iter().map(|why| format!("may have mixed case, but should otherwise match: {why}"));
        if !text(value).is_empty() {
            invalid(errors, &format!("spec.names.{field}"), value, worded.collect());
        }
    }
    if !text(&names["kind"]).is_empty() && names["kind"] == names["listKind"] {
        let why = "kind and listKind may not be the same";
        errors.push(FieldError::invalid("spec.names.listKind", &names["listKind"], why));
    }
}

fn conversion(conversion: &Value, errors: &mut Errors) {
    const PATH: &str = "spec.conversion.strategy";
    match text(&conversion["strategy"]) {
        "" | "None" => {}
        "Webhook" => {
            let why = "this server converts nothing by webhook: only None is supported";
            errors.push(FieldError::forbidden(PATH, why));
        }
        _ => one_of(errors, PATH, &conversion["strategy"], &["None", "Webhook"]),
    }
    if conversion["strategy"] != "Webhook" && !conversion["webhook"].is_null() {
        let why = "should not be set when strategy is not set to Webhook";
        errors.push(FieldError::forbidden("spec.conversion.webhook", why));
    }
}

fn versions(spec: &Value, findings: &mut Findings) {
    let list = &spec["versions"];
    let mut seen = BTreeSet::new();
    let unique = items(list).all(|version| seen.insert(text(&version["name"])));
    let errors = &mut findings.errors;
    if !unique {
        errors.push(FieldError::invalid("spec.versions", list, "must contain unique version names"));
    }
    if items(list).filter(|version| version["storage"] == true).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        errors.push(FieldError::invalid("spec.versions", list, why));
    }
    for (path, version) in indexed(list, "spec.versions") {
        let name = &version["name"];
        if !text(name).is_empty() {
            invalid(errors, &format!("{path}.name"), name, dns1035_label(text(name)));
        }
        if !version["deprecationWarning"].is_null() && version["deprecated"] != true {
            let path = format!("{path}.deprecationWarning");
            let why = "can only be set for deprecated versions";
            errors.push(FieldError::invalid(&path, &version["deprecationWarning"], why));
        }
        if !version["schema"]["openAPIV3Schema"].is_object() {
            let path = format!("{path}.schema.openAPIV3Schema");
            errors.push(FieldError::required(&path, "schemas are required"));
        }
    }
    for (path, schema) in parts(list, "schema") {
        let schema = &schema["openAPIV3Schema"];
        if schema.is_object() {
            structural::validate(schema, &child(&path, "openAPIV3Schema"), findings);
        }
    }
    let errors = &mut findings.errors;
    for (path, subresources) in parts(list, "subresources") {
        scale(&subresources["scale"], &child(&path, "scale"), errors);
    }
    for (path, columns) in parts(list, "additionalPrinterColumns") {
        indexed(columns, &path).for_each(|(path, column)| self::column(column, &path, errors));
    }
    for (path, version) in indexed(list, "spec.versions") {
        selectable(version, &child(&path, "selectableFields"), errors);
    }
}

/// A part of each version with its path. What all versions say alike is told once, as of the definition itself.
fn parts<'a>(versions: &'a Value, part: &str) -> Vec<(String, &'a Value)> {
    let mut different: Vec<&Value> = items(versions).map(|version| &version[part]).collect();
    different.dedup();
    if let [only] = different[..] {
        let name = if part == "schema" { "validation" } else { part };
        return vec![(format!("spec.{name}"), only)];
    }
    indexed(versions, "spec.versions").map(|(path, version)| (child(&path, part), &version[part])).collect()
}

fn scale(scale: &Value, path: &str, errors: &mut Errors) {
    if !scale.is_object() {
        return;
    }
    let roots = [
        ("specReplicasPath", ".spec."),
        ("statusReplicasPath", ".status."),
        ("labelSelectorPath", ".status."),
    ];
    for (field, root) in roots {
        let (value, path) = (&scale[field], child(path, field));
        let fields = JsonPath::parse(text(value)).ok().is_some_and(|path| path.fields().is_some());
        if text(value).is_empty() {
            continue; // the schema asks for those that are required
        }
        if !fields {
            errors.push(FieldError::invalid(&path, value, "should be a json path without array notation"));
        } else if !(text(value).starts_with(root)
            || field == "labelSelectorPath" && text(value).starts_with(".spec."))
        {
            let root = root.trim_end_matches('.');
            errors.push(FieldError::invalid(&path, value, &format!("should be a json path under {root}")));
        }
    }
}

fn column(column: &Value, path: &str, errors: &mut Errors) {
    let at = |field: &str| child(path, field);
    one_of(errors, &at("type"), &column["type"], &COLUMN_TYPES);
    if !text(&column["format"]).is_empty() {
        one_of(errors, &at("format"), &column["format"], &COLUMN_FORMATS);
    }
    if !text(&column["jsonPath"]).is_empty()
        && let Err(why) = JsonPath::parse(text(&column["jsonPath"]))
    {
        errors.push(FieldError::invalid(&at("jsonPath"), &column["jsonPath"], &why));
    }
}

fn selectable(version: &Value, path: &str, errors: &mut Errors) {
    let fields = &version["selectableFields"];
    let count = items(fields).count();
    if count > MAX_SELECTABLE_FIELDS {
        errors.push(FieldError::too_many(path, count, MAX_SELECTABLE_FIELDS));
    }
    let mut seen = BTreeSet::new();
    for (path, field) in indexed(fields, path) {
        let (json_path, at) = (&field["jsonPath"], child(&path, "jsonPath"));
        let parsed = JsonPath::parse(text(json_path)).ok();
        let names = parsed.as_ref().and_then(JsonPath::fields);
        if text(json_path).is_empty() {
            errors.push(FieldError::required(&at, ""));
        } else if !seen.insert(text(json_path)) {
            errors.push(FieldError::duplicate(&at, json_path));
        } else if names.as_ref().is_some_and(|names| names.first() == Some(&"metadata")) {
            errors.push(FieldError::invalid(&at, json_path, "must not point to fields in metadata"));
        } else {
            let schema = &version["schema"]["openAPIV3Schema"];
            let found = names.and_then(|names| {
                names.iter().try_fold(schema, |schema, name| schema["properties"].get(name))
            });
            let is_scalar =
                found.is_some_and(|s| matches!(text(&s["type"]), "string" | "boolean" | "integer"));
            if !is_scalar {
                let why = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed";
                errors.push(FieldError::invalid(&at, json_path, why));
            }
        }
    }
}

/// A version in which objects may be stored has to stay.
fn stored_versions(definition: &Value, errors: &mut Errors) {
    let names: Vec<&Value> = items(&definition["spec"]["versions"]).map(|version| &version["name"]).collect();
    for (path, stored) in indexed(&definition["status"]["storedVersions"], "status.storedVersions") {
        if !names.contains(&stored) {
            errors.push(FieldError::invalid(
                &path,
                stored,
                "missing from spec.versions; must appear in spec.versions",
            ));
        }
    }
}

fn validate_update(new: &Value, old: &Value, findings: &mut Findings) {
    let (spec, before) = (&new["spec"], &old["spec"]);
    let mut fixed = vec!["group"];
    if condition_is_true(old, "Established") {
        fixed.push("scope");
        immutable(&mut findings.errors, "spec.names.kind", &spec["names"]["kind"], &before["names"]["kind"]);
    }
    for field in fixed {
        immutable(&mut findings.errors, &format!("spec.{field}"), &spec[field], &before[field]);
    }
    let plural = |spec: &Value| spec["names"]["plural"].clone();
    immutable(&mut findings.errors, "spec.names.plural", &plural(spec), &plural(before));
    costs(new, old, &mut findings.errors);
}

/// What each rule may cost, in the versions whose schema `old` has not: what was accepted once is not refused later.
fn costs(definition: &Value, old: &Value, errors: &mut Errors) {
    let list = &definition["spec"]["versions"];
    let is_known = |version: &Value| {
        let same = |field: &str, before: &Value| before[field] == version[field];
        items(&old["spec"]["versions"]).any(|before| same("name", before) && same("schema", before))
    };
    for (path, schema) in parts(list, "schema") {
        if items(list).any(|version| version["schema"] == *schema && !is_known(version)) {
            rules::validate_costs(&schema["openAPIV3Schema"], &child(&path, "openAPIV3Schema"), errors);
        }
    }
}

#[cfg(test)]
mod tests;
