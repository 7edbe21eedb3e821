//! The specifiers of DATE_FORMAT and STR_TO_DATE (MySQL manual, DATE_FORMAT).

use std::fmt::Write;

use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::dates::{DAYS, MONTHS, week};
use super::scalar::CIVIL;
use crate::types::coerce::civil::{self, Civil, DAY, HOUR, MINUTE, SECOND};

/// A civil moment in a format.
pub(super) fn date_format(civil_micros: i64, format: &str) -> String {
    let v = Civil::from_micros(civil_micros);
    let days = civil_micros.div_euclid(DAY);
    let weekday = (days + 3).rem_euclid(7) as usize;
    let hour12 = if v.hour.is_multiple_of(12) { 12 } else { v.hour % 12 };
    let mut out = String::with_capacity(format.len() * 2);
    let mut chars = format.chars();
    while let Some(ch) = chars.next() {
        if ch != '%' {
            out.push(ch);
            continue;
        }
        let _ = match chars.next() {
            Some('Y') => write!(out, "{:04}", v.year),
            Some('y') => write!(out, "{:02}", v.year % 100),
            Some('m') => write!(out, "{:02}", v.month),
            Some('c') => write!(out, "{}", v.month),
            Some('M') => write!(out, "{}", MONTHS[v.month as usize - 1]),
            Some('b') => write!(out, "{}", &MONTHS[v.month as usize - 1][..3]),
            Some('d') => write!(out, "{:02}", v.day),
            Some('e') => write!(out, "{}", v.day),
            Some('D') => write!(out, "{}{}", v.day, ordinal(v.day)),
            Some('H') => write!(out, "{:02}", v.hour),
            Some('k') => write!(out, "{}", v.hour),
            Some('h' | 'I') => write!(out, "{hour12:02}"),
            Some('l') => write!(out, "{hour12}"),
            Some('i') => write!(out, "{:02}", v.minute),
            Some('s' | 'S') => write!(out, "{:02}", v.second),
            Some('f') => write!(out, "{:06}", v.micros),
            Some('p') => write!(out, "{}", if v.hour < 12 { "AM" } else { "PM" }),
            Some('r') => write!(out, "{hour12:02}:{:02}:{:02} {}", v.minute, v.second, if v.hour < 12 { "AM" } else { "PM" }),
            Some('T') => write!(out, "{:02}:{:02}:{:02}", v.hour, v.minute, v.second),
            Some('W') => write!(out, "{}", DAYS[weekday]),
            Some('a') => write!(out, "{}", &DAYS[weekday][..3]),
            Some('w') => write!(out, "{}", (weekday + 1) % 7),
            Some('j') => write!(out, "{:03}", days - civil::days_from_civil(v.year, 1, 1) + 1),
            Some('U') => write!(out, "{:02}", week(days, 0).1),
            Some('u') => write!(out, "{:02}", week(days, 1).1),
            Some('V') => write!(out, "{:02}", week(days, 2).1),
            Some('v') => write!(out, "{:02}", week(days, 3).1),
            Some('X') => write!(out, "{:04}", week(days, 2).0),
            Some('x') => write!(out, "{:04}", week(days, 3).0),
            Some(other) => write!(out, "{other}"),
            None => Ok(()),
        };
    }
    out
}

/// `st`, `nd`, `rd`, `th`.
pub(super) fn ordinal(n: u32) -> &'static str {
    match (n % 10, n % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    }
}

/// What STR_TO_DATE gives for a format: a date, a time, or both.
pub(super) fn format_kind(format: &str) -> DataType {
    let mut specifiers = format.split('%').skip(1).filter_map(|part| part.chars().next());
    let (mut date, mut time) = (false, false);
    specifiers.by_ref().for_each(|ch| {
        if matches!(ch, 'H' | 'h' | 'I' | 'i' | 'k' | 'l' | 'p' | 'r' | 'S' | 's' | 'T' | 'f') {
            time = true;
        } else {
            date = true;
        }
    });
    match (date, time) {
        (true, false) => DataType::Date32,
        (false, true) => DataType::Time64(TimeUnit::Microsecond),
        _ => CIVIL,
    }
}

/// Reads a text by a format; None when it does not fit.
pub(super) fn str_to_date(text: &str, format: &str) -> Option<i64> {
    let mut rest = text.trim_start();
    let (mut year, mut month, mut day) = (None, None, None);
    let (mut hour, mut minute, mut second, mut micros) = (0, 0, 0, 0);
    let (mut pm, mut yearday, mut has_date) = (None, None, false);
    let number = |rest: &mut &str, most: usize| -> Option<i64> {
        let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let value = rest[..digits].parse().ok()?;
        *rest = &rest[digits..];
        Some(value)
    };
    let name = |rest: &mut &str, names: &[&str], short: bool| -> Option<i64> {
        let at = names.iter().position(|n| {
            let n = if short { &n[..3] } else { n };
            rest.len() >= n.len() && rest.is_char_boundary(n.len()) && rest[..n.len()].eq_ignore_ascii_case(n)
        })?;
        *rest = &rest[if short { 3 } else { names[at].len() }..];
        Some(at as i64)
    };
    let mut chars = format.chars();
    while let Some(ch) = chars.next() {
        if ch.is_whitespace() {
            rest = rest.trim_start();
            continue;
        }
        if ch != '%' {
            rest = rest.trim_start().strip_prefix(ch)?;
            continue;
        }
        let specifier = chars.next()?;
        if specifier != 'f' {
            rest = rest.trim_start();
        }
        has_date |= !matches!(specifier, 'H' | 'h' | 'I' | 'i' | 'k' | 'l' | 'p' | 'r' | 'S' | 's' | 'T' | 'f' | '%');
        match specifier {
            'Y' => year = Some(number(&mut rest, 4)?),
            'y' => year = Some(number(&mut rest, 2).map(|y| if y < 70 { y + 2000 } else { y + 1900 })?),
            'm' | 'c' => month = Some(number(&mut rest, 2)?),
            'M' => month = Some(name(&mut rest, &MONTHS, false)? + 1),
            'b' => month = Some(name(&mut rest, &MONTHS, true)? + 1),
            'd' | 'e' => day = Some(number(&mut rest, 2)?),
            'D' => {
                day = Some(number(&mut rest, 2)?);
                rest = rest.get(2..)?;
            }
            'H' | 'k' | 'h' | 'I' | 'l' => hour = number(&mut rest, 2)?,
            'i' => minute = number(&mut rest, 2)?,
            's' | 'S' => second = number(&mut rest, 2)?,
            'f' => {
                let digits = rest.bytes().take(6).take_while(u8::is_ascii_digit).count();
                micros = rest[..digits].parse::<i64>().ok()? * 10i64.pow(6 - digits as u32);
                rest = &rest[digits..];
            }
            'p' => {
                pm = Some(match rest.get(..2)?.to_ascii_uppercase().as_str() {
                    "AM" => false,
                    "PM" => true,
                    _ => return None,
                });
                rest = &rest[2..];
            }
            'T' | 'r' => {
                hour = number(&mut rest, 2)?;
                rest = rest.strip_prefix(':')?;
                minute = number(&mut rest, 2)?;
                rest = rest.strip_prefix(':')?;
                second = number(&mut rest, 2)?;
                if specifier == 'r' {
                    rest = rest.trim_start();
                    pm = Some(rest.get(..2)?.eq_ignore_ascii_case("PM"));
                    rest = &rest[2..];
                }
            }
            'W' => drop(name(&mut rest, &DAYS, false)?),
            'a' => drop(name(&mut rest, &DAYS, true)?),
            'j' => yearday = Some(number(&mut rest, 3)?),
            '%' => rest = rest.strip_prefix('%')?,
            _ => return None,
        }
    }
    if let Some(pm) = pm {
        if !(1..=12).contains(&hour) {
            return None;
        }
        hour = hour % 12 + if pm { 12 } else { 0 };
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let time = hour * HOUR + minute * MINUTE + second * SECOND + micros;
    if !has_date {
        return Some(time);
    }
    if let (Some(year), Some(n), None) = (year, yearday, month) {
        return Some((civil::days_from_civil(year, 1, 1) + n - 1) * DAY + time);
    }
    let days = civil::checked_days(year?, u32::try_from(month?).ok()?, u32::try_from(day?).ok()?)?;
    Some(days * DAY + time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_manual_hold() {
        let at = |text: &str| str_to_date(text, "%Y-%m-%d %H:%i:%s").unwrap();
        assert_eq!(date_format(at("2009-10-04 22:23:00"), "%W %M %Y"), "Sunday October 2009");
        assert_eq!(date_format(at("2007-10-04 22:23:00"), "%H:%i:%s"), "22:23:00");
        assert_eq!(date_format(at("1900-10-04 22:23:00"), "%D %y %a %d %m %b %j"), "4th 00 Thu 04 10 Oct 277");
        assert_eq!(date_format(at("1997-10-04 22:23:00"), "%H %k %I %r %T %S %w"), "22 22 10 10:23:00 PM 22:23:00 00 6");
        assert_eq!(date_format(at("1999-01-01 00:00:00"), "%X %V"), "1998 52");
        assert_eq!(str_to_date("01,5,2013", "%d,%m,%Y"), Some(civil::days_from_civil(2013, 5, 1) * DAY));
        assert_eq!(str_to_date("May 1, 2013", "%M %d,%Y"), Some(civil::days_from_civil(2013, 5, 1) * DAY));
        assert_eq!(str_to_date("09:30:17a", "%h:%i:%s"), Some(9 * HOUR + 30 * MINUTE + 17 * SECOND));
        assert_eq!(str_to_date("abc", "%Y"), None);
    }
}
