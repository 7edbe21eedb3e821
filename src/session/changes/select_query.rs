//! The syntax tree of a SELECT, made from its clauses.

use datafusion::sql::sqlparser::ast::{self, SelectItem, TableWithJoins};

/// `SELECT projection FROM from`.
pub(in crate::session) fn select_items(projection: Vec<SelectItem>, from: Vec<TableWithJoins>) -> ast::Query {
    select_query(projection, from, None, &[], None)
}

/// `SELECT projection FROM from WHERE selection ORDER BY order LIMIT limit`.
pub(super) fn select_query(
    projection: Vec<SelectItem>,
    from: Vec<TableWithJoins>,
    selection: Option<ast::Expr>,
    order: &[ast::OrderByExpr],
    limit: Option<ast::Expr>,
) -> ast::Query {
    let select = ast::Select {
        select_token: ast::helpers::attached_token::AttachedToken::empty(),
        optimizer_hints: Vec::new(),
        distinct: None,
        select_modifiers: None,
        top: None,
        top_before_distinct: false,
        projection,
        exclude: None,
        into: None,
        from,
        lateral_views: Vec::new(),
        prewhere: None,
        selection,
        connect_by: Vec::new(),
        group_by: ast::GroupByExpr::Expressions(Vec::new(), Vec::new()),
        cluster_by: Vec::new(),
        distribute_by: Vec::new(),
        sort_by: Vec::new(),
        having: None,
        named_window: Vec::new(),
        qualify: None,
        window_before_qualify: false,
        value_table_mode: None,
        flavor: ast::SelectFlavor::Standard,
    };
    let order_by = (!order.is_empty()).then(|| ast::OrderBy { kind: ast::OrderByKind::Expressions(order.to_vec()), interpolate: None });
    let limit_clause = limit.map(|limit| ast::LimitClause::LimitOffset { limit: Some(limit), offset: None, limit_by: Vec::new() });
    ast::Query {
        with: None,
        body: Box::new(ast::SetExpr::Select(Box::new(select))),
        order_by,
        limit_clause,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
