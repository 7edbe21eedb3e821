//! Does a statement concern Flashgate? A scan over its bytes, before anything is parsed.
//!
//! A [`Scanner`] is built from the names of the cold tables in reach and Flashgate's keywords. It reads words outside
//! strings and comments; the first that it knows makes the statement [`Verdict::MaybeLocal`], and the parser then decides.
//! A statement without any goes upstream untouched. It may be wrong towards `MaybeLocal`, never towards `Upstream`.
//!
//! Where strings, names and comments end, [`crate::sql::scan`] says.

mod current_scanner;
mod words;

use std::collections::HashMap;

use crate::sql::scan::{Kind, Piece, Quote, Scan, Text};
use crate::sql::{Characters, Dialect};
pub use current_scanner::{CurrentScanner, ScannerHandle};
use words::{MAX_WORD, Word};

/// What the scan says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing in it concerns Flashgate.
    Upstream,
    /// It holds a word that Flashgate knows: parse it.
    MaybeLocal,
}

/// Scans statements for words that Flashgate knows.
#[derive(Debug)]
pub struct Scanner {
    /// Lower case.
    words: HashMap<Box<[u8]>, Word>,
    /// By the first byte, lower case: the lengths (to 63) of the words that begin with it.
    lengths: [u64; 256],
    /// The same by the last byte.
    endings: [u64; 256],
    /// There are tables to be listed.
    lists: bool,
    /// Tables of the recycle bin count.
    bin: bool,
}

impl Scanner {
    /// A scanner that knows Flashgate's keywords and `names`: cold tables, without their databases, in any case.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Scanner {
        let mut scanner = Scanner::of(names);
        for (word, kind) in words::KEYWORDS {
            scanner.add(word, kind);
        }
        scanner.bin = true;
        scanner
    }

    /// A scanner that knows these words alone.
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Scanner {
        let mut scanner = Scanner { words: HashMap::new(), lengths: [0; 256], endings: [0; 256], lists: false, bin: false };
        for word in words {
            scanner.lists = true;
            scanner.add(&word.to_lowercase(), Word::Known);
        }
        scanner
    }

    fn add(&mut self, word: &str, kind: Word) {
        if let (Some(first), Some(last)) = (word.bytes().next(), word.bytes().last()) {
            self.lengths[usize::from(first)] |= 1 << word.len().min(63);
            self.endings[usize::from(last)] |= 1 << word.len().min(63);
            self.words.entry(word.as_bytes().into()).or_insert(kind);
        }
    }

    /// Scans one text whose character set is not known. A byte beyond ASCII may be white space, or begin a character whose
    /// second byte is a backslash, a backtick or a letter; a text in which that could be so is read in each of these ways.
    pub fn scan_any(&self, dialect: &Dialect, text: &[u8]) -> Verdict {
        let verdict = self.scan(dialect, text);
        if verdict == Verdict::MaybeLocal || text.is_ascii() {
            return verdict;
        }
        let doubtful = |pair: &[u8]| pair[0] >= 0x80 && matches!(pair[1], b'\\' | b'`');
        if !text.windows(2).any(doubtful) && std::str::from_utf8(text).is_ok() {
            return verdict;
        }
        let known = |characters: &Characters| self.scan_in(dialect, *characters, text) == Verdict::MaybeLocal;
        if Characters::OTHERS.iter().any(known) { Verdict::MaybeLocal } else { Verdict::Upstream }
    }

    /// Scans one text, which may hold several statements.
    pub fn scan(&self, dialect: &Dialect, text: &[u8]) -> Verdict {
        self.scan_in(dialect, Characters::Plain, text)
    }

    fn scan_in(&self, dialect: &Dialect, characters: Characters, text: &[u8]) -> Verdict {
        let mut pieces = Scan::of(dialect, characters, text);
        let mut statement = Statement::default();
        while let Some(piece) = pieces.next_word() {
            if statement.concerns(self, text, piece) {
                return Verdict::MaybeLocal;
            }
        }
        Verdict::Upstream
    }

    /// May it (in any case) be a word that is known? Most words end here. Beyond ASCII a change of case may change the length,
    /// so those go on.
    #[inline]
    fn may_know(&self, word: &[u8]) -> bool {
        let (Some(&first), Some(&last)) = (word.first(), word.last()) else { return false };
        let fits = |table: &[u64; 256], byte: u8| table[usize::from(byte.to_ascii_lowercase())] & (1 << word.len().min(63)) != 0;
        (fits(&self.lengths, first) && fits(&self.endings, last)) || !word.is_ascii()
    }

    /// What a word (in any case) says.
    fn look_up(&self, word: &[u8]) -> Option<Word> {
        if !self.may_know(word) || word.len() > MAX_WORD {
            return None;
        }
        if !word.is_ascii() {
            let folded = String::from_utf8_lossy(word).to_lowercase();
            return self.words.get(folded.as_bytes()).copied();
        }
        let mut folded = [0u8; MAX_WORD];
        let folded = &mut folded[..word.len()];
        folded.copy_from_slice(word);
        folded.make_ascii_lowercase();
        self.words.get(&*folded).copied()
    }

    /// Is it a table in the recycle bin?
    fn is_in_bin(&self, word: &[u8]) -> bool {
        self.bin && word.get(..words::BIN_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(words::BIN_PREFIX))
    }
}

/// What was seen of the statement so far.
#[derive(Default)]
struct Statement {
    /// A word has been read.
    begun: bool,
    /// It begins with START or BEGIN: then AS OF is Flashgate's.
    starts_transaction: bool,
    /// It begins with SHOW: then TABLES may list cold tables, too.
    shows: bool,
    /// The last word was ENGINE: is its value one of Flashgate's engines?
    engine: bool,
}

impl Statement {
    /// Takes a piece into account. True: it concerns Flashgate.
    #[inline]
    fn concerns(&mut self, scanner: &Scanner, text: &[u8], piece: Piece) -> bool {
        let inside = &text[piece.inside()];
        match piece.kind {
            Kind::Word | Kind::Number => self.word(scanner, inside),
            // A quote or an escape within a name: too rare to be worth resolving here.
            Kind::Name(Quote::Unicode) if inside.contains(&b'\\') => true,
            Kind::Name(_) => !piece.plain || self.word(scanner, inside),
            // Under ANSI_QUOTES, which the relay does not know, it is a name.
            Kind::Text(Text::Double(_)) => !piece.plain || self.word(scanner, inside),
            Kind::Text(_) => self.engine && (!piece.plain || self.word(scanner, inside)),
            Kind::Sign(_) => {
                *self = Statement::default();
                false
            }
            _ => false,
        }
    }

    #[inline]
    fn word(&mut self, scanner: &Scanner, word: &[u8]) -> bool {
        if !scanner.may_know(word) && word.len() < words::BIN_PREFIX.len() {
            self.begun = true;
            self.engine = false;
            return false;
        }
        self.known_word(scanner, word)
    }

    fn known_word(&mut self, scanner: &Scanner, word: &[u8]) -> bool {
        let kind = scanner.look_up(word);
        let first = !std::mem::replace(&mut self.begun, true);
        let engine = std::mem::take(&mut self.engine);
        match kind {
            Some(Word::Known) => true,
            Some(Word::Engine) => {
                self.engine = true;
                false
            }
            Some(Word::EngineName) => engine,
            Some(Word::Prepared) => first,
            Some(Word::Starts) => {
                self.starts_transaction |= first;
                false
            }
            Some(Word::Shows) => {
                self.shows |= first;
                false
            }
            Some(Word::Tables) => self.shows && scanner.lists,
            Some(Word::Of) => self.starts_transaction,
            None => scanner.is_in_bin(word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{MaybeLocal, Upstream};
    use super::*;
    use crate::sql::{self, Server};

    const MARIADB: Dialect = Dialect { server: Server { mariadb: true, version: 101_100 }, ..Dialect::MYSQL };
    const BOTH: [Dialect; 2] = [Dialect::MYSQL, Dialect::POSTGRES];

    fn scan(dialect: &Dialect, text: &str) -> Verdict {
        Scanner::new(["oss_orders", "Archive", "\u{dc}ber"]).scan(dialect, text.as_bytes())
    }

    #[test]
    fn a_cold_table_s_name_is_found_in_any_case_and_quotes() {
        for dialect in BOTH {
            for text in [
                "SELECT * FROM oss_orders",
                "select 1 from OSS_Orders o",
                "delete from d.archive",
                "SELECT * FROM \"Archive\"",
                "table \u{fc}BER",
            ] {
                assert_eq!(scan(&dialect, text), MaybeLocal, "{text}");
            }
            for text in ["SELECT * FROM oss_orders2", "SELECT * FROM my_archive", "SELECT 1", "", "SELECT archives"] {
                assert_eq!(scan(&dialect, text), Upstream, "{text}");
            }
        }
        assert_eq!(scan(&Dialect::MYSQL, "SELECT * FROM `archive`"), MaybeLocal);
        let odd = Scanner::new(["a$b", "$c", "d`e"]);
        for text in ["SELECT * FROM a$b", "SELECT * FROM $c", "SELECT * FROM `d``e`"] {
            assert_eq!(odd.scan(&Dialect::MYSQL, text.as_bytes()), MaybeLocal, "{text}");
        }
    }

    #[test]
    fn strings_and_comments_are_not_names_and_do_not_hide_what_follows() {
        for dialect in BOTH {
            for text in ["SELECT 'oss_orders'", "SELECT 1 /* oss_orders */", "SELECT 1 -- oss_orders\n, 2", "SELECT 'it''s oss_orders'"] {
                assert_eq!(scan(&dialect, text), Upstream, "{text}");
                assert_eq!(scan(&dialect, &format!("{text}\n FROM archive")), MaybeLocal, "{text}");
            }
        }
        let both_ways = [
            (Dialect::MYSQL, r"SELECT 'it\'s oss_orders'", Upstream),
            (Dialect { no_backslash_escapes: true, ..Dialect::MYSQL }, r"SELECT 'it\', a FROM oss_orders", MaybeLocal),
            (Dialect::MYSQL, r"SELECT 'it\\', a FROM oss_orders", MaybeLocal),
            (Dialect::POSTGRES, r"SELECT E'it\'s oss_orders'", Upstream),
            (Dialect::POSTGRES, r"SELECT 'it\', a FROM oss_orders", MaybeLocal),
            (Dialect::POSTGRES, "SELECT $$it's$$ FROM oss_orders", MaybeLocal),
            (Dialect::POSTGRES, "SELECT $a$ $$ oss_orders $b$ $a$, $1", Upstream),
            (Dialect::POSTGRES, "SELECT /* /* x */ oss_orders */ 1", Upstream),
            (Dialect::MYSQL, "SELECT /* /* x */ 1 FROM oss_orders", MaybeLocal),
            (Dialect::MYSQL, "SELECT 1 # it's\n FROM oss_orders", MaybeLocal),
            (Dialect::MYSQL, "/*!40101 SELECT * FROM oss_orders */", MaybeLocal),
            (Dialect::MYSQL, "/*!40101oss_orders*/", MaybeLocal),
            (Dialect::MYSQL, "/*!99999 oss_orders*/", Upstream),
            (Dialect::MYSQL, "SELECT 1 /*!99999 it's */ FROM oss_orders", MaybeLocal),
            (Dialect::MYSQL, "SELECT 1 /*!99999 /* x */ oss_orders */", Upstream),
            (Dialect::MYSQL, "SELECT 1 /*!99999 /* x */ y */ FROM oss_orders", MaybeLocal),
            (Dialect::MYSQL, "SELECT 1 /*M! FROM oss_orders */", Upstream),
            (MARIADB, "SELECT 1 /*M! FROM oss_orders */", MaybeLocal),
            (MARIADB, "SELECT 1 /*!80000 FROM oss_orders */", Upstream),
            (MARIADB, "SELECT 1 /*!80000 it's */ FROM oss_orders", MaybeLocal),
            (Dialect::MYSQL, "SELECT 1--1, 'x' FROM oss_orders", MaybeLocal),
            (Dialect::POSTGRES, "SELECT 1--1, 'x' FROM oss_orders", Upstream),
        ];
        for (dialect, text, want) in both_ways {
            assert_eq!(scan(&dialect, text), want, "{text}");
        }
    }

    #[test]
    fn statements_of_flashgate_are_found_without_any_cold_table() {
        for dialect in BOTH {
            for text in [
                "ALTER FILESTORAGE OSS BACKUP",
                "show recyclebin",
                "FLASHBACK TABLE x TO BEFORE DROP",
                "PURGE TABLE FILE_STORAGE_BIN_abcdefghij0123456789",
                "SET flashback_read_time = '2022-07-05'",
                "START TRANSACTION READ ONLY AS OF TIMESTAMP '2022-07-05'",
                "CREATE TABLE t (a int) ENGINE='OSS'",
                "create table t (a int) engine = oss",
                "create table t (a int) engine = 'o''ss'",
                "CREATE TABLE t (a int) WITH (engine='S3')",
                "SELECT * FROM information_schema.file_storage_files_meta",
                "SELECT 1; SHOW FILES FROM t",
            ] {
                assert_eq!(scan(&dialect, text), MaybeLocal, "{text}");
            }
            for text in [
                "START TRANSACTION",
                "BEGIN; SELECT a AS of FROM t",
                "CREATE TABLE t (a int) ENGINE=InnoDB COMMENT 'oss'",
                "SHOW ENGINES",
                "SELECT * FROM t FOR SYSTEM_TIME AS OF TIMESTAMP '2022-07-05'",
                "UPDATE oss SET s3 = 1",
            ] {
                assert_eq!(scan(&dialect, text), Upstream, "{text}");
            }
        }
        assert_eq!(scan(&Dialect::MYSQL, "PREPARE s FROM 'SELECT * FROM oss_orders'"), MaybeLocal);
    }

    #[test]
    fn the_scan_the_outline_the_parser_and_labels_see_the_same_quotes() {
        const MYSQL_9: Dialect = Dialect { server: Server { mariadb: false, version: 90_704 }, ..Dialect::MYSQL };
        const ANSI: Dialect = Dialect { ansi_quotes: true, ..Dialect::MYSQL };
        const NO_ESCAPES: Dialect = Dialect { no_backslash_escapes: true, ..Dialect::MYSQL };
        const ESCAPES: Dialect = Dialect { no_backslash_escapes: false, ..Dialect::POSTGRES };
        let mysql = [MYSQL_9, MARIADB, ANSI, NO_ESCAPES];
        let postgres = [Dialect::POSTGRES, ESCAPES];
        let every = [MYSQL_9, MARIADB, ANSI, NO_ESCAPES, Dialect::POSTGRES, ESCAPES];
        // Each is one value of a select list, and hides the name of a table.
        let table: &[(&[Dialect], &str)] = &[
            (&every, "'it''s, oss_orders'"),
            (&every, "1 /* it's, oss_orders */"),
            (&every, "1 -- it's, oss_orders\n"),
            (&every, "n'oss_orders, a'"),
            (&mysql, "1 # it's, oss_orders\n"),
            (&mysql, "1 /*!99999 it's /* */, oss_orders */"),
            (&mysql, "`it's, oss_orders`"),
            (&mysql, "_utf8mb4'oss_orders, a'"),
            (&mysql[..3], r"'it\'s, oss_orders'"),
            (&mysql[3..], r"'it\'"),
            (&mysql[2..3], r#""it\""#),
            (&postgres, r"E'it\'s, oss_orders'"),
            (&postgres, "E'a'\n'it\\'s, oss_orders'"),
            (&postgres, "$$it's, oss_orders$$"),
            (&postgres, "$a$ $$ it's, oss_orders $b$ $a$"),
            (&postgres, "1 /* /* it's */, oss_orders */"),
            (&postgres, "1 -- it's, oss_orders\r"),
            (&postgres, "\"it's, oss_orders\""),
            (&postgres[..1], r"'it\'"),
            (&postgres[1..], r"'it\'s, oss_orders'"),
        ];
        let scanner = Scanner::new(["oss_orders"]);
        for (dialects, value) in table {
            for dialect in *dialects {
                for (tail, cold) in [("hot", false), ("oss_orders", true)] {
                    let text = format!("SELECT a, {value}, b FROM {tail}; SELECT 1");
                    let verdict = scanner.scan(dialect, text.as_bytes());
                    assert_eq!(verdict == MaybeLocal, cold, "{dialect:?} {text}");
                    let (mut outlined, mut statements) = (false, 0);
                    let is_cold = &mut |parts: &[String]| parts == ["oss_orders"];
                    let ended = sql::outline(dialect, &text, is_cold, &mut |outline| {
                        outlined |= outline.cold;
                        statements += 1;
                        true
                    });
                    assert_eq!((ended, outlined, statements), (true, cold, 2), "{dialect:?} {text}");
                    let parsed = sql::parse(dialect, &text).unwrap_or_else(|error| panic!("{dialect:?} {text}: {error}"));
                    assert_eq!(parsed.len(), 2, "{dialect:?} {text}");
                    let sql::Statement::Query(query) = &parsed[0].statement else { panic!("{text}") };
                    let labels = crate::engine::dialect::label_items(&query.query, dialect, &parsed[0].text);
                    assert_eq!(labels.len(), 3, "{dialect:?} {text}");
                    assert!(labels[2] == crate::engine::dialect::Label::Fixed("b".into()), "{dialect:?} {text}");
                }
            }
        }
        // A backtick is no quote of PostgreSQL's, and hides nothing.
        assert_eq!(scanner.scan(&Dialect::POSTGRES, b"SELECT 1 ` a FROM oss_orders"), MaybeLocal);
    }

    #[test]
    fn a_backslash_that_is_half_a_character_hides_nothing() {
        let scanner = Scanner::new(["oss_orders"]);
        // 0x95 0x5c is one character in Shift JIS and in GBK; in UTF-8 and latin1 the backslash escapes.
        let gbk = b"SELECT '\x95\\', a FROM oss_orders WHERE b = 'c'";
        assert_eq!(scanner.scan_any(&Dialect::MYSQL, gbk), MaybeLocal);
        let utf8 = "SELECT '\u{e9}\\'', a FROM oss_orders".as_bytes();
        assert_eq!(scanner.scan_any(&Dialect::MYSQL, utf8), MaybeLocal);
        assert_eq!(scanner.scan_any(&Dialect::MYSQL, b"SELECT '\x95\\' FROM t"), Upstream);
    }

    #[test]
    fn any_bytes_are_scanned_to_their_end() {
        let scanner = Scanner::new(["t"]);
        for text in
            [&b"'"[..], b"\"", b"`\xff", b"/*", b"/*!", b"--", b"#", b"$", b"$a", b"$a$", b"e'\\", b"'\\", b"\xff\xfe", b";;", b"-", b"/"]
        {
            for dialect in BOTH {
                assert_eq!(scanner.scan(&dialect, text), Upstream, "{text:?}");
            }
        }
    }

    #[test]
    fn what_the_parser_takes_as_local_the_scan_never_sends_upstream() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/grammar/flashgate.ebnf")).unwrap();
        // Every keyword of a statement of Flashgate's that has no table must be known.
        for word in ["FILESTORAGE", "RECYCLEBIN", "FLASHBACK", "flashback_read_time", "COLD"] {
            assert!(text.contains(word));
            assert_eq!(scan(&Dialect::MYSQL, &format!("x {word} y")), MaybeLocal, "{word}");
        }
    }
}
