//! Hot tables in a query: what the upstream can narrow down is asked of it, and its rows are here before the query begins.
//!
//! There is one connection, the client's own, and it answers one thing after the other; so each hot table is fetched whole,
//! one after the other, within the engine's memory.

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::TryStreamExt;
use jiff::tz::TimeZone;

use super::hot_filter::Asked;
use crate::error::{Error, Result};
use crate::sql::{Dialect, printer};
use crate::types::coerce::coerce;
use crate::types::{Column, SqlType};
use crate::upstream::{HiddenNames, HotColumn, Lane};

/// The way to the hot tables of a statement.
#[derive(Debug, Clone)]
pub struct HotAccess {
    /// The client's own connection.
    pub lane: Lane,
    /// Names without a qualifier that are the upstream's.
    pub hidden: HiddenNames,
}

/// A hot table as a query sees it.
#[derive(Debug)]
pub(super) struct HotTable {
    /// Its name as the client wrote it: only the upstream knows what it means.
    written: String,
    schema: SchemaRef,
    columns: Arc<[HotColumn]>,
    reader: Reader,
}

/// How its rows are read.
#[derive(Debug, Clone)]
struct Reader {
    lane: Lane,
    dialect: Dialect,
    zone: TimeZone,
}

impl HotTable {
    /// Learns from the upstream what columns it has.
    pub(super) async fn of(written: &str, database: &str, name: &str, lane: &Lane, dialect: Dialect, zone: &TimeZone) -> Result<HotTable> {
        let columns: Arc<[HotColumn]> = lane.describe(format!("SELECT * FROM {written} LIMIT 0")).await?.into();
        let fields: Vec<_> = columns.iter().map(|column| column_of(column).field(database, name)).collect();
        let reader = Reader { lane: lane.clone(), dialect, zone: zone.clone() };
        Ok(HotTable { written: written.to_owned(), schema: Arc::new(Schema::new(fields)), columns, reader })
    }

    fn asked(&self) -> Asked<'_> {
        Asked { columns: &self.columns, schema: &self.schema, dialect: &self.reader.dialect, zone: &self.reader.zone }
    }

    /// What the upstream is sent.
    fn query(&self, wanted: &[usize], filters: &[Expr], limit: Option<usize>) -> String {
        let column = |index: &usize| {
            let column = &self.columns[*index];
            let quoted = printer::quoted(&self.reader.dialect, &column.name);
            column.fetch.map_or_else(|| quoted.clone(), |form| form.replace("{}", &quoted))
        };
        let items: Vec<String> = wanted.iter().map(column).collect();
        let items = if items.is_empty() { "1".to_owned() } else { items.join(", ") };
        let asked = self.asked();
        let predicates: Vec<String> = filters.iter().filter_map(|filter| asked.predicate(filter).map(|(text, _)| text)).collect();
        let whole = predicates.len() == filters.len();
        let mut text = format!("SELECT {items} FROM {}", self.written);
        if !predicates.is_empty() {
            text = format!("{text} WHERE {}", predicates.join(" AND "));
        }
        if let Some(limit) = limit.filter(|_| whole) {
            text = format!("{text} LIMIT {limit}");
        }
        text
    }
}

fn column_of(column: &HotColumn) -> Column {
    Column { id: 0, name: column.name.clone(), ty: column.ty.clone(), nullable: column.nullable, default: None, comment: String::new() }
}

#[async_trait]
impl TableProvider for HotTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        let asked = self.asked();
        let judge = |filter: &&Expr| match asked.predicate(filter) {
            None => TableProviderFilterPushDown::Unsupported,
            Some((_, true)) => TableProviderFilterPushDown::Exact,
            Some((_, false)) => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(judge).collect())
    }

    async fn scan(
        &self,
        _: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let whole: Vec<usize> = (0..self.columns.len()).collect();
        let wanted = projection.unwrap_or(&whole);
        let schema = Arc::new(self.schema.project(wanted)?);
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(Arc::clone(&schema)),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        Ok(Arc::new(HotScan {
            query: self.query(wanted, filters, limit),
            table: self.written.clone(),
            columns: wanted.iter().map(|index| column_of(&self.columns[*index])).collect(),
            schema,
            reader: self.reader.clone(),
            fetched: Arc::default(),
            properties,
        }))
    }
}

/// The rows of a hot table, with what they take of the engine's memory.
struct Fetched {
    batches: Vec<RecordBatch>,
    _memory: MemoryReservation,
}

/// The scan's physical node.
pub(super) struct HotScan {
    /// What the upstream is sent.
    pub(super) query: String,
    pub(super) table: String,
    columns: Vec<Column>,
    schema: SchemaRef,
    reader: Reader,
    fetched: Arc<OnceLock<Arc<Fetched>>>,
    properties: Arc<PlanProperties>,
}

impl HotScan {
    async fn fetch(
        (query, columns, schema, reader): (String, Vec<Column>, SchemaRef, Reader),
        pool: &Arc<dyn MemoryPool>,
    ) -> DfResult<Fetched> {
        let memory = MemoryConsumer::new("hot rows").register(pool);
        let types: Vec<SqlType> = columns.iter().map(|column| column.ty.clone()).collect();
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut rows = 0;
        // An error of DataFusion's has to come out as it is.
        let mut full = None;
        let family = reader.dialect.family;
        let taken = reader
            .lane
            .rows(query, types, |batch| {
                let arrays: Vec<ArrayRef> = columns
                    .iter()
                    .zip(batch.columns())
                    .map(|(column, array)| match array.data_type() == &column.ty.arrow() {
                        true => Ok(Arc::clone(array)),
                        false => coerce(array, column, family, &reader.zone, rows),
                    })
                    .collect::<Result<_>>()?;
                rows += batch.num_rows() as u64;
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)
                    .map_err(|error| Error::internal(error.to_string()))?;
                if let Err(error) = memory.try_grow(batch.get_array_memory_size()) {
                    full = Some(error);
                    return Err(Error::internal("no memory"));
                }
                batches.push(batch);
                Ok(())
            })
            .await;
        match (full, taken) {
            (Some(full), _) => Err(full),
            (None, Err(error)) => Err(DataFusionError::External(Box::new(error))),
            (None, Ok(())) => Ok(Fetched { batches, _memory: memory }),
        }
    }

    fn parts(&self) -> (String, Vec<Column>, SchemaRef, Reader) {
        (self.query.clone(), self.columns.clone(), Arc::clone(&self.schema), self.reader.clone())
    }
}

/// The hot scans of a plan, in its order.
pub(super) fn scans(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn ExecutionPlan>> {
    let mut found = Vec::new();
    if plan.downcast_ref::<HotScan>().is_some() {
        found.push(Arc::clone(plan));
    }
    plan.children().into_iter().for_each(|child| found.extend(scans(child)));
    found
}

/// Fetches the rows of all hot tables of a plan that is about to run.
pub(super) async fn fetch_all(plan: &Arc<dyn ExecutionPlan>, pool: &Arc<dyn MemoryPool>) -> DfResult<()> {
    for plan in scans(plan) {
        let Some(scan) = plan.downcast_ref::<HotScan>() else { continue };
        if scan.fetched.get().is_none() {
            let fetched = HotScan::fetch(scan.parts(), pool).await?;
            let _ = scan.fetched.set(Arc::new(fetched));
        }
    }
    Ok(())
}

impl fmt::Debug for HotScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotScan").field("query", &self.query).finish_non_exhaustive()
    }
}

impl DisplayAs for HotScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HotScan: {}", self.query)
    }
}

impl ExecutionPlan for HotScan {
    fn name(&self) -> &str {
        "HotScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>) -> DfResult<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, _: usize, context: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let (fetched, parts) = (self.fetched.get().cloned(), self.parts());
        // A plan within an expression is not seen before the query runs.
        let rows = futures::stream::once(async move {
            let fetched = match fetched {
                Some(fetched) => fetched,
                None => Arc::new(HotScan::fetch(parts, context.memory_pool()).await?),
            };
            let count = fetched.batches.len();
            Ok::<_, DataFusionError>(futures::stream::iter((0..count).map(move |index| Ok(fetched.batches[index].clone()))))
        })
        .try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }
}
