//! Which writes a policy, or its binding, speaks of.

use super::{Write, namespace_of};
use crate::served::{Kinds, Served};
use crate::snapshot::Snapshot;
use crate::validation::{items, text};
use peapod_api::object::labels;
use peapod_api::selector::LabelSelector;
use peapod_api::{Kind, Scope, Subresource};
use serde_json::Value;

/// Whether `resources` (a `MatchResources`) takes the write in; what is not given takes in everything.
pub(super) fn takes(snapshot: &Snapshot, resources: &Value, write: &Write<'_>) -> bool {
    let named = |list: &Value| matched(snapshot.kinds(), list, &resources["matchPolicy"], write).is_some();
    let rules = &resources["resourceRules"];
    let wanted = items(rules).next().is_none() || named(rules);
    wanted
        && !named(&resources["excludeResourceRules"])
        && in_namespace(snapshot, &resources["namespaceSelector"], write)
        && is_selected(&resources["objectSelector"], write)
}

/// The kind as which one of `rules` takes the write in: its own, or, unless the match policy is `Exact`, another form of
/// it (`autoscaling/v1` for `autoscaling/v2`).
pub(crate) fn matched(kinds: &Kinds, rules: &Value, policy: &Value, write: &Write<'_>) -> Option<Served> {
    let takes = |kind: &Served| items(rules).any(|rule| rule_takes(rule, kind, write));
    if takes(write.kind) {
        return Some(write.kind.clone());
    }
    if policy == "Exact" { None } else { kinds.forms_of(write.kind).find(takes) }
}

fn rule_takes(rule: &Value, kind: &Kind, write: &Write<'_>) -> bool {
    let any = |field: &str, is: &dyn Fn(&str) -> bool| items(&rule[field]).any(|value| is(text(value)));
    let scope = match text(&rule["scope"]) {
        "Cluster" => kind.scope == Scope::Cluster,
        "Namespaced" => kind.scope == Scope::Namespaced,
        _ => true,
    };
    let names =
        items(&rule["resourceNames"]).next().is_none() || any("resourceNames", &|name| name == write.name);
    scope
        && names
        && any("operations", &|operation| operation == "*" || operation == write.operation())
        && any("apiGroups", &|group| group == "*" || group == kind.group)
        && any("apiVersions", &|version| version == "*" || version == kind.version)
        && any("resources", &|pattern| resource_takes(pattern, kind, write.part))
}

/// `pods`, `pods/status`, `*`, `*/*`, `pods/*`, `*/scale`.
fn resource_takes(pattern: &str, kind: &Kind, part: Option<Subresource>) -> bool {
    let (resource, sub) = match pattern.split_once('/') {
        Some((resource, sub)) => (resource, Some(sub)),
        None => (pattern, None),
    };
    let part_fits = match (sub, part) {
        (None, part) => part.is_none(),
        (Some("*"), _) => true,
        (Some(sub), part) => part.is_some_and(|part| part.name() == sub),
    };
    (resource == "*" || resource == kind.plural) && part_fits
}

/// Cluster-wide objects are in no namespace, which every selector takes in; a namespace has its own labels.
pub(crate) fn in_namespace(snapshot: &Snapshot, selector: &Value, write: &Write<'_>) -> bool {
    let Some(selector) = LabelSelector::from_object(selector).filter(|selector| !selector.is_empty()) else {
        return true;
    };
    let object = if write.is_of_namespace() {
        write.new.or(write.old).cloned()
    } else if write.namespace.is_empty() {
        return true;
    } else {
        namespace_of(snapshot, write.namespace)
    };
    object.is_some_and(|object| selector.matches(&labels(&object["metadata"]["labels"])))
}

/// Either the object as it was or as it shall be.
pub(crate) fn is_selected(selector: &Value, write: &Write<'_>) -> bool {
    let Some(selector) = LabelSelector::from_object(selector).filter(|selector| !selector.is_empty()) else {
        return true;
    };
    let objects = [write.new, write.old].into_iter().flatten();
    objects.into_iter().any(|object| selector.matches(&labels(&object["metadata"]["labels"])))
}
