//! A hot table as a table provider, and the query that the upstream gets for it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::EquivalenceProperties;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType};
use datafusion::physical_plan::{ExecutionPlan, Partitioning, PlanProperties};
use jiff::tz::TimeZone;

use super::predicate::PredicateWriter;
use super::scan::HotScan;
use crate::error::Result;
use crate::sql::{Dialect, printer};
use crate::types::Column;
use crate::upstream::{HotColumn, UpstreamHandle};

/// A hot table as a query sees it.
#[derive(Debug)]
pub(in crate::engine) struct HotTable {
    source: Arc<HotTableInfo>,
}

/// What is known of a hot table, and how its rows are read.
#[derive(Debug)]
pub(super) struct HotTableInfo {
    /// Its name as the client wrote it: only the upstream knows what it means.
    pub(super) written: String,
    pub(super) schema: SchemaRef,
    columns: Arc<[HotColumn]>,
    pub(super) upstream: UpstreamHandle,
    pub(super) dialect: Dialect,
    pub(super) zone: TimeZone,
}

impl HotTable {
    /// Learns from the upstream what columns it has.
    pub(in crate::engine) async fn of(
        written: &str,
        database: &str,
        name: &str,
        upstream: &UpstreamHandle,
        dialect: Dialect,
        zone: &TimeZone,
    ) -> Result<HotTable> {
        let columns: Arc<[HotColumn]> = upstream.describe(format!("SELECT * FROM {written} LIMIT 0")).await?.into();
        let fields: Vec<_> = columns.iter().map(|column| column_of(column).field(database, name)).collect();
        let (written, schema) = (written.to_owned(), Arc::new(Schema::new(fields)));
        Ok(HotTable {
            source: Arc::new(HotTableInfo { written, schema, columns, upstream: upstream.clone(), dialect, zone: zone.clone() }),
        })
    }
}

impl HotTableInfo {
    pub(super) fn predicates(&self) -> PredicateWriter<'_> {
        PredicateWriter { columns: &self.columns, schema: &self.schema, dialect: &self.dialect }
    }
}

/// The query that the upstream gets for a table.
#[derive(Debug, Clone)]
pub(super) struct UpstreamQuery {
    pub(super) source: Arc<HotTableInfo>,
    /// Columns of the table.
    pub(super) wanted: Vec<usize>,
    pub(super) predicates: Vec<String>,
    pub(super) limit: Option<usize>,
}

impl UpstreamQuery {
    fn new(source: &Arc<HotTableInfo>, wanted: &[usize], filters: &[Expr], limit: Option<usize>) -> UpstreamQuery {
        let writer = source.predicates();
        let predicates: Vec<String> = filters.iter().filter_map(|filter| writer.predicate(filter).map(|(text, _)| text)).collect();
        let limit = limit.filter(|_| predicates.len() == filters.len());
        UpstreamQuery { source: Arc::clone(source), wanted: wanted.to_vec(), predicates, limit }
    }

    /// As it is sent: MySQL's sql_select_limit is for what the client asks, not for what that needs.
    pub(super) fn sent(&self) -> String {
        let unlimited = self.source.dialect.is_mysql() && self.limit.is_none();
        if unlimited { format!("{self} LIMIT {}", u64::MAX) } else { self.to_string() }
    }

    pub(super) fn columns(&self) -> impl Iterator<Item = &HotColumn> {
        self.wanted.iter().map(|index| &self.source.columns[*index])
    }
}

impl fmt::Display for UpstreamQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let column = |column: &HotColumn| {
            let quoted = printer::quoted(&self.source.dialect, &column.name);
            column.fetch.map_or_else(|| quoted.clone(), |form| form.replace("{}", &quoted))
        };
        let items: Vec<String> = self.columns().map(column).collect();
        write!(f, "SELECT {} FROM {}", if items.is_empty() { "1".to_owned() } else { items.join(", ") }, self.source.written)?;
        if !self.predicates.is_empty() {
            write!(f, " WHERE {}", self.predicates.join(" AND "))?;
        }
        self.limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
    }
}

pub(super) fn column_of(column: &HotColumn) -> Column {
    Column { id: 0, name: column.name.clone(), ty: column.ty.clone(), nullable: column.nullable, default: None, comment: String::new() }
}

#[async_trait]
impl TableProvider for HotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.source.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        let writer = self.source.predicates();
        let pushdown = |filter: &&Expr| match writer.predicate(filter) {
            None => TableProviderFilterPushDown::Unsupported,
            Some((_, true)) => TableProviderFilterPushDown::Exact,
            Some((_, false)) => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(pushdown).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let whole: Vec<usize> = (0..self.source.columns.len()).collect();
        let wanted = projection.unwrap_or(&whole);
        let schema = Arc::new(self.source.schema.project(wanted)?);
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        let query = UpstreamQuery::new(&self.source, wanted, filters, limit);
        Ok(Arc::new(HotScan::new(query, schema, properties)))
    }
}
