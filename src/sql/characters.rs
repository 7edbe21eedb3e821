//! Characters of a client's text, as far as they decide where a quote stands.
//!
//! In GBK, Big5 and Shift JIS the second byte of a character may be a backslash, a backtick or a letter. In all other sets
//! that a client may use, a byte below 0x80 is the sign that it is in ASCII.

/// Which bytes belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Characters {
    /// UTF-8, EUC and whatever else has no such pairs.
    #[default]
    Plain,
    /// One byte a character, of which 0xA0 is white space, as in latin1.
    OneByte,
    /// GBK and GB 18030.
    Gbk,
    Big5,
    /// Shift JIS and code page 932, whose half-width katakana are single bytes.
    ShiftJis,
}

impl Characters {
    /// All that differ from [`Characters::Plain`].
    pub const OTHERS: [Characters; 4] = [Characters::OneByte, Characters::Gbk, Characters::Big5, Characters::ShiftJis];

    /// Are these two bytes one character? (strings/ctype-gbk.cc, ctype-big5.cc, ctype-sjis.cc)
    #[inline]
    pub fn is_pair(self, first: u8, second: u8) -> bool {
        match self {
            Characters::Plain | Characters::OneByte => false,
            Characters::Gbk => matches!(first, 0x81..=0xfe) && matches!(second, 0x40..=0x7e | 0x80..=0xfe),
            Characters::Big5 => matches!(first, 0xa1..=0xf9) && matches!(second, 0x40..=0x7e | 0xa1..=0xfe),
            Characters::ShiftJis => matches!(first, 0x81..=0x9f | 0xe0..=0xfc) && matches!(second, 0x40..=0x7e | 0x80..=0xfc),
        }
    }

    /// Is it white space beyond ASCII's?
    pub(super) fn is_space(self, byte: u8) -> bool {
        self == Characters::OneByte && byte == 0xa0
    }

    /// The first byte that stops and is no second half of a character.
    pub(super) fn position(self, text: &[u8], stops: impl Fn(&u8) -> bool) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            if text.get(at + 1).is_some_and(|second| self.is_pair(*byte, *second)) {
                at += 2;
            } else if stops(byte) {
                return Some(at);
            } else {
                at += 1;
            }
        }
        None
    }

    /// A text that is none of UTF-8, one sign a byte: enough to see which ASCII names it holds. A second half of a character
    /// becomes a sign that means nothing.
    pub fn sign_by_sign(self, text: &[u8]) -> String {
        let mut out = String::with_capacity(text.len() * 2);
        let mut at = 0;
        while let Some(byte) = text.get(at) {
            out.push(if self.is_space(*byte) { ' ' } else { char::from(*byte) });
            at += 1;
            if text.get(at).is_some_and(|second| self.is_pair(*byte, *second)) {
                out.push('\u{80}');
                at += 1;
            }
        }
        out
    }
}
