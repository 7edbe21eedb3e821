//! A cold table at one read time, as DataFusion reads it.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, Result as DfResult, Statistics};
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::statistics::StatisticsArgs;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, Partitioning, PlanProperties};
use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;

use super::prune::prune_files;
use super::storage::OpenedStorage;
use super::transaction::Staged;
use super::unit::{ParseBudget, Unit};
use crate::error::Result;
use crate::gms::{FileVersion, Snapshot};
use crate::time::Tso;

/// Hidden column: the id of the file version a row comes from.
pub const FILE_COLUMN: &str = "__fg_file";
/// Hidden column: the row's number within its file.
pub const ROW_COLUMN: &str = "__fg_row";

/// Files with more rows than this are shared among partitions by stripes.
const SPLIT_ROWS: u64 = 200_000;
/// Up to this many rows in this many files are read one after the other, in commit order: threads would gain nothing,
/// and people like to see rows in the order in which they came.
const FEW: (u64, usize) = (8192, 32);

/// What a query sees of one table: a snapshot, with the transaction's own changes on top.
#[derive(Debug, Clone)]
pub struct TableView {
    /// Files visible at the read time.
    pub snapshot: Arc<Snapshot>,
    /// The transaction's own changes, when the query reads at the transaction's time.
    pub staged: Option<Arc<Staged>>,
    /// Where its files lie.
    pub place: OpenedStorage,
}

/// What a scan kept and left out, for EXPLAIN and metrics.
#[derive(Debug, Clone, Default)]
pub struct ScanReport {
    /// `database.table`.
    pub table: String,
    /// Read time.
    pub at: Tso,
    /// Reads below this are refused.
    pub horizon: Tso,
    /// File versions that the table has, of all times.
    pub versions: usize,
    /// Files visible at the read time.
    pub visible: usize,
    /// Files left out by their column ranges.
    pub pruned: usize,
    /// The columns whose ranges were used.
    pub pruned_by: Vec<String>,
    /// Rows in the files that stay.
    pub rows: u64,
    /// Bytes of the files that stay.
    pub bytes: u64,
}

/// The table provider of one table reference.
pub struct ColdTable {
    view: TableView,
    schema: SchemaRef,
    positions: bool,
    report: Arc<Mutex<ScanReport>>,
}

impl fmt::Debug for ColdTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColdTable").field("table", &self.view.snapshot.table.name).field("at", &self.view.snapshot.at).finish()
    }
}

impl ColdTable {
    /// With `positions`, two hidden columns tell each row's place; row group pruning is then off.
    pub fn new(view: TableView, positions: bool) -> ColdTable {
        let table = &view.snapshot.table;
        let mut fields: Vec<Field> = view.snapshot.columns.iter().map(|c| c.field(&table.database, &table.name)).collect();
        if positions {
            fields.push(Field::new(FILE_COLUMN, DataType::UInt64, false));
            fields.push(Field::new(ROW_COLUMN, DataType::UInt64, false));
        }
        let files = view.files();
        let report = ScanReport {
            table: format!("{}.{}", table.database, table.name),
            at: view.snapshot.at,
            horizon: view.snapshot.horizon,
            versions: view.snapshot.total_versions,
            visible: files.len(),
            rows: files.iter().map(|f| f.rows).sum(),
            bytes: files.iter().map(|f| f.bytes).sum(),
            ..ScanReport::default()
        };
        ColdTable { view, schema: Arc::new(Schema::new(fields)), positions, report: Arc::new(Mutex::new(report)) }
    }

    /// What the scan kept and left out; complete once the query is planned.
    pub fn report(&self) -> Arc<Mutex<ScanReport>> {
        Arc::clone(&self.report)
    }
}

impl TableView {
    /// The files that the query reads: the snapshot's without those the transaction replaced, and the transaction's own.
    pub fn files(&self) -> Vec<Arc<FileVersion>> {
        match &self.staged {
            None => self.snapshot.files.clone(),
            Some(staged) => {
                let kept = self.snapshot.files.iter().filter(|f| !staged.removed.contains(&f.id)).cloned();
                kept.chain(staged.files.iter().map(|f| Arc::clone(&f.version))).collect()
            }
        }
    }
}

#[async_trait]
impl TableProvider for ColdTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> DfResult<Vec<TableProviderFilterPushDown>> {
        // Ranges only exclude whole files and row groups: every row is judged again above.
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> DfResult<Arc<dyn ExecutionPlan>> {
        let table_columns = &self.view.snapshot.columns;
        let whole: Vec<usize> = (0..self.schema.fields().len()).collect();
        let wanted = projection.unwrap_or(&whole);
        let output = Arc::new(self.schema.project(wanted)?);
        let columns: Vec<usize> = wanted.iter().copied().filter(|i| *i < table_columns.len()).collect();

        let filter = physical(state, filters, &self.schema)?;
        let kept = prune_files(&self.view.files(), table_columns, &self.schema, filter.as_ref());
        {
            let mut report = self.report.lock();
            report.pruned = kept.pruned;
            report.pruned_by = if kept.pruned > 0 { kept.by.clone() } else { Vec::new() };
            report.rows = kept.files.iter().map(|f| f.rows).sum();
            report.bytes = kept.files.iter().map(|f| f.bytes).sum();
        }

        let mut inner_fields: Vec<_> = columns.iter().map(|i| Arc::clone(&self.schema.fields()[*i])).collect();
        if self.positions {
            inner_fields.extend(self.schema.fields()[table_columns.len()..].iter().cloned());
        }
        let inner_schema = Arc::new(Schema::new(inner_fields));
        let usable = usable_filters(filters, &inner_schema);
        let staged_columns = columns.clone();
        let reading = Arc::new(ParseBudget {
            table: Arc::clone(&self.view.snapshot.table),
            columns: columns.iter().map(|i| table_columns[*i].clone()).collect(),
            staged_columns,
            filter: physical(state, &usable, &inner_schema)?,
            schema: inner_schema,
            positions: self.positions,
            place: self.view.place.clone(),
            batch_size: state.config().batch_size(),
            limit: if filters.is_empty() { limit } else { None },
        });
        let partitions = self.partitions(&reading, kept.files, state.config().target_partitions()).await?;
        let exact = filters.is_empty();
        Ok(Arc::new(ColdScan::new(reading, output, partitions, Arc::clone(&self.report), exact)))
    }
}

impl ColdTable {
    /// Deals the files (and stripes of large ones) to partitions, by rows.
    async fn partitions(&self, reading: &ParseBudget, files: Vec<Arc<FileVersion>>, target: usize) -> DfResult<Vec<Vec<Unit>>> {
        let target = target.max(1);
        let mut units: Vec<(u64, Unit)> = Vec::new();
        for file in files {
            if file.rows <= SPLIT_ROWS || self.positions || target == 1 {
                units.push((file.rows, Unit::File { file, stripes: None }));
                continue;
            }
            let stripes = reading.open(&file).await.map_err(external)?.stripes();
            let share = file.rows / stripes.max(1) as u64;
            for stripe in 0..stripes {
                units.push((share, Unit::File { file: Arc::clone(&file), stripes: Some(stripe..stripe + 1) }));
            }
        }
        let mut first_row = 0;
        for batch in self.view.staged.iter().flat_map(|s| s.batches.iter()) {
            units.push((batch.num_rows() as u64, Unit::Memory { batch: batch.clone(), first_row }));
            first_row += batch.num_rows() as u64;
        }
        if units.is_empty() {
            return Ok(vec![Vec::new()]);
        }
        if units.iter().map(|(rows, _)| rows).sum::<u64>() <= FEW.0 && units.len() <= FEW.1 {
            return Ok(vec![units.into_iter().map(|(_, unit)| unit).collect()]);
        }
        let mut partitions: Vec<(u64, Vec<Unit>)> = vec![(0, Vec::new()); target.min(units.len())];
        for (rows, unit) in units {
            if let Some(lightest) = partitions.iter_mut().min_by_key(|(load, _)| *load) {
                lightest.0 += rows.max(1);
                lightest.1.push(unit);
            }
        }
        Ok(partitions.into_iter().map(|(_, units)| units).collect())
    }
}

/// The conjunction of `filters` as a physical expression over `schema`; None when there is none.
fn physical(state: &dyn Session, filters: &[Expr], schema: &SchemaRef) -> DfResult<Option<Arc<dyn PhysicalExpr>>> {
    let Some(all) = conjunction(filters.to_vec()) else { return Ok(None) };
    let schema = DFSchema::try_from(Schema::clone(schema))?;
    Ok(state.create_physical_expr(all, &schema).ok())
}

/// Those filters whose columns are all read.
fn usable_filters(filters: &[Expr], schema: &SchemaRef) -> Vec<Expr> {
    filters.iter().filter(|f| f.column_refs().iter().all(|c| schema.index_of(&c.name).is_ok())).cloned().collect()
}

/// Carries our error through DataFusion; [`crate::engine`] takes it out again.
pub(crate) fn external(error: crate::error::Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// The scan's physical node: a leaf that holds only plain data, so that it can be serialised to run elsewhere.
pub struct ColdScan {
    reading: Arc<ParseBudget>,
    /// Positions of the output's columns within the reading's schema.
    arrange: Option<Vec<usize>>,
    partitions: Vec<Vec<Unit>>,
    report: Arc<Mutex<ScanReport>>,
    exact: bool,
    properties: Arc<PlanProperties>,
}

impl ColdScan {
    fn new(
        reading: Arc<ParseBudget>,
        output: SchemaRef,
        partitions: Vec<Vec<Unit>>,
        report: Arc<Mutex<ScanReport>>,
        exact: bool,
    ) -> ColdScan {
        let arrange = if output.fields() == reading.schema.fields() {
            None
        } else {
            Some(output.fields().iter().filter_map(|f| reading.schema.index_of(f.name()).ok()).collect())
        };
        let properties = Arc::new(PlanProperties::new(
            EquivalenceProperties::new(output),
            Partitioning::UnknownPartitioning(partitions.len()),
            EmissionType::Incremental,
            Boundedness::Bounded,
        ));
        ColdScan { reading, arrange, partitions, report, exact, properties }
    }

    fn rows_of(units: &[Unit]) -> Option<usize> {
        units
            .iter()
            .map(|unit| match unit {
                Unit::File { file, stripes: None } => Some(file.rows as usize),
                Unit::File { .. } => None,
                Unit::Memory { batch, .. } => Some(batch.num_rows()),
            })
            .sum()
    }

    fn total_rows(&self) -> usize {
        let staged: usize =
            self.partitions.iter().flatten().map(|u| if let Unit::Memory { batch, .. } = u { batch.num_rows() } else { 0 }).sum();
        self.report.lock().rows as usize + staged
    }
}

impl fmt::Debug for ColdScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ColdScan").field("report", &*self.report.lock()).finish()
    }
}

impl DisplayAs for ColdScan {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report.lock();
        write!(
            f,
            "ColdScan: table={}, read_tso={}, files={} of {}",
            report.table,
            report.at,
            report.visible - report.pruned,
            report.visible
        )?;
        if !report.pruned_by.is_empty() {
            write!(f, ", pruned={} by ranges of {}", report.pruned, report.pruned_by.join(", "))?;
        }
        if let Some(filter) = &self.reading.filter {
            write!(f, ", row_group_filter={filter}")?;
        }
        Ok(())
    }
}

impl ExecutionPlan for ColdScan {
    fn name(&self) -> &str {
        "ColdScan"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(&self, f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> DfResult<TreeNodeRecursion>) -> DfResult<TreeNodeRecursion> {
        match &self.reading.filter {
            Some(filter) => f(filter),
            None => Ok(TreeNodeRecursion::Continue),
        }
    }

    fn replace_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>, _: ReplaceChildrenOptions) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(self: Arc<Self>, _: Vec<Arc<dyn ExecutionPlan>>) -> DfResult<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(&self, partition: usize, _: Arc<TaskContext>) -> DfResult<SendableRecordBatchStream> {
        let units = self.partitions.get(partition).cloned().unwrap_or_default();
        let reading = Arc::clone(&self.reading);
        let arrange = self.arrange.clone();
        // One unit is opened ahead of the one being read, so that a store's latency is hidden by decoding.
        let rows = futures::stream::iter(units).map(move |unit| Arc::clone(&reading).read(unit)).buffered(2).try_flatten().map(
            move |batch: Result<_>| {
                let batch = batch.map_err(external)?;
                Ok(match &arrange {
                    Some(columns) => batch.project(columns)?,
                    None => batch,
                })
            },
        );
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), rows)))
    }

    fn statistics_from_inputs(&self, _: &[Arc<Statistics>], args: &StatisticsArgs) -> DfResult<Arc<Statistics>> {
        let rows = match args.partition() {
            Some(partition) => self.partitions.get(partition).and_then(|units| ColdScan::rows_of(units)),
            None => Some(self.total_rows()),
        };
        let limited = self.reading.limit.is_some();
        let mut statistics = Statistics::new_unknown(&self.schema());
        statistics.num_rows = match rows {
            Some(rows) if self.exact && !limited => Precision::Exact(rows),
            Some(rows) => Precision::Inexact(rows),
            None => Precision::Absent,
        };
        Ok(Arc::new(statistics))
    }
}
