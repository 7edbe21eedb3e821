//! What stands in FROM: table functions whose arguments are computed, and the hidden column `tableoid`.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, Select, SelectItem, SetExpr, TableAlias, TableFactor, Value, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::build::{call, last_part, value};
use crate::sql::walk::walk_mut;

fn is_literal(expr: &Expr) -> bool {
    match expr {
        Expr::Value(_) => true,
        Expr::UnaryOp { expr, .. } => is_literal(expr),
        _ => false,
    }
}

/// `generate_series(1, f(x)) AS s(r)`: the engine's table function takes literals only.
pub(super) fn series(factor: &mut TableFactor) {
    let TableFactor::Table { name, args: Some(args), alias, .. } = factor else { return };
    if last_part(name) != "generate_series" {
        return;
    }
    let bounds: Option<Vec<Expr>> =
        args.args.iter().map(|a| if let FunctionArg::Unnamed(FunctionArgExpr::Expr(e)) = a { Some(e.clone()) } else { None }).collect();
    let Some(bounds) = bounds.filter(|b| b.len() == 2 && !b.iter().all(is_literal)) else { return };
    let label = alias.as_ref().map(|a| a.columns.first().map_or_else(|| a.name.clone(), |c| c.name.clone()));
    let label = label.unwrap_or_else(|| Ident::new("generate_series"));
    let Ok(mut statements) = Parser::parse_sql(&PostgreSqlDialect {}, "SELECT 1") else { return };
    let Some(datafusion::sql::sqlparser::ast::Statement::Query(mut query)) = statements.pop() else { return };
    if let SetExpr::Select(select) = query.body.as_mut() {
        let rows = call("unnest", vec![call("fg_series", bounds)]);
        select.projection = vec![SelectItem::ExprWithAlias { expr: rows, alias: label.clone() }];
    }
    let name = alias.as_ref().map_or(label, |a| a.name.clone());
    let alias = Some(TableAlias { explicit: true, name, columns: vec![], at: None });
    *factor = TableFactor::Derived { lateral: false, subquery: query, alias, sample: None };
}

struct TableOids(Vec<(String, String)>);

impl VisitorMut for TableOids {
    type Break = ();
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let [table, column] = parts.as_slice()
            && column.value.eq_ignore_ascii_case("tableoid")
            && let Some((_, name)) = self.0.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(&table.value))
        {
            *expr = call("fg_regclass", vec![value(Value::SingleQuotedString(name.clone()))]);
        }
        ControlFlow::Continue(())
    }
}

/// `c.tableoid` of a catalog: the OID of the catalog itself.
pub(super) fn table_oids(body: &mut SetExpr) {
    let select: &mut Select = match body {
        SetExpr::Select(select) => select,
        SetExpr::SetOperation { left, right, .. } => {
            table_oids(left);
            return table_oids(right);
        }
        _ => return,
    };
    let of_catalog = |name: &ObjectName| {
        let last = last_part(name);
        let qualified = name.0.len() == 2 && name.0[0].as_ident().is_some_and(|i| i.value.eq_ignore_ascii_case("pg_catalog"));
        (qualified || last.starts_with("pg_")).then(|| format!("pg_catalog.{last}"))
    };
    let mut known = Vec::new();
    for factor in select.from.iter().flat_map(|t| std::iter::once(&t.relation).chain(t.joins.iter().map(|j| &j.relation))) {
        if let TableFactor::Table { name, alias, args: None, .. } = factor
            && let Some(catalog) = of_catalog(name)
        {
            known.push((alias.as_ref().map_or_else(|| last_part(name), |a| a.name.value.clone()), catalog));
        }
    }
    if !known.is_empty() {
        let _ = walk_mut(select, &mut TableOids(known));
    }
}
