//! What an expression is made of.

use ::cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// The parts of an expression.
pub(super) fn parts(expr: &IdedExpr) -> Vec<&IdedExpr> {
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
