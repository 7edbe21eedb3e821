//! Values with a unit: [`Size`] (`64MiB`) and [`Span`] (`10s`), read strictly and printed back as they are best read.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A number of bytes: `1048576`, `64KiB`, `1GiB`, `10MB` (decimal).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// The longest first, so that printing picks the largest unit that divides.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

impl Size {
    pub const fn mib(n: u64) -> Size {
        Size(n << 20)
    }

    pub const fn gib(n: u64) -> Size {
        Size(n << 30)
    }

    /// As a length in memory; what does not fit is the largest that does.
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let bad = || format!("'{text}' is not a size; write a number with KiB, MiB, GiB or TiB, like 64MiB");
        let (number, unit) = split(text).ok_or_else(bad)?;
        let factor =
            if unit.is_empty() { 1 } else { SIZE_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(bad)?.1 };
        number.checked_mul(factor).map(Size).ok_or_else(|| format!("the size '{text}' is too large"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let binary = SIZE_UNITS.iter().filter(|(name, _)| name.contains('i'));
        match binary.into_iter().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor)) {
            Some((name, factor)) => write!(f, "{}{name}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A length of time: `500ms`, `10s`, `5m`, `8h`, `30d`; a bare number is seconds; `off` is `0s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

const SPAN_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Span {
    /// Switched off.
    pub const OFF: Span = Span(Duration::ZERO);

    pub const fn secs(n: u64) -> Span {
        Span(Duration::from_secs(n))
    }

    /// The length, or None when it is off.
    pub fn limit(self) -> Option<Duration> {
        (!self.0.is_zero()).then_some(self.0)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        if text.trim().eq_ignore_ascii_case("off") {
            return Ok(Span::OFF);
        }
        let bad = || format!("'{text}' is not a length of time; write a number with ms, s, m, h or d, like 10s, or off");
        let (number, unit) = split(text).ok_or_else(bad)?;
        let unit = if unit.is_empty() { "s" } else { unit };
        let factor = SPAN_UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(bad)?.1;
        let millis = number.checked_mul(factor).ok_or_else(|| format!("the time '{text}' is too long"))?;
        Ok(Span(Duration::from_millis(millis)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("off");
        }
        let (name, factor) = SPAN_UNITS.iter().find(|(_, factor)| millis.is_multiple_of(*factor)).unwrap_or(&("ms", 1));
        write!(f, "{}{name}", millis / factor)
    }
}

/// `64 MiB` -> (64, "MiB").
fn split(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim_start()))
}

macro_rules! as_text {
    ($type:ty, $what:literal) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;
                impl de::Visitor<'_> for Visitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<$type, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Visitor)
            }
        }
    };
}

as_text!(Size, "a size like 64MiB");
as_text!(Span, "a length of time like 10s, or off");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_printed_back_the_same() {
        for (text, bytes, printed) in [
            ("64MiB", 64 << 20, "64MiB"),
            ("1gib", 1 << 30, "1GiB"),
            ("10 MB", 10_000_000, "10000000"),
            ("4096", 4096, "4KiB"),
            ("0", 0, "0"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(size.to_string(), printed);
            assert_eq!(printed.parse::<Size>().unwrap(), size);
        }
    }

    #[test]
    fn spans_are_read_and_printed_back_the_same() {
        for (text, millis, printed) in [
            ("10s", 10_000, "10s"),
            ("1500ms", 1500, "1500ms"),
            ("off", 0, "off"),
            ("90", 90_000, "90s"),
            ("120m", 7_200_000, "2h"),
            ("30d", 2_592_000_000, "30d"),
        ] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Duration::from_millis(millis), "{text}");
            assert_eq!(span.to_string(), printed);
            assert_eq!(printed.parse::<Span>().unwrap(), span);
        }
    }

    #[test]
    fn a_wrong_unit_a_sign_and_an_overflow_are_errors() {
        for text in ["64 MeB", "-1", "", "MiB", "1.5GiB", "99999999999TiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        for text in ["10 parsecs", "-1s", "", "s", "1.5s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
