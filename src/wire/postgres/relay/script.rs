//! Texts that were stopped: each goes on to the upstream as it is, or is answered here, whole or in pieces.
//!
//! What is answered here waits until the upstream has answered everything before it. An error of ours fails the
//! upstream's transaction too, as it would have there.

use bytes::{BufMut, BytesMut};
use datafusion::scalar::ScalarValue;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::decide::{self, Piece, Script, Whose};
use super::expected::Veil;
use super::own::Next;
use crate::route::Verdict;
use crate::session::{HiddenNames, Parsed};
use crate::sql::{Dialect, Discard, Statement};
use crate::wire::postgres::extended::hints;
use crate::wire::postgres::fault::{Fault, Severity, Step, Stop, encode_notice};
use crate::wire::postgres::simple::moved;
use crate::wire::{LONG_TEXT, heavy};

/// What stands for `START TRANSACTION .. AS OF` at the upstream.
pub(super) const OPENS: &str = "START TRANSACTION READ ONLY";

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Decides on the message at the front of the client's input, and on those behind it that have come already.
    pub(super) async fn decide(&mut self, length: usize) -> Step<()> {
        let mut next = Some(length);
        while let Some(length) = next {
            if length > LONG_TEXT {
                heavy().await;
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
        if !waits || !script.needs_us() {
            self.pump.front.names.forget_unnamed();
            if let Some(local) = &mut self.local {
                local.transaction_ended |= script.ends();
            }
            if waits && !script.is_theirs() {
                return self.pass_shared(length, &script).await;
            }
            self.pump.pass(length);
            return Ok(());
        }
        self.pump.take(length);
        self.pump.front.names.forget_unnamed();
        let refusal = script.untold.take().or_else(|| script.pieces.iter().find_map(|piece| piece.refusal.clone()));
        if refusal.is_some() {
            self.routed.refused()
        } else {
            self.routed.local()
        }
        let done = match refusal {
            Some(refusal) => Err(refusal.into()),
            None => self.run_script(&text, script).await,
        };
        if let Err(stop) = done {
            let fault = self.error_of(stop)?;
            self.tell_error(&fault).await?;
            if self.pump.back.status == b'T' {
                self.fail_upstream(false).await?;
            }
        }
        let mut out = BytesMut::new();
        if let Some(local) = &mut self.local {
            local.connection.session.drain_notices().iter().for_each(|notice| encode_notice(notice, &mut out));
        }
        out.put_slice(&[b'Z', 0, 0, 0, 5, self.pump.back.status]);
        self.tell(&out);
        Ok(())
    }

    /// Passes a text on that clears state, and clears ours too if the upstream has done so.
    async fn pass_shared(&mut self, length: usize, script: &Script) -> Step<()> {
        self.settle(true).await?;
        let errors = self.pump.back.errors;
        self.pump.pass(length);
        self.settle(true).await?;
        if self.pump.back.errors == errors {
            for piece in script.pieces.iter().filter(|piece| piece.whose == Whose::Shared) {
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
        let scanner = self.context.watch.scanner();
        let hit = |text: &str| scanner.scan_any(&Dialect::POSTGRES, text.as_bytes()) == Verdict::MaybeOurs;
        let local = self.local().await?;
        local.connection.session.hide_names(HiddenNames::None);
        local.connection.session.forget_foreseen();
        let room = local.connection.session.room_for(text).await;
        let mut script = match room {
            Ok(room) => Script { room, ..decide::read(&local.connection, text, hit) },
            Err(error) => Script { error: Some(error.into()), ..Script::default() },
        };
        if script.is_theirs() || !script.needs_us() {
            return Ok((script, true));
        }
        if !self.settle(false).await? || self.pump.back.expected.is_skipping() {
            return Ok((script, false));
        }
        let next = match script.pieces.as_slice() {
            [Piece { whose: Whose::Ours, parsed: Some(parsed), refusal: None, .. }]
                if script.statements == 1 && matches!(parsed.statement, Statement::Query(_)) =>
            {
                Some(match types {
                    Some(oids) => Next::Prepare(parsed.clone(), hints(oids, parsed.params)),
                    None => Next::Run(parsed.clone(), Vec::new()),
                })
            }
            _ => None,
        };
        if let Err(stop) = self.surround_asking(false, &script.bare, next).await {
            script.untold = Some(self.error_of(stop)?);
            return Ok((script, true));
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
            return Err(if self.pump.back.status == b'E' { decide::failed() } else { error }.into());
        }
        if let [Piece { whose: Whose::Ours, parsed: Some(parsed), .. }] = script.pieces.as_slice()
            && matches!(parsed.statement, Statement::StandIn(_))
            && script.statements == 1
        {
            if self.pump.back.status == b'E' {
                return Err(decide::failed().into());
            }
            self.check_encoding()?;
            if !self.make_stand_ins(parsed, false).await? {
                return Ok(());
            }
        }
        let prepared: Vec<&[u8]> = script.pieces.iter().filter_map(prepares).collect();
        for (at, name) in prepared.iter().enumerate() {
            if !self.reserve(name, None).await? {
                return self.release_unused(&prepared[..at]).await;
            }
        }
        let done = self.run_pieces(text, &script).await;
        self.release_unused(&prepared).await?;
        done
    }

    /// Gives names back at the upstream that no statement of ours has got.
    async fn release_unused(&mut self, names: &[&[u8]]) -> Step<()> {
        for name in names {
            let used = self.local.as_ref().is_some_and(|local| local.connection.statements.keys().any(|known| known.as_bytes() == *name));
            if !used {
                self.release(name).await?;
            }
        }
        Ok(())
    }

    async fn run_pieces(&mut self, text: &str, script: &Script) -> Step<()> {
        // What goes to the upstream of several statements is to be one transaction there.
        if script.is_ours() && !(script.crosses && script.statements > 1) {
            return self.run_ours(text, None, false).await;
        }
        let block = script.statements > 1 && !script.control && self.pump.back.status == b'I';
        if block && !self.command("BEGIN", Veil::ButErrors).await? {
            return Ok(());
        }
        let mut outcome = Ok(true);
        for piece in &script.pieces {
            outcome = self.run_piece(text, piece, block).await;
            if let Some(local) = &mut self.local {
                local.transaction_ended |= piece.ends;
            }
            if !matches!(outcome, Ok(true)) {
                break;
            }
        }
        if block {
            let done = matches!(outcome, Ok(true));
            if matches!(&outcome, Ok(_) | Err(Stop::Fault(_))) {
                let veil = if done { Veil::ButErrors } else { Veil::All };
                self.command(if done { "COMMIT" } else { "ROLLBACK" }, veil).await?;
            }
        }
        outcome.map(|_| ())
    }

    /// False: the upstream has told the client of an error.
    async fn run_piece(&mut self, text: &str, piece: &Piece, block: bool) -> Step<bool> {
        match (piece.whose, &piece.parsed) {
            (Whose::Ours, Some(parsed)) => self
                .run_ours(&text[piece.range.clone()], Some(parsed), block)
                .await
                .map(|()| true)
                .map_err(|stop| moved(stop, text, piece.range.start)),
            (Whose::Opens, Some(parsed)) => {
                self.open_transaction(parsed, &[]).await?;
                self.relay_piece(OPENS).await
            }
            (Whose::Shared, Some(parsed)) => {
                let done = self.relay_piece(&text[piece.range.clone()]).await?;
                if done {
                    self.clear(parsed).await?;
                }
                Ok(done)
            }
            _ => self.relay_piece(&text[piece.range.clone()]).await,
        }
    }

    async fn relay_piece(&mut self, text: &str) -> Step<bool> {
        self.pump.front.relayed += 1;
        self.command(text, Veil::Ready).await
    }

    /// Runs statements of ours: one, or all of a text.
    async fn run_ours(&mut self, text: &str, one: Option<&Parsed>, block: bool) -> Step<()> {
        if self.pump.back.status == b'E' {
            return Err(decide::failed().into());
        }
        self.check_encoding()?;
        self.surround(block).await?;
        self.with_client(false, async |connection| match one {
            Some(parsed) => connection.run_statement(parsed).await.map(|tag| connection.complete(tag)),
            None => connection.script(text).await,
        })
        .await?
    }

    /// `START TRANSACTION .. AS OF`: our half.
    pub(super) async fn open_transaction(&mut self, parsed: &Parsed, params: &[ScalarValue]) -> Step<()> {
        if self.pump.back.status == b'E' {
            return Err(decide::failed().into());
        }
        self.surround(false).await?;
        self.local().await?.connection.session.execute(parsed, params).await?;
        Ok(())
    }

    /// Clears our half of the state that a statement has cleared at the upstream.
    pub(super) async fn clear(&mut self, parsed: &Parsed) -> Step<()> {
        let names = &mut self.pump.front.names;
        let Some(local) = self.local.as_deref_mut() else { return Ok(()) };
        heavy().await;
        let connection = &mut local.connection;
        connection.deallocate(&parsed.statement);
        match &parsed.statement {
            Statement::Deallocate(Some(name)) => drop(local.followed.statements.remove(name.as_bytes())),
            Statement::Deallocate(None) | Statement::Discard(Discard::All) => local.followed.statements.clear(),
            Statement::CloseCursor(None) => connection.portals.clear(),
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
    pub(super) async fn tell_error(&mut self, fault: &Fault) -> Step<()> {
        let mut out = BytesMut::new();
        if let Some(local) = &mut self.local {
            let connection = &mut local.connection;
            connection.session.fail();
            if std::mem::take(&mut connection.implicit) {
                heavy().await;
                // The error at hand is the one to tell.
                let _ = connection.session.end_implicit(false).await;
            }
            connection.session.drain_notices().iter().for_each(|notice| encode_notice(notice, &mut out));
        }
        (self.pump.front.stops_at_sync, self.pump.front.stops_at_execute) = (false, false);
        fault.encode(&mut out);
        self.tell(&out);
        Ok(())
    }
}

/// The name that a PREPARE of ours takes.
fn prepares(piece: &Piece) -> Option<&[u8]> {
    match (piece.whose, &piece.parsed.as_ref()?.statement) {
        (Whose::Ours, Statement::Prepare { name, .. }) => Some(name.as_bytes()),
        _ => None,
    }
}
