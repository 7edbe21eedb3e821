//! Folding of names: tables and columns are registered in their folded form, so every name of a statement is brought
//! to it, quoted or not.

use datafusion::sql::sqlparser::ast::*;

use crate::types::fold;

pub(super) fn fold_ident(ident: &mut Ident) {
    let folded = fold(&ident.value);
    if folded != ident.value {
        ident.value = folded;
    }
}

pub(super) fn fold_object(name: &mut ObjectName) {
    for part in &mut name.0 {
        if let ObjectNamePart::Identifier(ident) = part {
            fold_ident(ident);
        }
    }
}

fn fold_alias(alias: &mut TableAlias) {
    fold_ident(&mut alias.name);
    alias.columns.iter_mut().for_each(|c| fold_ident(&mut c.name));
}

pub(super) fn fold_query(query: &mut Query) {
    if let Some(with) = &mut query.with {
        with.cte_tables.iter_mut().for_each(|cte| fold_alias(&mut cte.alias));
    }
}

pub(super) fn fold_select(select: &mut Select) {
    for item in &mut select.projection {
        match item {
            SelectItem::ExprWithAlias { alias, .. } => fold_ident(alias),
            SelectItem::ExprWithAliases { aliases, .. } => aliases.iter_mut().for_each(fold_ident),
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) => fold_object(name),
            _ => {}
        }
    }
    for window in &mut select.named_window {
        fold_ident(&mut window.0);
        if let NamedWindowExpr::NamedWindow(name) = &mut window.1 {
            fold_ident(name);
        }
    }
    for table in &mut select.from {
        fold_joins(table);
    }
}

fn fold_joins(table: &mut TableWithJoins) {
    for join in &mut table.joins {
        if let Some(JoinConstraint::Using(columns)) = constraint(&mut join.join_operator) {
            columns.iter_mut().for_each(fold_object);
        }
    }
}

/// The condition of a join.
pub(super) fn constraint(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(c)
        | JoinOperator::Inner(c)
        | JoinOperator::Left(c)
        | JoinOperator::LeftOuter(c)
        | JoinOperator::Right(c)
        | JoinOperator::RightOuter(c)
        | JoinOperator::FullOuter(c)
        | JoinOperator::CrossJoin(c)
        | JoinOperator::StraightJoin(c) => Some(c),
        _ => None,
    }
}

pub(super) fn fold_factor(factor: &mut TableFactor) {
    match factor {
        TableFactor::Table { alias, index_hints, partitions, .. } => {
            index_hints.clear();
            partitions.clear();
            alias.iter_mut().for_each(fold_alias);
        }
        TableFactor::Derived { alias, .. } | TableFactor::TableFunction { alias, .. } | TableFactor::UNNEST { alias, .. } => {
            alias.iter_mut().for_each(fold_alias);
        }
        TableFactor::Function { name, alias, .. } => {
            fold_object(name);
            alias.iter_mut().for_each(fold_alias);
        }
        TableFactor::NestedJoin { table_with_joins, alias } => {
            alias.iter_mut().for_each(fold_alias);
            fold_joins(table_with_joins);
        }
        _ => {}
    }
}

pub(super) fn fold_expr(expr: &mut Expr) {
    match expr {
        Expr::Identifier(ident) => fold_ident(ident),
        Expr::CompoundIdentifier(idents) => idents.iter_mut().for_each(fold_ident),
        Expr::QualifiedWildcard(name, _) => fold_object(name),
        Expr::Function(function) => {
            fold_object(&mut function.name);
            // `pg_catalog.now()` is `now()`.
            if function.name.0.len() == 2
                && let ObjectNamePart::Identifier(schema) = &function.name.0[0]
                && matches!(schema.value.as_str(), "pg_catalog" | "information_schema")
            {
                function.name.0.remove(0);
            }
            if let Some(WindowType::NamedWindow(name)) = &mut function.over {
                fold_ident(name);
            }
        }
        _ => {}
    }
}
