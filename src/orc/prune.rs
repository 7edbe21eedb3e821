//! What a filter rules out: by statistics of stripes and row groups, and by bloom filters.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, ScalarValue};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column as ColumnExpr;
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr_common::physical_expr::snapshot_physical_expr;
use datafusion::physical_optimizer::pruning::{PruningPredicate, PruningPredicateBuilder};
use orc_rust::proto;
use orc_rust::proto::r#type::Kind as TypeKind;

use super::bloom::{Bloom, hash_bytes, hash_int};
use super::calendar;
use super::schema::FileColumn;
use super::tail::Tail;
use crate::types::{Bound, ColumnStats};

/// A filter over the wanted columns, ready to be asked about stretches of rows.
pub(super) struct Pruner {
    predicate: Arc<PruningPredicate>,
    /// Places (in the request) of the columns it speaks of.
    pub(super) columns: Vec<usize>,
}

/// Columns of a request: the file's column and the wanted type.
pub(super) type Wanted = [(FileColumn, DataType)];

impl Pruner {
    /// None: the filter can rule nothing out. A dynamic filter is taken as it stands now.
    pub(super) fn new(filter: &Arc<dyn PhysicalExpr>, wanted: &Wanted) -> Option<Pruner> {
        // Columns are called by their place, since two wanted columns may be one in the file.
        let fields: Vec<Field> = wanted.iter().enumerate().map(|(at, (_, ty))| Field::new(at.to_string(), ty.clone(), true)).collect();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let mut known = true;
        let filter = snapshot_physical_expr(filter.clone()).ok()?;
        let filter = filter
            .transform_up(|node| {
                let any: &dyn std::any::Any = node.as_ref();
                Ok(match any.downcast_ref::<ColumnExpr>() {
                    Some(column) => {
                        known &= column.index() < wanted.len();
                        Transformed::yes(Arc::new(ColumnExpr::new(&column.index().to_string(), column.index())) as _)
                    }
                    None => Transformed::no(node),
                })
            })
            .ok()?
            .data;
        if !known {
            return None;
        }
        let mut columns: Vec<usize> = collect_columns(&filter).iter().map(ColumnExpr::index).collect();
        let predicate = PruningPredicateBuilder::new().with_file_schema(schema).build(filter)?;
        columns.sort_unstable();
        Some(Pruner { predicate, columns })
    }

    /// Which of these stretches may hold a matching row. When in doubt: all.
    pub(super) fn keep(&self, stretches: &Stretches<'_>) -> Vec<bool> {
        self.predicate.prune(stretches).unwrap_or_else(|_| vec![true; stretches.rows.len()])
    }
}

/// Stretches of rows (stripes or row groups) and what is known of them.
pub(super) struct Stretches<'a> {
    pub(super) tail: &'a Tail,
    pub(super) wanted: &'a Wanted,
    /// Rows of each.
    pub(super) rows: Vec<usize>,
    /// By wanted column, then by stretch. Empty: unknown.
    pub(super) stats: Vec<Vec<Option<&'a proto::ColumnStatistics>>>,
    /// The same for bloom filters.
    pub(super) blooms: Vec<Vec<Option<Bloom>>>,
}

impl Stretches<'_> {
    fn bounds(&self, column: &Column, pick: fn(Bounds) -> Option<ScalarValue>) -> Option<ArrayRef> {
        let at: usize = column.name.parse().ok()?;
        let (file_column, want) = self.wanted.get(at)?;
        let stats = self.stats.get(at).filter(|s| !s.is_empty())?;
        let null = ScalarValue::try_from(want).ok()?;
        let values = stats.iter().map(|s| s.and_then(|s| pick(bounds(self.tail, file_column, s, want))).unwrap_or_else(|| null.clone()));
        ScalarValue::iter_to_array(values).ok()
    }
}

impl PruningStatistics for Stretches<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |b| b.0)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.bounds(column, |b| b.1)
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let stats = self.stats.get(column.name.parse::<usize>().ok()?).filter(|s| !s.is_empty())?;
        let counts = stats.iter().zip(&self.rows).map(|(s, &rows)| s.and_then(|s| nulls(s, rows)));
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.rows.iter().map(|&n| Some(n as u64)).collect::<UInt64Array>()))
    }

    fn contained(&self, column: &Column, values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        let at: usize = column.name.parse().ok()?;
        let (file_column, _) = self.wanted.get(at)?;
        let blooms = self.blooms.get(at).filter(|b| !b.is_empty())?;
        let hashes = values.iter().map(|value| hash(self.tail, file_column, value)).collect::<Option<Vec<u64>>>()?;
        let denied = |bloom: &Bloom| hashes.iter().all(|&h| !bloom.may_contain(h));
        Some(blooms.iter().map(|b| b.as_ref().filter(|b| denied(b)).map(|_| false)).collect())
    }
}

/// Hash of a literal as the writer hashed values of this column; None: cannot tell.
fn hash(tail: &Tail, column: &FileColumn, value: &ScalarValue) -> Option<u64> {
    match column.kind {
        TypeKind::Byte | TypeKind::Short | TypeKind::Int | TypeKind::Long => {
            let wide = value.cast_to(&DataType::Int64).ok()?;
            match wide {
                ScalarValue::Int64(Some(v)) if value.data_type().is_integer() => Some(hash_int(v)),
                _ => None,
            }
        }
        TypeKind::Date => match value {
            // The writer hashed the number that the day has in the file's calendar.
            ScalarValue::Date32(Some(days)) if tail.hybrid && i64::from(*days) < calendar::GREGORIAN => None,
            ScalarValue::Date32(Some(days)) => Some(hash_int(i64::from(*days))),
            _ => None,
        },
        TypeKind::String | TypeKind::Varchar => match value {
            ScalarValue::Utf8(Some(s)) | ScalarValue::LargeUtf8(Some(s)) | ScalarValue::Utf8View(Some(s)) => Some(hash_bytes(s.as_bytes())),
            _ => None,
        },
        _ => None,
    }
}

fn nulls(stats: &proto::ColumnStatistics, rows: usize) -> Option<u64> {
    if stats.has_null == Some(false) {
        return Some(0);
    }
    (rows as u64).checked_sub(stats.number_of_values?)
}

type Bounds = (Option<ScalarValue>, Option<ScalarValue>);

/// Smallest and largest value that statistics promise, as the wanted type; None where they promise nothing for it.
fn bounds(tail: &Tail, column: &FileColumn, stats: &proto::ColumnStatistics, want: &DataType) -> Bounds {
    if stats.number_of_values == Some(0) {
        return (None, None);
    }
    let pair = |min: Option<ScalarValue>, max: Option<ScalarValue>| (min, max);
    if let Some(s) = &stats.int_statistics {
        let int = |v: Option<i64>| int_value(v?, want);
        return pair(int(s.minimum), int(s.maximum));
    }
    if let Some(s) = &stats.double_statistics {
        let float = |v: Option<f64>| float_value(v?, column.kind, want);
        // Writers that compare with < leave a NaN out; the engine sorts it above all, so foreign maxima say nothing.
        return pair(float(s.minimum), float(s.maximum).filter(|_| tail.written_here));
    }
    if let Some(s) = &stats.string_statistics {
        // Others may pad a char to its length.
        if *want != DataType::Utf8 || !tail.text_stats || column.kind == TypeKind::Char && !tail.written_here {
            return (None, None);
        }
        let text = |a: &Option<String>, b: &Option<String>| a.as_ref().or(b.as_ref()).map(|s| ScalarValue::Utf8(Some(s.clone())));
        return pair(text(&s.minimum, &s.lower_bound), text(&s.maximum, &s.upper_bound));
    }
    if let (Some(s), DataType::Boolean) = (&stats.bucket_statistics, want) {
        let (Some(&trues), Some(values)) = (s.count.first(), stats.number_of_values) else { return (None, None) };
        let bool = |v: bool| Some(ScalarValue::Boolean(Some(v)));
        return pair(bool(trues >= values), bool(trues > 0));
    }
    if let Some(s) = &stats.decimal_statistics {
        let decimal = |v: &Option<String>| decimal_value(v.as_ref()?, want);
        return pair(decimal(&s.minimum), decimal(&s.maximum));
    }
    if let (Some(s), DataType::Date32) = (&stats.date_statistics, want) {
        let day = |v: i32| if tail.hybrid { i32::try_from(calendar::proleptic_day(v.into())?).ok() } else { Some(v) };
        let day = |v: Option<i32>| Some(ScalarValue::Date32(Some(day(v?)?)));
        return pair(day(s.minimum), day(s.maximum));
    }
    if let (Some(s), DataType::Timestamp(TimeUnit::Microsecond, zone)) = (&stats.timestamp_statistics, want)
        && zone.is_some() == (column.kind == TypeKind::TimestampInstant)
    {
        // Nanoseconds below the millisecond are stored plus one; without them the bound is the millisecond's edge.
        let stamp = |millis: Option<i64>, nanos: Option<i32>, edge: i32| {
            let below = i64::from(nanos.map_or(edge, |n| n - 1)).clamp(0, 999_999) / 1000;
            let micros = millis?.checked_mul(1000)?.checked_add(below)?;
            let micros = if tail.hybrid { calendar::proleptic_micros(micros)? } else { micros };
            Some(ScalarValue::TimestampMicrosecond(Some(micros), zone.clone()))
        };
        return pair(stamp(s.minimum_utc, s.minimum_nanos, 0), stamp(s.maximum_utc, s.maximum_nanos, 999_999));
    }
    (None, None)
}

fn int_value(value: i64, want: &DataType) -> Option<ScalarValue> {
    match want {
        DataType::Time64(TimeUnit::Microsecond) => Some(ScalarValue::Time64Microsecond(Some(value))),
        // Kept as a number of microseconds.
        DataType::Timestamp(TimeUnit::Microsecond, None) => Some(ScalarValue::TimestampMicrosecond(Some(value), None)),
        ty if ty.is_integer() => ScalarValue::Int64(Some(value)).cast_to(ty).ok().filter(|v| !v.is_null()),
        _ => None,
    }
}

fn float_value(value: f64, kind: TypeKind, want: &DataType) -> Option<ScalarValue> {
    match (want, kind) {
        _ if value.is_nan() => None,
        (DataType::Float64, _) => Some(ScalarValue::Float64(Some(value))),
        (DataType::Float32, TypeKind::Float) => Some(ScalarValue::Float32(Some(value as f32))),
        _ => None,
    }
}

/// A decimal's text as a number of the wanted precision and scale, when it is one exactly.
fn decimal_value(text: &str, want: &DataType) -> Option<ScalarValue> {
    let (scale, unsigned) = match want {
        DataType::Decimal128(_, scale) => (usize::try_from(*scale).ok()?, false),
        DataType::UInt64 => (0, true),
        _ => return None,
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > scale {
        return None;
    }
    let value: i128 = format!("{whole}{fraction:0<scale$}").parse().ok()?;
    match want {
        DataType::Decimal128(p, s) => Some(ScalarValue::Decimal128(Some(value), *p, *s)),
        _ if unsigned => Some(ScalarValue::UInt64(Some(u64::try_from(value).ok()?))),
        _ => None,
    }
}

/// Statistics of a whole file's column in our own form.
pub(super) fn column_stats(tail: &Tail, column: &FileColumn, id: u32, want: &DataType) -> Option<ColumnStats> {
    let stats = tail.file_stats.get(column.index as usize)?;
    let (min, max) = bounds(tail, column, stats, want);
    let nulls = nulls(stats, usize::try_from(tail.rows).ok()?)?;
    Some(ColumnStats { id, min: min.and_then(|v| bound(v, false)), max: max.and_then(|v| bound(v, true)), nulls })
}

fn bound(value: ScalarValue, upper: bool) -> Option<Bound> {
    Some(match value {
        ScalarValue::Boolean(Some(v)) => Bound::Int(i64::from(v)),
        ScalarValue::Int8(Some(v)) => Bound::Int(v.into()),
        ScalarValue::Int16(Some(v)) => Bound::Int(v.into()),
        ScalarValue::Int32(Some(v)) | ScalarValue::Date32(Some(v)) => Bound::Int(v.into()),
        ScalarValue::Int64(Some(v)) | ScalarValue::Time64Microsecond(Some(v)) => Bound::Int(v),
        ScalarValue::TimestampMicrosecond(Some(v), _) => Bound::Int(v),
        ScalarValue::UInt8(Some(v)) => Bound::UInt(v.into()),
        ScalarValue::UInt16(Some(v)) => Bound::UInt(v.into()),
        ScalarValue::UInt32(Some(v)) => Bound::UInt(v.into()),
        ScalarValue::UInt64(Some(v)) => Bound::UInt(v),
        ScalarValue::Float32(Some(v)) => Bound::Float(v.into()),
        ScalarValue::Float64(Some(v)) => Bound::Float(v),
        ScalarValue::Decimal128(Some(v), _, _) => Bound::Decimal(v),
        ScalarValue::Utf8(Some(v)) => Bound::Text(super::stats::short_text(v, upper)?),
        _ => return None,
    })
}
