//! Takes time clauses out of a query's tokens, lets sqlparser read the rest, and puts each clause where it belongs:
//! at its table in the tree, or beside the query when it stands last.
//!
//! Tokens are handed to sqlparser with their index as their place, so that the names in its tree say which tokens they
//! came from: a clause belongs to the table whose last token stands just before it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::dialect::Dialect as ParserDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Location, Span, Token, TokenWithSpan, Word};

use super::ast::{Expr, Ident, ObjectName, TableAlias, TableFactor, TableVersion, VisitMut, VisitorMut};
use super::ddl::Name;
use super::errors;
use super::language::Dialect;
use super::query::{TimeClause, TimeKind};
use super::tokens::Tok;
use super::walk::walk_mut;
use crate::error::{Error, Kind, Result};

/// How deep parentheses, subqueries and prefixes may nest.
const MAX_DEPTH: usize = 96;
/// How many AND, OR and UNION may follow each other within one parenthesis.
const MAX_LOOSE_CHAIN: usize = 4_000;
/// How many other operators may follow each other without a comma or parenthesis between: each one deepens the tree.
const MAX_TIGHT_CHAIN: usize = 200;
/// Tokens of a time expression.
const MAX_TIME_TOKENS: usize = 200;

/// The function that wraps the expression of `AS OF TSO e` in the tree.
pub const TSO_MARK: &str = "__fg_tso";

/// Tokens of `FOR SYSTEM_TIME AS OF __fg_tso`.
const MARKED: usize = 5;

/// A clause that was extracted.
struct ExtractedClause {
    clause: TimeClause,
    /// Index (among all tokens) of the token before it; None at the very start.
    after: Option<usize>,
    /// Index of the first token behind it.
    next: usize,
    /// Where it stands.
    start: usize,
}

/// What sqlparser read, and the clause of the whole statement.
pub(super) struct Read<T> {
    pub tree: T,
    pub as_of: Option<TimeClause>,
}

/// Where errors point to.
pub(super) struct Source<'a> {
    pub dialect: &'a Dialect,
    pub text: &'a str,
    /// The end of the statement, in bytes.
    pub end: usize,
}

/// Does a time clause start here? Answers its kind and the number of tokens before its expression.
pub(super) fn introduction(toks: &[Tok]) -> Option<(TimeKind, usize)> {
    let is = |n: usize, word: &str| matches!(toks.get(n).map(|t| &t.token), Some(Token::Word(Word { value, quote_style: None, .. })) if value.eq_ignore_ascii_case(word));
    if is(0, "FOR") && (is(1, "SYSTEM_TIME") || is(1, "TIMESTAMP")) && is(2, "AS") && is(3, "OF") {
        return Some(match toks.get(4).map(|t| &t.token) {
            // As the tree prints it.
            Some(Token::Word(w)) if w.value == TSO_MARK => (TimeKind::Tso, MARKED),
            _ => (TimeKind::Timestamp, 4),
        });
    }
    if !(is(0, "AS") && is(1, "OF")) {
        return None;
    }
    if is(2, "SYSTEM") && is(3, "TIME") {
        return Some((TimeKind::Timestamp, 4));
    }
    match toks.get(2).map(|t| &t.token)? {
        Token::Placeholder(_) | Token::SingleQuotedString(_) => Some((TimeKind::Timestamp, 2)),
        // A user variable of MySQL's.
        Token::Word(Word { value, quote_style: None, .. }) if value.starts_with('@') && !value.starts_with("@@") => {
            Some((TimeKind::Timestamp, 2))
        }
        _ if is(2, "TIMESTAMP") => Some((TimeKind::Timestamp, 3)),
        _ if is(2, "TSO") => Some((TimeKind::Tso, 3)),
        _ => None,
    }
}

/// Reads a query or a change with sqlparser, its time clauses extracted first.
pub(super) fn read<T: VisitMut>(
    source: &Source,
    mut toks: Vec<Tok>,
    parse: impl FnOnce(&mut Parser) -> Result<T, ParserError>,
) -> Result<Read<T>> {
    spell_tables(&mut toks);
    guard_chains(&toks)?;
    let parser_dialect = super::dialect::of(source.dialect, toks.len());
    let places = errors::places(&toks);
    let (kept, extracted) = take_clauses(source, parser_dialect.as_ref(), toks)?;
    let tokens: Vec<TokenWithSpan> = kept.into_iter().map(|(index, tok)| TokenWithSpan::new(tok.token, span(index))).collect();
    let clause_places = statement_places(&tokens, places.len());
    let mut parser = parser(parser_dialect.as_ref(), tokens);
    let failed = |error| errors::of_parser(source.dialect, source.text, &places, source.end, error);
    let mut tree = parse(&mut parser).map_err(failed)?;
    if let Some(next) = parser.peek() {
        return Err(errors::near(source.dialect, source.text, places.get(next).map_or(source.end, |p| p.0)));
    }
    super::rebalance::rebalance(&mut tree);
    if extracted.is_empty() {
        return Ok(Read { tree, as_of: None });
    }
    let mut attach = Attach { waiting: BTreeMap::new() };
    for one in extracted {
        attach.waiting.entry(one.after.unwrap_or(usize::MAX)).or_default().push(one);
    }
    if let ControlFlow::Break(error) = walk_mut(&mut tree, &mut attach) {
        return Err(error);
    }
    let as_of = statement_clause(source, &clause_places, attach.waiting)?;
    Ok(Read { tree, as_of })
}

/// `TABLE t` where a query may stand is `SELECT * FROM t`.
fn spell_tables(toks: &mut Vec<Tok>) {
    let word = |tok: &Tok, words: &[&str]| matches!(&tok.token, Token::Word(w) if w.quote_style.is_none() && words.iter().any(|word| w.value.eq_ignore_ascii_case(word)));
    let inserts = toks.first().is_some_and(|first| word(first, &["INSERT", "REPLACE"]));
    let mut depth = 0_usize;
    let mut at = 0;
    while at + 1 < toks.len() {
        match toks[at].token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        let opens = match at.checked_sub(1).map(|before| &toks[before]) {
            None => true,
            Some(before) => {
                before.token == Token::LParen
                    || word(before, &["UNION", "EXCEPT", "INTERSECT", "ALL", "DISTINCT"])
                    || inserts && depth == 0 && !word(before, &["INTO"])
            }
        };
        if opens && word(&toks[at], &["TABLE"]) && matches!(toks[at + 1].token, Token::Word(_)) {
            let (start, end) = (toks[at].start, toks[at].end);
            let plain = [Token::make_keyword("SELECT"), Token::Mul, Token::make_keyword("FROM")];
            toks.splice(at..=at, plain.map(|token| Tok { token, start, end }));
        }
        at += 1;
    }
}

/// A parser over spanned tokens with our limits.
pub(super) fn parser(dialect: &dyn ParserDialect, tokens: Vec<TokenWithSpan>) -> Positioned<'_> {
    let count = tokens.len();
    Positioned { parser: Parser::new(dialect).with_recursion_limit(MAX_DEPTH).with_tokens_with_locations(tokens), count }
}

/// sqlparser's parser, which knows how far it is.
pub(super) struct Positioned<'a> {
    parser: Parser<'a>,
    count: usize,
}

impl<'a> std::ops::Deref for Positioned<'a> {
    type Target = Parser<'a>;
    fn deref(&self) -> &Parser<'a> {
        &self.parser
    }
}

impl std::ops::DerefMut for Positioned<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.parser
    }
}

impl Positioned<'_> {
    /// The index of the next token within those that were handed over.
    pub fn index(&self) -> usize {
        match self.peek() {
            Some(index) => index,
            None => self.count,
        }
    }

    /// The index that the next token was given; None at the end.
    fn peek(&self) -> Option<usize> {
        let next = self.parser.peek_token_ref();
        (next.token != Token::EOF).then(|| (next.span.start.column as usize).saturating_sub(1))
    }
}

/// Gives every token its index as its place.
pub(super) fn spanned(toks: Vec<Tok>) -> Vec<TokenWithSpan> {
    toks.into_iter().enumerate().map(|(index, tok)| TokenWithSpan::new(tok.token, span(index))).collect()
}

fn span(index: usize) -> Span {
    let column = index as u64 + 1;
    Span::new(Location::new(1, column), Location::new(1, column))
}

/// The token index of a name in the tree.
fn index_of(ident: &Ident) -> Option<usize> {
    (ident.span.start.column as usize).checked_sub(1)
}

type Kept = Vec<(usize, Tok)>;

/// Splits tokens into those for sqlparser, with their indices, and the clauses among them.
fn take_clauses(source: &Source, parser_dialect: &dyn ParserDialect, toks: Vec<Tok>) -> Result<(Kept, Vec<ExtractedClause>)> {
    let is_of = |tok: &Tok| matches!(&tok.token, Token::Word(w) if w.keyword == Keyword::OF && w.quote_style.is_none());
    if !toks.iter().any(is_of) {
        return Ok((toks.into_iter().enumerate().collect(), Vec::new()));
    }
    let mut gone = vec![false; toks.len()];
    let mut extracted: Vec<ExtractedClause> = Vec::new();
    let mut at = 0;
    while at < toks.len() {
        let Some((kind, skip)) = introduction(&toks[at..]) else {
            at += 1;
            continue;
        };
        let from = at + skip;
        let window = toks[from.min(toks.len())..].iter().take(MAX_TIME_TOKENS).cloned().collect();
        let mut parser = parser(parser_dialect, spanned(window));
        let expr = parser.parse_expr().map_err(|error| {
            let places = errors::places(&toks[from.min(toks.len())..]);
            errors::of_parser(source.dialect, source.text, &places, source.end, error)
        })?;
        // The mark's own parenthesis, as the tree prints it, says nothing.
        let expr = match expr {
            Expr::Nested(inner) if skip == MARKED => *inner,
            other => other,
        };
        let next = from + parser.index();
        gone[at..next].iter_mut().for_each(|g| *g = true);
        let after = (0..at).rev().find(|i| !gone[*i]);
        extracted.push(ExtractedClause { clause: TimeClause { kind, expr }, after, next, start: toks[at].start });
        at = next;
    }
    // What follows a clause is the next token that stays.
    for one in &mut extracted {
        one.next = (one.next..toks.len()).find(|i| !gone[*i]).unwrap_or(toks.len());
    }
    Ok((toks.into_iter().enumerate().filter(|(i, _)| !gone[*i]).collect(), extracted))
}

/// Where the statement's clause may stand: at the end, or before a part that trails at depth 0.
fn statement_places(tokens: &[TokenWithSpan], end: usize) -> Vec<usize> {
    let mut depth = 0usize;
    let mut places = Vec::new();
    for (n, token) in tokens.iter().enumerate() {
        let next_is = |words: &[&str]| match tokens.get(n + 1).map(|t| &t.token) {
            Some(Token::Word(w)) => words.iter().any(|word| w.value.eq_ignore_ascii_case(word)),
            _ => false,
        };
        match &token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            Token::Word(w) if depth == 0 && w.quote_style.is_none() => match w.keyword {
                Keyword::GROUP | Keyword::HAVING | Keyword::ORDER | Keyword::LIMIT | Keyword::OFFSET => places.push(index_at(token)),
                Keyword::FETCH | Keyword::WINDOW | Keyword::RETURNING => places.push(index_at(token)),
                Keyword::FOR if next_is(&["UPDATE", "SHARE", "NO", "KEY"]) => places.push(index_at(token)),
                Keyword::ON if next_is(&["DUPLICATE", "CONFLICT"]) => places.push(index_at(token)),
                // Before a further branch it would look like the branch's own.
                Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT => places.clear(),
                _ => {}
            },
            _ => {}
        }
    }
    places.push(end);
    places
}

fn index_at(token: &TokenWithSpan) -> usize {
    (token.span.start.column as usize).saturating_sub(1)
}

/// Of the clauses that belong to no table, the statement's; any other is misplaced.
fn statement_clause(source: &Source, places: &[usize], waiting: BTreeMap<usize, Vec<ExtractedClause>>) -> Result<Option<TimeClause>> {
    let mut found: Option<TimeClause> = None;
    for one in waiting.into_values().flatten() {
        if !places.contains(&one.next) {
            return Err(errors::near(source.dialect, source.text, one.start)
                .with_hint("a time clause stands after a table's name or alias, or once at the end of the query"));
        }
        if found.is_some() {
            let place = errors::position(source.text, one.start);
            return Err(Error::new(Kind::Syntax, "the statement has two time clauses at its end; one is allowed").at(place));
        }
        found = Some(one.clause);
    }
    Ok(found)
}

/// Puts clauses at their tables.
struct Attach {
    /// By the index of the token before.
    waiting: BTreeMap<usize, Vec<ExtractedClause>>,
}

impl VisitorMut for Attach {
    type Break = Error;

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<Error> {
        if self.waiting.is_empty() {
            return ControlFlow::Continue(());
        }
        let TableFactor::Table { name, alias, version, partitions, args, .. } = factor else { return ControlFlow::Continue(()) };
        if args.is_some() {
            return ControlFlow::Continue(());
        }
        let mut clauses = Vec::new();
        for end in ends(name, partitions, alias.as_ref()) {
            clauses.extend(self.waiting.remove(&end).unwrap_or_default());
        }
        let shown = alias.as_ref().map_or_else(|| Name::of(name).to_string(), |a| a.name.value.clone());
        if clauses.len() > 1 {
            return ControlFlow::Break(Error::new(Kind::Syntax, format!("table '{shown}' has two time clauses; one is allowed")));
        }
        if let Some(one) = clauses.pop() {
            *version = Some(into_version(one.clause));
        }
        ControlFlow::Continue(())
    }
}

/// The tokens behind which a clause belongs to this table: its name, its partition list, its alias.
fn ends(name: &ObjectName, partitions: &[Ident], alias: Option<&TableAlias>) -> Vec<usize> {
    let mut ends = Vec::new();
    ends.extend(name.0.last().and_then(|part| part.as_ident()).and_then(index_of));
    // The ")" behind the list.
    ends.extend(partitions.last().and_then(index_of).map(|i| i + 1));
    if let Some(alias) = alias {
        ends.extend(index_of(&alias.name));
        ends.extend(alias.columns.last().and_then(|c| index_of(&c.name)).map(|i| i + 1));
    }
    ends
}

/// A clause as the tree holds it.
pub(super) fn into_version(clause: TimeClause) -> TableVersion {
    let expr = match clause.kind {
        TimeKind::Timestamp => clause.expr,
        TimeKind::Tso => super::build::call(TSO_MARK, clause.expr),
    };
    TableVersion::ForSystemTimeAsOf(expr)
}

/// The time clause that a table of the tree carries. Answers None for versions that we did not put there.
pub fn table_clause(version: &TableVersion) -> Option<TimeClause> {
    let TableVersion::ForSystemTimeAsOf(expr) = version else { return None };
    Some(match super::build::called(expr, TSO_MARK) {
        Some(inner) => TimeClause { kind: TimeKind::Tso, expr: inner.clone() },
        None => TimeClause { kind: TimeKind::Timestamp, expr: expr.clone() },
    })
}

/// Long chains of operators make trees as deep as they are long. AND, OR and UNION are rebalanced afterwards
/// (see [`super::rebalance`]) and may be long; of the others only so many may follow each other as the stack surely holds.
pub(super) fn guard_chains(toks: &[Tok]) -> Result<()> {
    let mut levels = vec![Chain::default()];
    for tok in toks {
        match &tok.token {
            Token::LParen | Token::LBracket | Token::LBrace => levels.push(Chain::default()),
            Token::RParen | Token::RBracket | Token::RBrace => {
                if levels.len() > 1 {
                    levels.pop();
                }
            }
            token => {
                if let Some(chain) = levels.last_mut() {
                    chain.add(token)?;
                }
            }
        }
    }
    Ok(())
}

/// The operators of one parenthesis level since its last comma.
#[derive(Default)]
struct Chain {
    /// AND, OR, UNION.
    loose: usize,
    /// All others since the last of those.
    tight: usize,
    /// BETWEENs that wait for their AND.
    between: usize,
}

impl Chain {
    fn add(&mut self, token: &Token) -> Result<()> {
        if *token == Token::Comma {
            *self = Chain::default();
            return Ok(());
        }
        match keyword(token) {
            Some(Keyword::AND) if self.between > 0 => self.between -= 1,
            Some(Keyword::AND | Keyword::OR | Keyword::UNION) => {
                self.loose += 1;
                self.tight = 0;
            }
            Some(Keyword::BETWEEN) => {
                self.between += 1;
                self.tight += 1;
            }
            Some(Keyword::WHEN | Keyword::THEN | Keyword::ELSE | Keyword::WHERE | Keyword::ON | Keyword::SELECT | Keyword::FROM) => {
                self.tight = 0
            }
            _ if deepens(token) => self.tight += 1,
            _ => {}
        }
        if self.loose > MAX_LOOSE_CHAIN || self.tight > MAX_TIGHT_CHAIN {
            let limit = if self.tight > MAX_TIGHT_CHAIN { MAX_TIGHT_CHAIN } else { MAX_LOOSE_CHAIN };
            return Err(Error::new(Kind::Syntax, format!("the statement chains more than {limit} operators"))
                .with_hint("use IN (..), CONCAT(..) or a join with VALUES instead of a long chain"));
        }
        Ok(())
    }
}

fn keyword(token: &Token) -> Option<Keyword> {
    match token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.keyword),
        _ => None,
    }
}

/// Does this token make the tree one deeper?
fn deepens(token: &Token) -> bool {
    match token {
        Token::Word(w) => matches!(
            w.keyword,
            Keyword::XOR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::SIMILAR
                | Keyword::DIV
                | Keyword::MOD
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::IN
        ),
        Token::SingleQuotedString(_) | Token::Number(..) | Token::Placeholder(_) | Token::Period | Token::HexStringLiteral(_) => false,
        Token::SingleQuotedByteStringLiteral(_) | Token::DoubleQuotedByteStringLiteral(_) => false,
        // Operators of every kind.
        _ => true,
    }
}

/// The tables that a change writes to must have no clause.
pub(super) fn refuse_target_clause(factor: &TableFactor) -> Result<()> {
    match factor {
        TableFactor::Table { name, version: Some(_), .. } => Err(target_error(&Name::of(name))),
        _ => Ok(()),
    }
}

pub(super) fn target_error(name: &Name) -> Error {
    Error::new(Kind::Syntax, format!("'{name}' is changed by the statement and cannot have a time clause; the past is read-only"))
        .with_hint("to undo, write INSERT INTO t SELECT .. FROM t AS OF TIMESTAMP '..'")
}
