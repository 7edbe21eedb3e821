//! Labels of a result's columns, as the client's own database gives them, and a select list that DataFusion takes.

use std::collections::HashSet;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::*;

use super::build::take;
use crate::sql::Dialect;
use crate::sql::scan::{Kind, Piece, Scan};
use crate::sql::walk::expressions;
use crate::types::{Family, fold};

/// The label of an item of the select list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// One column with this label.
    Fixed(String),
    /// `*` or `q.*`: the columns of all tables, or of those with this (folded) qualifier, under their declared names.
    Wildcard(Option<String>),
}

/// MySQL cuts longer labels.
const MYSQL_LONGEST: usize = 256;

/// The labels of a query's select list. Call it before the rewrite; `text` is the statement as the client wrote it (the
/// tree's Display stands in for what cannot be found there).
pub fn label_items(query: &Query, dialect: &Dialect, text: &str) -> Vec<Label> {
    let family = dialect.family;
    match first_select(&query.body) {
        Body::Select(select) => {
            let typed = if dialect.is_mysql() { typed_items(dialect, text, query.with.is_some(), select.projection.len()) } else { None };
            select.projection.iter().enumerate().map(|(i, item)| label(item, family, typed.as_ref().map(|t| t[i].as_str()))).collect()
        }
        Body::Values(width) => (0..width)
            .map(|i| Label::Fixed(if family == Family::MySql { format!("column_{i}") } else { format!("column{}", i + 1) }))
            .collect(),
        Body::Other => vec![Label::Wildcard(None)],
    }
}

enum Body<'a> {
    Select(&'a Select),
    Values(usize),
    Other,
}

/// A union is labelled by its first part.
fn first_select(body: &SetExpr) -> Body<'_> {
    match body {
        SetExpr::Select(select) => Body::Select(select),
        SetExpr::Query(query) => first_select(&query.body),
        SetExpr::SetOperation { left, .. } => first_select(left),
        SetExpr::Values(values) => Body::Values(values.rows.first().map_or(0, |row| row.content.len())),
        _ => Body::Other,
    }
}

fn label(item: &SelectItem, family: Family, typed: Option<&str>) -> Label {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Label::Fixed(ident(alias, family)),
        SelectItem::ExprWithAliases { aliases, .. } => Label::Fixed(aliases.first().map(|a| ident(a, family)).unwrap_or_default()),
        SelectItem::Wildcard(_) => Label::Wildcard(None),
        SelectItem::QualifiedWildcard(kind, _) => Label::Wildcard(match kind {
            SelectItemQualifiedWildcardKind::ObjectName(name) => name.0.last().and_then(|p| p.as_ident()).map(|i| fold(&i.value)),
            SelectItemQualifiedWildcardKind::Expr(_) => None,
        }),
        SelectItem::UnnamedExpr(expr) => Label::Fixed(match family {
            Family::MySql => mysql_label(expr, typed),
            Family::Postgres => postgres_label(expr).unwrap_or_else(|| "?column?".to_owned()),
        }),
    }
}

/// PostgreSQL folds what is not quoted.
fn ident(ident: &Ident, family: Family) -> String {
    if family == Family::Postgres && ident.quote_style.is_none() { fold(&ident.value) } else { ident.value.clone() }
}

pub(super) fn mysql_label(expr: &Expr, typed: Option<&str>) -> String {
    let text = match expr {
        Expr::Identifier(name) => name.value.clone(),
        Expr::CompoundIdentifier(names) => names.last().map(|n| n.value.clone()).unwrap_or_default(),
        Expr::Value(v) => match &v.value {
            Value::SingleQuotedString(s) | Value::DoubleQuotedString(s) | Value::NationalStringLiteral(s) => s.clone(),
            _ => typed.map_or_else(|| expr.to_string(), str::to_owned),
        },
        _ => typed.map_or_else(|| expr.to_string(), str::to_owned),
    };
    match text.char_indices().nth(MYSQL_LONGEST) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// PostgreSQL's FigureColname (parse_target.c): None is `?column?`.
pub fn postgres_label(expr: &Expr) -> Option<String> {
    let fixed = |name: &str| Some(name.to_owned());
    match expr {
        Expr::Identifier(name) => Some(ident(name, Family::Postgres)),
        Expr::CompoundIdentifier(names) => names.last().map(|n| ident(n, Family::Postgres)),
        Expr::CompoundFieldAccess { root, .. } => postgres_label(root),
        Expr::Nested(inner) | Expr::Collate { expr: inner, .. } => postgres_label(inner),
        Expr::Function(f) => f.name.0.last().and_then(|p| p.as_ident()).map(|i| ident(i, Family::Postgres)),
        Expr::Cast { expr: inner, data_type, .. } => postgres_label(inner).or_else(|| Some(type_label(data_type))),
        Expr::TypedString(literal) => Some(type_label(&literal.data_type)),
        Expr::Case { else_result, .. } => else_result.as_deref().and_then(column_label).or_else(|| fixed("case")),
        Expr::Extract { .. } => fixed("extract"),
        Expr::Substring { .. } => fixed("substring"),
        Expr::Position { .. } => fixed("position"),
        Expr::Overlay { .. } => fixed("overlay"),
        Expr::Ceil { .. } => fixed("ceil"),
        Expr::Floor { .. } => fixed("floor"),
        Expr::Trim { trim_where, .. } => fixed(match trim_where {
            Some(TrimWhereField::Leading) => "ltrim",
            Some(TrimWhereField::Trailing) => "rtrim",
            _ => "btrim",
        }),
        Expr::AtTimeZone { .. } => fixed("timezone"),
        Expr::Array(_) => fixed("array"),
        Expr::Tuple(_) => fixed("row"),
        Expr::Exists { .. } => fixed("exists"),
        Expr::Interval(_) => fixed("interval"),
        Expr::Value(v) if matches!(v.value, Value::Boolean(_)) => fixed("bool"),
        Expr::Subquery(query) => match label_items(query, &Dialect::POSTGRES, "").into_iter().next() {
            Some(Label::Fixed(name)) if name != "?column?" => Some(name),
            _ => None,
        },
        _ => None,
    }
}

fn column_label(expr: &Expr) -> Option<String> {
    matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Function(_)).then(|| postgres_label(expr)).flatten()
}

/// The internal name of a type.
fn type_label(ty: &DataType) -> String {
    let text = ty.to_string().to_lowercase();
    let base = text.split('(').next().unwrap_or_default().trim();
    match base {
        "int" | "integer" => "int4",
        "bigint" => "int8",
        "smallint" => "int2",
        "boolean" => "bool",
        "real" => "float4",
        "double precision" | "float" => "float8",
        "decimal" => "numeric",
        "character varying" => "varchar",
        "character" | "char" => "bpchar",
        "timestamp with time zone" => "timestamptz",
        other => other,
    }
    .to_owned()
}

/// The items of the first select list as they were typed; None when they cannot be told apart.
fn typed_items(dialect: &Dialect, text: &str, with: bool, count: usize) -> Option<Vec<String>> {
    let pieces: Vec<Piece> = Scan::new(dialect, text.as_bytes()).filter(|piece| !piece.is_blank()).collect();
    let word = |piece: &Piece| if piece.kind == Kind::Word { text.get(piece.range()).unwrap_or_default() } else { "" };
    let (mut depth, mut begin) = (0i32, None);
    for (i, piece) in pieces.iter().enumerate() {
        match piece.kind {
            Kind::Sign(b'(') => depth += 1,
            Kind::Sign(b')') => depth -= 1,
            _ if word(piece).eq_ignore_ascii_case("SELECT") && (depth == 0 || !with) => {
                begin = Some(i + 1);
                break;
            }
            _ => {}
        }
    }
    // Where each item begins and ends.
    let mut items: Vec<Option<(usize, usize)>> = vec![None];
    let (mut depth, mut leading) = (0, true);
    let mut before = "";
    for piece in &pieces[begin?..] {
        let word = word(piece);
        if leading && is_modifier(word) {
            continue;
        }
        leading = false;
        match piece.kind {
            Kind::Sign(b'(' | b'[') => depth += 1,
            Kind::Sign(b')' | b']') => {
                depth -= 1;
                if depth < 0 {
                    break;
                }
            }
            Kind::Sign(b';') => break,
            Kind::Sign(b',') if depth == 0 => {
                items.push(None);
                continue;
            }
            // `IS DISTINCT FROM` does not end the list.
            _ if depth == 0 && ends_list(word) && !(word.eq_ignore_ascii_case("FROM") && before.eq_ignore_ascii_case("DISTINCT")) => {
                break;
            }
            _ => {}
        }
        before = word;
        let item = items.last_mut()?;
        *item = Some((item.map_or(piece.start, |(start, _)| start), piece.end));
    }
    if items.len() != count {
        return None;
    }
    items.into_iter().map(|item| item.and_then(|(start, end)| text.get(start..end)).map(str::to_owned)).collect()
}

fn is_modifier(word: &str) -> bool {
    const MODIFIERS: [&str; 10] = [
        "ALL",
        "DISTINCT",
        "DISTINCTROW",
        "HIGH_PRIORITY",
        "STRAIGHT_JOIN",
        "SQL_SMALL_RESULT",
        "SQL_BIG_RESULT",
        "SQL_BUFFER_RESULT",
        "SQL_NO_CACHE",
        "SQL_CALC_FOUND_ROWS",
    ];
    MODIFIERS.iter().any(|m| m.eq_ignore_ascii_case(word))
}

fn ends_list(word: &str) -> bool {
    const ENDS: [&str; 12] =
        ["FROM", "WHERE", "GROUP", "HAVING", "ORDER", "LIMIT", "UNION", "EXCEPT", "INTERSECT", "INTO", "WINDOW", "FOR"];
    ENDS.iter().any(|end| end.eq_ignore_ascii_case(word))
}

/// PostgreSQL's whole numbers are integer, not bigint: said so where a client sees them.
pub(super) fn prepare_top(query: &mut Query, family: Family) {
    if family != Family::Postgres {
        return;
    }
    for_selects(&mut query.body, false, &mut |select, _| {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item
                && let Expr::Value(v) = expr
                && matches!(&v.value, Value::Number(n, _) if n.parse::<i32>().is_ok())
            {
                let value = take(expr);
                *expr =
                    Expr::Cast { kind: CastKind::Cast, expr: Box::new(value), data_type: DataType::Int(None), array: false, format: None };
            }
        }
    });
}

/// Calls `f` for each select that the query's rows come from; the flag says whether it is part of a union.
pub(super) fn for_selects(body: &mut SetExpr, union: bool, f: &mut impl FnMut(&mut Select, bool)) {
    match body {
        SetExpr::Select(select) => f(select, union),
        SetExpr::Query(query) => for_selects(&mut query.body, union, f),
        SetExpr::SetOperation { left, right, .. } => {
            for_selects(left, true, f);
            for_selects(right, true, f);
        }
        _ => {}
    }
}

fn has_subquery(expr: &Expr) -> bool {
    expressions(expr, |e| match e {
        Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_break()
}

/// Names an expression no column?
fn is_constant(expr: &Expr) -> bool {
    expressions(expr, |e| match e {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Wildcard(_) | Expr::QualifiedWildcard(..) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })
    .is_continue()
}

fn joined(names: &[Ident]) -> String {
    names.iter().map(|name| name.value.as_str()).collect::<Vec<_>>().join(".")
}

/// Gives columns that are named twice names of their own: DataFusion wants them distinct.
pub(super) fn separate(query: &mut Query) {
    for_selects(&mut query.body, false, &mut |select, union| {
        let wildcard = select.projection.iter().any(|i| matches!(i, SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..)));
        let mut seen = HashSet::new();
        for (n, item) in select.projection.iter_mut().enumerate() {
            let (name, column) = match &*item {
                SelectItem::UnnamedExpr(Expr::Identifier(name)) => (name.value.clone(), true),
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) if union => {
                    (names.last().map(|n| n.value.clone()).unwrap_or_default(), true)
                }
                SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                    // t.id and u.id may stand side by side, but not beside a plain id.
                    let bare = names.last().map(|n| n.value.clone()).unwrap_or_default();
                    if seen.contains(&bare) { (bare, true) } else { (joined(names), true) }
                }
                // DataFusion calls every scalar subquery the same, and constants that it reads alike.
                SelectItem::UnnamedExpr(expr) if has_subquery(expr) => ("(<subquery>)".to_owned(), false),
                SelectItem::UnnamedExpr(expr) if is_constant(expr) => ("(<constant>)".to_owned(), false),
                SelectItem::UnnamedExpr(expr) => (expr.to_string(), false),
                // An alias that says what the column is called already is none.
                SelectItem::ExprWithAlias { expr: Expr::CompoundIdentifier(names), alias }
                    if names.last().is_some_and(|name| name.value == alias.value) && seen.contains(&joined(names)) =>
                {
                    (joined(names), false)
                }
                SelectItem::ExprWithAlias { alias, .. } => (alias.value.clone(), false),
                _ => continue,
            };
            let repeated = !seen.insert(name);
            if repeated || (wildcard && column) {
                let alias = Ident::with_quote('"', format!("fg:{n}"));
                match item {
                    SelectItem::UnnamedExpr(expr) => *item = SelectItem::ExprWithAlias { expr: take(expr), alias },
                    SelectItem::ExprWithAlias { alias: old, .. } => *old = alias,
                    _ => {}
                }
            }
        }
    });
}
