//! Whose statement is it? Asked for the few texts in which the scan has found a word of ours.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use memchr::{memchr, memmem};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{Error, Kind};
use crate::node::ParsePermit;
use crate::route::{Scanner, Verdict};
use crate::session::{self, Owner, Parsed};
use crate::sql::ast::Expr;
use crate::sql::{Dialect, Discard, LONG_TEXT, Scope, Setting, Statement};
use crate::wire::postgres::connection::Connection;
use crate::wire::postgres::fault::Fault;

/// Who does a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The upstream.
    Theirs,
    /// Flashgate.
    Ours,
    /// `START TRANSACTION .. AS OF`: a transaction of both.
    Opens,
    /// It clears state that both have, such as DISCARD ALL: the upstream first, and if it does so, then we.
    Shared,
}

/// One statement of a text, or several of the upstream in a row.
#[derive(Debug)]
pub struct Piece {
    pub whose: Whose,
    /// Where it stands in the text.
    pub range: Range<usize>,
    /// The first of its statements.
    pub parsed: Option<Parsed>,
    /// It names tables of both, and this is why it cannot be done.
    pub refusal: Option<Fault>,
    /// It ends a transaction.
    pub ends: bool,
}

/// A text, read.
#[derive(Debug, Default)]
pub struct Script {
    pub pieces: Vec<Piece>,
    /// It begins or ends transactions by itself.
    pub control: bool,
    /// Something in it is ours and names tables of both.
    pub federated: bool,
    /// Its parts are to be run one by one, since it clears names of prepared statements or cursors of ours.
    pub local_runtime: bool,
    /// It gives or uses names that the upstream has to know of: it is asked before each of those statements.
    pub names: bool,
    /// It names a cursor of ours.
    pub cursors: bool,
    /// The names without a schema by which it names tables of ours.
    pub bare: BTreeSet<String>,
    /// How many statements it has, as far as they could be read.
    pub statements: usize,
    /// It cannot be read, and what cannot be is ours.
    pub error: Option<Fault>,
    /// The upstream did not tell what it depends on.
    pub untold: Option<Fault>,
    /// For what is long and ours in it.
    pub room: Option<Arc<ParsePermit>>,
}

impl Script {
    /// Nothing in it concerns us.
    pub fn is_theirs(&self) -> bool {
        self.error.is_none() && self.pieces.iter().all(|piece| piece.whose == Whose::Theirs)
    }

    /// Something in it must be answered here, and not only cleared.
    pub fn needs_us(&self) -> bool {
        self.error.is_some() || self.local_runtime || self.pieces.iter().any(|piece| !matches!(piece.whose, Whose::Theirs | Whose::Shared))
    }

    /// It ends a transaction.
    pub fn ends(&self) -> bool {
        self.pieces.iter().any(|piece| piece.ends)
    }

    /// Nothing in it concerns the upstream.
    pub fn is_ours(&self) -> bool {
        self.pieces.iter().all(|piece| piece.whose == Whose::Ours)
    }

    /// All that it wants of the upstream's transaction is names of prepared statements, which are part of none.
    pub fn is_ours_but_for_names(&self) -> bool {
        let of_names = |piece: &Piece| match (piece.whose, piece.parsed.as_ref().map(|parsed| &parsed.statement)) {
            (Whose::Ours, Some(Statement::DeclareCursor { .. })) => false,
            (Whose::Ours, _) | (Whose::Shared, Some(Statement::Deallocate(_) | Statement::CloseCursor(_))) => true,
            _ => false,
        };
        !self.federated && self.pieces.iter().all(of_names)
    }

    /// A statement of ours that cannot be read.
    fn unreadable(&mut self, text: &str, piece: session::Piece, error: Error) {
        self.bare.extend(piece.bare);
        if self.error.is_none() {
            let fault = Fault::from(error);
            let before = text[..piece.range.start].chars().count();
            self.error = Some(Fault { position: fault.position.map(|position| position + before), ..fault });
        }
    }

    /// Takes a statement of a text into account.
    fn piece<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        known: &mut Known<'_, S>,
        text: &str,
        piece: session::Piece,
        hit: &impl Fn(&str) -> bool,
    ) {
        let own = &text[piece.range.clone()];
        let connection = known.connection;
        let parsed = match (piece.reads || text.len() <= LONG_TEXT).then(|| connection.session.parse(own)) {
            Some(Ok(mut all)) if all.len() <= 1 => match all.pop() {
                Some(parsed) => parsed,
                None => return,
            },
            Some(Err(error)) if piece.claimed && hit(own) && (piece.bare.is_empty() || !known.hides_bare) => {
                self.statements += 1;
                return self.unreadable(text, piece, error);
            }
            // What we cannot read is the upstream's, which has more statements than we know.
            _ => {
                self.statements += 1;
                return self.add(Whose::Theirs, piece.range, None);
            }
        };
        self.statements += 1;
        self.control |= matches!(
            parsed.statement,
            Statement::Begin(_)
                | Statement::Commit { .. }
                | Statement::Rollback { .. }
                | Statement::Savepoint(_)
                | Statement::RollbackTo(_)
        );
        let ends = matches!(parsed.statement, Statement::Commit { .. } | Statement::Rollback { .. });
        self.cursors |= known.names_cursor(&parsed.statement);
        let (whose, both) = known.whose(&parsed);
        known.follow(whose, &parsed.statement);
        self.names |= whose == Whose::Ours
            && matches!(parsed.statement, Statement::Prepare { .. } | Statement::DeclareCursor { .. } | Statement::Fetch { .. });
        let refusal = if both { connection.session.check_federated(&parsed).err() } else { None };
        self.federated |= both;
        if whose != Whose::Theirs {
            self.bare.extend(connection.session.bare_names(&parsed));
        }
        self.add(whose, piece.range, Some(parsed));
        if let Some(piece) = self.pieces.last_mut() {
            piece.ends |= ends;
            piece.refusal = piece.refusal.take().or(refusal.map(Fault::from));
        }
    }

    fn add(&mut self, whose: Whose, range: Range<usize>, parsed: Option<Parsed>) {
        match self.pieces.last_mut() {
            Some(last) if whose == Whose::Theirs && last.whose == Whose::Theirs => last.range.end = range.end,
            _ => self.pieces.push(Piece { whose, range, parsed, refusal: None, ends: false }),
        }
    }
}

/// Reads a text. `hit`: does a text hold a word of ours outside comments and strings? Of a long text only what may be ours
/// is parsed.
pub fn read<S: AsyncRead + AsyncWrite + Unpin>(connection: &Connection<S>, text: &str, hit: impl Fn(&str) -> bool) -> Script {
    let mut script = Script::default();
    let session = &connection.session;
    let mut known =
        Known { connection, statements: Names::default(), cursors: Names::default(), hides_bare: false, hides_until_commit: false };
    let (mut claimed, mut bare) = (false, BTreeSet::new());
    let ends = session.pieces(text, &mut |piece| {
        claimed |= piece.claimed;
        bare.extend(piece.bare.iter().cloned());
        script.piece(&mut known, text, piece, &hit);
        true
    });
    if ends {
        let has_names = !connection.statements.is_empty() || session.cursor_names().next().is_some();
        let clears = |piece: &Piece| piece.parsed.as_ref().is_some_and(|parsed| clears_names(&parsed.statement));
        script.local_runtime = script.statements > 1 && has_names && script.pieces.iter().any(clears);
        return script;
    }
    // Where it ends cannot be told: nothing in it is done.
    let mut script = Script { statements: 1, ..Script::default() };
    if claimed && hit(text) {
        let error = Error::new(Kind::Syntax, "a quoted string, name or comment has no end");
        script.unreadable(text, session::Piece { range: 0..text.len(), claimed, reads: true, bare }, error);
    } else {
        script.add(Whose::Theirs, 0..text.len(), None);
    }
    script
}

/// Does it clear names, which a rollback does not bring back?
fn clears_names(statement: &Statement) -> bool {
    matches!(statement, Statement::Deallocate(_) | Statement::Discard(_) | Statement::CloseCursor(_))
}

/// Does it change what is kept here, though the upstream does it?
pub fn is_followed(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Discard(_)
            | Statement::Reset(None)
            | Statement::Deallocate(_)
            | Statement::CloseCursor(_)
            // Where the name has become one of ours meanwhile, the upstream's answer would be that of a placeholder.
            | Statement::Execute { .. }
            | Statement::Fetch { .. }
    )
}

/// Names of one kind that a text has given (true: to something of ours) or taken so far.
#[derive(Default)]
struct Names {
    by_text: HashMap<String, bool>,
    /// All that were known before the text are gone.
    cleared: bool,
}

impl Names {
    fn clear(&mut self) {
        self.by_text.clear();
        self.cleared = true;
    }

    fn set(&mut self, name: &str, ours: bool) {
        self.by_text.insert(name.to_owned(), ours);
    }

    /// Is it a name of ours, which it was or was not before the text?
    fn is_ours(&self, name: &str, before: bool) -> bool {
        self.by_text.get(name).copied().unwrap_or(before && !self.cleared)
    }
}

/// The names of ours that the next statement of a text can use: those of before the text, and what the statements before it
/// do to them. Should one of these fail, the next is not run.
struct Known<'a, S> {
    connection: &'a Connection<S>,
    statements: Names,
    cursors: Names,
    /// The text has put other schemas before `public`. What they hold is not asked: names without a schema are the
    /// upstream's from there on, which has a stand-in or an error for those that it has not.
    hides_bare: bool,
    hides_until_commit: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Known<'_, S> {
    fn statement(&self, name: &str) -> bool {
        self.statements.is_ours(name, self.connection.statements.contains_key(name))
    }

    /// A portal that Bind has made is known here only; one that DECLARE has made has its name at the upstream too.
    fn portal(&self, name: &str) -> bool {
        !self.cursors.cleared && self.connection.portal_named(name).is_some()
    }

    fn cursor(&self, name: &str) -> bool {
        self.cursors.is_ours(name, self.connection.session.has_cursor(name))
    }

    fn names_cursor(&self, statement: &Statement) -> bool {
        match statement {
            Statement::Fetch { name, .. } | Statement::CloseCursor(Some(name)) | Statement::DeclareCursor { name, .. } => {
                self.connection.session.has_cursor(name)
            }
            _ => false,
        }
    }

    /// Does a statement name a table without a schema that the text's own search_path finds elsewhere first?
    fn hides(&self, parsed: &Parsed) -> bool {
        self.hides_bare && !self.connection.session.bare_names(parsed).is_empty()
    }

    /// Whose it is, and whether it names tables of both.
    fn whose(&self, parsed: &Parsed) -> (Whose, bool) {
        let ours_or = |ours: bool, whose: Whose| if ours { whose } else { Whose::Theirs };
        let by_name = match &parsed.statement {
            Statement::Begin(begin) if begin.as_of.is_some() => Whose::Opens,
            Statement::Discard(_) | Statement::Reset(None) | Statement::Deallocate(None) | Statement::CloseCursor(None) => Whose::Shared,
            // The upstream has the name too.
            Statement::Deallocate(Some(name)) => ours_or(self.statement(name), Whose::Shared),
            Statement::Execute { name, .. } => ours_or(self.statement(name), Whose::Ours),
            Statement::Explain(explain) if let Statement::Execute { name, .. } = explain.inner.as_ref() => {
                ours_or(self.statement(name), Whose::Ours)
            }
            Statement::Fetch { name, .. } => ours_or(self.portal(name) || self.cursor(name), Whose::Ours),
            Statement::CloseCursor(Some(name)) if self.portal(name) => Whose::Ours,
            Statement::CloseCursor(Some(name)) => ours_or(self.cursor(name), Whose::Shared),
            _ if self.hides(parsed) => Whose::Theirs,
            _ => {
                return match self.connection.session.owner(parsed) {
                    Owner::Flashgate => (Whose::Ours, false),
                    Owner::Upstream => (Whose::Theirs, false),
                    Owner::Both => (Whose::Ours, true),
                };
            }
        };
        (by_name, false)
    }

    /// The statement has been done.
    fn follow(&mut self, whose: Whose, statement: &Statement) {
        let ours = whose == Whose::Ours;
        match statement {
            Statement::Prepare { name, .. } => self.statements.set(name, ours),
            Statement::Deallocate(Some(name)) => self.statements.set(name, false),
            Statement::Deallocate(None) => self.statements.clear(),
            Statement::DeclareCursor { name, .. } => self.cursors.set(name, ours),
            Statement::CloseCursor(Some(name)) => self.cursors.set(name, false),
            Statement::CloseCursor(None) => self.cursors.clear(),
            Statement::Discard(Discard::All) => {
                self.statements.clear();
                self.cursors.clear();
                self.hides_bare = false;
            }
            Statement::Set(settings) => {
                for setting in settings {
                    if let Setting::System { scope, name, values } = setting
                        && name.eq_ignore_ascii_case("search_path")
                    {
                        self.hides_bare = !values.is_empty() && !begins_with_public(values);
                        self.hides_until_commit = *scope == Some(Scope::Local);
                    }
                }
            }
            Statement::Commit { .. } => self.hides_bare &= !self.hides_until_commit,
            Statement::Reset(_) | Statement::Rollback { .. } => self.hides_bare = false,
            _ => {}
        }
    }
}

/// Words of statements that concern state kept here, on a connection that has some.
static STATE: LazyLock<Scanner> =
    LazyLock::new(|| Scanner::new(["discard", "reset", "deallocate", "execute", "fetch", "move", "close", "commit", "rollback", "abort"]));

/// May a text concern state that is kept here? END is also a word of CASE: it counts only where a statement may begin.
pub fn concerns_state(dialect: &Dialect, text: &[u8]) -> bool {
    STATE.scan_any(dialect, text) == Verdict::MaybeOurs || text.split(|byte| *byte == b';').any(begins_with_end)
}

fn begins_with_end(statement: &[u8]) -> bool {
    let mut rest = statement.trim_ascii_start();
    loop {
        let behind = match rest {
            [b'/', b'*', inside @ ..] => memmem::find(inside, b"*/").map(|end| &inside[end + 2..]),
            [b'-', b'-', inside @ ..] => memchr(b'\n', inside).map(|end| &inside[end..]),
            _ => return rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case(b"end")),
        };
        rest = behind.unwrap_or_default().trim_ascii_start();
    }
}

/// Is schema `public`, which is where cold tables are, in a search_path?
pub fn has_public(path: &str) -> bool {
    path.split(',').any(|name| matches!(name.trim(), "public" | "\"public\""))
}

/// Is `public` the first schema of a search_path, but for one of the user's name, which hardly anybody has?
fn begins_with_public(values: &[Expr]) -> bool {
    let name = |value: &Expr| match value {
        Expr::Identifier(ident) => ident.value.clone(),
        Expr::Value(value) => value.value.clone().into_string().unwrap_or_default(),
        other => other.to_string(),
    };
    values.iter().map(name).find(|name| name != "$user").is_some_and(|name| name == "public")
}

/// The error of a statement of the upstream behind a change of cold tables.
pub fn behind_a_change() -> Fault {
    Fault::error(
        "55000",
        "a pipeline that has changed cold tables cannot go on with a statement of the database: it would not be one transaction",
    )
    .with_hint("send Sync behind the change of the cold tables, and what follows after that")
}

/// The error of a statement within a transaction that has failed.
pub fn failed() -> Fault {
    Fault::error("25P02", "current transaction is aborted, commands ignored until end of transaction block")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_the_last_statement_of_the_text_has_made_it() {
        let mut names = Names::default();
        assert!(names.is_ours("p", true) && !names.is_ours("p", false));
        names.set("p", false);
        assert!(!names.is_ours("p", true) && names.is_ours("q", true));
        names.set("q", true);
        names.clear();
        assert!(!names.is_ours("q", true) && !names.is_ours("r", true));
        names.set("q", true);
        assert!(names.is_ours("q", false));
    }

    #[test]
    fn a_search_path_begins_with_public_or_not() {
        let path = |words: &[&str]| words.iter().map(|word| Expr::Identifier((*word).into())).collect::<Vec<_>>();
        for (words, want) in [(&["public"][..], true), (&["$user", "public"], true), (&["elsewhere", "public"], false), (&["$user"], false)]
        {
            assert_eq!(begins_with_public(&path(words)), want, "{words:?}");
        }
    }

    #[test]
    fn a_search_path_has_public_or_not() {
        for (path, has) in
            [("\"$user\", public", true), ("public", true), ("", false), ("elsewhere, pg_catalog", false), ("publicity", false)]
        {
            assert_eq!(has_public(path), has, "{path}");
        }
    }

    #[test]
    fn statements_that_clear_state_are_noticed_anywhere_in_a_text() {
        for text in [
            "DISCARD ALL",
            "select 1; reset all",
            "  End",
            "select 1; /* c */ -- d\n END AND CHAIN",
            "fetch 5 from c",
            "CLOSE ALL; UNLISTEN *",
        ] {
            assert!(concerns_state(&Dialect::POSTGRES, text.as_bytes()), "{text}");
        }
        for text in ["select case when true then 1 end", "select 'discard all'", "update t set a = 1"] {
            assert!(!concerns_state(&Dialect::POSTGRES, text.as_bytes()), "{text}");
        }
    }
}
