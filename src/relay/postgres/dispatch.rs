//! Texts that were stopped: each goes on to the upstream as it is, or is answered here, whole or in pieces.
//!
//! What is answered here waits until the upstream has answered everything before it. An error of ours fails the
//! upstream's transaction too, as it would have there.

use std::ops::Range;

use bytes::{BufMut, BytesMut};
use datafusion::scalar::ScalarValue;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::cursors::quoted;
use super::decide::{self, Piece, PieceOwner, Script};
use super::expected::Suppress;
use super::own_queries::Speculative;
use crate::route::Verdict;
use crate::session::{HiddenNames, Owner, Parsed};
use crate::sql::{Discard, Statement};
use crate::wire::postgres::extended::hints;
use crate::wire::postgres::fault::{Fault, Severity, Step, Stop, encode_notice};
use crate::wire::postgres::simple::moved;
use crate::wire::{LONG_TEXT, off_relay_thread};

/// What stands for `START TRANSACTION .. AS OF` at the upstream.
pub(super) const OPENS: &str = "START TRANSACTION READ ONLY";

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Decides on the message at the front of the client's input, and on those behind it that have come already.
    pub(super) async fn decide(&mut self, length: usize) -> Step<()> {
        let mut next = Some(length);
        while let Some(length) = next {
            if length > LONG_TEXT {
                off_relay_thread().await;
            }
            match self.pump.client.input[0] {
                b'Q' => self.query(length).await?,
                b'S' | b'F' => self.sync(length).await?,
                b'P' => self.parse(length).await?,
                _ => self.named(length).await?,
            }
            next = self.pump.next_decision();
        }
        Ok(())
    }

    async fn query(&mut self, length: usize) -> Step<()> {
        let text = match self.pump.client.input[5..length].split_last() {
            Some((0, text)) if !text.contains(&0) => std::str::from_utf8(text).ok().map(str::to_owned),
            _ => None,
        };
        self.end_pipeline().await?;
        let Some(text) = text else {
            self.pump.pass(length);
            return Ok(());
        };
        let (mut script, waits) = self.read(&text, None).await?;
        if !waits || !script.needs_local() {
            self.pump.client_side.names.forget_unnamed();
            if let Some(local) = &mut self.local {
                local.transaction_ended |= script.ends();
            }
            if waits && !script.is_upstream() {
                return self.pass_shared(length, &script).await;
            }
            self.pump.pass(length);
            return Ok(());
        }
        self.pump.take(length);
        self.pump.client_side.names.forget_unnamed();
        let refusal = script.unknown_state.take().or_else(|| script.pieces.iter().find_map(|piece| piece.refusal.clone()));
        if refusal.is_some() {
            self.routed.refused()
        } else if !script.may_be_upstream() {
            self.routed.local()
        }
        let done = match refusal {
            Some(refusal) => Err(refusal.into()),
            None => self.run_script(&text, script).await,
        };
        if let Err(stop) = done {
            let fault = self.error_of(stop)?;
            self.send_error(&fault).await?;
            if self.pump.upstream_side.status == b'T' {
                self.fail_upstream(false).await?;
            }
        }
        let mut out = BytesMut::new();
        if let Some(local) = &mut self.local {
            local.connection.session.drain_notices().iter().for_each(|notice| encode_notice(notice, &mut out));
        }
        self.pump.upstream_side.tell_settings(&mut out);
        out.put_slice(&[b'Z', 0, 0, 0, 5, self.pump.upstream_side.status]);
        self.send_to_client(&out);
        Ok(())
    }

    /// Passes a text on that clears state, and clears ours too if the upstream has done so.
    async fn pass_shared(&mut self, length: usize, script: &Script) -> Step<()> {
        self.await_answers(true).await?;
        let errors = self.pump.upstream_side.errors;
        self.pump.pass(length);
        self.await_answers(true).await?;
        if self.pump.upstream_side.errors == errors {
            for piece in script.pieces.iter().filter(|piece| piece.owner == PieceOwner::ClearsBoth) {
                if let Some(parsed) = &piece.parsed {
                    self.clear(parsed).await?;
                }
            }
        }
        Ok(())
    }

    /// Reads a text. When something in it is ours the upstream has then answered everything before it; false: it is the
    /// upstream's all the same, since a COPY that takes data takes this too, and after an error all is passed over.
    /// `types`: it is to be prepared, and these are the types of its parameters that the client has named.
    pub(super) async fn read(&mut self, text: &str, types: Option<&[u32]>) -> Step<(Script, bool)> {
        // How a backslash before a quote is read may depend on what is not answered yet.
        if text.contains("\\'") && !self.pump.upstream_side.expected.is_empty() && !self.await_answers(false).await? {
            return Ok((Script::default(), false));
        }
        let scanner = self.context.scanner.scanner();
        let dialect = self.pump.upstream_side.dialect();
        let hit = |text: &str| scanner.scan_any(&dialect, text.as_bytes()) == Verdict::MaybeOurs;
        let local = self.local().await?;
        local.connection.session.take_over_strings(dialect.no_backslash_escapes);
        local.connection.session.hide_names(HiddenNames::None);
        local.connection.session.forget_planned_ahead();
        let room = local.connection.session.parse_permit_for(text).await;
        let mut script = match room {
            Ok(room) => Script { room, ..decide::read(&local.connection, text, hit) },
            Err(error) => Script { error: Some(error.into()), ..Script::default() },
        };
        if script.is_upstream() || !script.needs_local() {
            return Ok((script, true));
        }
        if !self.await_answers(false).await? || self.pump.upstream_side.expected.is_skipping() {
            return Ok((script, false));
        }
        let next = match script.pieces.as_slice() {
            [Piece { owner: PieceOwner::Local, parsed: Some(parsed), refusal: None, .. }]
                if script.statements == 1 && matches!(parsed.statement, Statement::Query(_)) =>
            {
                Some(match types {
                    Some(oids) => Speculative::Prepare(parsed.clone(), hints(oids, parsed.params)),
                    None => Speculative::Run(parsed.clone(), Vec::new()),
                })
            }
            _ => None,
        };
        if script.may_be_upstream() && !script.cursors {
            // AskedState when it is the turn of what may be ours.
            return Ok((script, true));
        }
        if let Err(stop) = self.take_over_state_asking(false, &script.bare, next).await {
            script.unknown_state = Some(self.error_of(stop)?);
            return Ok((script, true));
        }
        if script.cursors {
            match self.forget_ended_cursors().await {
                Ok(false) => {}
                Ok(true) => {
                    let local = self.local().await?;
                    script = Script { room: script.room, ..decide::read(&local.connection, text, hit) };
                }
                Err(stop) => {
                    script.unknown_state = Some(self.error_of(stop)?);
                    return Ok((script, true));
                }
            }
        }
        // Only now it is known what a name without a schema means.
        let hidden = self.hidden_names(&script.bare);
        if hidden == HiddenNames::None {
            return Ok((script, true));
        }
        let local = self.local().await?;
        local.connection.session.hide_names(hidden);
        Ok((Script { room: script.room, ..decide::read(&local.connection, text, hit) }, true))
    }

    /// Runs a text of which something is ours. Outside a transaction its statements are one, as they are at the upstream.
    async fn run_script(&mut self, text: &str, mut script: Script) -> Step<()> {
        if let Some(error) = script.error.take() {
            return Err(if self.pump.upstream_side.status == b'E' { decide::failed() } else { error }.into());
        }
        if let [Piece { owner: PieceOwner::Local, parsed: Some(parsed), .. }] = script.pieces.as_slice()
            && matches!(parsed.statement, Statement::StandIn(_))
            && script.statements == 1
        {
            if self.pump.upstream_side.status == b'E' {
                return Err(decide::failed().into());
            }
            self.check_encoding()?;
            if !self.make_stand_ins(parsed, false).await? {
                return Ok(());
            }
        }
        self.run_pieces(text, &script).await
    }

    async fn run_pieces(&mut self, text: &str, script: &Script) -> Step<()> {
        // What goes to the upstream of several statements is to be one transaction there.
        if script.is_local() && !script.names && !(script.federated && script.statements > 1) {
            return self.run_local(text, None, Enclosing::Nothing).await;
        }
        let alone = script.statements == 1 || script.control || self.pump.upstream_side.status != b'I';
        if !alone && script.is_local_but_for_names() {
            return self.run_with_names(text, script).await;
        }
        let mut block = !alone;
        if block && !self.command("BEGIN", Suppress::AllButErrors).await? {
            return Ok(());
        }
        // What stands before the first BEGIN of a text, or behind a COMMIT in it, is one transaction as well.
        let in_parts = script.control && script.is_tentative();
        self.pump.upstream_side.hold_settings();
        let mut outcome = Ok(true);
        let mut left_open = false;
        for (at, piece) in script.pieces.iter().enumerate() {
            let more = at + 1 < script.pieces.len();
            if in_parts && more && !block && self.pump.upstream_side.status == b'I' && piece.owner == PieceOwner::Upstream && !piece.control
            {
                if !self.command("BEGIN", Suppress::AllButErrors).await? {
                    return Ok(());
                }
                block = true;
            }
            outcome = self.run_piece(text, piece, if block { Enclosing::UpstreamTransaction } else { Enclosing::Nothing }).await;
            if let Some(local) = &mut self.local {
                local.transaction_ended |= piece.ends;
            }
            if !matches!(outcome, Ok(true)) {
                // It may have become the client's before the error.
                left_open = piece.control && !piece.ends;
                break;
            }
            // From here on the transaction is the client's, or there is none.
            block &= !piece.control;
        }
        if block && !left_open && self.pump.upstream_side.status != b'I' {
            let done = matches!(outcome, Ok(true));
            if matches!(&outcome, Ok(_) | Err(Stop::Fault(_))) {
                let suppress = if done { Suppress::AllButErrors } else { Suppress::Everything };
                self.command(if done { "COMMIT" } else { "ROLLBACK" }, suppress).await?;
            }
        }
        outcome.map(|_| ())
    }

    /// Runs a text whose statements are a transaction of ours: the upstream does its part of names by itself.
    async fn run_with_names(&mut self, text: &str, script: &Script) -> Step<()> {
        self.local().await?.connection.session.begin_implicit().await;
        let mut outcome = Ok(true);
        for (at, piece) in script.pieces.iter().enumerate() {
            let last = at + 1 == script.pieces.len();
            outcome = match (piece.owner, &piece.parsed) {
                (PieceOwner::ClearsBoth, Some(parsed)) => self.clear_within(&text[piece.range.clone()], parsed, last).await,
                _ => self.run_piece(text, piece, if last { Enclosing::LastOfLocalTransaction } else { Enclosing::LocalTransaction }).await,
            };
            if !matches!(outcome, Ok(true)) {
                break;
            }
        }
        if !matches!(outcome, Ok(true)) {
            off_relay_thread().await;
            // The error at hand is the one to tell.
            let _ = self.local().await?.connection.session.end_implicit(false).await;
        }
        outcome.map(|_| ())
    }

    /// DEALLOCATE or CLOSE within a transaction of ours, with which it ends if it is the `last`.
    async fn clear_within(&mut self, text: &str, parsed: &Parsed, last: bool) -> Step<bool> {
        if !self.command(text, Suppress::AllButErrors).await? {
            return Ok(false);
        }
        self.clear(parsed).await?;
        let tag = match &parsed.statement {
            Statement::Deallocate(None) => "DEALLOCATE ALL",
            Statement::CloseCursor(None) => "CLOSE CURSOR ALL",
            statement => statement.verb(),
        };
        self.with_client(false, async |connection| {
            if last {
                connection.session.end_implicit(true).await?;
            }
            connection.complete(tag.to_owned());
            Ok(())
        })
        .await??;
        Ok(true)
    }

    /// False: the upstream has told the client of an error.
    async fn run_piece(&mut self, text: &str, piece: &Piece, enclosing: Enclosing) -> Step<bool> {
        if !piece.tentative.is_empty() {
            return self.run_tentative(text, piece, enclosing).await;
        }
        match (piece.owner, &piece.parsed) {
            (PieceOwner::Local, Some(parsed)) if !self.names_theirs(parsed) => {
                let done = self.run_named(&text[piece.range.clone()], parsed, enclosing).await;
                done.map_err(|stop| moved(stop, text, piece.range.start))
            }
            (PieceOwner::OpensBoth, Some(parsed)) => {
                self.open_transaction(parsed, &[]).await?;
                self.relay_piece(OPENS, 0..OPENS.len()).await
            }
            (PieceOwner::ClearsBoth, Some(parsed)) => {
                let done = self.relay_piece(text, piece.range.clone()).await?;
                if done {
                    self.clear(parsed).await?;
                }
                Ok(done)
            }
            _ => self.relay_piece(text, piece.range.clone()).await,
        }
    }

    /// Runs a statement whose names may have got another meaning by the statements before it: now the upstream can tell.
    async fn run_tentative(&mut self, text: &str, piece: &Piece, enclosing: Enclosing) -> Step<bool> {
        let own = &text[piece.range.clone()];
        if self.pump.upstream_side.status == b'E' {
            return self.relay_piece(text, piece.range.clone()).await;
        }
        self.take_over_state_asking(enclosing == Enclosing::UpstreamTransaction, &piece.tentative, None).await?;
        let hidden = self.hidden_names(&piece.tentative);
        let session = &mut self.local().await?.connection.session;
        let before = session.hide_names(hidden);
        let owner = match &piece.parsed {
            Some(parsed) => session.owner(parsed),
            None if session.claims(own) => Owner::Flashgate,
            None => Owner::Upstream,
        };
        let refusal = match &piece.parsed {
            None => piece.unreadable.clone(),
            Some(parsed) if owner == Owner::Both => session.check_federated(parsed).err().map(Fault::from),
            Some(_) => None,
        };
        let done = match (owner, refusal, &piece.parsed) {
            (Owner::Upstream, ..) => self.relay_piece(text, piece.range.clone()).await,
            (_, Some(refusal), _) => Err(refusal.into()),
            (_, None, Some(parsed)) => {
                self.routed.local();
                self.run_named(own, parsed, enclosing).await.map_err(|stop| moved(stop, text, piece.range.start))
            }
            (_, None, None) => Ok(true),
        };
        if let Some(local) = &mut self.local {
            local.connection.session.hide_names(before);
        }
        done
    }

    /// Does it use a name that was to be one of ours, and that a statement before it has given to something of the upstream's?
    fn names_theirs(&self, parsed: &Parsed) -> bool {
        let Some(local) = &self.local else { return false };
        let connection = &local.connection;
        match &parsed.statement {
            Statement::Execute { name, .. } => !connection.statements.contains_key(name),
            Statement::Explain(explain) if let Statement::Execute { name, .. } = explain.inner.as_ref() => {
                !connection.statements.contains_key(name)
            }
            Statement::Fetch { name, .. } | Statement::CloseCursor(Some(name)) => {
                !connection.session.has_cursor(name) && connection.portal_named(name).is_none()
            }
            _ => false,
        }
    }

    /// Runs a statement of ours, of whose name the upstream knows as well. False: it has told the client of an error.
    async fn run_named(&mut self, text: &str, parsed: &Parsed, enclosing: Enclosing) -> Step<bool> {
        let named = matches!(parsed.statement, Statement::Prepare { .. } | Statement::DeclareCursor { .. } | Statement::Fetch { .. });
        if named && self.pump.upstream_side.status == b'E' {
            return Err(decide::failed().into());
        }
        match &parsed.statement {
            Statement::Prepare { name, .. } => {
                if !self.reserve(name.as_bytes(), None).await? {
                    return Ok(false);
                }
                let done = self.run_local(text, Some(parsed), enclosing).await;
                if self.local.as_ref().is_some_and(|local| !local.connection.statements.contains_key(name)) {
                    self.release(name.as_bytes()).await?;
                }
                done?;
            }
            Statement::DeclareCursor { name, hold, .. } => {
                if !self.reserve_cursor(name, *hold, false).await? {
                    return Ok(false);
                }
                let done = self.run_local(text, Some(parsed), enclosing).await;
                self.cursor_declared(name);
                if matches!(done, Err(Stop::Fault(_))) && self.pump.upstream_side.status == b'I' {
                    // One that is held outlives the error, outside of a transaction.
                    self.command(&format!("CLOSE {}", quoted(name)), Suppress::Everything).await?;
                }
                done?;
            }
            Statement::Fetch { .. } => {
                self.forget_ended_cursors().await?;
                self.run_local(text, Some(parsed), enclosing).await?;
            }
            _ => self.run_local(text, Some(parsed), enclosing).await?,
        }
        Ok(true)
    }

    /// Lets the upstream run a part of a text. The client sees it as an answer to the whole text.
    async fn relay_piece(&mut self, text: &str, range: Range<usize>) -> Step<bool> {
        self.pump.client_side.relayed += 1;
        let before = text[..range.start].chars().count();
        self.command(&text[range], Suppress::Part { before }).await
    }

    /// Runs statements of ours: one, or all of a text.
    async fn run_local(&mut self, text: &str, one: Option<&Parsed>, enclosing: Enclosing) -> Step<()> {
        if self.pump.upstream_side.status == b'E' {
            return Err(decide::failed().into());
        }
        self.check_encoding()?;
        self.take_over_state(enclosing == Enclosing::UpstreamTransaction).await?;
        self.with_client(false, async |connection| match one {
            Some(parsed) => {
                let tag = connection.run_statement(parsed).await?;
                if enclosing == Enclosing::LastOfLocalTransaction {
                    // Committed before its tag says that it is done.
                    connection.session.end_implicit(true).await?;
                }
                connection.complete(tag);
                Ok(())
            }
            None => connection.script(text).await,
        })
        .await?
    }

    /// `START TRANSACTION .. AS OF`: our half.
    pub(super) async fn open_transaction(&mut self, parsed: &Parsed, params: &[ScalarValue]) -> Step<()> {
        if self.pump.upstream_side.status == b'E' {
            return Err(decide::failed().into());
        }
        self.take_over_state(false).await?;
        self.local().await?.connection.session.execute(parsed, params).await?;
        Ok(())
    }

    /// Clears our half of the state that a statement has cleared at the upstream.
    pub(super) async fn clear(&mut self, parsed: &Parsed) -> Step<()> {
        let names = &mut self.pump.client_side.names;
        let Some(local) = self.local.as_deref_mut() else { return Ok(()) };
        off_relay_thread().await;
        let connection = &mut local.connection;
        connection.deallocate(&parsed.statement);
        match &parsed.statement {
            Statement::Deallocate(Some(name)) => drop(local.followed.statements.remove(name.as_bytes())),
            Statement::Deallocate(None) | Statement::Discard(Discard::All) => local.followed.statements.clear(),
            Statement::CloseCursor(None) => connection.portals.clear(),
            Statement::CloseCursor(Some(name)) => {
                names.portals.remove(name.as_bytes());
                names.held.remove(name.as_bytes());
            }
            _ => {}
        }
        match &parsed.statement {
            Statement::CloseCursor(Some(name)) => {
                local.cursors.open.remove(name);
            }
            Statement::CloseCursor(None) | Statement::Discard(Discard::All) => {
                local.cursors.open.clear();
                let local_only = |name: &Vec<u8>| connection.portals.keys().any(|known| known.as_bytes() == &name[..]);
                let followed = &local.followed.portals;
                names.portals.retain(|name| local_only(name) || followed.contains_key(name));
                names.held.clear();
            }
            _ => {}
        }
        // Nothing of it is told to the client, whose answer is the upstream's.
        if !matches!(parsed.statement, Statement::Deallocate(Some(_)))
            && let Err(error) = connection.session.execute(parsed, &[]).await
        {
            tracing::debug!(%error, "state was not cleared");
        }
        connection.session.drain_notices();
        let known = |name: &Vec<u8>| {
            local.followed.statements.contains_key(name) || local.connection.statements.keys().any(|known| known.as_bytes() == &name[..])
        };
        names.statements.retain(known);
        Ok(())
    }

    /// An error that the client is told of and that the connection survives.
    pub(super) fn error_of(&self, stop: Stop) -> Step<Fault> {
        match stop {
            Stop::Fault(fault) if fault.severity == Severity::Error => Ok(fault),
            stop => Err(stop),
        }
    }

    /// Tells the client of an error of ours, behind the notices that came before it.
    pub(super) async fn send_error(&mut self, fault: &Fault) -> Step<()> {
        let mut out = BytesMut::new();
        if let Some(local) = &mut self.local {
            let connection = &mut local.connection;
            connection.session.fail();
            if std::mem::take(&mut connection.implicit) {
                off_relay_thread().await;
                // The error at hand is the one to tell.
                let _ = connection.session.end_implicit(false).await;
            }
            connection.session.drain_notices().iter().for_each(|notice| encode_notice(notice, &mut out));
        }
        (self.pump.client_side.stops_at_sync, self.pump.client_side.stops_at_execute) = (false, false);
        fault.encode(&mut out);
        self.send_to_client(&out);
        Ok(())
    }
}

/// What was begun around the statements of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Enclosing {
    Nothing,
    /// A transaction of the upstream's.
    UpstreamTransaction,
    /// A transaction of ours.
    LocalTransaction,
    /// The same, which ends with this statement.
    LastOfLocalTransaction,
}
