//! A command that was looked at: whose is it, and then it is answered.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::capabilities::sends_password;
use super::client_side::{Undecided, payload};
use super::local::lend;
use super::login::{LoginFailure, LoginRequest, authenticate};
use super::own_queries::status_of;
use super::pump::ScanTexts;
use super::text_scan::may_change_escapes;
use super::upstream_side::{AnswerKind, Expected, UpstreamSide};
use super::{Client, Relay};
use crate::error::Error;
use crate::node::ParsePermit;
use crate::session::{self, Owner, Parsed, Session};
use crate::sql::{self, Dialect, PrepareSource, Setting, ShowKind, Statement};
use crate::types::same;
use crate::upstream::run_with_executor;
use crate::wire::mysql::charset::Charset;
use crate::wire::mysql::codes::{COM_STMT_BULK_EXECUTE, COM_STMT_CLOSE, COM_STMT_EXECUTE, COM_STMT_SEND_LONG_DATA};
use crate::wire::mysql::command::Command;
use crate::wire::mysql::dispatch::{Flow, Served};
use crate::wire::mysql::packet::Encoder;
use crate::wire::mysql::prepared::unknown_statement;
use crate::wire::mysql::result::Refusal;
use crate::wire::{LONG_TEXT, off_relay_thread};

/// What opens an ordinary transaction beside one of ours that reads the past.
const BEGIN_READ_ONLY: &[u8] = b"\x03START TRANSACTION READ ONLY";
/// Where a prepared statement's id stands in its commands.
const STATEMENT_ID: std::ops::Range<usize> = 1..5;

/// A text that is answered statement by statement.
pub(super) struct Script {
    pub text: String,
    pub statements: Vec<Parsed>,
    /// What stands behind them, unread; it is the upstream's.
    pub rest: Option<String>,
}

/// Whose a text is.
pub(super) enum TextOwner {
    Upstream,
    Local(Vec<Parsed>),
    /// Statements of both.
    Mixed(Script),
    /// LOCK TABLES of tables of both: the upstream locks its own, and ours need no lock.
    Locks(String),
    /// A listing: the upstream's rows, then ours.
    Listing(Box<Parsed>),
    /// It is ours and cannot be done.
    Refused(Error),
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Relay<S> {
    /// Expected a command that was looked at. False: the connection is over.
    pub(super) async fn decide(&mut self, kind: Undecided, bytes: Vec<u8>) -> io::Result<bool> {
        let packet = Bytes::from(payload(&bytes));
        if bytes.len() > LONG_TEXT || matches!(kind, Undecided::Reset | Undecided::ChangeUser) {
            off_relay_thread().await;
        }
        match kind {
            Undecided::Query => self.query(&bytes, packet).await,
            Undecided::Prepare => self.prepare(&bytes, packet).await,
            Undecided::Statement => {
                // MariaDB's way to execute what was prepared a moment ago.
                let mut packet = packet.to_vec();
                if packet.get(STATEMENT_ID) == Some(&u32::MAX.to_le_bytes()) {
                    let last = self.last_prepared;
                    packet[STATEMENT_ID].copy_from_slice(&last.to_le_bytes());
                }
                if self.served().is_none() {
                    return self.unknown_statement(&bytes, &packet).await;
                }
                if !matches!(packet.first(), Some(&(COM_STMT_EXECUTE | COM_STMT_BULK_EXECUTE))) {
                    // It asks nothing of the session, and leaves what was said last as it is.
                    off_relay_thread().await;
                    return self.answer_silently(&bytes, packet.into()).await;
                }
                let packet = Bytes::from(packet);
                if let Err(refusal) = self.take_over_state_for(Some(&packet)).await? {
                    return self.refuse(&bytes, refusal).await;
                }
                let id = packet.get(STATEMENT_ID).map_or(0, |id| u32::from_le_bytes([id[0], id[1], id[2], id[3]]));
                let parsed = self.served().and_then(|served| served.statements.get(&id)).map(|prepared| prepared.parsed.clone());
                if let Some(one) = &parsed
                    && matches!(one.statement, Statement::StandIn(_))
                    && let Some(goes_on) = self.make_stand_ins(&bytes, one).await?
                {
                    return Ok(goes_on);
                }
                if let Err(refusal) = self.fetch_variables(parsed.as_slice()).await? {
                    return self.refuse(&bytes, refusal).await;
                }
                let goes_on = self.answer(&bytes, packet).await?;
                if goes_on {
                    self.carry_over(parsed.as_slice()).await?;
                }
                Ok(goes_on)
            }
            Undecided::Reset => {
                if let Some(served) = self.served() {
                    served.statements.clear();
                    if let Err(error) = served.session.reset().await {
                        tracing::warn!(%error, "a session was not reset");
                    }
                }
                self.asked_at = None;
                self.pump.forward(&bytes, AnswerKind::One);
                Ok(true)
            }
            Undecided::Kill => {
                let id = match Command::parse(&packet, self.capabilities) {
                    Ok(Command::ProcessKill { id }) => Some(id),
                    _ => None,
                };
                match id.and_then(|id| self.context.node.sessions.running_foreign(id)) {
                    Some(running) => self.kill(&bytes, &running, false).await,
                    None => {
                        self.pump.forward(&bytes, AnswerKind::One);
                        Ok(true)
                    }
                }
            }
            Undecided::FieldList => self.field_list(&bytes, packet).await,
            Undecided::ChangeUser => self.change_user(&bytes, packet).await,
        }
    }

    /// A statement of ours on a connection that has none: COM_CHANGE_USER has taken them.
    async fn unknown_statement(&mut self, bytes: &[u8], packet: &[u8]) -> io::Result<bool> {
        if matches!(packet.first(), Some(&(COM_STMT_CLOSE | COM_STMT_SEND_LONG_DATA))) {
            return Ok(true);
        }
        let id = packet.get(STATEMENT_ID).map_or(0, |id| u32::from_le_bytes([id[0], id[1], id[2], id[3]]));
        self.refuse(bytes, unknown_statement(id, "mysqld_stmt_execute")).await
    }

    async fn query(&mut self, bytes: &[u8], packet: Bytes) -> io::Result<bool> {
        if !self.may_own(&packet[1..]) {
            self.forget_prepared(&packet[1..]);
            self.text_scan.relayed();
            self.pump.forward(bytes, AnswerKind::Results);
            return Ok(true);
        }
        if let Err(refusal) = self.take_over_state_for(Some(&packet)).await? {
            return self.refuse(bytes, refusal).await;
        }
        let _room = match self.parse_permit_for(&packet[1..]).await {
            Ok(room) => room,
            Err(error) => return self.refuse(bytes, error.into()).await,
        };
        match self.owner_of(&packet[1..], true) {
            TextOwner::Upstream => {
                self.forget_prepared(&packet[1..]);
                self.text_scan.relayed();
                self.pump.forward(bytes, AnswerKind::Results);
                Ok(true)
            }
            TextOwner::Local(statements) => match statements.as_slice() {
                [begin] if matches!(begin.statement, Statement::Begin(_)) => self.begin(bytes, begin).await,
                [Parsed { statement: Statement::Kill { query_only, id }, .. }] => self.kill_by_text(bytes, *query_only, id).await,
                several if several.iter().any(|one| matches!(one.statement, Statement::Kill { .. })) => {
                    self.mixed(bytes, Script { text: String::new(), statements: several.to_vec(), rest: None }).await
                }
                statements => {
                    if let [one] = statements
                        && matches!(one.statement, Statement::StandIn(_))
                        && let Some(goes_on) = self.make_stand_ins(bytes, one).await?
                    {
                        return Ok(goes_on);
                    }
                    if let Err(refusal) = self.fetch_variables(statements).await? {
                        return self.refuse(bytes, refusal).await;
                    }
                    let goes_on = self.answer(bytes, packet).await?;
                    if goes_on {
                        self.carry_over(statements).await?;
                    }
                    Ok(goes_on)
                }
            },
            TextOwner::Mixed(pieces) => self.mixed(bytes, pieces).await,
            TextOwner::Locks(text) => {
                let charset = self.served().map_or(Charset::UTF8, |served| served.charset);
                let mut out = Encoder::default();
                out.message(|out| {
                    out.push(3);
                    out.extend_from_slice(&charset.encode(&text));
                });
                self.text_scan.relayed();
                self.pump.forward(&out.bytes, AnswerKind::Results);
                Ok(true)
            }
            TextOwner::Listing(parsed) => self.listing(bytes, &parsed).await,
            TextOwner::Refused(error) => self.refuse(bytes, error.into()).await,
        }
    }

    /// COM_FIELD_LIST of a table that may be ours.
    async fn field_list(&mut self, bytes: &[u8], packet: Bytes) -> io::Result<bool> {
        let name = packet[1..].split(|byte| *byte == 0).next().unwrap_or_default();
        let text = [b"DESCRIBE `", name.to_vec().as_slice(), b"`"].concat();
        if !name.contains(&b'`') && self.may_own(&text) {
            let known = self.take_over_state().await?;
            if known.is_ok() && matches!(self.owner_of(&text, false), TextOwner::Local(_)) {
                return self.answer(bytes, packet).await;
            }
        }
        self.pump.forward(bytes, AnswerKind::Columns);
        Ok(true)
    }

    async fn prepare(&mut self, bytes: &[u8], packet: Bytes) -> io::Result<bool> {
        if !self.may_own(&packet[1..]) {
            self.pump.client_side.last_prepared_is_local = false;
            self.pump.forward(bytes, AnswerKind::Prepared);
            return Ok(true);
        }
        // Until it is prepared, an execution that was sent with it finds nothing: neither here nor there an older one.
        self.last_prepared = 0;
        self.pump.client_side.last_prepared_is_local = true;
        if let Err(refusal) = self.take_over_state().await? {
            return self.refuse(bytes, refusal).await;
        }
        let _room = match self.parse_permit_for(&packet[1..]).await {
            Ok(room) => room,
            Err(error) => return self.refuse(bytes, error.into()).await,
        };
        let local = match self.owner_of(&packet[1..], false) {
            TextOwner::Local(_) => true,
            TextOwner::Upstream | TextOwner::Mixed(..) | TextOwner::Listing(_) | TextOwner::Locks(_) => false,
            TextOwner::Refused(error) => return self.refuse(bytes, error.into()).await,
        };
        self.pump.client_side.last_prepared_is_local = local;
        if local {
            let before = self.served().map(|served| served.last_statement);
            let goes_on = self.answer(bytes, packet).await?;
            let after = self.served().map(|served| served.last_statement).filter(|after| before != Some(*after));
            self.last_prepared = after.unwrap_or(0);
            return Ok(goes_on);
        }
        self.pump.forward(bytes, AnswerKind::Prepared);
        Ok(true)
    }

    /// May the text be ours, as far as can be told without asking the upstream? Its character set and ANSI_QUOTES are
    /// not known yet: a text in which they matter is read either way.
    pub(super) fn may_own(&self, text: &[u8]) -> bool {
        let Ok(text) = std::str::from_utf8(text) else {
            return self.may_own_text(&char_by_byte(text, false)) || self.may_own_text(&char_by_byte(text, true));
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

    /// A PREPARE that goes upstream takes the name from a statement of ours.
    fn forget_prepared(&mut self, text: &[u8]) {
        let Some(served) = self.served() else { return };
        let Ok(text) = served.charset.decode(text) else { return };
        served.session.forget_prepared_in(&text);
    }

    /// ParsePermit to read what is ours in a long text.
    async fn parse_permit_for(&mut self, text: &[u8]) -> Result<Option<Arc<ParsePermit>>, Error> {
        match self.served() {
            Some(served) if text.len() > LONG_TEXT => served.session.parse_permit_for(&served.charset.decode(text)?).await,
            _ => Ok(None),
        }
    }

    pub(super) fn served(&mut self) -> Option<&mut Served<S>> {
        match &mut self.client {
            Client::Served(served) => Some(served),
            _ => None,
        }
    }

    /// Whose is the text? `several`: it may hold more than one statement.
    fn owner_of(&mut self, text: &[u8], several: bool) -> TextOwner {
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
            // Whose those are, or how what follows is read, is known when their turn comes.
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

    /// Runs a command of ours and sends its answer.
    async fn answer(&mut self, bytes: &[u8], packet: Bytes) -> io::Result<bool> {
        self.text_scan.local_answered();
        self.answer_silently(bytes, packet).await
    }

    /// The same for a command that is no statement.
    async fn answer_silently(&mut self, bytes: &[u8], packet: Bytes) -> io::Result<bool> {
        self.pump.routed.local();
        let held = self.pump.take_held();
        let Client::Served(served) = &mut self.client else { return Ok(false) };
        served.connection.out.sequence = last_sequence(bytes).wrapping_add(1);
        served.connection.put_inbox(&held);
        let lent = (&mut self.upstream, self.capabilities, self.pump.upstream_side.expected.status);
        let (mut requests, mut executor, over) = lend(served, lent)?;
        let flow =
            run_with_executor(served.answer_command(packet), executor.serve(&mut requests), over, |flow| !matches!(flow, Ok(Flow::Go)))
                .await?;
        self.pump.upstream_side.expected.stand(executor.status);
        if executor.asked {
            self.asked_at = None;
        }
        served.session.end_upstream_loan();
        let flow = flow?;
        let unused = served.connection.take_inbox();
        let over = flow == Flow::Quit || served.session.closing().is_cancelled();
        self.pump.unread(&unused);
        let unasked = self.upstream.take_inbox();
        self.pump.pass_on(&unasked);
        Ok(!over)
    }

    /// Expected a command with an error.
    pub(super) async fn refuse(&mut self, bytes: &[u8], refusal: Refusal) -> io::Result<bool> {
        self.pump.routed.refused();
        let charset = self.served().map_or(Charset::UTF8, |served| served.results);
        let client = self.client()?;
        client.out.sequence = last_sequence(bytes).wrapping_add(1);
        client.out.message(|out| refusal.put(out, charset));
        client.flush().await?;
        Ok(true)
    }

    /// Opens a transaction that reads cold tables at a time, and an ordinary one at the upstream beside it.
    async fn begin(&mut self, bytes: &[u8], begin: &Parsed) -> io::Result<bool> {
        if let Err(refusal) = self.fetch_variables(std::slice::from_ref(begin)).await? {
            return self.refuse(bytes, refusal).await;
        }
        let Some(served) = self.served() else { return Ok(false) };
        if let Err(error) = served.session.execute(begin, &[]).await {
            return self.refuse(bytes, error.into()).await;
        }
        let mut out = (BEGIN_READ_ONLY.len() as u32).to_le_bytes();
        out[3] = 0;
        self.pump.forward(&[&out, BEGIN_READ_ONLY].concat(), AnswerKind::Results);
        Ok(true)
    }

    /// COM_CHANGE_USER: the upstream authenticates anew; nothing of ours outlives it.
    async fn change_user(&mut self, bytes: &[u8], packet: Bytes) -> io::Result<bool> {
        let change = match Command::parse(&packet, self.capabilities) {
            Ok(Command::ChangeUser(change)) => change,
            _ => return self.refuse(bytes, Refusal::new(1043, "08S01", "Bad handshake: COM_CHANGE_USER cannot be read")).await,
        };
        let plugin = change.plugin.clone();
        if plugin.as_deref().is_some_and(sends_password)
            && change.auth.len() > 1
            && let Err(refusal) = self.security.check_password()
        {
            return self.refuse(bytes, refusal).await;
        }
        // The session of the one who was there before goes with what it held.
        if let Client::Served(_) = &self.client
            && let Client::Served(served) = std::mem::replace(&mut self.client, Client::Moved)
        {
            self.client = Client::Bare(served.into_connection());
        }
        let held = self.pump.take_held();
        let security = self.security;
        self.upstream.out.sequence = 0;
        self.upstream.out.message(|out| out.extend_from_slice(&packet));
        self.upstream.flush().await?;
        let Client::Bare(client) = &mut self.client else { return Ok(false) };
        client.out.sequence = last_sequence(bytes).wrapping_add(1);
        client.put_inbox(&held);
        let claim = LoginRequest { plugin, answer: &change.auth, capabilities: self.capabilities };
        let authenticated = authenticate(client, &mut self.upstream, claim, security).await;
        let unused = client.take_inbox();
        match authenticated {
            Ok(status) => {
                if let Some(collation) = change.collation {
                    self.charset = Charset::of_collation(collation);
                }
                self.user = self.charset.decode(&change.user).map(|name| name.into_owned()).unwrap_or_default();
                self.attributes = change.attributes;
                let mut commands = super::ClientSide::new(self.context.node.config().limits.message_bytes.as_usize());
                std::mem::swap(&mut self.pump.client_side, &mut commands);
                self.pump.upstream_side = UpstreamSide::new(Expected::new(self.capabilities, status));
                self.pump.began.clear();
                self.text_scan = super::TextScan::new(Arc::clone(&self.context.scanner), self.server);
                self.asked_at = None;
                self.pump.unread(&unused);
                let unasked = self.upstream.take_inbox();
                self.pump.pass_on(&unasked);
                Ok(true)
            }
            // Whether the connection goes on is the upstream's to say: MySQL closes it, MariaDB does not.
            Err(LoginFailure::ByUpstream) => {
                self.asked_at = None;
                self.text_scan = super::TextScan::new(Arc::clone(&self.context.scanner), self.server);
                self.pump.unread(&unused);
                Ok(true)
            }
            Err(failure) => {
                super::login::end_failed(client, failure).await?;
                Ok(false)
            }
        }
    }
}

/// A text of an unknown character set, one sign a byte; `pairs`: two bytes may be one character, whose second is no quote.
fn char_by_byte(text: &[u8], pairs: bool) -> String {
    let mut second = false;
    text.iter()
        .map(|byte| {
            let inside = std::mem::take(&mut second);
            second = pairs && !inside && *byte >= 0x80;
            if inside { '\u{80}' } else { char::from(*byte) }
        })
        .collect()
}

/// The sequence number of a message's last packet.
pub(super) fn last_sequence(bytes: &[u8]) -> u8 {
    let mut rest = bytes;
    let mut sequence = 0;
    while let [a, b, c, number, ..] = rest {
        sequence = *number;
        let length = usize::from(*a) | usize::from(*b) << 8 | usize::from(*c) << 16;
        rest = rest.get(4 + length..).unwrap_or_default();
    }
    sequence
}

fn both() -> Error {
    Error::unsupported("a statement that names both cold and hot tables").with_hint("name those of one side in a statement of its own")
}

/// LOCK TABLES without the tables that are ours. mysqldump locks all that SHOW TABLES has listed.
fn hot_locks(session: &Session, text: &str) -> Option<String> {
    const WORDS: &str = "lock tables";
    let at = text.to_ascii_lowercase().find(WORDS)? + WORDS.len();
    let mut quoted = false;
    let pieces = text[at..].split(|c| {
        quoted ^= c == '`';
        c == ',' && !quoted
    });
    let hot: Vec<&str> = pieces
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

/// What of a text stands behind its first `read` statements.
pub(super) fn unread(session: &Session, text: &str, read: usize) -> Option<String> {
    let rest = sql::behind(&session.dialect(), text, read)?.trim_matches(|c: char| c == ';' || c.is_whitespace());
    (!rest.is_empty()).then(|| rest.to_owned())
}

/// May what follows it be read in another way?
pub(super) fn sets_mode(parsed: &Parsed) -> bool {
    let is_mode = |setting: &Setting| matches!(setting, Setting::System { name, .. } if same(name, "sql_mode"));
    matches!(&parsed.statement, Statement::Set(settings) if settings.iter().any(is_mode))
}

/// May a name mean another table behind a statement of the text than before it?
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
            let text = parsed.text.to_ascii_lowercase();
            !text.contains("from")
                && ["found_rows()", "row_count()", "@@warning_count", "@@error_count"].iter().any(|word| text.contains(word))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_packet_of_a_message_gives_the_number_of_the_answer() {
        assert_eq!(last_sequence(&[1, 0, 0, 0, 3]), 0);
        assert_eq!(last_sequence(&[1, 0, 0, 0, 3, 1, 0, 0, 1, 9]), 1);
        assert_eq!(last_sequence(&[]), 0);
    }
}
