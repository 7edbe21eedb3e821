//! Both dialects for DataFusion: rewrites a parsed statement so that the engine plans it, and names the result's columns
//! as the client's own database would.
//!
//! Three steps, each in its place:
//! - [`rewrite`] works on the syntax tree and knows no types: names are folded, special forms become function calls
//!   (`fg_..` of `engine::functions`), what means nothing here (hints, locks, COLLATE) goes.
//! - [`planner::DialectPlanner`] sees the types of an operator's two sides while DataFusion plans it: comparisons of text
//!   with numbers and dates, arithmetic that must not wrap, dates and intervals.
//! - [`label_items`] reads the labels of the select list from the tree as it was before the rewrite.
//!
//! Never executes anything and never looks a table up.

mod aggregates;
mod array_literal;
mod build;
mod called;
mod cast;
pub(in crate::engine) mod choice;
mod correlated;
mod forms;
mod from_names;
mod inner_labels;
mod joins;
mod labels;
mod literals;
mod mysql;
mod mysql_functions;
mod names;
mod params;
pub mod planner;
mod planner_mysql;
mod postgres;
mod quantified;
mod rows;
mod scope;
pub(in crate::engine) mod set_operations;
mod windows;

pub use called::called;
pub use cast::{as_computed, as_stored, declared_type, literal_bytes};
pub use from_names::check_from;
pub use joins::{TableColumns, has_merged, merge_joins};
pub use labels::{Label, label_items, postgres_label};
pub use mysql_functions::has_quotient;
pub use params::{bind, bind_types};
pub(super) use planner_mysql::number_of;

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::sqlparser::ast::{self, VisitMut, VisitorMut};

use super::functions::{Facts, FunctionFacts};
use crate::error::{Error, Result};
use crate::sql::walk::walk_mut;
use crate::types::Family;

/// What the rewrite needs to know of the session, beside its family.
#[derive(Debug, Clone, Default)]
pub struct DialectContext {
    /// MySQL's sql_mode PIPES_AS_CONCAT.
    pub pipes_as_concat: bool,
}

/// Anything of the syntax tree that can be rewritten: a query, a statement, an expression.
pub trait Rewritable: VisitMut {
    /// Before the rewrite.
    fn prepare(&mut self, _family: Family) -> Result<()> {
        Ok(())
    }
    /// After the rewrite, before [`choice`] and [`set_operations`] have their turn.
    fn finish(&mut self) {}
}

/// The top select list of a query becomes one that DataFusion takes: columns named twice get names of their own (their
/// labels come from [`label_items`], which must have been called before).
impl Rewritable for ast::Query {
    fn prepare(&mut self, family: Family) -> Result<()> {
        labels::prepare_top(self, family);
        if family == Family::MySql { inner_labels::name_inner(self) } else { Ok(()) }
    }

    fn finish(&mut self) {
        labels::separate(self);
    }
}
impl Rewritable for ast::Statement {}
impl Rewritable for ast::Expr {}
impl Rewritable for ast::TableFactor {}

/// Rewrites a piece of a statement in place so that DataFusion plans it with the dialect's meaning. Call it once, after
/// [`bind`] when the parameters have values.
pub fn rewrite<T: Rewritable>(tree: &mut T, family: Family, ctx: &DialectContext) -> Result<()> {
    tree.prepare(family)?;
    match walk_mut(tree, &mut Rewriter { family, ctx }) {
        ControlFlow::Continue(()) => tree.finish(),
        ControlFlow::Break(error) => return Err(error),
    }
    choice::mark(tree);
    set_operations::mark(tree);
    Ok(())
}

/// The settings of DataFusion that belong to a dialect.
pub fn configure(config: SessionConfig, family: Family) -> SessionConfig {
    let nulls = match family {
        Family::MySql => "nulls_min",
        Family::Postgres => "nulls_max",
    };
    config
        .set_bool("datafusion.sql_parser.parse_float_as_decimal", true)
        .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
        // A union of a column that may be NULL and one that may not has two schemas, and is fine.
        .set_bool("datafusion.execution.skip_physical_aggregate_schema_check", true)
        .set_str("datafusion.sql_parser.default_null_ordering", nulls)
}

/// Registers the planners of a dialect's operators and set operations with a DataFusion session.
pub(in crate::engine) fn register_planners(context: &SessionContext, family: Family, facts: &FunctionFacts) {
    let facts = Facts::new(family, facts);
    let state = context.state_ref();
    let mut state = state.write();
    // The registry of a session state takes every planner.
    let _ = state.register_expr_planner(Arc::new(planner::DialectPlanner::new(Arc::clone(&facts))));
    let _ = state.register_relation_planner(Arc::new(set_operations::SetOperations::new(facts)));
}

struct Rewriter<'a> {
    family: Family,
    ctx: &'a DialectContext,
}

impl Rewriter<'_> {
    fn is_mysql(&self) -> bool {
        self.family == Family::MySql
    }
}

fn flow(result: Result<()>) -> ControlFlow<Error> {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(error),
    }
}

impl VisitorMut for Rewriter<'_> {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut ast::Query) -> ControlFlow<Error> {
        names::fold_query(query);
        flow(windows::write_out(query, self.family))?;
        if self.is_mysql() {
            mysql::query(query);
        }
        forms::fetch(query);
        forms::endless(query);
        query.locks.clear();
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut ast::Select) -> ControlFlow<Error> {
        names::fold_select(select);
        select.optimizer_hints.clear();
        forms::values(select);
        if self.is_mysql() {
            mysql::select(select);
        } else {
            aggregates::having(select);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &mut ast::ObjectName) -> ControlFlow<Error> {
        names::fold_object(relation);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &mut ast::TableFactor) -> ControlFlow<Error> {
        names::fold_factor(factor);
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &mut ast::ValueWithSpan) -> ControlFlow<Error> {
        flow(literals::plain(value, self.family))
    }

    fn pre_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Error> {
        names::fold_expr(expr);
        // Before its subquery is looked at as a value.
        correlated::not_in(expr);
        quantified::condition(expr);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Error> {
        correlated::rows_in(expr);
        correlated::value(expr);
        flow(forms::escape(expr, self.family))?;
        flow(if self.is_mysql() { mysql::expr(expr, self.ctx.pipes_as_concat) } else { postgres::expr(expr) })
    }
}

#[cfg(test)]
mod tests;
