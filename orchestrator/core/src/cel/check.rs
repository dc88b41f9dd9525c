//! What can be said of an expression before it is evaluated: names that nobody declared, fields that the schema does not
//! have, operators whose operands cannot fit, and the type of the result.

use super::operators::no_fields;
use super::{Program, names};
use crate::custom::schema::Schema;
use crate::schema::{FieldType, Type as Table};
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

/// The type of a part of an expression, as far as it is known.
#[derive(Clone, Debug)]
enum Type<'s> {
    Any,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    Other,
    List(Box<Type<'s>>),
    Map(Box<Type<'s>>),
    Object(&'s Schema, bool),
    Table(&'s Table),
}

impl<'s> Type<'s> {
    fn of(schema: &'s Schema, is_resource: bool) -> Type<'s> {
        match schema.type_.as_str() {
            "string" => match schema.limits.format.as_str() {
                "date" | "date-time" | "datetime" => Type::Timestamp,
                "duration" => Type::Duration,
                "byte" => Type::Bytes,
                _ => Type::String,
            },
            "integer" => Type::Int,
            "number" => Type::Double,
            "boolean" => Type::Bool,
            "array" => Type::List(Box::new(
                schema.items.as_deref().map_or(Type::Any, |item| Type::of(item, item.embedded)),
            )),
            "object" if is_resource || !schema.properties.is_empty() => Type::Object(schema, is_resource),
            "object" => match schema.additional.as_deref() {
                Some(item) => Type::Map(Box::new(Type::of(item, item.embedded))),
                None => Type::Object(schema, false),
            },
            _ => Type::Any,
        }
    }

    /// The type of what a field of the table holds.
    fn of_field(field: &'s FieldType) -> Type<'s> {
        match field {
            FieldType::String => Type::String,
            FieldType::Int32 | FieldType::Int64 => Type::Int,
            FieldType::Bool => Type::Bool,
            FieldType::Double => Type::Double,
            FieldType::Bytes => Type::Bytes,
            FieldType::Time | FieldType::MicroTime => Type::Timestamp,
            FieldType::List(item) => Type::List(Box::new(Type::of_field(item))),
            FieldType::Map(value) => Type::Map(Box::new(Type::of_field(value))),
            FieldType::Object(reference) => Type::Table(reference.get()),
            _ => Type::Any,
        }
    }

    fn name(&self) -> String {
        match self {
            Type::Any => "dyn".into(),
            Type::Null => "null".into(),
            Type::Bool => "bool".into(),
            Type::Int => "int".into(),
            Type::Uint => "uint".into(),
            Type::Double => "double".into(),
            Type::String => "string".into(),
            Type::Bytes => "bytes".into(),
            Type::Timestamp => "google.protobuf.Timestamp".into(),
            Type::Duration => "google.protobuf.Duration".into(),
            Type::Other => "dyn".into(),
            Type::List(item) => format!("list({})", item.name()),
            Type::Map(value) => format!("map(string, {})", value.name()),
            Type::Object(..) | Type::Table(_) => "object".into(),
        }
    }

    /// Whether values of both may be the same, or stand on both sides of an operator.
    fn fits(&self, other: &Type<'_>) -> bool {
        match (self, other) {
            (Type::Any | Type::Other | Type::Null, _) | (_, Type::Any | Type::Other | Type::Null) => true,
            (Type::List(a), Type::List(b)) | (Type::Map(a), Type::Map(b)) => a.fits(b),
            (Type::Map(_), Type::Object(..) | Type::Table(_))
            | (Type::Object(..) | Type::Table(_), Type::Map(_)) => true,
            (a, b) => std::mem::discriminant(a) == std::mem::discriminant(b),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Uint | Type::Double)
    }
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

/// The type of the field that expressions call `name`.
fn field<'s>(schema: &'s Schema, is_resource: bool, name: &str) -> Option<Type<'s>> {
    if is_resource {
        match name {
            "apiVersion" | "kind" => return Some(Type::String),
            "metadata" => return Some(Type::Any),
            _ => {}
        }
    }
    let own = schema.properties.iter().find(|(own, _)| super::escaped(own).as_deref() == Some(name));
    own.map(|(_, below)| Type::of(below, below.embedded))
        .or_else(|| schema.additional.as_deref().map(|item| Type::of(item, item.embedded)))
}

/// The same of a type of the table.
fn field_of<'s>(table: &'s Table, name: &str) -> Option<Type<'s>> {
    let own = table.fields.iter().find(|field| super::escaped(&field.name).as_deref() == Some(name));
    own.map(|field| Type::of_field(&field.kind)).or(table.open.then_some(Type::Any))
}

/// The type of what an operator or function gives; none for operands that cannot fit.
fn result<'s>(name: &str, types: &[Type<'s>]) -> Option<Type<'s>> {
    let is_bool = |ty: &Type<'_>| matches!(ty, Type::Bool | Type::Any | Type::Other);
    let alike = || types.first().zip(types.get(1)).is_none_or(|(a, b)| a.fits(b));
    match name {
        "_&&_" | "_||_" | "!_" => types.iter().all(is_bool).then_some(Type::Bool),
        "@not_strictly_false"
        | "@in"
        | "matches"
        | "contains"
        | "startsWith"
        | "endsWith"
        | "isSorted"
        | "isURL"
        | "isIP"
        | "isCIDR"
        | "isQuantity"
        | "hasValue" => Some(Type::Bool),
        "_==_" | "_!=_" => alike().then_some(Type::Bool),
        "_<_" | "_<=_" | "_>_" | "_>=_" => {
            (alike() || types.iter().all(Type::is_number)).then_some(Type::Bool)
        }
        "_?_:_" => {
            let [condition, yes, no] = types else { return None };
            let same = yes.name() == no.name();
            is_bool(condition).then(|| if same { yes.clone() } else { Type::Any })
        }
        "_+_" | "_-_" | "_*_" | "_/_" | "_%_" => {
            let mixed = types
                .iter()
                .any(|ty| matches!(ty, Type::Timestamp | Type::Duration | Type::Any | Type::Other));
            match (mixed, alike()) {
                (true, _) => Some(Type::Any),
                (false, true) => types
                    .first()
                    .cloned()
                    .map(|ty| if matches!(ty, Type::List(_)) { Type::List(Box::new(Type::Any)) } else { ty }),
                (false, false) => None,
            }
        }
        "-_" => types.first().cloned(),
        "_[_]" => match types {
            [Type::List(item), _] => Some((**item).clone()),
            [Type::Map(value), _] => Some((**value).clone()),
            [Type::Any | Type::Other | Type::Object(..) | Type::Table(_), _] => Some(Type::Any),
            _ => None,
        },
        "size" | "indexOf" | "lastIndexOf" | "int" => Some(Type::Int),
        "string" | "lowerAscii" | "upperAscii" | "trim" | "replace" | "substring" | "charAt" | "format"
        | "join" => Some(Type::String),
        "double" => Some(Type::Double),
        "duration" => Some(Type::Duration),
        "timestamp" => Some(Type::Timestamp),
        _ => Some(Type::Any),
    }
}

/// The parts of an expression.
fn parts(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Expr::Select(select) => vec![&*select.operand],
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
        Expr::Struct(message) => message.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
        Expr::Comprehension(loop_) => {
            vec![&loop_.iter_range, &loop_.accu_init, &loop_.loop_cond, &loop_.loop_step, &loop_.result]
        }
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
        EntryExpr::StructField(field) => vec![&field.value],
    }
}

/// Whether an expression speaks of the variable `name`.
pub(super) fn mentions(expr: &IdedExpr, name: &str) -> bool {
    matches!(&expr.expr, Expr::Ident(ident) if ident == name)
        || parts(expr).into_iter().any(|part| mentions(part, name))
}

/// How deep an expression is nested. Does not recurse: it is asked before it is known whether anything may.
pub(super) fn depth(expr: &IdedExpr) -> usize {
    let (mut deepest, mut left) = (0, vec![(expr, 1)]);
    while let Some((expr, depth)) = left.pop() {
        deepest = deepest.max(depth);
        left.extend(parts(expr).into_iter().map(|part| (part, depth + 1)));
    }
    deepest
}
