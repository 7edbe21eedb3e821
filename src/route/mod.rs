//! Does a statement concern us? A scan over its bytes, before anything is parsed.
//!
//! A [`Scanner`] is built from the names of the cold tables in reach and our keywords. It reads words outside strings
//! and comments; the first that is ours makes the statement [`Verdict::MaybeOurs`], and the parser then decides. A
//! statement without any goes upstream untouched. It may be wrong towards `MaybeOurs`, never towards `Upstream`.

mod current_scanner;
mod words;

use std::collections::HashMap;

use memchr::{memchr, memchr2, memmem};

use crate::sql::{Dialect, Family, end_of_comment, is_conditional};
pub use current_scanner::{CurrentScanner, ScannerHandle};
use words::{MAX_WORD, Word, goes_on, is_idle, is_word_byte};

/// What the scan says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing in it is ours.
    Upstream,
    /// It holds a word of ours: parse it.
    MaybeOurs,
}

/// Scans statements for words of ours.
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
}

impl Scanner {
    /// A scanner that knows our keywords and `names`: cold tables, their databases left out, in any case.
    pub fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Scanner {
        let mut scanner = Scanner { words: HashMap::new(), lengths: [0; 256], endings: [0; 256], lists: false };
        for name in names {
            scanner.lists = true;
            scanner.add(&name.to_lowercase(), Word::Ours);
        }
        for (word, kind) in words::KEYWORDS {
            scanner.add(word, kind);
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

    /// Scans one text whose character set is not known. In GBK, Big5 and Shift JIS the second byte of a character may
    /// be a backslash or a backtick; a text in which that could be so is read both ways.
    pub fn scan_any(&self, dialect: &Dialect, text: &[u8]) -> Verdict {
        let verdict = self.scan(dialect, text);
        if text.is_ascii() {
            return verdict;
        }
        let doubtful = |pair: &[u8]| pair[0] >= 0x80 && matches!(pair[1], b'\\' | b'`');
        if verdict == Verdict::MaybeOurs || !text.windows(2).any(doubtful) {
            return verdict;
        }
        let mut plain = text.to_vec();
        let mut at = 0;
        while at < plain.len() {
            if plain[at] >= 0x80 && at + 1 < plain.len() {
                plain[at + 1] = 0x80;
                at += 1;
            }
            at += 1;
        }
        self.scan(dialect, &plain)
    }

    /// Scans one text, which may hold several statements.
    pub fn scan(&self, dialect: &Dialect, text: &[u8]) -> Verdict {
        let mut scan = Scan { scanner: self, dialect, text, at: 0, statement: Statement::default() };
        if scan.run() { Verdict::MaybeOurs } else { Verdict::Upstream }
    }

    /// May it (in any case) be a word of ours? Most words end here. Beyond ASCII a change of case may change the length, so
    /// those go on.
    #[inline]
    fn may_know(&self, word: &[u8]) -> bool {
        let (Some(&first), Some(&last)) = (word.first(), word.last()) else { return false };
        let fits = |table: &[u64; 256], byte: u8| table[usize::from(byte.to_ascii_lowercase())] & (1 << word.len().min(63)) != 0;
        (fits(&self.lengths, first) && fits(&self.endings, last)) || !word.is_ascii()
    }

    /// What a word (any case) is to us.
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
}

/// What was seen of the statement so far.
#[derive(Default)]
struct Statement {
    /// A word has been read.
    begun: bool,
    /// It begins with START or BEGIN: then AS OF is ours.
    starts_transaction: bool,
    /// It begins with SHOW: then TABLES may list ours, too.
    shows: bool,
    /// The last word was ENGINE: is its value one of our engines?
    engine: bool,
}

/// One scan.
struct Scan<'a> {
    scanner: &'a Scanner,
    dialect: &'a Dialect,
    text: &'a [u8],
    at: usize,
    statement: Statement,
}

impl Scan<'_> {
    /// True at the first word that is ours.
    fn run(&mut self) -> bool {
        let mysql = self.dialect.family == Family::MySql;
        while let Some(&byte) = self.text.get(self.at) {
            match byte {
                _ if is_idle(byte) => self.at += 1,
                // A dollar sign begins a name in MySQL and goes on with one in both.
                _ if is_word_byte(byte) || (mysql && byte == b'$') => {
                    let rest = &self.text[self.at..];
                    let length = rest.iter().position(|b| !goes_on(*b)).unwrap_or(rest.len());
                    let word = &rest[..length];
                    self.at += length;
                    if self.word(word) {
                        return true;
                    }
                    if !mysql && word.eq_ignore_ascii_case(b"e") && self.text.get(self.at) == Some(&b'\'') {
                        self.quoted(b'\'', true);
                    }
                }
                b'\'' => {
                    let inside = self.quoted(b'\'', !self.dialect.no_backslash_escapes);
                    if self.statement.engine && (inside.escaped || self.word(inside.of(self.text))) {
                        return true;
                    }
                }
                // A name, or in MySQL perhaps a string: it is looked up in either case.
                b'"' | b'`' => {
                    let escapes = byte == b'"' && mysql && !self.dialect.ansi_quotes && !self.dialect.no_backslash_escapes;
                    let inside = self.quoted(byte, escapes);
                    // A quote within a name: too rare to be worth resolving here.
                    if inside.escaped || self.word(inside.of(self.text)) {
                        return true;
                    }
                }
                b'-' if self.comment_dashes(mysql) => self.skip_line(),
                b'#' if mysql => self.skip_line(),
                b'/' if self.text.get(self.at + 1) == Some(&b'*') => self.comment(mysql),
                b'$' if !mysql => self.dollar(),
                b';' => {
                    self.statement = Statement::default();
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        false
    }

    /// Takes a word into account. True: it is ours.
    #[inline]
    fn word(&mut self, word: &[u8]) -> bool {
        if !self.scanner.may_know(word) && word.len() < words::BIN_PREFIX.len() {
            self.statement.begun = true;
            self.statement.engine = false;
            return false;
        }
        self.known_word(word)
    }

    fn known_word(&mut self, word: &[u8]) -> bool {
        let kind = self.scanner.look_up(word);
        let first = !std::mem::replace(&mut self.statement.begun, true);
        let engine = std::mem::take(&mut self.statement.engine);
        match kind {
            Some(Word::Ours) => true,
            Some(Word::Engine) => {
                self.statement.engine = true;
                false
            }
            Some(Word::EngineName) => engine,
            Some(Word::Prepared) => first,
            Some(Word::Starts) => {
                self.statement.starts_transaction |= first;
                false
            }
            Some(Word::Shows) => {
                self.statement.shows |= first;
                false
            }
            Some(Word::Tables) => self.statement.shows && self.scanner.lists,
            Some(Word::Of) => self.statement.starts_transaction,
            None => word.len() >= words::BIN_PREFIX.len() && word[..words::BIN_PREFIX.len()].eq_ignore_ascii_case(words::BIN_PREFIX),
        }
    }

    /// Skips what is between quotes, and says where that lies. The quote stands at `at`.
    fn quoted(&mut self, quote: u8, backslash: bool) -> Inside {
        let start = self.at + 1;
        let mut inside = Inside { start, end: self.text.len(), escaped: false };
        let mut at = start;
        while let Some(offset) = end_of_quoted(self.text.get(at..).unwrap_or_default(), quote, backslash) {
            at += offset;
            let doubled = self.text.get(at + 1) == Some(&quote);
            if self.text[at] == b'\\' || doubled {
                inside.escaped = true;
                at += 2;
            } else {
                self.at = at + 1;
                inside.end = at;
                return inside;
            }
        }
        self.at = self.text.len();
        inside
    }

    /// `--`; MySQL wants a space or the like behind it.
    fn comment_dashes(&self, mysql: bool) -> bool {
        self.text.get(self.at + 1) == Some(&b'-')
            && (!mysql || self.text.get(self.at + 2).is_none_or(|b| b.is_ascii_whitespace() || b.is_ascii_control()))
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.at..];
        self.at += memchr(b'\n', rest).unwrap_or(rest.len());
    }

    /// `/* .. */`; PostgreSQL's nest, and of MySQL's those that other versions execute. What is executed is code (of which
    /// the `*/` is then two signs).
    fn comment(&mut self, mysql: bool) {
        self.at += 2;
        let inside = self.text.get(self.at..).unwrap_or_default();
        if mysql && let Some(code) = self.dialect.server.code_in(inside) {
            self.at += code;
            return;
        }
        self.at += end_of_comment(inside, if mysql { usize::from(is_conditional(inside)) } else { usize::MAX });
    }

    /// PostgreSQL's `$tag$ .. $tag$`. Anything else behind a dollar is passed over.
    fn dollar(&mut self) {
        let rest = &self.text[self.at..];
        let tag = rest[1..].iter().take_while(|b| **b != b'$' && is_word_byte(**b)).count();
        let is_tag = rest.get(tag + 1) == Some(&b'$') && !rest.get(1).is_some_and(u8::is_ascii_digit);
        if !is_tag {
            self.at += 1;
            return;
        }
        let (tag, body) = rest.split_at(tag + 2);
        self.at += tag.len() + memmem::find(body, tag).map_or(body.len(), |end| end + tag.len());
    }
}

/// Where a quote or (if it escapes) a backslash stands. Most names and strings are shorter than a vector search pays for.
fn end_of_quoted(rest: &[u8], quote: u8, backslash: bool) -> Option<usize> {
    const SHORT: usize = 24;
    let stops = |byte: &u8| *byte == quote || (backslash && *byte == b'\\');
    let (near, far) = rest.split_at(rest.len().min(SHORT));
    near.iter().position(stops).or_else(|| {
        let found = if backslash { memchr2(quote, b'\\', far) } else { memchr(quote, far) };
        found.map(|offset| near.len() + offset)
    })
}

/// What stands between two quotes.
struct Inside {
    start: usize,
    end: usize,
    /// A quote that is doubled, or a backslash, stands within: the text is not what is meant.
    escaped: bool,
}

impl Inside {
    fn of<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{MaybeOurs, Upstream};
    use super::*;
    use crate::sql::Server;

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
                assert_eq!(scan(&dialect, text), MaybeOurs, "{text}");
            }
            for text in ["SELECT * FROM oss_orders2", "SELECT * FROM my_archive", "SELECT 1", "", "SELECT archives"] {
                assert_eq!(scan(&dialect, text), Upstream, "{text}");
            }
        }
        assert_eq!(scan(&Dialect::MYSQL, "SELECT * FROM `archive`"), MaybeOurs);
        let odd = Scanner::new(["a$b", "$c", "d`e"]);
        for text in ["SELECT * FROM a$b", "SELECT * FROM $c", "SELECT * FROM `d``e`"] {
            assert_eq!(odd.scan(&Dialect::MYSQL, text.as_bytes()), MaybeOurs, "{text}");
        }
    }

    #[test]
    fn strings_and_comments_are_not_names_and_do_not_hide_what_follows() {
        for dialect in BOTH {
            for text in ["SELECT 'oss_orders'", "SELECT 1 /* oss_orders */", "SELECT 1 -- oss_orders\n, 2", "SELECT 'it''s oss_orders'"] {
                assert_eq!(scan(&dialect, text), Upstream, "{text}");
                assert_eq!(scan(&dialect, &format!("{text}\n FROM archive")), MaybeOurs, "{text}");
            }
        }
        let both_ways = [
            (Dialect::MYSQL, r"SELECT 'it\'s oss_orders'", Upstream),
            (Dialect { no_backslash_escapes: true, ..Dialect::MYSQL }, r"SELECT 'it\', a FROM oss_orders", MaybeOurs),
            (Dialect::MYSQL, r"SELECT 'it\\', a FROM oss_orders", MaybeOurs),
            (Dialect::POSTGRES, r"SELECT E'it\'s oss_orders'", Upstream),
            (Dialect::POSTGRES, r"SELECT 'it\', a FROM oss_orders", MaybeOurs),
            (Dialect::POSTGRES, "SELECT $$it's$$ FROM oss_orders", MaybeOurs),
            (Dialect::POSTGRES, "SELECT $a$ $$ oss_orders $b$ $a$, $1", Upstream),
            (Dialect::POSTGRES, "SELECT /* /* x */ oss_orders */ 1", Upstream),
            (Dialect::MYSQL, "SELECT /* /* x */ 1 FROM oss_orders", MaybeOurs),
            (Dialect::MYSQL, "SELECT 1 # it's\n FROM oss_orders", MaybeOurs),
            (Dialect::MYSQL, "/*!40101 SELECT * FROM oss_orders */", MaybeOurs),
            (Dialect::MYSQL, "/*!40101oss_orders*/", MaybeOurs),
            (Dialect::MYSQL, "/*!99999 oss_orders*/", Upstream),
            (Dialect::MYSQL, "SELECT 1 /*!99999 it's */ FROM oss_orders", MaybeOurs),
            (Dialect::MYSQL, "SELECT 1 /*!99999 /* x */ oss_orders */", Upstream),
            (Dialect::MYSQL, "SELECT 1 /*!99999 /* x */ y */ FROM oss_orders", MaybeOurs),
            (Dialect::MYSQL, "SELECT 1 /*M! FROM oss_orders */", Upstream),
            (MARIADB, "SELECT 1 /*M! FROM oss_orders */", MaybeOurs),
            (MARIADB, "SELECT 1 /*!80000 FROM oss_orders */", Upstream),
            (MARIADB, "SELECT 1 /*!80000 it's */ FROM oss_orders", MaybeOurs),
            (Dialect::MYSQL, "SELECT 1--1, 'x' FROM oss_orders", MaybeOurs),
            (Dialect::POSTGRES, "SELECT 1--1, 'x' FROM oss_orders", Upstream),
        ];
        for (dialect, text, want) in both_ways {
            assert_eq!(scan(&dialect, text), want, "{text}");
        }
    }

    #[test]
    fn our_own_statements_are_found_without_any_cold_table() {
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
                assert_eq!(scan(&dialect, text), MaybeOurs, "{text}");
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
        assert_eq!(scan(&Dialect::MYSQL, "PREPARE s FROM 'SELECT * FROM oss_orders'"), MaybeOurs);
    }

    #[test]
    fn a_backslash_that_is_half_a_character_hides_nothing() {
        let scanner = Scanner::new(["oss_orders"]);
        // 0x95 0x5c is one character in Shift JIS and in GBK; in UTF-8 and latin1 the backslash escapes.
        let gbk = b"SELECT '\x95\\', a FROM oss_orders WHERE b = 'c'";
        assert_eq!(scanner.scan_any(&Dialect::MYSQL, gbk), MaybeOurs);
        let utf8 = "SELECT '\u{e9}\\'', a FROM oss_orders".as_bytes();
        assert_eq!(scanner.scan_any(&Dialect::MYSQL, utf8), MaybeOurs);
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
    fn what_the_parser_takes_as_ours_the_scan_never_sends_upstream() {
        let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/grammar/flashgate.ebnf")).unwrap();
        // Every keyword of a statement of ours that has no table must be known.
        for word in ["FILESTORAGE", "RECYCLEBIN", "FLASHBACK", "flashback_read_time", "COLD"] {
            assert!(text.contains(word));
            assert_eq!(scan(&Dialect::MYSQL, &format!("x {word} y")), MaybeOurs, "{word}");
        }
    }
}
