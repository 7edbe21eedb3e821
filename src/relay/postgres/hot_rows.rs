//! Rows and columns of a hot table as the upstream's binary format brings them: it depends on no setting.

use std::sync::Arc;

use bytes::Buf;
use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, BooleanBuilder, Date32Builder, Float32Builder, Float64Builder, Int16Builder, Int32Builder, Int64Builder,
    RecordBatch, RecordBatchOptions, StringBuilder, Time64MicrosecondBuilder, TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{Field, Schema};

use crate::error::{Error, Kind, Result};
use crate::types::{MAX_DECIMAL_PRECISION, SqlType, UTC};
use crate::upstream::HotColumn;
use crate::wire::postgres::datetime::{EPOCH_DAYS, EPOCH_MICROS};
use crate::wire::postgres::types;

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Bytes of values at which a batch ends before that.
const BATCH_BYTES: usize = 1 << 20;
/// The digits after the point of a `numeric` that does not say: as in CREATE TABLE of a cold table.
const BARE_SCALE: i8 = 10;
/// What has no form here comes as text.
const AS_TEXT: &str = "{}::text";

fn malformed() -> Error {
    Error::new(Kind::Protocol, "the upstream's answer cannot be read")
}

/// The columns of a RowDescription.
pub(super) fn columns(mut body: &[u8]) -> Result<Vec<HotColumn>> {
    let count = body.try_get_u16().map_err(|_| malformed())?;
    let mut columns = Vec::with_capacity(count.into());
    for _ in 0..count {
        let end = memchr::memchr(0, body).ok_or_else(malformed)?;
        let name = std::str::from_utf8(&body[..end]).map_err(|_| malformed())?.to_owned();
        body.advance(end + 1);
        let mut fields = body.get(..18).ok_or_else(malformed)?;
        body.advance(18);
        fields.advance(6);
        let oid = fields.get_u32();
        fields.advance(2);
        let (ty, fetch) = type_of(oid, fields.get_i32());
        columns.push(HotColumn { name, ty, fetch, nullable: true });
    }
    Ok(columns)
}

fn type_of(oid: u32, modifier: i32) -> (SqlType, Option<&'static str>) {
    let fsp = u8::try_from(modifier).ok().filter(|fsp| *fsp <= 6).unwrap_or(6);
    let length = u32::try_from(modifier - 4).ok();
    match oid {
        types::BOOL => (SqlType::Bool, None),
        types::INT2 => (SqlType::Int16 { unsigned: false }, None),
        types::INT4 => (SqlType::Int32 { unsigned: false }, None),
        types::INT8 => (SqlType::Int64 { unsigned: false }, None),
        types::OID => (SqlType::Int64 { unsigned: false }, Some("{}::int8")),
        types::FLOAT4 => (SqlType::Float32, None),
        types::FLOAT8 => (SqlType::Float64, None),
        types::NUMERIC => {
            let (precision, scale) = match modifier.checked_sub(4).filter(|packed| *packed >= 0) {
                // The scale in 11 bits with its sign (numeric.c, make_numeric_typmod).
                Some(packed) => ((packed >> 16) & 0xffff, ((packed & 0x7ff) ^ 1024) - 1024),
                None => (i32::from(MAX_DECIMAL_PRECISION), i32::from(BARE_SCALE)),
            };
            match (u8::try_from(precision), i8::try_from(scale)) {
                (Ok(precision), Ok(scale)) if precision <= MAX_DECIMAL_PRECISION && scale >= 0 && scale as u8 <= precision => {
                    (SqlType::Decimal { precision, scale }, Some(AS_TEXT))
                }
                _ => (SqlType::Decimal { precision: MAX_DECIMAL_PRECISION, scale: BARE_SCALE }, Some(AS_TEXT)),
            }
        }
        types::BYTEA => (SqlType::Blob, None),
        types::DATE => (SqlType::Date, None),
        types::TIME => (SqlType::Time { fsp }, None),
        types::TIMESTAMP => (SqlType::DateTime { fsp }, None),
        types::TIMESTAMPTZ => (SqlType::Timestamp { fsp }, None),
        types::UUID => (SqlType::Uuid, Some(AS_TEXT)),
        types::JSON | types::JSONB => (SqlType::Json, Some(AS_TEXT)),
        types::TEXT => (SqlType::Text, None),
        types::VARCHAR => (length.map_or(SqlType::Text, |length| SqlType::VarChar { length }), None),
        types::BPCHAR => (length.map_or(SqlType::Text, |length| SqlType::Char { length }), None),
        _ => (SqlType::Text, Some(AS_TEXT)),
    }
}

enum Column {
    Bool(BooleanBuilder),
    Int16(Int16Builder),
    Int32(Int32Builder),
    Int64(Int64Builder),
    Float32(Float32Builder),
    Float64(Float64Builder),
    Bytes(BinaryBuilder),
    Date(Date32Builder),
    Time(Time64MicrosecondBuilder),
    Moment(TimestampMicrosecondBuilder),
    /// A number: so many digits after the point are kept, and no more may be there.
    Decimal(StringBuilder, i8),
    Text(StringBuilder),
}

/// Rows that wait to be a batch.
pub(super) struct Pending {
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

impl Pending {
    /// For columns of these types.
    pub fn new(types: &[SqlType]) -> Pending {
        let columns = types.iter().map(|ty| match ty {
            SqlType::Bool => Column::Bool(BooleanBuilder::new()),
            SqlType::Int16 { .. } => Column::Int16(Int16Builder::new()),
            SqlType::Int32 { .. } => Column::Int32(Int32Builder::new()),
            SqlType::Int64 { .. } => Column::Int64(Int64Builder::new()),
            SqlType::Float32 => Column::Float32(Float32Builder::new()),
            SqlType::Float64 => Column::Float64(Float64Builder::new()),
            SqlType::Blob => Column::Bytes(BinaryBuilder::new()),
            SqlType::Date => Column::Date(Date32Builder::new()),
            SqlType::Time { .. } => Column::Time(Time64MicrosecondBuilder::new()),
            SqlType::DateTime { .. } => Column::Moment(TimestampMicrosecondBuilder::new()),
            SqlType::Timestamp { .. } => Column::Moment(TimestampMicrosecondBuilder::new().with_timezone(UTC)),
            SqlType::Decimal { scale, .. } => Column::Decimal(StringBuilder::new(), *scale),
            _ => Column::Text(StringBuilder::new()),
        });
        Pending { columns: columns.collect(), rows: 0, bytes: 0 }
    }

    /// Takes the body of a DataRow.
    pub fn push(&mut self, row: &[u8]) -> Result<()> {
        let mut rest = row.get(2..).ok_or_else(malformed)?;
        for column in &mut self.columns {
            let length = rest.try_get_i32().map_err(|_| malformed())?;
            let cell = match usize::try_from(length) {
                Err(_) => None,
                Ok(length) => {
                    let cell = rest.get(..length).ok_or_else(malformed)?;
                    rest.advance(length);
                    Some(cell)
                }
            };
            column.push(cell)?;
        }
        self.rows += 1;
        self.bytes += row.len();
        Ok(())
    }

    pub fn is_full(&self) -> bool {
        self.rows >= BATCH_ROWS || self.bytes >= BATCH_BYTES
    }

    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// What waits, as a batch.
    pub fn take(&mut self) -> Result<RecordBatch> {
        let arrays: Vec<ArrayRef> = self.columns.iter_mut().map(Column::finish).collect();
        let fields: Vec<Field> = arrays.iter().map(|array| Field::new("c", array.data_type().clone(), true)).collect();
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &RecordBatchOptions::new().with_row_count(Some(rows)))
            .map_err(|error| Error::internal(error.to_string()))
    }
}

impl Column {
    fn push(&mut self, cell: Option<&[u8]>) -> Result<()> {
        fn fixed<const N: usize>(cell: Option<&[u8]>) -> Result<Option<[u8; N]>> {
            cell.map(|bytes| bytes.try_into().map_err(|_| malformed())).transpose()
        }
        fn text(cell: Option<&[u8]>) -> Result<Option<&str>> {
            cell.map(|bytes| std::str::from_utf8(bytes)).transpose().map_err(|_| {
                Error::new(Kind::InvalidCharacter, "a text of a hot table is not UTF-8")
                    .with_hint("the upstream's database is of another encoding")
            })
        }
        let endless = |what: &str| {
            Error::new(Kind::OutOfRange, format!("{what} 'infinity' of a hot table has no form here")).with_hint("leave it out with WHERE")
        };
        match self {
            Column::Bool(builder) => builder.append_option(fixed::<1>(cell)?.map(|[byte]| byte != 0)),
            Column::Int16(builder) => builder.append_option(fixed(cell)?.map(i16::from_be_bytes)),
            Column::Int32(builder) => builder.append_option(fixed(cell)?.map(i32::from_be_bytes)),
            Column::Int64(builder) => builder.append_option(fixed(cell)?.map(i64::from_be_bytes)),
            Column::Float32(builder) => builder.append_option(fixed(cell)?.map(f32::from_be_bytes)),
            Column::Float64(builder) => builder.append_option(fixed(cell)?.map(f64::from_be_bytes)),
            Column::Bytes(builder) => builder.append_option(cell),
            Column::Date(builder) => builder.append_option(match fixed(cell)?.map(i32::from_be_bytes) {
                Some(i32::MIN | i32::MAX) => return Err(endless("the date")),
                days => days.map(|days| days.saturating_add(EPOCH_DAYS)),
            }),
            Column::Time(builder) => builder.append_option(fixed(cell)?.map(i64::from_be_bytes)),
            Column::Moment(builder) => builder.append_option(match fixed(cell)?.map(i64::from_be_bytes) {
                Some(i64::MIN | i64::MAX) => return Err(endless("the moment")),
                micros => micros.map(|micros| micros.saturating_add(EPOCH_MICROS)),
            }),
            Column::Decimal(builder, scale) => {
                let number = text(cell)?;
                let digits =
                    number.and_then(|number| number.split_once('.')).map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len());
                if digits > usize::from(scale.unsigned_abs()) {
                    let number = number.unwrap_or_default();
                    return Err(Error::new(
                        Kind::OutOfRange,
                        format!("the number {number} of a hot table has more than {scale} digits after the point"),
                    )
                    .with_hint("a view of the upstream with a cast to numeric(38, s) keeps more of them"));
                }
                builder.append_option(number);
            }
            Column::Text(builder) => builder.append_option(text(cell)?),
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Column::Bool(builder) => Arc::new(builder.finish()),
            Column::Int16(builder) => Arc::new(builder.finish()),
            Column::Int32(builder) => Arc::new(builder.finish()),
            Column::Int64(builder) => Arc::new(builder.finish()),
            Column::Float32(builder) => Arc::new(builder.finish()),
            Column::Float64(builder) => Arc::new(builder.finish()),
            Column::Bytes(builder) => Arc::new(builder.finish()),
            Column::Date(builder) => Arc::new(builder.finish()),
            Column::Time(builder) => Arc::new(builder.finish()),
            Column::Moment(builder) => Arc::new(builder.finish()),
            Column::Decimal(builder, _) | Column::Text(builder) => Arc::new(builder.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::{Date32Type, Int32Type};

    use super::*;

    fn description(name: &str, oid: u32, modifier: i32) -> Vec<u8> {
        let mut body = vec![0, 1];
        body.extend_from_slice(name.as_bytes());
        body.extend_from_slice(&[0; 7]);
        body.extend_from_slice(&oid.to_be_bytes());
        body.extend_from_slice(&[0, 8]);
        body.extend_from_slice(&modifier.to_be_bytes());
        body.extend_from_slice(&[0, 0]);
        body
    }

    #[test]
    fn columns_have_the_type_that_a_cold_table_would_give_them() {
        let ty = |oid, modifier| columns(&description("c", oid, modifier)).unwrap().remove(0).ty;
        assert_eq!(ty(types::NUMERIC, (12 << 16 | 2) + 4), SqlType::Decimal { precision: 12, scale: 2 });
        assert_eq!(ty(types::NUMERIC, -1), SqlType::Decimal { precision: 38, scale: 10 });
        assert_eq!(ty(types::VARCHAR, 24), SqlType::VarChar { length: 20 });
        assert_eq!(ty(types::VARCHAR, -1), SqlType::Text);
        assert_eq!(ty(types::TIMESTAMP, 3), SqlType::DateTime { fsp: 3 });
        assert_eq!(ty(869, -1), SqlType::Text);
        let whole = description("name", types::INT4, -1);
        for cut in 0..whole.len() {
            assert!(columns(&whole[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn rows_become_columns_and_what_has_no_form_is_an_error() {
        let mut pending = Pending::new(&[SqlType::Int32 { unsigned: false }, SqlType::Date, SqlType::Decimal { precision: 38, scale: 2 }]);
        let row = |number: &str| {
            let mut row = b"\0\x03\0\0\0\x04\0\0\0\x07\0\0\0\x04\0\0\0\x01".to_vec();
            row.extend_from_slice(&(number.len() as u32).to_be_bytes());
            row.extend_from_slice(number.as_bytes());
            row
        };
        pending.push(&row("1.50")).unwrap();
        pending.push(b"\0\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff").unwrap();
        let batch = pending.take().unwrap();
        assert_eq!(
            (batch.column(0).as_primitive::<Int32Type>().value(0), batch.column(1).as_primitive::<Date32Type>().value(0)),
            (7, 10_958)
        );
        assert_eq!((batch.column(2).as_string::<i32>().value(0), batch.column(2).null_count()), ("1.50", 1));
        assert!(Pending::new(&[SqlType::Text, SqlType::Date, SqlType::Decimal { precision: 38, scale: 2 }]).push(&row("1.505")).is_err());
        assert!(Pending::new(&[SqlType::Date]).push(b"\0\x01\0\0\0\x04\x7f\xff\xff\xff").is_err());
        let whole = row("1.50");
        for cut in 0..whole.len() {
            let mut pending =
                Pending::new(&[SqlType::Int32 { unsigned: false }, SqlType::Date, SqlType::Decimal { precision: 38, scale: 2 }]);
            assert!(pending.push(&whole[..cut]).is_err(), "{cut}");
        }
    }
}
