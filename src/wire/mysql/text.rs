//! Rows of the text protocol: every value a string with its length, NULL the byte 0xfb.

use super::cells::Cells;
use super::charset::Charset;
use super::codec::{put_lenenc_bytes, put_short};
use super::value::{
    clock_of_micros, date_of_days, put_clock, put_date, put_decimal, put_f32, put_f64, put_i64, put_padded, put_u64, split_micros,
};

const NULL: u8 = 0xfb;

/// Appends one row.
pub fn put_row(out: &mut Vec<u8>, columns: &[Cells], row: usize, charset: Charset) {
    for cells in columns {
        if cells.is_null(row) {
            out.push(NULL);
        } else {
            put_value(out, cells, row, charset);
        }
    }
}

fn put_value(out: &mut Vec<u8>, cells: &Cells, row: usize, charset: Charset) {
    match cells {
        Cells::Null => out.push(NULL),
        Cells::Bool(a) => put_short(out, |o| put_u64(o, a.value(row).into())),
        Cells::I8(a) => put_short(out, |o| put_i64(o, a.value(row).into())),
        Cells::U8(a) => put_short(out, |o| put_u64(o, a.value(row).into())),
        Cells::I16(a) => put_short(out, |o| put_i64(o, a.value(row).into())),
        Cells::U16(a) => put_short(out, |o| put_u64(o, a.value(row).into())),
        Cells::I32(a) => put_short(out, |o| put_i64(o, a.value(row).into())),
        Cells::U32(a) => put_short(out, |o| put_u64(o, a.value(row).into())),
        Cells::I64(a) => put_short(out, |o| put_i64(o, a.value(row))),
        Cells::U64(a) => put_short(out, |o| put_u64(o, a.value(row))),
        Cells::F32(a) => put_short(out, |o| put_f32(o, a.value(row))),
        Cells::F64(a) => put_short(out, |o| put_f64(o, a.value(row))),
        Cells::Decimal(a, scale) => put_short(out, |o| put_decimal(o, a.value(row), *scale)),
        Cells::Date(a) => put_short(out, |o| put_date(o, date_of_days(a.value(row).into()))),
        Cells::Time(a, fsp) => put_short(out, |o| put_time(o, a.value(row), *fsp)),
        Cells::Moment(a, fsp, zone) => put_short(out, |o| {
            let micros = a.value(row);
            let (date, clock) = split_micros(zone.as_ref().map_or(micros, |zone| zone.local(micros)));
            put_date(o, date);
            o.push(b' ');
            put_clock(o, clock, *fsp);
        }),
        Cells::Bit(a, bytes) => put_lenenc_bytes(out, &a.value(row).to_be_bytes()[8 - bytes..]),
        Cells::Year(a) => put_short(out, |o| {
            let year = a.value(row);
            if (0..=9999).contains(&year) { put_padded(o, year as u32, 4) } else { put_i64(o, year.into()) }
        }),
        Cells::Text(a) => put_text(out, a.value(row), charset),
        Cells::LargeText(a) => put_text(out, a.value(row), charset),
        Cells::TextView(a) => put_text(out, a.value(row), charset),
        Cells::Bytes(a) => put_lenenc_bytes(out, a.value(row)),
        Cells::LargeBytes(a) => put_lenenc_bytes(out, a.value(row)),
    }
}

/// Appends a string with its length, in the client's character set.
pub fn put_text(out: &mut Vec<u8>, text: &str, charset: Charset) {
    put_lenenc_bytes(out, &charset.encode(text));
}

fn put_time(out: &mut Vec<u8>, micros: i64, fsp: u8) {
    if micros < 0 {
        out.push(b'-');
    }
    put_clock(out, clock_of_micros(micros.unsigned_abs()), fsp);
}
