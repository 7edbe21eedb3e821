//! `x op ANY (SELECT ..)`, `x op ALL (SELECT ..)` and IN as the engine takes them.
//!
//! As conditions: IN where that says it; else the subquery's column gets a name of its own, for the engine would mistake
//! it for a column of the outer query with the same name. As values (in a select list) the engine knows none of them: they
//! become counts, and comparisons with the least and the greatest value, which are false where NULL may be due.

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::*;

use super::build::{binary, call, hole, not, number, select_of, take};

/// What the one column of a subquery is called.
pub(super) const VALUE: &str = "fg_value";

/// A quantified comparison with a subquery, taken apart; with arrays they stay.
fn parts(expr: &mut Expr) -> Option<(&mut Box<Expr>, BinaryOperator, &mut Box<Query>, bool)> {
    let (left, op, mut right, any) = match expr {
        Expr::AnyOp { left, compare_op, right, .. } => (left, compare_op.clone(), right.as_mut(), true),
        Expr::AllOp { left, compare_op, right } => (left, compare_op.clone(), right.as_mut(), false),
        _ => return None,
    };
    while let Expr::Nested(inner) = right {
        right = inner.as_mut();
    }
    match right {
        Expr::Subquery(query) => Some((left, op, query, any)),
        _ => None,
    }
}

/// Rewrites one that is a condition.
pub(super) fn condition(expr: &mut Expr) {
    let Some((left, op, query, any)) = parts(expr) else { return };
    match (op, any) {
        (BinaryOperator::Eq, true) => {
            *expr = Expr::InSubquery { expr: Box::new(take(left)), subquery: query.clone(), negated: false };
        }
        (BinaryOperator::NotEq, false) => {
            *expr = Expr::InSubquery { expr: Box::new(take(left)), subquery: query.clone(), negated: true };
        }
        _ => name_column(query),
    }
}

fn name_column(query: &mut Box<Query>) {
    if let SetExpr::Select(select) = query.body.as_mut()
        && let [SelectItem::UnnamedExpr(e) | SelectItem::ExprWithAlias { expr: e, .. }] = select.projection.as_mut_slice()
        && query.order_by.is_none()
    {
        select.projection = vec![SelectItem::ExprWithAlias { expr: take(e), alias: Ident::new(VALUE) }];
        return;
    }
    let values = values(query);
    **query = select_of(Expr::Identifier(Ident::new(VALUE)), values);
}

/// Rewrites one that is a value, and IN as a value.
pub(super) fn value(expr: &mut Expr) {
    if let Expr::InSubquery { expr: value, subquery, negated } = expr {
        let negated = *negated;
        let found = counted(take(value), subquery);
        *expr = if negated { not(found) } else { found };
        return;
    }
    let Some((left, op, query, any)) = parts(expr) else { return };
    let query = query.clone();
    let value = take(left);
    let compared = |function: &str| binary(value.clone(), op.clone(), aggregated(&query, |e| call(function, vec![e])));
    let both = |join: BinaryOperator| Expr::Nested(Box::new(binary(compared("min"), join, compared("max"))));
    use BinaryOperator::{And, Eq, Gt, GtEq, Lt, LtEq, NotEq, Or};
    *expr = match (&op, any) {
        (Eq, true) => counted(value, &query),
        (NotEq, false) => not(counted(value, &query)),
        (NotEq, true) => both(Or),
        (Gt | GtEq, true) => compared("min"),
        (_, true) => compared("max"),
        (_, false) => {
            let holds = match op {
                Gt | GtEq => compared("max"),
                Lt | LtEq => compared("min"),
                _ => both(And),
            };
            let empty = binary(aggregated(&query, |_| count_all()), Eq, number(0));
            let whole = binary(aggregated(&query, |_| count_all()), Eq, aggregated(&query, |e| call("count", vec![e])));
            Expr::Nested(Box::new(binary(empty, Or, Expr::Nested(Box::new(binary(holds, And, whole))))))
        }
    };
}

/// `count(*)`.
pub(super) fn count_all() -> Expr {
    let mut all = call("count", Vec::new());
    if let Expr::Function(function) = &mut all
        && let FunctionArguments::List(list) = &mut function.args
    {
        list.args.push(FunctionArg::Unnamed(FunctionArgExpr::Wildcard));
    }
    all
}

/// `(query) AS fg_values (fg_value)`.
fn values(query: &Query) -> TableFactor {
    let columns = vec![TableAliasColumnDef { name: Ident::new(VALUE), data_type: None }];
    let alias = TableAlias { explicit: true, name: Ident::new("fg_values"), columns, at: None };
    TableFactor::Derived { lateral: false, subquery: Box::new(query.clone()), alias: Some(alias), sample: None }
}

/// `(SELECT count(*) > 0 FROM (query) WHERE fg_value = value)`, or NULL where that is none and `value` or one of the query's
/// values is NULL.
fn counted(value: Expr, query: &Query) -> Expr {
    let found = found(value.clone(), query);
    let is = |condition, n| CaseWhen { condition, result: number(n) };
    let case = |conditions, n| Expr::Case {
        case_token: AttachedToken::empty(),
        end_token: AttachedToken::empty(),
        operand: None,
        conditions,
        else_result: Some(Box::new(number(n))),
    };
    // 0: no rows, 1: none that is NULL, 2: some.
    let nulls = |v| {
        let empty = binary(count_all(), BinaryOperator::Eq, number(0));
        let some = binary(call("count", vec![v]), BinaryOperator::Lt, count_all());
        case(vec![is(empty, 0), is(some, 2)], 1)
    };
    let most = case(vec![is(Expr::IsNull(Box::new(value)), 0)], 1);
    let unknown = binary(binary(aggregated(query, nulls), BinaryOperator::Gt, most), BinaryOperator::And, hole());
    Expr::Nested(Box::new(binary(found, BinaryOperator::Or, Expr::Nested(Box::new(unknown)))))
}

fn found(value: Expr, query: &Query) -> Expr {
    let mut outer = select_of(binary(count_all(), BinaryOperator::Gt, number(0)), values(query));
    if let SetExpr::Select(select) = outer.body.as_mut() {
        select.selection = Some(binary(Expr::Identifier(Ident::new(VALUE)), BinaryOperator::Eq, value));
    }
    Expr::Subquery(Box::new(outer))
}

/// `(SELECT f(fg_value) FROM (query))`.
fn aggregated(query: &Query, f: impl Fn(Expr) -> Expr) -> Expr {
    Expr::Subquery(Box::new(select_of(f(Expr::Identifier(Ident::new(VALUE))), values(query))))
}
