//! The scanner against what MariaDB 10.11.19, MySQL 9.7.4 and PostgreSQL 18 answered, and against the lexer.

use datafusion::sql::sqlparser::tokenizer::Token;
use proptest::prelude::*;

use super::scan::{Kind, Piece, Quote, Scan, Text};
use super::statement::{Dialect, Server};
use super::{Characters, lexer};

const MARIADB: Dialect = Dialect { server: Server { mariadb: true, version: 101_119 }, ..Dialect::MYSQL };
const MYSQL: Dialect = Dialect { server: Server { mariadb: false, version: 90_704 }, ..Dialect::MYSQL };
const ANSI: Dialect = Dialect { ansi_quotes: true, ..Dialect::MYSQL };
const NO_ESCAPES: Dialect = Dialect { no_backslash_escapes: true, ..Dialect::MYSQL };
const BOTH_MODES: Dialect = Dialect { ansi_quotes: true, ..NO_ESCAPES };
const POSTGRES: Dialect = Dialect::POSTGRES;
/// standard_conforming_strings is off.
const ESCAPES: Dialect = Dialect { no_backslash_escapes: false, ..Dialect::POSTGRES };
const ALL: [Dialect; 7] = [MARIADB, MYSQL, ANSI, NO_ESCAPES, BOTH_MODES, POSTGRES, ESCAPES];

/// The pieces of a text but white space.
fn cut(dialect: &Dialect, text: &str) -> Vec<String> {
    let shown = |piece: Piece| format!("{}{}", &text[piece.range()], if piece.ended { "" } else { " .." });
    Scan::new(dialect, text.as_bytes()).filter(|piece| piece.kind != Kind::Space).map(shown).collect()
}

#[test]
fn a_text_is_cut_where_its_server_cuts_it() {
    let mysql = [MARIADB, MYSQL, ANSI, NO_ESCAPES, BOTH_MODES];
    let escaping = [MARIADB, MYSQL, ANSI, ESCAPES];
    let plain = [NO_ESCAPES, BOTH_MODES, POSTGRES];
    let both = [POSTGRES, ESCAPES];
    let table: &[(&[Dialect], &str, &[&str])] = &[
        (&escaping, r"'a\'b'", &[r"'a\'b'"]),
        (&plain, r"'a\'b", &[r"'a\'", "b"]),
        (&escaping, r"n'a\'b'", &[r"n'a\'b'"]),
        (&plain, r"n'a\' b", &[r"n'a\'", "b"]),
        (&ALL, "'a''b'", &["'a''b'"]),
        (&ALL, "x'41' B'01'", &["x'41'", "B'01'"]),
        (&both, r"E'a\'b'", &[r"E'a\'b'"]),
        (&mysql[..2], r"e'a\'b'", &["e", r"'a\'b'"]),
        (&mysql, "_utf8mb4'a'", &["_utf8mb4", "'a'"]),
        (&[MARIADB, MYSQL], r#""a\"b""#, &[r#""a\"b""#]),
        (&[ANSI, NO_ESCAPES, BOTH_MODES, POSTGRES, ESCAPES], r#""a\" b"#, &[r#""a\""#, "b"]),
        (&ALL, r#""a""b""#, &[r#""a""b""#]),
        (&mysql, r"`a\``b` c", &[r"`a\``b`", "c"]),
        (&both, "`a`", &["`", "a", "`"]),
        (&both, r#"U&'\0041' u&"\0041""#, &[r"U&'\0041'", r#"u&"\0041""#]),
        (&both, "$$a'b$$ $x1$ $$ $x1$", &["$$a'b$$", "$x1$ $$ $x1$"]),
        (&both, "a$$b$$ 1$$x'$$ $1$$x'$$", &["a$$b$$", "1", "$$x'$$", "$1", "$$x'$$"]),
        (&[MYSQL], "$$a'b$$ $1$it's$1$", &["$$a'b$$", "$1$it's$1$"]),
        (&[MYSQL], "a$$ 1$$ $a $a$b", &["a$$", "1$$", "$a", "$a$b .."]),
        (&[MARIADB], "$$a $a$b", &["$$a", "$a$b"]),
        (&both, "$a b $", &["$", "a", "b", "$"]),
        (&mysql, "1--1", &["1", "-", "-", "1"]),
        (&both, "1--1\r2", &["1", "--1", "2"]),
        (&mysql, "1 -- a\r2\n3", &["1", "-- a\r2", "3"]),
        (&mysql, "1 --\u{1}a\n2 --\u{7f}\n3 --", &["1", "--\u{1}a", "2", "--\u{7f}", "3", "--"]),
        (&mysql, "1 # it's\n2", &["1", "# it's", "2"]),
        (&both, "1 #2", &["1", "#", "2"]),
        (&both, "1 /* /*/ */ */ 2 */", &["1", "/* /*/ */ */", "2", "*", "/"]),
        (&mysql, "1 /* /* */ 2", &["1", "/* /* */", "2"]),
        (&mysql, "1 /*!99999 /* ' */ */ 2", &["1", "/*!99999 /* ' */ */", "2"]),
        (&mysql, "1 /*! +'*/' /* 2 */ +4 */ 8", &["1", "/*!", "+", "'*/'", "/* 2 */", "+", "4", "*/", "8"]),
        (&mysql, "/*! -- */ 2\n*/", &["/*!", "-- */ 2", "*/"]),
        (&[MARIADB], "/*!80000 2 */ /*M!100100 3 */", &["/*!80000 2 */", "/*M!100100", "3", "*/"]),
        (&[MYSQL], "/*!80000 2 */ /*M!100100 3 */", &["/*!80000", "2", "*/", "/*M!100100 3 */"]),
        (&ALL, "'a", &["'a .."]),
        (&ALL, "1 /* a", &["1", "/* a .."]),
        (&mysql, "1a 1$a", &["1a", "1$a"]),
        (&ALL, "1\u{b}+\u{c}2", &["1", "+", "2"]),
    ];
    for (dialects, text, want) in table {
        for dialect in *dialects {
            assert_eq!(cut(dialect, text), *want, "{dialect:?}: {text}");
        }
    }
}

#[test]
fn a_string_of_postgres_goes_on_in_the_next_line_as_it_began() {
    let value = |dialect: &Dialect, text: &str| match lexer::lex(dialect, text).unwrap().toks.as_slice() {
        [tok] => tok.token.clone(),
        several => panic!("{text}: {several:?}"),
    };
    for (dialect, text, want) in [
        (POSTGRES, "E'a'\n'b\\'c'", "ab'c"),
        (POSTGRES, "E'a' --x\n'b\\'c'", "ab'c"),
        (POSTGRES, "'a' -- c'\n 'b'", "ab"),
        (POSTGRES, "'a'\r'b\\'", "ab\\"),
        (POSTGRES, "N'a'\n'b\\'", "ab\\"),
        (POSTGRES, "U&'a'\n'b\\0041'", "abA"),
        (ESCAPES, "'a' --c\n--d\n'b\\''", "ab'"),
    ] {
        assert_eq!(value(&dialect, text), Token::SingleQuotedString(want.into()), "{text}");
    }
    for text in ["'a' 'b'", "'a' /* c */\n'b'", "E'a'\nE'b'"] {
        assert_eq!(lexer::lex(&POSTGRES, text).unwrap().toks.len(), 2, "{text}");
    }
}

#[test]
fn half_of_a_character_is_no_quote_and_no_backslash() {
    use Characters::{Big5, Gbk, Plain, ShiftJis};
    // Of `'..\''` what stands between is closed if the backslash is the second half of a character.
    for (first, sets) in [
        (0x95, &[Gbk, ShiftJis][..]),
        (0xa5, &[Gbk, Big5]),
        (0xe0, &[Gbk, Big5, ShiftJis]),
        (0xb1, &[Gbk, Big5]),
        (0xfd, &[Gbk]),
        (0xfa, &[Gbk, ShiftJis]),
        (0x80, &[]),
        (0xff, &[]),
    ] {
        for characters in [Plain, Gbk, Big5, ShiftJis] {
            let text = [b'\'', first, b'\\', b'\''];
            let ended = Scan::of(&MYSQL, characters, &text).next().unwrap().ended;
            assert_eq!(ended, sets.contains(&characters), "{characters:?} {first:x}");
        }
    }
    let kinds = |characters, text: &[u8]| Scan::of(&MYSQL, characters, text).map(|piece| piece.kind).collect::<Vec<_>>();
    assert_eq!(kinds(Gbk, b"`\x95``"), [Kind::Name(Quote::Backtick)]);
    assert_eq!(kinds(ShiftJis, b"\x95\\ a"), [Kind::Word, Kind::Space, Kind::Word]);
    // GB 18030 has characters of four bytes, of which the second and the last are digits.
    assert_eq!(kinds(Gbk, b"'\x81\x30\x81\x30\\''"), [Kind::Text(Text::Escaped)]);
    assert_eq!(kinds(Characters::OneByte, b"a\xa0b"), [Kind::Word, Kind::Space, Kind::Word]);
}

/// Texts made of what begins, ends and hides quotes and comments.
fn texts() -> impl Strategy<Value = String> {
    const PARTS: [&str; 44] = [
        "'",
        "''",
        "\"",
        "\"\"",
        "`",
        "\\",
        "\\'",
        "\\\"",
        "E'",
        "e",
        "n'",
        "X'",
        "b'",
        "U&'",
        "U&\"",
        "_utf8'",
        "$$",
        "$a$",
        "$1",
        "$",
        "--",
        "-- ",
        "-",
        "#",
        "/*",
        "*/",
        "/*!",
        "/*!99999 ",
        "/*!40101",
        "/*M!",
        "/",
        "*",
        "\n",
        "\r",
        " ",
        ";",
        "a",
        "1",
        ".",
        "@",
        ",",
        "\u{fc}",
        "(",
        "\u{0}",
    ];
    prop::collection::vec(prop::sample::select(&PARTS[..]), 0..24).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn pieces_cover_any_text_and_words_are_those_of_all_pieces(text in texts(), bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        for dialect in ALL {
            for characters in Characters::OTHERS.into_iter().chain([Characters::Plain]) {
                for text in [text.as_bytes(), &bytes] {
                    let pieces: Vec<Piece> = Scan::of(&dialect, characters, text).collect();
                    let end = pieces.iter().fold(0, |at, piece| {
                        assert_eq!(piece.start, at);
                        piece.end
                    });
                    prop_assert_eq!(end, text.len());
                    let mut scan = Scan::of(&dialect, characters, text);
                    let words: Vec<Piece> = std::iter::from_fn(|| scan.next_word()).collect();
                    let is_word = |piece: &&Piece| {
                        matches!(piece.kind, Kind::Word | Kind::Number | Kind::Name(_) | Kind::Text(_) | Kind::Sign(b';'))
                    };
                    prop_assert_eq!(words, pieces.iter().filter(is_word).copied().collect::<Vec<_>>());
                }
            }
        }
    }

    #[test]
    fn the_lexer_and_the_outline_cut_as_the_scanner_does(text in texts()) {
        for dialect in ALL {
            let pieces: Vec<Piece> = Scan::new(&dialect, text.as_bytes()).collect();
            let ended = pieces.iter().all(|piece| piece.ended);
            let told = super::outline(&dialect, &text, &mut |_| false, &mut |_| true);
            prop_assert_eq!(told, ended, "{:?}", dialect);
            let Ok(lexed) = lexer::lex(&dialect, &text) else { continue };
            prop_assert!(ended);
            for piece in pieces.iter().filter(|piece| !matches!(piece.kind, Kind::Word | Kind::Number | Kind::Sign(_) | Kind::Parameter)) {
                for tok in &lexed.toks {
                    let apart = tok.end <= piece.start || piece.end <= tok.start;
                    // A variable's name, and what a string of several lines is made of.
                    let holds = tok.start <= piece.start && piece.end <= tok.end;
                    prop_assert!(apart || (holds && !matches!(piece.kind, Kind::Comment)), "{:?} {:?} {:?}", dialect, piece, tok);
                }
            }
        }
    }
}
