//! Column statistics while writing: gathered per row group, merged to stripe and file, put into ORC's and our own form.

use std::cmp::Ordering;

use orc_rust::proto;

use crate::types::{Bound, ColumnStats, MAX_BOUND_BYTES};

/// Strings longer than this are bounded, not stored, in ORC's statistics (specification, "Column Statistics").
const MAX_STRING: usize = 1024;

/// A smallest or largest string, cut when long.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Edge {
    bytes: Vec<u8>,
    exact: bool,
}

/// Minimum and maximum by kind of column; None: no value yet.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Range {
    Int(Option<(i64, i64)>, i128),
    /// `nan` says that a NaN was seen, which no bound covers.
    Float {
        bounds: Option<(f64, f64)>,
        sum: f64,
        nan: bool,
    },
    /// Text and bytes. The upper edge is None when no short one exists.
    Text(Option<(Edge, Option<Edge>)>, i64),
    Binary(Option<(Edge, Option<Edge>)>, i64),
    /// Number of true values.
    Bool(u64),
    /// Unscaled values; the sum is None after an overflow.
    Decimal(Option<(i128, i128)>, Option<i128>),
    Date(Option<(i32, i32)>),
    /// Microseconds.
    Timestamp(Option<(i64, i64)>),
}

/// Statistics of one column over some rows.
#[derive(Debug, Clone)]
pub(super) struct Stats {
    pub(super) range: Range,
    pub(super) values: u64,
    pub(super) nulls: u64,
}

fn widen<T: PartialOrd + Copy>(into: &mut Option<(T, T)>, from: Option<(T, T)>) {
    let Some((low, high)) = from else { return };
    *into = Some(match *into {
        None => (low, high),
        Some((a, b)) => (if low < a { low } else { a }, if high > b { high } else { b }),
    });
}

fn widen_edges(into: &mut Option<(Edge, Option<Edge>)>, from: &Option<(Edge, Option<Edge>)>) {
    let Some((low, high)) = from else { return };
    let Some((into_low, into_high)) = into else {
        *into = from.clone();
        return;
    };
    if low.bytes < into_low.bytes {
        *into_low = low.clone();
    }
    match (&*into_high, high) {
        (Some(a), Some(b)) if b.bytes > a.bytes => *into_high = high.clone(),
        (_, None) => *into_high = None,
        _ => {}
    }
}

impl Range {
    /// The smallest and the largest of some strings.
    pub(super) fn edges(low: &[u8], high: &[u8], text: bool) -> (Edge, Option<Edge>) {
        (
            Edge { bytes: cut(low, MAX_STRING, text).to_vec(), exact: low.len() <= MAX_STRING },
            cut_up(high, MAX_STRING, text).map(|bytes| Edge { bytes, exact: high.len() <= MAX_STRING }),
        )
    }

    fn merge(&mut self, other: &Range) {
        match (self, other) {
            (Range::Int(a, sum), Range::Int(b, more)) => {
                widen(a, *b);
                *sum += more;
            }
            (Range::Float { bounds, sum, nan }, Range::Float { bounds: b, sum: more, nan: also }) => {
                widen(bounds, *b);
                *sum += more;
                *nan |= also;
            }
            (Range::Text(a, sum), Range::Text(b, more)) | (Range::Binary(a, sum), Range::Binary(b, more)) => {
                widen_edges(a, b);
                *sum += more;
            }
            (Range::Bool(a), Range::Bool(b)) => *a += b,
            (Range::Decimal(a, sum), Range::Decimal(b, more)) => {
                widen(a, *b);
                *sum = sum.zip(*more).and_then(|(x, y)| x.checked_add(y));
            }
            (Range::Date(a), Range::Date(b)) => widen(a, *b),
            (Range::Timestamp(a), Range::Timestamp(b)) => widen(a, *b),
            _ => {}
        }
    }
}

impl Stats {
    /// Statistics of no rows.
    pub(super) fn empty(range: Range) -> Stats {
        Stats { range, values: 0, nulls: 0 }
    }

    pub(super) fn merge(&mut self, other: &Stats) {
        self.values += other.values;
        self.nulls += other.nulls;
        self.range.merge(&other.range);
    }

    /// ORC's form. `scale` is that of a decimal column.
    pub(super) fn to_proto(&self, scale: u8) -> proto::ColumnStatistics {
        let mut out = proto::ColumnStatistics { number_of_values: Some(self.values), has_null: Some(self.nulls > 0), ..Default::default() };
        match &self.range {
            Range::Int(bounds, sum) => {
                out.int_statistics = Some(proto::IntegerStatistics {
                    minimum: bounds.map(|b| b.0),
                    maximum: bounds.map(|b| b.1),
                    sum: i64::try_from(*sum).ok(),
                });
            }
            // A reader could take a missing bound for 0, so a NaN leaves no float statistics at all.
            Range::Float { nan: true, .. } => {}
            Range::Float { bounds, sum, .. } => {
                out.double_statistics =
                    Some(proto::DoubleStatistics { minimum: bounds.map(|b| b.0), maximum: bounds.map(|b| b.1), sum: Some(*sum) });
            }
            Range::Text(edges, sum) => {
                let mut text = proto::StringStatistics { sum: Some(*sum), ..Default::default() };
                if let Some((low, high)) = edges {
                    let string = |edge: &Edge| String::from_utf8(edge.bytes.clone()).ok();
                    if low.exact {
                        text.minimum = string(low)
                    } else {
                        text.lower_bound = string(low)
                    }
                    match high {
                        Some(high) if high.exact => text.maximum = string(high),
                        Some(high) => text.upper_bound = string(high),
                        None => {}
                    }
                }
                out.string_statistics = Some(text);
            }
            Range::Binary(_, sum) => out.binary_statistics = Some(proto::BinaryStatistics { sum: Some(*sum) }),
            Range::Bool(trues) => out.bucket_statistics = Some(proto::BucketStatistics { count: vec![*trues] }),
            Range::Decimal(bounds, sum) => {
                out.decimal_statistics = Some(proto::DecimalStatistics {
                    minimum: bounds.map(|b| decimal_text(b.0, scale)),
                    maximum: bounds.map(|b| decimal_text(b.1, scale)),
                    sum: sum.map(|s| decimal_text(s, scale)),
                });
            }
            Range::Date(bounds) => {
                out.date_statistics = Some(proto::DateStatistics { minimum: bounds.map(|b| b.0), maximum: bounds.map(|b| b.1) });
            }
            Range::Timestamp(bounds) => {
                // The digits below the millisecond are stored plus one; 0 and 999999 are the defaults.
                let millis = |us: i64| us.div_euclid(1000);
                let nanos = |us: i64| us.rem_euclid(1000) as i32 * 1000 + 1;
                out.timestamp_statistics = Some(proto::TimestampStatistics {
                    minimum_utc: bounds.map(|b| millis(b.0)),
                    maximum_utc: bounds.map(|b| millis(b.1)),
                    minimum_nanos: bounds.map(|b| nanos(b.0)),
                    maximum_nanos: bounds.map(|b| nanos(b.1)),
                    ..Default::default()
                });
            }
        }
        out
    }

    /// Our own form, for the metadata database. `unsigned` says that an integer's bounds are kept as unsigned.
    pub(super) fn to_column(&self, id: u32, unsigned: bool) -> ColumnStats {
        let int = |v: i64| if unsigned { Bound::UInt(v as u64) } else { Bound::Int(v) };
        let (min, max) = match &self.range {
            Range::Int(bounds, _) => (bounds.map(|b| int(b.0)), bounds.map(|b| int(b.1))),
            Range::Float { bounds, nan, .. } => {
                // NaN sorts above every number, so it takes the upper bound away.
                (bounds.map(|b| Bound::Float(b.0)), bounds.filter(|_| !nan).map(|b| Bound::Float(b.1)))
            }
            Range::Text(edges, _) => {
                let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok().map(Bound::Text);
                (
                    edges.as_ref().and_then(|(low, _)| text(cut(&low.bytes, MAX_BOUND_BYTES, true).to_vec())),
                    edges.as_ref().and_then(|(_, high)| text(cut_up(&high.as_ref()?.bytes, MAX_BOUND_BYTES, true)?)),
                )
            }
            Range::Binary(edges, _) => (
                edges.as_ref().map(|(low, _)| Bound::Bytes(cut(&low.bytes, MAX_BOUND_BYTES, false).to_vec())),
                edges.as_ref().and_then(|(_, high)| Some(Bound::Bytes(cut_up(&high.as_ref()?.bytes, MAX_BOUND_BYTES, false)?))),
            ),
            Range::Bool(trues) if self.values > 0 => {
                (Some(Bound::Int(i64::from(*trues == self.values))), Some(Bound::Int(i64::from(*trues > 0))))
            }
            Range::Bool(_) => (None, None),
            Range::Decimal(bounds, _) if unsigned => (bounds.map(|b| Bound::UInt(b.0 as u64)), bounds.map(|b| Bound::UInt(b.1 as u64))),
            Range::Decimal(bounds, _) => (bounds.map(|b| Bound::Decimal(b.0)), bounds.map(|b| Bound::Decimal(b.1))),
            Range::Date(bounds) => (bounds.map(|b| Bound::Int(b.0.into())), bounds.map(|b| Bound::Int(b.1.into()))),
            Range::Timestamp(bounds) => (bounds.map(|b| Bound::Int(b.0)), bounds.map(|b| Bound::Int(b.1))),
        };
        ColumnStats { id, min, max, nulls: self.nulls }
    }
}

/// Bounds of floats: -0 and +0 are told apart by the engine's order, so a zero bound takes in both.
pub(super) fn float_range(values: impl Iterator<Item = f64>) -> Range {
    let (mut bounds, mut sum, mut nan) = (None, 0.0, false);
    for value in values {
        if value.is_nan() {
            nan = true;
            continue;
        }
        sum += value;
        widen(&mut bounds, Some((value, value)));
    }
    let signed = |v: f64, zero: f64| if v == 0.0 { zero } else { v };
    Range::Float { bounds: bounds.map(|(a, b)| (signed(a, -0.0), signed(b, 0.0))), sum, nan }
}

/// The text of an unscaled decimal: `-12.30`.
pub(super) fn decimal_text(value: i128, scale: u8) -> String {
    let digits = value.unsigned_abs().to_string();
    let scale = usize::from(scale);
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let sign = if value < 0 { "-" } else { "" };
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A prefix of at most `limit` bytes: never greater than the whole.
fn cut(bytes: &[u8], limit: usize, text: bool) -> &[u8] {
    if bytes.len() <= limit {
        return bytes;
    }
    let mut end = limit;
    while text && end > 0 && bytes[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    &bytes[..end]
}

/// At most `limit` bytes that are not smaller than the whole; None: there are none.
fn cut_up(bytes: &[u8], limit: usize, text: bool) -> Option<Vec<u8>> {
    if bytes.len() <= limit {
        return Some(bytes.to_vec());
    }
    // Room for one character that grows longer when it is raised.
    let prefix = cut(bytes, limit - 4 * usize::from(text), text);
    if !text {
        let last = prefix.iter().rposition(|&b| b < 0xff)?;
        let mut raised = prefix[..=last].to_vec();
        raised[last] += 1;
        return Some(raised);
    }
    let mut chars: Vec<char> = std::str::from_utf8(prefix).ok()?.chars().collect();
    while let Some(last) = chars.pop() {
        // The successor, over the gap of the surrogates; none after the last character there is.
        let next = (u32::from(last) + 1..=u32::from(last) + 0x801).find_map(char::from_u32);
        if let Some(next) = next {
            chars.push(next);
            return Some(chars.into_iter().collect::<String>().into_bytes());
        }
    }
    None
}

/// A text bound cut to what the metadata keeps; an upper one is rounded up.
pub(super) fn short_text(text: String, upper: bool) -> Option<String> {
    if text.len() <= MAX_BOUND_BYTES {
        return Some(text);
    }
    let bytes = text.as_bytes();
    let short = if upper { cut_up(bytes, MAX_BOUND_BYTES, true)? } else { cut(bytes, MAX_BOUND_BYTES, true).to_vec() };
    String::from_utf8(short).ok()
}

/// The smaller and the larger of some byte strings.
pub(super) fn extremes<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<(&'a [u8], &'a [u8])> {
    let mut bounds: Option<(&[u8], &[u8])> = None;
    for value in values {
        bounds = Some(match bounds {
            None => (value, value),
            Some((low, high)) => match (value.cmp(low), value.cmp(high)) {
                (Ordering::Less, _) => (value, high),
                (_, Ordering::Greater) => (low, value),
                _ => (low, high),
            },
        });
    }
    bounds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_cut_bound_still_bounds(text in "\\PC{0,80}", limit in 8..40usize) {
            let bytes = text.as_bytes();
            let low = cut(bytes, limit, true);
            prop_assert!(low <= bytes && low.len() <= limit && std::str::from_utf8(low).is_ok());
            let high = cut_up(bytes, limit, true).unwrap();
            prop_assert!(&high[..] >= bytes && high.len() <= limit && String::from_utf8(high).is_ok());
        }
    }

    #[test]
    fn a_text_of_the_last_characters_has_no_short_upper_bound() {
        let last = char::MAX.to_string().repeat(50);
        assert_eq!(cut_up(last.as_bytes(), 64, true), None);
        assert_eq!(cut_up(&[0xff; 100], 64, false), None);
        let before_the_surrogates = "\u{d7ff}".repeat(50);
        let raised = String::from_utf8(cut_up(before_the_surrogates.as_bytes(), 64, true).unwrap()).unwrap();
        assert!(raised > before_the_surrogates && raised.ends_with('\u{e000}'));
    }

    #[test]
    fn decimals_are_written_with_all_digits_of_their_scale() {
        assert_eq!(decimal_text(-5, 2), "-0.05");
        assert_eq!(decimal_text(12300, 2), "123.00");
        assert_eq!(decimal_text(i128::MIN, 0), "-170141183460469231731687303715884105728");
    }
}
