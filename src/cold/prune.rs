//! Which files of a snapshot can hold a matching row, by their column ranges, before any file is opened.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::common::Column as DfColumn;
use datafusion::common::pruning::PruningStatistics;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use datafusion::scalar::ScalarValue;

use crate::gms::FileVersion;
use crate::types::{Bound, Column, ColumnStats};

/// What pruning left.
#[derive(Debug, Clone, Default)]
pub struct PrunedFiles {
    /// The files that may hold matching rows, in order.
    pub files: Vec<Arc<FileVersion>>,
    /// How many were left out.
    pub pruned: usize,
    /// By which columns, for EXPLAIN.
    pub by: Vec<String>,
}

/// Leaves out the files whose ranges exclude every row of `filter`. `schema` holds the folded names of `columns`.
pub fn prune_files(
    files: &[Arc<FileVersion>],
    columns: &[Column],
    schema: &SchemaRef,
    filter: Option<&Arc<dyn PhysicalExpr>>,
) -> PrunedFiles {
    let all = || PrunedFiles { files: files.to_vec(), pruned: 0, by: Vec::new() };
    let Some(filter) = filter else { return all() };
    let built = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema)).try_build(Arc::clone(filter));
    let Ok(predicate) = built else { return all() };
    if predicate.always_true() {
        return all();
    }
    let ranges = FileRanges { files, columns, schema };
    let Ok(keep) = predicate.prune(&ranges) else { return all() };
    let kept: Vec<_> = files.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(file, _)| Arc::clone(file)).collect();
    let pruned = files.len() - kept.len();
    let mut by: Vec<String> = datafusion::physical_expr::utils::collect_columns(filter).iter().map(|c| c.name().to_owned()).collect();
    by.sort();
    by.dedup();
    PrunedFiles { files: kept, pruned, by }
}

/// The ranges of a list of files, as the pruning predicate asks for them.
struct FileRanges<'a> {
    files: &'a [Arc<FileVersion>],
    columns: &'a [Column],
    schema: &'a SchemaRef,
}

impl FileRanges<'_> {
    fn column(&self, name: &str) -> Option<(&Column, &DataType)> {
        let index = self.schema.index_of(name).ok()?;
        Some((self.columns.get(index)?, self.schema.field(index).data_type()))
    }

    fn bounds(&self, name: &str, pick: impl Fn(&ColumnStats) -> Option<&Bound>) -> Option<ArrayRef> {
        let (column, ty) = self.column(name)?;
        let null = ScalarValue::try_from(ty).ok()?;
        let values = self.files.iter().map(|file| {
            file.stats.column(column.id).and_then(&pick).and_then(|bound| scalar_of(bound, ty)).unwrap_or_else(|| null.clone())
        });
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for FileRanges<'_> {
    fn min_values(&self, column: &DfColumn) -> Option<ArrayRef> {
        self.bounds(&column.name, |stats| stats.min.as_ref())
    }

    fn max_values(&self, column: &DfColumn) -> Option<ArrayRef> {
        self.bounds(&column.name, |stats| stats.max.as_ref())
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &DfColumn) -> Option<ArrayRef> {
        let (column, _) = self.column(&column.name)?;
        let counts: UInt64Array = self.files.iter().map(|file| file.stats.column(column.id).map(|stats| stats.nulls)).collect();
        Some(Arc::new(counts))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.files.iter().map(|file| Some(file.rows)).collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &DfColumn, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}

/// A bound as a value of the column's Arrow type. None where the file was written with another type (after a MODIFY).
fn scalar_of(bound: &Bound, ty: &DataType) -> Option<ScalarValue> {
    Some(match (bound, ty) {
        (Bound::Int(v), DataType::Boolean) => ScalarValue::Boolean(Some(*v != 0)),
        (Bound::Int(v), DataType::Int8) => ScalarValue::Int8(Some(i8::try_from(*v).ok()?)),
        (Bound::Int(v), DataType::Int16) => ScalarValue::Int16(Some(i16::try_from(*v).ok()?)),
        (Bound::Int(v), DataType::Int32) => ScalarValue::Int32(Some(i32::try_from(*v).ok()?)),
        (Bound::Int(v), DataType::Int64) => ScalarValue::Int64(Some(*v)),
        (Bound::Int(v), DataType::Date32) => ScalarValue::Date32(Some(i32::try_from(*v).ok()?)),
        (Bound::Int(v), DataType::Time64(TimeUnit::Microsecond)) => ScalarValue::Time64Microsecond(Some(*v)),
        (Bound::Int(v), DataType::Timestamp(TimeUnit::Microsecond, zone)) => ScalarValue::TimestampMicrosecond(Some(*v), zone.clone()),
        (Bound::UInt(v), DataType::UInt8) => ScalarValue::UInt8(Some(u8::try_from(*v).ok()?)),
        (Bound::UInt(v), DataType::UInt16) => ScalarValue::UInt16(Some(u16::try_from(*v).ok()?)),
        (Bound::UInt(v), DataType::UInt32) => ScalarValue::UInt32(Some(u32::try_from(*v).ok()?)),
        (Bound::UInt(v), DataType::UInt64) => ScalarValue::UInt64(Some(*v)),
        (Bound::UInt(v), DataType::Int64) => ScalarValue::Int64(Some(i64::try_from(*v).ok()?)),
        (Bound::Int(v), DataType::UInt64) => ScalarValue::UInt64(Some(u64::try_from(*v).ok()?)),
        (Bound::Float(v), DataType::Float32) => ScalarValue::Float32(Some(*v as f32)),
        (Bound::Float(v), DataType::Float64) => ScalarValue::Float64(Some(*v)),
        (Bound::Decimal(v), DataType::Decimal128(p, s)) => ScalarValue::Decimal128(Some(*v), *p, *s),
        (Bound::Text(v), DataType::Utf8) => ScalarValue::Utf8(Some(v.clone())),
        (Bound::Bytes(v), DataType::Binary) => ScalarValue::Binary(Some(v.clone())),
        _ => return None,
    })
}
