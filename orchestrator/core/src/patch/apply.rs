//! Server-side apply: a configuration is merged in, and its manager owns exactly what it names.

use super::field_set::FieldSet;
use super::managed_fields::{Entry, Operation, owned_part, read, strip, take, write};
use super::structure::{Comparison, compare, fields_of, merge, remove};
use crate::schema::Type;
use crate::schema::normalize::{normalize, tidy, zero};
use crate::schema::{decode, validate::check_types};
use peapod_api::Error;
use peapod_api::error::Cause;
use peapod_api::well_known::LAST_APPLIED;
use serde_json::Value;

/// Owns what was there before the first apply if nobody did.
const BEFORE: &str = "before-first-apply";

/// Applies `config` to the stored object, or to nothing. The result has its managed fields; the caller normalizes and
/// defaults it. `config` has passed [`crate::schema::decode::object`] but holds no defaults.
///
/// 409 with one cause a field if another manager owns a field that would change, unless `force` is set, which takes it
/// over. 400 if the configuration carries managed fields.
pub fn apply(
    ty: &Type,
    live: Option<&Value>,
    config: &Value,
    operation: &Operation<'_>,
    force: bool,
) -> Result<Value, Error> {
    if config.pointer("/metadata/managedFields").is_some_and(|list| !list.is_null()) {
        return Err(Error::bad_request("metadata.managedFields must be nil"));
    }
    let mut config = config.clone();
    tidy(ty, &mut config);
    let empty = zero(ty);
    let base = live.unwrap_or(&empty);
    let mut entries = entries_of(ty, live, operation);
    let mut own = Entry::new(operation, true);
    own.set = fields_of(ty, &config);
    strip(&mut own.set, operation);

    let before = entries.iter().position(|entry| entry.is_same(&own)).map(|at| entries.remove(at));
    let mut merged = merge(ty, base, &config);
    if let Some(before) = &before {
        let kept = entries.iter().fold(own.set.clone(), |all, entry| all.union(&entry.set));
        remove(ty, &mut merged, &before.set, &kept);
    }
    let difference = difference(ty, base, &merged, operation);
    if !force {
        let allowed = of_client_side_apply(ty, live, operation);
        refuse_conflicts(&entries, &difference, &own.set, &allowed)?;
    }
    take(&mut entries, &difference);
    let unchanged = difference.is_same() && before.as_ref().is_some_and(|before| before.set == own.set);
    if unchanged && let Some(before) = before {
        own.time = before.time;
    }
    entries.push(own);
    write(&mut merged, entries);
    keep_last_applied(live, &mut merged, &config, operation);
    Ok(merged)
}

fn difference(ty: &Type, base: &Value, merged: &Value, operation: &Operation<'_>) -> Comparison {
    let mut normal = merged.clone();
    normalize(ty, &mut normal);
    owned_part(compare(ty, base, &normal), operation)
}

fn entries_of(ty: &Type, live: Option<&Value>, operation: &Operation<'_>) -> Vec<Entry> {
    let Some(live) = live else { return Vec::new() };
    let entries = read(live);
    if !entries.is_empty() {
        return entries;
    }
    let first = Operation { manager: BEFORE, subresource: "", ..*operation };
    let mut before = Entry::new(&first, false);
    let all = owned_part(compare(ty, &zero(ty), live), &first);
    before.set = all.modified.union(&all.added);
    vec![before]
}

/// Client-side apply still compares with its annotation: keep it true if it is there, whoever owns it.
fn keep_last_applied(live: Option<&Value>, merged: &mut Value, config: &Value, operation: &Operation<'_>) {
    let annotation = |object: &Value| object["metadata"]["annotations"][LAST_APPLIED].is_string();
    if operation.manager != "kubectl" || !live.is_some_and(annotation) || !annotation(merged) {
        return;
    }
    let mut config = config.clone();
    if let Some(annotations) = config.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove(LAST_APPLIED);
    }
    merged["metadata"]["annotations"][LAST_APPLIED] = format!("{config}\n").into();
}

/// What kubectl has applied on the client's side and nobody has changed since: kubectl takes it over without a conflict
/// when it begins to apply on the server's side.
fn of_client_side_apply(ty: &Type, live: Option<&Value>, operation: &Operation<'_>) -> FieldSet {
    let applied = || {
        let live = live.filter(|_| operation.manager == "kubectl")?;
        let text = live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
        let mut applied = decode::json(text.as_bytes()).ok()?.value;
        if applied["apiVersion"] != operation.api_version || check_types(ty, &applied).is_err() {
            return None;
        }
        tidy(ty, &mut applied);
        let changed = compare(ty, &applied, live);
        let set = fields_of(ty, &applied).difference(&changed.modified);
        Some(set.difference(&changed.added).difference(&changed.removed))
    };
    applied().unwrap_or_default()
}

fn refuse_conflicts(
    entries: &[Entry],
    difference: &Comparison,
    own: &FieldSet,
    allowed: &FieldSet,
) -> Result<(), Error> {
    // A field that is set to its empty value looks removed.
    let emptied = difference.removed.intersection(own);
    let changed = difference.modified.clone().union(&difference.added).union(&emptied);
    let mut by_manager: Vec<(String, Vec<String>)> = entries
        .iter()
        .map(|entry| (printed(entry), entry.set.intersection(&changed).difference(allowed)))
        .filter(|(_, set)| !FieldSet::is_empty(set))
        .map(|(manager, set)| (manager, set.paths()))
        .collect();
    by_manager.sort();
    let causes: Vec<Cause> = by_manager
        .iter()
        .flat_map(|(manager, paths)| paths.iter().map(move |path| cause(manager, path)))
        .collect();
    match causes.as_slice() {
        [] => Ok(()),
        [one] => {
            let message = format!("Apply failed with 1 conflict: {}: {}", one.message, one.field);
            Err(Error::apply_conflict(message, causes))
        }
        many => {
            let list: Vec<String> = by_manager
                .iter()
                .map(|(manager, paths)| format!("conflicts with {manager}:\n- {}", paths.join("\n- ")))
                .collect();
            let message = format!("Apply failed with {} conflicts: {}", many.len(), list.join("\n"));
            Err(Error::apply_conflict(message, causes))
        }
    }
}

fn cause(manager: &str, path: &str) -> Cause {
    Cause {
        reason: "FieldManagerConflict".into(),
        message: format!("conflict with {manager}"),
        field: path.into(),
    }
}

fn printed(entry: &Entry) -> String {
    let mut text = format!("{:?}", entry.manager);
    if !entry.subresource.is_empty() {
        text += &format!(" with subresource {:?}", entry.subresource);
    }
    if !entry.applied {
        text += &format!(" using {}", entry.api_version);
    }
    text
}

#[cfg(test)]
mod tests;
