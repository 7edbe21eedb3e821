//! UNION, INTERSECT and EXCEPT: the types of their columns, and ALL.
//!
//! While it plans, the engine gives a column of a UNION the first branch's type, and whatever is computed with it is computed
//! in that type; INTERSECT and EXCEPT keep that type for good. And it plans INTERSECT ALL and EXCEPT ALL as
//! membership tests, where SQL counts: of the rows that are equal, the first of one side goes with the first of the other, the
//! second with the second, and so on.
//!
//! So a set operation becomes a derived table with a name of its own ([`mark`]), and [`SetOperations`] plans that.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::common::{Column, JoinType, NullEquality, TableReference};
use datafusion::error::{DataFusionError, Result as DfResult};
use datafusion::functions_window::row_number::row_number;
use datafusion::logical_expr::planner::{PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning};
use datafusion::logical_expr::{Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder};
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    Ident, ObjectName, Query, SelectItem, SetExpr, SetOperator, SetQuantifier, TableAlias, TableFactor, VisitMut, Visitor, VisitorMut,
    WildcardAdditionalOptions,
};

use super::build::{number, query_of, select_of};
use super::forms::nothing;
use super::labels;
use crate::engine::error::external;
use crate::engine::functions::{self, Facts};
use crate::error::{Error, Kind};
use crate::sql::walk::{walk, walk_mut};
use crate::types::{Family, fold};

/// What a derived table is called that is a set operation and nothing else.
const MARK: &str = "fg_set";
/// What the columns of the two sides of INTERSECT and EXCEPT are called, with their numbers.
const LEFT: &str = "fg_l";
const RIGHT: &str = "fg_r";
/// The number of a row among its equals.
const NUMBER: &str = "fg_number";

/// Makes derived tables of all set operations but those that a recursive table consists of: the engine has to see these.
pub(super) fn mark(tree: &mut impl VisitMut) {
    let _ = walk_mut(tree, &mut Marker { recursive: HashSet::new() });
}

struct Marker {
    /// Where the queries of recursive tables lie. They do not move while the tree is walked.
    recursive: HashSet<*const Query>,
}

impl VisitorMut for Marker {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        for cte in query.with.iter().filter(|with| with.recursive).flat_map(|with| &with.cte_tables) {
            let itself = walk(cte.query.as_ref(), &mut Names(fold(&cte.alias.name.value)));
            if itself.is_break() {
                self.recursive.insert(std::ptr::from_ref(cte.query.as_ref()));
            }
        }
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        if !matches!(query.body.as_ref(), SetExpr::SetOperation { .. }) || self.recursive.contains(&std::ptr::from_ref(query)) {
            return ControlFlow::Continue(());
        }
        labels::separate(query);
        let body = std::mem::replace(&mut query.body, Box::new(SetExpr::Values(nothing())));
        let inner = derived(body, Some(MARK));
        let mut outer = select_of(number(1), inner);
        if let SetExpr::Select(select) = outer.body.as_mut() {
            select.projection = vec![SelectItem::Wildcard(WildcardAdditionalOptions::default())];
        }
        query.body = outer.body;
        ControlFlow::Continue(())
    }
}

/// Finds a table of that name.
struct Names(String);

impl Visitor for Names {
    type Break = ();

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<()> {
        match relation.0.as_slice() {
            [part] if part.as_ident().is_some_and(|ident| fold(&ident.value) == self.0) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn derived(body: Box<SetExpr>, name: Option<&str>) -> TableFactor {
    let query = query_of(body);
    let alias = name.map(|name| TableAlias { explicit: true, name: Ident::new(name), columns: Vec::new(), at: None });
    TableFactor::Derived { lateral: false, subquery: Box::new(query), alias, sample: None }
}

/// Plans set operations.
#[derive(Debug)]
pub struct SetOperations {
    facts: Arc<Facts>,
}

impl RelationPlanner for SetOperations {
    fn plan_relation(&self, relation: TableFactor, context: &mut dyn RelationPlannerContext) -> DfResult<RelationPlanning> {
        match relation {
            TableFactor::Derived { subquery, alias: Some(alias), .. } if alias.name.value == MARK => {
                let plan = self.body(*subquery.body, context)?;
                Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
            }
            other => Ok(RelationPlanning::Original(Box::new(other))),
        }
    }
}

impl SetOperations {
    /// A planner for a session with these facts.
    pub fn new(facts: Arc<Facts>) -> SetOperations {
        SetOperations { facts }
    }

    fn body(&self, body: SetExpr, context: &mut dyn RelationPlannerContext) -> DfResult<LogicalPlan> {
        match body {
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let (left, right) = (self.body(*left, context)?, self.body(*right, context)?);
                self.combined(op, set_quantifier, left, right)
            }
            other => context.plan(derived(Box::new(other), None)),
        }
    }

    fn combined(&self, op: SetOperator, quantifier: SetQuantifier, left: LogicalPlan, right: LogicalPlan) -> DfResult<LogicalPlan> {
        let all = match quantifier {
            SetQuantifier::All => true,
            SetQuantifier::Distinct | SetQuantifier::None => false,
            other => return Err(external(Error::unsupported(format!("{op} {other}")))),
        };
        if left.schema().fields().len() != right.schema().fields().len() {
            let message = match self.facts.family {
                Family::MySql => "The used SELECT statements have a different number of columns".to_owned(),
                Family::Postgres => format!("each {op} query must have the same number of columns"),
            };
            return Err(external(Error::new(Kind::SelectWidth, message)));
        }
        let (left, right) = self.of_common_types(left, right)?;
        match (op, all) {
            (SetOperator::Union, true) => LogicalPlanBuilder::from(left).union(right)?.build(),
            (SetOperator::Union, false) => LogicalPlanBuilder::from(left).union_distinct(right)?.build(),
            (SetOperator::Intersect, all) => matched(left, right, JoinType::LeftSemi, all),
            (SetOperator::Except, all) => matched(left, right, JoinType::LeftAnti, all),
            (other, _) => Err(DataFusionError::NotImplemented(format!("{other}"))),
        }
    }

    /// Both sides with columns of the same types.
    fn of_common_types(&self, left: LogicalPlan, right: LogicalPlan) -> DfResult<(LogicalPlan, LogicalPlan)> {
        let types = |plan: &LogicalPlan| plan.schema().fields().iter().map(|field| field.data_type().clone()).collect::<Vec<_>>();
        let (before, after) = (types(&left), types(&right));
        let constants = (constants(&left), constants(&right));
        let common: Vec<_> = (0..before.len())
            .map(|at| match before[at] == after[at] {
                true => before[at].clone(),
                false => functions::common(
                    self.facts.family,
                    &[before[at].clone(), after[at].clone()],
                    &[constants.0[at].as_ref(), constants.1[at].as_ref()],
                ),
            })
            .collect();
        let with = functions::conversion_in(&self.facts);
        // The engine finds the columns of all branches by the names of the first one.
        let names: Vec<_> = left.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), field.name().clone())).collect();
        let side = |plan: LogicalPlan, from: Vec<_>| {
            let named = plan.schema().fields().iter().zip(&names).all(|(field, (_, name))| field.name() == name);
            if named && from == common {
                return Ok(plan);
            }
            let columns: Vec<Expr> = plan
                .schema()
                .iter()
                .zip(from.iter().zip(&common))
                .zip(&names)
                .map(|((column, (from, to)), (qualifier, name))| {
                    let value = Expr::Column(Column::from(column));
                    functions::converted(value, from, to, Some(&with)).alias_qualified(qualifier.clone(), name)
                })
                .collect();
            LogicalPlanBuilder::from(plan).project(columns)?.build()
        };
        Ok((side(left, before)?, side(right, after)?))
    }
}

/// The columns of a plan that are constants.
fn constants(plan: &LogicalPlan) -> Vec<Option<ScalarValue>> {
    let width = plan.schema().fields().len();
    match plan {
        LogicalPlan::Projection(projection) => projection
            .expr
            .iter()
            .map(|expr| match expr.clone().unalias() {
                Expr::Literal(value, _) => Some(value),
                _ => None,
            })
            .collect(),
        LogicalPlan::SubqueryAlias(alias) => constants(&alias.input),
        _ => vec![None; width],
    }
}

/// The column of the right side that a column of the left one is matched with, when the join is an INTERSECT or EXCEPT.
pub fn matched_column(join: &Join, index: usize) -> Option<usize> {
    let number = join.left.schema().field(index).name().strip_prefix(LEFT)?;
    join.right.schema().index_of_column_by_name(None, &format!("{RIGHT}{number}"))
}

/// INTERSECT and EXCEPT. `all`: rows count as often as they are there.
fn matched(left: LogicalPlan, right: LogicalPlan, join: JoinType, all: bool) -> DfResult<LogicalPlan> {
    let names: Vec<(Option<TableReference>, String)> =
        left.schema().iter().map(|(qualifier, field)| (qualifier.cloned(), field.name().clone())).collect();
    // Names that are given once on each side, for a column to be found by.
    let side = |plan: LogicalPlan, prefix: &str| {
        let columns: Vec<Column> = plan.schema().iter().map(Column::from).collect();
        let named = columns.into_iter().enumerate().map(|(n, column)| Expr::Column(column).alias(format!("{prefix}{n}")));
        let plan = LogicalPlanBuilder::from(plan).project(named.collect::<Vec<_>>())?;
        let mut keys: Vec<Column> = (0..names.len()).map(|n| Column::from_name(format!("{prefix}{n}"))).collect();
        if !all {
            return Ok((plan, keys));
        }
        let equals = keys.iter().cloned().map(Expr::Column).collect();
        let number = row_number().partition_by(equals).build()?;
        let (key, called) = (format!("{prefix}{NUMBER}"), number.schema_name().to_string());
        let named = keys.iter().cloned().map(Expr::Column).chain([Expr::Column(Column::from_name(called)).alias(&key)]);
        let plan = plan.window(vec![number])?.project(named.collect::<Vec<_>>())?;
        keys.push(Column::from_name(key));
        Ok::<_, DataFusionError>((plan, keys))
    };
    let (left, left_keys) = side(left, LEFT)?;
    let (right, right_keys) = side(right, RIGHT)?;
    let left = if all { left } else { left.distinct()? };
    let shown: Vec<Expr> = names
        .into_iter()
        .zip(&left_keys)
        .map(|((qualifier, name), key)| Expr::Column(key.clone()).alias_qualified(qualifier, name))
        .collect();
    left.join_detailed(right.build()?, join, (left_keys, right_keys), None, NullEquality::NullEqualsNull)?.project(shown)?.build()
}
