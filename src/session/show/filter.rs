//! Which rows of a SHOW: LIKE on the first column, WHERE over all of them.

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::Statement as DfStatement;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, ObjectName, SetExpr,
    Statement, Value, ValueWithSpan, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::context::Shown;
use crate::error::{Error, Kind, Result};
use crate::sql::walk::walk_mut;
use crate::types::fold;

/// Columns are found without case and text is compared without case, as MySQL's collation for names does.
struct WithoutCase;

fn lower(expr: Expr) -> Expr {
    let list =
        FunctionArgumentList { duplicate_treatment: None, args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))], clauses: vec![] };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("lower")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

fn text_literal(expr: &mut Expr) -> Option<&mut String> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text) | Value::DoubleQuotedString(text), .. }) => Some(text),
        _ => None,
    }
}

fn fold_literal(expr: &mut Expr) -> bool {
    text_literal(expr).map(|text| *text = fold(text)).is_some()
}

impl VisitorMut for WithoutCase {
    type Break = ();
    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => *ident = Ident::with_quote('"', fold(&ident.value)),
            Expr::BinaryOp { left, op: BinaryOperator::Eq | BinaryOperator::NotEq, right } => {
                if fold_literal(right) {
                    let column = left.as_ref().clone();
                    **left = lower(column);
                } else if fold_literal(left) {
                    let column = right.as_ref().clone();
                    **right = lower(column);
                }
            }
            Expr::InList { expr: column, list, .. } => {
                let mut any_text = false;
                for item in list.iter_mut() {
                    any_text |= fold_literal(item);
                }
                if any_text {
                    let old = column.as_ref().clone();
                    **column = lower(old);
                }
            }
            Expr::Like { negated, any, expr: column, pattern, escape_char } => {
                *expr = Expr::ILike {
                    negated: *negated,
                    any: *any,
                    expr: column.clone(),
                    pattern: pattern.clone(),
                    escape_char: escape_char.clone(),
                };
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The rows for which the condition holds.
pub(super) async fn matching(shown: Shown, condition: &Expr) -> Result<Shown> {
    let wrong = |e: &dyn std::fmt::Display| {
        Error::new(Kind::UnknownColumn, format!("the condition of SHOW .. WHERE does not fit its columns: {e}"))
    };
    let mut condition = condition.clone();
    let _ = walk_mut(&mut condition, &mut WithoutCase);
    let fields: Vec<Field> = shown.batch.schema().fields().iter().map(|f| f.as_ref().clone().with_name(fold(f.name()))).collect();
    let folded =
        RecordBatch::try_new(Arc::new(Schema::new(fields)), shown.batch.columns().to_vec()).map_err(|e| Error::internal(e.to_string()))?;
    let context = SessionContext::new();
    context.register_batch("shown", folded).map_err(|e| Error::internal(e.to_string()))?;
    let parsed = Parser::parse_sql(&GenericDialect {}, "SELECT * FROM shown WHERE true").map_err(|e| Error::internal(e.to_string()))?;
    let Some(Statement::Query(mut query)) = parsed.into_iter().next() else { return Err(Error::internal("SHOW .. WHERE")) };
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.selection = Some(condition);
    }
    let statement = DfStatement::Statement(Box::new(Statement::Query(query)));
    let plan = context.state().statement_to_plan(statement).await.map_err(|e| wrong(&e))?;
    let batches = match context.execute_logical_plan(plan).await {
        Ok(frame) => frame.collect().await.map_err(|e| wrong(&e))?,
        Err(e) => return Err(wrong(&e)),
    };
    let schema = shown.batch.schema();
    let renamed: Vec<RecordBatch> =
        batches.iter().filter_map(|b| RecordBatch::try_new(Arc::clone(&schema), b.columns().to_vec()).ok()).collect();
    let batch = concat_batches(&schema, &renamed).map_err(|e| Error::internal(e.to_string()))?;
    Ok(Shown { columns: shown.columns, batch })
}
