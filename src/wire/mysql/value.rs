//! How values look as MySQL text: numbers, dates, times. Appends to a buffer; allocates nothing.

use std::io::Write;

const MICROS_PER_SECOND: i64 = 1_000_000;
/// Microseconds of a day.
pub const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// A date of the proleptic Gregorian calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    pub year: i64,
    pub month: u8,
    pub day: u8,
}

/// The date `days` after 1970-01-01.
pub fn date_of_days(days: i64) -> Date {
    // Years begin in March here, so that the leap day is the last of its year; 146097 days are 400 years.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = (of_year - (153 * march_month + 2) / 5 + 1) as u8;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 } as u8;
    Date { year: era * 400 + year_of_era + i64::from(month <= 2), month, day }
}

/// Days from 1970-01-01 to a date; None when there is no such day.
pub fn days_of_date(year: i64, month: u8, day: u8) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let shifted_year = year - i64::from(month <= 2);
    let march_month = (i64::from(month) + 9) % 12;
    let year_of_era = shifted_year.rem_euclid(400);
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + (153 * march_month + 2) / 5 + i64::from(day) - 1;
    let days = shifted_year.div_euclid(400) * 146_097 + of_era - 719_468;
    // The 31st of a short month would have moved on.
    (date_of_days(days) == Date { year, month, day }).then_some(days)
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    pub hour: u32,
    pub minute: u8,
    pub second: u8,
    pub micros: u32,
}

/// Splits microseconds since midnight; hours may be more than a day's.
pub fn clock_of_micros(micros: u64) -> Clock {
    let seconds = micros / MICROS_PER_SECOND as u64;
    Clock {
        hour: (seconds / 3600) as u32,
        minute: (seconds / 60 % 60) as u8,
        second: (seconds % 60) as u8,
        micros: (micros % MICROS_PER_SECOND as u64) as u32,
    }
}

/// Appends an unsigned integer.
pub fn put_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a signed integer.
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    put_u64(out, value.unsigned_abs());
}

/// Appends a decimal: its unscaled value and the digits after the point (a negative scale appends zeros).
pub fn put_decimal(out: &mut Vec<u8>, value: i128, scale: i8) {
    if value < 0 {
        out.push(b'-');
    }
    let mut digits = [0u8; 39];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    while rest > u128::from(u64::MAX) {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut rest = rest as u64;
    while rest > 0 || at == digits.len() {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let digits = &digits[at..];
    let fraction = usize::from(scale.max(0).unsigned_abs());
    if fraction == 0 {
        out.extend_from_slice(digits);
        if value != 0 && scale < 0 {
            out.extend(std::iter::repeat_n(b'0', usize::from(scale.unsigned_abs())));
        }
    } else if digits.len() > fraction {
        let (whole, part) = digits.split_at(digits.len() - fraction);
        out.extend_from_slice(whole);
        out.push(b'.');
        out.extend_from_slice(part);
    } else {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', fraction - digits.len()));
        out.extend_from_slice(digits);
    }
}

/// Appends a double as MySQL prints it: the shortest digits that read back the same, with an exponent when the point
/// would lie more than 15 places from the first digit (strings/dtoa.cc, MAX_DECPT_FOR_F_FORMAT).
pub fn put_f64(out: &mut Vec<u8>, value: f64) {
    let magnitude = value.abs();
    // Writing to a Vec cannot fail.
    let _ = if value == 0.0 || (1e-15..1e15).contains(&magnitude) || !value.is_finite() {
        write!(out, "{value}")
    } else {
        write!(out, "{value:e}")
    };
}

/// Appends a float as MySQL prints it: six significant digits (FLT_DIG).
pub fn put_f32(out: &mut Vec<u8>, value: f32) {
    let rounded = format!("{:.5e}", f64::from(value));
    match rounded.parse::<f64>() {
        Ok(value) => put_f64(out, value),
        Err(_) => out.extend_from_slice(rounded.as_bytes()),
    }
}

/// Appends the last `width` decimal digits, zeros in front.
pub fn put_padded(out: &mut Vec<u8>, value: u32, width: usize) {
    let mut unit = 10u32.pow(width as u32 - 1);
    while unit > 0 {
        out.push(b'0' + (value / unit % 10) as u8);
        unit /= 10;
    }
}

/// Appends `YYYY-MM-DD`.
pub fn put_date(out: &mut Vec<u8>, date: Date) {
    if (0..=9999).contains(&date.year) {
        put_padded(out, date.year as u32, 4);
    } else {
        put_i64(out, date.year);
    }
    out.push(b'-');
    put_padded(out, date.month.into(), 2);
    out.push(b'-');
    put_padded(out, date.day.into(), 2);
}

/// Appends `HH:MM:SS` and `fsp` digits of the fraction.
pub fn put_clock(out: &mut Vec<u8>, clock: Clock, fsp: u8) {
    if clock.hour > 99 {
        put_u64(out, clock.hour.into());
    } else {
        put_padded(out, clock.hour, 2);
    }
    out.push(b':');
    put_padded(out, clock.minute.into(), 2);
    out.push(b':');
    put_padded(out, clock.second.into(), 2);
    let fsp = fsp.min(6);
    if fsp > 0 {
        out.push(b'.');
        put_padded(out, clock.micros / 10u32.pow(6 - u32::from(fsp)), fsp.into());
    }
}

/// Splits microseconds since 1970 into the date and the time of day.
pub fn split_micros(micros: i64) -> (Date, Clock) {
    let (days, rest) = (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY));
    (date_of_days(days), clock_of_micros(rest.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(put: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = vec![];
        put(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn every_day_of_ten_thousand_years_comes_back() {
        let mut previous = date_of_days(-719_529);
        for days in -719_528..2_932_897 {
            let date = date_of_days(days);
            assert_eq!(days_of_date(date.year, date.month, date.day), Some(days));
            assert!(date.day == previous.day + 1 || date.day == 1 && previous.day >= 28);
            previous = date;
        }
        assert_eq!(date_of_days(19_178), Date { year: 2022, month: 7, day: 5 });
        for (y, m, d) in [(2023, 2, 29), (2022, 4, 31), (2022, 13, 1), (2022, 0, 1), (2022, 1, 0)] {
            assert_eq!(days_of_date(y, m, d), None);
        }
    }

    #[test]
    fn integers_and_decimals_are_printed_whole() {
        assert_eq!(shown(|o| put_i64(o, i64::MIN)), "-9223372036854775808");
        assert_eq!(shown(|o| put_u64(o, u64::MAX)), "18446744073709551615");
        assert_eq!(shown(|o| put_u64(o, 0)), "0");
        for (value, scale, text) in
            [(0, 2, "0.00"), (-5, 2, "-0.05"), (1234, 2, "12.34"), (12, 0, "12"), (12, -2, "1200"), (100, 2, "1.00"), (0, -2, "0")]
        {
            assert_eq!(shown(|o| put_decimal(o, value, scale)), text);
        }
        assert_eq!(shown(|o| put_decimal(o, 10i128.pow(38) - 1, 10)), format!("{}.{}", "9".repeat(28), "9".repeat(10)));
        assert_eq!(shown(|o| put_decimal(o, i128::MIN, 0)), i128::MIN.to_string());
    }

    #[test]
    fn floats_look_as_in_mysql() {
        for (value, text) in [
            (0.1, "0.1"),
            (1.0, "1"),
            (-0.5, "-0.5"),
            (1e14, "100000000000000"),
            (1e15, "1e15"),
            (1.5e20, "1.5e20"),
            (1e-5, "0.00001"),
            (1e-16, "1e-16"),
            (123456789.125, "123456789.125"),
            (1e300, "1e300"),
        ] {
            assert_eq!(shown(|o| put_f64(o, value)), text);
        }
        assert_eq!(shown(|o| put_f32(o, 1.1)), "1.1");
        assert_eq!(shown(|o| put_f32(o, 16_777_216.0)), "16777200");
    }

    #[test]
    fn times_show_the_digits_of_their_precision() {
        let clock = clock_of_micros(40_271_123_456);
        assert_eq!(shown(|o| put_clock(o, clock, 0)), "11:11:11");
        assert_eq!(shown(|o| put_clock(o, clock, 3)), "11:11:11.123");
        assert_eq!(shown(|o| put_clock(o, clock, 6)), "11:11:11.123456");
        let (date, clock) = split_micros(-1);
        assert_eq!(shown(|o| put_date(o, date)), "1969-12-31");
        assert_eq!(shown(|o| put_clock(o, clock, 6)), "23:59:59.999999");
        assert_eq!(shown(|o| put_date(o, Date { year: 12, month: 1, day: 2 })), "0012-01-02");
    }
}
