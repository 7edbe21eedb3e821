//! MySQL's special forms as calls and plain SQL.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use super::aggregates::has_aggregate;
use super::build::{binary, bytes_as_number, call, not, number, spell_out_mysql, string, take};
use super::cast::cast;
use super::mysql_functions;
use super::names::constraint;
use crate::error::{Error, Kind, Result};
use crate::sql::walk::{expressions, expressions_mut};
use crate::types::Family;

pub(super) fn query(query: &mut Query) {
    if let Some(LimitClause::OffsetCommaLimit { offset, limit }) = &mut query.limit_clause {
        query.limit_clause = Some(LimitClause::LimitOffset {
            limit: Some(take(limit)),
            offset: Some(Offset { value: take(offset), rows: OffsetRows::None }),
            limit_by: Vec::new(),
        });
    }
    // ORDER BY NULL: no order.
    if let Some(OrderBy { kind: OrderByKind::Expressions(items), .. }) = &mut query.order_by {
        items.retain(|item| !matches!(&item.expr, Expr::Value(v) if v.value == Value::Null));
        if items.is_empty() {
            query.order_by = None;
        }
    }
    set_expr(&mut query.body);
}

fn set_expr(body: &mut SetExpr) {
    match body {
        // VALUES ROW(1, 2), ROW(3, 4)
        SetExpr::Values(values) => values.explicit_row = false,
        SetExpr::SetOperation { left, right, .. } => {
            set_expr(left);
            set_expr(right);
        }
        _ => {}
    }
}

pub(super) fn select(select: &mut Select) {
    select.select_modifiers = None;
    if let [table] = select.from.as_slice()
        && table.joins.is_empty()
        && let TableFactor::Table { name, .. } = &table.relation
        && name.0.len() == 1
        && name.to_string().eq_ignore_ascii_case("dual")
    {
        select.from.clear();
    }
    having_as_where(select);
    for condition in [&mut select.selection, &mut select.having].into_iter().flatten() {
        make_truth(condition);
    }
    for join in select.from.iter_mut().flat_map(|t| &mut t.joins) {
        if let JoinOperator::StraightJoin(on) = &mut join.join_operator {
            join.join_operator = JoinOperator::Inner(std::mem::replace(on, JoinConstraint::None));
        }
        // JOIN without a condition is a cross join; LEFT JOIN must have one.
        if let JoinOperator::Join(JoinConstraint::None) | JoinOperator::Inner(JoinConstraint::None) = &join.join_operator {
            join.join_operator = JoinOperator::CrossJoin(JoinConstraint::None);
        }
        if let JoinOperator::CrossJoin(on @ (JoinConstraint::On(_) | JoinConstraint::Using(_))) = &mut join.join_operator {
            join.join_operator = JoinOperator::Inner(std::mem::replace(on, JoinConstraint::None));
        }
        if let Some(JoinConstraint::On(condition)) = constraint(&mut join.join_operator) {
            make_truth(condition);
        }
    }
    // GROUP BY a WITH ROLLUP
    if let GroupByExpr::Expressions(items, modifiers) = &mut select.group_by
        && modifiers.iter().any(|m| matches!(m, GroupByWithModifier::Rollup))
    {
        let items_in = std::mem::take(items);
        items.push(Expr::Rollup(items_in.into_iter().map(|e| vec![e]).collect()));
        modifiers.clear();
    }
}

/// `SELECT id FROM t HAVING id > 1`: without groups and aggregates HAVING is a WHERE that knows the aliases.
fn having_as_where(select: &mut Select) {
    let grouped = !matches!(&select.group_by, GroupByExpr::Expressions(items, _) if items.is_empty());
    let Some(having) = &select.having else { return };
    if grouped || has_aggregate(having) || select.projection.iter().any(has_aggregate) {
        return;
    }
    let Some(mut condition) = select.having.take() else { return };
    let aliases: Vec<(String, Expr)> = select
        .projection
        .iter()
        .filter_map(|item| match item {
            SelectItem::ExprWithAlias { expr, alias } => Some((crate::types::fold(&alias.value), expr.clone())),
            _ => None,
        })
        .collect();
    let _ = expressions_mut(&mut condition, |e| {
        if let Expr::Identifier(name) = e
            && let Some((_, value)) = aliases.iter().find(|(alias, _)| *alias == crate::types::fold(&name.value))
            && value != e
        {
            *e = Expr::Nested(Box::new(value.clone()));
        }
        ControlFlow::<()>::Continue(())
    });
    make_truth(&mut condition);
    select.selection = Some(match select.selection.take() {
        Some(mut selection) => {
            make_truth(&mut selection);
            binary(Expr::Nested(Box::new(selection)), BinaryOperator::And, Expr::Nested(Box::new(condition)))
        }
        None => condition,
    });
}

/// A condition in MySQL is any value: what is not 0 is true.
pub(super) fn make_truth(expr: &mut Expr) {
    bytes_as_number(expr);
    if !is_truth(expr) {
        *expr = call("fg_truth", vec![take(expr)]);
    }
}

/// Does an expression give the same each time, so that it may be written several times?
fn repeatable(expr: &Expr) -> bool {
    expressions(expr, |e| match e {
        Expr::Function(f) if ["rand", "uuid", "sleep"].contains(&f.name.to_string().to_lowercase().as_str()) => ControlFlow::Break(()),
        Expr::Subquery(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_continue()
}

fn is_truth(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { op, .. } => matches!(
            op,
            BinaryOperator::Eq
                | BinaryOperator::NotEq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq
                | BinaryOperator::And
                | BinaryOperator::Spaceship
        ),
        Expr::Nested(inner) => is_truth(inner),
        Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::BangNot, .. } => true,
        Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::InList { .. }
        | Expr::InSubquery { .. }
        | Expr::Between { .. }
        | Expr::Like { .. }
        | Expr::ILike { .. }
        | Expr::RLike { .. }
        | Expr::Exists { .. }
        | Expr::AnyOp { .. }
        | Expr::AllOp { .. }
        | Expr::IsNotDistinctFrom(..)
        | Expr::IsDistinctFrom(..) => true,
        Expr::Value(v) => matches!(v.value, Value::Boolean(_)),
        _ => false,
    }
}

/// Rewrites one expression whose parts are rewritten already.
pub(super) fn expr(e: &mut Expr, pipes_as_concat: bool) -> Result<()> {
    spell_out_mysql(e);
    match e {
        Expr::BinaryOp { left, op, right } => {
            let op = op.clone();
            yes_or_no(left, right);
            yes_or_no(right, left);
            if let Some(new) = operator(left, op, right, pipes_as_concat)? {
                *e = new;
            }
        }
        Expr::UnaryOp { op, expr: inner } => match op {
            UnaryOperator::Not | UnaryOperator::BangNot => {
                let mut inner = take(inner);
                make_truth(&mut inner);
                *e = not(inner);
            }
            UnaryOperator::Plus => *e = take(inner),
            UnaryOperator::BitwiseNot => {
                bytes_as_number(inner);
                *e = call("fg_bit_not", vec![take(inner)]);
            }
            UnaryOperator::Minus if !matches!(inner.as_ref(), Expr::Value(v) if matches!(v.value, Value::Number(..))) => {
                bytes_as_number(inner);
                *e = call("fg_neg", vec![take(inner)]);
            }
            _ => {}
        },
        // The default collation compares without case.
        Expr::Like { negated, any, expr: value, pattern, escape_char } => {
            *e = Expr::ILike {
                negated: *negated,
                any: *any,
                expr: Box::new(call("fg_text", vec![take(value)])),
                pattern: Box::new(call("fg_text", vec![take(pattern)])),
                escape_char: escape_char.take(),
            };
        }
        Expr::RLike { negated, expr: value, pattern, .. } => {
            let matched = call("fg_regexp", vec![take(value), take(pattern)]);
            *e = if *negated { not(matched) } else { matched };
        }
        Expr::IsTrue(inner) | Expr::IsNotTrue(inner) | Expr::IsFalse(inner) | Expr::IsNotFalse(inner) => make_truth(inner),
        Expr::Case { operand: None, conditions, .. } => conditions.iter_mut().for_each(|c| make_truth(&mut c.condition)),
        // Each WHEN is compared by the types of the two sides, as `=` does it.
        Expr::Case { operand: operand @ Some(_), conditions, .. } if operand.as_deref().is_some_and(repeatable) => {
            if let Some(value) = operand.take() {
                for when in conditions {
                    when.condition = binary(value.as_ref().clone(), BinaryOperator::Eq, take(&mut when.condition));
                }
            }
        }
        Expr::Cast { expr: value, data_type, .. } => *e = cast(take(value), data_type, Family::MySql)?,
        Expr::Convert { expr: value, data_type, .. } => {
            *e = match data_type {
                Some(ty) => cast(take(value), ty, Family::MySql)?,
                // CONVERT(x USING utf8mb4)
                None => call("fg_text", vec![take(value)]),
            };
        }
        Expr::TypedString(literal) => {
            let text = literal.value.value.clone().into_string().unwrap_or_default();
            // It has the digits that it is written with.
            let ty = match &literal.data_type {
                DataType::Time(None, zone) => DataType::Time(Some(6), *zone),
                other => other.clone(),
            };
            *e = cast(string(text), &ty, Family::MySql)?;
        }
        Expr::Collate { expr: value, .. } => *e = take(value),
        Expr::Prefixed { value, .. } => *e = take(value),
        Expr::Position { expr: needle, r#in } => *e = call("fg_locate", vec![take(needle), take(r#in)]),
        Expr::Substring { expr: value, substring_from, substring_for, .. } => {
            let mut args = vec![take(value), substring_from.as_mut().map_or_else(|| number(1), |f| take(f))];
            args.extend(substring_for.as_mut().map(|f| take(f)));
            *e = call("substring", args);
        }
        Expr::Trim { trim_where, trim_what, expr: value, .. } => {
            let mode = trim_where.as_ref().map_or("both".to_owned(), |w| w.to_string().to_lowercase());
            let what = trim_what.as_mut().map_or_else(|| string(" "), |w| take(w));
            *e = call("fg_trim", vec![string(mode), take(value), what]);
        }
        Expr::Ceil { expr: value, .. } => {
            bytes_as_number(value);
            *e = call("ceil", vec![take(value)]);
        }
        Expr::Floor { expr: value, .. } => {
            bytes_as_number(value);
            *e = call("floor", vec![take(value)]);
        }
        Expr::Extract { field, expr: value, .. } => *e = call("fg_extract", vec![string(field.to_string().to_lowercase()), take(value)]),
        Expr::Value(v) => {
            // 1e3 is a double, not a decimal.
            if let Value::Number(digits, _) = &v.value
                && digits.contains(['e', 'E'])
            {
                *e = call("fg_float", vec![string(digits.clone())]);
            }
        }
        Expr::Function(function) => mysql_functions::rewrite(function).map(|new| {
            if let Some(new) = new {
                *e = new;
            }
        })?,
        Expr::MatchAgainst { .. } => return Err(Error::unsupported("full-text search (MATCH .. AGAINST)")),
        _ => {}
    }
    Ok(())
}

fn operator(left: &mut Expr, op: BinaryOperator, right: &mut Expr, pipes_as_concat: bool) -> Result<Option<Expr>> {
    let two = |name: &str, left: &mut Expr, right: &mut Expr| Ok(Some(call(name, vec![take(left), take(right)])));
    let bits = |name: &str, left: &mut Expr, right: &mut Expr| {
        bytes_as_number(left);
        bytes_as_number(right);
        two(name, left, right)
    };
    if matches!(op, BinaryOperator::And | BinaryOperator::Or | BinaryOperator::Xor) {
        bytes_as_number(left);
        bytes_as_number(right);
    }
    match op {
        BinaryOperator::StringConcat if pipes_as_concat => two("concat", left, right),
        BinaryOperator::StringConcat => Ok(Some(logical(left, BinaryOperator::Or, right))),
        BinaryOperator::PGOverlap => Ok(Some(logical(left, BinaryOperator::And, right))),
        BinaryOperator::Plus | BinaryOperator::Minus => {
            if let Expr::Interval(interval) = right {
                let (amount, unit) = amount_of(interval)?;
                return Ok(Some(date_add(take(left), amount, unit, op == BinaryOperator::Minus)));
            }
            match left {
                Expr::Interval(interval) if op == BinaryOperator::Plus => {
                    let (amount, unit) = amount_of(interval)?;
                    Ok(Some(date_add(take(right), amount, unit, false)))
                }
                _ => Ok(None),
            }
        }
        BinaryOperator::BitwiseOr => bits("fg_bit_or", left, right),
        BinaryOperator::BitwiseAnd => bits("fg_bit_and", left, right),
        BinaryOperator::BitwiseXor | BinaryOperator::PGBitwiseXor => bits("fg_bit_xor", left, right),
        BinaryOperator::PGBitwiseShiftLeft => bits("fg_shift_left", left, right),
        BinaryOperator::PGBitwiseShiftRight => bits("fg_shift_right", left, right),
        BinaryOperator::Xor => two("fg_xor", left, right),
        BinaryOperator::Regexp => two("fg_regexp", left, right),
        BinaryOperator::Spaceship => Ok(Some(Expr::IsNotDistinctFrom(Box::new(take(left)), Box::new(take(right))))),
        BinaryOperator::Arrow => two("json_extract", left, right),
        BinaryOperator::LongArrow => two("fg_json_extract_text", left, right),
        _ => Ok(None),
    }
}

/// `IS_NULLABLE = 'yes'`: information_schema compares without case in MySQL, and drivers rely on it here.
fn yes_or_no(column: &Expr, literal: &mut Expr) {
    let name = match column {
        Expr::Identifier(name) => name,
        Expr::CompoundIdentifier(parts) => match parts.last() {
            Some(name) => name,
            None => return,
        },
        _ => return,
    };
    if name.value.eq_ignore_ascii_case("is_nullable")
        && let Some(text) = super::build::as_string(literal)
    {
        *literal = string(text.to_ascii_uppercase());
    }
}

fn logical(left: &mut Expr, op: BinaryOperator, right: &mut Expr) -> Expr {
    Expr::Nested(Box::new(binary(take(left), op, take(right))))
}

/// The amount and the unit of `INTERVAL n unit`.
pub(super) fn amount_of(interval: &mut Interval) -> Result<(Expr, String)> {
    let unit = match (&interval.leading_field, &interval.last_field) {
        (Some(first), None) => first.to_string().to_lowercase(),
        (Some(first), Some(last)) => format!("{first}_{last}").to_lowercase(),
        _ => return Err(Error::new(Kind::Syntax, "an INTERVAL needs a unit: INTERVAL 1 DAY")),
    };
    Ok((take(&mut interval.value), unit))
}

/// `value + INTERVAL amount unit`.
pub(super) fn date_add(value: Expr, amount: Expr, unit: String, minus: bool) -> Expr {
    let amount = if minus { negative(amount) } else { amount };
    call("fg_date_add", vec![value, amount, string(unit)])
}

/// The opposite of an amount; a compound text (`'1:30'`) gets a sign in front.
fn negative(amount: Expr) -> Expr {
    match super::build::as_string(&amount) {
        Some(text) => string(match text.trim().strip_prefix('-') {
            Some(rest) => rest.to_owned(),
            None => format!("-{}", text.trim()),
        }),
        None => binary(number(0), BinaryOperator::Minus, Expr::Nested(Box::new(amount))),
    }
}
