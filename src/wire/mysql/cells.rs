//! The values of one column of a batch, ready to be written in either format.
//!
//! A batch's column is brought once to the one Arrow form of its SQL type (a cast when the engine made another), so
//! that the two encoders know one form each and a value always has the type that its column definition says.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, LargeBinaryArray, LargeStringArray, PrimitiveArray, RecordBatch, StringArray,
    StringViewArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::column::shown_type;
use crate::error::{Error, Result};
use crate::types::{ColumnInfo, MAX_DECIMAL_PRECISION, SqlType};

/// One column of a batch.
pub enum Cells {
    Null,
    Bool(BooleanArray),
    I8(PrimitiveArray<Int8Type>),
    U8(PrimitiveArray<UInt8Type>),
    I16(PrimitiveArray<Int16Type>),
    U16(PrimitiveArray<UInt16Type>),
    I32(PrimitiveArray<Int32Type>),
    U32(PrimitiveArray<UInt32Type>),
    I64(PrimitiveArray<Int64Type>),
    U64(PrimitiveArray<UInt64Type>),
    F32(PrimitiveArray<Float32Type>),
    F64(PrimitiveArray<Float64Type>),
    Decimal(PrimitiveArray<Decimal128Type>, i8),
    Date(PrimitiveArray<Date32Type>),
    Time(PrimitiveArray<Time64MicrosecondType>, u8),
    /// With the number of digits of the fraction, and the zone in which a moment with zone is shown.
    Moment(PrimitiveArray<TimestampMicrosecondType>, u8, Option<Zone>),
    /// Big-endian, in this number of bytes.
    Bit(PrimitiveArray<UInt64Type>, usize),
    Year(PrimitiveArray<Int16Type>),
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    Bytes(BinaryArray),
    LargeBytes(LargeBinaryArray),
}

/// A time zone that moments are shown in.
#[derive(Debug, Clone)]
pub struct Zone {
    zone: TimeZone,
    /// The one offset of the zone, in microseconds, when it has one only.
    fixed: Option<i64>,
}

impl Zone {
    /// A zone.
    pub fn new(zone: TimeZone) -> Zone {
        let fixed = zone.to_fixed_offset().ok().map(|offset| i64::from(offset.seconds()) * 1_000_000);
        Zone { zone, fixed }
    }

    /// Microseconds since 1970 of the clock on the wall, from those of UTC.
    pub fn local(&self, micros: i64) -> i64 {
        let offset = self.fixed.unwrap_or_else(|| match Timestamp::from_microsecond(micros) {
            Ok(moment) => i64::from(self.zone.to_offset(moment).seconds()) * 1_000_000,
            Err(_) => 0,
        });
        micros.saturating_add(offset)
    }

    /// Does the clock on the wall show this moment's time twice?
    pub fn is_repeated(&self, micros: i64) -> bool {
        let Ok(moment) = Timestamp::from_microsecond(micros) else { return false };
        self.fixed.is_none() && self.zone.to_ambiguous_timestamp(self.zone.to_datetime(moment)).is_ambiguous()
    }
}

/// The columns of a batch; `infos` as the client was told.
pub fn cells_of(batch: &RecordBatch, infos: &[ColumnInfo], zone: &Zone) -> Result<Vec<Cells>> {
    if batch.num_columns() != infos.len() {
        return Err(Error::internal(format!("a batch of {} columns where {} were announced", batch.num_columns(), infos.len())));
    }
    batch.columns().iter().zip(infos).map(|(array, info)| Cells::of(array, info, zone)).collect()
}

impl Cells {
    fn of(array: &ArrayRef, info: &ColumnInfo, zone: &Zone) -> Result<Cells> {
        let ty = shown_type(info);
        Ok(match ty.as_ref() {
            SqlType::Null if array.data_type() == &DataType::Null => Cells::Null,
            SqlType::Bool => Cells::Bool(to(array, &ty.arrow())?.as_boolean().clone()),
            SqlType::Int8 { unsigned: false } => Cells::I8(to(array, &ty.arrow())?.as_primitive().clone()),
            SqlType::Int8 { unsigned: true } => Cells::U8(to(array, &ty.arrow())?.as_primitive().clone()),
            SqlType::Int16 { unsigned: false } => Cells::I16(to(array, &ty.arrow())?.as_primitive().clone()),
            SqlType::Int16 { unsigned: true } => Cells::U16(to(array, &ty.arrow())?.as_primitive().clone()),
            SqlType::Int24 { unsigned: false } | SqlType::Int32 { unsigned: false } => {
                Cells::I32(to(array, &ty.arrow())?.as_primitive().clone())
            }
            SqlType::Int24 { unsigned: true } | SqlType::Int32 { unsigned: true } => {
                Cells::U32(to(array, &ty.arrow())?.as_primitive().clone())
            }
            SqlType::Int64 { unsigned: false } => Cells::I64(to(array, &ty.arrow())?.as_primitive().clone()),
            SqlType::Int64 { unsigned: true } => Cells::U64(to(array, &ty.arrow())?.as_primitive().clone()),
            SqlType::Float32 => Cells::F32(to(array, &ty.arrow())?.as_primitive().clone()),
            SqlType::Float64 => Cells::F64(to(array, &ty.arrow())?.as_primitive().clone()),
            SqlType::Decimal { precision, scale } if *precision <= MAX_DECIMAL_PRECISION => {
                Cells::Decimal(to(array, &ty.arrow())?.as_primitive().clone(), *scale)
            }
            SqlType::Date => Cells::Date(to(array, &ty.arrow())?.as_primitive().clone()),
            SqlType::Time { fsp } => Cells::Time(to(array, &ty.arrow())?.as_primitive().clone(), *fsp),
            SqlType::DateTime { fsp } => Cells::Moment(to(array, &ty.arrow())?.as_primitive().clone(), *fsp, None),
            SqlType::Timestamp { fsp } => Cells::Moment(to(array, &ty.arrow())?.as_primitive().clone(), *fsp, Some(zone.clone())),
            SqlType::Bit { length } => {
                Cells::Bit(to(array, &ty.arrow())?.as_primitive().clone(), usize::from((*length).clamp(1, 64)).div_ceil(8))
            }
            SqlType::Year => Cells::Year(to(array, &ty.arrow())?.as_primitive().clone()),
            SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Blob => match array.data_type() {
                DataType::LargeBinary => Cells::LargeBytes(array.as_binary::<i64>().clone()),
                _ => Cells::Bytes(to(array, &DataType::Binary)?.as_binary::<i32>().clone()),
            },
            // Text, and everything that is shown as text: decimals too wide for Decimal128, arrays, intervals.
            _ => match array.data_type() {
                DataType::Utf8 => Cells::Text(array.as_string::<i32>().clone()),
                DataType::LargeUtf8 => Cells::LargeText(array.as_string::<i64>().clone()),
                DataType::Utf8View => Cells::TextView(array.as_string_view().clone()),
                _ => Cells::Text(as_text(array)?),
            },
        })
    }

    /// Is the value NULL?
    pub fn is_null(&self, row: usize) -> bool {
        match self {
            Cells::Null => true,
            Cells::Bool(a) => a.is_null(row),
            Cells::I8(a) => a.is_null(row),
            Cells::U8(a) => a.is_null(row),
            Cells::I16(a) | Cells::Year(a) => a.is_null(row),
            Cells::U16(a) => a.is_null(row),
            Cells::I32(a) => a.is_null(row),
            Cells::U32(a) => a.is_null(row),
            Cells::I64(a) => a.is_null(row),
            Cells::U64(a) | Cells::Bit(a, _) => a.is_null(row),
            Cells::F32(a) => a.is_null(row),
            Cells::F64(a) => a.is_null(row),
            Cells::Decimal(a, _) => a.is_null(row),
            Cells::Date(a) => a.is_null(row),
            Cells::Time(a, _) => a.is_null(row),
            Cells::Moment(a, ..) => a.is_null(row),
            Cells::Text(a) => a.is_null(row),
            Cells::LargeText(a) => a.is_null(row),
            Cells::TextView(a) => a.is_null(row),
            Cells::Bytes(a) => a.is_null(row),
            Cells::LargeBytes(a) => a.is_null(row),
        }
    }
}

fn to(array: &ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    if array.data_type() == ty {
        return Ok(Arc::clone(array));
    }
    cast(array, ty).map_err(|error| Error::internal(format!("a result column of {} cannot be sent as {ty}: {error}", array.data_type())))
}

fn as_text(array: &ArrayRef) -> Result<StringArray> {
    if let (false, Ok(text)) = (array.data_type().is_nested(), cast(array, &DataType::Utf8)) {
        return Ok(text.as_string::<i32>().clone());
    }
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options).map_err(|error| Error::internal(error.to_string()))?;
    (0..array.len())
        .map(|row| {
            if array.is_null(row) {
                return Ok(None);
            }
            formatter.value(row).try_to_string().map(Some).map_err(|error| Error::internal(error.to_string()))
        })
        .collect::<Result<StringArray>>()
}
