//! The one scanner of SQL text: it cuts a text into words, names, strings, comments and signs.
//!
//! Whoever has to know where a string or a comment ends asks it: the question "does this statement concern us?", the
//! outline of a statement, the lexer before the parser, labels, rewriting of literals. It knows what the session's
//! sql_mode (or standard_conforming_strings), the server's version and the client's character set say about quotes and
//! comments. It works on bytes, borrows, allocates nothing and takes any input: what has no end goes to the end of the
//! text, and [`Piece::ended`] tells so. The pieces cover the text without gaps.
//!
//! It never says what a word means: that is for those who read the pieces.
//!
//! The rules are those of MySQL's and MariaDB's sql/sql_lex.cc and of PostgreSQL's src/backend/parser/scan.l; the table of
//! `scan_tests` holds what the servers answered.

use std::ops::Range;

use memchr::{memchr, memchr2, memmem};

use super::characters::Characters;
use super::server::Server;
use super::statement::Dialect;

/// What a piece of a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// White space.
    Space,
    /// `-- ..` or `# ..`, without the end of its line.
    LineComment,
    /// `/* .. */`. Its inside is what stands between the marks.
    Comment,
    /// The `/*!40101` of a comment that the server runs, and the `*/` that belongs to it.
    CodeMark,
    /// A word without quotes. In MySQL it may begin with a digit or a dollar sign.
    Word,
    /// Digits, and in PostgreSQL the letters that touch them; dots and signs are pieces of their own.
    Number,
    /// A name in quotes. Its inside is what stands between them.
    Name(Quote),
    /// A string. Its inside is what stands between the quotes, without the letters before them.
    Text(Text),
    /// PostgreSQL's `$1`.
    Parameter,
    /// Any other byte.
    Sign(u8),
}

/// The quotes of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quote {
    Backtick,
    Double,
    /// PostgreSQL's `U&".."`.
    Unicode,
}

impl Quote {
    pub fn byte(self) -> u8 {
        match self {
            Quote::Backtick => b'`',
            Quote::Double | Quote::Unicode => b'"',
        }
    }
}

/// How a string is written, which says what a backslash in it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// `'..'` in which a backslash is a backslash.
    Plain,
    /// `'..'` in which a backslash escapes: MySQL's, and PostgreSQL's `E'..'` and what continues it.
    Escaped,
    /// MySQL's `".."`, when it is not a name. The flag: a backslash escapes.
    Double(bool),
    /// `X'..'`.
    Hex,
    /// `B'..'`.
    Bits,
    /// PostgreSQL's `U&'..'`. A backslash begins a code point, and does not keep a quote.
    Unicode,
    /// `$tag$ .. $tag$`.
    Dollar,
}

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
    /// What stands within quotes or the marks of a comment begins and ends here.
    inside: (usize, usize),
    /// What stands within quotes is the value: nothing in it is doubled or escaped.
    pub plain: bool,
    /// It has its closing quote or mark.
    pub ended: bool,
    /// PostgreSQL: it continues the string before it, which stands on another line.
    pub continues: bool,
}

impl Piece {
    /// The bytes that it takes.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// What stands within its quotes or marks.
    pub fn inside(&self) -> Range<usize> {
        self.inside.0..self.inside.1
    }

    /// Is it white space, or a comment that no server runs?
    pub fn is_blank(&self) -> bool {
        matches!(self.kind, Kind::Space | Kind::LineComment | Kind::Comment | Kind::CodeMark)
    }

    fn bare(kind: Kind, start: usize, end: usize) -> Piece {
        Piece { kind, start, end, inside: (start, end), plain: true, ended: true, continues: false }
    }
}

/// Cuts one text. As an iterator it gives every piece.
#[derive(Debug, Clone)]
pub struct Scan<'a> {
    text: &'a [u8],
    at: usize,
    mysql: bool,
    /// `".."` is a name.
    double_is_name: bool,
    /// A backslash escapes in an ordinary string.
    escapes: bool,
    /// `$tag$ .. $tag$` is a string.
    dollars: bool,
    server: Server,
    characters: Characters,
    /// A comment that the server runs has begun and not ended.
    in_code: bool,
    /// PostgreSQL: where the last string ended and how it was written, for one that continues it.
    last: Option<(usize, Text)>,
}

impl<'a> Scan<'a> {
    /// A text whose characters have no second byte that could be a quote or a backslash, such as UTF-8.
    pub fn new(dialect: &Dialect, text: &'a [u8]) -> Scan<'a> {
        Scan::of(dialect, Characters::Plain, text)
    }

    /// A text in the characters of its client.
    pub fn of(dialect: &Dialect, characters: Characters, text: &'a [u8]) -> Scan<'a> {
        let mysql = dialect.is_mysql();
        Scan {
            text,
            at: 0,
            mysql,
            double_is_name: !mysql || dialect.ansi_quotes,
            escapes: !dialect.no_backslash_escapes,
            dollars: !mysql || dialect.server.has_dollar_quotes(),
            server: dialect.server,
            characters,
            in_code: false,
            last: None,
        }
    }

    /// A comment that the server runs has no end so far.
    pub fn in_code(&self) -> bool {
        self.in_code
    }

    /// The next word, number, name, string or semicolon. It is [`Iterator::next`] without what stands between those, and
    /// quicker.
    #[inline]
    pub fn next_word(&mut self) -> Option<Piece> {
        self.step::<true>()
    }

    /// `WORDS`: give no white space, comments and signs (but semicolons).
    #[inline]
    fn step<const WORDS: bool>(&mut self) -> Option<Piece> {
        loop {
            let start = self.at;
            let byte = *self.text.get(start)?;
            let piece = match byte {
                _ if WORDS && class(byte) & IDLE != 0 => {
                    self.at += 1;
                    continue;
                }
                0xa0 if self.characters.is_space(byte) => self.take(Kind::Space, 1),
                _ if class(byte) & WORD != 0 => self.word(),
                b'\'' => self.single(),
                b'"' if self.double_is_name => self.quoted(Kind::Name(Quote::Double), 0, b'"', false),
                b'"' => self.quoted(Kind::Text(Text::Double(self.escapes)), 0, b'"', self.escapes),
                b'`' if self.mysql => self.quoted(Kind::Name(Quote::Backtick), 0, b'`', false),
                b'$' => self.dollar(),
                b'-' if self.is_comment_of_dashes() => self.line_comment(),
                b'#' if self.mysql => self.line_comment(),
                b'/' if self.byte(1) == Some(b'*') => self.comment(),
                b'*' if self.in_code && self.byte(1) == Some(b'/') => {
                    self.in_code = false;
                    self.take(Kind::CodeMark, 2)
                }
                _ if is_space(byte) => {
                    let length = self.text[start..].iter().take_while(|byte| is_space(**byte)).count();
                    self.take(Kind::Space, length)
                }
                _ => self.take(Kind::Sign(byte), 1),
            };
            let skipped = match piece.kind {
                Kind::Word | Kind::Number | Kind::Name(_) | Kind::Text(_) => false,
                Kind::Sign(sign) => sign != b';',
                _ => true,
            };
            if !(WORDS && skipped) {
                return Some(piece);
            }
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// The next `length` bytes are a piece.
    #[inline]
    fn take(&mut self, kind: Kind, length: usize) -> Piece {
        let start = self.at;
        self.at += length;
        Piece::bare(kind, start, self.at)
    }

    /// A word, a number, or a string with a letter before its quote.
    #[inline]
    fn word(&mut self) -> Piece {
        let rest = &self.text[self.at..];
        let digit = rest[0].is_ascii_digit();
        let mut length = if digit && !self.mysql {
            // In PostgreSQL a dollar sign ends a number: 1$$x$$ is a number and a string.
            rest.iter().position(|byte| class(*byte) & WORD == 0).unwrap_or(rest.len())
        } else {
            rest.iter().position(|byte| class(*byte) & GOES_ON == 0).unwrap_or(rest.len())
        };
        if length == 1
            && let Some(piece) = self.prefixed(rest[0])
        {
            return piece;
        }
        if self.characters != Characters::Plain {
            length = self.length_of_word(rest);
        }
        let number = digit && (!self.mysql || rest[..length].iter().all(u8::is_ascii_digit));
        self.take(if number { Kind::Number } else { Kind::Word }, length)
    }

    /// The second byte of a character may be any sign, and belongs to the word.
    #[cold]
    fn length_of_word(&self, rest: &[u8]) -> usize {
        let mut at = 0;
        while let Some(byte) = rest.get(at) {
            if rest.get(at + 1).is_some_and(|second| self.characters.is_pair(*byte, *second)) {
                at += 2;
            } else if class(*byte) & GOES_ON != 0 && !self.characters.is_space(*byte) {
                at += 1;
            } else {
                break;
            }
        }
        at
    }

    /// A string or name that begins with a letter: the quote has to touch it.
    fn prefixed(&mut self, letter: u8) -> Option<Piece> {
        let quote = self.byte(1)?;
        let (kind, before) = match (letter.to_ascii_lowercase(), quote) {
            (b'x', b'\'') => (Kind::Text(Text::Hex), 1),
            (b'b', b'\'') => (Kind::Text(Text::Bits), 1),
            (b'n', b'\'') => (Kind::Text(if self.escapes { Text::Escaped } else { Text::Plain }), 1),
            (b'e', b'\'') if !self.mysql => (Kind::Text(Text::Escaped), 1),
            (b'u', b'&') if !self.mysql => match self.byte(2)? {
                b'\'' => (Kind::Text(Text::Unicode), 2),
                b'"' => (Kind::Name(Quote::Unicode), 2),
                _ => return None,
            },
            _ => return None,
        };
        let quote = if matches!(kind, Kind::Name(_)) { b'"' } else { b'\'' };
        Some(self.quoted(kind, before, quote, kind == Kind::Text(Text::Escaped)))
    }

    /// A string that begins with its quote.
    fn single(&mut self) -> Piece {
        let continued = match self.last {
            Some((end, how)) if joins(self.text.get(end..self.at).unwrap_or_default()) => Some(how),
            _ => None,
        };
        let how = continued.unwrap_or(if self.escapes { Text::Escaped } else { Text::Plain });
        Piece { continues: continued.is_some(), ..self.quoted(Kind::Text(how), 0, b'\'', how == Text::Escaped) }
    }

    /// What stands in quotes; `before` letters stand before the first of them.
    fn quoted(&mut self, kind: Kind, before: usize, quote: u8, escapes: bool) -> Piece {
        let start = self.at;
        let from = start + before + 1;
        // X'..' and B'..' end at their next quote.
        let doubles = !matches!(kind, Kind::Text(Text::Hex | Text::Bits));
        let mut piece = Piece { inside: (from, self.text.len()), ended: false, ..Piece::bare(kind, start, self.text.len()) };
        let mut at = from;
        while let Some(offset) = self.end_of_quoted(at, quote, escapes) {
            at += offset;
            if self.text[at] == b'\\' || (doubles && self.text.get(at + 1) == Some(&quote)) {
                piece.plain = false;
                at += 2;
                continue;
            }
            piece.inside.1 = at;
            piece.end = at + 1;
            piece.ended = true;
            break;
        }
        self.at = piece.end;
        if !self.mysql
            && let Kind::Text(how) = kind
        {
            self.last = Some((piece.end, how));
        }
        piece
    }

    /// How far behind `from` a quote or (if it escapes) a backslash stands. Most names and strings are shorter than a vector
    /// search pays for.
    #[inline]
    fn end_of_quoted(&self, from: usize, quote: u8, escapes: bool) -> Option<usize> {
        const SHORT: usize = 24;
        let rest = self.text.get(from..)?;
        let stops = |byte: &u8| *byte == quote || (escapes && *byte == b'\\');
        if self.characters != Characters::Plain {
            return self.characters.position(rest, stops);
        }
        let (near, far) = rest.split_at(rest.len().min(SHORT));
        near.iter().position(stops).or_else(|| {
            let found = if escapes { memchr2(quote, b'\\', far) } else { memchr(quote, far) };
            found.map(|offset| near.len() + offset)
        })
    }

    /// `--`; MySQL wants white space, a control character or the end of the text after it.
    fn is_comment_of_dashes(&self) -> bool {
        self.byte(1) == Some(b'-') && (!self.mysql || self.byte(2).is_none_or(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()))
    }

    /// To the end of the line, which in PostgreSQL may be a carriage return.
    fn line_comment(&mut self) -> Piece {
        let rest = &self.text[self.at..];
        let end = if self.mysql { memchr(b'\n', rest) } else { memchr2(b'\n', b'\r', rest) };
        self.take(Kind::LineComment, end.unwrap_or(rest.len()))
    }

    /// `/* .. */`. PostgreSQL's nest, and of MySQL's those that other versions run. Of what this server runs only the mark is
    /// a piece: the code follows.
    fn comment(&mut self) -> Piece {
        let start = self.at;
        let inside = &self.text[start + 2..];
        let depth = match inside {
            _ if !self.mysql => usize::MAX,
            [b'!', ..] | [b'M', b'!', ..] => {
                if let Some(code) = self.server.code_in(inside) {
                    self.in_code = true;
                    return self.take(Kind::CodeMark, 2 + code);
                }
                1
            }
            _ => 0,
        };
        let (length, ended) = length_of_comment(inside, depth);
        let mut piece = self.take(Kind::Comment, 2 + length + if ended { 2 } else { 0 });
        piece.inside = (start + 2, start + 2 + length);
        piece.ended = ended;
        piece
    }

    /// `$tag$ .. $tag$`, PostgreSQL's `$1`, or a word of MySQL's.
    fn dollar(&mut self) -> Piece {
        let rest = &self.text[self.at..];
        let tag = rest[1..].iter().take_while(|byte| class(**byte) & WORD != 0).count();
        // A tag may begin with a digit in MySQL only.
        let opens = self.dollars && rest.get(1 + tag) == Some(&b'$') && (self.mysql || !rest[1].is_ascii_digit());
        if opens {
            let start = self.at;
            let (tag, body) = rest.split_at(tag + 2);
            let found = memmem::find(body, tag);
            let length = found.unwrap_or(body.len());
            let inside = start + tag.len();
            let closing = found.map_or(0, |_| tag.len());
            let piece = self.take(Kind::Text(Text::Dollar), tag.len() + length + closing);
            return Piece { inside: (inside, inside + length), ended: found.is_some(), ..piece };
        }
        if self.mysql {
            let length = rest.iter().position(|byte| class(*byte) & GOES_ON == 0).unwrap_or(rest.len());
            return self.take(Kind::Word, length);
        }
        match rest[1..].iter().take_while(|byte| byte.is_ascii_digit()).count() {
            0 => self.take(Kind::Sign(b'$'), 1),
            digits => self.take(Kind::Parameter, 1 + digits),
        }
    }
}

impl Iterator for Scan<'_> {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        self.step::<false>()
    }
}

/// Does what stands between two strings of PostgreSQL make them one? White space and line comments, with the end of a line.
fn joins(between: &[u8]) -> bool {
    let (mut rest, mut line) = (between, false);
    loop {
        match rest {
            [] => return line,
            [b'\n' | b'\r', more @ ..] => {
                line = true;
                rest = more;
            }
            [byte, more @ ..] if is_space(*byte) => rest = more,
            [b'-', b'-', comment @ ..] => rest = memchr2(b'\n', b'\r', comment).map_or(&[], |end| &comment[end..]),
            _ => return false,
        }
    }
}

/// How much stands before the `*/` of a comment, after its `/*`; false: it has none. `depth`: so deep may others nest in it.
/// One pass, whatever it holds.
fn length_of_comment(inside: &[u8], depth: usize) -> (usize, bool) {
    let (mut at, mut open) = (0, 0usize);
    while let Some(found) = inside.get(at..).and_then(|rest| memchr2(b'*', b'/', rest)) {
        at += found;
        match inside.get(at..at + 2) {
            Some(b"*/") if open == 0 => return (at, true),
            Some(b"*/") => {
                open -= 1;
                at += 2;
            }
            Some(b"/*") if open < depth => {
                open += 1;
                at += 2;
            }
            _ => at += 1,
        }
    }
    (inside.len(), false)
}

/// White space of either language.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Begins a word and goes on with it.
const WORD: u8 = 1;
/// Goes on with a word.
const GOES_ON: u8 = 2;
/// Neither a word, nor the beginning of anything longer than itself.
const IDLE: u8 = 4;

const fn class(byte: u8) -> u8 {
    CLASSES[byte as usize]
}

const CLASSES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let b = byte as u8;
        table[byte] = match b {
            b'_' | 0x80.. => WORD | GOES_ON,
            _ if b.is_ascii_alphanumeric() => WORD | GOES_ON,
            b'$' => GOES_ON,
            b'\'' | b'"' | b'`' | b'-' | b'#' | b'/' | b'*' | b';' => 0,
            _ => IDLE,
        };
        byte += 1;
    }
    table
};
