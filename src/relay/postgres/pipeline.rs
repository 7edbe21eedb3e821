//! Messages of the extended protocol that were stopped: each goes on to the upstream as it is, or is answered here.
//!
//! The upstream has a prepared statement of every local name (a placeholder), so that it is one set of names:
//! it says what is taken, closes and deallocates.

use bytes::BytesMut;
use datafusion::scalar::ScalarValue;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::client_side::Strings;
use super::decide::{self, Piece, PieceOwner};
use super::expected::Suppress;
use super::own_queries::Speculative;
use super::script::OPENS;
use crate::session::Parsed;
use crate::sql::Statement;
use crate::wire::postgres::extended::PortalState;
use crate::wire::postgres::fault::{Fault, Step};
use crate::wire::postgres::frame::take_frame;
use crate::wire::postgres::message::Frontend;
use crate::wire::{LONG_TEXT, off_relay_thread};

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    pub(super) async fn parse(&mut self, length: usize) -> Step<()> {
        let mut parts = Strings(&self.pump.client.input[5..length]);
        let (name, text) = (parts.next().unwrap_or_default().to_vec(), parts.next().unwrap_or_default());
        // After a count, which the bytes that are there are enough for.
        let oids: Vec<u32> = parts.0.get(2..).unwrap_or_default().as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid)).collect();
        let Ok(text) = std::str::from_utf8(text).map(str::to_owned) else {
            self.pump.pass(length);
            return Ok(());
        };
        let (mut script, waits) = self.read(&text, Some(&oids)).await?;
        if !waits {
            self.pump.pass(length);
            return Ok(());
        }
        if let Some(fault) = script.unknown_state.take() {
            self.pump.take(length);
            return self.fail_pipeline(fault).await;
        }
        let only = if script.pieces.len() == 1 && script.statements == 1 { script.pieces.pop() } else { None };
        match only {
            _ if script.error.is_some() => self.parse_local(length, name).await,
            Some(Piece { refusal: Some(refusal), .. }) => {
                self.routed.refused();
                self.refuse(length, refusal).await
            }
            Some(Piece { owner: PieceOwner::ClearsBoth | PieceOwner::Upstream, parsed, .. }) => {
                self.pass_parse(length, name, parsed);
                Ok(())
            }
            // Its error for several statements is the upstream's.
            None if script.is_upstream() || script.may_be_upstream() => {
                self.pass_parse(length, name, None);
                Ok(())
            }
            _ => self.parse_local(length, name).await,
        }
    }

    /// The upstream prepares a statement. A local name is taken there as well, so that it says so by itself.
    fn pass_parse(&mut self, length: usize, name: Vec<u8>, parsed: Option<Parsed>) {
        if let Some(local) = &mut self.local {
            let names = &mut self.pump.client_side.names.statements;
            let taken = !name.is_empty() && names.contains(&name);
            if !taken {
                names.remove(&name);
                local.followed.statements.remove(&name);
                if let Some(parsed) = parsed.filter(|parsed| decide::is_followed(&parsed.statement)) {
                    names.insert(name.clone());
                    local.followed.statements.insert(name, parsed);
                }
            }
        }
        self.pump.pass(length);
    }

    /// Prepares a local statement; the upstream keeps its name.
    async fn parse_local(&mut self, length: usize, name: Vec<u8>) -> Step<()> {
        if !self.is_ready(length).await? {
            return Ok(());
        }
        let done = self.with_client(true, async |connection| connection.prepare_next().await).await?;
        if let Err(stop) = done {
            let fault = self.error_of(stop)?;
            return self.fail_pipeline(fault).await;
        }
        if let Some(local) = self.local.as_deref_mut() {
            local.followed.statements.remove(&name);
        }
        if name.is_empty() {
            self.send_to_client(&BytesMut::from(&b"1\0\0\0\x04"[..]));
        } else if !self.reserve(&name, Some(Suppress::Nothing)).await? {
            self.pump.client_side.names.statements.remove(&name);
            if let (Some(local), Ok(name)) = (self.local.as_deref_mut(), std::str::from_utf8(&name)) {
                local.connection.forget(name);
            }
        }
        Ok(())
    }

    /// Bind, Describe, Execute and Close with a name that is followed, and any Execute after a local change.
    pub(super) async fn named(&mut self, length: usize) -> Step<()> {
        let message = &self.pump.client.input[..length];
        let kind = message[0];
        let mut parts = Strings(&message[5..]);
        let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (first, second) = (first.to_vec(), second.to_vec());
        if self.names_cursor(kind, &first) && self.await_answers(false).await? {
            self.forget_ended_cursors().await?;
        }
        let names = &mut self.pump.client_side.names;
        let Some(local) = self.local.as_deref_mut() else {
            self.pump.pass(length);
            return Ok(());
        };
        // For these the upstream has something to do as well.
        let (is_local, special) = {
            let portal = std::str::from_utf8(&first).ok().and_then(|name| local.connection.portals.get(name));
            let run = portal.and_then(|portal| portal.statement.as_ref().map(|parsed| (parsed, &portal.params)));
            let special = run.filter(|(parsed, _)| {
                opens(parsed)
                    || matches!(
                        parsed.statement,
                        Statement::Prepare { .. } | Statement::StandIn(_) | Statement::DeclareCursor { .. } | Statement::Fetch { .. }
                    )
            });
            (portal.is_some() && names.portals.contains(&first), special.map(|(parsed, params)| (parsed.clone(), params.clone())))
        };
        let target = std::str::from_utf8(&first[first.len().min(1)..]).unwrap_or_default();
        match kind {
            b'E' if self.pump.client_side.stops_at_execute && !is_local => {
                return self.refuse(length, decide::behind_a_change()).await;
            }
            // The cursor of this name has ended.
            b'E' if !names.portals.contains(&first) => {}
            b'B' if local.followed.statements.contains_key(&second) => {
                if let Some(parsed) = local.followed.statements.get(&second).cloned() {
                    names.portals.insert(first.clone());
                    local.followed.portals.insert(first, parsed);
                }
            }
            b'B' => {
                local.followed.portals.remove(&first);
                return self.answer(length).await;
            }
            b'E' if local.followed.portals.contains_key(&first) => {
                let parsed = local.followed.portals.get(&first).cloned();
                return self.execute_followed(length, parsed).await;
            }
            b'E' => {
                return match special {
                    Some((parsed, params)) if opens(&parsed) => self.execute_opening(length, &first, &parsed, &params).await,
                    Some((parsed, _)) if matches!(parsed.statement, Statement::StandIn(_)) => self.execute_stand_in(length, &parsed).await,
                    Some((Parsed { statement: Statement::DeclareCursor { name, hold, .. }, .. }, _)) => {
                        self.execute_declare(length, &name, hold).await
                    }
                    Some((Parsed { statement: Statement::Fetch { .. }, .. }, _)) => {
                        if self.await_answers(false).await? {
                            self.forget_ended_cursors().await?;
                        }
                        self.answer(length).await
                    }
                    Some((parsed, _)) => self.execute_prepare(length, &parsed).await,
                    None => self.answer(length).await,
                };
            }
            b'D' if local.followed.has(&first) => {}
            // So has this one, and the name may be another's.
            b'D' | b'C' if first.first() == Some(&b'P') && !names.portals.contains(target.as_bytes()) => {}
            b'C' if local.followed.has(&first)
                || first.first() == Some(&b'S') && !target.is_empty()
                || first.first() == Some(&b'P') && local.connection.session.has_cursor(target) =>
            {
                // Not if it is passed over.
                if self.await_answers(false).await? && !self.pump.upstream_side.expected.is_skipping() {
                    self.close_name(&first).await?;
                }
            }
            _ => return self.answer(length).await,
        }
        self.pump.pass(length);
        Ok(())
    }

    /// Forgets what a Close names that the upstream has too.
    async fn close_name(&mut self, target: &[u8]) -> Step<()> {
        let local = self.local().await?;
        local.followed.forget(target);
        let name = target[1..].to_vec();
        if target[0] == b'S' {
            if let Ok(name) = std::str::from_utf8(&name) {
                local.connection.forget(name);
            }
            self.pump.client_side.names.statements.remove(&name);
        } else {
            if let Ok(name) = std::str::from_utf8(&name) {
                local.cursors.open.remove(name);
                local.connection.session.keep_cursors(|other| other != name);
            }
            self.pump.client_side.names.portals.remove(&name);
            self.pump.client_side.names.held.remove(&name);
        }
        Ok(())
    }

    /// Does the message name a local cursor that DECLARE has made?
    fn names_cursor(&self, kind: u8, first: &[u8]) -> bool {
        let name = match (kind, first.split_first()) {
            (b'E', _) => first,
            (b'D' | b'C', Some((b'P', name))) => name,
            _ => return false,
        };
        let name = std::str::from_utf8(name).unwrap_or_default();
        self.local.as_ref().is_some_and(|local| local.connection.session.has_cursor(name))
    }

    /// Does a statement of the upstream's, when it is executed, use a name that is local by now?
    fn names_local(&self, parsed: &Parsed) -> bool {
        let Some(local) = &self.local else { return false };
        match &parsed.statement {
            Statement::Execute { name, .. } => local.connection.statements.contains_key(name),
            Statement::Fetch { name, .. } => local.connection.session.has_cursor(name),
            _ => false,
        }
    }

    /// Executes what changes the local half of a state when the upstream does it.
    async fn execute_followed(&mut self, length: usize, parsed: Option<Parsed>) -> Step<()> {
        if let Some(one) = parsed.as_ref().filter(|one| matches!(one.statement, Statement::Execute { .. } | Statement::Fetch { .. })) {
            if self.names_local(one) {
                let fault = Fault::error(
                    "0A000",
                    format!("{} of a name that was given to cold tables since it was prepared", one.statement.verb()),
                );
                return self.refuse(length, fault.with_hint("prepare it again")).await;
            }
            self.pump.pass(length);
            return Ok(());
        }
        let goes = self.await_answers(false).await? && !self.pump.upstream_side.expected.is_skipping();
        let errors = self.pump.upstream_side.errors;
        self.pump.pass(length);
        let Some(parsed) = parsed.filter(|_| goes) else { return Ok(()) };
        if matches!(parsed.statement, Statement::Commit { .. } | Statement::Rollback { .. }) {
            self.local().await?.transaction_ended = true;
            return Ok(());
        }
        self.await_answers(false).await?;
        if self.pump.upstream_side.errors == errors {
            self.clear(&parsed).await?;
        }
        Ok(())
    }

    /// Executes a `START TRANSACTION .. AS OF`: the local half, and within the client's pipeline the upstream's.
    async fn execute_opening(&mut self, length: usize, portal: &[u8], parsed: &Parsed, params: &[ScalarValue]) -> Step<()> {
        if !self.is_ready(length).await? {
            return Ok(());
        }
        self.routed.local();
        if let Err(stop) = self.open_transaction(parsed, params).await {
            let fault = self.error_of(stop)?;
            return self.refuse(length, fault).await;
        }
        self.pump.take(length);
        self.run_within(OPENS, Suppress::Nothing).await?;
        let local = self.local().await?;
        if let Some(portal) = std::str::from_utf8(portal).ok().and_then(|name| local.connection.portals.get_mut(name)) {
            portal.state = PortalState::Ended;
        }
        Ok(())
    }

    async fn execute_stand_in(&mut self, length: usize, parsed: &Parsed) -> Step<()> {
        if !self.is_ready(length).await? {
            return Ok(());
        }
        match self.make_stand_ins(parsed, true).await {
            Ok(true) => self.answer(length).await,
            Ok(false) => {
                self.pump.take(length);
                Ok(())
            }
            Err(stop) => {
                let fault = self.error_of(stop)?;
                self.refuse(length, fault).await
            }
        }
    }

    /// Executes a local DECLARE: the upstream keeps the name.
    async fn execute_declare(&mut self, length: usize, name: &str, hold: bool) -> Step<()> {
        if !self.is_ready(length).await? {
            return Ok(());
        }
        if !self.reserve_cursor(name, hold, true).await? {
            self.pump.take(length);
            return Ok(());
        }
        self.answer(length).await?;
        self.cursor_declared(name);
        Ok(())
    }

    /// Executes a textual local PREPARE: the upstream keeps the name.
    async fn execute_prepare(&mut self, length: usize, parsed: &Parsed) -> Step<()> {
        let Statement::Prepare { name, .. } = &parsed.statement else { return self.answer(length).await };
        if !self.is_ready(length).await? {
            return Ok(());
        }
        if !self.reserve(name.as_bytes(), Some(Suppress::AllButErrors)).await? {
            self.pump.take(length);
            return Ok(());
        }
        self.answer(length).await?;
        let local = self.local().await?;
        if !local.connection.statements.contains_key(name) {
            // It failed, and up to Sync the upstream hears of nothing.
            local.unused.push(name.as_bytes().to_vec());
            self.pump.client_side.stops_at_sync = true;
        }
        Ok(())
    }

    /// Everything before has been answered, and a local message may be answered now. False: it has been dealt with.
    async fn is_ready(&mut self, length: usize) -> Step<bool> {
        if !self.await_answers(false).await? || self.pump.upstream_side.expected.is_skipping() {
            self.pump.pass(length);
            return Ok(false);
        }
        if self.pump.upstream_side.status == b'E' {
            self.refuse(length, decide::failed()).await?;
            return Ok(false);
        }
        if let Err(fault) = self.check_encoding() {
            self.refuse(length, fault).await?;
            return Ok(false);
        }
        let known = if self.pump.client.input[0] == b'B' {
            let next = self.query_of_bind(length);
            self.take_over_state_for(next).await
        } else {
            self.take_over_state(false).await
        };
        if let Err(stop) = known {
            let fault = self.error_of(stop)?;
            self.pump.take(length);
            self.fail_pipeline(fault).await?;
            return Ok(false);
        }
        Ok(true)
    }

    /// What the Bind message at the front of the client's input binds, if it is a local query.
    fn query_of_bind(&self, length: usize) -> Option<Speculative> {
        // Not where nothing will be asked, nor for what takes long to read.
        let asks = self.local.as_ref().is_some_and(|local| local.asked_at != Some(self.pump.client_side.relayed));
        if !asks || length > LONG_TEXT {
            return None;
        }
        let mut input = BytesMut::from(&self.pump.client.input[..length]);
        let frame = take_frame(&mut input, usize::MAX).ok()??;
        let Frontend::Bind(bind) = Frontend::decode(frame).ok()? else { return None };
        self.local.as_ref()?.connection.query_of(&bind).map(|(parsed, params)| Speculative::Run(parsed, params))
    }

    /// Answers one message of the extended protocol.
    async fn answer(&mut self, length: usize) -> Step<()> {
        if !self.is_ready(length).await? {
            return Ok(());
        }
        if self.pump.client.input[0] == b'E' {
            self.routed.local();
        }
        let done = self.with_client(true, async |connection| connection.answer_next().await).await?;
        match done {
            Ok(()) => Ok(()),
            Err(stop) => {
                let fault = self.error_of(stop)?;
                self.fail_pipeline(fault).await
            }
        }
    }

    /// Answers a message of the extended protocol with an error.
    async fn refuse(&mut self, length: usize, fault: Fault) -> Step<()> {
        if !self.await_answers(false).await? || self.pump.upstream_side.expected.is_skipping() {
            self.pump.pass(length);
            return Ok(());
        }
        self.pump.take(length);
        self.fail_pipeline(fault).await
    }

    async fn fail_pipeline(&mut self, fault: Fault) -> Step<()> {
        self.send_error(&fault).await?;
        self.fail_upstream(true).await
    }

    /// Sync, where a local transaction ends with it.
    pub(super) async fn sync(&mut self, length: usize) -> Step<()> {
        self.end_pipeline().await?;
        self.pump.pass(length);
        let unused = self.local.as_deref_mut().map(|local| std::mem::take(&mut local.unused)).unwrap_or_default();
        if !unused.is_empty() {
            self.await_answers(false).await?;
            for name in unused {
                self.release(&name).await?;
            }
        }
        Ok(())
    }

    /// Ends the local implicit transaction of a pipeline: it is kept if everything in the pipeline went well.
    pub(super) async fn end_pipeline(&mut self) -> Step<()> {
        (self.pump.client_side.stops_at_sync, self.pump.client_side.stops_at_execute) = (false, false);
        if !self.local.as_ref().is_some_and(|local| local.connection.implicit) {
            return Ok(());
        }
        self.await_answers(false).await?;
        off_relay_thread().await;
        let keep = !self.pump.upstream_side.expected.is_skipping();
        let connection = &mut self.local().await?.connection;
        connection.implicit = false;
        if let Err(error) = connection.session.end_implicit(keep).await {
            self.fail_pipeline(error.into()).await?;
        }
        Ok(())
    }
}

/// Is it `START TRANSACTION .. AS OF`?
fn opens(parsed: &Parsed) -> bool {
    matches!(&parsed.statement, Statement::Begin(begin) if begin.as_of.is_some())
}
