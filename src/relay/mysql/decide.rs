//! Who answers a text: the upstream, Flashgate, or both. Asked for the few texts in which the scan has found a name or word of
//! Flashgate.

use tokio::io::{AsyncRead, AsyncWrite};

use super::own_queries::status_of;
use super::text_scan::may_change_escapes;
use super::{Client, Relay};
use crate::error::Error;
use crate::session::{self, Owner, Parsed, Session};
use crate::sql::scan::{Kind, Scan};
use crate::sql::{self, Characters, Dialect, PrepareSource, Setting, ShowKind, Statement};
use crate::types::same;
use crate::wire::LONG_TEXT;

/// A text that is answered statement by statement.
pub(super) struct Script {
    pub text: String,
    pub statements: Vec<Parsed>,
    /// What stands after them, unread; it is the upstream's.
    pub rest: Option<String>,
}

/// Who answers a text.
pub(super) enum TextOwner {
    Upstream,
    Local(Vec<Parsed>),
    /// Statements of both.
    Mixed(Script),
    /// LOCK TABLES of tables of both: the upstream locks its own, and cold tables need none.
    Locks(String),
    /// A listing: the upstream's rows, then the local rows.
    Listing(Box<Parsed>),
    /// A local statement that cannot be run.
    Refused(Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Relay<S> {
    /// May the text hold a local statement, as far as can be told without asking the upstream? Its character set and ANSI_QUOTES are
    /// not known yet: a text in which they matter is read either way.
    pub(super) fn may_own(&self, text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else {
            let others = [Characters::Plain].into_iter().chain(Characters::OTHERS);
            return others.into_iter().any(|characters| self.may_own_text(&characters.sign_by_sign(text)));
        };
        self.may_own_text(text)
    }

    fn may_own_text(&self, text: &str) -> bool {
        let answered_last = self.text_scan.answered_last();
        let server = self.server;
        if answered_last
            && text.len() <= LONG_TEXT
            && sql::parse(&Dialect { server, ..Dialect::MYSQL }, text).is_ok_and(|all| all.first().is_some_and(is_about_the_last))
        {
            return true;
        }
        let session = match &self.client {
            Client::Served(served) => Some(&served.session),
            _ => None,
        };
        let no_backslash_escapes = status_of(self.pump.upstream_side.expected.status).no_backslash_escapes;
        let dialect = |ansi_quotes, no_backslash_escapes| Dialect { no_backslash_escapes, ansi_quotes, server, ..Dialect::MYSQL };
        let node = &self.context.node;
        let may_own = |no_backslash_escapes| {
            session::may_own(node, session, &dialect(false, no_backslash_escapes), text)
                || (text.contains('"') && session::may_own(node, session, &dialect(true, no_backslash_escapes), text))
        };
        may_own(no_backslash_escapes) || (may_change_escapes(text.as_bytes()) && may_own(!no_backslash_escapes))
    }

    /// Who answers the text? `several`: it may hold more than one statement.
    pub(super) fn owner_of(&mut self, text: &[u8], several: bool) -> TextOwner {
        let answered_last = self.text_scan.answered_last();
        let Some(served) = self.served() else { return TextOwner::Upstream };
        let text = match served.charset.decode(text) {
            Ok(text) => text,
            Err(error) => return TextOwner::Refused(error),
        };
        let session = &served.session;
        let (statements, broken) = session.statements(&text);
        let several_here = statements.len() > 1 || broken.is_some();
        let in_turn = statements.iter().any(is_told_by_upstream) || several_here && statements.iter().any(sets_mode);
        if several && in_turn && (served.multi_statements || !several_here) {
            // Who answers those, or how what follows is read, is known when their turn comes.
            let text = text.into_owned();
            return match broken {
                Some(error) if !statements.iter().any(sets_mode) => TextOwner::Refused(error),
                _ => {
                    let rest = unread(session, &text, statements.len());
                    TextOwner::Mixed(Script { text, statements, rest })
                }
            };
        }
        let mut owners = Vec::with_capacity(statements.len());
        for parsed in &statements {
            match session.owner(parsed) {
                Owner::Both if is_listing(parsed) && several_here => owners.push(false),
                Owner::Both if is_listing(parsed) => return TextOwner::Listing(Box::new(parsed.clone())),
                Owner::Both if !several_here && matches!(parsed.statement, Statement::LockTables(_)) => {
                    return hot_locks(session, &parsed.text).map_or_else(|| TextOwner::Refused(both()), TextOwner::Locks);
                }
                Owner::Both => match session.check_federated(parsed) {
                    Ok(()) => owners.push(true),
                    Err(error) => return TextOwner::Refused(error),
                },
                Owner::Flashgate => owners.push(true),
                Owner::Upstream => owners.push(answered_last && owners.is_empty() && is_about_the_last(parsed)),
            }
        }
        let ours = owners.iter().filter(|ours| **ours).count();
        match broken {
            Some(_) if ours == statements.len() => TextOwner::Local(statements),
            Some(error) => TextOwner::Refused(error),
            None if ours == 0 && !(several && served.multi_statements && changes_database(&statements)) => TextOwner::Upstream,
            None if ours == statements.len() => TextOwner::Local(statements),
            None if several && served.multi_statements => TextOwner::Mixed(Script { text: text.into_owned(), statements, rest: None }),
            None => TextOwner::Upstream,
        }
    }
}

fn both() -> Error {
    Error::unsupported("a statement that names both cold and hot tables").with_hint("name those of one side in a statement of its own")
}

/// LOCK TABLES without the cold tables. mysqldump locks all that SHOW TABLES has listed.
fn hot_locks(session: &Session, text: &str) -> Option<String> {
    let dialect = session.dialect();
    let mut pieces = Scan::new(&dialect, text.as_bytes()).filter(|piece| !piece.is_blank());
    // LOCK, and TABLE or TABLES.
    pieces.next()?;
    let mut from = pieces.next()?.end;
    let mut locks = Vec::new();
    for comma in pieces.filter(|piece| piece.kind == Kind::Sign(b',')) {
        locks.push(&text[from..comma.start]);
        from = comma.end;
    }
    locks.push(&text[from..]);
    let hot: Vec<&str> = locks
        .into_iter()
        .filter(|piece| {
            let one = session.parse(&format!("LOCK TABLES {piece}"));
            !one.is_ok_and(|one| one.first().is_some_and(|parsed| session.owner(parsed) == Owner::Flashgate))
        })
        .collect();
    Some(format!("LOCK TABLES {}", hot.join(",")))
}

/// Is it a PREPARE or EXECUTE IMMEDIATE of a text that only the upstream knows?
fn is_told_by_upstream(parsed: &Parsed) -> bool {
    matches!(
        &parsed.statement,
        Statement::Prepare { source: PrepareSource::Variable(_) | PrepareSource::Expr { .. }, .. }
            | Statement::ExecuteImmediate { source: PrepareSource::Variable(_) | PrepareSource::Expr { .. }, .. }
    )
}

/// What of a text stands after its first `read` statements.
pub(super) fn unread(session: &Session, text: &str, read: usize) -> Option<String> {
    let rest = sql::behind(&session.dialect(), text, read)?.trim_matches(|c: char| c == ';' || c.is_whitespace());
    (!rest.is_empty()).then(|| rest.to_owned())
}

/// May what follows it be read in another way?
pub(super) fn sets_mode(parsed: &Parsed) -> bool {
    let is_mode = |setting: &Setting| matches!(setting, Setting::System { name, .. } if same(name, "sql_mode"));
    matches!(&parsed.statement, Statement::Set(settings) if settings.iter().any(is_mode))
}

/// May a name mean another table after a statement of the text than before it?
fn changes_database(statements: &[Parsed]) -> bool {
    statements.iter().any(|parsed| matches!(parsed.statement, Statement::Use(_)))
}

pub(super) fn is_listing(parsed: &Parsed) -> bool {
    matches!(&parsed.statement, Statement::Show(show) if matches!(show.kind, ShowKind::Tables { .. } | ShowKind::TableStatus { .. }))
}

/// SHOW WARNINGS and its like, and SELECT of FOUND_ROWS(), @@warning_count and the like.
pub(super) fn is_about_the_last(parsed: &Parsed) -> bool {
    match &parsed.statement {
        Statement::Show(show) => {
            matches!(show.kind, ShowKind::Warnings { .. } | ShowKind::Errors { .. } | ShowKind::CountWarnings | ShowKind::CountErrors)
        }
        Statement::Query(_) => {
            // The values of the statement before, and no table.
            const VALUES: [&str; 4] = ["found_rows", "row_count", "warning_count", "error_count"];
            let words = Scan::new(&Dialect::MYSQL, parsed.text.as_bytes()).filter(|piece| piece.kind == Kind::Word);
            let mut words = words.map(|piece| &parsed.text[piece.range()]);
            !words.clone().any(|word| word.eq_ignore_ascii_case("from"))
                && words.any(|word| VALUES.iter().any(|value| value.eq_ignore_ascii_case(word)))
        }
        _ => false,
    }
}
