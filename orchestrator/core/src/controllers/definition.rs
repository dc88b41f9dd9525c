//! Accepts the names of custom resource definitions, which establishes them, and empties those that are being deleted.

use super::{Context, Controller};
use crate::action::{Action, Outcome};
use crate::custom::{CLEANUP, DEFINITIONS};
use crate::snapshot::{Change, Snapshot};
use crate::validation::{items, text};
use jiff::Timestamp;
use peapod_api::meta::{condition_is_true, set_condition};
use peapod_api::{Key, Object, kinds};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) const CONTROLLER: Controller = Controller { name: "crd", triggers, reconcile };

/// Instances deleted in one write; their deletion brings the controller back for the rest.
const BURST: usize = 500;

fn triggers(snapshot: &Snapshot, change: &Change) -> Vec<Key> {
    let resource = change.key.resource();
    if resource == DEFINITIONS {
        // A name that one gives up another may take.
        let others = snapshot.list(DEFINITIONS, None).map(|definition| definition.key.clone());
        let group = change.key.name().split_once('.').map(|(_, group)| group.to_string());
        let same = |key: &Key| key.name().split_once('.').map(|(_, group)| group) == group.as_deref();
        return others.filter(same).chain([change.key.clone()]).collect();
    }
    let terminating = snapshot.kinds().definition(resource).is_some_and(|definition| definition.terminating);
    Vec::from_iter(terminating.then(|| Key::new(DEFINITIONS, "", resource)))
}

fn reconcile(snapshot: &Snapshot, key: &Key, context: &Context) -> Outcome {
    let Some(definition) = snapshot.get(key) else { return Outcome::nothing() };
    if definition.header.deleted.is_some() {
        return clean_up(snapshot, definition, context.now);
    }
    let value = definition.value();
    let status = accepted(&value, &taken(snapshot, definition), context.now);
    let changed = status != value["status"];
    Vec::from_iter(changed.then(|| Action::SetStatus { key: key.clone(), status })).into()
}

/// The names that others of the same group have: of resources, and of kinds.
#[derive(Default)]
struct Taken {
    resources: BTreeSet<String>,
    kinds: BTreeSet<String>,
}

impl Taken {
    fn add(&mut self, names: &Value) {
        let own = |value: &Value| text(value).to_string();
        self.resources.extend(["plural", "singular"].map(|field| own(&names[field])));
        self.resources.extend(items(&names["shortNames"]).map(own));
        self.kinds.extend(["kind", "listKind"].map(|field| own(&names[field])));
    }
}

fn taken(snapshot: &Snapshot, definition: &Arc<Object>) -> Taken {
    let group = definition.value()["spec"]["group"].clone();
    let mut taken = Taken::default();
    for other in snapshot.list(DEFINITIONS, None).filter(|other| other.key != definition.key) {
        let other = other.value();
        if other["spec"]["group"] == group {
            taken.add(&other["status"]["acceptedNames"]);
        }
    }
    for row in kinds::KINDS.iter().filter(|row| row.group == text(&group)) {
        taken.resources.extend([row.plural.to_string(), row.singular.to_string()]);
        taken.kinds.extend([row.kind.to_string(), format!("{}List", row.kind)]);
    }
    taken
}

/// The status in which every name that is free is accepted.
fn accepted(definition: &Value, taken: &Taken, now: Timestamp) -> Value {
    let (wanted, mut status) = (&definition["spec"]["names"], definition["status"].clone());
    let mut names = status["acceptedNames"].clone();
    let mut conflict = None;
    let mut settle = |field: &str, reason: &'static str, free: Result<(), String>| match free {
        Ok(()) => names[field] = wanted[field].clone(),
        Err(name) => conflict = Some((reason, format!("{name:?} is already in use"))),
    };
    let is_free = |taken: &BTreeSet<String>, name: &Value| {
        if taken.contains(text(name)) { Err(text(name).to_string()) } else { Ok(()) }
    };
    settle("plural", "PluralConflict", is_free(&taken.resources, &wanted["plural"]));
    settle("singular", "SingularConflict", is_free(&taken.resources, &wanted["singular"]));
    let short = items(&wanted["shortNames"]).try_for_each(|name| is_free(&taken.resources, name));
    settle("shortNames", "ShortNamesConflict", short);
    settle("kind", "KindConflict", is_free(&taken.kinds, &wanted["kind"]));
    settle("listKind", "ListKindConflict", is_free(&taken.kinds, &wanted["listKind"]));
    settle("categories", "", Ok(()));
    if let Some(fields) = names.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    let was_established = condition_is_true(definition, "Established");
    status["acceptedNames"] = names;
    let mut conditions: Vec<Value> = items(&status["conditions"]).cloned().collect();
    let mut set = |type_: &str, status: &str, reason: &str, message: &str| {
        let condition = json!({"type": type_, "status": status, "reason": reason, "message": message});
        set_condition(&mut conditions, condition, now);
    };
    match conflict {
        None => {
            set("NamesAccepted", "True", "NoConflicts", "no conflicts found");
            set("Established", "True", "InitialNamesAccepted", "the initial names have been accepted");
        }
        Some((reason, message)) => {
            set("NamesAccepted", "False", reason, &message);
            if !was_established {
                set("Established", "False", "NotAccepted", "not all names are accepted");
            }
        }
    }
    status["conditions"] = conditions.into();
    status
}

/// Deletes the instances; once there are none, lets the definition go.
fn clean_up(snapshot: &Snapshot, definition: &Object, now: Timestamp) -> Outcome {
    if !definition.header.finalizers.iter().any(|finalizer| **finalizer == *CLEANUP) {
        return Outcome::nothing();
    }
    let left: Vec<&Arc<Object>> = snapshot.list(definition.name(), None).take(BURST).collect();
    if left.is_empty() {
        let others: Vec<&str> =
            definition.header.finalizers.iter().map(|f| &**f).filter(|f| *f != CLEANUP).collect();
        let others = if others.is_empty() { Value::Null } else { json!(others) };
        let patch = json!({"metadata": {"finalizers": others}});
        return vec![Action::Patch { key: definition.key.clone(), patch }].into();
    }
    let mut actions = Vec::new();
    let value = definition.value();
    if !condition_is_true(&value, "Terminating") {
        let mut status = value["status"].clone();
        let mut conditions: Vec<Value> = items(&status["conditions"]).cloned().collect();
        let condition = json!({"type": "Terminating", "status": "True", "reason": "InstanceDeletionInProgress",
            "message": "CustomResource deletion is in progress"});
        set_condition(&mut conditions, condition, now);
        status["conditions"] = conditions.into();
        actions.push(Action::SetStatus { key: definition.key.clone(), status });
    }
    let doomed = left.into_iter().filter(|instance| instance.header.deleted.is_none());
    actions.extend(doomed.map(|instance| Action::delete(instance)));
    actions.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn definition() -> Value {
        json!({"spec": {"group": "example.com", "names": {"plural": "widgets", "singular": "widget", "kind": "Widget",
            "listKind": "WidgetList", "shortNames": ["wd"]}}, "status": {"storedVersions": ["v1"]}})
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn free_names_are_accepted_once() {
        let mut definition = definition();
        let status = accepted(&definition, &Taken::default(), at(1));
        assert_eq!(status["acceptedNames"], definition["spec"]["names"]);
        assert_eq!(status["conditions"][1]["type"], "Established");
        definition["status"] = status.clone();
        assert!(condition_is_true(&definition, "Established"));
        assert_eq!(accepted(&definition, &Taken::default(), at(9)), status);
    }

    #[test]
    fn a_name_that_another_has_is_not_accepted() {
        let mut taken = Taken::default();
        taken.add(&json!({"plural": "others", "singular": "other", "kind": "Other", "listKind": "OtherList", "shortNames": ["wd"]}));
        let status = accepted(&definition(), &taken, at(1));
        assert_eq!(status["acceptedNames"].get("shortNames"), None);
        let condition = &status["conditions"][0];
        assert_eq!(
            (&condition["reason"], &condition["message"]),
            (&json!("ShortNamesConflict"), &json!("\"wd\" is already in use"))
        );
        assert_eq!(status["conditions"][1]["status"], "False");
    }
}
