//! Turns what PostgreSQL clients write over pg_catalog into what DataFusion plans.
//!
//! It changes form, not meaning: prefixes of built-in functions go, casts to types that name objects become functions,
//! operators and subqueries get the spelling that the planner knows. What it does not know it leaves alone.

mod build;
mod casts;
mod correlated;
mod labels;
mod subqueries;
mod tables;

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, Function, FunctionArguments, Ident, ObjectName, Query, SelectItem, SetExpr, Statement,
    Subscript, TableFactor, Value, ValueWithSpan, VisitorMut,
};

use self::build::{arguments, call, int, is_session_keyword, last_part, null, value};
use crate::error::Result;
use crate::sql::walk::walk_mut;

/// Rewrites a statement of a PostgreSQL session. Also good for statements that touch no catalog: what it changes there
/// (`current_user`, `x::oid`, `OPERATOR(pg_catalog.=)`) means the same afterwards.
pub fn rewrite_postgres_catalog(statement: &mut Statement) -> Result<()> {
    let _ = walk_mut(statement, &mut Rewrite { depth: 0 });
    Ok(())
}

/// Makes the aliases of the outermost select list different, which the engine asks for and PostgreSQL does not. For
/// those who have taken the labels before; inner lists are made different by [`rewrite_postgres_catalog`].
pub fn distinct_aliases(statement: &mut Statement) {
    if let Statement::Query(query) = statement {
        labels::distinct(query.body.as_mut());
    }
}

struct Rewrite {
    /// How many queries lie around: labels of the outermost one are the client's.
    depth: usize,
}

/// Arrays of type int2vector and oidvector, which count from zero (`i_indoption`: what pgjdbc calls one in a subquery).
const VECTORS: [&str; 7] = ["indkey", "indclass", "indcollation", "indoption", "proargtypes", "partattrs", "i_indoption"];

impl VisitorMut for Rewrite {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        labels::name_items(query.body.as_mut());
        if self.depth > 0 {
            labels::distinct(query.body.as_mut());
        } else {
            vectors_as_text(query);
        }
        self.depth += 1;
        tables::table_oids(query.body.as_mut());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.depth -= 1;
        subqueries::drop_locks(query);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { name, args: Some(_), .. } | TableFactor::Function { name, .. } = factor {
            strip_prefix(name);
        }
        tables::series(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        // Before the operands are visited: both sides of a comparison are looked at as they were written.
        casts::object_comparison(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => {
                strip_prefix(&mut function.name);
                if let Some(new) = rewrite_function(function) {
                    *expr = new;
                }
            }
            Expr::Identifier(ident) if ident.quote_style.is_none() && is_session_keyword(&ident.value) => {
                *expr = call(&ident.value.to_ascii_lowercase(), vec![]);
            }
            Expr::BinaryOp { op, left, right } => {
                if let BinaryOperator::PGCustomBinaryOperator(parts) = op
                    && let Some(plain) = parts.last().and_then(|p| plain_operator(p))
                {
                    *op = plain;
                }
                array_literal_beside_column(left, right);
                array_literal_beside_column(right, left);
                if *op == BinaryOperator::StringConcat && (is_array(left) || is_array(right)) {
                    let sides = vec![std::mem::replace(left.as_mut(), null()), std::mem::replace(right.as_mut(), null())];
                    *expr = call("array_concat", sides);
                }
            }
            Expr::Collate { expr: inner, .. } => *expr = std::mem::replace(inner, null()),
            Expr::Cast { .. } => casts::rewrite(expr),
            Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
                if let Some(list) = array_items(right) {
                    *expr = Expr::InList { expr: std::mem::replace(left, Box::new(null())), list, negated: false };
                }
            }
            Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } => {
                if let Some(list) = array_items(right) {
                    *expr = Expr::InList { expr: std::mem::replace(left, Box::new(null())), list, negated: true };
                }
            }
            Expr::CompoundFieldAccess { root, access_chain } => {
                count_from_one(root, access_chain);
                for access in access_chain {
                    // (record).field: the engine wants the name as text.
                    if let (Expr::Nested(_), AccessExpr::Dot(Expr::Identifier(field))) = (root.as_ref(), &*access) {
                        *access = AccessExpr::Dot(value(Value::SingleQuotedString(field.value.to_lowercase())));
                    }
                }
            }
            Expr::Subquery(query) => {
                if let Some(new) = subqueries::scalar(query) {
                    *expr = new;
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

fn strip_prefix(name: &mut ObjectName) {
    let is_ours = |i: &Ident| i.value.eq_ignore_ascii_case("pg_catalog") || i.value.eq_ignore_ascii_case("information_schema");
    if name.0.len() == 2 && name.0[0].as_ident().is_some_and(is_ours) {
        name.0.remove(0);
    }
}

fn rewrite_function(function: &mut Function) -> Option<Expr> {
    let name = last_part(&function.name);
    if matches!(function.args, FunctionArguments::None) && is_session_keyword(&name) {
        return Some(call(&name, vec![]));
    }
    if name == "array"
        && let FunctionArguments::Subquery(query) = &mut function.args
    {
        return Some(subqueries::array(query));
    }
    let args = arguments(function)?;
    match (name.as_str(), args.as_slice()) {
        ("_pg_expandarray", [list]) => Some(call("unnest", vec![call("fg_expandarray", vec![list.clone()])])),
        ("generate_subscripts", [list, ..]) => {
            let first = if is_vector(list) { 0 } else { 1 };
            Some(call("unnest", vec![call("fg_subscripts", vec![list.clone(), int(first)])]))
        }
        // format_type and its kin take names too; the engine wants the argument as it comes.
        ("pg_get_expr", [tree, ..]) => Some(call("pg_get_expr", vec![tree.clone()])),
        _ => None,
    }
}

fn plain_operator(symbol: &str) -> Option<BinaryOperator> {
    Some(match symbol {
        "~" => BinaryOperator::PGRegexMatch,
        "~*" => BinaryOperator::PGRegexIMatch,
        "!~" => BinaryOperator::PGRegexNotMatch,
        "!~*" => BinaryOperator::PGRegexNotIMatch,
        "=" => BinaryOperator::Eq,
        "<>" | "!=" => BinaryOperator::NotEq,
        "<" => BinaryOperator::Lt,
        "<=" => BinaryOperator::LtEq,
        ">" => BinaryOperator::Gt,
        ">=" => BinaryOperator::GtEq,
        "+" => BinaryOperator::Plus,
        "-" => BinaryOperator::Minus,
        "||" => BinaryOperator::StringConcat,
        "~~" => BinaryOperator::PGLikeMatch,
        "~~*" => BinaryOperator::PGILikeMatch,
        "!~~" => BinaryOperator::PGNotLikeMatch,
        "!~~*" => BinaryOperator::PGNotILikeMatch,
        _ => return None,
    })
}

/// The items of `ARRAY[..]` or `'{..}'`, casts of the whole left out.
fn array_items(expr: &Expr) -> Option<Vec<Expr>> {
    match expr {
        Expr::Array(array) => Some(array.elem.clone()),
        Expr::Nested(inner) => array_items(inner),
        Expr::Cast { expr: inner, data_type: DataType::Array(_), .. } => array_items(inner),
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) => literal_items(text),
        _ => None,
    }
}

/// `{a,b}` as literals; None for what needs a real array parser.
fn literal_items(text: &str) -> Option<Vec<Expr>> {
    let inner = text.trim().strip_prefix('{')?.strip_suffix('}')?;
    if inner.contains(['{', '"', '\\']) {
        return None;
    }
    let items = inner.split(',').map(str::trim).filter(|i| !i.is_empty());
    Some(items.map(|i| i.parse().map_or_else(|_| value(Value::SingleQuotedString(i.to_owned())), int)).collect())
}

/// `polroles = '{0}'`: the literal is an array.
fn array_literal_beside_column(column: &Expr, literal: &mut Expr) {
    let is_column = matches!(column, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = &*literal else { return };
    let is_array = text.len() > 2 && text.starts_with('{') && text.ends_with('}');
    if let Some(items) = literal_items(text).filter(|_| is_column && is_array) {
        *literal = call("make_array", items);
    }
}

/// An array that this rewriting made of `ARRAY(SELECT ..)`.
fn is_array(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(f) if last_part(&f.name) == "fg_array_or_empty")
}

fn is_vector(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Identifier(ident) => &ident.value,
        Expr::CompoundIdentifier(parts) => match parts.last() {
            Some(ident) => &ident.value,
            None => return false,
        },
        Expr::Nested(inner) => return is_vector(inner),
        _ => return false,
    };
    VECTORS.iter().any(|v| v.eq_ignore_ascii_case(name))
}

/// A client sees a vector as its text: `1 2`, not `{1,2}`.
fn vectors_as_text(query: &mut Query) {
    let SetExpr::Select(select) = query.body.as_mut() else { return };
    for item in &mut select.projection {
        let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else { continue };
        let name = match expr {
            Expr::Identifier(ident) => ident.value.clone(),
            Expr::CompoundIdentifier(parts) => parts.last().map(|p| p.value.clone()).unwrap_or_default(),
            _ => continue,
        };
        if !is_vector(expr) {
            continue;
        }
        let text = call("array_to_string", vec![expr.clone(), value(Value::SingleQuotedString(" ".to_owned()))]);
        match item {
            SelectItem::ExprWithAlias { expr, .. } => *expr = text,
            _ => *item = SelectItem::ExprWithAlias { expr: text, alias: Ident::with_quote('"', name) },
        }
    }
}

/// `indkey[0]` is the first item in PostgreSQL, `[1]` here. A qualified column is a chain too: `i`, `.indkey`, `[0]`.
fn count_from_one(root: &Expr, chain: &mut [AccessExpr]) {
    let mut counts_from_zero = is_vector(root);
    for access in chain {
        match access {
            AccessExpr::Dot(column) => counts_from_zero = is_vector(column),
            AccessExpr::Subscript(Subscript::Index { index }) if counts_from_zero => {
                let old = std::mem::replace(index, null());
                *index = Expr::BinaryOp { left: Box::new(old), op: BinaryOperator::Plus, right: Box::new(int(1)) };
            }
            AccessExpr::Subscript(_) => {}
        }
    }
}
