//! Values as literals of PostgreSQL that mean the same whatever standard_conforming_strings, DateStyle and TimeZone say.
//!
//! A text has no type of its own: it becomes what its column is, as if it were typed. Other values keep their type.

use bytes::BytesMut;
use datafusion::arrow::array::RecordBatch;
use jiff::tz::TimeZone;

use crate::error::{Error, Kind, Result};
use crate::types::{ColumnInfo, SqlType};
use crate::wire::postgres::encode::{Encoder, Style};
use crate::wire::postgres::fault::Fault;

/// The rows of a batch.
pub(super) struct Literals<'a> {
    columns: Vec<(Encoder<'a>, Form)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is written.
    Bare,
    Bool,
    /// In quotes.
    Text,
    /// In quotes, of this type.
    Typed(&'static str),
}

fn form(ty: &SqlType) -> Form {
    match ty {
        SqlType::Bool => Form::Bool,
        SqlType::Int8 { .. }
        | SqlType::Int16 { .. }
        | SqlType::Int24 { .. }
        | SqlType::Int32 { .. }
        | SqlType::Int64 { .. }
        | SqlType::Year
        | SqlType::Bit { .. }
        | SqlType::Oid
        | SqlType::Decimal { .. } => Form::Bare,
        SqlType::Float32 => Form::Typed("float4"),
        SqlType::Float64 => Form::Typed("float8"),
        SqlType::Binary { .. } | SqlType::VarBinary { .. } | SqlType::Blob => Form::Typed("bytea"),
        SqlType::Date => Form::Typed("date"),
        SqlType::Time { .. } => Form::Typed("time"),
        SqlType::DateTime { .. } => Form::Typed("timestamp"),
        SqlType::Timestamp { .. } => Form::Typed("timestamptz"),
        SqlType::Interval => Form::Typed("interval"),
        _ => Form::Text,
    }
}

/// Moments are written in UTC: no clock on the wall has an hour twice there.
static UTC: Style = Style { zone: TimeZone::UTC };

impl Literals<'static> {
    pub fn of(columns: &[ColumnInfo], rows: &RecordBatch) -> Result<Literals<'static>> {
        let encoder = |(column, array): (&ColumnInfo, _)| Encoder::new(&column.ty, array, &UTC).map(|encoder| (encoder, form(&column.ty)));
        let columns = columns.iter().zip(rows.columns()).map(encoder).collect::<Result<_, Fault>>();
        Ok(Literals { columns: columns.map_err(error)? })
    }
}

impl Literals<'_> {
    /// Appends the row as `(a, b, ..)`.
    pub fn put_row(&self, out: &mut String, row: usize) -> Result<()> {
        let mut value = BytesMut::new();
        out.push('(');
        for (index, (encoder, form)) in self.columns.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            if encoder.is_null(row) {
                out.push_str("NULL");
                continue;
            }
            value.clear();
            encoder.write_text(row, &mut value).map_err(error)?;
            let text = std::str::from_utf8(&value).map_err(|_| Error::internal("a value that is no text"))?;
            match form {
                Form::Bool => out.push_str(if text == "t" { "true" } else { "false" }),
                Form::Bare if text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => out.push_str(text),
                Form::Bare | Form::Text => put_quoted(out, text)?,
                Form::Typed(ty) => {
                    put_quoted(out, text)?;
                    out.push_str("::");
                    out.push_str(ty);
                }
            }
        }
        out.push(')');
        Ok(())
    }
}

fn error(fault: Fault) -> Error {
    Error::new(Kind::InvalidValue, fault.message)
}

fn put_quoted(out: &mut String, text: &str) -> Result<()> {
    if text.contains('\0') {
        return Err(Error::new(Kind::InvalidCharacter, "invalid byte sequence for encoding \"UTF8\": 0x00")
            .with_hint("a text of PostgreSQL's holds no NUL; replace(c, chr(0), '') in the query takes it out"));
    }
    let escaped = text.contains('\\');
    out.push_str(if escaped { "E'" } else { "'" });
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            c => out.push(c),
        }
    }
    out.push('\'');
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
    };

    use super::*;

    fn rows(ty: SqlType, array: ArrayRef) -> Result<String> {
        let batch = RecordBatch::try_from_iter([("c", array)]).unwrap();
        let literals = Literals::of(&[ColumnInfo::new("c", ty)], &batch)?;
        let mut out = String::new();
        for row in 0..batch.num_rows() {
            literals.put_row(&mut out, row)?;
        }
        Ok(out)
    }

    #[test]
    fn no_text_can_end_its_literal() {
        let texts = StringArray::from(vec![Some("a"), Some("o'u"), Some("\\' --"), Some(""), Some("\u{1f600}\n"), None]);
        let literals = "('a')('o''u')(E'\\\\'' --')('')('\u{1f600}\n')(NULL)";
        assert_eq!(rows(SqlType::Text, Arc::new(texts)).unwrap(), literals);
        assert_eq!(rows(SqlType::Text, Arc::new(StringArray::from(vec!["a\0b"]))).unwrap_err().sqlstate(), "22021");
    }

    #[test]
    fn values_keep_their_type_and_every_digit() {
        let int = |n| Arc::new(Int64Array::from(vec![n])) as ArrayRef;
        assert_eq!(rows(SqlType::Int64 { unsigned: false }, int(i64::MIN)).unwrap(), "(-9223372036854775808)");
        assert_eq!(rows(SqlType::Bool, Arc::new(BooleanArray::from(vec![true, false]))).unwrap(), "(true)(false)");
        let floats = Float64Array::from(vec![0.1, f64::NAN, -f64::INFINITY]);
        assert_eq!(rows(SqlType::Float64, Arc::new(floats)).unwrap(), "('0.1'::float8)('NaN'::float8)('-Infinity'::float8)");
        let decimals = Decimal128Array::from(vec![-1_i128]).with_precision_and_scale(38, 10).unwrap();
        assert_eq!(rows(SqlType::Decimal { precision: 38, scale: 10 }, Arc::new(decimals)).unwrap(), "(-0.0000000001)");
        assert_eq!(rows(SqlType::Blob, Arc::new(BinaryArray::from(vec![&b"\0'\\"[..]]))).unwrap(), "(E'\\\\x00275c'::bytea)");
        let moment = TimestampMicrosecondArray::from(vec![1]).with_timezone("UTC");
        assert_eq!(rows(SqlType::Timestamp { fsp: 6 }, Arc::new(moment)).unwrap(), "('1970-01-01 00:00:00.000001+00'::timestamptz)");
    }
}
