//! `_binary'..'` literals whose bytes are not UTF-8: some drivers (pymysql, mysqlclient) send byte strings so.
//!
//! Only they may hold bytes that are no text, so they are rewritten as hexadecimal literals, which mean the same, and
//! the statement is text again.

use super::charset::Charset;

const INTRODUCER: &[u8] = b"_binary";

/// The statement with its `_binary` literals in hexadecimal; None when it is text as it stands or has none.
/// `escapes`: a backslash escapes (sql_mode has no NO_BACKSLASH_ESCAPES).
pub fn to_hex(statement: &[u8], charset: Charset, escapes: bool) -> Option<Vec<u8>> {
    // In latin1 all bytes are text, but those of a byte string must not be converted as text.
    if statement.is_ascii() || (charset.is_utf8() && std::str::from_utf8(statement).is_ok()) {
        return None;
    }
    let mut out = Vec::with_capacity(statement.len() * 2);
    let mut at = 0;
    let mut found = false;
    while at < statement.len() {
        let rest = &statement[at..];
        if let Some((value, used)) = introduced(rest, at.checked_sub(1).map(|before| statement[before]), escapes) {
            out.extend_from_slice(b"X'");
            out.extend_from_slice(hex::encode_upper(value).as_bytes());
            out.push(b'\'');
            at += used;
            found = true;
        } else if matches!(rest[0], b'\'' | b'"' | b'`') {
            // Another literal or name passes as it is, so that nothing inside is taken for an introducer.
            let (_, used) = quoted(rest, escapes);
            out.extend_from_slice(&rest[..used]);
            at += used;
        } else {
            out.push(rest[0]);
            at += 1;
        }
    }
    found.then_some(out)
}

/// The literal at the front of `text`, its value and its length with the introducer.
fn introduced(text: &[u8], before: Option<u8>, escapes: bool) -> Option<(Vec<u8>, usize)> {
    if before.is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'@' | b'.') || b >= 0x80) {
        return None;
    }
    if !text.get(..INTRODUCER.len())?.eq_ignore_ascii_case(INTRODUCER) {
        return None;
    }
    let spaces = text[INTRODUCER.len()..].iter().take_while(|b| b.is_ascii_whitespace()).count();
    let start = INTRODUCER.len() + spaces;
    if !matches!(text.get(start)?, b'\'' | b'"') {
        return None;
    }
    let (value, used) = quoted(&text[start..], escapes);
    Some((value, start + used))
}

/// The value of the quoted text at the front and its length with the quotes. An open quote goes to the end.
fn quoted(text: &[u8], escapes: bool) -> (Vec<u8>, usize) {
    let quote = text[0];
    let mut value = vec![];
    let mut at = 1;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if byte == quote {
            if text.get(at) != Some(&quote) {
                break;
            }
            at += 1;
            value.push(quote);
        } else if byte == b'\\' && escapes && quote != b'`' {
            let Some(&escaped) = text.get(at) else { break };
            at += 1;
            value.push(match escaped {
                b'0' => 0,
                b'b' => 8,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'Z' => 26,
                other => other,
            });
        } else {
            value.push(byte);
        }
    }
    (value, at)
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
