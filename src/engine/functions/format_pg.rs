//! The template patterns of to_char, to_date and to_timestamp (PostgreSQL manual, section 9.8).

use super::dates::{DAYS, MONTHS, iso_week};
use super::format_mysql::ordinal;
use crate::types::coerce::civil::{self, Civil, DAY, HOUR, MINUTE, SECOND};
use crate::types::coerce::format::{decimal_text, offset_text};
use crate::types::coerce::{parse_decimal, rescale};

/// Patterns, the longest first where one begins another.
const PATTERNS: [&str; 46] = [
    "SSSSS", "SSSS", "HH24", "HH12", "IYYY", "YYYY", "Y,YYY", "MONTH", "Month", "month", "A.M.", "P.M.", "a.m.", "p.m.", "DDD", "IDDD",
    "DAY", "Day", "day", "MON", "Mon", "mon", "YYY", "HH", "MI", "SS", "MS", "US", "YY", "MM", "DD", "DY", "Dy", "dy", "ID", "IW", "WW",
    "CC", "AM", "PM", "am", "pm", "TZ", "tz", "OF", "FF",
];
const SINGLE: [&str; 5] = ["Y", "D", "W", "Q", "J"];

/// The pattern that a template begins with.
fn pattern_of(rest: &str) -> Option<&'static str> {
    PATTERNS.iter().chain(SINGLE.iter()).find(|p| rest.starts_with(**p)).copied()
}

/// One piece of a template.
enum Piece<'a> {
    Pattern { name: &'static str, fill: bool, suffix: Option<&'a str> },
    Text(&'a str),
}

fn pieces(template: &str) -> Vec<Piece<'_>> {
    let mut out = Vec::new();
    let mut rest = template;
    while !rest.is_empty() {
        if let Some(tail) = rest.strip_prefix('"') {
            let end = tail.find('"').unwrap_or(tail.len());
            out.push(Piece::Text(&tail[..end]));
            rest = tail.get(end + 1..).unwrap_or("");
            continue;
        }
        let (fill, body) = match rest.strip_prefix("FM").or_else(|| rest.strip_prefix("fm")) {
            Some(tail) => (false, tail),
            None => (true, rest),
        };
        // Patterns are taken in any case; names keep the case that says how to print.
        let upper = body.to_ascii_uppercase();
        match pattern_of(body).or_else(|| pattern_of(&upper)) {
            Some(name) => {
                rest = &body[name.len()..];
                let suffix = ["TH", "th"].into_iter().find(|s| rest.starts_with(s));
                if let Some(s) = suffix {
                    rest = &rest[s.len()..];
                }
                out.push(Piece::Pattern { name, fill, suffix });
            }
            None => {
                let end = body.chars().next().map_or(0, char::len_utf8);
                out.push(Piece::Text(&body[..end]));
                rest = &body[end..];
            }
        }
    }
    out
}

/// A civil moment by a template; `offset` (seconds) and `zone` are those of a moment with zone.
pub(super) fn stamp_text(micros: i64, offset: i64, zone: &str, template: &str) -> String {
    let v = Civil::from_micros(micros);
    let days = micros.div_euclid(DAY);
    let weekday = (days + 3).rem_euclid(7) as usize;
    let month = MONTHS[v.month as usize - 1];
    let hour12 = if v.hour.is_multiple_of(12) { 12 } else { v.hour % 12 };
    let yearday = days - civil::days_from_civil(v.year, 1, 1) + 1;
    let mut out = String::new();
    for piece in pieces(template) {
        let (name, fill, suffix) = match piece {
            Piece::Text(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Pattern { name, fill, suffix } => (name, fill, suffix),
        };
        let number = |n: i64, width: usize| if fill { format!("{n:0width$}") } else { n.to_string() };
        let word = |text: String| if fill { format!("{text:<9}") } else { text };
        let text = match name {
            "YYYY" => number(v.year, 4),
            "Y,YYY" => format!("{},{:03}", v.year / 1000, v.year % 1000),
            "YYY" => number(v.year % 1000, 3),
            "YY" => number(v.year % 100, 2),
            "Y" => (v.year % 10).to_string(),
            "IYYY" => number(iso_week(days).0, 4),
            "MM" => number(i64::from(v.month), 2),
            "MONTH" => word(month.to_uppercase()),
            "Month" => word(month.to_owned()),
            "month" => word(month.to_lowercase()),
            "MON" => month[..3].to_uppercase(),
            "Mon" => month[..3].to_owned(),
            "mon" => month[..3].to_lowercase(),
            "DD" => number(i64::from(v.day), 2),
            "DDD" => number(yearday, 3),
            "IDDD" => number((iso_week(days).1 - 1) * 7 + weekday as i64 + 1, 3),
            "DAY" => word(DAYS[weekday].to_uppercase()),
            "Day" => word(DAYS[weekday].to_owned()),
            "day" => word(DAYS[weekday].to_lowercase()),
            "DY" => DAYS[weekday][..3].to_uppercase(),
            "Dy" => DAYS[weekday][..3].to_owned(),
            "dy" => DAYS[weekday][..3].to_lowercase(),
            "D" => ((weekday + 1) % 7 + 1).to_string(),
            "ID" => (weekday + 1).to_string(),
            "W" => ((v.day - 1) / 7 + 1).to_string(),
            "WW" => number((yearday - 1) / 7 + 1, 2),
            "IW" => number(iso_week(days).1, 2),
            "Q" => ((v.month - 1) / 3 + 1).to_string(),
            "J" => (days + 2_440_588).to_string(),
            "CC" => number((v.year + 99).div_euclid(100), 2),
            "HH24" => number(i64::from(v.hour), 2),
            "HH" | "HH12" => number(i64::from(hour12), 2),
            "MI" => number(i64::from(v.minute), 2),
            "SS" => number(i64::from(v.second), 2),
            "SSSS" | "SSSSS" => (micros.rem_euclid(DAY) / SECOND).to_string(),
            "MS" => number(i64::from(v.micros / 1000), 3),
            "US" | "FF" => number(i64::from(v.micros), 6),
            "AM" | "PM" => if v.hour < 12 { "AM" } else { "PM" }.to_owned(),
            "am" | "pm" => if v.hour < 12 { "am" } else { "pm" }.to_owned(),
            "A.M." | "P.M." => if v.hour < 12 { "A.M." } else { "P.M." }.to_owned(),
            "a.m." | "p.m." => if v.hour < 12 { "a.m." } else { "p.m." }.to_owned(),
            "TZ" => zone.to_uppercase(),
            "tz" => zone.to_lowercase(),
            "OF" => offset_text(offset),
            other => other.to_owned(),
        };
        out.push_str(&text);
        if let Some(suffix) = suffix {
            let n = text.trim().parse().unwrap_or(0);
            out.push_str(&if suffix == "TH" { ordinal(n).to_uppercase() } else { ordinal(n).to_owned() });
        }
    }
    out
}

/// Reads a text by a template.
pub(super) fn from_text(text: &str, template: &str) -> Option<i64> {
    let mut rest = text.trim_start();
    let (mut year, mut month, mut day, mut yearday) = (1i64, 1i64, 1i64, None);
    let (mut hour, mut minute, mut second, mut micros, mut pm) = (0i64, 0i64, 0i64, 0i64, None);
    let number = |rest: &mut &str, most: usize| -> Option<i64> {
        *rest = rest.trim_start();
        let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let value = rest[..digits].parse().ok()?;
        *rest = &rest[digits..];
        Some(value)
    };
    for piece in pieces(template) {
        let name = match piece {
            Piece::Text(literal) => {
                // A separator matches any separator, or none at the end.
                let ch = literal.chars().next()?;
                if ch.is_alphanumeric() {
                    rest = rest.get(literal.len()..).unwrap_or("");
                } else if let Some(first) = rest.chars().next().filter(|c| !c.is_alphanumeric()) {
                    rest = &rest[first.len_utf8()..];
                }
                continue;
            }
            Piece::Pattern { name, .. } => name,
        };
        match name {
            "YYYY" | "IYYY" => year = number(&mut rest, 4)?,
            "YYY" | "YY" | "Y" => year = number(&mut rest, name.len()).map(|y| if y < 70 { y + 2000 } else { y + 1900 })?,
            "MM" => month = number(&mut rest, 2)?,
            "MONTH" | "Month" | "month" | "MON" | "Mon" | "mon" => {
                let short = name.len() == 3;
                let at = MONTHS.iter().position(|m| {
                    let m = if short { &m[..3] } else { m };
                    rest.get(..m.len()).is_some_and(|r| r.eq_ignore_ascii_case(m))
                })?;
                rest = &rest[if short { 3 } else { MONTHS[at].len() }..];
                month = at as i64 + 1;
            }
            "DD" => day = number(&mut rest, 2)?,
            "DDD" => yearday = Some(number(&mut rest, 3)?),
            "HH24" => hour = number(&mut rest, 2)?,
            "HH" | "HH12" => hour = number(&mut rest, 2).filter(|h| (1..=12).contains(h))?,
            "MI" => minute = number(&mut rest, 2)?,
            "SS" => second = number(&mut rest, 2)?,
            "MS" | "US" | "FF" => {
                let most = if name == "MS" { 3 } else { 6 };
                let digits = rest.bytes().take(most).take_while(u8::is_ascii_digit).count();
                micros = rest[..digits].parse::<i64>().ok()? * 10i64.pow(6 - digits as u32);
                rest = &rest[digits..];
            }
            "AM" | "PM" | "am" | "pm" => {
                pm = Some(rest.get(..2)?.eq_ignore_ascii_case("pm"));
                rest = &rest[2..];
            }
            "DAY" | "Day" | "day" | "DY" | "Dy" | "dy" => rest = rest.trim_start_matches(|ch: char| ch.is_alphabetic()),
            "J" => return Some((number(&mut rest, 7)? - 2_440_588) * DAY),
            _ => return None,
        }
    }
    if let Some(pm) = pm {
        hour = hour % 12 + if pm { 12 } else { 0 };
    }
    if hour > 24 || minute > 59 || second > 59 {
        return None;
    }
    let days = match yearday {
        Some(n) => civil::days_from_civil(year, 1, 1) + n - 1,
        None => civil::checked_days(year, u32::try_from(month).ok()?, u32::try_from(day).ok()?)?,
    };
    Some(days * DAY + hour * HOUR + minute * MINUTE + second * SECOND + micros)
}

/// A number by a template of `9`, `0`, `.`, `,`, `S`, `MI`, `$`, `FM`.
pub(super) fn number_text(value: &str, template: &str) -> String {
    let fill = !template.to_ascii_uppercase().contains("FM");
    let body: String = template.replace("FM", "").replace("fm", "").replace('D', ".").replace('G', ",");
    let (whole_part, fraction_part) = body.split_once('.').map_or((body.as_str(), None), |(w, f)| (w, Some(f)));
    let digits = |part: &str| part.chars().filter(|ch| matches!(ch, '9' | '0')).count();
    let scale = fraction_part.map_or(0, digits);
    let Some((unscaled, from)) = parse_decimal(value) else { return value.to_owned() };
    let Some(rounded) = rescale(unscaled, from, scale as i8) else { return "#".repeat(body.len()) };
    let negative = rounded < 0;
    let plain = decimal_text(rounded.abs(), scale as i8);
    let (whole, fraction) = plain.split_once('.').map_or((plain.as_str(), ""), |(w, f)| (w, f));
    let whole = if whole == "0" && scale > 0 { "" } else { whole };
    let places = digits(whole_part);
    if whole.len() > places {
        return format!("{}{}", if negative { "-" } else { " " }, body.replace(['9', '0'], "#"));
    }
    // From the template's first 0 on, missing digits are zeros.
    let first_zero = whole_part.chars().filter(|ch| matches!(ch, '9' | '0')).position(|ch| ch == '0').unwrap_or(places);
    let mut out = String::new();
    let (mut place, mut begun) = (0, false);
    for ch in whole_part.chars() {
        match ch {
            '9' | '0' => {
                let missing = places - whole.len();
                if place >= missing {
                    out.push(whole.as_bytes()[place - missing] as char);
                    begun = true;
                } else if place >= first_zero {
                    out.push('0');
                    begun = true;
                } else if fill {
                    out.push(' ');
                }
                place += 1;
            }
            ',' if begun => out.push(','),
            ',' if fill => out.push(' '),
            ',' | 'S' | 's' => {}
            'M' | 'I' | 'P' | 'L' => {}
            other => out.push(other),
        }
    }
    let explicit_sign = body.to_ascii_uppercase().starts_with('S');
    let sign = match (negative, explicit_sign) {
        (true, _) => "-",
        (false, true) => "+",
        _ => "",
    };
    let at = out.find(|ch| ch != ' ').unwrap_or(out.len());
    if !sign.is_empty() {
        out.insert_str(at, sign);
    } else if fill && !explicit_sign {
        out.insert(0, ' ');
    }
    if sign == "-" && fill && !explicit_sign && at == out.len() {
        out.insert(0, ' ');
    }
    if let Some(part) = fraction_part {
        out.push('.');
        let mut shown = fraction.to_owned();
        if !fill {
            // Without fill, nines at the end drop their zeros.
            let least = part
                .chars()
                .filter(|ch| matches!(ch, '9' | '0'))
                .collect::<Vec<_>>()
                .iter()
                .rposition(|ch| *ch == '0')
                .map_or(0, |p| p + 1);
            while shown.len() > least && shown.ends_with('0') {
                shown.pop();
            }
        }
        out.push_str(&shown);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_by_the_templates_of_the_manual() {
        let at = from_text("2022-07-05 15:04:09.123456", "YYYY-MM-DD HH24:MI:SS.US").unwrap();
        let cases = [
            ("YYYY-MM-DD HH24:MI:SS", "2022-07-05 15:04:09"),
            ("HH12:MI:SS AM", "03:04:09 PM"),
            ("FMDay, FMDDth FMMonth YYYY", "Tuesday, 5th July 2022"),
            ("Day, DD", "Tuesday  , 05"),
            ("Dy Mon DD", "Tue Jul 05"),
            ("MS US", "123 123456"),
            ("\"Q\"Q IYYY-IW", "Q3 2022-27"),
        ];
        for (template, want) in cases {
            assert_eq!(stamp_text(at, 0, "", template), want, "{template}");
        }
    }

    #[test]
    fn texts_are_read_by_a_template() {
        assert_eq!(from_text("05 Dec 2000", "DD Mon YYYY"), Some(civil::days_from_civil(2000, 12, 5) * DAY));
        assert_eq!(from_text("20220705", "YYYYMMDD"), Some(civil::days_from_civil(2022, 7, 5) * DAY));
        assert_eq!(from_text("2022-02-30", "YYYY-MM-DD"), None);
    }

    #[test]
    fn numbers_print_by_the_templates_of_the_manual() {
        let cases = [
            ("125", "999", " 125"),
            ("-12", "999", " -12"),
            ("1485", "9,999", " 1,485"),
            ("148.5", "999.999", " 148.500"),
            ("148.5", "FM999.990", "148.500"),
            ("12.5", "FM999990.00", "12.50"),
            ("0.1", "FM9.99", ".1"),
            ("1234567", "FM9,999,999", "1,234,567"),
            ("5", "000", " 005"),
        ];
        for (value, template, want) in cases {
            assert_eq!(number_text(value, template), want, "{value} {template}");
        }
    }
}
