//! Kubernetes' use of the Common Expression Language: the rules of custom resources and of admission policies.
//!
//! The `cel` crate reads an expression and expands its macros. What it says is found out here, because a server has to
//! bound the cost of every evaluation: each step is charged to a [`Budget`], as Kubernetes does.

mod authorizer;
mod check;
mod cost;
mod eval;
mod format;
mod functions;
mod lists;
mod macros;
mod math;
mod names;
mod net;
mod operators;
mod parts;
mod quantity;
mod semver;
mod text;
mod time;
mod types;
mod value;

pub(crate) use authorizer::{Resource, Rights};
pub(crate) use check::{Declared, MUTATION, check};
pub(crate) use cost::{MAX_REQUEST_BYTES, max_cost, min_bytes, times_below};
pub(crate) use value::{Key, Val, to_json};

use ::cel::common::ast::{IdedExpr, SourceInfo};
use std::collections::BTreeMap;

/// What one evaluation may cost, and all of one object.
pub(crate) const MAX_CALL_COST: u64 = 1_000_000;
/// What the rules of one object may cost together.
pub(crate) const MAX_OBJECT_COST: u64 = 10_000_000;
/// What the match conditions of one webhook may cost together.
pub(crate) const MAX_CONDITIONS_COST: u64 = 2_500_000;
/// Longest source of an expression, in bytes.
const MAX_SOURCE_BYTES: usize = 16 << 10;
/// Deepest nesting of brackets in an expression.
const MAX_BRACKETS: u16 = 64;
/// Deepest nesting of what was read: links of chains and expanded macros count.
const MAX_DEPTH: usize = 160;
/// For the longest source: about 2 KiB a byte are needed at most.
const PARSER_STACK_BYTES: usize = 64 << 20;

/// An expression that was read.
#[derive(Debug)]
pub(crate) struct Program {
    expr: IdedExpr,
    source: SourceInfo,
}

/// Why an evaluation gave no value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// In CEL's words.
    Failed(String),
    /// It would have cost too much.
    Budget,
}

impl Fault {
    fn new(why: impl Into<String>) -> Fault {
        Fault::Failed(why.into())
    }
}

fn parsed(source: &str) -> Result<Program, String> {
    let parser = macros::parser().max_recursion_depth(MAX_BRACKETS).error_recovery_limit(4);
    let parsed = parser.enable_optional_syntax(true).parse_with_source_info(source);
    let (expr, source) = parsed.map_err(|errors| errors.to_string())?;
    if parts::depth(&expr) > MAX_DEPTH {
        return Err(format!("the expression is nested deeper than {MAX_DEPTH} levels"));
    }
    Ok(Program { expr, source })
}

/// What fields are called in expressions where their own name is no identifier; none if it cannot be said.
pub(crate) fn escaped(name: &str) -> Option<String> {
    const KEYWORDS: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if KEYWORDS.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let text = name
        .replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__");
    let starts = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (starts && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')).then_some(text)
}

type Found = Result<Val, Fault>;

/// What may still be spent. One unit is about one step.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u64,
}

impl Budget {
    /// A budget of so many units.
    pub(crate) fn new(units: u64) -> Budget {
        Budget { left: units }
    }

    /// Spends `units`. Errors: there is not so much left.
    fn spend(&mut self, units: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(units as u64).ok_or(Fault::Budget)?;
        Ok(())
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> u64 {
        self.left
    }
}

impl Program {
    /// Reads an expression. Errors: where and why it is none, as CEL's own tools say it.
    pub(crate) fn parse(source: &str) -> Result<Program, String> {
        if source.len() > MAX_SOURCE_BYTES {
            return Err(format!("the expression is longer than {MAX_SOURCE_BYTES} bytes"));
        }
        // The parser recurses once for each link of a chain such as `a.b.c`, and its limit does not count them: it needs a
        // stack of its own size. What it read is only let out if any stack can hold a walk over it.
        let read = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("cel".into()).stack_size(PARSER_STACK_BYTES);
            thread.spawn_scoped(scope, || parsed(source)).map(|thread| thread.join())
        });
        match read {
            Ok(Ok(parsed)) => parsed,
            Ok(Err(_)) => Err("the expression cannot be read".into()),
            Err(error) => Err(format!("no expression can be read now: {error}")),
        }
    }

    /// `why` with the place of a part of the expression, as CEL's own tools show it.
    fn located(&self, id: u64, why: &str) -> String {
        let source = &self.source.source;
        let at = self.source.offset_for(id).map_or(0, |(start, _)| start as usize);
        let before: String = source.chars().take(at).collect();
        let (line, column) =
            (before.matches('\n').count(), before.chars().rev().take_while(|c| *c != '\n').count());
        let text = source.lines().nth(line).unwrap_or_default();
        format!("ERROR: <input>:{}:{}: {why}\n | {text}\n | {}^", line + 1, column + 1, ".".repeat(column))
    }

    /// Evaluates it with `variables`.
    pub(crate) fn eval(&self, variables: &BTreeMap<&str, Val>, budget: &mut Budget) -> Found {
        eval::Scope::new(variables, budget).eval(&self.expr)
    }

    /// Whether it speaks of the variable `name`.
    pub(crate) fn mentions(&self, name: &str) -> bool {
        parts::mentions(&self.expr, name)
    }
}

#[cfg(test)]
mod tests;
