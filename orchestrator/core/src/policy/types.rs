//! Expressions of a policy against the schemas of the kinds that its rules name.

use crate::cel::{Declared, Program, check};
use crate::schema;
use crate::served::{Kinds, Served};
use crate::validation::{indexed, items, text};
use serde_json::Value;
use std::collections::BTreeMap;

/// Kinds that one policy is checked against.
const MAX_KINDS: usize = 10;

/// The fields that hold expressions which say of some kind what cannot be, each with a line for every such kind.
pub(crate) fn type_warnings(kinds: &Kinds, spec: &Value) -> Vec<(String, String)> {
    let named = named(kinds, &spec["matchConstraints"]["resourceRules"]);
    let mut expressions: Vec<(String, &str, &str)> = Vec::new();
    for (path, variable) in indexed(&spec["variables"], "spec.variables") {
        expressions.push((format!("{path}.expression"), text(&variable["expression"]), ""));
    }
    for (path, validation) in indexed(&spec["validations"], "spec.validations") {
        for (field, wanted) in [("expression", "bool"), ("messageExpression", "string")] {
            expressions.push((format!("{path}.{field}"), text(&validation[field]), wanted));
        }
    }
    let warning = |(path, source, wanted): (String, &str, &str)| {
        let faults: Vec<String> = named.iter().filter_map(|kind| fault(kind, source, wanted)).collect();
        (!faults.is_empty()).then(|| (path, faults.join("\n")))
    };
    expressions.into_iter().filter(|(_, source, _)| !source.trim().is_empty()).filter_map(warning).collect()
}

/// The kinds that rules name without an asterisk.
fn named(kinds: &Kinds, rules: &Value) -> Vec<Served> {
    let mut found: Vec<Served> = Vec::new();
    for rule in items(rules) {
        for group in items(&rule["apiGroups"]).map(text) {
            for version in items(&rule["apiVersions"]).map(text) {
                let resources = items(&rule["resources"]).map(text);
                found.extend(resources.filter_map(|resource| kinds.lookup(group, version, resource)));
            }
        }
    }
    found.truncate(MAX_KINDS);
    found
}

fn fault(kind: &Served, source: &str, wanted: &str) -> Option<String> {
    let own = match kind {
        Served::Row(_) => Declared::Table(kind.ty().ok()?),
        Served::Custom(custom) => Declared::Schema(custom.schema(), true),
    };
    let namespace = schema::lookup_kind("v1", "Namespace").map_or(Declared::Any, Declared::Table);
    let any = ["request", "params", "variables", "authorizer"].map(|name| (name, Declared::Any));
    let mut declared = BTreeMap::from(any);
    declared.extend([("object", own), ("oldObject", own), ("namespaceObject", namespace)]);
    let checked = Program::parse(source).and_then(|program| check(&program, &declared, wanted));
    let why = checked.err().filter(|why| !(wanted.is_empty() && why.starts_with("must evaluate")))?;
    let slash = if kind.group.is_empty() { "/" } else { "" };
    Some(format!("{slash}{}, Kind={}: {why}\n", kind.api_version(), kind.kind))
}
