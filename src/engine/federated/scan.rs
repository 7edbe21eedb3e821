//! The scan of a hot table: its rows come over the client's own connection, once.

use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Result as DfResult;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::{TryStreamExt, stream};

use super::rows::{FetchedRows, RowBuffer};
use super::table::{UpstreamQuery, column_of};
use crate::error::{Error, Result};
use crate::types::coerce::coerce;
use crate::types::{Column, SqlType};

/// The scan's physical node.
pub(in crate::engine) struct HotScan {
    pub(super) query: UpstreamQuery,
    schema: SchemaRef,
    /// Once they are fetched.
    rows: Arc<OnceLock<Arc<FetchedRows>>>,
    properties: Arc<PlanProperties>,
}

impl HotScan {
    /// A scan whose rows are not fetched yet.
    pub(super) fn new(query: UpstreamQuery, schema: SchemaRef, properties: Arc<PlanProperties>) -> HotScan {
        HotScan { query, schema, rows: Arc::default(), properties }
    }

    /// The name of its table, as the client wrote it.
    pub(in crate::engine) fn table(&self) -> &str {
        &self.query.source.written
    }

    /// What the upstream is sent.
    pub(in crate::engine) fn sent_query(&self) -> String {
        self.query.to_string()
    }

    /// The same scan with a further condition; None: the same scan.
    pub(super) fn with(&self, predicate: Option<String>) -> HotScan {
        let mut query = self.query.clone();
        query.predicates.extend(predicate);
        HotScan { query, schema: Arc::clone(&self.schema), rows: Arc::default(), properties: Arc::clone(&self.properties) }
    }

    /// The same scan without any row.
    pub(super) fn without_rows(&self, context: &TaskContext) -> DfResult<HotScan> {
        let none = RowBuffer::new(&self.schema, &context.runtime_env()).finish()?;
        Ok(HotScan { rows: Arc::new(OnceLock::from(Arc::new(none))), ..self.with(None) })
    }

    /// Its rows, which are fetched if they are not there.
    async fn fetch(
        query: UpstreamQuery,
        schema: SchemaRef,
        rows: Arc<OnceLock<Arc<FetchedRows>>>,
        context: Arc<TaskContext>,
    ) -> DfResult<Arc<FetchedRows>> {
        if let Some(rows) = rows.get() {
            return Ok(Arc::clone(rows));
        }
        let mut fetching = RowBuffer::new(&schema, &context.runtime_env());
        let columns: Vec<Column> = query.columns().map(column_of).collect();
        let types: Vec<SqlType> = columns.iter().map(|column| column.ty.clone()).collect();
        let source = &query.source;
        let mut count = 0;
        // An error of DataFusion's has to come out as it is.
        let mut failed = None;
        let taken = source
            .upstream
            .rows(query.sent(), types, |batch| {
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

    pub(super) fn fetched(&self, context: &Arc<TaskContext>) -> impl Future<Output = DfResult<Arc<FetchedRows>>> + Send + use<> {
        HotScan::fetch(self.query.clone(), Arc::clone(&self.schema), Arc::clone(&self.rows), Arc::clone(context))
    }
}

/// The hot scans of a plan, in its order.
pub(in crate::engine) fn scans(plan: &Arc<dyn ExecutionPlan>) -> Vec<Arc<dyn ExecutionPlan>> {
    let mut found = Vec::new();
    if plan.downcast_ref::<HotScan>().is_some() {
        found.push(Arc::clone(plan));
    }
    plan.children().into_iter().for_each(|child| found.extend(scans(child)));
    found
}

impl fmt::Debug for HotScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotScan").field("query", &self.sent_query()).finish_non_exhaustive()
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
        // A plan within an expression is not seen before the query runs.
        let rows = stream::once(self.fetched(&context)).map_ok(|rows| rows.stream()).try_flatten();
        Ok(Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), rows)))
    }
}
