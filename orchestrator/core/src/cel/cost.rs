//! What evaluating an expression may cost at most, by the limits that the schema sets to what it speaks of. Rule: Kubernetes'
//! estimate of the rules of custom resources. Where a size cannot be told from the schema it counts as one: what is refused
//! here is refused by Kubernetes, too.

use super::Program;
use crate::custom::schema::Schema;
use ::cel::common::ast::operators::{CONDITIONAL, LOGICAL_AND, LOGICAL_OR};
use ::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr};

/// The largest object that a request can bring, in bytes.
pub(crate) const MAX_REQUEST_BYTES: u64 = 3 << 20;
const STRING_FACTOR: f64 = 0.1;
const REGEX_FACTOR: f64 = 0.25;
const LIST_UNITS: u64 = 10;
const MAP_UNITS: u64 = 30;
const MESSAGE_UNITS: u64 = 40;

/// What a part of an expression may cost, and how large its value may be: characters, items or entries.
#[derive(Clone, Copy)]
struct Estimate<'s> {
    cost: u64,
    size: u64,
    schema: Option<&'s Schema>,
}

impl<'s> Estimate<'s> {
    fn of(schema: Option<&'s Schema>, cost: u64) -> Estimate<'s> {
        Estimate { cost, size: schema.map_or(1, max_size), schema }
    }

    fn plain(cost: u64, size: u64) -> Estimate<'s> {
        Estimate { cost, size, schema: None }
    }
}

/// The most units that `program` may cost where `self` is a value of that schema.
pub(crate) fn max_cost(program: &Program, schema: &Schema) -> u64 {
    Walk { own: schema, bound: Vec::new() }.estimate(&program.expr).cost
}

struct Walk<'p, 's> {
    own: &'s Schema,
    bound: Vec<(&'p str, Estimate<'s>)>,
}

impl<'p, 's> Walk<'p, 's> {
    fn estimate(&mut self, expr: &'p IdedExpr) -> Estimate<'s> {
        match &expr.expr {
            Expr::Literal(literal) => Estimate::plain(0, literal_size(literal)),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::Comprehension(loop_) => self.comprehension(loop_),
            Expr::List(list) => {
                let items: u64 = self.sum(list.elements.iter());
                Estimate::plain(items.saturating_add(LIST_UNITS), list.elements.len() as u64)
            }
            Expr::Map(map) => self.entries(map.entries.iter().map(|entry| &entry.expr), MAP_UNITS),
            Expr::Struct(message) => {
                self.entries(message.entries.iter().map(|entry| &entry.expr), MESSAGE_UNITS)
            }
            Expr::Unspecified => Estimate::plain(0, 1),
        }
    }

    fn sum(&mut self, parts: impl Iterator<Item = &'p IdedExpr>) -> u64 {
        parts.map(|part| self.estimate(part).cost).fold(0, u64::saturating_add)
    }

    fn entries(&mut self, entries: impl Iterator<Item = &'p EntryExpr>, base: u64) -> Estimate<'s> {
        let (mut cost, mut count) = (base, 0);
        for entry in entries {
            cost = cost.saturating_add(match entry {
                EntryExpr::MapEntry(entry) => self.sum([&entry.key, &entry.value].into_iter()),
                EntryExpr::StructField(field) => self.estimate(&field.value).cost,
            });
            count += 1;
        }
        Estimate::plain(cost, count)
    }

    fn variable(&self, name: &str) -> Estimate<'s> {
        if let Some((_, bound)) = self.bound.iter().rev().find(|(bound, _)| *bound == name) {
            return Estimate { cost: 1, ..*bound };
        }
        Estimate::of(matches!(name, "self" | "oldSelf").then_some(self.own), 1)
    }

    fn select(&mut self, select: &'p SelectExpr) -> Estimate<'s> {
        let operand = self.estimate(&select.operand);
        let cost = operand.cost.saturating_add(1);
        if select.test {
            return Estimate::plain(cost, 1);
        }
        let found = operand.schema.and_then(|schema| {
            let own = schema
                .properties
                .iter()
                .find(|(own, _)| super::escaped(own).as_deref() == Some(select.field.as_str()));
            own.map(|(_, below)| below).or(schema.additional.as_deref())
        });
        Estimate::of(found, cost)
    }

    fn call(&mut self, call: &'p CallExpr) -> Estimate<'s> {
        let target = call.target.as_deref().map(|target| self.estimate(target));
        let arguments: Vec<Estimate<'s>> = call.args.iter().map(|argument| self.estimate(argument)).collect();
        let given: Vec<Estimate<'s>> = target.into_iter().chain(arguments).collect();
        let costs = given.iter().map(|part| part.cost).fold(0, u64::saturating_add);
        match (call.func_name.as_str(), given.as_slice()) {
            (LOGICAL_AND | LOGICAL_OR, _) => Estimate::plain(costs, 1),
            (CONDITIONAL, [condition, yes, no]) => {
                let larger = if yes.size >= no.size { yes } else { no };
                Estimate { cost: condition.cost.saturating_add(yes.cost.max(no.cost)), ..*larger }
            }
            ("_[_]", [container, _]) => {
                let below = container.schema.and_then(|s| s.items.as_deref().or(s.additional.as_deref()));
                Estimate::of(below, costs.saturating_add(1))
            }
            (name, given) => {
                let size = result_size(name, given);
                Estimate::plain(costs.saturating_add(own_cost(name, given)), size)
            }
        }
    }

    fn comprehension(&mut self, loop_: &'p ComprehensionExpr) -> Estimate<'s> {
        let range = self.estimate(&loop_.iter_range);
        let start = self.estimate(&loop_.accu_init);
        let schema = range.schema;
        let value = schema.and_then(|schema| schema.items.as_deref().or(schema.additional.as_deref()));
        let is_list = schema.is_some_and(|schema| schema.items.is_some());
        let first = if is_list && loop_.iter_var2.is_none() { value } else { None };
        let depth = self.bound.len();
        self.bound.push((&loop_.accu_var, Estimate::plain(1, 1)));
        self.bound.push((&loop_.iter_var, Estimate::of(first, 1)));
        if let Some(name) = &loop_.iter_var2 {
            self.bound.push((name, Estimate::of(value, 1)));
        }
        let each = self.sum([&loop_.loop_cond, &loop_.loop_step].into_iter());
        self.bound.truncate(depth + 1);
        let result = self.estimate(&loop_.result);
        self.bound.truncate(depth);
        let around = range.cost.saturating_add(start.cost).saturating_add(result.cost);
        // A list that the loop makes is at most as long as what it goes over.
        let size = if matches!(loop_.accu_init.expr, Expr::List(_)) { range.size } else { 1 };
        Estimate::plain(around.saturating_add(range.size.saturating_mul(each)), size)
    }
}

fn literal_size(literal: &LiteralValue) -> u64 {
    match literal {
        LiteralValue::String(text) => text.inner().len() as u64,
        LiteralValue::Bytes(bytes) => bytes.inner().len() as u64,
        _ => 1,
    }
}

/// So much of each unit of `size`.
fn part(size: u64, factor: f64) -> u64 {
    (size as f64 * factor).ceil() as u64
}

/// What a function costs besides its arguments.
fn own_cost(name: &str, given: &[Estimate<'_>]) -> u64 {
    let size = |at: usize| given.get(at).map_or(1, |part| part.size);
    match name {
        "startsWith" | "endsWith" => part(size(1), STRING_FACTOR),
        "@in" => size(1),
        "matches" | "find" | "findAll" => {
            part(size(0).saturating_add(1), STRING_FACTOR).saturating_mul(part(size(1), REGEX_FACTOR))
        }
        "contains" => part(size(0), STRING_FACTOR).saturating_mul(part(size(1), STRING_FACTOR)),
        "_==_" | "_!=_" | "_<_" | "_<=_" | "_>_" | "_>=_" => part(size(0).min(size(1)), STRING_FACTOR),
        "_+_" => part(size(0).saturating_add(size(1)), STRING_FACTOR),
        "isSorted" | "sum" | "min" | "max" => size(0),
        "lowerAscii" | "upperAscii" | "substring" | "trim" | "url" | "bytes" | "string" => {
            part(size(0), STRING_FACTOR)
        }
        "replace" | "split" => part(size(0), 2.0 * STRING_FACTOR),
        _ => 1,
    }
}

/// How large what a function gives may be.
fn result_size(name: &str, given: &[Estimate<'_>]) -> u64 {
    let size = |at: usize| given.get(at).map_or(1, |part| part.size);
    match name {
        "lowerAscii" | "upperAscii" | "substring" | "trim" | "split" | "string" | "bytes" => size(0),
        "_+_" => size(0).saturating_add(size(1)),
        _ => 1,
    }
}

/// How large a value of the schema may be, in characters, items or entries.
fn max_size(schema: &Schema) -> u64 {
    let limits = &schema.limits;
    let fits = |each: u64| (MAX_REQUEST_BYTES - 2) / each;
    match schema.type_.as_str() {
        "string" => match limits.format.as_str() {
            "duration" => 32,
            "date" => 10,
            "date-time" | "datetime" => 24,
            "byte" => limits.max_length.unwrap_or(fits(1)),
            _ if !limits.values.is_empty() && limits.max_length.is_none() => limits
                .values
                .iter()
                .filter_map(|value| value.as_str())
                .map(|v| v.len() as u64)
                .max()
                .unwrap_or(1),
            // A character has up to four bytes.
            _ => limits.max_length.map_or(fits(1), |max| max.saturating_mul(4)),
        },
        "array" => limits.max_items.unwrap_or_else(|| fits(schema.items.as_deref().map_or(1, min_bytes) + 1)),
        "object" => match schema.additional.as_deref() {
            Some(value) => limits.max_properties.unwrap_or_else(|| fits(min_bytes(value) + 6)),
            None => 1,
        },
        _ => 1,
    }
}

/// How many bytes a value of the schema takes in a request at least.
pub(crate) fn min_bytes(schema: &Schema) -> u64 {
    match schema.type_.as_str() {
        "boolean" => 4,
        "string" | "array" => 2,
        "object" => {
            let required = schema.limits.required.iter().filter_map(|name| {
                let below = schema.properties.get(name).filter(|below| below.default.is_none())?;
                Some(name.len() as u64 + min_bytes(below) + 4)
            });
            2 + required.sum::<u64>()
        }
        _ => 1,
    }
}

/// How often a value of a schema may stand in its object; none if no limit is set.
pub(crate) fn times_below(schema: &Schema) -> Option<u64> {
    match schema.type_.as_str() {
        "array" => schema.limits.max_items,
        "object" if schema.additional.is_some() => schema.limits.max_properties,
        _ => Some(1),
    }
}
