//! PostgreSQL's jsonb: a value, not a text. Keys are sorted by length and then by bytes, the last of equal ones counts,
//! numbers keep their digits. Equality and order are those of jsonb_util.c, compareJsonbContainers.

use std::collections::BTreeMap;
use std::fmt::Write;

use datafusion::arrow::array::ArrayRef;

use super::scalar::{At, Call, Spec, add as row, bytes, text};
use super::text::checked_texts;
use crate::error::{Error, Kind, Result};

/// Deepest nesting that is read.
const DEEPEST: usize = 512;
/// Most digits that an exponent may add to a number.
const MOST_DIGITS: i64 = 16_383;

pub(super) fn add(out: &mut Vec<Spec>) {
    row(out, "fg_jsonb", 1..=1, text, |c| each(c, |v| v.print()));
    row(out, "fg_jsonb_key", 1..=1, bytes, key);
    row(out, "fg_jsonb_join", 2..=2, text, |c| {
        let (a, b) = (c.text(0)?, c.text(1)?);
        checked_texts(c, |i| {
            let (a, b) = (a.at(i)?, b.at(i)?);
            Some(Jsonb::parse(a).and_then(|a| Ok(a.join(Jsonb::parse(b)?).print())))
        })
    });
}

fn each(c: &Call<'_>, f: impl Fn(&Jsonb) -> String) -> Result<ArrayRef> {
    let texts = c.text(0)?;
    checked_texts(c, |i| texts.at(i).map(|t| Jsonb::parse(t).map(|v| f(&v))))
}

/// Bytes that are equal and ordered as the values are.
fn key(c: &Call<'_>) -> Result<ArrayRef> {
    let texts = c.text(0)?;
    let keys = (0..c.rows).map(|i| texts.at(i).map(|t| Jsonb::parse(t).map(|v| v.key())).transpose()).collect::<Result<Vec<_>>>()?;
    c.binaries(|i| keys[i].as_deref())
}

/// A name in an object: short ones first.
type Name = (usize, String);

#[derive(Debug, Clone, PartialEq)]
enum Jsonb {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    Array(Vec<Jsonb>),
    Object(BTreeMap<Name, Jsonb>),
}

/// A number by its digits: `digits` / 10^`scale`.
#[derive(Debug, Clone, PartialEq)]
struct Number {
    negative: bool,
    digits: String,
    scale: usize,
}

impl Number {
    /// Reads a number that is written as JSON has it.
    fn read(written: &str) -> Option<Number> {
        let (mantissa, power) = match written.find(['e', 'E']) {
            Some(at) => (&written[..at], written[at + 1..].parse::<i64>().ok()?),
            None => (written, 0),
        };
        let (negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits = format!("{whole}{fraction}");
        let scale = i64::try_from(fraction.len()).ok()? - power;
        if scale.abs() > MOST_DIGITS {
            return None;
        }
        if scale < 0 {
            digits.extend(std::iter::repeat_n('0', scale.unsigned_abs() as usize));
        }
        let digits = digits.trim_start_matches('0').to_owned();
        Some(Number { negative: negative && !digits.is_empty(), digits, scale: scale.max(0) as usize })
    }

    fn print(&self, out: &mut String) {
        if self.negative {
            out.push('-');
        }
        let padded = format!("{:0>width$}", self.digits, width = self.scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - self.scale);
        out.push_str(whole);
        if self.scale > 0 {
            out.push('.');
            out.push_str(fraction);
        }
    }

    /// Sign, place of the first digit, digits: for a number below zero turned round.
    fn key(&self, out: &mut Vec<u8>) {
        if self.digits.is_empty() {
            out.push(1);
            return;
        }
        let place = self.digits.len() as i64 - self.scale as i64;
        let mut body = ((place + (1 << 31)) as u32).to_be_bytes().to_vec();
        body.extend_from_slice(self.digits.trim_end_matches('0').as_bytes());
        body.push(0);
        out.push(if self.negative { 0 } else { 2 });
        out.extend(body.into_iter().map(|b| if self.negative { !b } else { b }));
    }
}

impl Jsonb {
    fn parse(text: &str) -> Result<Jsonb> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0).filter(|_| {
            reader.blanks();
            reader.at == text.len()
        });
        value.ok_or_else(|| Error::new(Kind::InvalidJson, "invalid input syntax for type json"))
    }

    fn print(&self) -> String {
        let mut out = String::new();
        self.push(&mut out);
        out
    }

    fn push(&self, out: &mut String) {
        match self {
            Jsonb::Null => out.push_str("null"),
            Jsonb::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Jsonb::Number(number) => number.print(out),
            Jsonb::Text(text) => quote(text, out),
            Jsonb::Array(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    item.push(out);
                }
                out.push(']');
            }
            Jsonb::Object(members) => {
                out.push('{');
                for (i, ((_, name), value)) in members.iter().enumerate() {
                    out.push_str(if i > 0 { ", " } else { "" });
                    quote(name, out);
                    out.push_str(": ");
                    value.push(out);
                }
                out.push('}');
            }
        }
    }

    fn key(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            // An empty array at the top comes before everything: PostgreSQL compares a lone value as an array of one.
            Jsonb::Array(items) if items.is_empty() => out.push(0),
            value => value.push_key(&mut out),
        }
        out
    }

    fn push_key(&self, out: &mut Vec<u8>) {
        let text = |text: &str, out: &mut Vec<u8>| {
            out.extend_from_slice(text.as_bytes());
            out.push(0);
        };
        match self {
            Jsonb::Null => out.push(1),
            Jsonb::Text(value) => {
                out.push(2);
                text(value, out);
            }
            Jsonb::Number(number) => {
                out.push(3);
                number.key(out);
            }
            Jsonb::Bool(value) => out.extend([4, u8::from(*value)]),
            Jsonb::Array(items) => {
                out.push(5);
                out.extend((items.len() as u32).to_be_bytes());
                items.iter().for_each(|item| item.push_key(out));
            }
            Jsonb::Object(members) => {
                out.push(6);
                out.extend((members.len() as u32).to_be_bytes());
                for ((_, name), value) in members {
                    text(name, out);
                    value.push_key(out);
                }
            }
        }
    }

    /// `||`: objects become one, anything else an array.
    fn join(self, other: Jsonb) -> Jsonb {
        match (self, other) {
            (Jsonb::Object(mut a), Jsonb::Object(b)) => {
                a.extend(b);
                Jsonb::Object(a)
            }
            (a, b) => {
                let items = |value| if let Jsonb::Array(items) = value { items } else { vec![value] };
                let mut all = items(a);
                all.extend(items(b));
                Jsonb::Array(all)
            }
        }
    }
}

/// As escape_json writes it.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for ch in text.chars() {
        match ch {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ch if ch < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(ch));
            }
            ch => out.push(ch),
        }
    }
    out.push('"');
}

/// Reads strictly; None: it is no JSON.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.blanks();
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    fn word(&mut self, word: &str, value: Jsonb) -> Option<Jsonb> {
        let rest = self.text.get(self.at..)?.strip_prefix(word)?;
        if rest.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return None;
        }
        self.at += word.len();
        Some(value)
    }

    fn value(&mut self, depth: usize) -> Option<Jsonb> {
        if depth > DEEPEST {
            return None;
        }
        self.blanks();
        match self.peek()? {
            b'{' => {
                self.at += 1;
                let mut members = BTreeMap::new();
                if self.eat(b'}') {
                    return Some(Jsonb::Object(members));
                }
                loop {
                    self.blanks();
                    let name = self.string()?;
                    if !self.eat(b':') {
                        return None;
                    }
                    let value = self.value(depth + 1)?;
                    members.insert((name.len(), name), value);
                    if self.eat(b'}') {
                        return Some(Jsonb::Object(members));
                    }
                    if !self.eat(b',') {
                        return None;
                    }
                }
            }
            b'[' => {
                self.at += 1;
                let mut items = Vec::new();
                if self.eat(b']') {
                    return Some(Jsonb::Array(items));
                }
                loop {
                    items.push(self.value(depth + 1)?);
                    if self.eat(b']') {
                        return Some(Jsonb::Array(items));
                    }
                    if !self.eat(b',') {
                        return None;
                    }
                }
            }
            b'"' => self.string().map(Jsonb::Text),
            b't' => self.word("true", Jsonb::Bool(true)),
            b'f' => self.word("false", Jsonb::Bool(false)),
            b'n' => self.word("null", Jsonb::Null),
            _ => self.number(),
        }
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while self.peek().is_some_and(|b| b.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Option<Jsonb> {
        let from = self.at;
        self.at += usize::from(self.peek() == Some(b'-'));
        let leading_zero = self.peek() == Some(b'0');
        let whole = self.digits();
        if whole == 0 || (leading_zero && whole > 1) {
            return None;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return None;
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            if self.digits() == 0 {
                return None;
            }
        }
        Number::read(&self.text[from..self.at]).map(Jsonb::Number)
    }

    fn string(&mut self) -> Option<String> {
        if self.peek() != Some(b'"') {
            return None;
        }
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.find(|c: char| c == '"' || c == '\\' || c < ' ')?;
            out.push_str(&rest[..plain]);
            self.at += plain + 1;
            match rest.as_bytes()[plain] {
                b'"' => return Some(out),
                b'\\' => self.escape(&mut out)?,
                _ => return None,
            }
        }
    }

    fn escape(&mut self, out: &mut String) -> Option<()> {
        let kind = self.peek()?;
        self.at += 1;
        out.push(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.unit()?;
                let code = if (0xd800..0xdc00).contains(&high) {
                    if !self.text[self.at..].starts_with("\\u") {
                        return None;
                    }
                    self.at += 2;
                    let low = self.unit().filter(|low| (0xdc00..0xe000).contains(low))?;
                    0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                } else {
                    high
                };
                // PostgreSQL's text holds no zero.
                char::from_u32(code).filter(|c| *c != '\0')?
            }
            _ => return None,
        });
        Some(())
    }

    fn unit(&mut self) -> Option<u32> {
        let hex = self.text.get(self.at..self.at + 4).filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += 4;
        u32::from_str_radix(hex, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_postgresql_prints_them() {
        let cases = [
            (
                r#"{"b":1,"a":2,"a":3,"aa":1.10, "c":[1,2,{"x":null}], "é":"\u00e9\n\"", "n":1e2, "m":1E-3, "k":-0.0, "z":12345678901234567890.123}"#,
                r#"{"a": 3, "b": 1, "c": [1, 2, {"x": null}], "k": 0.0, "m": 0.001, "n": 100, "z": 12345678901234567890.123, "aa": 1.10, "é": "é\n\""}"#,
            ),
            ("0.00", "0.00"),
            ("-0", "0"),
            ("1.5e3", "1500"),
            ("1e-7", "0.0000001"),
            (r#" "\ud83d\ude00\t" "#, "\"😀\\t\""),
            ("[ ]", "[]"),
        ];
        for (text, want) in cases {
            assert_eq!(Jsonb::parse(text).unwrap().print(), want);
        }
        for text in ["", "{a", "[1,]", "{\"a\":1,}", "01", "1.", "+1", "nul", "truex", "\"\\u0000\"", "\"\\ud83d\"", "1 2", "\"a\nb\""] {
            assert!(Jsonb::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_ordered_as_postgresql_orders_them() {
        let ascending = [
            "[]",
            "null",
            r#""""#,
            r#""a""#,
            r#""b""#,
            "-10",
            "-9.5",
            "-1",
            "-0.01",
            "0",
            "0.01",
            "0.1",
            "1",
            "9",
            "10",
            "1e3",
            "false",
            "true",
            "[1]",
            "[3]",
            "[1, 2]",
            "{}",
            r#"{"a": 1}"#,
            r#"{"a": 2}"#,
            r#"{"a": 1, "b": 2}"#,
        ];
        for pair in ascending.windows(2) {
            let [a, b] = [pair[0], pair[1]].map(|text| Jsonb::parse(text).unwrap().key());
            assert!(a < b, "{} {}", pair[0], pair[1]);
        }
        for (a, b) in [("1", "1.00"), ("1e2", "100"), (r#"{"a":1,"b":2}"#, r#"{ "b":2, "a":1.0 }"#), ("-0", "0")] {
            assert_eq!(Jsonb::parse(a).unwrap().key(), Jsonb::parse(b).unwrap().key(), "{a} {b}");
        }
    }

    #[test]
    fn values_are_joined_as_postgresql_joins_them() {
        let cases = [
            (r#"{"a":1}"#, r#"{"b":2}"#, r#"{"a": 1, "b": 2}"#),
            (r#"{"a":1}"#, r#"{"a":2}"#, r#"{"a": 2}"#),
            ("[1]", "[2]", "[1, 2]"),
            ("[1]", "2", "[1, 2]"),
            ("1", "2", "[1, 2]"),
            (r#"{"a":1}"#, "[1]", r#"[{"a": 1}, 1]"#),
            ("[]", "{}", "[{}]"),
            (r#"{"a":1}"#, "1", r#"[{"a": 1}, 1]"#),
        ];
        for (a, b, want) in cases {
            assert_eq!(Jsonb::parse(a).unwrap().join(Jsonb::parse(b).unwrap()).print(), want);
        }
    }
}
