//! Dates, moments without zone and moments with zone in one place: CASE, IN, a comparison, a set operation, VALUES, an
//! array.
//!
//! DataFusion would count nanoseconds there, which end in 2262, and read moments without zone in UTC. So this rule settles
//! their common type before DataFusion's own coercion does: microseconds always, and the session's zone between the two kinds.
//! What is compared becomes a moment with zone; what is chosen is one in PostgreSQL and one without zone in MySQL. A text
//! among them is read as the others' type in PostgreSQL, and makes texts of them in MySQL when it is chosen.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, NullEquality, Result};
use datafusion::logical_expr::expr::{Between, InList, InSubquery, ScalarFunction, SetComparison};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::logical_plan::Subquery;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Case, Expr, ExprSchemable, Join, JoinType, LogicalPlan, LogicalPlanBuilder, Operator, Projection, Union, Values, cast, lit,
    when,
};
use datafusion::optimizer::AnalyzerRule;
use datafusion::scalar::ScalarValue;

use crate::engine::functions::common_moment::{Purpose, common};
use crate::engine::functions::scalar::CIVIL;
use crate::engine::functions::{Facts, call, cast_name, type_argument};
use crate::types::SqlType;

/// The rule, for one session.
#[derive(Debug)]
pub(in crate::engine) struct CommonMoments {
    /// Of the session, with its zone.
    pub(in crate::engine) facts: Arc<Facts>,
}

impl AnalyzerRule for CommonMoments {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        // What lies above a plan whose types changed has to look at them again.
        let mut stale = false;
        plan.transform_up_with_subqueries(|plan| {
            let plan = if stale { plan.recompute_schema()? } else { plan };
            let changed = self.node(plan)?;
            stale |= changed.transformed;
            Ok(changed)
        })
        .map(|done| done.data)
    }

    fn name(&self) -> &str {
        "common_moments"
    }
}

fn noted<T>(data: T, changed: bool) -> Transformed<T> {
    if changed { Transformed::yes(data) } else { Transformed::no(data) }
}

/// Does the operator compare two values?
pub(in crate::engine) fn compares(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

impl CommonMoments {
    fn node(&self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        match plan {
            LogicalPlan::Union(union) => return self.union(union),
            LogicalPlan::Values(values) => return self.values(values),
            LogicalPlan::Join(join) if !join.on.is_empty() => {
                let joined = self.join(join)?;
                let again = self.expressions(joined.data)?;
                return Ok(Transformed { transformed: joined.transformed || again.transformed, ..again });
            }
            _ => {}
        }
        self.expressions(plan)
    }

    fn expressions(&self, plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let changed = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|e| self.expression(e, &schema))?.update_data(|e| name.restore(e)))
        })?;
        if changed.transformed { changed.map_data(LogicalPlan::recompute_schema) } else { Ok(changed) }
    }

    /// The common type of expressions; None: nothing is to be done.
    fn common_of<'e>(&self, exprs: impl Iterator<Item = &'e Expr>, schema: &DFSchema, purpose: Purpose) -> Option<DataType> {
        let types = exprs.map(|e| e.get_type(schema)).collect::<Result<Vec<_>>>().ok()?;
        common(types.iter(), self.facts.family, purpose)
    }

    /// `expr` as `target`.
    fn to(&self, expr: Expr, from: &DataType, target: &DataType) -> Result<Expr> {
        Ok(match (from, target) {
            (DataType::Null, _) => expr,
            (from, target) if from == target => expr,
            (DataType::Timestamp(_, zone), DataType::Timestamp(_, other)) if zone.is_some() == other.is_some() => {
                cast(expr, target.clone())
            }
            (_, DataType::Timestamp(_, Some(_))) => call("fg_stamp", vec![expr], &self.facts)?,
            // Arrow's own cast, through which files can still be pruned.
            (DataType::Date32, DataType::Timestamp(_, None)) => cast(expr, CIVIL),
            (_, DataType::Timestamp(_, None)) => call("fg_civil", vec![expr], &self.facts)?,
            (_, DataType::Date32) => call(cast_name(), vec![expr, lit(type_argument(&SqlType::Date))], &self.facts)?,
            (_, DataType::Utf8) => call("fg_text", vec![expr], &self.facts)?,
            _ => expr,
        })
    }

    fn settled(&self, expr: Expr, schema: &DFSchema, target: &DataType) -> Result<Expr> {
        match expr.get_type(schema) {
            Ok(from) => self.to(expr, &from, target),
            Err(_) => Ok(expr),
        }
    }

    fn boxed(&self, expr: Expr, schema: &DFSchema, target: &DataType) -> Result<Box<Expr>> {
        self.settled(expr, schema, target).map(Box::new)
    }

    fn expression(&self, expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let comparison = Purpose::Comparison;
        match expr {
            Expr::Case(case) => self.case(case, schema),
            Expr::BinaryExpr(BinaryExpr { left, op, right }) if compares(op) => {
                let Some(target) = self.common_of([&*left, &*right].into_iter(), schema, comparison) else {
                    return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
                };
                let (left, right) = (self.boxed(*left, schema, &target)?, self.boxed(*right, schema, &target)?);
                Ok(Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right })))
            }
            Expr::Between(Between { expr, negated, low, high }) => {
                let Some(target) = self.common_of([&*expr, &*low, &*high].into_iter(), schema, comparison) else {
                    return Ok(Transformed::no(Expr::Between(Between { expr, negated, low, high })));
                };
                let part = |e: Box<Expr>| self.boxed(*e, schema, &target);
                Ok(Transformed::yes(Expr::Between(Between { expr: part(expr)?, negated, low: part(low)?, high: part(high)? })))
            }
            Expr::InList(InList { expr, list, negated }) => {
                let Some(target) = self.common_of(std::iter::once(&*expr).chain(&list), schema, comparison) else {
                    return Ok(Transformed::no(Expr::InList(InList { expr, list, negated })));
                };
                let list = list.into_iter().map(|e| self.settled(e, schema, &target)).collect::<Result<_>>()?;
                Ok(Transformed::yes(Expr::InList(InList { expr: self.boxed(*expr, schema, &target)?, list, negated })))
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let (expr, subquery, changed) = self.membership(expr, subquery, schema)?;
                Ok(noted(Expr::InSubquery(InSubquery { expr, subquery, negated }), changed))
            }
            Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
                let (expr, subquery, changed) = self.membership(expr, subquery, schema)?;
                Ok(noted(Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }), changed))
            }
            Expr::ScalarFunction(function) => self.function(function, schema),
            other => Ok(Transformed::no(other)),
        }
    }

    fn case(&self, case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let Case { mut expr, mut when_then_expr, mut else_expr } = case;
        let mut changed = false;
        if let Some(value) = &expr
            && let Some(target) =
                self.common_of(std::iter::once(&**value).chain(when_then_expr.iter().map(|(when, _)| &**when)), schema, Purpose::Comparison)
        {
            changed = true;
            expr = expr.map(|e: Box<Expr>| self.boxed(*e, schema, &target)).transpose()?;
            for (when, _) in &mut when_then_expr {
                **when = self.settled(std::mem::take(&mut **when), schema, &target)?;
            }
        }
        let values = when_then_expr.iter().map(|(_, then)| &**then).chain(else_expr.as_deref());
        if let Some(target) = self.common_of(values, schema, Purpose::Choice) {
            changed = true;
            for (_, then) in &mut when_then_expr {
                **then = self.settled(std::mem::take(&mut **then), schema, &target)?;
            }
            else_expr = else_expr.map(|e: Box<Expr>| self.boxed(*e, schema, &target)).transpose()?;
        }
        Ok(noted(Expr::Case(Case { expr, when_then_expr, else_expr }), changed))
    }

    /// Functions of DataFusion's whose arguments get a common type.
    fn function(&self, function: ScalarFunction, schema: &DFSchema) -> Result<Transformed<Expr>> {
        let purpose = match function.name() {
            "make_array" => Purpose::Choice,
            "nullif" => Purpose::Comparison,
            _ => return Ok(Transformed::no(Expr::ScalarFunction(function))),
        };
        let Some(target) = self.common_of(function.args.iter(), schema, purpose) else {
            return Ok(Transformed::no(Expr::ScalarFunction(function)));
        };
        let whole = function.args.iter().map(|e| self.settled(e.clone(), schema, &target)).collect::<Result<Vec<_>>>()?;
        match (purpose, whole.as_slice()) {
            // NULLIF gives its first argument as that is.
            (Purpose::Comparison, [a, b]) => {
                let first = function.args.into_iter().next().unwrap_or_default();
                Ok(Transformed::yes(when(a.clone().eq(b.clone()), lit(ScalarValue::Null)).otherwise(first)?))
            }
            _ => Ok(Transformed::yes(Expr::ScalarFunction(ScalarFunction::new_udf(function.func, whole)))),
        }
    }

    /// `x IN (SELECT ..)` and its like.
    fn membership(&self, expr: Box<Expr>, subquery: Subquery, schema: &DFSchema) -> Result<(Box<Expr>, Subquery, bool)> {
        let of_subquery = subquery.subquery.schema().fields().first().map(|f| f.data_type().clone());
        let (Ok(of_expr), Some(of_subquery)) = (expr.get_type(schema), of_subquery) else { return Ok((expr, subquery, false)) };
        let Some(target) = common([&of_expr, &of_subquery].into_iter(), self.facts.family, Purpose::Comparison) else {
            return Ok((expr, subquery, false));
        };
        let expr = Box::new(self.to(*expr, &of_expr, &target)?);
        let rows = self.columns_as(&subquery.subquery, &[Some(target)])?;
        Ok((expr, Subquery { subquery: rows.unwrap_or_else(|| Arc::clone(&subquery.subquery)), ..subquery }, true))
    }

    /// A plan with its columns as `targets` (those without one stay); None: they are so already.
    fn columns_as(&self, plan: &Arc<LogicalPlan>, targets: &[Option<DataType>]) -> Result<Option<Arc<LogicalPlan>>> {
        let fields = || plan.schema().iter().zip(targets.iter().chain(std::iter::repeat(&None)));
        if fields().all(|((_, field), target)| target.as_ref().is_none_or(|ty| ty == field.data_type())) {
            return Ok(None);
        }
        let columns = fields().map(|((qualifier, field), target)| {
            let column = Expr::Column(Column::from((qualifier, field)));
            Ok(match target {
                Some(ty) if ty != field.data_type() => {
                    self.to(column, field.data_type(), ty)?.alias_qualified(qualifier.cloned(), field.name())
                }
                _ => column,
            })
        });
        let projection = Projection::try_new(columns.collect::<Result<_>>()?, Arc::clone(plan))?;
        Ok(Some(Arc::new(LogicalPlan::Projection(projection))))
    }

    /// What the columns of a set operation become, place by place.
    fn targets<'p>(&self, plans: impl Iterator<Item = &'p Arc<LogicalPlan>> + Clone, width: usize) -> Vec<Option<DataType>> {
        let of_place = |place: usize| {
            let types = plans.clone().filter_map(|p| p.schema().fields().get(place)).map(|f| f.data_type());
            common(types, self.facts.family, Purpose::Choice)
        };
        (0..width).map(of_place).collect()
    }

    fn union(&self, union: Union) -> Result<Transformed<LogicalPlan>> {
        let targets = self.targets(union.inputs.iter(), union.schema.fields().len());
        if targets.iter().all(Option::is_none) {
            return Ok(Transformed::no(LogicalPlan::Union(union)));
        }
        let inputs = union
            .inputs
            .iter()
            .map(|input| Ok(self.columns_as(input, &targets)?.unwrap_or_else(|| Arc::clone(input))))
            .collect::<Result<Vec<_>>>()?;
        Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)))
    }

    /// VALUES: the types of its columns were settled when it was planned, as nanoseconds and in UTC.
    fn values(&self, values: Values) -> Result<Transformed<LogicalPlan>> {
        let nanos = |ty: &DataType| matches!(ty, DataType::Timestamp(TimeUnit::Nanosecond, _));
        let zoned_of_civil = |expr: &Expr| match expr {
            Expr::Cast(outer) => {
                matches!(outer.field.data_type(), DataType::Timestamp(_, Some(_)))
                    && matches!(outer.expr.get_type(&DFSchema::empty()), Ok(DataType::Timestamp(_, None) | DataType::Date32))
            }
            _ => false,
        };
        let concerned = |place: usize| {
            nanos(values.schema.field(place).data_type()) || values.values.iter().any(|row| row.get(place).is_some_and(zoned_of_civil))
        };
        let places: Vec<usize> = (0..values.schema.fields().len()).filter(|place| concerned(*place)).collect();
        if places.is_empty() {
            return Ok(Transformed::no(LogicalPlan::Values(values)));
        }
        let none = DFSchema::empty();
        let mut rows = values.values;
        for place in places {
            let bare = |e: &Expr| match e {
                Expr::Cast(outer) if matches!(outer.field.data_type(), DataType::Timestamp(..)) => (*outer.expr).clone(),
                other => other.clone(),
            };
            let column: Vec<Expr> = rows.iter().filter_map(|row| row.get(place)).map(bare).collect();
            let Some(target) = self.common_of(column.iter(), &none, Purpose::Choice) else { continue };
            for (row, expr) in rows.iter_mut().zip(column) {
                let whole = self.settled(expr, &none, &target)?;
                row[place] = if matches!(whole.get_type(&none), Ok(DataType::Null)) { cast(whole, target.clone()) } else { whole };
            }
        }
        let names: Vec<String> = values.schema.fields().iter().map(|f| f.name().clone()).collect();
        let plan = LogicalPlanBuilder::values(rows)?.build()?;
        // The columns keep their names.
        let columns =
            plan.schema().iter().zip(names).map(|((qualifier, field), name)| Expr::Column(Column::from((qualifier, field))).alias(name));
        let columns: Vec<Expr> = columns.collect();
        Ok(Transformed::yes(LogicalPlanBuilder::from(plan).project(columns)?.build()?))
    }

    /// Joins by columns that are the same (USING), and INTERSECT and EXCEPT, which are joins here.
    fn join(&self, join: Join) -> Result<Transformed<LogicalPlan>> {
        let set_operation = join.null_equality == NullEquality::NullEqualsNull
            && matches!(join.join_type, JoinType::LeftSemi | JoinType::LeftAnti)
            && join.on.len() == join.left.schema().fields().len();
        let mut join = join;
        let mut changed = false;
        if set_operation {
            let targets = self.targets([&join.left, &join.right].into_iter(), join.on.len());
            for side in [&mut join.left, &mut join.right] {
                if let Some(new) = self.columns_as(side, &targets)? {
                    *side = new;
                    changed = true;
                }
            }
        }
        for (left, right) in &mut join.on {
            let (Ok(of_left), Ok(of_right)) = (left.get_type(join.left.schema()), right.get_type(join.right.schema())) else { continue };
            if let Some(target) = common([&of_left, &of_right].into_iter(), self.facts.family, Purpose::Comparison) {
                *left = self.to(left.clone(), &of_left, &target)?;
                *right = self.to(right.clone(), &of_right, &target)?;
                changed = true;
            }
        }
        let plan = LogicalPlan::Join(join);
        if changed { plan.recompute_schema().map(Transformed::yes) } else { Ok(Transformed::no(plan)) }
    }
}
