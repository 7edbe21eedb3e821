//! Values as literals of MySQL that mean the same in every character set and sql_mode: no byte of a value can end its literal.

use crate::error::{Error, Kind, Result};
use crate::wire::mysql::cells::Cells;
use crate::wire::mysql::value::{clock_of_micros, date_of_days, put_clock, put_date, put_decimal, put_i64, put_u64, split_micros};

/// Appends the row as `(a, b, ..)`.
pub(super) fn put_row(out: &mut Vec<u8>, columns: &[Cells], row: usize) -> Result<()> {
    out.push(b'(');
    for (index, cells) in columns.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if cells.is_null(row) {
            out.extend_from_slice(b"NULL");
        } else {
            put_value(out, cells, row)?;
        }
    }
    out.push(b')');
    Ok(())
}

fn put_value(out: &mut Vec<u8>, cells: &Cells, row: usize) -> Result<()> {
    match cells {
        Cells::Null => out.extend_from_slice(b"NULL"),
        Cells::Bool(a) => out.push(b'0' + u8::from(a.value(row))),
        Cells::I8(a) => put_i64(out, a.value(row).into()),
        Cells::U8(a) => put_u64(out, a.value(row).into()),
        Cells::I16(a) | Cells::Year(a) => put_i64(out, a.value(row).into()),
        Cells::U16(a) => put_u64(out, a.value(row).into()),
        Cells::I32(a) => put_i64(out, a.value(row).into()),
        Cells::U32(a) => put_u64(out, a.value(row).into()),
        Cells::I64(a) => put_i64(out, a.value(row)),
        Cells::U64(a) | Cells::Bit(a, _) => put_u64(out, a.value(row)),
        // A FLOAT that is read as a DOUBLE keeps its bits, as in the server.
        Cells::F32(a) => put_float(out, a.value(row).into())?,
        Cells::F64(a) => put_float(out, a.value(row))?,
        Cells::Decimal(a, scale) => put_decimal(out, a.value(row), *scale),
        Cells::Date(a) => {
            let date = date_of_days(a.value(row).into());
            check_year(date.year)?;
            out.extend_from_slice(b"DATE'");
            put_date(out, date);
            out.push(b'\'');
        }
        Cells::Time(a, fsp) => {
            let micros = a.value(row);
            out.extend_from_slice(if micros < 0 { b"TIME'-" } else { b"TIME'" });
            put_clock(out, clock_of_micros(micros.unsigned_abs()), *fsp);
            out.push(b'\'');
        }
        Cells::Moment(a, fsp, zone) => {
            let micros = a.value(row);
            if zone.as_ref().is_some_and(|zone| zone.is_repeated(micros)) {
                return Err(Error::new(
                    Kind::InvalidDatetime,
                    "a TIMESTAMP lies in the hour that the session's time zone has twice, so its text would not say which",
                )
                .with_hint("SET time_zone = '+00:00' and run it again"));
            }
            // The upstream knows its zone better: what is known here of `SYSTEM` may be its offset of today only.
            if zone.is_some() && (1..=i64::from(i32::MAX)).contains(&micros.div_euclid(1_000_000)) {
                let (seconds, micros) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
                out.extend_from_slice(format!("FROM_UNIXTIME({seconds}.{micros:06})").as_bytes());
                return Ok(());
            }
            let (date, clock) = split_micros(zone.as_ref().map_or(micros, |zone| zone.local(micros)));
            check_year(date.year)?;
            out.extend_from_slice(b"TIMESTAMP'");
            put_date(out, date);
            out.push(b' ');
            put_clock(out, clock, *fsp);
            out.push(b'\'');
        }
        Cells::Text(a) => put_text(out, a.value(row)),
        Cells::LargeText(a) => put_text(out, a.value(row)),
        Cells::TextView(a) => put_text(out, a.value(row)),
        Cells::Bytes(a) => put_hex(out, b"_binary", a.value(row)),
        Cells::LargeBytes(a) => put_hex(out, b"_binary", a.value(row)),
    }
    Ok(())
}

fn put_float(out: &mut Vec<u8>, value: f64) -> Result<()> {
    if !value.is_finite() {
        return Err(Error::new(Kind::OutOfRange, format!("{value} is no number of MySQL's")));
    }
    // With an exponent a number is a DOUBLE, without one a DECIMAL.
    out.extend_from_slice(format!("{value:e}").as_bytes());
    Ok(())
}

fn check_year(year: i64) -> Result<()> {
    if (0..=9999).contains(&year) { Ok(()) } else { Err(Error::new(Kind::OutOfRange, format!("MySQL has no year {year}"))) }
}

/// A text: as it is when it is plain ASCII without quotes, else its bytes.
fn put_text(out: &mut Vec<u8>, text: &str) {
    let plain = text.bytes().all(|byte| (b' '..=b'}').contains(&byte) && !matches!(byte, b'\'' | b'\\'));
    if !plain {
        return put_hex(out, b"_utf8mb4", text.as_bytes());
    }
    out.extend_from_slice(b"_utf8mb4'");
    out.extend_from_slice(text.as_bytes());
    out.push(b'\'');
}

fn put_hex(out: &mut Vec<u8>, charset: &[u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(charset);
    if bytes.is_empty() {
        return out.extend_from_slice(b"''");
    }
    out.extend_from_slice(b" 0x");
    out.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{
        ArrayRef, Decimal128Array, Float32Array, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    };

    use super::*;
    use crate::time::parse_zone;
    use crate::types::{ColumnInfo, SqlType};
    use crate::wire::mysql::cells::{Zone, cells_of};

    fn rows(ty: SqlType, array: ArrayRef, zone: &str) -> Result<String> {
        let info = ColumnInfo::new("c", ty);
        let batch = RecordBatch::try_from_iter([("c", array)]).unwrap();
        let cells = cells_of(&batch, &[info], &Zone::new(parse_zone(zone).unwrap())).unwrap();
        let mut out = Vec::new();
        for row in 0..batch.num_rows() {
            put_row(&mut out, &cells, row)?;
        }
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn no_text_can_end_its_literal() {
        let texts =
            StringArray::from(vec![Some("plain ~"), Some("a'b"), Some("\\"), Some(""), Some("\0\n"), Some("\u{1f600}"), None, Some("x")]);
        let literals = "(_utf8mb4 0x706c61696e207e)(_utf8mb4 0x612762)(_utf8mb4 0x5c)(_utf8mb4'')\
                        (_utf8mb4 0x000a)(_utf8mb4 0xf09f9880)(NULL)(_utf8mb4'x')";
        assert_eq!(rows(SqlType::Text, Arc::new(texts), "UTC").unwrap(), literals);
    }

    #[test]
    fn numbers_and_moments_keep_every_digit() {
        let floats = Float64Array::from(vec![0.1, -1e300, 5e-324]);
        assert_eq!(rows(SqlType::Float64, Arc::new(floats), "UTC").unwrap(), "(1e-1)(-1e300)(5e-324)");
        let singles = Float32Array::from(vec![0.1f32]);
        assert_eq!(rows(SqlType::Float32, Arc::new(singles), "UTC").unwrap(), "(1.0000000149011612e-1)");
        assert!(rows(SqlType::Float64, Arc::new(Float64Array::from(vec![f64::NAN])), "UTC").is_err());
        let decimals = Decimal128Array::from(vec![-1_i128, 12_345]).with_precision_and_scale(20, 4).unwrap();
        assert_eq!(rows(SqlType::Decimal { precision: 20, scale: 4 }, Arc::new(decimals), "UTC").unwrap(), "(-0.0001)(1.2345)");
        let moment = |micros| Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("UTC")) as ArrayRef;
        let ty = SqlType::Timestamp { fsp: 6 };
        assert_eq!(rows(ty.clone(), moment(1), "+02:00").unwrap(), "(TIMESTAMP'1970-01-01 02:00:00.000001')");
        // 2022-10-30 00:30 UTC is 02:30 in Berlin, and so is 01:30 UTC; 02:30 UTC is not.
        let hour = 3_600_000_000i64;
        let night = 1_667_089_800_000_000i64;
        assert!(rows(ty.clone(), moment(night), "Europe/Berlin").is_err());
        assert!(rows(ty.clone(), moment(night + hour), "Europe/Berlin").is_err());
        assert_eq!(rows(ty.clone(), moment(night + 2 * hour), "Europe/Berlin").unwrap(), "(FROM_UNIXTIME(1667097000.000000))");
        assert_eq!(rows(ty, moment(night + 1), "+00:00").unwrap(), "(FROM_UNIXTIME(1667089800.000001))");
    }
}
