//! Evaluation, step by step, each step charged.

use super::functions::{self, Call};
use super::value::{Key, Val};
use super::{Budget, Fault, Found, names, operators};
use ::cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapExpr, SelectExpr,
    StructExpr,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The variables that an expression sees: the given ones, and those of the comprehensions around it.
pub(super) struct Scope<'a> {
    given: &'a BTreeMap<&'a str, Val>,
    bound: Vec<(&'a str, Val)>,
    budget: &'a mut Budget,
}

impl<'a> Scope<'a> {
    pub(super) fn new(given: &'a BTreeMap<&'a str, Val>, budget: &'a mut Budget) -> Scope<'a> {
        Scope { given, bound: Vec::new(), budget }
    }

    pub(super) fn eval(&mut self, expr: &'a IdedExpr) -> Found {
        self.budget.spend(1)?;
        match &expr.expr {
            Expr::Literal(literal) => Ok(constant(literal)),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.list(list),
            Expr::Map(map) => self.map(map),
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
            Expr::Struct(message) => self.message(message),
            Expr::Unspecified => Err(Fault::new("an empty expression")),
        }
    }

    fn known(&self, name: &str) -> Option<Val> {
        let bound = self.bound.iter().rev().find(|(bound, _)| *bound == name).map(|(_, value)| value);
        bound.or_else(|| self.given.get(name)).cloned()
    }

    fn variable(&self, name: &str) -> Found {
        self.known(name)
            .or_else(|| names::is_type(name).then(|| Val::Type(name.into())))
            .ok_or_else(|| Fault::new(format!("undeclared reference to '{name}'")))
    }

    fn select(&mut self, select: &'a SelectExpr) -> Found {
        if !select.test
            && let Some(name) = names::qualified(&select.operand, &select.field)
            && names::is_type(&name)
        {
            return Ok(Val::Type(name.into()));
        }
        let operand = self.eval(&select.operand)?;
        if select.test {
            return match &operand {
                Val::Map(map) => Ok(Val::Bool(map.contains_key(&Key::String(select.field.as_str().into())))),
                Val::Optional(inner) => {
                    Ok(Val::Bool(inner.as_deref().is_some_and(|inner| has(inner, &select.field))))
                }
                other => Err(Fault::new(operators::no_fields(other.type_name()))),
            };
        }
        operators::field(&operand, &select.field)
    }

    fn call(&mut self, call: &'a CallExpr) -> Found {
        use ::cel::common::ast::operators::{CONDITIONAL, LOGICAL_AND, LOGICAL_OR, NOT_STRICTLY_FALSE};
        match (call.func_name.as_str(), call.args.as_slice()) {
            (CONDITIONAL, [condition, yes, no]) => match self.eval(condition)? {
                Val::Bool(true) => self.eval(yes),
                Val::Bool(false) => self.eval(no),
                other => Err(functions::no_overload(CONDITIONAL, &[other])),
            },
            (LOGICAL_AND, [left, right]) => self.logical(left, right, false),
            (LOGICAL_OR, [left, right]) => self.logical(left, right, true),
            (NOT_STRICTLY_FALSE, [condition]) => match self.eval(condition) {
                Err(Fault::Budget) => Err(Fault::Budget),
                Ok(Val::Bool(on)) => Ok(Val::Bool(on)),
                _ => Ok(Val::Bool(true)),
            },
            _ => self.function(call),
        }
    }

    /// An error of one side is forgiven if the other decides.
    fn logical(&mut self, left: &'a IdedExpr, right: &'a IdedExpr, decides: bool) -> Found {
        let judged = |found: Found| match found {
            Ok(Val::Bool(on)) => Ok(on),
            Ok(other) => Err(functions::no_overload(if decides { "_||_" } else { "_&&_" }, &[other])),
            Err(fault) => Err(fault),
        };
        let left = judged(self.eval(left));
        match left {
            Ok(on) if on == decides => return Ok(Val::Bool(decides)),
            Err(Fault::Budget) => return Err(Fault::Budget),
            _ => {}
        }
        match (left, judged(self.eval(right))) {
            (_, Ok(on)) if on == decides => Ok(Val::Bool(decides)),
            (_, Err(Fault::Budget)) => Err(Fault::Budget),
            (Err(fault), _) | (Ok(_), Err(fault)) => Err(fault),
            (Ok(_), Ok(_)) => Ok(Val::Bool(!decides)),
        }
    }

    fn function(&mut self, call: &'a CallExpr) -> Found {
        // `ip.isCanonical(x)` is a function with a dotted name, not a call on a variable.
        let qualified = call
            .target
            .as_deref()
            .and_then(|target| names::qualified(target, &call.func_name))
            .filter(|name| names::is_qualified(name));
        let mut arguments = Vec::with_capacity(call.args.len() + 1);
        if let Some(target) = call.target.as_deref().filter(|_| qualified.is_none()) {
            if call.func_name == "or" || call.func_name == "orValue" {
                return self.optional_or(call, target);
            }
            if matches!(call.func_name.as_str(), "optMap" | "optFlatMap") {
                return self.optional_map(call, target);
            }
            arguments.push(self.eval(target)?);
        }
        for argument in &call.args {
            arguments.push(self.eval(argument)?);
        }
        let name = qualified.as_deref().unwrap_or(&call.func_name);
        functions::call(Call { name, arguments: &arguments }, self.budget)
    }

    /// The alternative is evaluated only where it is needed.
    fn optional_or(&mut self, call: &'a CallExpr, target: &'a IdedExpr) -> Found {
        let [alternative] = call.args.as_slice() else {
            return Err(functions::no_overload(&call.func_name, &[]));
        };
        match self.eval(target)? {
            Val::Optional(Some(value)) if call.func_name == "orValue" => Ok(*value),
            found @ Val::Optional(Some(_)) => Ok(found),
            Val::Optional(None) => self.eval(alternative),
            other => Err(functions::no_overload(&call.func_name, &[other])),
        }
    }

    fn optional_map(&mut self, call: &'a CallExpr, target: &'a IdedExpr) -> Found {
        let [IdedExpr { expr: Expr::Ident(name), .. }, body] = call.args.as_slice() else {
            return Err(Fault::new(format!(
                "{}() variable name must be a simple identifier",
                call.func_name
            )));
        };
        match self.eval(target)? {
            Val::Optional(None) => Ok(Val::Optional(None)),
            Val::Optional(Some(value)) => {
                let mapped = self.with(name, *value, |scope| scope.eval(body))?;
                Ok(if call.func_name == "optMap" { Val::Optional(Some(Box::new(mapped))) } else { mapped })
            }
            other => Err(functions::no_overload(&call.func_name, &[other])),
        }
    }

    fn with(&mut self, name: &'a str, value: Val, body: impl FnOnce(&mut Scope<'a>) -> Found) -> Found {
        self.bound.push((name, value));
        let found = body(self);
        self.bound.pop();
        found
    }

    fn list(&mut self, list: &'a ListExpr) -> Found {
        let mut items = Vec::with_capacity(list.elements.len());
        for (index, element) in list.elements.iter().enumerate() {
            let value = self.eval(element)?;
            match value {
                Val::Optional(inner) if list.optional_indices.contains(&index) => {
                    items.extend(inner.map(|v| *v))
                }
                value => items.push(value),
            }
        }
        Ok(items.into())
    }

    fn map(&mut self, map: &'a MapExpr) -> Found {
        let mut found = BTreeMap::new();
        for entry in &map.entries {
            let EntryExpr::MapEntry(entry) = &entry.expr else { return Err(Fault::new("a map of fields")) };
            let (key, value) = (self.eval(&entry.key)?.key()?, self.eval(&entry.value)?);
            let value = match value {
                Val::Optional(inner) if entry.optional => inner.map(|v| *v),
                value => Some(value),
            };
            if let Some(value) = value
                && found.insert(key, value).is_some()
            {
                return Err(Fault::new("Failed with repeated key"));
            }
        }
        Ok(Val::Map(Arc::new(found)))
    }

    /// `Object{spec: Object.spec{replicas: 1}}`, `JSONPatch{op: "remove", path: "/spec"}`: what mutations are made of.
    fn message(&mut self, message: &'a StructExpr) -> Found {
        if !super::check::is_mutation(&message.type_name) {
            return Err(Fault::new(format!("unknown type: {}", message.type_name)));
        }
        let mut found = BTreeMap::new();
        for entry in &message.entries {
            let EntryExpr::StructField(field) = &entry.expr else {
                return Err(Fault::new("a message of entries"));
            };
            let value = match self.eval(&field.value)? {
                Val::Optional(inner) if field.optional => inner.map(|v| *v),
                value => Some(value),
            };
            if let Some(value) = value {
                found.insert(Key::String(field.field.as_str().into()), value);
            }
        }
        Ok(Val::Map(Arc::new(found)))
    }

    fn comprehension(&mut self, loop_: &'a ComprehensionExpr) -> Found {
        let range = self.eval(&loop_.iter_range)?;
        let pairs: Vec<(Val, Option<Val>)> = match (&range, &loop_.iter_var2) {
            (Val::List(items), None) => items.iter().map(|item| (item.clone(), None)).collect(),
            (Val::List(items), Some(_)) => {
                items.iter().enumerate().map(|(at, item)| (Val::Int(at as i64), Some(item.clone()))).collect()
            }
            (Val::Map(map), None) => map.keys().map(|key| (key.clone().into(), None)).collect(),
            (Val::Map(map), Some(_)) => {
                map.iter().map(|(key, value)| (key.clone().into(), Some(value.clone()))).collect()
            }
            (other, _) => return Err(Fault::new(format!("type '{}' is no range", other.type_name()))),
        };
        self.budget.spend(pairs.len())?;
        let accumulator = self.eval(&loop_.accu_init)?;
        let depth = self.bound.len();
        self.bound.push((&loop_.accu_var, accumulator));
        let result = self.iterate(loop_, pairs, depth).and_then(|()| self.eval(&loop_.result));
        self.bound.truncate(depth);
        result
    }

    /// What fails in one step counts only if no later step decides.
    fn iterate(
        &mut self,
        loop_: &'a ComprehensionExpr,
        pairs: Vec<(Val, Option<Val>)>,
        depth: usize,
    ) -> Result<(), Fault> {
        let mut failed = None;
        for (first, second) in pairs {
            if !matches!(self.eval(&loop_.loop_cond)?, Val::Bool(true)) {
                break;
            }
            self.bound.push((&loop_.iter_var, first));
            if let (Some(name), Some(second)) = (&loop_.iter_var2, second) {
                self.bound.push((name, second));
            }
            let next = self.eval(&loop_.loop_step);
            self.bound.truncate(depth + 1);
            match next {
                Ok(value) => {
                    let decided =
                        matches!((&self.bound[depth].1, &value), (Val::Bool(a), Val::Bool(b)) if a != b);
                    if decided {
                        failed = None;
                    }
                    self.bound[depth].1 = value;
                }
                Err(Fault::Budget) => return Err(Fault::Budget),
                Err(fault) if matches!(self.bound[depth].1, Val::Bool(_)) => failed = failed.or(Some(fault)),
                Err(fault) => return Err(fault),
            }
        }
        failed.map_or(Ok(()), Err)
    }
}

fn has(value: &Val, field: &str) -> bool {
    matches!(value, Val::Map(map) if map.contains_key(&Key::String(field.into())))
}

fn constant(literal: &LiteralValue) -> Val {
    match literal {
        LiteralValue::Null => Val::Null,
        LiteralValue::Boolean(on) => Val::Bool(*on.inner()),
        LiteralValue::Int(n) => Val::Int(*n.inner()),
        LiteralValue::UInt(n) => Val::Uint(*n.inner()),
        LiteralValue::Double(n) => Val::Double(*n.inner()),
        LiteralValue::String(text) => text.inner().into(),
        LiteralValue::Bytes(bytes) => Val::Bytes(bytes.inner().into()),
    }
}
