//! One column of a stripe: its streams, its row index and its statistics.

use datafusion::arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use orc_rust::proto::column_encoding::Kind as Encoding;
use orc_rust::proto::stream::Kind as StreamKind;
use orc_rust::proto::{self, ColumnEncoding};

use super::super::bloom::{Bloom, hash_bytes, hash_int};
use super::super::codec::{Compressor, Output};
use super::super::stats::{Range, Stats, extremes, float_range};
use super::strings::Strings;
use super::{byte, int};
use crate::orc::units::{MICROS, ORC_EPOCH};

/// A column's part of a finished stripe.
pub(in crate::orc) struct FinishedColumn {
    pub(in crate::orc) encoding: ColumnEncoding,
    pub(in crate::orc) index: proto::RowIndex,
    pub(in crate::orc) bloom: Option<proto::BloomFilterIndex>,
    /// In the order in which they lie in the stripe.
    pub(in crate::orc) streams: Vec<(StreamKind, Vec<u8>)>,
    pub(in crate::orc) stats: Stats,
}

/// Encodes a column, row group by row group; [`ColumnEncoder::finish_stripe`] hands out a stripe and starts the next.
#[derive(Debug)]
pub(in crate::orc) struct ColumnEncoder {
    ty: DataType,
    scale: u8,
    want_bloom: bool,
    streams: Streams,
    /// Begun at the first NULL of a stripe.
    present: Option<Present>,
    groups: Vec<Group>,
    file_stats: Stats,
}

#[derive(Debug, Default)]
struct Present {
    bits: byte::Bits,
    out: Output,
}

#[derive(Debug)]
struct Group {
    rows: usize,
    present: Vec<u64>,
    positions: Vec<u64>,
    stats: Stats,
    bloom: Option<Bloom>,
}

/// The data streams, by kind of column.
#[derive(Debug)]
enum Streams {
    Bits {
        bits: byte::Bits,
        data: Output,
    },
    /// TINYINT: byte runs.
    Bytes(Output),
    /// Signed integer runs.
    Ints(Output),
    /// Little-endian IEEE 754.
    Floats(Output),
    Strings(Strings),
    Decimals {
        data: Output,
        scales: Output,
    },
    Timestamps {
        seconds: Output,
        nanos: Output,
    },
}

impl Streams {
    fn new(ty: &DataType) -> Streams {
        match ty {
            DataType::Boolean => Streams::Bits { bits: Default::default(), data: Default::default() },
            DataType::Int8 => Streams::Bytes(Default::default()),
            DataType::Float32 | DataType::Float64 => Streams::Floats(Default::default()),
            DataType::Utf8 | DataType::Null => Streams::Strings(Strings::new(true)),
            DataType::Binary => Streams::Strings(Strings::new(false)),
            DataType::UInt64 | DataType::Decimal128(..) => Streams::Decimals { data: Default::default(), scales: Default::default() },
            DataType::Timestamp(..) => Streams::Timestamps { seconds: Default::default(), nanos: Default::default() },
            _ => Streams::Ints(Default::default()),
        }
    }

    /// Fresh streams for the next stripe; what was learnt about strings is kept.
    fn next(&self, ty: &DataType) -> Streams {
        match self {
            Streams::Strings(strings) => Streams::Strings(strings.next()),
            _ => Streams::new(ty),
        }
    }

    fn len(&self) -> usize {
        match self {
            Streams::Bits { data, .. } | Streams::Bytes(data) | Streams::Ints(data) | Streams::Floats(data) => data.len(),
            Streams::Strings(strings) => strings.len(),
            Streams::Decimals { data: a, scales: b } | Streams::Timestamps { seconds: a, nanos: b } => a.len() + b.len(),
        }
    }

    /// Where the next row group starts, in the order of the streams (specification, "Row Group Index"). Strings keep
    /// their own, since a dictionary is laid out at the end of the stripe.
    fn position(&self, compressor: &Compressor) -> Vec<u64> {
        let mut into = Vec::with_capacity(6);
        match self {
            Streams::Bits { bits, data } => {
                data.position(compressor, &mut into);
                into.extend([0, bits.offset()]);
            }
            Streams::Bytes(data) | Streams::Ints(data) => {
                data.position(compressor, &mut into);
                into.push(0);
            }
            Streams::Floats(data) => data.position(compressor, &mut into),
            Streams::Strings(_) => {}
            Streams::Decimals { data, scales } => {
                data.position(compressor, &mut into);
                scales.position(compressor, &mut into);
                into.push(0);
            }
            Streams::Timestamps { seconds, nanos } => {
                for stream in [seconds, nanos] {
                    stream.position(compressor, &mut into);
                    into.push(0);
                }
            }
        }
        into
    }
}

impl ColumnEncoder {
    /// For a column of this canonical type.
    pub(in crate::orc) fn new(ty: DataType, want_bloom: bool) -> ColumnEncoder {
        let scale = if let DataType::Decimal128(_, scale) = ty { scale.unsigned_abs() } else { 0 };
        let file_stats = Stats::empty(empty_range(&ty));
        let streams = Streams::new(&ty);
        ColumnEncoder { ty, scale, want_bloom, streams, present: None, groups: vec![], file_stats }
    }

    /// Bytes held by the stripe so far.
    pub(in crate::orc) fn len(&self) -> usize {
        self.streams.len() + self.present.as_ref().map_or(0, |p| p.out.len())
    }

    /// Statistics of all finished stripes.
    pub(in crate::orc) fn file_stats(&self) -> &Stats {
        &self.file_stats
    }

    /// Scale, for printing decimal statistics.
    pub(in crate::orc) fn scale(&self) -> u8 {
        self.scale
    }

    /// Are bounds kept as unsigned numbers?
    pub(in crate::orc) fn unsigned(&self) -> bool {
        matches!(self.ty, DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64)
    }

    /// Encodes one row group: an array of the canonical type.
    pub(in crate::orc) fn write_group(&mut self, array: &ArrayRef, compressor: &mut Compressor) {
        let nulls = array.logical_null_count();
        if nulls > 0 && self.present.is_none() {
            self.begin_present(compressor);
        }
        let mut group = Group {
            rows: array.len(),
            present: vec![],
            positions: self.streams.position(compressor),
            stats: Stats::empty(empty_range(&self.ty)),
            bloom: None,
        };
        if let Some(present) = &mut self.present {
            group.present = present.position(compressor);
            match array.logical_nulls() {
                Some(valid) => present.bits.extend(valid.iter()),
                None => present.bits.extend_true(array.len()),
            }
            present.flush(compressor);
        }
        let (range, bloom) = self.write_values(array, compressor);
        group.stats.range = range;
        group.stats.nulls = nulls as u64;
        group.stats.values = (array.len() - nulls) as u64;
        group.bloom = bloom;
        self.groups.push(group);
    }

    /// The first NULL of the stripe: the row groups before it had none.
    fn begin_present(&mut self, compressor: &mut Compressor) {
        let mut present = Present::default();
        for group in &mut self.groups {
            group.present = present.position(compressor);
            present.bits.extend_true(group.rows);
            present.flush(compressor);
        }
        self.present = Some(present);
    }

    fn write_values(&mut self, array: &ArrayRef, compressor: &mut Compressor) -> (Range, Option<Bloom>) {
        match &mut self.streams {
            Streams::Bits { bits, data } => {
                let array = array.as_boolean();
                let trues = write_bits(array, bits);
                let mut runs = Vec::new();
                bits.flush(&mut runs);
                data.write(&runs, compressor);
                (Range::Bool(trues), None)
            }
            Streams::Bytes(data) => {
                let values = values_of::<Int8Type, _>(array, |v| v as u8);
                let mut runs = Vec::new();
                byte::encode(&values, &mut runs);
                data.write(&runs, compressor);
                let values: Vec<i64> = values.iter().map(|&v| i64::from(v as i8)).collect();
                (int_range(&values), self.want_bloom.then(|| int_bloom(&values)))
            }
            Streams::Ints(data) => {
                let values = ints(array, &self.ty);
                let mut runs = Vec::with_capacity(values.len() * 2);
                int::encode(&values, true, &mut runs);
                data.write(&runs, compressor);
                let bloom = self.want_bloom.then(|| int_bloom(&values));
                let range = match self.ty {
                    DataType::Date32 => match int_range(&values) {
                        Range::Int(bounds, _) => Range::Date(bounds.map(|(a, b)| (a as i32, b as i32))),
                        other => other,
                    },
                    _ => int_range(&values),
                };
                (range, bloom)
            }
            Streams::Floats(data) => {
                if self.ty == DataType::Float32 {
                    let values = values_of::<Float32Type, _>(array, |v| v);
                    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                    data.write(&bytes, compressor);
                    (float_range(values.iter().map(|&v| f64::from(v))), None)
                } else {
                    let values = values_of::<Float64Type, _>(array, |v| v);
                    let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                    data.write(&bytes, compressor);
                    (float_range(values.iter().copied()), None)
                }
            }
            Streams::Strings(strings) => match &self.ty {
                DataType::Binary => {
                    let array: &BinaryArray = array.as_binary();
                    strings.write(array, compressor);
                    (text_range(array.iter().flatten(), false), None)
                }
                DataType::Utf8 => {
                    let array: &StringArray = array.as_string();
                    strings.write(array, compressor);
                    let values = || array.iter().flatten().map(str::as_bytes);
                    (text_range(values(), true), self.want_bloom.then(|| filled(array.len(), values().map(hash_bytes))))
                }
                _ => {
                    // The type of a bare NULL: a string column without a value.
                    strings.write(&StringArray::new_null(array.len()), compressor);
                    (Range::Text(None, 0), None)
                }
            },
            Streams::Decimals { data, scales } => {
                let values = match self.ty {
                    DataType::UInt64 => values_of::<UInt64Type, _>(array, i128::from),
                    _ => values_of::<Decimal128Type, _>(array, |v| v),
                };
                let mut bytes = Vec::with_capacity(values.len() * 4);
                values.iter().for_each(|&v| int::varint128(v, &mut bytes));
                data.write(&bytes, compressor);
                let mut runs = Vec::new();
                int::encode(&vec![i64::from(self.scale); values.len()], true, &mut runs);
                scales.write(&runs, compressor);
                let sum = values.iter().try_fold(0i128, |sum, &v| sum.checked_add(v));
                (Range::Decimal(min_max(&values), sum), None)
            }
            Streams::Timestamps { seconds, nanos } => {
                let values = values_of::<TimestampMicrosecondType, _>(array, |v| v);
                let (whole, fractions): (Vec<i64>, Vec<i64>) = values.iter().map(|&us| split_timestamp(us)).unzip();
                let mut runs = Vec::with_capacity(values.len() * 4);
                int::encode(&whole, true, &mut runs);
                seconds.write(&runs, compressor);
                runs.clear();
                int::encode(&fractions, false, &mut runs);
                nanos.write(&runs, compressor);
                (Range::Timestamp(min_max(&values)), None)
            }
        }
    }

    /// Ends the stripe.
    pub(in crate::orc) fn finish_stripe(&mut self, compressor: &mut Compressor) -> FinishedColumn {
        let next = self.streams.next(&self.ty);
        let streams = std::mem::replace(&mut self.streams, next);
        let mut groups = std::mem::take(&mut self.groups);
        let mut out = Vec::with_capacity(4);
        if let Some(mut present) = self.present.take() {
            let mut runs = Vec::new();
            present.bits.finish(&mut runs);
            present.out.write(&runs, compressor);
            out.push((StreamKind::Present, present.out.finish(compressor)));
        }
        let (mut encoding, mut dictionary_size) = (Encoding::DirectV2, None);
        match streams {
            Streams::Bits { mut bits, mut data } => {
                encoding = Encoding::Direct;
                let mut runs = Vec::new();
                bits.finish(&mut runs);
                data.write(&runs, compressor);
                out.push((StreamKind::Data, data.finish(compressor)));
            }
            Streams::Bytes(data) | Streams::Floats(data) => {
                encoding = Encoding::Direct;
                out.push((StreamKind::Data, data.finish(compressor)));
            }
            Streams::Ints(data) => out.push((StreamKind::Data, data.finish(compressor))),
            Streams::Decimals { data, scales: secondary } | Streams::Timestamps { seconds: data, nanos: secondary } => {
                out.push((StreamKind::Data, data.finish(compressor)));
                out.push((StreamKind::Secondary, secondary.finish(compressor)));
            }
            Streams::Strings(strings) => {
                let finished = strings.finish(compressor);
                out.extend(finished.streams);
                (encoding, dictionary_size) = (finished.encoding, finished.dictionary_size);
                for (group, positions) in groups.iter_mut().zip(finished.positions) {
                    group.positions = positions;
                }
            }
        }
        let mut stats = Stats::empty(empty_range(&self.ty));
        groups.iter().for_each(|group| stats.merge(&group.stats));
        self.file_stats.merge(&stats);
        let blooms: Option<Vec<_>> = groups.iter().map(|g| g.bloom.as_ref().map(Bloom::to_proto)).collect();
        let bloom = blooms.filter(|b| !b.is_empty()).map(|bloom_filter| proto::BloomFilterIndex { bloom_filter });
        let entry = groups
            .into_iter()
            .map(|group| proto::RowIndexEntry {
                positions: [group.present, group.positions].concat(),
                statistics: Some(group.stats.to_proto(self.scale)),
            })
            .collect();
        let mut column = ColumnEncoding { dictionary_size, ..Default::default() };
        column.set_kind(encoding);
        // Bloom filters of text are of UTF-8 (ORC-101, ORC-135).
        column.bloom_encoding = bloom.is_some().then_some(1);
        FinishedColumn { encoding: column, index: proto::RowIndex { entry }, bloom, streams: out, stats }
    }
}

impl Present {
    fn position(&self, compressor: &Compressor) -> Vec<u64> {
        let mut into = Vec::with_capacity(4);
        self.out.position(compressor, &mut into);
        into.extend([0, self.bits.offset()]);
        into
    }

    fn flush(&mut self, compressor: &mut Compressor) {
        let mut runs = Vec::new();
        self.bits.flush(&mut runs);
        self.out.write(&runs, compressor);
    }
}

/// Seconds since 2015 and the coded fraction, as ORC stores a timestamp (specification, "Timestamp Columns").
///
/// Readers take one second off a moment before 1970 that has a fraction of a millisecond or more (ORC-763), so writers
/// add it. The last second before 1970 would become second 0, from which no reader takes anything off: such a moment
/// is kept in second -1 with a fraction of more than a second, which the C++ and the Rust readers add up rightly.
fn split_timestamp(micros: i64) -> (i64, i64) {
    let mut seconds = micros.div_euclid(MICROS);
    let mut nanos = micros.rem_euclid(MICROS) * 1000;
    if seconds < 0 && nanos > 999_999 {
        if seconds == -1 {
            nanos += 1_000_000_000;
        } else {
            seconds += 1;
        }
    }
    // The lowest three bits say how many trailing zeros were taken off, less one; microseconds have at least three.
    if nanos == 0 {
        return (seconds - ORC_EPOCH, 0);
    }
    let mut zeros = 0;
    while zeros < 8 && nanos % 10 == 0 {
        nanos /= 10;
        zeros += 1;
    }
    (seconds - ORC_EPOCH, nanos << 3 | (zeros - 1))
}

fn empty_range(ty: &DataType) -> Range {
    match ty {
        DataType::Boolean => Range::Bool(0),
        DataType::Float32 | DataType::Float64 => Range::Float { bounds: None, sum: 0.0, nan: false },
        DataType::Utf8 | DataType::Null => Range::Text(None, 0),
        DataType::Binary => Range::Binary(None, 0),
        DataType::UInt64 | DataType::Decimal128(..) => Range::Decimal(None, Some(0)),
        DataType::Date32 => Range::Date(None),
        DataType::Timestamp(..) => Range::Timestamp(None),
        _ => Range::Int(None, 0),
    }
}

/// The values that are not NULL, mapped.
fn values_of<T: ArrowPrimitiveType, V>(array: &ArrayRef, map: impl Fn(T::Native) -> V) -> Vec<V> {
    let array: &PrimitiveArray<T> = array.as_primitive();
    match array.nulls().filter(|n| n.null_count() > 0) {
        None => array.values().iter().map(|&v| map(v)).collect(),
        Some(valid) => {
            let mut out = Vec::with_capacity(array.len() - valid.null_count());
            for (start, end) in valid.valid_slices() {
                out.extend(array.values()[start..end].iter().map(|&v| map(v)));
            }
            out
        }
    }
}

fn ints(array: &ArrayRef, ty: &DataType) -> Vec<i64> {
    match ty {
        DataType::Int16 => values_of::<Int16Type, _>(array, i64::from),
        DataType::Int32 => values_of::<Int32Type, _>(array, i64::from),
        DataType::UInt8 => values_of::<UInt8Type, _>(array, i64::from),
        DataType::UInt16 => values_of::<UInt16Type, _>(array, i64::from),
        DataType::UInt32 => values_of::<UInt32Type, _>(array, i64::from),
        DataType::Date32 => values_of::<Date32Type, _>(array, i64::from),
        DataType::Time64(_) => values_of::<Time64MicrosecondType, _>(array, |v| v),
        _ => values_of::<Int64Type, _>(array, |v| v),
    }
}

fn write_bits(array: &BooleanArray, bits: &mut byte::Bits) -> u64 {
    bits.extend(array.iter().flatten());
    array.true_count() as u64
}

fn min_max<T: Ord + Copy>(values: &[T]) -> Option<(T, T)> {
    Some((*values.iter().min()?, *values.iter().max()?))
}

fn int_range(values: &[i64]) -> Range {
    Range::Int(min_max(values), values.iter().map(|&v| i128::from(v)).sum())
}

fn text_range<'a>(values: impl Iterator<Item = &'a [u8]>, text: bool) -> Range {
    let mut sum = 0;
    let bounds = extremes(values.inspect(|v| sum += v.len() as i64));
    let edges = bounds.map(|(low, high)| Range::edges(low, high, text));
    if text { Range::Text(edges, sum) } else { Range::Binary(edges, sum) }
}

fn int_bloom(values: &[i64]) -> Bloom {
    filled(values.len(), values.iter().map(|&v| hash_int(v)))
}

fn filled(entries: usize, hashes: impl Iterator<Item = u64>) -> Bloom {
    let mut bloom = Bloom::sized_for(entries);
    hashes.for_each(|hash| bloom.add(hash));
    bloom
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_split_as_the_specification_says() {
        assert_eq!(split_timestamp(ORC_EPOCH * MICROS), (0, 0));
        assert_eq!(split_timestamp(ORC_EPOCH * MICROS + 1), (0, 1 << 3 | 2));
        assert_eq!(split_timestamp(ORC_EPOCH * MICROS + 500_000), (0, 5 << 3 | 7));
        assert_eq!(split_timestamp(-1_500_000), (-1 - ORC_EPOCH, 5 << 3 | 7));
        assert_eq!(split_timestamp(-2_000_000), (-2 - ORC_EPOCH, 0));
        assert_eq!(split_timestamp(-500_000), (-1 - ORC_EPOCH, 15 << 3 | 7));
    }
}
