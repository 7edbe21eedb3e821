//! Which tables a text names, told without parsing it: a reader of the places in which a statement names a table.
//!
//! It follows a statement word by word: its verb, the clauses of each query in it, parentheses and the scope of WITH. So it
//! takes statements that the parser does not know, and texts of any length, in one pass and without keeping them. It looks
//! at no catalog: whether a name is a cold table's, it asks. What is stored and runs later (the bodies of routines, rules and
//! policies) is passed over.
//!
//! `tokens` gives words and signs, `words` says which words count, `clauses` says what each means where it stands.

mod clauses;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

use std::ops::Range;

use self::clauses::{Clause, With};
use self::tokens::{Token, Tokens};
use self::words::Word;
use super::READ_TIME;
use super::statement::Dialect;
use crate::types::same;

/// Parentheses that are deeper are not followed: no server takes so many.
const DEEPEST: usize = 2_000;
/// So many names of WITH are known at a time.
const MOST_NAMES: usize = 1_000;

/// One statement of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// Where it stands, without the white space around it and its semicolon.
    pub range: Range<usize>,
    /// A cold table is named where a table is read, changed or made.
    pub cold: bool,
    /// It has words that only statements of ours have.
    pub own: bool,
    /// What CREATE TABLE .. ENGINE = x says.
    pub engine: Option<String>,
    /// It concerns the session (SET, PREPARE, COMMIT ..) or lists something: the tables that it names do not tell whose it is.
    pub of_session: bool,
}

/// Reads `text` statement by statement. `cold`: is this, the parts of a name, a cold table's? `each` answers false to stop.
/// False: a string, a name or a comment of it has no end.
pub fn outline(dialect: &Dialect, text: &str, cold: &mut dyn FnMut(&[String]) -> bool, each: &mut dyn FnMut(Outline) -> bool) -> bool {
    let mut reader = Reader::new(dialect, text, cold);
    loop {
        let more = reader.statement();
        let outline = std::mem::take(&mut reader.outline);
        if (!outline.range.is_empty() && !each(outline)) || !more {
            return !reader.tokens.unended;
        }
    }
}

/// What stands between two parentheses, or outside of all.
#[derive(Debug, Clone, Copy, Default)]
struct Frame {
    clause: Clause,
    verb: Verb,
    /// A query may begin here with TABLE; in SHOW, FROM may name a table.
    open: bool,
    /// CASE without its END.
    cases: u32,
    /// How many names of WITH there were before it.
    names: usize,
    /// The name whose body comes next, if WITH is not recursive.
    unseen: Option<usize>,
    recursive: bool,
    /// It is in the place of a table.
    table: bool,
}

/// Which statement is it, where a word depends on that?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Verb {
    #[default]
    Other,
    Update,
    /// DELETE FROM, up to USING.
    Delete,
    Merge,
    /// CREATE TABLE or VIEW, up to the query.
    Create,
    /// Its options: WITH (..).
    Options,
}

struct Reader<'a, 'f> {
    mysql: bool,
    text: &'a str,
    /// Where the statement begins: behind the semicolon of the last one.
    from: usize,
    tokens: Tokens<'a>,
    ahead: Option<(Token<'a>, (usize, usize))>,
    cold: &'f mut dyn FnMut(&[String]) -> bool,
    frames: Vec<Frame>,
    /// Open parentheses below the deepest frame.
    below: usize,
    /// Names that WITH has given; is each seen where we are?
    names: Vec<(String, bool)>,
    /// Tables behind DELETE FROM: in MySQL they may turn out to be aliases.
    targets: Vec<Vec<String>>,
    /// CREATE TEMPORARY.
    temporary: bool,
    /// The last word, and the one before it.
    before: Word,
    earlier: Word,
    /// The last token began a name.
    was_name: bool,
    outline: Outline,
}

impl<'a, 'f> Reader<'a, 'f> {
    fn new(dialect: &'a Dialect, text: &'a str, cold: &'f mut dyn FnMut(&[String]) -> bool) -> Self {
        let mut tokens = Tokens::new(dialect, text);
        let ahead = tokens.next().map(|tok| (tok, tokens.span()));
        Reader {
            mysql: dialect.is_mysql(),
            text,
            from: 0,
            tokens,
            ahead,
            cold,
            frames: vec![Frame::default()],
            below: 0,
            names: Vec::new(),
            targets: Vec::new(),
            temporary: false,
            before: Word::Nothing,
            earlier: Word::Nothing,
            was_name: false,
            outline: Outline::default(),
        }
    }

    /// Reads one statement and its semicolon. False: the text has ended.
    fn statement(&mut self) -> bool {
        self.frames.clear();
        self.frames.push(Frame::default());
        self.names.clear();
        (self.below, self.temporary) = (0, false);
        (self.before, self.earlier) = (Word::Nothing, Word::Nothing);
        let mut empty = true;
        let (end, behind) = loop {
            match self.take() {
                None => break (self.text.len(), None),
                Some((Token::Sign(b';'), (at, behind))) if !self.goes_on() => break (at, Some(behind)),
                Some((tok, _)) => {
                    empty = false;
                    self.token(tok);
                }
            }
        };
        self.keep_targets();
        if !empty {
            let slice = self.text.get(self.from..end).unwrap_or_default();
            let start = self.from + slice.len() - slice.trim_start().len();
            self.outline.range = start..start + slice.trim().len();
        }
        self.from = behind.unwrap_or(end);
        behind.is_some()
    }

    fn take(&mut self) -> Option<(Token<'a>, (usize, usize))> {
        let tok = self.ahead.take()?;
        self.ahead = self.tokens.next().map(|tok| (tok, self.tokens.span()));
        Some(tok)
    }

    fn next_is(&self, sign: u8) -> bool {
        matches!(self.ahead, Some((Token::Sign(next), _)) if next == sign)
    }

    /// Does a semicolon stand within the statement? It does in the body of a routine, and between PostgreSQL's parentheses.
    fn goes_on(&self) -> bool {
        match self.frames[0].clause {
            Clause::Routine(blocks) => blocks > 0,
            Clause::Rest => !self.mysql && self.frames.len() + self.below > 1,
            _ => false,
        }
    }

    fn top(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn outside(&self) -> bool {
        self.frames.len() == 1
    }

    fn token(&mut self, tok: Token<'a>) {
        let word = match tok {
            // Behind a dot stands a name.
            Token::Word(word) if self.before != Word::Sign(b'.') => Word::of(word),
            Token::Word(_) | Token::Quoted(..) => Word::Other,
            Token::Text(_) | Token::Variable(..) => Word::Value,
            Token::Sign(sign) => Word::Sign(sign),
        };
        if let Token::Variable(name, true) = tok
            && name.rsplit('.').next().is_some_and(|name| same(name, READ_TIME))
        {
            self.outline.own = true;
        }
        let routine = matches!(self.frames[0].clause, Clause::Routine(_));
        match word {
            Word::Sign(b'(') if !routine => self.open(),
            Word::Sign(b')') if !routine => self.close(),
            _ if self.below > 0 => {}
            _ => self.word(tok, word),
        }
        let word = if std::mem::take(&mut self.was_name) { Word::Other } else { word };
        (self.earlier, self.before) = (self.before, word);
    }

    fn open(&mut self) {
        if self.below > 0 || self.frames.len() > DEEPEST {
            self.below += 1;
            return;
        }
        let mut inner = Frame { names: self.names.len(), ..Frame::default() };
        let before = self.before;
        let outer = self.top();
        match outer.clause {
            Clause::Tables => {
                inner.table = true;
                outer.clause = Clause::Joined;
            }
            Clause::Begin => {
                inner.table = outer.table;
                outer.clause = if outer.table { Clause::Joined } else { Clause::Expression };
            }
            Clause::With(With::Columns) => {
                inner.clause = Clause::Expression;
                outer.clause = Clause::With(With::As);
            }
            Clause::With(With::Body) | Clause::With(With::Behind) => {}
            Clause::With(_) => outer.clause = Clause::Expression,
            Clause::Rest => inner.clause = Clause::Rest,
            Clause::Expression if outer.verb == Verb::Create && before == Word::With => inner.verb = Verb::Options,
            // The columns of a table may be LIKE another's.
            Clause::Expression if outer.verb == Verb::Create && before != Word::As => inner.verb = Verb::Create,
            _ => {}
        }
        self.frames.push(inner);
    }

    fn close(&mut self) {
        if self.below > 0 {
            self.below -= 1;
            return;
        }
        if self.outside() {
            return;
        }
        if let Some(inner) = self.frames.pop() {
            self.names.truncate(inner.names);
        }
        let outer = self.top();
        if outer.clause == Clause::With(With::Body) {
            outer.clause = Clause::With(With::Behind);
            if let Some(name) = outer.unseen.take().and_then(|at| self.names.get_mut(at)) {
                name.1 = true;
            }
        }
    }

    /// The name that begins with a token, as far as its dots go.
    fn name(&mut self, first: Token<'a>) -> Vec<String> {
        self.was_name = true;
        let mut parts: Vec<String> = first.name().map(|name| name.into_owned()).into_iter().collect();
        while parts.len() < 4 && self.next_is(b'.') {
            self.take();
            match self.ahead {
                Some((Token::Word(_) | Token::Quoted(..), _)) => {
                    let part = self.take().and_then(|(tok, _)| tok.name());
                    parts.extend(part.map(|name| name.into_owned()));
                }
                _ => break,
            }
        }
        parts
    }

    /// A table is named.
    fn place(&mut self, parts: Vec<String>) {
        let hidden = match parts.as_slice() {
            [name] => same(name, "dual") || self.names.iter().any(|(given, seen)| *seen && same(given, name)),
            _ => false,
        };
        if hidden {
        } else if self.top().verb == Verb::Delete {
            self.targets.push(parts);
        } else {
            self.outline.cold |= (self.cold)(&parts);
        }
    }

    fn keep_targets(&mut self) {
        for target in std::mem::take(&mut self.targets) {
            self.outline.cold |= (self.cold)(&target);
        }
    }

    /// WITH gives a name, which is seen at once if it is recursive.
    fn give(&mut self, name: String) {
        let at = self.names.len();
        let frame = self.top();
        let seen = frame.recursive;
        frame.unseen = (!seen).then_some(at);
        if at < MOST_NAMES {
            self.names.push((name, seen));
        }
    }
}
