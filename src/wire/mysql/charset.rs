//! Character sets of a connection: text inside is UTF-8; latin1 clients are converted at the border.
//!
//! MySQL's latin1 is Windows code page 1252 whose five unused bytes stand for themselves (strings/ctype-latin1.cc).
//! Every other set that a client may ask for is served as utf8mb4, and the column definitions say so.

use std::borrow::Cow;

use crate::error::{Error, Kind, Result};

/// utf8mb4_0900_ai_ci: what the greeting announces.
pub const UTF8MB4: u16 = 255;
/// The collation of bytes and numbers.
pub const BINARY: u16 = 63;

/// How text goes to and comes from a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset {
    /// The collation that column definitions name.
    pub collation: u16,
    latin1: bool,
    /// Bytes that one character may take; lengths in column definitions count in it.
    pub width: u32,
}

impl Charset {
    /// utf8mb4.
    pub const UTF8: Charset = Charset { collation: UTF8MB4, latin1: false, width: 4 };

    /// The character set of the collation that a client names in its handshake.
    pub fn of_collation(id: u16) -> Charset {
        match id {
            5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 => Charset { collation: id, latin1: true, width: 1 },
            33 | 76 | 83 | 192..=223 => Charset { collation: id, latin1: false, width: 3 },
            45 | 46 | 224..=247 | 255..=323 => Charset { collation: id, latin1: false, width: 4 },
            _ => Charset::UTF8,
        }
    }

    /// The character set of a name as `SET NAMES` takes it; `self` where the name says nothing new.
    pub fn named(self, name: &str) -> Charset {
        let latin1 = name.eq_ignore_ascii_case("latin1");
        match (latin1, self.latin1) {
            (true, false) => Charset::of_collation(8),
            (false, true) => Charset::UTF8,
            _ => self,
        }
    }

    /// Is the client's text UTF-8?
    pub fn is_utf8(self) -> bool {
        !self.latin1
    }

    /// Text from the client. Bytes that are no text are error 1300.
    pub fn decode(self, bytes: &[u8]) -> Result<Cow<'_, str>> {
        if self.latin1 {
            return Ok(match std::str::from_utf8(bytes) {
                Ok(text) if text.is_ascii() => Cow::Borrowed(text),
                _ => Cow::Owned(bytes.iter().map(|&b| from_latin1(b)).collect()),
            });
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(error) => {
                let bad: String = bytes[error.valid_up_to()..].iter().take(6).map(|b| format!("\\x{b:02X}")).collect();
                Err(Error::new(Kind::InvalidCharacter, format!("Invalid utf8mb4 character string: '{bad}'"))
                    .with_hint("send text in UTF-8, or connect with the character set latin1"))
            }
        }
    }

    /// Text for the client; a character that its set lacks becomes `?`.
    pub fn encode(self, text: &str) -> Cow<'_, [u8]> {
        if self.latin1 && !text.is_ascii() { Cow::Owned(text.chars().map(to_latin1).collect()) } else { Cow::Borrowed(text.as_bytes()) }
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
