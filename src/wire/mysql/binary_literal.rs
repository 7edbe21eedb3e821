//! `_binary'..'` literals whose bytes are not UTF-8: some drivers (pymysql, mysqlclient) send byte strings so.
//!
//! Only they may hold bytes that are no text, so they are rewritten as hexadecimal literals, which mean the same, and
//! the statement is text again.

use super::charset::Charset;
use crate::sql::Dialect;
use crate::sql::scan::{Kind, Piece, Scan, Text};

const INTRODUCER: &[u8] = b"_binary";

/// The statement with its `_binary` literals in hexadecimal; None when it is text as it stands or has none.
/// `escapes`: a backslash escapes (sql_mode has no NO_BACKSLASH_ESCAPES).
pub fn to_hex(statement: &[u8], charset: Charset, escapes: bool) -> Option<Vec<u8>> {
    // In latin1 all bytes are text, but those of a byte string must not be converted as text.
    if statement.is_ascii() || (charset.is_utf8() && std::str::from_utf8(statement).is_ok()) {
        return None;
    }
    let dialect = Dialect { no_backslash_escapes: !escapes, ..Dialect::MYSQL };
    let mut out = Vec::with_capacity(statement.len() * 2);
    // Up to here the statement stands in `out`.
    let mut copied = 0;
    let mut introducer: Option<Piece> = None;
    let mut before = None;
    for piece in Scan::of(&dialect, charset.characters(), statement) {
        match (piece.kind, introducer) {
            (Kind::Text(Text::Plain | Text::Escaped | Text::Double(_)), Some(word)) => {
                let value = value(&statement[piece.inside()], &piece, charset);
                out.extend_from_slice(&statement[copied..word.start]);
                out.extend_from_slice(b"X'");
                out.extend_from_slice(hex::encode_upper(value).as_bytes());
                out.push(b'\'');
                copied = piece.end;
                introducer = None;
            }
            _ if piece.is_blank() => {}
            (Kind::Word, _) => {
                let is_name = matches!(before, Some(Kind::Sign(b'@' | b'.')));
                introducer = (!is_name && statement[piece.range()].eq_ignore_ascii_case(INTRODUCER)).then_some(piece);
            }
            _ => introducer = None,
        }
        before = Some(piece.kind);
    }
    (copied > 0).then(|| {
        out.extend_from_slice(&statement[copied..]);
        out
    })
}

/// The bytes that a string means.
fn value(inside: &[u8], piece: &Piece, charset: Charset) -> Vec<u8> {
    let escapes = matches!(piece.kind, Kind::Text(Text::Escaped | Text::Double(true)));
    let quote = if matches!(piece.kind, Kind::Text(Text::Double(_))) { b'"' } else { b'\'' };
    let mut value = Vec::with_capacity(inside.len());
    let mut at = 0;
    while let Some(&byte) = inside.get(at) {
        let next = inside.get(at + 1).copied();
        at += 1;
        match next {
            Some(second) if charset.characters().is_pair(byte, second) => value.extend_from_slice(&[byte, second]),
            Some(second) if byte == quote && second == quote => value.push(quote),
            Some(escaped) if byte == b'\\' && escapes => value.push(match escaped {
                b'0' => 0,
                b'b' => 8,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'Z' => 26,
                other => other,
            }),
            _ => {
                value.push(byte);
                continue;
            }
        }
        at += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_become_hexadecimal_and_text_stays() {
        let sent = b"INSERT INTO t VALUES ('it''s _binary', _binary'\xff\\0\\'\\\\', _BINARY \"\xfe\")";
        assert_eq!(to_hex(sent, Charset::UTF8, true).unwrap(), b"INSERT INTO t VALUES ('it''s _binary', X'FF00275C', X'FE')");
        assert_eq!(to_hex("SELECT _binary'ä'".as_bytes(), Charset::UTF8, true), None);
        assert_eq!(to_hex(b"SELECT '\xff', x_binary'a'", Charset::UTF8, true), None);
        assert_eq!(to_hex(b"SELECT _binary'\xe4\\'", Charset::of_collation(8), false).unwrap(), b"SELECT X'E45C'");
        assert!(to_hex(b"\xff _binary'open", Charset::UTF8, true).unwrap().starts_with(b"\xff X'6F70656E'"));
    }
}
