//! Rows of the binary protocol (prepared statements): a bitmap of NULLs, then values in their own layouts.
//! Layout: MySQL internals, "Binary Protocol Resultset"; server: sql/protocol_classic.cc, Protocol_binary.

use super::cells::Cells;
use super::charset::Charset;
use super::codec::{put_lenenc_bytes, put_short};
use super::text::put_text;
use super::value::{Clock, Date, clock_of_micros, date_of_days, put_decimal, split_micros};
use crate::error::{Error, Kind, Result};

/// Appends one row. A date before year 0 or after 65535 has no form here and is an error.
pub fn put_row(out: &mut Vec<u8>, columns: &[Cells], row: usize, charset: Charset) -> Result<()> {
    out.push(0);
    let bitmap = out.len();
    // The first two bits are reserved in rows (not so in parameters).
    out.resize(bitmap + (columns.len() + 9) / 8, 0);
    for (index, cells) in columns.iter().enumerate() {
        if cells.is_null(row) {
            out[bitmap + (index + 2) / 8] |= 1 << ((index + 2) % 8);
        } else {
            put_value(out, cells, row, charset)?;
        }
    }
    Ok(())
}

fn put_value(out: &mut Vec<u8>, cells: &Cells, row: usize, charset: Charset) -> Result<()> {
    match cells {
        Cells::Null => {}
        Cells::Bool(a) => out.push(a.value(row).into()),
        Cells::I8(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        Cells::U8(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        Cells::I16(a) | Cells::Year(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        Cells::U16(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        Cells::I32(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        Cells::U32(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        Cells::I64(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        Cells::U64(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        Cells::F32(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        Cells::F64(a) => out.extend_from_slice(&a.value(row).to_le_bytes()),
        Cells::Decimal(a, scale) => put_short(out, |o| put_decimal(o, a.value(row), *scale)),
        Cells::Date(a) => {
            out.push(4);
            put_date(out, date_of_days(a.value(row).into()))?;
        }
        Cells::Time(a, _) => put_time(out, a.value(row)),
        Cells::Moment(a, _, zone) => {
            let micros = a.value(row);
            let (date, clock) = split_micros(zone.as_ref().map_or(micros, |zone| zone.local(micros)));
            put_moment(out, date, clock)?;
        }
        Cells::Bit(a, bytes) => put_lenenc_bytes(out, &a.value(row).to_be_bytes()[8 - bytes..]),
        Cells::Text(a) => put_text(out, a.value(row), charset),
        Cells::LargeText(a) => put_text(out, a.value(row), charset),
        Cells::TextView(a) => put_text(out, a.value(row), charset),
        Cells::Bytes(a) => put_lenenc_bytes(out, a.value(row)),
        Cells::LargeBytes(a) => put_lenenc_bytes(out, a.value(row)),
    }
    Ok(())
}

fn put_date(out: &mut Vec<u8>, date: Date) -> Result<()> {
    let year = u16::try_from(date.year)
        .map_err(|_| Error::new(Kind::OutOfRange, format!("the year {} cannot be sent in the binary protocol", date.year)))?;
    out.extend_from_slice(&year.to_le_bytes());
    out.extend_from_slice(&[date.month, date.day]);
    Ok(())
}

fn put_moment(out: &mut Vec<u8>, date: Date, clock: Clock) -> Result<()> {
    let midnight = clock.hour == 0 && clock.minute == 0 && clock.second == 0;
    out.push(match (clock.micros, midnight) {
        (0, true) => 4,
        (0, false) => 7,
        _ => 11,
    });
    put_date(out, date)?;
    if clock.micros != 0 || !midnight {
        out.extend_from_slice(&[clock.hour as u8, clock.minute, clock.second]);
    }
    if clock.micros != 0 {
        out.extend_from_slice(&clock.micros.to_le_bytes());
    }
    Ok(())
}

fn put_time(out: &mut Vec<u8>, micros: i64) {
    if micros == 0 {
        out.push(0);
        return;
    }
    let clock = clock_of_micros(micros.unsigned_abs());
    out.push(if clock.micros == 0 { 8 } else { 12 });
    out.push((micros < 0).into());
    out.extend_from_slice(&(clock.hour / 24).to_le_bytes());
    out.extend_from_slice(&[(clock.hour % 24) as u8, clock.minute, clock.second]);
    if clock.micros != 0 {
        out.extend_from_slice(&clock.micros.to_le_bytes());
    }
}
