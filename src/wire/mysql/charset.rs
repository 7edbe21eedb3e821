//! Character sets of a connection: text inside is UTF-8; that of clients with another set is converted at the border.
//!
//! MySQL's latin1 is Windows code page 1252 whose five unused bytes stand for themselves (strings/ctype-latin1.cc).
//! Sets that are not known here are served as utf8mb4, and the column definitions say so.

use std::borrow::Cow;

use encoding_rs::Encoding;

use crate::error::{Error, Kind, Result};
use crate::sql::Characters;

/// utf8mb4_0900_ai_ci: what the greeting announces.
pub const UTF8MB4: u16 = 255;
/// The collation of bytes and numbers.
pub const BINARY: u16 = 63;

/// Sets by MySQL's name: default collation, its other collations, bytes of the longest character.
#[rustfmt::skip]
static SETS: &[(&str, &Encoding, u16, &[u16], u32)] = &[
    ("big5", encoding_rs::BIG5, 1, &[84], 2),
    ("sjis", encoding_rs::SHIFT_JIS, 13, &[88], 2),
    ("cp932", encoding_rs::SHIFT_JIS, 95, &[96], 2),
    ("ujis", encoding_rs::EUC_JP, 12, &[91], 3),
    ("eucjpms", encoding_rs::EUC_JP, 97, &[98], 3),
    ("euckr", encoding_rs::EUC_KR, 19, &[85], 2),
    ("gb2312", encoding_rs::GBK, 24, &[86], 2),
    ("gbk", encoding_rs::GBK, 28, &[87], 2),
    ("gb18030", encoding_rs::GB18030, 248, &[249, 250], 4),
    ("latin2", encoding_rs::ISO_8859_2, 9, &[2, 21, 27, 77], 1),
    ("cp1250", encoding_rs::WINDOWS_1250, 26, &[34, 44, 66, 99], 1),
    ("cp1251", encoding_rs::WINDOWS_1251, 51, &[14, 23, 50, 52], 1),
    ("cp1256", encoding_rs::WINDOWS_1256, 57, &[67], 1),
    ("cp1257", encoding_rs::WINDOWS_1257, 59, &[29, 58], 1),
    ("koi8r", encoding_rs::KOI8_R, 7, &[74], 1),
    ("koi8u", encoding_rs::KOI8_U, 22, &[75], 1),
    ("greek", encoding_rs::ISO_8859_7, 25, &[70], 1),
    ("hebrew", encoding_rs::ISO_8859_8, 16, &[71], 1),
    ("latin5", encoding_rs::WINDOWS_1254, 30, &[78], 1),
    ("latin7", encoding_rs::ISO_8859_13, 41, &[20, 42, 79], 1),
    ("tis620", encoding_rs::WINDOWS_874, 18, &[89], 1),
];

/// How text goes to and comes from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset {
    /// The collation that column definitions name.
    pub collation: u16,
    form: Form,
    /// Bytes that one character may take; lengths in column definitions count in it.
    pub width: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Utf8,
    Latin1,
    Other(&'static Encoding),
}

impl Charset {
    /// utf8mb4.
    pub const UTF8: Charset = Charset { collation: UTF8MB4, form: Form::Utf8, width: 4 };

    /// The character set of the collation that a client names in its handshake.
    pub fn of_collation(id: u16) -> Charset {
        match id {
            5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 => Charset { collation: id, form: Form::Latin1, width: 1 },
            33 | 76 | 83 | 192..=223 => Charset { collation: id, form: Form::Utf8, width: 3 },
            45 | 46 | 224..=247 | 255..=323 => Charset { collation: id, form: Form::Utf8, width: 4 },
            _ => {
                let known = SETS.iter().find(|(_, _, first, others, _)| *first == id || others.contains(&id));
                known.map_or(Charset::UTF8, |(_, encoding, _, _, width)| Charset {
                    collation: id,
                    form: Form::Other(encoding),
                    width: *width,
                })
            }
        }
    }

    /// The character set of a name as `SET NAMES` takes it; `self` where the name says nothing new.
    pub fn named(self, name: &str) -> Charset {
        let named = match SETS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name)) {
            Some((_, _, collation, ..)) => Charset::of_collation(*collation),
            None if name.eq_ignore_ascii_case("latin1") => Charset::of_collation(8),
            None => Charset::UTF8,
        };
        if named.form == self.form { self } else { named }
    }

    /// Which of its bytes belong together, for the scanner.
    pub fn characters(self) -> Characters {
        match self.form {
            Form::Utf8 => Characters::Plain,
            Form::Latin1 => Characters::OneByte,
            Form::Other(set) if set == encoding_rs::GBK || set == encoding_rs::GB18030 => Characters::Gbk,
            Form::Other(set) if set == encoding_rs::BIG5 => Characters::Big5,
            Form::Other(set) if set == encoding_rs::SHIFT_JIS => Characters::ShiftJis,
            Form::Other(_) => Characters::Plain,
        }
    }

    /// Is the client's text UTF-8?
    pub fn is_utf8(self) -> bool {
        self.form == Form::Utf8
    }

    /// Text from the client. Bytes that are no text are error 1300.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>> {
        match self.form {
            Form::Latin1 => Ok(match std::str::from_utf8(bytes) {
                Ok(text) if text.is_ascii() => Cow::Borrowed(text),
                _ => Cow::Owned(bytes.iter().map(|&b| from_latin1(b)).collect()),
            }),
            Form::Other(encoding) => {
                let text = encoding.decode_without_bom_handling_and_without_replacement(bytes);
                text.ok_or_else(|| {
                    Error::new(Kind::InvalidCharacter, format!("Invalid {} character string", encoding.name().to_lowercase()))
                })
            }
            Form::Utf8 => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
                let bad: String = bytes[error.valid_up_to()..].iter().take(6).map(|b| format!("\\x{b:02X}")).collect();
                Error::new(Kind::InvalidCharacter, format!("Invalid utf8mb4 character string: '{bad}'"))
                    .with_hint("send text in UTF-8, or connect with the character set of the text")
            }),
        }
    }

    /// Text for the client; a character that its set lacks becomes `?`.
    pub fn encode(self, text: &str) -> Cow<'_, [u8]> {
        match self.form {
            _ if text.is_ascii() => Cow::Borrowed(text.as_bytes()),
            Form::Utf8 => Cow::Borrowed(text.as_bytes()),
            Form::Latin1 => Cow::Owned(text.chars().map(to_latin1).collect()),
            Form::Other(encoding) => {
                let mut out = Vec::with_capacity(text.len());
                let mut piece = [0u8; 4];
                for c in text.chars() {
                    let (bytes, _, lacking) = encoding.encode(c.encode_utf8(&mut piece));
                    if lacking { out.push(b'?') } else { out.extend_from_slice(&bytes) }
                }
                Cow::Owned(out)
            }
        }
    }
}

/// 0x80 to 0x9f.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–',
    '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

fn from_latin1(byte: u8) -> char {
    match byte {
        0x80..=0x9f => HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

fn to_latin1(c: char) -> u8 {
    match u32::from(c) {
        code @ (0..=0x7f | 0xa0..=0xff) => code as u8,
        _ => HIGH.iter().position(|&h| h == c).map_or(b'?', |i| 0x80 + i as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_other_sets_come_and_go_and_what_a_set_lacks_is_a_question_mark() {
        for (name, text, bytes) in [
            ("gbk", "\u{8aa0}a", &b"\xd5\x5ca"[..]),
            ("big5", "\u{529f}", b"\xa5\x5c"),
            ("sjis", "\u{8868}", b"\x95\x5c"),
            ("cp1251", "\u{416}", b"\xc6"),
        ] {
            let charset = Charset::UTF8.named(name);
            if name != "gbk" {
                assert_eq!(charset.encode(text), bytes, "{name}");
            }
            assert_eq!(charset.decode(&charset.encode(text)).unwrap(), text, "{name}");
            assert_eq!(charset.encode("\u{1f600}x"), &b"?x"[..], "{name}");
            assert_eq!(Charset::of_collation(charset.collation), charset, "{name}");
            assert_eq!(charset.named("utf8mb4"), Charset::UTF8);
        }
        assert!(Charset::UTF8.named("gbk").decode(b"\xff\xff").is_err());
    }

    #[test]
    fn every_latin1_byte_comes_back() {
        let latin1 = Charset::of_collation(8);
        let all: Vec<u8> = (0..=255).collect();
        let text = latin1.decode(&all).unwrap();
        assert_eq!(&*latin1.encode(&text), &all[..]);
        assert_eq!(latin1.decode(b"\x80\xe9").unwrap(), "€é");
        assert_eq!(&*latin1.encode("日"), b"?");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_error_1300() {
        let error = Charset::UTF8.decode(b"SELECT '\xe9'").unwrap_err();
        assert_eq!(error.mysql_code(), 1300);
        assert!(error.message().contains("\\xE9"));
    }

    #[test]
    fn set_names_moves_between_the_two() {
        assert_eq!(Charset::UTF8.named("latin1").collation, 8);
        assert_eq!(Charset::of_collation(8).named("utf8mb4"), Charset::UTF8);
        assert_eq!(Charset::of_collation(45).named("utf8mb4").collation, 45);
    }
}
