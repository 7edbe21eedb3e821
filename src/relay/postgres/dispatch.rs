//! Messages that were held for a decision: each goes on to the upstream as it is, or is answered here. Those of the extended
//! protocol are in `pipeline`.
//!
//! What is answered here waits until the upstream has answered everything before it.

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::decide::{self, Piece, PieceOwner, Script};
use super::own_queries::Speculative;
use crate::route::Verdict;
use crate::session::HiddenNames;
use crate::sql::Statement;
use crate::wire::postgres::extended::hints;
use crate::wire::postgres::fault::{Fault, Severity, Step, Stop, encode_notice};
use crate::wire::{LONG_TEXT, off_relay_thread};

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Decides on the message at the front of the client's input, and on those after it that have come already.
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

    /// Passes a text on that clears state, and clears the local half too if the upstream has done so.
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

    /// Reads a text. When it holds a local statement, the upstream has then answered everything before it; false: it is the
    /// upstream's all the same, since a COPY that takes data takes this too, and after an error all is passed over.
    /// `types`: it is to be prepared, and these are the types of its parameters that the client has named.
    pub(super) async fn read(&mut self, text: &str, types: Option<&[u32]>) -> Step<(Script, bool)> {
        // How a backslash before a quote is read may depend on what is not answered yet.
        if text.contains("\\'") && !self.pump.upstream_side.expected.is_empty() && !self.await_answers(false).await? {
            return Ok((Script::default(), false));
        }
        let scanner = self.context.scanner.scanner();
        let dialect = self.pump.upstream_side.dialect();
        let hit = |text: &str| scanner.scan_any(&dialect, text.as_bytes()) == Verdict::MaybeLocal;
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
            // Asked when it is the turn of what may be local.
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
        let hidden = match self.hidden_names(&script.bare) {
            Ok(hidden) => hidden,
            Err(refusal) => {
                script.unknown_state = Some(refusal);
                return Ok((script, true));
            }
        };
        if hidden == HiddenNames::None {
            return Ok((script, true));
        }
        let local = self.local().await?;
        local.connection.session.hide_names(hidden);
        Ok((Script { room: script.room, ..decide::read(&local.connection, text, hit) }, true))
    }

    /// An error that the client is told of and that the connection survives.
    pub(super) fn error_of(&self, stop: Stop) -> Step<Fault> {
        match stop {
            Stop::Fault(fault) if fault.severity == Severity::Error => Ok(fault),
            stop => Err(stop),
        }
    }

    /// Tells the client of a local error, after the notices that came before it.
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
