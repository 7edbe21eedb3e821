//! Texts that hold local statements: run here in one piece, or piece by piece with those of the upstream.
//!
//! A local error fails the upstream's transaction too, as the statement would have there.

use std::ops::Range;

use datafusion::scalar::ScalarValue;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::cursors::quoted;
use super::decide::{self, Piece, PieceOwner, Script};
use super::expected::Suppress;
use crate::session::{Owner, Parsed};
use crate::sql::{Discard, Statement};
use crate::wire::off_relay_thread;
use crate::wire::postgres::fault::{Fault, Step, Stop};
use crate::wire::postgres::simple::moved;

/// What stands for `START TRANSACTION .. AS OF` at the upstream.
pub(super) const OPENS: &str = "START TRANSACTION READ ONLY";

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Runs a text that holds a local statement. Outside a transaction its statements are one, as they are at the upstream.
    pub(super) async fn run_script(&mut self, text: &str, mut script: Script) -> Step<()> {
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
        // What stands before the first BEGIN of a text, or after a COMMIT in it, is one transaction as well.
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

    /// Runs a text whose statements are a local transaction: the upstream does its part of names by itself.
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

    /// DEALLOCATE or CLOSE within a local transaction, with which it ends if it is the `last`.
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
        let hidden = self.hidden_names(&piece.tentative)?;
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

    /// Does it use a name that was to be local, and that a statement before it has given to something of the upstream's?
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

    /// Runs a local statement, of whose name the upstream knows as well. False: it has told the client of an error.
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

    /// Runs local statements: one, or all of a text.
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

    /// `START TRANSACTION .. AS OF`: the local half.
    pub(super) async fn open_transaction(&mut self, parsed: &Parsed, params: &[ScalarValue]) -> Step<()> {
        if self.pump.upstream_side.status == b'E' {
            return Err(decide::failed().into());
        }
        self.take_over_state(false).await?;
        self.local().await?.connection.session.execute(parsed, params).await?;
        Ok(())
    }

    /// Clears the local half of the state that a statement has cleared at the upstream.
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
}

/// What was begun around the statements of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Enclosing {
    Nothing,
    /// A transaction of the upstream's.
    UpstreamTransaction,
    /// A local transaction.
    LocalTransaction,
    /// The same, which ends with this statement.
    LastOfLocalTransaction,
}
