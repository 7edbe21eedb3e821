//! Labels of result columns, as PostgreSQL gives them: a rewritten expression has another text than the client's.

use datafusion::sql::sqlparser::ast::{AccessExpr, Expr, Ident, Select, SelectItem, SetExpr};

use super::build::{is_session_keyword, last_part};
use super::casts;

/// The select list that gives a query its labels.
fn leftmost(body: &mut SetExpr) -> Option<&mut Select> {
    match body {
        SetExpr::Select(select) => Some(select),
        SetExpr::Query(query) => leftmost(query.body.as_mut()),
        SetExpr::SetOperation { left, .. } => leftmost(left),
        _ => None,
    }
}

/// Gives every unnamed expression its label as an alias.
pub(super) fn name_items(body: &mut SetExpr) {
    if let SetExpr::SetOperation { left, right, .. } = body {
        name_items(left);
        name_items(right);
        distinct(right);
        return;
    }
    let Some(select) = leftmost(body) else { return };
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) = item
            && let Some(label) = postgres_label(expr)
        {
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias: Ident::with_quote('"', label) };
        }
    }
}

/// Makes aliases that stand twice different: a blank more for each.
pub(super) fn distinct(body: &mut SetExpr) {
    let Some(select) = leftmost(body) else { return };
    let mut seen: Vec<String> = Vec::new();
    for item in &mut select.projection {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => {
                while seen.contains(&alias.value) {
                    alias.value.push(' ');
                    alias.quote_style = Some('"');
                }
                seen.push(alias.value.clone());
            }
            SelectItem::UnnamedExpr(Expr::Identifier(column)) => seen.push(column.value.clone()),
            _ => {}
        }
    }
}

/// FigureColname of PostgreSQL's parser (parse_target.c): a column's, function's or type's name.
fn postgres_label(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) if is_session_keyword(&ident.value) && ident.quote_style.is_none() => {
            Some(ident.value.to_ascii_lowercase())
        }
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) => None,
        Expr::Function(f) => Some(last_part(&f.name)),
        // A name of the operand's own wins over the type's: a column's or a function's, not that of another cast.
        Expr::Cast { expr: inner, data_type, .. } => Some(own_name(inner).unwrap_or_else(|| casts::type_label(data_type))),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => match inner.as_ref() {
            Expr::Identifier(ident) => Some(ident.value.clone()),
            Expr::CompoundIdentifier(parts) => Some(parts.last()?.value.clone()),
            other => postgres_label(other),
        },
        Expr::Case { else_result, .. } => match else_result.as_deref() {
            Some(Expr::Identifier(ident)) => Some(ident.value.clone()),
            Some(Expr::CompoundIdentifier(parts)) => Some(parts.last()?.value.clone()),
            _ => Some("case".into()),
        },
        Expr::Exists { .. } => Some("exists".into()),
        Expr::Subquery(query) => match query.body.as_ref() {
            SetExpr::Select(select) => match select.projection.first()? {
                SelectItem::ExprWithAlias { alias, .. } => Some(alias.value.clone()),
                SelectItem::UnnamedExpr(Expr::Identifier(ident)) => Some(ident.value.clone()),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => Some(parts.last()?.value.clone()),
                SelectItem::UnnamedExpr(e) => postgres_label(e),
                _ => None,
            },
            _ => None,
        },
        Expr::CompoundFieldAccess { root, access_chain } => match access_chain.last() {
            Some(AccessExpr::Dot(Expr::Identifier(ident))) => Some(ident.value.clone()),
            _ => match root.as_ref() {
                Expr::Identifier(ident) => Some(ident.value.clone()),
                Expr::CompoundIdentifier(parts) => Some(parts.last()?.value.clone()),
                other => postgres_label(other),
            },
        },
        Expr::Array(_) => Some("array".into()),
        other => Some(crate::engine::dialect::postgres_label(other).unwrap_or_else(|| "?column?".into())),
    }
}

/// The label of an expression that names itself, casts seen through.
fn own_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(column) => Some(column.value.clone()),
        Expr::CompoundIdentifier(parts) => Some(parts.last()?.value.clone()),
        Expr::Cast { expr: inner, .. } | Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => own_name(inner),
        Expr::Case { .. } => None,
        other => postgres_label(other).filter(|label| label != "?column?"),
    }
}
