//! Hot tables in a query: what the upstream can narrow down is asked of it, and its rows are here before the query begins.
//!
//! There is one connection, the client's own, and it answers one thing after the other; so each hot table is fetched whole,
//! one after the other ([`rows`]). A join whose other side turns out to have few keys is asked for those only
//! ([`narrowing`]).

mod filter;
mod narrowing;
mod rows;

use std::fmt;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{TryStreamExt, stream};
use jiff::tz::TimeZone;

use self::filter::Asked;
pub(super) use self::narrowing::with_rows;
use self::rows::{Fetching, Rows};
use crate::error::{Error, Result};
use crate::sql::{Dialect, printer};
use crate::types::coerce::coerce;
use crate::types::{Column, SqlType};
use crate::upstream::{HiddenNames, HotColumn, UpstreamHandle};

/// The way to the hot tables of a statement.
#[derive(Debug, Clone)]
pub struct HotAccess {
    /// The client's own connection.
    pub upstream: UpstreamHandle,
    /// Names without a qualifier that are the upstream's.
    pub hidden: HiddenNames,
}

/// A hot table as a query sees it.
#[derive(Debug)]
pub(super) struct HotTable {
    source: Arc<Source>,
}

/// What is known of a hot table, and how its rows are read.
#[derive(Debug)]
struct Source {
    /// Its name as the client wrote it: only the upstream knows what it means.
    written: String,
    schema: SchemaRef,
    columns: Arc<[HotColumn]>,
    upstream: UpstreamHandle,
    dialect: Dialect,
    zone: TimeZone,
}

impl HotTable {
    /// Learns from the upstream what columns it has.
    pub(super) async fn of(
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
        Ok(HotTable { source: Arc::new(Source { written, schema, columns, upstream: upstream.clone(), dialect, zone: zone.clone() }) })
    }
}

impl Source {
    fn asked(&self) -> Asked<'_> {
        Asked { columns: &self.columns, schema: &self.schema, dialect: &self.dialect }
    }
}

/// What the upstream is asked for.
#[derive(Debug, Clone)]
struct Question {
    source: Arc<Source>,
    /// Columns of the table.
    wanted: Vec<usize>,
    predicates: Vec<String>,
    limit: Option<usize>,
}

impl Question {
    fn new(source: &Arc<Source>, wanted: &[usize], filters: &[Expr], limit: Option<usize>) -> Question {
        let asked = source.asked();
        let predicates: Vec<String> = filters.iter().filter_map(|filter| asked.predicate(filter).map(|(text, _)| text)).collect();
        let limit = limit.filter(|_| predicates.len() == filters.len());
        Question { source: Arc::clone(source), wanted: wanted.to_vec(), predicates, limit }
    }

    /// As it is sent: MySQL's sql_select_limit is for what the client asks, not for what that needs.
    fn sent(&self) -> String {
        let unlimited = self.source.dialect.is_mysql() && self.limit.is_none();
        if unlimited { format!("{self} LIMIT {}", u64::MAX) } else { self.to_string() }
    }

    fn columns(&self) -> impl Iterator<Item = &HotColumn> {
        self.wanted.iter().map(|index| &self.source.columns[*index])
    }
}

impl fmt::Display for Question {
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

fn column_of(column: &HotColumn) -> Column {
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
        let asked = self.source.asked();
        let resolver = |filter: &&Expr| match asked.predicate(filter) {
            None => TableProviderFilterPushDown::Unsupported,
            Some((_, true)) => TableProviderFilterPushDown::Exact,
            Some((_, false)) => TableProviderFilterPushDown::Inexact,
        };
        Ok(filters.iter().map(resolver).collect())
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
        let question = Question::new(&self.source, wanted, filters, limit);
        Ok(Arc::new(HotScan { question, schema, rows: Arc::default(), properties }))
    }
}

/// The scan's physical node.
pub(super) struct HotScan {
    question: Question,
    schema: SchemaRef,
    /// Once they are fetched.
    rows: Arc<OnceLock<Arc<Rows>>>,
    properties: Arc<PlanProperties>,
}

impl HotScan {
    /// The name of its table, as the client wrote it.
    pub(super) fn table(&self) -> &str {
        &self.question.source.written
    }

    /// What the upstream is sent.
    pub(super) fn query(&self) -> String {
        self.question.to_string()
    }

    /// The same scan with a further condition; None: it is narrowed by nothing.
    fn with(&self, predicate: Option<String>) -> HotScan {
        let mut question = self.question.clone();
        question.predicates.extend(predicate);
        HotScan { question, schema: Arc::clone(&self.schema), rows: Arc::default(), properties: Arc::clone(&self.properties) }
    }

    /// The same scan, of which nothing is wanted.
    fn without_rows(&self, context: &TaskContext) -> DfResult<HotScan> {
        let none = Fetching::new(&self.schema, &context.runtime_env()).finish()?;
        Ok(HotScan { rows: Arc::new(OnceLock::from(Arc::new(none))), ..self.with(None) })
    }

    /// Its rows, which are fetched if they are not there.
    async fn fetch(
        question: Question,
        schema: SchemaRef,
        rows: Arc<OnceLock<Arc<Rows>>>,
        context: Arc<TaskContext>,
    ) -> DfResult<Arc<Rows>> {
        if let Some(rows) = rows.get() {
            return Ok(Arc::clone(rows));
        }
        let mut fetching = Fetching::new(&schema, &context.runtime_env());
        let columns: Vec<Column> = question.columns().map(column_of).collect();
        let types: Vec<SqlType> = columns.iter().map(|column| column.ty.clone()).collect();
        let source = &question.source;
        let mut count = 0;
        // An error of DataFusion's has to come out as it is.
        let mut failed = None;
        let taken = source
            .upstream
            .rows(question.sent(), types, |batch| {
                let arrays: Vec<ArrayRef> = columns
                    .iter()
                    .zip(batch.columns())
                    .map(|(column, array)| match array.data_type() == &column.ty.arrow() {
                        true => Ok(Arc::clone(array)),
                        false => coerce(array, column, source.dialect.family, &source.zone, count),
                    })
                    .collect::<Result<_>>()?;
                count += batch.num_rows() as u64;
                let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
                let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)
                    .map_err(|error| Error::internal(error.to_string()))?;
                fetching.push(batch).map_err(|error| {
                    failed = Some(error);
                    Error::internal("no room for rows")
                })
            })
            .await;
        match (failed, taken) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(DataFusionError::External(Box::new(error))),
            (None, Ok(())) => Ok(Arc::clone(rows.get_or_init({
                let all = Arc::new(fetching.finish()?);
                || all
            }))),
        }
    }

    fn fetched(&self, context: &Arc<TaskContext>) -> impl Future<Output = DfResult<Arc<Rows>>> + Send + use<> {
        HotScan::fetch(self.question.clone(), Arc::clone(&self.schema), Arc::clone(&self.rows), Arc::clone(context))
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

impl fmt::Debug for HotScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotScan").field("question", &self.query()).finish_non_exhaustive()
    }
}

impl DisplayAs for HotScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HotScan: {}", self.question)
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
        // A plan within an expression is not seen before the query runs.
        let rows = stream::once(self.fetched(&context)).map_ok(|rows| rows.stream()).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }
}
