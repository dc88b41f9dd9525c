//! What a definition's rules say of the schema that they stand in.

use crate::cel::{Declared, MAX_REQUEST_BYTES, Program, check, max_cost, min_bytes, times_below};
use crate::custom::schema::{Rule, Schema};
use crate::validation::{Errors, child, text};
use peapod_api::{FieldError, JsonPath};
use serde_json::Value;
use std::collections::BTreeMap;

const MAX_MESSAGE_BYTES: usize = 2048;
/// What one expression, evaluated as often as its values may stand in an object, may cost by estimation; and all together.
const MAX_RULE_COST: u64 = 10_000_000;
const MAX_TOTAL_COST: u64 = 100_000_000;

/// Checks the rules of a version's schema, whose path in the definition is `path`.
pub(super) fn validate(schema: &Value, path: &str, errors: &mut Errors) {
    let read = Schema::read(schema);
    if !read.has_rules {
        return;
    }
    let mut costs = Costs::default();
    walk(&read, path, ROOT, errors, &mut costs);
    costs.judge(path, errors);
}

/// Checks what each of the rules may cost by itself.
pub(super) fn validate_costs(schema: &Value, path: &str, errors: &mut Errors) {
    let read = Schema::read(schema);
    if !read.has_rules {
        return;
    }
    let mut costs = Costs::default();
    walk(&read, path, ROOT, &mut Errors::new(), &mut costs);
    for Cost { cost, path, what } in costs.list.into_iter().filter(|cost| cost.cost > MAX_RULE_COST) {
        errors.push(FieldError::forbidden(&path, &too_expensive(what, cost, MAX_RULE_COST)));
    }
}

/// What rules may cost by estimation: the whole, and the most expensive ones.
#[derive(Default)]
struct Costs {
    total: u64,
    list: Vec<Cost>,
}

struct Cost {
    cost: u64,
    path: String,
    what: &'static str,
}

impl Costs {
    fn add(&mut self, cost: u64, path: String, what: &'static str) {
        self.total = self.total.saturating_add(cost);
        self.list.push(Cost { cost, path, what });
    }

    fn judge(mut self, path: &str, errors: &mut Errors) {
        if self.total <= MAX_TOTAL_COST {
            return;
        }
        self.list.sort_by_key(|cost| std::cmp::Reverse(cost.cost));
        for Cost { path, .. } in self.list.iter().take(EXPENSIVE_NAMED) {
            let why =
                "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
            errors.push(FieldError::forbidden(path, why));
        }
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        errors.push(FieldError::forbidden(path, &too_expensive(what, self.total, MAX_TOTAL_COST)));
    }
}

/// Rules that are named where all together are too expensive.
const EXPENSIVE_NAMED: usize = 4;

fn too_expensive(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        _ if factor > 100.0 => "more than 100x".to_string(),
        _ if factor < 1.5 => format!("{factor:.6}x"),
        _ => format!("{factor:.1}x"),
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and \
         maxLength where arrays, maps, and strings are declared)"
    )
}

/// What an expression may cost by estimation, evaluated as often as its values may stand in an object.
fn estimated(program: &Program, schema: &Schema, place: Place) -> u64 {
    // Where nothing limits how often, the largest request does.
    let times = place.times.unwrap_or_else(|| MAX_REQUEST_BYTES / (min_bytes(schema) + 1));
    max_cost(program, schema).saturating_mul(times)
}

/// Where a schema stands.
#[derive(Clone, Copy)]
struct Place {
    /// It is that of a whole object of the API.
    is_resource: bool,
    /// It is known which old value a value takes the place of.
    correlates: bool,
    /// How often its values may stand in an object; none if no limit is set.
    times: Option<u64>,
}

const ROOT: Place = Place { is_resource: true, correlates: true, times: Some(1) };

fn walk(schema: &Schema, path: &str, place: Place, errors: &mut Errors, costs: &mut Costs) {
    for (index, rule) in schema.rules.iter().enumerate() {
        let path = format!("{path}.x-kubernetes-validations[{index}]");
        one(rule, schema, &path, place, errors, costs);
    }
    let times = place.times.zip(times_below(schema)).map(|(here, below)| here.saturating_mul(below));
    let inside = |below: &Schema, correlates| Place { is_resource: below.embedded, correlates, times };
    let correlates = place.correlates && !schema.atomic;
    for (name, below) in &schema.properties {
        walk(below, &format!("{path}.properties[{name}]"), inside(below, correlates), errors, costs);
    }
    if let Some(below) = schema.additional.as_deref() {
        walk(below, &child(path, "additionalProperties"), inside(below, correlates), errors, costs);
    }
    if let Some(below) = schema.items.as_deref() {
        let correlates = place.correlates && schema.list_type == "map";
        walk(below, &child(path, "items"), inside(below, correlates), errors, costs);
    }
}

fn one(rule: &Rule, schema: &Schema, path: &str, place: Place, errors: &mut Errors, costs: &mut Costs) {
    let at = |field: &str| child(path, field);
    if rule.rule.trim().is_empty() {
        errors.push(FieldError::required(&at("rule"), "rule is not specified"));
        return;
    }
    message(rule, path, errors);
    let declared = Declared::Schema(schema, place.is_resource);
    let old = if rule.optional_old_self { Declared::Any } else { declared };
    let variables = BTreeMap::from([("self", declared), ("oldSelf", old)]);
    let mut complain = |field: &str, source: &str, why: String| {
        errors.push(FieldError::invalid(&at(field), &source.into(), &why));
    };
    match &rule.program {
        Err(why) => complain("rule", &rule.rule, format!("compilation failed: {why}")),
        Ok(program) => {
            if let Err(why) = check(program, &variables, "bool") {
                complain("rule", &rule.rule, worded(&why));
            }
            if program.mentions("oldSelf") && !place.correlates {
                let why = "oldSelf cannot be used on the uncorrelatable portion of the schema";
                complain("rule", &rule.rule, why.into());
            }
            if rule.optional_old_self && !program.mentions("oldSelf") {
                complain("optionalOldSelf", "true", "may not be set if oldSelf is not used in rule".into());
            }
        }
    }
    match &rule.message_program {
        Some(Err(why)) => complain("messageExpression", &rule.message, format!("compilation failed: {why}")),
        Some(Ok(program)) => {
            if let Err(why) = check(program, &variables, "string") {
                complain("messageExpression", &rule.message, worded(&why));
            }
        }
        None => {}
    }
    for (field, what, program) in [
        ("rule", "estimated rule cost", Some(&rule.program)),
        ("messageExpression", "estimated messageExpression cost", rule.message_program.as_ref()),
    ] {
        let Some(Ok(program)) = program else { continue };
        costs.add(estimated(program, schema, place), at(field), what);
    }
    field_path(rule, schema, path, errors);
}

fn worded(why: &str) -> String {
    match why.strip_prefix("must evaluate") {
        Some(_) => format!("cel expression {why}"),
        None => format!("compilation failed: {why}"),
    }
}

fn message(rule: &Rule, path: &str, errors: &mut Errors) {
    let (at, value) = (child(path, "message"), Value::from(rule.message.as_str()));
    if rule.message.len() > MAX_MESSAGE_BYTES {
        errors.push(FieldError::too_long(&at, MAX_MESSAGE_BYTES));
    } else if !rule.message.is_empty() && text(&value).trim().is_empty() {
        errors.push(FieldError::invalid(&at, &value, "message must be non-empty if specified"));
    } else if rule.message.trim().contains('\n') {
        errors.push(FieldError::invalid(&at, &value, "message must not contain line breaks"));
    } else if rule.message.is_empty() && rule.message_program.is_none() && rule.rule.trim().contains('\n') {
        let why = "message must be specified if rule contains line breaks";
        errors.push(FieldError::required(&at, why));
    }
}

/// The path leads to a field of the schema.
fn field_path(rule: &Rule, schema: &Schema, path: &str, errors: &mut Errors) {
    if rule.field_path.is_empty() {
        return;
    }
    let parsed = JsonPath::parse(&rule.field_path).ok();
    let found = parsed
        .as_ref()
        .and_then(JsonPath::fields)
        .and_then(|names| names.into_iter().try_fold(schema, |schema, name| schema.below(name)));
    if found.is_none() || !rule.field_path.starts_with(['.', '[']) {
        let value = rule.field_path.as_str().into();
        let why = "fieldPath must be a valid path: it does not refer to a valid field";
        errors.push(FieldError::invalid(&child(path, "fieldPath"), &value, why));
    }
}
