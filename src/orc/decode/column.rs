//! Decoding one column of a stripe, from any of its row groups on, to the Arrow type that is wanted.

use std::sync::Arc;

use bytes::Bytes;
use datafusion::arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, BooleanBufferBuilder, Decimal128Array, Float32Array,
    Float64Array, PrimitiveArray, StringArray, TimestampMicrosecondArray, UInt32Array, new_null_array,
};
use datafusion::arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use datafusion::arrow::compute::{CastOptions, cast_with_options, take};
use datafusion::arrow::datatypes::{
    ArrowNativeType, DataType, Date32Type, Int8Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType, TimeUnit, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use orc_rust::proto::column_encoding::Kind as Encoding;
use orc_rust::proto::stream::Kind as StreamKind;
use orc_rust::proto::r#type::Kind as TypeKind;

use super::super::calendar::proleptic_day;
use super::super::codec::{Codec, Input};
use super::super::damage::{Damage, Sort, damaged};
use super::super::schema::FileColumn;
use super::super::stripe::{Layout, StreamPosition};
use super::byte::{BitRuns, ByteRuns};
use super::int::IntRuns;
use super::timestamp::Clock;
use crate::error::Kind;
use crate::types::UTC;
use crate::types::coerce::rescale;

/// Longest varint of a 128-bit number.
const VARINT128: usize = 19;
/// Largest dictionary that is believed.
const MAX_DICTIONARY: usize = 1 << 26;

/// The stored streams of a column and the places in them where reading starts.
pub(in crate::orc) struct ColumnSource<'a> {
    pub(in crate::orc) column: &'a FileColumn,
    pub(in crate::orc) layout: &'a Layout,
    pub(in crate::orc) codec: Codec,
    /// Days before 1582-10-15 are those of the Julian calendar.
    pub(in crate::orc) hybrid: bool,
    /// Bytes from `StreamPosition::start` on (a dictionary's: from its start).
    pub(in crate::orc) streams: Vec<(StreamKind, Bytes, StreamPosition)>,
}

/// Reads a column's values in order.
#[derive(Debug)]
pub(in crate::orc) struct ColumnReader {
    want: DataType,
    present: Option<BitRuns>,
    values: Values,
}

/// The data streams, by kind of column.
#[derive(Debug)]
enum Values {
    Bits(BitRuns),
    Bytes(ByteRuns),
    Ints {
        runs: IntRuns,
        natural: DataType,
    },
    /// Of the hybrid calendar.
    Days(IntRuns),
    Floats {
        input: Input,
        wide: bool,
    },
    Direct {
        data: Input,
        lengths: IntRuns,
        text: bool,
    },
    /// The entries are text, or bytes when bytes are wanted or some entry is no text.
    Dictionary {
        ids: IntRuns,
        dictionary: ArrayRef,
        text: bool,
    },
    Decimals {
        data: Input,
        scales: IntRuns,
        precision: u8,
        scale: u8,
    },
    Decimals64 {
        runs: IntRuns,
        precision: u8,
        scale: u8,
    },
    Timestamps {
        seconds: IntRuns,
        fractions: IntRuns,
        clock: Clock,
        instant: bool,
    },
}

impl ColumnSource<'_> {
    fn input(&mut self, kind: StreamKind) -> Result<(Input, StreamPosition), Damage> {
        match self.streams.iter().position(|s| s.0 == kind) {
            Some(at) => {
                let (_, bytes, place) = self.streams.swap_remove(at);
                let mut input = Input::new(self.codec, bytes);
                input.skip(place.inner as usize)?;
                Ok((input, place))
            }
            // Left out when the column has no value at all.
            None => Ok((Input::empty(self.codec), StreamPosition::default())),
        }
    }

    fn bits(&mut self, kind: StreamKind) -> Result<BitRuns, Damage> {
        let (input, place) = self.input(kind)?;
        let mut bits = BitRuns::new(input);
        bits.seek(place.values as usize, place.bits as usize)?;
        Ok(bits)
    }

    fn ints(&mut self, kind: StreamKind, signed: bool) -> Result<IntRuns, Damage> {
        let version2 =
            self.column.decimal64 || matches!(self.layout.encoding(self.column.index).0, Some(Encoding::DirectV2 | Encoding::DictionaryV2));
        let (input, place) = self.input(kind)?;
        let mut runs = IntRuns::new(input, signed, version2);
        runs.skip(place.values as usize)?;
        Ok(runs)
    }

    /// The entries, as text where all are and `text` is wanted.
    fn dictionary(&mut self, size: usize, text: bool) -> Result<ArrayRef, Damage> {
        if size > MAX_DICTIONARY {
            return Err(damaged("a dictionary larger than any real one"));
        }
        let mut data = self.input(StreamKind::DictionaryData)?.0;
        let mut lengths = Vec::new();
        self.ints(StreamKind::Length, false)?.read(size, &mut lengths)?;
        let (offsets, bytes) = strings(&mut data, &lengths, None, size)?;
        let entries = BinaryArray::try_new(offsets, bytes, None)?;
        Ok(match text.then(|| as_text(&entries)) {
            Some(Ok(texts)) => Arc::new(texts),
            _ => Arc::new(entries),
        })
    }

    /// The encodings that the format has for the column's type.
    fn check_encoding(&self) -> Result<(), Damage> {
        let (encoding, _) = self.layout.encoding(self.column.index);
        let encoding = encoding.ok_or_else(|| damaged("an unknown encoding"))?;
        let text = matches!(self.column.kind, TypeKind::String | TypeKind::Varchar | TypeKind::Char);
        if self.layout.is_dictionary(self.column.index) && !text {
            let what =
                format!("a {} in the encoding {}, which the format has for text only,", self.column.type_name(), encoding.as_str_name());
            return Err(Damage::new(Sort::Unsupported("write the column again without a dictionary"), format!("{what} is not supported")));
        }
        Ok(())
    }

    /// Opens the streams.
    pub(in crate::orc) fn open(mut self, want: &DataType) -> Result<ColumnReader, Damage> {
        if self.column.refused.is_some() {
            return Err(damaged(format!("the type {}", self.column.type_name())));
        }
        self.check_encoding()?;
        let has_present = self.streams.iter().any(|s| s.0 == StreamKind::Present);
        let present = if has_present { Some(self.bits(StreamKind::Present)?) } else { None };
        let dictionary_size = self.layout.encoding(self.column.index).1;
        let bytes = *want == DataType::Binary;
        let ints = |source: &mut Self, natural| Ok::<_, Damage>(Values::Ints { runs: source.ints(StreamKind::Data, true)?, natural });
        let values = match self.column.kind {
            TypeKind::Boolean => Values::Bits(self.bits(StreamKind::Data)?),
            TypeKind::Byte => {
                let (input, place) = self.input(StreamKind::Data)?;
                let mut bytes = ByteRuns::new(input);
                bytes.skip(place.values as usize)?;
                Values::Bytes(bytes)
            }
            TypeKind::Short => ints(&mut self, DataType::Int16)?,
            TypeKind::Int => ints(&mut self, DataType::Int32)?,
            TypeKind::Long => ints(&mut self, DataType::Int64)?,
            TypeKind::Date if self.hybrid => Values::Days(self.ints(StreamKind::Data, true)?),
            TypeKind::Date => ints(&mut self, DataType::Date32)?,
            TypeKind::Float | TypeKind::Double => {
                Values::Floats { input: self.input(StreamKind::Data)?.0, wide: self.column.kind == TypeKind::Double }
            }
            TypeKind::String | TypeKind::Varchar | TypeKind::Char if self.layout.is_dictionary(self.column.index) => {
                let dictionary = self.dictionary(dictionary_size, !bytes)?;
                Values::Dictionary { ids: self.ints(StreamKind::Data, false)?, dictionary, text: !bytes }
            }
            TypeKind::String | TypeKind::Varchar | TypeKind::Char | TypeKind::Binary => Values::Direct {
                data: self.input(StreamKind::Data)?.0,
                lengths: self.ints(StreamKind::Length, false)?,
                text: self.column.kind != TypeKind::Binary && !bytes,
            },
            TypeKind::Decimal if self.column.decimal64 => {
                Values::Decimals64 { runs: self.ints(StreamKind::Data, true)?, precision: self.column.precision, scale: self.column.scale }
            }
            TypeKind::Decimal => Values::Decimals {
                data: self.input(StreamKind::Data)?.0,
                scales: self.ints(StreamKind::Secondary, true)?,
                precision: self.column.precision,
                scale: self.column.scale,
            },
            TypeKind::Timestamp | TypeKind::TimestampInstant => {
                let instant = self.column.kind == TypeKind::TimestampInstant;
                let zone = if instant { Ok(None) } else { self.layout.zone.clone() };
                let zone = zone.map_err(|name| damaged(format!("an unknown writer time zone '{name}'")))?;
                Values::Timestamps {
                    seconds: self.ints(StreamKind::Data, true)?,
                    fractions: self.ints(StreamKind::Secondary, false)?,
                    clock: Clock::new(zone, self.hybrid),
                    instant,
                }
            }
            TypeKind::List | TypeKind::Map | TypeKind::Struct | TypeKind::Union => {
                return Err(damaged(format!("it is a {}", self.column.type_name())));
            }
        };
        Ok(ColumnReader { want: want.clone(), present, values })
    }
}

impl ColumnReader {
    /// The next `n` values, as the wanted type.
    pub(in crate::orc) fn read(&mut self, n: usize) -> Result<ArrayRef, Damage> {
        if self.want == DataType::Null {
            return Ok(new_null_array(&DataType::Null, n));
        }
        let nulls = match &mut self.present {
            Some(present) => Some(NullBuffer::new(present.read(n)?)).filter(|nulls| nulls.null_count() > 0),
            None => None,
        };
        let count = n - nulls.as_ref().map_or(0, NullBuffer::null_count);
        let array = self.values.read(n, count, nulls.clone(), &self.want).map_err(|damage| match (&nulls, damage.row) {
            // Values are counted without NULLs, rows with them.
            (Some(nulls), Some(at)) => Damage { row: nulls.valid_indices().nth(at as usize).map(|row| row as u64), ..damage },
            _ => damage,
        })?;
        if array.data_type() == &self.want {
            return Ok(array);
        }
        let options = CastOptions { safe: false, ..Default::default() };
        cast_with_options(&array, &self.want, &options).map_err(|e| damaged(format!("a value cannot be read as {}: {e}", self.want)))
    }
}

impl Values {
    /// The next `n` rows, `count` of which are not NULL. Of the wanted type where that is no detour.
    fn read(&mut self, n: usize, count: usize, nulls: Option<NullBuffer>, want: &DataType) -> Result<ArrayRef, Damage> {
        match self {
            Values::Bits(bits) => {
                let values = bits.read(count)?;
                let Some(nulls) = nulls else { return Ok(Arc::new(BooleanArray::new(values, None))) };
                let mut spread = BooleanBufferBuilder::new(n);
                spread.append_n(n, false);
                for (at, value) in nulls.valid_indices().zip(&values) {
                    spread.set_bit(at, value);
                }
                Ok(Arc::new(BooleanArray::new(spread.finish(), Some(nulls))))
            }
            Values::Bytes(runs) => {
                let mut bytes = Vec::with_capacity(count);
                runs.read(count, &mut bytes)?;
                let values = bytes.into_iter().map(|b| i64::from(b as i8)).collect();
                int_array(values, n, nulls, &DataType::Int8, want)
            }
            Values::Ints { runs, natural } => {
                let mut values = Vec::with_capacity(count);
                runs.read(count, &mut values)?;
                int_array(values, n, nulls, natural, want)
            }
            Values::Days(runs) => {
                let mut values = Vec::with_capacity(count);
                runs.read(count, &mut values)?;
                for (at, value) in values.iter_mut().enumerate() {
                    let other = || Damage::new(Sort::Value(Kind::DatetimeField), "a leap day that only the Julian calendar has").at(at);
                    *value = proleptic_day((*value).clamp(i64::from(i32::MIN) * 2, i64::from(i32::MAX) * 2)).ok_or_else(other)?;
                }
                int_array(values, n, nulls, &DataType::Date32, want)
            }
            Values::Floats { input, wide: true } => {
                let bytes = input.take(count * 8)?;
                let values = bytes.as_chunks::<8>().0.iter().map(|c| f64::from_le_bytes(*c)).collect();
                Ok(Arc::new(Float64Array::new(spread(values, n, nulls.as_ref()), nulls)))
            }
            Values::Floats { input, wide: false } => {
                let bytes = input.take(count * 4)?;
                let values = bytes.as_chunks::<4>().0.iter().map(|c| f32::from_le_bytes(*c)).collect();
                Ok(Arc::new(Float32Array::new(spread(values, n, nulls.as_ref()), nulls)))
            }
            Values::Direct { data, lengths, text } => {
                let mut sizes = Vec::with_capacity(count);
                lengths.read(count, &mut sizes)?;
                let (offsets, bytes) = strings(data, &sizes, nulls.as_ref(), n)?;
                let array = BinaryArray::try_new(offsets, bytes, nulls)?;
                if *text { text_array(&array) } else { Ok(Arc::new(array)) }
            }
            Values::Dictionary { ids, dictionary, text } => {
                let mut values = Vec::with_capacity(count);
                ids.read(count, &mut values)?;
                let size = dictionary.len() as u64;
                if values.iter().any(|&id| id as u64 >= size) {
                    return Err(damaged("a value that its dictionary does not have"));
                }
                if count == 0 {
                    return Ok(new_null_array(if *text { &DataType::Utf8 } else { &DataType::Binary }, n));
                }
                let values = values.into_iter().map(|id| id as u32).collect();
                let keys = UInt32Array::new(spread(values, n, nulls.as_ref()), nulls);
                let array = take(dictionary.as_ref(), &keys, None)?;
                match array.as_binary_opt::<i32>() {
                    Some(bytes) if *text => text_array(bytes),
                    _ => Ok(array),
                }
            }
            Values::Decimals { data, scales, precision, scale } => {
                let mut values = Vec::with_capacity(count);
                varints(data, count, &mut values)?;
                let mut stored = Vec::with_capacity(count);
                scales.read(count, &mut stored)?;
                for (at, (value, &stored)) in values.iter_mut().zip(&stored).enumerate() {
                    // Some writers (Hive) store each value with a scale of its own.
                    if stored != i64::from(*scale) {
                        let to_scale = i8::try_from(stored).ok().and_then(|from| rescale(*value, from, *scale as i8));
                        *value = to_scale.ok_or_else(|| Damage::new(Sort::Value(Kind::OutOfRange), "a decimal out of range").at(at))?;
                    }
                }
                if *want == DataType::UInt64 && *scale == 0 {
                    let values = values.into_iter().map(u64::try_from).collect::<Result<Vec<_>, _>>();
                    let values = values.map_err(|_| damaged("a number out of range for an unsigned 64-bit integer"))?;
                    return Ok(Arc::new(PrimitiveArray::<UInt64Type>::new(spread(values, n, nulls.as_ref()), nulls)));
                }
                let array = Decimal128Array::new(spread(values, n, nulls.as_ref()), nulls);
                Ok(Arc::new(array.with_precision_and_scale(*precision, *scale as i8)?))
            }
            Values::Decimals64 { runs, precision, scale } => {
                let mut values = Vec::with_capacity(count);
                runs.read(count, &mut values)?;
                let values = values.into_iter().map(i128::from).collect();
                let array = Decimal128Array::new(spread(values, n, nulls.as_ref()), nulls);
                Ok(Arc::new(array.with_precision_and_scale(*precision, *scale as i8)?))
            }
            Values::Timestamps { seconds, fractions, clock, instant } => {
                let (mut values, mut parts) = (Vec::with_capacity(count), Vec::with_capacity(count));
                seconds.read(count, &mut values)?;
                fractions.read(count, &mut parts)?;
                clock.join(&mut values, &parts)?;
                let array = TimestampMicrosecondArray::new(spread(values, n, nulls.as_ref()), nulls);
                Ok(Arc::new(if *instant { array.with_timezone(UTC) } else { array }))
            }
        }
    }
}

/// Puts the values into their rows; NULL rows hold the default.
fn spread<T: ArrowNativeType>(values: Vec<T>, n: usize, nulls: Option<&NullBuffer>) -> ScalarBuffer<T> {
    let Some(nulls) = nulls else { return values.into() };
    let mut out = vec![T::default(); n];
    let mut from = 0;
    for (start, end) in nulls.valid_slices() {
        out[start..end].copy_from_slice(&values[from..from + end - start]);
        from += end - start;
    }
    out.into()
}

/// Integers as the wanted integer type, or else as the file's own.
fn int_array(values: Vec<i64>, n: usize, nulls: Option<NullBuffer>, natural: &DataType, want: &DataType) -> Result<ArrayRef, Damage> {
    let is_date = *natural == DataType::Date32;
    match if is_date { natural } else { want } {
        DataType::Int8 => narrow::<Int8Type>(values, n, nulls),
        DataType::Int16 => narrow::<Int16Type>(values, n, nulls),
        DataType::Int32 => narrow::<Int32Type>(values, n, nulls),
        DataType::Int64 => Ok(Arc::new(PrimitiveArray::<Int64Type>::new(spread(values, n, nulls.as_ref()), nulls))),
        DataType::UInt8 => narrow::<UInt8Type>(values, n, nulls),
        DataType::UInt16 => narrow::<UInt16Type>(values, n, nulls),
        DataType::UInt32 => narrow::<UInt32Type>(values, n, nulls),
        DataType::UInt64 => narrow::<UInt64Type>(values, n, nulls),
        DataType::Date32 if is_date => narrow::<Date32Type>(values, n, nulls),
        DataType::Time64(TimeUnit::Microsecond) if *natural == DataType::Int64 => {
            Ok(Arc::new(PrimitiveArray::<Time64MicrosecondType>::new(spread(values, n, nulls.as_ref()), nulls)))
        }
        _ => match natural {
            DataType::Int8 => narrow::<Int8Type>(values, n, nulls),
            DataType::Int16 => narrow::<Int16Type>(values, n, nulls),
            DataType::Int32 => narrow::<Int32Type>(values, n, nulls),
            _ => Ok(Arc::new(PrimitiveArray::<Int64Type>::new(spread(values, n, nulls.as_ref()), nulls))),
        },
    }
}

fn narrow<T: ArrowPrimitiveType>(values: Vec<i64>, n: usize, nulls: Option<NullBuffer>) -> Result<ArrayRef, Damage>
where
    T::Native: TryFrom<i64>,
{
    let mut fits = true;
    let narrowed = values
        .iter()
        .map(|&v| {
            T::Native::try_from(v).unwrap_or_else(|_| {
                fits = false;
                T::Native::default()
            })
        })
        .collect();
    if !fits {
        return Err(damaged(format!("a number out of range for {}", T::DATA_TYPE)));
    }
    Ok(Arc::new(PrimitiveArray::<T>::new(spread(narrowed, n, nulls.as_ref()), nulls)))
}

/// Offsets and bytes of `n` rows, of which those that are not NULL have these `lengths`.
fn strings(data: &mut Input, lengths: &[i64], nulls: Option<&NullBuffer>, n: usize) -> Result<(OffsetBuffer<i32>, Buffer), Damage> {
    let mut total = 0i64;
    let mut offsets = Vec::with_capacity(n + 1);
    offsets.push(0i32);
    let mut next = |length: i64, total: &mut i64| {
        *total = if length < 0 { i64::MAX } else { total.saturating_add(length) };
        offsets.push(i32::try_from(*total).map_err(|_| damaged("a batch of text longer than 2 GiB"))?);
        Ok::<_, Damage>(())
    };
    match nulls {
        None => lengths.iter().try_for_each(|&length| next(length, &mut total))?,
        Some(nulls) => {
            let mut lengths = lengths.iter();
            for valid in nulls {
                next(if valid { lengths.next().copied().unwrap_or(0) } else { 0 }, &mut total)?;
            }
        }
    }
    let bytes = data.take(total as usize)?;
    Ok((OffsetBuffer::new(offsets.into()), Buffer::from(bytes)))
}

fn varints(data: &mut Input, count: usize, out: &mut Vec<i128>) -> Result<(), Damage> {
    // In steps, so that a large batch does not inflate more than it reads.
    let mut left = count;
    while left > 0 {
        let step = left.min(1024);
        let bytes = data.fill(step * VARINT128)?;
        let mut at = 0;
        for _ in 0..step {
            let (mut value, mut shift) = (0u128, 0);
            loop {
                let byte = *bytes.get(at).ok_or_else(|| damaged("a decimal stream ends early"))?;
                at += 1;
                value |= u128::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
                shift += 7;
                if shift > 126 {
                    return Err(damaged("a decimal longer than 128 bits"));
                }
            }
            out.push((value >> 1) as i128 ^ -((value & 1) as i128));
        }
        data.consume(at);
        left -= step;
    }
    Ok(())
}

/// The same values as text; the row of the first value that is no text, when one is not.
fn as_text(bytes: &BinaryArray) -> Result<StringArray, usize> {
    let (offsets, values, nulls) = bytes.clone().into_parts();
    // A value that ends within a character is found here, too.
    let no_text = |value: Option<&[u8]>| value.is_some_and(|value| std::str::from_utf8(value).is_err());
    StringArray::try_new(offsets, values, nulls).map_err(|_| bytes.iter().position(no_text).unwrap_or(0))
}

fn text_array(bytes: &BinaryArray) -> Result<ArrayRef, Damage> {
    as_text(bytes).map(|texts| Arc::new(texts) as ArrayRef).map_err(|row| {
        let value = bytes.nulls().map_or(row, |nulls| row - nulls.slice(0, row).null_count());
        Damage::new(Sort::Value(Kind::InvalidCharacter), "text that is not UTF-8").at(value)
    })
}
