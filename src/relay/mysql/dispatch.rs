//! Commands that were held for a decision: each goes on to the upstream as it is, or is answered here.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::client_side::{Undecided, payload};
use super::decide::{Script, TextOwner};
use super::expected::AnswerKind;
use super::local::lend;
use super::pump::ScanTexts;
use super::{Client, Relay};
use crate::error::Error;
use crate::node::ParsePermit;
use crate::session::Parsed;
use crate::sql::Statement;
use crate::upstream::run_with_executor;
use crate::wire::mysql::charset::Charset;
use crate::wire::mysql::codes::{COM_STMT_BULK_EXECUTE, COM_STMT_CLOSE, COM_STMT_EXECUTE, COM_STMT_SEND_LONG_DATA};
use crate::wire::mysql::command::Command;
use crate::wire::mysql::dispatch::{Flow, Served};
use crate::wire::mysql::packet::Encoder;
use crate::wire::mysql::prepared::unknown_statement;
use crate::wire::mysql::result::Refusal;
use crate::wire::{LONG_TEXT, off_relay_thread};

/// What opens an ordinary transaction beside a local one that reads the past.
const BEGIN_READ_ONLY: &[u8] = b"\x03START TRANSACTION READ ONLY";
/// Where a prepared statement's id stands in its commands.
const STATEMENT_ID: std::ops::Range<usize> = 1..5;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Relay<S> {
    /// Answers a held command, or passes it on. False: the connection is over.
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

    /// A local statement on a connection that has none: COM_CHANGE_USER has ended the local session.
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
                    self.run_script(bytes, Script { text: String::new(), statements: several.to_vec(), rest: None }).await
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
            TextOwner::Mixed(script) => self.run_script(bytes, script).await,
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

    /// COM_FIELD_LIST of a table that may be cold.
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

    /// A PREPARE that goes upstream takes the name from a local statement.
    fn forget_prepared(&mut self, text: &[u8]) {
        let Some(served) = self.served() else { return };
        let Ok(text) = served.charset.decode(text) else { return };
        served.session.forget_prepared_in(&text);
    }

    /// The permit to parse local statements in a long text.
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

    /// Runs a local command and sends its answer.
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

    /// Answers a command with an error.
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
