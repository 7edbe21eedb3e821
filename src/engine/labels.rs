//! The labels of result columns: what the client wrote, or the declared names that a `*` stands for.

use datafusion::common::TableReference;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use super::dialect::Label;
use crate::types::{ColumnInfo, Family, SqlType, fold, meta};

/// Pairs the plan's output columns with the labels of the select list. A wildcard stands for as many columns as are left.
pub(super) fn label_columns(plan: &LogicalPlan, labels: &[Label], family: Family) -> Vec<ColumnInfo> {
    let schema = plan.schema();
    let fields = schema.fields();
    let wildcards = labels.iter().filter(|l| matches!(l, Label::Wildcard(_))).count();
    let fixed = labels.len() - wildcards;
    let mut widths = Vec::with_capacity(labels.len());
    for label in labels {
        widths.push(match label {
            Label::Fixed(_) => 1,
            Label::Wildcard(_) if wildcards == 1 => fields.len().saturating_sub(fixed),
            Label::Wildcard(qualifier) => qualified_width(plan, qualifier.as_deref()),
        });
    }
    let mut out = Vec::with_capacity(fields.len());
    let exact = widths.iter().sum::<usize>() == fields.len();
    let mut next = fields.iter();
    if exact {
        for (label, width) in labels.iter().zip(&widths) {
            for field in next.by_ref().take(*width) {
                let name = match label {
                    Label::Fixed(text) => text.clone(),
                    Label::Wildcard(_) => declared(field),
                };
                out.push(ColumnInfo::of_field(field, name));
            }
        }
    } else {
        out.extend(next.map(|field| ColumnInfo::of_field(field, declared(field))));
    }
    for (column, alias) in out.iter_mut().zip(table_aliases(plan)) {
        // Aliases are folded; a table under its own name keeps the case that it was declared with.
        if let (Some(origin), Some(alias)) = (&mut column.origin, alias)
            && fold(&origin.table) != alias
        {
            origin.alias = alias;
        }
    }
    if family == Family::Postgres {
        // What asyncpg asks about a type it does not know must itself be of types it knows: int4[] is none of them.
        let oids =
            out.iter_mut().filter(|c| c.label == "attrtypoids" && c.ty == SqlType::List(Box::new(SqlType::Int32 { unsigned: false })));
        oids.for_each(|column| column.ty = SqlType::List(Box::new(SqlType::Oid)));
    }
    out
}

/// What the query calls the table of each output column; None for what is computed.
fn table_aliases(plan: &LogicalPlan) -> Vec<Option<String>> {
    let qualifier = |relation: Option<&TableReference>| relation.map(|r| r.table().to_owned());
    match plan {
        LogicalPlan::Sort(sort) if sort.input.schema().fields().len() == plan.schema().fields().len() => table_aliases(&sort.input),
        LogicalPlan::Limit(limit) => table_aliases(&limit.input),
        LogicalPlan::Distinct(Distinct::All(input)) => table_aliases(input),
        LogicalPlan::Projection(projection) if projection.expr.len() == plan.schema().fields().len() => projection
            .expr
            .iter()
            .map(|expr| match expr.clone().unalias() {
                Expr::Column(column) => qualifier(column.relation.as_ref()),
                _ => None,
            })
            .collect(),
        _ => plan.schema().iter().map(|(relation, _)| qualifier(relation)).collect(),
    }
}

/// The name as declared, when the field still is that column; else the plan's own name.
fn declared(field: &datafusion::arrow::datatypes::FieldRef) -> String {
    match field.metadata().get(meta::NAME) {
        // A column beside another of the same name was given a name by the rewrite.
        Some(name) if fold(name) == *field.name() || field.name().starts_with("fg:") => name.clone(),
        _ => field.name().clone(),
    }
}

/// How many columns `q.*` stands for: those that its input qualifies so.
fn qualified_width(plan: &LogicalPlan, qualifier: Option<&str>) -> usize {
    let input = match plan {
        LogicalPlan::Projection(projection) => projection.input.as_ref(),
        LogicalPlan::Sort(sort) => return qualified_width(&sort.input, qualifier),
        LogicalPlan::Limit(limit) => return qualified_width(&limit.input, qualifier),
        LogicalPlan::Distinct(Distinct::All(input)) => return qualified_width(input, qualifier),
        _ => return plan.schema().fields().len(),
    };
    let schema = input.schema();
    match qualifier {
        None => schema.fields().len(),
        Some(name) => schema.iter().filter(|(q, _)| q.is_some_and(|q| fold(q.table()) == fold(name))).count(),
    }
}
