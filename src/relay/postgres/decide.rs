//! Does a statement run at the upstream or here? Asked for the few texts in which the scan has found a name or word of Flashgate.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::error::{Error, Kind};
use crate::node::ParsePermit;
use crate::route::{Scanner, Verdict};
use crate::session::{self, Owner, Parsed};
use crate::sql::scan::{self, Scan};
use crate::sql::{Dialect, Discard, LONG_TEXT, Statement};
use crate::types::fold;
use crate::wire::postgres::connection::Connection;
use crate::wire::postgres::fault::Fault;

/// Who does a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PieceOwner {
    /// The upstream.
    Upstream,
    /// Flashgate.
    Local,
    /// `START TRANSACTION .. AS OF`: a transaction of both.
    OpensBoth,
    /// It clears state that both have, such as DISCARD ALL: the upstream first, and the local session if that succeeds.
    ClearsBoth,
}

/// One statement of a text, or several of the upstream in a row.
#[derive(Debug)]
pub struct Piece {
    pub owner: PieceOwner,
    /// Where it stands in the text.
    pub range: Range<usize>,
    /// The first of its statements.
    pub parsed: Option<Parsed>,
    /// It names tables of both sides, and this is why it cannot be done.
    pub refusal: Option<Fault>,
    /// It ends a transaction.
    pub ends: bool,
    /// It begins or ends a transaction, or a part of one.
    pub control: bool,
    /// The names without a schema by which it is local, where a statement of the upstream's before it may have changed what they
    /// mean: the owner is decided again when it is its turn.
    pub tentative: BTreeSet<String>,
    /// It cannot be read, and this is told if it is local when it is its turn.
    pub unreadable: Option<Fault>,
}

impl Piece {
    fn new(owner: PieceOwner, range: Range<usize>, parsed: Option<Parsed>) -> Piece {
        Piece { owner, range, parsed, refusal: None, ends: false, control: false, tentative: BTreeSet::new(), unreadable: None }
    }
}

/// A text, read.
#[derive(Debug, Default)]
pub struct Script {
    pub pieces: Vec<Piece>,
    /// It begins or ends transactions by itself.
    pub control: bool,
    /// A local statement in it names tables of both sides.
    pub federated: bool,
    /// Its parts are to be run one by one, since it clears names of prepared statements or local cursors.
    pub one_by_one: bool,
    /// It gives or uses names that the upstream has to know of: it is asked before each of those statements.
    pub names: bool,
    /// It names a local cursor.
    pub cursors: bool,
    /// The names without a schema by which it names cold tables, but for those of tentative pieces.
    pub bare: BTreeSet<String>,
    /// How many statements it has, as far as they could be read.
    pub statements: usize,
    /// A local statement in it cannot be parsed.
    pub error: Option<Fault>,
    /// The upstream did not tell what it depends on.
    pub unknown_state: Option<Fault>,
    /// The permit to parse a long text.
    pub room: Option<Arc<ParsePermit>>,
}

impl Script {
    /// All of it is the upstream's.
    pub fn is_upstream(&self) -> bool {
        self.error.is_none() && self.pieces.iter().all(|piece| piece.owner == PieceOwner::Upstream)
    }

    /// Something in it must be answered here, and not only cleared.
    pub fn needs_local(&self) -> bool {
        self.error.is_some()
            || self.one_by_one
            || self.pieces.iter().any(|piece| !matches!(piece.owner, PieceOwner::Upstream | PieceOwner::ClearsBoth))
    }

    /// It ends a transaction.
    pub fn ends(&self) -> bool {
        self.pieces.iter().any(|piece| piece.ends)
    }

    /// The owner of some of its statements is decided when it is their turn.
    pub fn is_tentative(&self) -> bool {
        self.pieces.iter().any(|piece| !piece.tentative.is_empty())
    }

    /// Local statements in it, if any, are so only when nothing before hides the names.
    pub fn may_be_upstream(&self) -> bool {
        self.error.is_none()
            && !self.one_by_one
            && self.pieces.iter().all(|piece| piece.owner == PieceOwner::Upstream || !piece.tentative.is_empty())
    }

    /// Nothing in it concerns the upstream.
    pub fn is_local(&self) -> bool {
        self.pieces.iter().all(|piece| piece.owner == PieceOwner::Local)
    }

    /// All that it wants of the upstream's transaction is names of prepared statements, which are part of none.
    pub fn is_local_but_for_names(&self) -> bool {
        let of_names = |piece: &Piece| match (piece.owner, piece.parsed.as_ref().map(|parsed| &parsed.statement)) {
            (PieceOwner::Local, Some(Statement::DeclareCursor { .. })) => false,
            (PieceOwner::Local, _) | (PieceOwner::ClearsBoth, Some(Statement::Deallocate(_) | Statement::CloseCursor(_))) => true,
            _ => false,
        };
        !self.federated && self.pieces.iter().all(of_names)
    }

    /// A local statement that cannot be read.
    fn unreadable(&mut self, text: &str, piece: session::Piece, error: Error) {
        self.bare.extend(piece.bare);
        if self.error.is_none() {
            self.error = Some(shifted(error, text, piece.range.start));
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
            Some(Err(error)) if piece.claimed && known.may_hide && !piece.bare.is_empty() && hit(own) => {
                self.statements += 1;
                let unreadable = Some(shifted(error, text, piece.range.start));
                self.pieces.push(Piece { tentative: piece.bare, unreadable, ..Piece::new(PieceOwner::Local, piece.range, None) });
                return;
            }
            Some(Err(error)) if piece.claimed && hit(own) && connection.session.claims(own) => {
                self.statements += 1;
                return self.unreadable(text, piece, error);
            }
            // A statement that Flashgate cannot parse is the upstream's, which has statements that Flashgate does not know.
            _ => {
                self.statements += 1;
                known.may_hide = true;
                return self.add(PieceOwner::Upstream, piece.range, None);
            }
        };
        self.statements += 1;
        let control = matches!(
            parsed.statement,
            Statement::Begin(_)
                | Statement::Commit { .. }
                | Statement::Rollback { .. }
                | Statement::Savepoint(_)
                | Statement::RollbackTo(_)
        );
        self.control |= control;
        let ends = matches!(parsed.statement, Statement::Commit { .. } | Statement::Rollback { .. });
        self.cursors |= known.names_cursor(&parsed.statement);
        let tentative = if known.may_hide { connection.session.bare_names_unhidden(&parsed) } else { BTreeSet::new() };
        let (owner, both) = known.owner(&parsed);
        known.follow(owner, &parsed.statement);
        self.names |= owner == PieceOwner::Local
            && matches!(parsed.statement, Statement::Prepare { .. } | Statement::DeclareCursor { .. } | Statement::Fetch { .. });
        if owner == PieceOwner::Local && !tentative.is_empty() {
            self.pieces.push(Piece { tentative, ..Piece::new(owner, piece.range, Some(parsed)) });
            return;
        }
        let refusal = if both { connection.session.check_federated(&parsed).err() } else { None };
        self.federated |= both;
        if owner != PieceOwner::Upstream {
            self.bare.extend(connection.session.bare_names(&parsed));
        }
        self.add(owner, piece.range, Some(parsed));
        if let Some(piece) = self.pieces.last_mut() {
            piece.ends |= ends;
            piece.control |= control;
            piece.refusal = piece.refusal.take().or(refusal.map(Fault::from));
        }
    }

    fn add(&mut self, owner: PieceOwner, range: Range<usize>, parsed: Option<Parsed>) {
        match self.pieces.last_mut() {
            // What stands after the end of a transaction is another one.
            Some(last) if owner == PieceOwner::Upstream && last.owner == PieceOwner::Upstream && !last.ends => last.range.end = range.end,
            _ => self.pieces.push(Piece::new(owner, range, parsed)),
        }
    }
}

/// An error of the statement that begins at this byte of a text.
fn shifted(error: Error, text: &str, start: usize) -> Fault {
    let fault = Fault::from(error);
    let before = text[..start].chars().count();
    Fault { position: fault.position.map(|position| position + before), ..fault }
}

/// Reads a text. `hit`: does a text hold a name or word of Flashgate outside comments and strings? Of a long text only what may be local
/// is parsed.
pub fn read<S: AsyncRead + AsyncWrite + Unpin>(connection: &Connection<S>, text: &str, hit: impl Fn(&str) -> bool) -> Script {
    let mut script = Script::default();
    let session = &connection.session;
    let mut known = Known { connection, statements: Names::default(), cursors: Names::default(), may_hide: false };
    let (mut claimed, mut bare) = (false, BTreeSet::new());
    let ends = session.pieces_unhidden(text, &mut |piece| {
        claimed |= piece.claimed;
        bare.extend(piece.bare.iter().cloned());
        script.piece(&mut known, text, piece, &hit);
        true
    });
    if ends {
        let has_names = !connection.statements.is_empty() || session.cursor_names().next().is_some();
        let clears = |piece: &Piece| piece.parsed.as_ref().is_some_and(|parsed| clears_names(&parsed.statement));
        script.one_by_one = script.statements > 1 && has_names && script.pieces.iter().any(clears);
        return script;
    }
    // Where it ends cannot be told: nothing in it is done.
    let mut script = Script { statements: 1, ..Script::default() };
    if claimed && hit(text) && session.claims(text) {
        let error = Error::new(Kind::Syntax, "a quoted string, name or comment has no end");
        script.unreadable(text, session::Piece { range: 0..text.len(), claimed, reads: true, bare }, error);
    } else {
        script.add(PieceOwner::Upstream, 0..text.len(), None);
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
            // Where the name has become local meanwhile, the upstream's answer would be that of a placeholder.
            | Statement::Execute { .. }
            | Statement::Fetch { .. }
    )
}

/// Names of one kind that a text has given (true: to something local) or taken so far.
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

    /// Is it a local name, which it was or was not before the text?
    fn is_local(&self, name: &str, before: bool) -> bool {
        self.by_text.get(name).copied().unwrap_or(before && !self.cleared)
    }
}

/// The local names that the next statement of a text can use: those of before the text, and what the statements before it
/// do to them. Should one of these fail, the next is not run.
struct Known<'a, S> {
    connection: &'a Connection<S>,
    statements: Names,
    cursors: Names,
    /// A statement of the upstream's stands before the next one, and may have changed what a name without a schema means: by a
    /// search_path, a temporary table, or a function that does either.
    may_hide: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Known<'_, S> {
    fn statement(&self, name: &str) -> bool {
        self.statements.is_local(name, self.connection.statements.contains_key(name))
    }

    /// A portal that Bind has made is known here only; one that DECLARE has made has its name at the upstream too.
    fn portal(&self, name: &str) -> bool {
        !self.cursors.cleared && self.connection.portal_named(name).is_some()
    }

    fn cursor(&self, name: &str) -> bool {
        self.cursors.is_local(name, self.connection.session.has_cursor(name))
    }

    fn names_cursor(&self, statement: &Statement) -> bool {
        match statement {
            Statement::Fetch { name, .. } | Statement::CloseCursor(Some(name)) | Statement::DeclareCursor { name, .. } => {
                self.connection.session.has_cursor(name)
            }
            _ => false,
        }
    }

    /// Who runs a statement, and whether it names tables of both sides.
    fn owner(&self, parsed: &Parsed) -> (PieceOwner, bool) {
        let local_or = |local: bool, owner: PieceOwner| if local { owner } else { PieceOwner::Upstream };
        let by_name = match &parsed.statement {
            Statement::Begin(begin) if begin.as_of.is_some() => PieceOwner::OpensBoth,
            Statement::Discard(_) | Statement::Reset(None) | Statement::Deallocate(None) | Statement::CloseCursor(None) => {
                PieceOwner::ClearsBoth
            }
            // The upstream has the name too.
            Statement::Deallocate(Some(name)) => local_or(self.statement(name), PieceOwner::ClearsBoth),
            Statement::Execute { name, .. } => local_or(self.statement(name), PieceOwner::Local),
            Statement::Explain(explain) if let Statement::Execute { name, .. } = explain.inner.as_ref() => {
                local_or(self.statement(name), PieceOwner::Local)
            }
            Statement::Fetch { name, .. } => local_or(self.portal(name) || self.cursor(name), PieceOwner::Local),
            Statement::CloseCursor(Some(name)) if self.portal(name) => PieceOwner::Local,
            Statement::CloseCursor(Some(name)) => local_or(self.cursor(name), PieceOwner::ClearsBoth),
            _ => {
                let session = &self.connection.session;
                return match if self.may_hide { session.owner_unhidden(parsed) } else { session.owner(parsed) } {
                    Owner::Flashgate => (PieceOwner::Local, false),
                    Owner::Upstream => (PieceOwner::Upstream, false),
                    Owner::Both => (PieceOwner::Local, true),
                };
            }
        };
        (by_name, false)
    }

    /// The statement has been done.
    fn follow(&mut self, owner: PieceOwner, statement: &Statement) {
        let ours = owner == PieceOwner::Local;
        self.may_hide |= match owner {
            PieceOwner::Upstream => !matches!(statement, Statement::Begin(_) | Statement::Savepoint(_)),
            PieceOwner::ClearsBoth => matches!(statement, Statement::Discard(_) | Statement::Reset(_)),
            PieceOwner::Local | PieceOwner::OpensBoth => false,
        };
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
            }
            _ => {}
        }
    }
}

/// Words of statements that concern state kept here, on a connection that has some.
static STATE: LazyLock<Scanner> =
    LazyLock::new(|| Scanner::of(["discard", "reset", "deallocate", "execute", "fetch", "move", "close", "commit", "rollback", "abort"]));

/// May a text concern state that is kept here? END is also a word of CASE: it counts only where a statement may begin.
pub fn concerns_state(dialect: &Dialect, text: &[u8]) -> bool {
    STATE.scan_any(dialect, text) == Verdict::MaybeLocal || has_end(dialect, text)
}

/// Does a statement of the text begin with END?
fn has_end(dialect: &Dialect, text: &[u8]) -> bool {
    let mut begins = true;
    let mut words = Scan::new(dialect, text);
    while let Some(piece) = words.next_word() {
        if begins && text[piece.range()].eq_ignore_ascii_case(b"end") {
            return true;
        }
        begins = piece.kind == scan::Kind::Sign(b';');
    }
    false
}

/// The schemas of a search_path, in order (src/backend/utils/adt/varlena.c, SplitIdentifierString).
pub fn schemas_of(path: &str) -> Vec<String> {
    let (mut schemas, mut name, mut quoted, mut exact) = (Vec::new(), String::new(), false, false);
    for c in path.chars().chain([',']) {
        match c {
            '"' => (quoted, exact) = (!quoted, true),
            ',' if !quoted => {
                let whole = std::mem::take(&mut name);
                schemas.push(if std::mem::take(&mut exact) { whole } else { fold(whole.trim()) });
            }
            c if c.is_whitespace() && exact && !quoted => {}
            c => {
                if name.trim().is_empty() && quoted {
                    name.clear();
                }
                name.push(c);
            }
        }
    }
    schemas.retain(|name| !name.is_empty());
    schemas
}

/// The error of a statement of the upstream after a change of cold tables.
pub fn behind_a_change() -> Fault {
    Fault::error(
        "55000",
        "a pipeline that has changed cold tables cannot go on with a statement of the database: it would not be one transaction",
    )
    .with_hint("send Sync after the change of cold tables, then the rest")
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
        assert!(names.is_local("p", true) && !names.is_local("p", false));
        names.set("p", false);
        assert!(!names.is_local("p", true) && names.is_local("q", true));
        names.set("q", true);
        names.clear();
        assert!(!names.is_local("q", true) && !names.is_local("r", true));
        names.set("q", true);
        assert!(names.is_local("q", false));
    }

    #[test]
    fn a_search_path_is_its_schemas() {
        let cases: [(&str, &[&str]); 6] = [
            ("\"$user\", public", &["$user", "public"]),
            ("public", &["public"]),
            ("", &[]),
            ("\"\"", &[]),
            ("Elsewhere, \"Odd, one\" ,pg_catalog", &["elsewhere", "Odd, one", "pg_catalog"]),
            ("publicity", &["publicity"]),
        ];
        for (path, schemas) in cases {
            assert_eq!(schemas_of(path), schemas, "{path}");
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
