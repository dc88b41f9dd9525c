//! What the policies have against a write.

use super::compiled::Validation;
use super::matching::takes;
use super::{Compiled, Policy, Write, is_beyond_policies, namespace_of, request};
use crate::cel::{Budget, Fault, Key, MAX_CALL_COST, MAX_OBJECT_COST, Program, Rights, Val};
use crate::custom::plain;
use crate::served::Served;
use crate::snapshot::Snapshot;
use crate::validation::{items, text};
use peapod_api::error::{Cause, Reason};
use peapod_api::selector::LabelSelector;
use peapod_api::{Error, Object};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Asks every policy that is bound to such writes. Returns the warnings. Errors: a policy denies the write.
pub fn judge(snapshot: &Snapshot, write: &Write<'_>) -> Result<Vec<String>, Error> {
    let mut warnings = Vec::new();
    let set = &snapshot.policies().validating;
    if set.is_empty() || is_beyond_policies(write) {
        return Ok(warnings);
    }
    let mut budget = MAX_OBJECT_COST;
    for (policy, binding) in set.bound() {
        let spec = &policy.object["spec"];
        if !takes(snapshot, &spec["matchConstraints"], write)
            || !takes(snapshot, &binding["spec"]["matchResources"], write)
        {
            continue;
        }
        let mut asked = Asked { snapshot, write, policy, binding, budget };
        let failures = asked.failures();
        budget = asked.budget;
        for failure in failures {
            act(write, policy, binding, &failure, &mut warnings)?;
        }
    }
    Ok(warnings)
}

/// Why a policy is not content.
pub(super) struct Failure {
    pub(super) message: String,
    reason: String,
}

impl Failure {
    fn new(message: impl Into<String>) -> Failure {
        Failure { message: message.into(), reason: String::new() }
    }
}

/// Denies or warns, as the binding says.
fn act(
    write: &Write<'_>,
    policy: &Policy,
    binding: &Value,
    failure: &Failure,
    warnings: &mut Vec<String>,
) -> Result<(), Error> {
    let names = [text(&policy.object["metadata"]["name"]), text(&binding["metadata"]["name"])];
    let who = format!("ValidatingAdmissionPolicy '{}' with binding '{}'", names[0], names[1]);
    let acts = |action: &str| items(&binding["spec"]["validationActions"]).any(|own| own == action);
    if acts("Deny") {
        let why = format!("{who} denied request: {}", failure.message);
        let reason = match failure.reason.as_str() {
            "Forbidden" => Reason::Forbidden,
            "Unauthorized" => Reason::Unauthorized,
            "RequestEntityTooLarge" => Reason::RequestEntityTooLarge,
            _ => Reason::Invalid,
        };
        let cause = Cause { reason: String::new(), message: why.clone(), field: String::new() };
        return Err(Error::denied(reason, &write.kind.resource(), write.name, &why).because(cause));
    }
    if acts("Warn") {
        warnings.push(format!("Validation failed for {who}: {}", failure.message));
    }
    Ok(())
}

/// One policy, asked through one binding.
pub(super) struct Asked<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) write: &'a Write<'a>,
    pub(super) policy: &'a Policy,
    pub(super) binding: &'a Value,
    pub(super) budget: u64,
}

pub(crate) type Variables = BTreeMap<&'static str, Val>;

/// What every expression may speak of, for who knows the write's object as `kind`.
pub(crate) fn variables(snapshot: &Snapshot, write: &Write<'_>, kind: &Served) -> Variables {
    let object = |value: Option<&Value>| value.map_or(Val::Null, |v| plain(&write.shown_as(kind, v)));
    let namespace = namespace_of(snapshot, write.namespace);
    BTreeMap::from([
        ("object", object(write.new)),
        ("oldObject", object(write.old)),
        ("request", plain(&request(write, kind))),
        ("namespaceObject", namespace.as_ref().map_or(Val::Null, plain)),
        ("authorizer", Val::Rights(Arc::new(Rights::new(snapshot, write.user, write.resource(kind))))),
    ])
}

impl Asked<'_> {
    fn failures(&mut self) -> Vec<Failure> {
        let params = match self.params() {
            Ok(params) => params,
            Err(failure) => return Vec::from_iter(self.fails().then_some(failure)),
        };
        let compiled = self.policy.compiled();
        let mut failures = Vec::new();
        for params in params {
            let mut variables = variables(self.snapshot, self.write, self.write.kind);
            variables.insert("params", params);
            match self.is_meant(compiled, &variables) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => {
                    failures.extend(self.fails().then(|| Failure::new(why)));
                    continue;
                }
            }
            self.derive(compiled, &mut variables);
            for validation in &compiled.validations {
                failures.extend(self.ask(validation, &variables));
            }
            for annotation in &compiled.annotations {
                // There is no audit log to write it into, but what cannot be said is a failure all the same.
                if let Err(why) = self.eval(&annotation.program, &variables)
                    && self.fails()
                {
                    failures.push(Failure::new(format!(
                        "expression '{}' resulted in error: {why}",
                        annotation.name
                    )));
                }
            }
        }
        failures
    }

    /// Whether a policy that cannot be asked denies.
    pub(super) fn fails(&self) -> bool {
        self.policy.object["spec"]["failurePolicy"] != "Ignore"
    }

    pub(super) fn eval(
        &mut self,
        program: &Result<Program, String>,
        variables: &Variables,
    ) -> Result<Val, String> {
        let program = program.as_ref().map_err(|why| format!("compilation error: {why}"))?;
        let mut budget = Budget::new(MAX_CALL_COST.min(self.budget));
        let given = budget.left();
        let found = program.eval(variables, &mut budget);
        self.budget -= given - budget.left();
        found.map_err(|fault| match fault {
            Fault::Failed(why) => why,
            Fault::Budget => "the cost budget is exceeded".into(),
        })
    }

    pub(super) fn is_meant(&mut self, compiled: &Compiled, variables: &Variables) -> Result<bool, String> {
        let mut failed = None;
        for condition in &compiled.conditions {
            match self.eval(&condition.program, variables) {
                Ok(Val::Bool(true)) => {}
                Ok(_) => return Ok(false),
                Err(why) => failed = Some(format!("matchCondition '{}' failed: {why}", condition.name)),
            }
        }
        failed.map_or(Ok(true), Err)
    }

    /// The policy's own variables, each of which may use those before it. One that fails is missing where it is used.
    pub(super) fn derive(&mut self, compiled: &Compiled, variables: &mut Variables) {
        let mut own: BTreeMap<Key, Val> = BTreeMap::new();
        variables.insert("variables", Val::Map(Arc::default()));
        for variable in &compiled.variables {
            if let Ok(value) = self.eval(&variable.program, variables) {
                own.insert(Key::String(variable.name.as_str().into()), value);
                variables.insert("variables", Val::Map(Arc::new(own.clone())));
            }
        }
    }

    fn ask(&mut self, validation: &Validation, variables: &Variables) -> Option<Failure> {
        match self.eval(&validation.program, variables) {
            Ok(Val::Bool(true)) => None,
            Ok(_) => {
                let made = validation.message_program.as_ref().and_then(|program| {
                    let mut budget = Budget::new(MAX_CALL_COST.min(self.budget));
                    program.eval(variables, &mut budget).ok()
                });
                let message = match made {
                    Some(Val::String(text)) if !text.trim().is_empty() => text.to_string(),
                    _ if validation.message.is_empty() => {
                        format!("failed expression: {}", validation.expression)
                    }
                    _ => validation.message.clone(),
                };
                Some(Failure { message, reason: validation.reason.clone() })
            }
            Err(why) => self.fails().then(|| {
                Failure::new(format!("expression '{}' resulted in error: {why}", validation.expression))
            }),
        }
    }

    /// What the policy is asked with, once for each. Errors: there is nothing, and the binding demands it.
    pub(super) fn params(&self) -> Result<Vec<Val>, Failure> {
        let (kind, reference) = (&self.policy.object["spec"]["paramKind"], &self.binding["spec"]["paramRef"]);
        if !kind.is_object() || !reference.is_object() {
            return Ok(vec![Val::Null]);
        }
        let (api_version, name) = (text(&kind["apiVersion"]), text(&kind["kind"]));
        let Some(served) = self.snapshot.kinds().of_object(api_version, name) else {
            return Err(Failure::new(format!(
                "failed to find resource referenced by paramKind: '{api_version}, Kind={name}'"
            )));
        };
        let namespace = match text(&reference["namespace"]) {
            _ if !served.namespaced() => "",
            "" => self.write.namespace,
            given => given,
        };
        let resource = served.resource();
        let found: Vec<Arc<Object>> = match text(&reference["name"]) {
            "" => {
                let selector = LabelSelector::from_object(&reference["selector"]).unwrap_or_default();
                let all = self.snapshot.list(&resource, Some(namespace));
                all.filter(|object| selector.matches(&object.header.labels)).cloned().collect()
            }
            name => self.snapshot.find(&resource, namespace, name).cloned().into_iter().collect(),
        };
        if found.is_empty() && reference["parameterNotFoundAction"] != "Allow" {
            return Err(Failure::new(
                "no params found for policy binding with `Deny` parameterNotFoundAction",
            ));
        }
        Ok(found.iter().map(|object| plain(&served.shown(object).value())).collect())
    }
}
