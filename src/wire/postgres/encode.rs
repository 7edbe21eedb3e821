//! Values of Arrow columns in PostgreSQL's text and binary formats.
//!
//! An [`Encoder`] is made once for a column of a batch; it then writes single values. The layouts are those of the
//! types' output and send functions in PostgreSQL (src/backend/utils/adt).

use std::fmt::Write;

use bytes::{BufMut, BytesMut};
use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, IntervalMonthDayNanoArray, LargeStringArray, ListArray, StringArray, StringViewArray,
    StructArray, Time64MicrosecondArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use jiff::tz::TimeZone;

use super::fault::Fault;
use super::types::{self, PgType};
use super::{datetime, float, numeric};
use crate::types::{SqlType, UTC};

/// Text or binary (format codes 0 and 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Binary,
}

impl Format {
    /// From the format code of a message.
    pub fn of_code(code: i16) -> Result<Format, Fault> {
        match code {
            0 => Ok(Format::Text),
            1 => Ok(Format::Binary),
            _ => Err(Fault::protocol(format!("unsupported format code: {code}"))),
        }
    }

    /// The format code.
    pub fn code(self) -> i16 {
        self as i16
    }
}

/// What the text of values depends on.
#[derive(Debug, Clone)]
pub struct Style {
    /// The session's time zone.
    pub zone: TimeZone,
}

/// Writes the values of one column of one batch.
pub struct Encoder<'a> {
    values: Values,
    ty: PgType,
    style: &'a Style,
}

/// A column in one of the forms that are written directly; every other Arrow type is cast to one of them.
enum Values {
    Null,
    Bool(BooleanArray),
    Int8(Int8Array),
    Int16(Int16Array),
    Int32(Int32Array),
    Int64(Int64Array),
    UInt8(UInt8Array),
    UInt16(UInt16Array),
    UInt32(UInt32Array),
    UInt64(UInt64Array),
    Float32(Float32Array),
    Float64(Float64Array),
    Decimal(Decimal128Array, i8),
    Decimal256(Decimal256Array),
    Text(StringArray),
    LargeText(LargeStringArray),
    TextView(StringViewArray),
    Binary(BinaryArray),
    Date(Date32Array),
    Time(Time64MicrosecondArray),
    Timestamp(TimestampMicrosecondArray),
    TimestampTz(TimestampMicrosecondArray),
    Interval(IntervalMonthDayNanoArray),
    List(ListArray, SqlType),
    /// A row's columns.
    Record(StructArray),
    /// Text made for types that PostgreSQL has no form for: maps.
    Shown(StringArray),
}

impl<'a> Encoder<'a> {
    /// For `array`, announced to the client as `ty`.
    pub fn new(ty: &SqlType, array: &ArrayRef, style: &'a Style) -> Result<Encoder<'a>, Fault> {
        Ok(Encoder { values: Values::of(ty, array)?, ty: types::describe(ty), style })
    }

    /// Is the value NULL?
    pub fn is_null(&self, row: usize) -> bool {
        match &self.values {
            Values::Null => true,
            Values::Bool(a) => a.is_null(row),
            Values::Int8(a) => a.is_null(row),
            Values::Int16(a) => a.is_null(row),
            Values::Int32(a) => a.is_null(row),
            Values::Int64(a) => a.is_null(row),
            Values::UInt8(a) => a.is_null(row),
            Values::UInt16(a) => a.is_null(row),
            Values::UInt32(a) => a.is_null(row),
            Values::UInt64(a) => a.is_null(row),
            Values::Float32(a) => a.is_null(row),
            Values::Float64(a) => a.is_null(row),
            Values::Decimal(a, _) => a.is_null(row),
            Values::Decimal256(a) => a.is_null(row),
            Values::Text(a) | Values::Shown(a) => a.is_null(row),
            Values::LargeText(a) => a.is_null(row),
            Values::TextView(a) => a.is_null(row),
            Values::Binary(a) => a.is_null(row),
            Values::Date(a) => a.is_null(row),
            Values::Time(a) => a.is_null(row),
            Values::Timestamp(a) | Values::TimestampTz(a) => a.is_null(row),
            Values::Interval(a) => a.is_null(row),
            Values::List(a, _) => a.is_null(row),
            Values::Record(a) => a.is_null(row),
        }
    }

    /// Writes the value as DataRow and binary COPY hold it: a 32-bit length (-1 for NULL) and the bytes.
    pub fn write_field(&self, row: usize, format: Format, out: &mut BytesMut) -> Result<(), Fault> {
        if self.is_null(row) {
            out.put_i32(-1);
            return Ok(());
        }
        let start = out.len();
        out.put_i32(0);
        match format {
            Format::Text => self.write_text(row, out)?,
            Format::Binary => self.write_binary(row, out)?,
        }
        let length = i32::try_from(out.len() - start - 4).map_err(|_| Fault::error("54000", "a value is larger than 2 GiB"))?;
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    /// Writes the text of a value that is not NULL.
    pub fn write_text(&self, row: usize, out: &mut BytesMut) -> Result<(), Fault> {
        let done = match &self.values {
            Values::Null => Ok(()),
            Values::Bool(a) => out.write_str(if a.value(row) { "t" } else { "f" }),
            Values::Int8(a) => write!(out, "{}", a.value(row)),
            Values::Int16(a) => write!(out, "{}", a.value(row)),
            Values::Int32(a) => write!(out, "{}", a.value(row)),
            Values::Int64(a) => write!(out, "{}", a.value(row)),
            Values::UInt8(a) => write!(out, "{}", a.value(row)),
            Values::UInt16(a) => write!(out, "{}", a.value(row)),
            Values::UInt32(a) => write!(out, "{}", a.value(row)),
            Values::UInt64(a) => write!(out, "{}", a.value(row)),
            Values::Float32(a) => float::write_f32(a.value(row), out),
            Values::Float64(a) => float::write_f64(a.value(row), out),
            Values::Decimal(a, scale) => numeric::write_text(a.value(row), *scale, out),
            Values::Decimal256(a) => out.write_str(&a.value_as_string(row)),
            Values::Text(a) | Values::Shown(a) => put(out, a.value(row).as_bytes()),
            Values::LargeText(a) => put(out, a.value(row).as_bytes()),
            Values::TextView(a) => put(out, a.value(row).as_bytes()),
            Values::Binary(a) => write_hex(a.value(row), out),
            Values::Date(a) => datetime::write_date(a.value(row), out),
            Values::Time(a) => datetime::write_time(a.value(row), out),
            Values::Timestamp(a) => datetime::write_timestamp(a.value(row), out),
            Values::TimestampTz(a) => datetime::write_timestamptz(a.value(row), &self.style.zone, out),
            Values::Interval(a) => {
                let v = a.value(row);
                datetime::write_interval(v.months, v.days, v.nanoseconds / 1000, out)
            }
            Values::List(a, item) => return self.write_list_text(item, &a.value(row), out),
            Values::Record(a) => return self.write_record(a, row, out),
        };
        done.map_err(|_| Fault::error("XX000", "a value could not be written"))
    }

    /// Writes the binary form of a value that is not NULL. The width follows the announced type.
    pub fn write_binary(&self, row: usize, out: &mut BytesMut) -> Result<(), Fault> {
        match &self.values {
            Values::Null => {}
            Values::Bool(a) => out.put_u8(a.value(row).into()),
            Values::Int8(a) => self.write_int(a.value(row).into(), out)?,
            Values::Int16(a) => self.write_int(a.value(row).into(), out)?,
            Values::Int32(a) => self.write_int(a.value(row).into(), out)?,
            Values::Int64(a) => self.write_int(a.value(row).into(), out)?,
            Values::UInt8(a) => self.write_int(a.value(row).into(), out)?,
            Values::UInt16(a) => self.write_int(a.value(row).into(), out)?,
            Values::UInt32(a) => self.write_int(a.value(row).into(), out)?,
            Values::UInt64(a) => self.write_int(a.value(row).into(), out)?,
            Values::Float32(a) => out.put_f32(a.value(row)),
            Values::Float64(a) => out.put_f64(a.value(row)),
            Values::Decimal(a, scale) => {
                let mut text = String::new();
                numeric::write_text(a.value(row), *scale, &mut text).map_err(|_| Fault::error("XX000", "a value could not be written"))?;
                numeric::write_binary(&text, out);
            }
            Values::Decimal256(a) => numeric::write_binary(&a.value_as_string(row), out),
            Values::Text(_) | Values::LargeText(_) | Values::TextView(_) if self.ty.oid == types::UUID => {
                let mut text = BytesMut::new();
                self.write_text(row, &mut text)?;
                let uuid = uuid::Uuid::try_parse_ascii(&text).map_err(|_| Fault::error("22P02", "a value of type uuid is not one"))?;
                out.put_slice(uuid.as_bytes());
            }
            Values::Text(_) | Values::LargeText(_) | Values::TextView(_) | Values::Shown(_) | Values::Record(..) => {
                self.write_text(row, out)?
            }
            Values::Binary(a) => out.put_slice(a.value(row)),
            Values::Date(a) => out.put_i32(a.value(row).saturating_sub(datetime::EPOCH_DAYS)),
            Values::Time(a) => out.put_i64(a.value(row)),
            Values::Timestamp(a) | Values::TimestampTz(a) => out.put_i64(a.value(row).saturating_sub(datetime::EPOCH_MICROS)),
            Values::Interval(a) => {
                let v = a.value(row);
                out.put_i64(v.nanoseconds / 1000);
                out.put_i32(v.days);
                out.put_i32(v.months);
            }
            Values::List(a, item) => self.write_list_binary(item, &a.value(row), out)?,
        }
        Ok(())
    }

    fn write_int(&self, value: i128, out: &mut BytesMut) -> Result<(), Fault> {
        let range = |_| Fault::error("22003", format!("the value {value} is out of range for its type"));
        match self.ty.oid {
            types::INT2 => out.put_i16(value.try_into().map_err(range)?),
            types::INT4 => out.put_i32(value.try_into().map_err(range)?),
            types::INT8 => out.put_i64(value.try_into().map_err(range)?),
            types::NUMERIC => numeric::write_binary(&value.to_string(), out),
            _ => return put(out, value.to_string().as_bytes()).map_err(|_| Fault::error("XX000", "a value could not be written")),
        }
        Ok(())
    }

    /// `{1,NULL,"a b"}` (arrayfuncs.c, array_out).
    fn write_list_text(&self, item: &SqlType, values: &ArrayRef, out: &mut BytesMut) -> Result<(), Fault> {
        let encoder = Encoder::new(item, values, self.style)?;
        out.put_u8(b'{');
        let mut text = BytesMut::new();
        for row in 0..values.len() {
            if row > 0 {
                out.put_u8(b',');
            }
            if encoder.is_null(row) {
                out.put_slice(b"NULL");
                continue;
            }
            text.clear();
            encoder.write_text(row, &mut text)?;
            if matches!(encoder.values, Values::List(..)) || !needs_quotes(&text) {
                out.put_slice(&text);
                continue;
            }
            out.put_u8(b'"');
            for b in &text {
                if matches!(b, b'"' | b'\\') {
                    out.put_u8(b'\\');
                }
                out.put_u8(*b);
            }
            out.put_u8(b'"');
        }
        out.put_u8(b'}');
        Ok(())
    }

    /// `(1,,"a b")` (rowtypes.c, record_out).
    fn write_record(&self, record: &StructArray, row: usize, out: &mut BytesMut) -> Result<(), Fault> {
        let mut text = BytesMut::new();
        out.put_u8(b'(');
        for (at, column) in record.columns().iter().enumerate() {
            if at > 0 {
                out.put_u8(b',');
            }
            let encoder = Encoder::new(&SqlType::of_arrow(column.data_type()), &column.slice(row, 1), self.style)?;
            if encoder.is_null(0) {
                continue;
            }
            text.clear();
            encoder.write_text(0, &mut text)?;
            if !text.is_empty() && !text.iter().any(|b| b"\"\\(),".contains(b) || b.is_ascii_whitespace()) {
                out.put_slice(&text);
                continue;
            }
            out.put_u8(b'"');
            for b in &text {
                if matches!(b, b'"' | b'\\') {
                    out.put_u8(*b);
                }
                out.put_u8(*b);
            }
            out.put_u8(b'"');
        }
        out.put_u8(b')');
        Ok(())
    }

    /// Dimensions, a flag for NULLs, the element type, length and lower bound of each dimension, the elements in row
    /// order (arrayfuncs.c, array_send).
    fn write_list_binary(&self, item: &SqlType, values: &ArrayRef, out: &mut BytesMut) -> Result<(), Fault> {
        let (mut item, mut values, mut lengths) = (item.clone(), values.clone(), vec![values.len()]);
        while let SqlType::List(inner) = item {
            let Values::List(lists, _) = Values::of(&SqlType::List(inner.clone()), &values)? else { return Err(ragged()) };
            let length = if lists.is_empty() { 0 } else { lists.value_length(0) };
            if lists.null_count() > 0 || (0..lists.len()).any(|row| lists.value_length(row) != length) {
                return Err(ragged());
            }
            let (from, to) = match (lists.value_offsets().first(), lists.value_offsets().last()) {
                (Some(from), Some(to)) => (*from as usize, *to as usize),
                _ => (0, 0),
            };
            values = lists.values().slice(from, to - from);
            lengths.push(length as usize);
            item = *inner;
        }
        let encoder = Encoder::new(&item, &values, self.style)?;
        // An empty array has no dimensions at all.
        let lengths = if lengths.contains(&0) { vec![] } else { lengths };
        out.put_i32(lengths.len() as i32);
        out.put_i32((0..values.len()).any(|row| encoder.is_null(row)).into());
        out.put_u32(encoder.ty.oid);
        for length in lengths {
            out.put_i32(length as i32);
            out.put_i32(1);
        }
        (0..values.len()).try_for_each(|row| encoder.write_field(row, Format::Binary, out))
    }
}

fn ragged() -> Fault {
    Fault::error("0A000", "an array whose rows differ in length has no binary form").with_hint("ask for the text format")
}

fn put(out: &mut BytesMut, bytes: &[u8]) -> std::fmt::Result {
    out.put_slice(bytes);
    Ok(())
}

/// `\x0a1b`.
fn write_hex(bytes: &[u8], out: &mut BytesMut) -> std::fmt::Result {
    out.put_slice(b"\\x");
    let start = out.len();
    out.resize(start + bytes.len() * 2, 0);
    hex::encode_to_slice(bytes, &mut out[start..]).map_err(|_| std::fmt::Error)
}

fn needs_quotes(text: &[u8]) -> bool {
    text.is_empty()
        || text.eq_ignore_ascii_case(b"null")
        || text.iter().any(|b| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c))
}

impl Values {
    fn of(ty: &SqlType, array: &ArrayRef) -> Result<Values, Fault> {
        let to = |target: DataType| -> Result<ArrayRef, Fault> {
            if array.data_type() == &target {
                return Ok(array.clone());
            }
            cast(array, &target)
                .map_err(|error| Fault::error("XX000", format!("a column of type {} cannot be sent: {error}", array.data_type())))
        };
        macro_rules! typed {
            ($array:expr, $kind:ty) => {
                $array
                    .as_any()
                    .downcast_ref::<$kind>()
                    .cloned()
                    .ok_or_else(|| Fault::error("XX000", "a column has another type than it says"))?
            };
        }
        Ok(match array.data_type() {
            DataType::Null => Values::Null,
            DataType::Boolean => Values::Bool(typed!(array, BooleanArray)),
            DataType::Int8 => Values::Int8(typed!(array, Int8Array)),
            DataType::Int16 => Values::Int16(typed!(array, Int16Array)),
            DataType::Int32 => Values::Int32(typed!(array, Int32Array)),
            DataType::Int64 => Values::Int64(typed!(array, Int64Array)),
            DataType::UInt8 => Values::UInt8(typed!(array, UInt8Array)),
            DataType::UInt16 => Values::UInt16(typed!(array, UInt16Array)),
            DataType::UInt32 => Values::UInt32(typed!(array, UInt32Array)),
            DataType::UInt64 => Values::UInt64(typed!(array, UInt64Array)),
            DataType::Float32 => Values::Float32(typed!(array, Float32Array)),
            DataType::Float16 => Values::Float32(typed!(to(DataType::Float32)?, Float32Array)),
            DataType::Float64 => Values::Float64(typed!(array, Float64Array)),
            DataType::Decimal128(_, scale) => Values::Decimal(typed!(array, Decimal128Array), *scale),
            DataType::Decimal32(p, s) | DataType::Decimal64(p, s) => {
                Values::Decimal(typed!(to(DataType::Decimal128(*p, *s))?, Decimal128Array), *s)
            }
            DataType::Decimal256(..) => Values::Decimal256(typed!(array, Decimal256Array)),
            DataType::Utf8 => Values::Text(typed!(array, StringArray)),
            DataType::LargeUtf8 => Values::LargeText(typed!(array, LargeStringArray)),
            DataType::Utf8View => Values::TextView(typed!(array, StringViewArray)),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Values::Binary(typed!(to(DataType::Binary)?, BinaryArray))
            }
            DataType::Date32 | DataType::Date64 => Values::Date(typed!(to(DataType::Date32)?, Date32Array)),
            DataType::Time32(_) | DataType::Time64(_) => {
                Values::Time(typed!(to(DataType::Time64(TimeUnit::Microsecond))?, Time64MicrosecondArray))
            }
            DataType::Timestamp(_, None) => {
                Values::Timestamp(typed!(to(DataType::Timestamp(TimeUnit::Microsecond, None))?, TimestampMicrosecondArray))
            }
            DataType::Timestamp(_, Some(_)) => {
                let target = DataType::Timestamp(TimeUnit::Microsecond, Some(UTC.into()));
                Values::TimestampTz(typed!(to(target)?, TimestampMicrosecondArray))
            }
            DataType::Interval(_) | DataType::Duration(_) => {
                Values::Interval(typed!(to(DataType::Interval(IntervalUnit::MonthDayNano))?, IntervalMonthDayNanoArray))
            }
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => {
                let list = to(DataType::List(item.clone()))?;
                let item = match ty {
                    SqlType::List(item) => (**item).clone(),
                    _ => SqlType::of_arrow(item.data_type()),
                };
                Values::List(list.as_list::<i32>().clone(), item)
            }
            DataType::Struct(_) => Values::Record(typed!(array, StructArray)),
            DataType::Dictionary(_, value) => return Values::of(ty, &to((**value).clone())?),
            DataType::RunEndEncoded(_, value) => return Values::of(ty, &to(value.data_type().clone())?),
            _ => Values::Shown(shown(array)?),
        })
    }
}

fn shown(array: &ArrayRef) -> Result<StringArray, Fault> {
    let failed = |error| Fault::error("XX000", format!("a column of type {} cannot be sent: {error}", array.data_type()));
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options).map_err(failed)?;
    (0..array.len())
        .map(|row| if array.is_null(row) { Ok(None) } else { formatter.value(row).try_to_string().map(Some).map_err(failed) })
        .collect()
}

#[cfg(test)]
#[path = "encode_tests.rs"]
mod tests;
