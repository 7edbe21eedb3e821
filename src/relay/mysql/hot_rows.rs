//! Rows and columns of a hot table as the upstream's text protocol brings them.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryBuilder, RecordBatch, RecordBatchOptions, StringBuilder, TimestampMicrosecondBuilder, UInt64Builder,
};
use datafusion::arrow::datatypes::{Field, Schema};
use mysql_common::constants::{ColumnFlags, ColumnType};

use super::own_queries::cell_bytes;
use crate::error::{Error, Kind, Result};
use crate::types::coerce::parse_decimal;
use crate::types::{MAX_DECIMAL_PRECISION, SqlType, UTC};
use crate::upstream::HotColumn;
use crate::wire::mysql::charset::{BINARY, Charset};
use crate::wire::mysql::codec::{Malformed, Reader};

/// Rows of a batch.
const BATCH_ROWS: usize = 8192;
/// Bytes of values at which a batch ends before that.
const BATCH_BYTES: usize = 1 << 20;

/// The numbers at the end of a definition, with their length before them.
const FIXED: usize = 13;

/// Texts come as the bytes of their UTF-8, whatever the client's character set can hold.
const AS_UTF8: &str = "CAST(CONVERT({} USING utf8mb4) AS BINARY)";

/// A column by its definition.
pub(super) fn column(definition: &[u8], charset: Charset) -> Result<HotColumn> {
    let malformed = |_: Malformed| Error::new(Kind::Protocol, "the upstream's column definition cannot be read");
    let mut reader = Reader::new(definition);
    let mut name: &[u8] = &[];
    for index in 0..6 {
        let part = reader.lenenc_bytes("name").map_err(malformed)?;
        if index == 4 {
            name = part;
        }
    }
    let name = charset.decode(name)?.into_owned();
    pass_to_numbers(&mut reader).map_err(malformed)?;
    let collation = reader.u16("collation").map_err(malformed)?;
    let length = reader.u32("length").map_err(malformed)?;
    let kind = reader.u8("type").map_err(malformed)?;
    let flags = ColumnFlags::from_bits_truncate(reader.u16("flags").map_err(malformed)?);
    let decimals = reader.u8("decimals").map_err(malformed)?;
    let unsigned = flags.contains(ColumnFlags::UNSIGNED_FLAG);
    let fsp = if decimals <= 6 { decimals } else { 6 };
    use ColumnType::*;
    let (ty, fetch) = match ColumnType::try_from(kind) {
        Ok(MYSQL_TYPE_TINY) => (SqlType::Int8 { unsigned }, None),
        Ok(MYSQL_TYPE_SHORT) => (SqlType::Int16 { unsigned }, None),
        Ok(MYSQL_TYPE_INT24) => (SqlType::Int24 { unsigned }, None),
        Ok(MYSQL_TYPE_LONG) => (SqlType::Int32 { unsigned }, None),
        Ok(MYSQL_TYPE_LONGLONG) => (SqlType::Int64 { unsigned }, None),
        // As a FLOAT it would come with six digits.
        Ok(MYSQL_TYPE_FLOAT) => (SqlType::Float32, Some("({}+0e0)")),
        Ok(MYSQL_TYPE_DOUBLE) => (SqlType::Float64, None),
        Ok(MYSQL_TYPE_DECIMAL | MYSQL_TYPE_NEWDECIMAL) => {
            let precision = length.saturating_sub(u32::from(!unsigned)).saturating_sub(u32::from(decimals > 0));
            let Some(precision) = u8::try_from(precision).ok().filter(|precision| *precision <= MAX_DECIMAL_PRECISION) else {
                return Err(Error::unsupported(format!("column {name} of a hot table: a DECIMAL of {precision} digits (at most 38)"))
                    .with_hint("give a view of the upstream without it, or with CAST(.. AS DECIMAL(38, s))"));
            };
            (SqlType::Decimal { precision: precision.max(1), scale: decimals as i8 }, None)
        }
        Ok(MYSQL_TYPE_DATE | MYSQL_TYPE_NEWDATE) => (SqlType::Date, None),
        Ok(MYSQL_TYPE_TIME | MYSQL_TYPE_TIME2) => (SqlType::Time { fsp }, None),
        Ok(MYSQL_TYPE_DATETIME | MYSQL_TYPE_DATETIME2) => (SqlType::DateTime { fsp }, None),
        // The hour that a zone has twice is two hours so.
        Ok(MYSQL_TYPE_TIMESTAMP | MYSQL_TYPE_TIMESTAMP2) => (SqlType::Timestamp { fsp }, Some("UNIX_TIMESTAMP({})")),
        Ok(MYSQL_TYPE_YEAR) => (SqlType::Year, None),
        Ok(MYSQL_TYPE_BIT) => (SqlType::Bit { length: u8::try_from(length.clamp(1, 64)).unwrap_or(64) }, Some("({}+0)")),
        Ok(MYSQL_TYPE_JSON) => (SqlType::Json, Some(AS_UTF8)),
        Ok(MYSQL_TYPE_NULL) => (SqlType::Text, None),
        _ if collation == BINARY => (SqlType::Blob, None),
        Ok(MYSQL_TYPE_VARCHAR | MYSQL_TYPE_VAR_STRING | MYSQL_TYPE_STRING)
            if !flags.intersects(ColumnFlags::ENUM_FLAG | ColumnFlags::SET_FLAG) =>
        {
            (SqlType::VarChar { length: (length / charset.width.max(1)).max(1) }, Some(AS_UTF8))
        }
        _ => (SqlType::Text, Some(AS_UTF8)),
    };
    Ok(HotColumn { name, ty, fetch, nullable: true })
}

/// Passes over what stands between the names and the numbers of a definition: MariaDB's extended metadata, where they were
/// agreed on, and the length of what follows, which is always the same.
pub(super) fn pass_to_numbers(reader: &mut Reader<'_>) -> std::result::Result<(), Malformed> {
    let mut ahead = *reader;
    if ahead.rest().len() > FIXED {
        reader.lenenc_bytes("extended metadata")?;
    }
    reader.lenenc("length of what follows").map(drop)
}

enum Column {
    /// ASCII or UTF-8.
    Text(StringBuilder),
    Bytes(BinaryBuilder),
    /// Digits of an unsigned number: as a text they would be bits.
    Bits(UInt64Builder),
    /// Seconds since 1970 with a fraction.
    Epoch(TimestampMicrosecondBuilder),
}

/// Rows that wait to be a batch.
pub(super) struct Pending {
    columns: Vec<Column>,
    charset: Charset,
    rows: usize,
    bytes: usize,
}

impl Pending {
    /// For columns of these types.
    pub fn new(types: &[SqlType], charset: Charset) -> Pending {
        let columns = types.iter().map(|ty| match ty {
            SqlType::Timestamp { .. } => Column::Epoch(TimestampMicrosecondBuilder::new().with_timezone(UTC)),
            SqlType::Bit { .. } => Column::Bits(UInt64Builder::new()),
            ty if ty.is_binary() => Column::Bytes(BinaryBuilder::new()),
            _ => Column::Text(StringBuilder::new()),
        });
        Pending { columns: columns.collect(), charset, rows: 0, bytes: 0 }
    }

    /// Takes a row of the text protocol.
    pub fn push(&mut self, row: &[u8]) -> Result<()> {
        let mut reader = Reader::new(row);
        for column in &mut self.columns {
            let cell = cell_bytes(&mut reader);
            match (column, cell) {
                (Column::Text(builder), None) => builder.append_null(),
                (Column::Bytes(builder), None) => builder.append_null(),
                (Column::Bits(builder), None) => builder.append_null(),
                (Column::Epoch(builder), None) => builder.append_null(),
                (Column::Bits(builder), Some(bytes)) => {
                    let number = std::str::from_utf8(bytes).ok().and_then(|digits| digits.parse().ok());
                    builder.append_value(number.ok_or_else(|| Error::new(Kind::Protocol, "the upstream's bits cannot be read"))?);
                }
                (Column::Bytes(builder), Some(bytes)) => builder.append_value(bytes),
                // Numbers and dates are in the client's character set, which may not be one of ASCII's.
                (Column::Text(builder), Some(bytes)) => match std::str::from_utf8(bytes) {
                    Ok(text) => builder.append_value(text),
                    Err(_) => builder.append_value(self.charset.decode(bytes)?),
                },
                (Column::Epoch(builder), Some(bytes)) => builder.append_value(epoch_micros(bytes)?),
            }
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
        let arrays: Vec<ArrayRef> = self
            .columns
            .iter_mut()
            .map(|column| match column {
                Column::Text(builder) => Arc::new(builder.finish()) as ArrayRef,
                Column::Bytes(builder) => Arc::new(builder.finish()),
                Column::Bits(builder) => Arc::new(builder.finish()),
                Column::Epoch(builder) => Arc::new(builder.finish()),
            })
            .collect();
        let fields: Vec<Field> = arrays.iter().map(|array| Field::new("c", array.data_type().clone(), true)).collect();
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &RecordBatchOptions::new().with_row_count(Some(rows)))
            .map_err(|error| Error::internal(error.to_string()))
    }
}

fn epoch_micros(bytes: &[u8]) -> Result<i64> {
    let text = String::from_utf8_lossy(bytes);
    let number = parse_decimal(&text).and_then(|(unscaled, scale)| {
        let digits = u32::try_from(6 - i32::from(scale)).ok()?;
        i64::try_from(unscaled.checked_mul(10_i128.checked_pow(digits)?)?).ok()
    });
    number.ok_or_else(|| Error::new(Kind::InvalidDatetime, format!("the upstream's moment '{text}' cannot be read")))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::TimestampMicrosecondType;

    use super::*;

    #[test]
    fn moments_come_with_their_fraction() {
        for (text, micros) in [("0.000000", 0), ("1657019471.5", 1_657_019_471_500_000), ("12", 12_000_000)] {
            assert_eq!(epoch_micros(text.as_bytes()).unwrap(), micros, "{text}");
        }
        assert!(epoch_micros(b"x").is_err());
    }

    #[test]
    fn rows_become_columns() {
        let mut pending = Pending::new(&[SqlType::Text, SqlType::Blob, SqlType::Timestamp { fsp: 0 }], Charset::UTF8);
        pending.push(b"\x02ab\x02\xff\0\x012").unwrap();
        pending.push(b"\xfb\xfb\xfb").unwrap();
        let batch = pending.take().unwrap();
        assert_eq!((batch.num_rows(), pending.is_empty()), (2, true));
        assert_eq!((batch.column(0).as_string::<i32>().value(0), batch.column(1).as_binary::<i32>().value(0)), ("ab", &b"\xff\0"[..]));
        assert_eq!(batch.column(2).as_primitive::<TimestampMicrosecondType>().value(0), 2_000_000);
        assert_eq!(batch.columns().iter().map(|c| c.null_count()).sum::<usize>(), 3);
    }

    #[test]
    fn extended_metadata_are_passed_over() {
        let plain = b"\x03def\x01d\x01t\x01t\x01n\x01n\x0c\x3f\0\x0b\0\0\0\x03\x01\x50\0\0\0";
        for extended in [&b"\0"[..], b"\x06\x01\x04json", b"\x0c\0\x0alinestring"] {
            let definition = [&plain[..14], extended, &plain[14..]].concat();
            assert_eq!(column(&definition, Charset::UTF8).unwrap(), column(plain, Charset::UTF8).unwrap());
        }
    }

    #[test]
    fn a_definition_cut_anywhere_is_an_error_and_no_panic() {
        let definition = b"\x03def\x01d\x01t\x01t\x01n\x01n\x0c\x3f\0\x0b\0\0\0\x03\x01\x50\0\0\0";
        let whole = column(definition, Charset::UTF8).unwrap();
        assert_eq!((whole.name.as_str(), whole.ty), ("n", SqlType::Int32 { unsigned: false }));
        for cut in 0..definition.len() - 2 {
            assert!(column(&definition[..cut], Charset::UTF8).is_err(), "{cut}");
        }
    }
}
