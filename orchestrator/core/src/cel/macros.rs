//! The macros of comprehensions with two variables, the index or key and the value: `all`, `exists`, `existsOne`,
//! `transformList`, `transformMap`, `transformMapEntry`. The parser has those with one.

use ::cel::Env;
use ::cel::common::ast::{
    CallExpr, ComprehensionExpr, Expr, IdedExpr, ListExpr, LiteralValue, MapExpr, operators as op,
};
use ::cel::parser::{Macro, MacroExprHelper, ParseError, Parser};
use std::sync::LazyLock;

/// What a comprehension gathers.
const GATHERED: &str = "@result";
/// Adds a key and a value, or the entries of a map, to a map. Not to be written.
pub(super) const INSERT: &str = "@insert";
/// See [`INSERT`].
pub(super) const INSERT_ALL: &str = "@insertAll";

/// How one macro makes, from the values of each step, what it gives.
#[derive(Clone, Copy)]
enum Sort {
    All,
    Exists,
    ExistsOne,
    List,
    Map,
    Entries,
}

const MACROS: [(&str, usize, Sort); 10] = [
    ("all", 3, Sort::All),
    ("exists", 3, Sort::Exists),
    ("existsOne", 3, Sort::ExistsOne),
    ("exists_one", 3, Sort::ExistsOne),
    ("transformList", 3, Sort::List),
    ("transformList", 4, Sort::List),
    ("transformMap", 3, Sort::Map),
    ("transformMap", 4, Sort::Map),
    ("transformMapEntry", 3, Sort::Entries),
    ("transformMapEntry", 4, Sort::Entries),
];

static ENV: LazyLock<Env> = LazyLock::new(|| {
    let mut env = Env::stdlib();
    for (name, count, sort) in MACROS {
        let expand =
            move |helper: &mut MacroExprHelper<'_>,
                  target: &mut Option<IdedExpr>,
                  arguments: &mut Vec<IdedExpr>| expand(sort, helper, target, arguments);
        env.add_macro(Macro::receiver(name, count, expand)).expect("no macro stands twice in the list");
    }
    env
});

/// A parser that expands these, too.
pub(super) fn parser() -> Parser {
    ENV.parser()
}

fn expand(
    sort: Sort,
    helper: &mut MacroExprHelper<'_>,
    target: &mut Option<IdedExpr>,
    arguments: &mut Vec<IdedExpr>,
) -> Result<Option<IdedExpr>, ParseError> {
    let Some(range) = target.take() else { return Ok(None) };
    let mut arguments = std::mem::take(arguments).into_iter();
    let mut name = || match arguments.next() {
        Some(IdedExpr { expr: Expr::Ident(name), .. }) => Ok(name),
        other => Err(helper.new_error(other.map_or(0, |other| other.id), "argument must be a simple name")),
    };
    let (first, second) = (name()?, name()?);
    let body: Vec<IdedExpr> = arguments.collect();
    let made = Comprehension { sort, helper, range, first, second };
    Ok(Some(made.of(body)))
}

struct Comprehension<'h, 'p> {
    sort: Sort,
    helper: &'h mut MacroExprHelper<'p>,
    range: IdedExpr,
    first: String,
    second: String,
}

impl Comprehension<'_, '_> {
    fn node(&mut self, expr: Expr) -> IdedExpr {
        self.helper.next_expr(expr)
    }

    fn gathered(&mut self) -> IdedExpr {
        self.node(Expr::Ident(GATHERED.into()))
    }

    fn truth(&mut self, on: bool) -> IdedExpr {
        self.node(Expr::Literal(LiteralValue::Boolean(on.into())))
    }

    fn number(&mut self, n: i64) -> IdedExpr {
        self.node(Expr::Literal(LiteralValue::Int(n.into())))
    }

    fn call(&mut self, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
        self.node(Expr::Call(CallExpr { func_name: name.into(), target: None, args }))
    }

    /// What is gathered with the value of one more step.
    fn step(&mut self, value: IdedExpr) -> IdedExpr {
        let gathered = self.gathered();
        match self.sort {
            Sort::All => self.call(op::LOGICAL_AND, vec![gathered, value]),
            Sort::Exists => self.call(op::LOGICAL_OR, vec![gathered, value]),
            Sort::ExistsOne => {
                let one = self.number(1);
                let more = self.call(op::ADD, vec![gathered, one]);
                let same = self.gathered();
                self.call(op::CONDITIONAL, vec![value, more, same])
            }
            Sort::List => {
                let list = self.node(Expr::List(ListExpr::new(vec![value])));
                self.call(op::ADD, vec![gathered, list])
            }
            Sort::Map => {
                let key = self.node(Expr::Ident(self.first.clone()));
                self.call(INSERT, vec![gathered, key, value])
            }
            Sort::Entries => self.call(INSERT_ALL, vec![gathered, value]),
        }
    }

    fn of(mut self, mut body: Vec<IdedExpr>) -> IdedExpr {
        let value = body.pop().unwrap_or_default();
        let mut loop_step = self.step(value);
        if let Some(filter) = body.pop() {
            let same = self.gathered();
            loop_step = self.call(op::CONDITIONAL, vec![filter, loop_step, same]);
        }
        let accu_init = match self.sort {
            Sort::All => self.truth(true),
            Sort::Exists => self.truth(false),
            Sort::ExistsOne => self.number(0),
            Sort::List => self.node(Expr::List(ListExpr::new(Vec::new()))),
            Sort::Map | Sort::Entries => self.node(Expr::Map(MapExpr { entries: Vec::new() })),
        };
        let loop_cond = match self.sort {
            Sort::All => {
                let gathered = self.gathered();
                self.call(op::NOT_STRICTLY_FALSE, vec![gathered])
            }
            Sort::Exists => {
                let gathered = self.gathered();
                let not = self.call(op::LOGICAL_NOT, vec![gathered]);
                self.call(op::NOT_STRICTLY_FALSE, vec![not])
            }
            _ => self.truth(true),
        };
        let mut result = self.gathered();
        if matches!(self.sort, Sort::ExistsOne) {
            let one = self.number(1);
            result = self.call(op::EQUALS, vec![result, one]);
        }
        let (iter_range, iter_var, iter_var2) = (
            std::mem::take(&mut self.range),
            std::mem::take(&mut self.first),
            Some(std::mem::take(&mut self.second)),
        );
        self.node(Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range,
            iter_var,
            iter_var2,
            accu_var: GATHERED.into(),
            accu_init,
            loop_cond,
            loop_step,
            result,
        })))
    }
}
