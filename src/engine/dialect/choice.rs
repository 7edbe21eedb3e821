//! CASE as a function call, until the plan is made. While DataFusion plans, a CASE has the type of its first branch, and an
//! expression around it is computed in that type. The call has the common type of all branches; [`spell_out`] turns it into a
//! CASE again, and all branches of that CASE have the common type.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast;

use super::build::{call, hole, take};
use super::called::called;
use crate::engine::functions::{CASE, CASE_OF, case_parts, conversion, converted};
use crate::sql::walk::expressions_mut;

/// Makes calls of all CASEs.
pub(super) fn mark(tree: &mut impl ast::VisitMut) {
    let _ = expressions_mut(tree, |expr| {
        if let ast::Expr::Case { operand, conditions, else_result, .. } = expr {
            let name = if operand.is_some() { CASE_OF } else { CASE };
            let mut args: Vec<ast::Expr> = operand.take().map(|operand| *operand).into_iter().collect();
            for branch in conditions {
                args.extend([take(&mut branch.condition), take(&mut branch.result)]);
            }
            args.push(else_result.take().map_or_else(hole, |value| *value));
            *expr = call(name, args);
        }
        std::ops::ControlFlow::<()>::Continue(())
    });
}

/// Does a query hold such a call?
pub(in crate::engine) fn is_marked(query: &ast::Query) -> bool {
    called(query).iter().any(|name| name == CASE || name == CASE_OF)
}

/// Makes CASEs of the calls of a plan.
pub(in crate::engine) fn spell_out(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut found = false;
    let spelt = plan.transform_up_with_subqueries(|plan| {
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        let changed = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_up(|e| case_of(e, &schema))?.update_data(|e| name.restore(e)))
        })?;
        found |= changed.transformed;
        // A node above one that changed has a schema that follows.
        if found { changed.data.recompute_schema().map(Transformed::yes) } else { Ok(changed) }
    })?;
    Ok(spelt.data)
}

fn case_of(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::ScalarFunction(call) = &expr else { return Ok(Transformed::no(expr)) };
    if call.name() != CASE && call.name() != CASE_OF {
        return Ok(Transformed::no(expr));
    }
    let types = call.args.iter().map(|arg| arg.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let to = expr.get_type(schema)?;
    let with = conversion(&call.func);
    Ok(match case_parts(call.name(), call.args.clone(), |at, value| converted(value, &types[at], &to, with.as_ref())) {
        Some(case) => Transformed::yes(Expr::Case(case)),
        None => Transformed::no(expr),
    })
}
