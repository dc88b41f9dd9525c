//! What can be said of an expression before it is evaluated: names that nobody declared, fields that the schema does not
//! have, operators whose operands cannot fit, and a result of another type than is wanted.

use super::operators::no_fields;
use super::parts::parts;
use super::types::{Type, field, field_of, result};
use super::{Program, names};
use crate::custom::schema::Schema;
use crate::schema::Type as Table;
use ::cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, SelectExpr};
use std::collections::BTreeMap;

/// What an expression may speak of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Declared<'s> {
    /// A value of that schema; whether it is a whole object of the API.
    Schema(&'s Schema, bool),
    /// An object of a type of the table.
    Table(&'s Table),
    /// Anything.
    Any,
}

/// Checks that `program` says something of `variables` that gives a value of type `wanted` (`bool`, `string`). Errors: where
/// and why not, as CEL's own tools say it.
pub(crate) fn check(
    program: &Program,
    variables: &BTreeMap<&str, Declared<'_>>,
    wanted: &str,
) -> Result<(), String> {
    let mut walk = Walk { program, given: variables, bound: Vec::new() };
    let found = walk.type_of(&program.expr)?;
    let name = found.name();
    if name == wanted || name == "dyn" { Ok(()) } else { Err(format!("must evaluate to a {wanted}")) }
}

struct Walk<'p, 's> {
    program: &'p Program,
    given: &'p BTreeMap<&'p str, Declared<'s>>,
    bound: Vec<(&'p str, Type<'s>)>,
}

type Typed<'s> = Result<Type<'s>, String>;

impl<'p, 's> Walk<'p, 's> {
    fn type_of(&mut self, expr: &'p IdedExpr) -> Typed<'s> {
        use ::cel::common::ast::LiteralValue as L;
        match &expr.expr {
            Expr::Literal(literal) => Ok(match literal {
                L::Null => Type::Null,
                L::Boolean(_) => Type::Bool,
                L::Int(_) => Type::Int,
                L::UInt(_) => Type::Uint,
                L::Double(_) => Type::Double,
                L::String(_) => Type::String,
                L::Bytes(_) => Type::Bytes,
            }),
            Expr::Ident(name) => self.variable(expr, name),
            Expr::Select(select) => self.select(expr, select),
            Expr::Call(call) => self.call(expr, call),
            Expr::List(list) => {
                let types = list
                    .elements
                    .iter()
                    .map(|element| self.type_of(element))
                    .collect::<Result<Vec<_>, _>>()?;
                let alike = types.windows(2).all(|pair| pair[0].name() == pair[1].name());
                let item = types.into_iter().next().filter(|_| alike && list.optional_indices.is_empty());
                Ok(Type::List(Box::new(item.unwrap_or(Type::Any))))
            }
            Expr::Map(map) => {
                for entry in &map.entries {
                    if let EntryExpr::MapEntry(entry) = &entry.expr {
                        self.type_of(&entry.key)?;
                        self.type_of(&entry.value)?;
                    }
                }
                Ok(Type::Map(Box::new(Type::Any)))
            }
            Expr::Comprehension(loop_) => self.comprehension(expr, loop_),
            Expr::Struct(message) if is_mutation(&message.type_name) && self.given.contains_key(MUTATION) => {
                for part in parts(expr) {
                    self.type_of(part)?;
                }
                Ok(Type::Any)
            }
            Expr::Struct(message) => Err(self.undeclared(expr, &message.type_name)),
            Expr::Unspecified => Ok(Type::Any),
        }
    }

    fn error(&self, expr: &IdedExpr, why: &str) -> String {
        self.program.located(expr.id, why)
    }

    fn undeclared(&self, expr: &IdedExpr, name: &str) -> String {
        self.error(expr, &format!("undeclared reference to '{name}' (in container '')"))
    }

    fn variable(&self, expr: &IdedExpr, name: &str) -> Typed<'s> {
        if let Some((_, bound)) = self.bound.iter().rev().find(|(bound, _)| *bound == name) {
            return Ok(bound.clone());
        }
        match self.given.get(name) {
            Some(Declared::Schema(schema, is_resource)) => Ok(Type::of(schema, *is_resource)),
            Some(Declared::Table(table)) => Ok(Type::Table(table)),
            Some(Declared::Any) => Ok(Type::Any),
            None if names::is_type(name) => Ok(Type::Other),
            None => Err(self.undeclared(expr, name)),
        }
    }

    fn select(&mut self, expr: &'p IdedExpr, select: &'p SelectExpr) -> Typed<'s> {
        let qualified = names::qualified(&select.operand, &select.field);
        if qualified.is_some_and(|name| names::is_type(&name)) {
            return Ok(Type::Other);
        }
        let found = match self.type_of(&select.operand)? {
            Type::Object(schema, is_resource) => match field(schema, is_resource, &select.field) {
                Some(found) => found,
                None => return Err(self.error(expr, &format!("undefined field '{}'", select.field))),
            },
            Type::Table(table) => match field_of(table, &select.field) {
                Some(found) => found,
                None => return Err(self.error(expr, &format!("undefined field '{}'", select.field))),
            },
            Type::Map(value) => *value,
            Type::Any | Type::Other => Type::Any,
            other => return Err(self.error(expr, &no_fields(&other.name()))),
        };
        Ok(if select.test { Type::Bool } else { found })
    }

    fn call(&mut self, expr: &'p IdedExpr, call: &'p CallExpr) -> Typed<'s> {
        let target = call.target.as_deref();
        let qualified = target.and_then(|target| names::qualified(target, &call.func_name));
        let is_qualified = qualified.as_deref().is_some_and(names::is_qualified);
        let mut types = Vec::new();
        if matches!(call.func_name.as_str(), "optMap" | "optFlatMap") {
            return Ok(Type::Any); // the name that it binds is known when it is evaluated
        }
        if let Some(target) = target.filter(|_| !is_qualified) {
            types.push(self.type_of(target)?);
        }
        for argument in &call.args {
            types.push(self.type_of(argument)?);
        }
        if !is_qualified && !names::is_known(&call.func_name) {
            return Err(self.undeclared(expr, &call.func_name));
        }
        let found = result(&call.func_name, &types);
        found.ok_or_else(|| {
            let names: Vec<String> = types.iter().map(Type::name).collect();
            let why = format!(
                "found no matching overload for '{}' applied to '({})'",
                call.func_name,
                names.join(", ")
            );
            self.error(expr, &why)
        })
    }

    fn comprehension(&mut self, expr: &'p IdedExpr, loop_: &'p ComprehensionExpr) -> Typed<'s> {
        let range = self.type_of(&loop_.iter_range)?;
        let (first, second) = match range {
            Type::List(item) if loop_.iter_var2.is_some() => (Type::Int, *item),
            Type::List(item) => (*item, Type::Any),
            Type::Map(value) => (Type::String, *value),
            Type::Object(..) | Type::Table(_) => (Type::String, Type::Any),
            Type::Any | Type::Other => (Type::Any, Type::Any),
            other => {
                let why = format!(
                    "expression of type '{}' cannot be range of a comprehension (must be list, map, or dynamic)",
                    other.name()
                );
                return Err(self.error(expr, &why));
            }
        };
        let depth = self.bound.len();
        let accumulator = match self.type_of(&loop_.accu_init)? {
            Type::List(_) => Type::List(Box::new(Type::Any)),
            other => other,
        };
        self.bound.push((&loop_.accu_var, accumulator));
        self.bound.push((&loop_.iter_var, first));
        if let Some(name) = &loop_.iter_var2 {
            self.bound.push((name, second));
        }
        self.type_of(&loop_.loop_cond)?;
        self.type_of(&loop_.loop_step)?;
        self.bound.truncate(depth + 1);
        let found = self.type_of(&loop_.result)?;
        self.bound.truncate(depth);
        Ok(found)
    }
}

/// Declared where an expression may make what a mutation is.
pub(crate) const MUTATION: &str = "Object";

/// Whether a message of that type is part of a mutation.
pub(super) fn is_mutation(type_name: &str) -> bool {
    type_name == MUTATION || type_name == "JSONPatch" || type_name.starts_with("Object.")
}
