//! The types of a statement's parameters, for a description: what the syntax says (a cast, LIMIT, a time clause), then
//! what the plan says (the other side of an operator).

use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result as DfResult};
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr as PlanExpr, ExprSchemable, LogicalPlan};
use datafusion::sql::sqlparser::ast::{BinaryOperator, Expr, LimitClause, Query, TableFactor, Value, ValueWithSpan, Visitor};

use super::dialect;
use crate::sql::walk::walk;
use crate::sql::{self, AlterAction, Setting, Statement, StorageAction, TimeClause, TimeKind};
use crate::types::{ColumnInfo, Family, SqlType};

/// What the text of a statement says of its parameters.
pub fn of_syntax(statement: &Statement, count: usize, family: Family) -> Vec<Option<SqlType>> {
    let mut reader = Reader { types: vec![None; count], family };
    if count == 0 {
        return reader.types;
    }
    match statement {
        Statement::Query(query) => reader.query(query),
        Statement::Insert(insert) => {
            let _ = walk(&insert.insert, &mut reader);
            insert.as_of.iter().for_each(|clause| reader.clause(clause));
        }
        Statement::Update(update) => drop(walk(update, &mut reader)),
        Statement::Delete(delete) => drop(walk(delete, &mut reader)),
        Statement::DeclareCursor { query, .. } => reader.query(query),
        _ => {}
    }
    times_of(statement).into_iter().for_each(|clause| reader.clause(clause));
    reader.types
}

/// The times that a Flashgate statement names.
fn times_of(statement: &Statement) -> Vec<&TimeClause> {
    match statement {
        Statement::ShowFiles { as_of: Some(clause), .. } => vec![clause],
        Statement::Begin(begin) => begin.as_of.iter().collect(),
        Statement::AlterFileStorage { action: StorageAction::PurgeBefore(clause) | StorageAction::AsOf(clause), .. } => vec![clause],
        Statement::AlterTable(alter) => {
            let times = alter.actions.iter().filter_map(|action| match action {
                AlterAction::PurgeBefore { time, .. } => Some(time),
                _ => None,
            });
            times.collect()
        }
        Statement::Set(settings) => {
            let times = settings.iter().filter_map(|setting| match setting {
                Setting::ReadTime { time, .. } => time.as_ref(),
                _ => None,
            });
            times.collect()
        }
        _ => Vec::new(),
    }
}

struct Reader {
    types: Vec<Option<SqlType>>,
    family: Family,
}

impl Reader {
    fn query(&mut self, query: &sql::Query) {
        let _ = walk(&query.query, self);
        query.as_of.iter().for_each(|clause| self.clause(clause));
    }

    /// The first use decides, as in PostgreSQL.
    fn note(&mut self, expr: &Expr, ty: SqlType) {
        if let Some(slot @ None) = number(expr).and_then(|n| self.types.get_mut(n)) {
            *slot = Some(ty);
        }
    }

    fn clause(&mut self, clause: &TimeClause) {
        // Casts in it first.
        let _ = walk(&clause.expr, self);
        match clause.kind {
            TimeKind::Tso => self.note(&clause.expr, SqlType::Int64 { unsigned: false }),
            TimeKind::Timestamp => self.moment(&clause.expr),
        }
    }

    /// A moment, or a moment and an interval.
    fn moment(&mut self, expr: &Expr) {
        match expr {
            Expr::Nested(inner) => self.moment(inner),
            Expr::BinaryOp { left, op: BinaryOperator::Plus | BinaryOperator::Minus, right } => {
                self.moment(left);
                self.note(right, SqlType::Interval);
            }
            other => self.note(other, SqlType::Timestamp { fsp: 6 }),
        }
    }
}

impl Visitor for Reader {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let whole = SqlType::Int64 { unsigned: false };
        match &query.limit_clause {
            Some(LimitClause::LimitOffset { limit, offset, .. }) => {
                limit.iter().chain(offset.iter().map(|o| &o.value)).for_each(|e| self.note(e, whole.clone()));
            }
            Some(LimitClause::OffsetCommaLimit { offset, limit }) => {
                [offset, limit].into_iter().for_each(|e| self.note(e, whole.clone()));
            }
            None => {}
        }
        if let Some(quantity) = query.fetch.as_ref().and_then(|f| f.quantity.as_ref()) {
            self.note(quantity, whole);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        if let TableFactor::Table { version: Some(version), .. } = factor
            && let Some(clause) = sql::table_clause(version)
        {
            self.clause(&clause);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Cast { expr: inner, data_type, .. } = expr
            && let Some(ty) = dialect::declared_type(data_type, self.family)
        {
            self.note(inner, ty);
        }
        ControlFlow::Continue(())
    }
}

/// The index of a parameter, from 0.
fn number(expr: &Expr) -> Option<usize> {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) => index(name),
        Expr::Nested(inner) => number(inner),
        _ => None,
    }
}

fn index(name: &str) -> Option<usize> {
    name.strip_prefix('$')?.parse::<usize>().ok()?.checked_sub(1)
}

/// What the plan knows of `$1`, `$2`, ..: the declared type of a column beside one, where there is a column.
pub(super) fn of_plan(plan: &LogicalPlan, count: usize) -> Vec<Option<SqlType>> {
    let mut types = vec![None; count];
    if count == 0 {
        return types;
    }
    let _ = plan.apply_with_subqueries(|node| {
        let mut schema = DFSchema::empty();
        node.inputs().iter().for_each(|input| schema.merge(input.schema()));
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                note(expr, &schema, &mut types)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })
    });
    types
}

fn note(expr: &PlanExpr, schema: &DFSchema, types: &mut [Option<SqlType>]) -> DfResult<()> {
    let mut set = |id: &str, ty: SqlType| {
        if let Some(slot @ None) = index(id).and_then(|n| types.get_mut(n)) {
            *slot = Some(ty);
        }
    };
    match expr {
        PlanExpr::Placeholder(Placeholder { id, field: Some(field) }) if field.data_type() != &DataType::Null => set(id, beside(field)),
        // `x = ANY($1)`
        PlanExpr::ScalarFunction(call) if call.name() == "array_has" => {
            if let [PlanExpr::Placeholder(Placeholder { id, field: None }), item] = call.args.as_slice()
                && let Ok((_, field)) = item.to_field(schema)
            {
                set(id, SqlType::List(Box::new(beside(&Arc::clone(&field)))));
            }
        }
        PlanExpr::ScalarFunction(call) if ["coalesce", "nullif", "greatest", "least"].contains(&call.name()) => {
            let typed = call.args.iter().filter(|arg| !matches!(arg, PlanExpr::Placeholder(_))).find_map(|arg| arg.to_field(schema).ok());
            for arg in &call.args {
                if let (PlanExpr::Placeholder(Placeholder { id, field: None }), Some((_, field))) = (arg, &typed) {
                    set(id, beside(field));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// The type of a parameter that stands beside a value of this field. Texts of all lengths are compared as text.
fn beside(field: &FieldRef) -> SqlType {
    match ColumnInfo::of_field(field, "").ty {
        SqlType::VarChar { .. } | SqlType::Enum { .. } | SqlType::Set { .. } => SqlType::Text,
        ty => ty,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_limits_and_time_clauses_tell_the_types_of_parameters() {
        let read = |text: &str| {
            let parsed = sql::parse(&sql::Dialect::POSTGRES, text).unwrap().remove(0);
            of_syntax(&parsed.statement, parsed.params, Family::Postgres)
        };
        let (int8, int4) = (SqlType::Int64 { unsigned: false }, SqlType::Int32 { unsigned: false });
        let moment = SqlType::Timestamp { fsp: 6 };
        for (text, types) in [
            ("SELECT $1::int, CAST($2 AS uuid), $3", vec![Some(int4.clone()), Some(SqlType::Uuid), None]),
            ("SELECT 1 LIMIT $1 OFFSET $2", vec![Some(int8.clone()), Some(int8.clone())]),
            ("SELECT 1 FETCH FIRST $1 ROWS ONLY", vec![Some(int8.clone())]),
            ("SELECT 1 WHERE 1 = ANY($1::oid[])", vec![Some(SqlType::List(Box::new(SqlType::Oid)))]),
            ("SELECT * FROM t AS OF TIMESTAMP $1", vec![Some(moment.clone())]),
            ("SELECT * FROM t AS OF TIMESTAMP now() - $1", vec![Some(SqlType::Interval)]),
            ("SELECT * FROM t AS OF TIMESTAMP $1 - $2", vec![Some(moment.clone()), Some(SqlType::Interval)]),
            ("SELECT * FROM t AS OF TSO $1", vec![Some(int8.clone())]),
            ("START TRANSACTION READ ONLY AS OF TIMESTAMP $1", vec![Some(moment.clone())]),
            ("ALTER FILESTORAGE oss PURGE BEFORE TIMESTAMP $1", vec![Some(moment.clone())]),
            ("ALTER FILESTORAGE oss AS OF TSO $1", vec![Some(int8.clone())]),
            ("ALTER TABLE t PURGE BEFORE TIMESTAMP $1", vec![Some(moment.clone())]),
            ("SHOW FILES FROM t AS OF TIMESTAMP $1", vec![Some(moment.clone())]),
            ("SET flashback_read_time = $1", vec![Some(moment.clone())]),
            ("UPDATE t SET a = $1::int WHERE b = $2", vec![Some(int4.clone()), None]),
            ("INSERT INTO t VALUES ($1::int)", vec![Some(int4)]),
        ] {
            assert_eq!(read(text), types, "{text}");
        }
    }
}
