//! What policies change in a write before it is validated.

use super::compiled::Mutation;
use super::judge::{Asked, variables};
use super::matching::takes;
use super::{Policy, Write, is_beyond_policies};
use crate::cel::{MAX_OBJECT_COST, to_json};
use crate::patch::{json, merged};
use crate::snapshot::Snapshot;
use crate::validation::text;
use peapod_api::Error;
use peapod_api::error::Reason;
use serde_json::Value;

/// Asks every mutating policy that is bound to such writes what it changes in `object`, which is what the write shall make.
/// One that wants to is asked again if a later one has changed something. Whether anything changed. Errors: a policy fails.
pub fn mutate(snapshot: &Snapshot, write: &Write<'_>, object: &mut Value) -> Result<bool, Error> {
    let set = &snapshot.policies().mutating;
    if set.is_empty() || is_beyond_policies(write) {
        return Ok(false);
    }
    let mut last_change = None;
    for (index, (policy, binding)) in set.bound().enumerate() {
        if apply(snapshot, write, policy, binding, object)? {
            last_change = Some(index);
        }
    }
    let Some(last_change) = last_change else { return Ok(false) };
    for (policy, binding) in set.bound().take(last_change) {
        if is_reinvoked(policy) {
            apply(snapshot, write, policy, binding, object)?;
        }
    }
    Ok(true)
}

/// As [`mutate`], after others have changed something: those policies are asked that wish to be asked again.
pub fn mutate_again(snapshot: &Snapshot, write: &Write<'_>, object: &mut Value) -> Result<bool, Error> {
    let set = &snapshot.policies().mutating;
    if set.is_empty() || is_beyond_policies(write) {
        return Ok(false);
    }
    let mut changed = false;
    for (policy, binding) in set.bound().filter(|(policy, _)| is_reinvoked(policy)) {
        changed |= apply(snapshot, write, policy, binding, object)?;
    }
    Ok(changed)
}

fn is_reinvoked(policy: &Policy) -> bool {
    policy.object["spec"]["reinvocationPolicy"] == "IfNeeded"
}

fn apply(
    snapshot: &Snapshot,
    write: &Write<'_>,
    policy: &Policy,
    binding: &Value,
    object: &mut Value,
) -> Result<bool, Error> {
    let before = object.clone();
    let write = &Write { new: Some(&before), ..*write };
    if !takes(snapshot, &policy.object["spec"]["matchConstraints"], write)
        || !takes(snapshot, &binding["spec"]["matchResources"], write)
    {
        return Ok(false);
    }
    let mut asked = Asked { snapshot, write, policy, binding, budget: MAX_OBJECT_COST };
    match mutated(&mut asked, write, &before) {
        Ok(changed) => {
            *object = changed;
            Ok(*object != before)
        }
        Err(_) if !asked.fails() => Ok(false),
        Err(why) => {
            let names = [text(&policy.object["metadata"]["name"]), text(&binding["metadata"]["name"])];
            let why = format!("policy '{}' with binding '{}' denied request: {why}", names[0], names[1]);
            Err(Error::denied(Reason::Invalid, &write.kind.resource(), write.name, &why))
        }
    }
}

/// The object after all mutations of one policy, each made on what the one before left.
fn mutated(asked: &mut Asked<'_>, write: &Write<'_>, before: &Value) -> Result<Value, String> {
    let compiled = asked.policy.compiled();
    let mut object = before.clone();
    for params in asked.params().map_err(|failure| failure.message)? {
        let mut variables = variables(asked.snapshot, write, write.kind);
        variables.insert("params", params);
        if !asked.is_meant(compiled, &variables)? {
            continue;
        }
        for mutation in &compiled.mutations {
            variables.insert("object", crate::custom::plain(&object));
            asked.derive(compiled, &mut variables);
            let made = to_json(&asked.eval(mutation.program(), &variables)?);
            let next = match mutation {
                Mutation::JsonPatch(_) => json::apply(&object, &made),
                Mutation::Apply(_) => write.kind.ty().map(|ty| merged(ty, &object, &made)),
            };
            object = next.map_err(|error| error.to_string())?;
        }
    }
    Ok(object)
}
