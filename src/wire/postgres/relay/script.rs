//! Messages that were stopped: each goes on to the upstream as it is, or is answered here.
//!
//! What is answered here waits until the upstream has answered everything before it. An error of ours fails the
//! upstream's transaction too, as it would have there.

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::decide::{self, Piece, Script, Whose};
use super::desk::Clerk;
use super::expected::Veil;
use super::front::Strings;
use crate::route::Verdict;
use crate::session::Parsed;
use crate::sql::{Dialect, Statement};
use crate::upstream::{beside, lane};
use crate::wire::postgres::fault::{Fault, Severity, Step, Stop, encode_notice};
use crate::wire::postgres::simple::moved;

/// What stands for `START TRANSACTION .. AS OF` at the upstream.
const OPENS: &str = "START TRANSACTION READ ONLY";

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Decides on the message at the front of the client's input, and on those behind it that have come already.
    pub(super) async fn decide(&mut self, length: usize) -> Step<()> {
        let mut next = Some(length);
        while let Some(length) = next {
            match self.pump.client.input[0] {
                b'Q' => self.query(length).await?,
                b'S' => self.sync(length).await?,
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
        let (script, waits) = self.read(&text).await?;
        let waits = waits && !script.is_theirs();
        if waits && !script.needs_us() {
            for parsed in script.pieces.iter().filter_map(|piece| piece.parsed.as_ref()) {
                self.clear(parsed).await?;
            }
        }
        if !waits || !script.needs_us() {
            self.pump.front.names.forget_unnamed();
            if let Some(local) = &mut self.local {
                local.transaction_ended |= script.ends;
            }
            self.pump.pass(length);
            return Ok(());
        }
        self.pump.take(length);
        self.pump.front.names.forget_unnamed();
        let refusal = script.pieces.iter().find_map(|piece| piece.refusal.clone());
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

    /// Reads a text. When something in it is ours the upstream has then answered everything before it; false: it is the
    /// upstream's all the same, since a COPY that takes data takes this too, and after an error all is passed over.
    async fn read(&mut self, text: &str) -> Step<(Script, bool)> {
        let scanner = self.context.watch.scanner();
        let hit = |text: &str| scanner.scan_any(&Dialect::POSTGRES, text.as_bytes()) == Verdict::MaybeOurs;
        let local = self.local().await?;
        local.connection.session.hide_bare_names(false);
        let script = decide::read(&local.connection, text, hit);
        if script.is_theirs() || !script.needs_us() {
            return Ok((script, true));
        }
        if !self.settle(false).await? || self.pump.back.expected.is_skipping() {
            return Ok((script, false));
        }
        self.surround(false).await?;
        let local = self.local().await?;
        // Only now it is known what a name without a schema means.
        if !local.hidden {
            return Ok((script, true));
        }
        local.connection.session.hide_bare_names(true);
        Ok((decide::read(&local.connection, text, hit), true))
    }

    /// Runs a text of which something is ours. Outside a transaction its statements are one, as they are at the upstream.
    async fn run_script(&mut self, text: &str, script: Script) -> Step<()> {
        if let Some(error) = script.error {
            return Err(if self.pump.back.status == b'E' { decide::failed() } else { error }.into());
        }
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
            if !matches!(outcome, Ok(true)) {
                break;
            }
        }
        if let Some(local) = &mut self.local {
            local.transaction_ended |= script.ends;
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
                self.open_transaction(parsed).await?;
                self.relay_piece(OPENS).await
            }
            (Whose::Shared, Some(parsed)) => {
                self.clear(parsed).await?;
                self.relay_piece(&text[piece.range.clone()]).await
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
        let running = self.lend().await?;
        let done = match self.local.as_deref_mut() {
            Some(local) => {
                let (lane, mut desk, over) = lane();
                local.connection.session.lend_lane(lane);
                let work = async {
                    match one {
                        Some(parsed) => local.connection.run_statement(parsed).await.map(|tag| local.connection.complete(tag)),
                        None => local.connection.script(text).await,
                    }
                };
                let mut clerk = Clerk::new(&mut self.pump, false);
                beside(work, clerk.serve(&mut desk), over, |done| matches!(done, Err(Stop::Gone(_)))).await
            }
            None => Ok(Ok(())),
        };
        self.take_back();
        drop(running);
        done?
    }

    /// `START TRANSACTION .. AS OF`: our half.
    async fn open_transaction(&mut self, parsed: &Parsed) -> Step<()> {
        if self.pump.back.status == b'E' {
            return Err(decide::failed().into());
        }
        self.surround(false).await?;
        self.local().await?.connection.session.execute(parsed, &[]).await?;
        Ok(())
    }

    /// Clears our half of the state that a statement clears. If it fails the upstream's answer says so.
    async fn clear(&mut self, parsed: &Parsed) -> Step<()> {
        let connection = &mut self.local().await?.connection;
        connection.deallocate(&parsed.text);
        if let Err(error) = connection.session.execute(parsed, &[]).await {
            tracing::debug!(%error, "state was not cleared");
        }
        let names = &mut self.pump.front.names;
        let Some(local) = self.local.as_deref_mut() else { return Ok(()) };
        if matches!(parsed.statement, Statement::Deallocate(None) | Statement::Discard(_)) {
            local.opening.statements.clear();
        }
        let known = |name: &Vec<u8>| {
            local.opening.statements.contains_key(name) || local.connection.statements.keys().any(|known| known.as_bytes() == &name[..])
        };
        names.statements.retain(known);
        Ok(())
    }

    async fn parse(&mut self, length: usize) -> Step<()> {
        let mut parts = Strings(&self.pump.client.input[5..length]);
        let (name, text) = (parts.next().unwrap_or_default().to_vec(), parts.next().unwrap_or_default());
        let Ok(text) = std::str::from_utf8(text).map(str::to_owned) else {
            self.pump.pass(length);
            return Ok(());
        };
        let (mut script, waits) = self.read(&text).await?;
        if !waits {
            self.pump.pass(length);
            return Ok(());
        }
        let duplicate = !name.is_empty() && self.pump.front.names.statements.contains(&name);
        let only = if script.pieces.len() == 1 { script.pieces.pop() } else { None };
        match only {
            _ if duplicate || script.error.is_some() => self.answer(length).await,
            Some(Piece { refusal: Some(refusal), .. }) => {
                self.routed.refused();
                self.refuse(length, refusal).await
            }
            Some(Piece { whose: Whose::Opens, parsed: Some(parsed), .. }) if script.statements == 1 => {
                self.parse_opening(length, name, parsed).await
            }
            Some(Piece { whose: Whose::Shared, parsed: Some(parsed), .. }) => {
                self.clear(&parsed).await?;
                self.pass_parse(length, &name, false);
                Ok(())
            }
            Some(Piece { whose: Whose::Theirs, .. }) => {
                self.pass_parse(length, &name, script.ends);
                Ok(())
            }
            None if script.is_theirs() => {
                self.pass_parse(length, &name, false);
                Ok(())
            }
            _ => self.answer(length).await,
        }
    }

    fn pass_parse(&mut self, length: usize, name: &[u8], ends: bool) {
        self.pump.front.names.statements.remove(name);
        if let Some(local) = &mut self.local {
            local.opening.statements.remove(name);
            local.transaction_ended |= ends;
        }
        self.pump.pass(length);
    }

    /// Prepares a `START TRANSACTION .. AS OF`: the upstream gets its own half under the same name.
    async fn parse_opening(&mut self, length: usize, name: Vec<u8>, parsed: Parsed) -> Step<()> {
        if parsed.params > 0 {
            let fault = Fault::error("0A000", "the time of START TRANSACTION .. AS OF cannot be a parameter")
                .with_hint("write the time into the statement");
            return self.refuse(length, fault).await;
        }
        self.pump.take(length);
        let out = &mut self.pump.upstream.unsent;
        out.put_u8(b'P');
        out.put_u32((4 + name.len() + 1 + OPENS.len() + 1 + 2) as u32);
        [&name[..], b"\0", OPENS.as_bytes(), b"\0\0\0"].iter().for_each(|part| out.put_slice(part));
        self.pump.front.passed(b'P', &mut self.pump.back.expected);
        self.pump.front.names.statements.insert(name.clone());
        self.local().await?.opening.statements.insert(name, parsed);
        Ok(())
    }

    /// Bind, Describe, Execute and Close with a name of ours.
    async fn named(&mut self, length: usize) -> Step<()> {
        let message = &self.pump.client.input[..length];
        let kind = message[0];
        let mut parts = Strings(&message[5..]);
        let (first, second) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let (first, second) = (first.to_vec(), second.to_vec());
        let names = &mut self.pump.front.names;
        let Some(opening) = self.local.as_deref_mut().map(|local| &mut local.opening) else {
            self.pump.pass(length);
            return Ok(());
        };
        match kind {
            b'B' if opening.statements.contains_key(&second) => {
                if let Some(parsed) = opening.statements.get(&second).cloned() {
                    names.portals.insert(first.clone());
                    opening.portals.insert(first, parsed);
                }
            }
            b'E' if opening.portals.contains_key(&first) => {
                let parsed = opening.portals.get(&first).cloned();
                if self.settle(false).await?
                    && !self.pump.back.expected.is_skipping()
                    && let Some(parsed) = parsed
                    && let Err(stop) = self.open_transaction(&parsed).await
                {
                    let fault = self.error_of(stop)?;
                    return self.refuse(length, fault).await;
                }
            }
            b'D' | b'C' if opening.has(&first) => {
                if kind == b'C' {
                    opening.forget(&first);
                    match first.split_first() {
                        Some((b'S', name)) => drop(names.statements.remove(name)),
                        Some((_, name)) => drop(names.portals.remove(name)),
                        None => {}
                    }
                }
            }
            _ => return self.answer(length).await,
        }
        self.pump.pass(length);
        Ok(())
    }

    /// Answers one message of the extended protocol.
    async fn answer(&mut self, length: usize) -> Step<()> {
        if !self.settle(false).await? || self.pump.back.expected.is_skipping() {
            self.pump.pass(length);
            return Ok(());
        }
        let kind = self.pump.client.input[0];
        if self.pump.back.status == b'E' {
            return self.refuse(length, decide::failed()).await;
        }
        if let Err(fault) = self.check_encoding() {
            return self.refuse(length, fault).await;
        }
        self.surround(false).await?;
        if kind == b'E' {
            self.routed.local();
        }
        let running = self.lend().await?;
        let done = match self.local.as_deref_mut() {
            Some(local) => {
                let (lane, mut desk, over) = lane();
                local.connection.session.lend_lane(lane);
                let mut clerk = Clerk::new(&mut self.pump, true);
                let work = local.connection.answer_next();
                beside(work, clerk.serve(&mut desk), over, |done| matches!(done, Err(Stop::Gone(_)))).await
            }
            None => Ok(Ok(())),
        };
        self.take_back();
        drop(running);
        match done? {
            Ok(()) => Ok(()),
            Err(stop) => {
                let fault = self.error_of(stop)?;
                self.fail_pipeline(fault).await
            }
        }
    }

    /// Answers a message of the extended protocol with an error.
    async fn refuse(&mut self, length: usize, fault: Fault) -> Step<()> {
        if !self.settle(false).await? || self.pump.back.expected.is_skipping() {
            self.pump.pass(length);
            return Ok(());
        }
        self.pump.take(length);
        self.fail_pipeline(fault).await
    }

    async fn fail_pipeline(&mut self, fault: Fault) -> Step<()> {
        self.tell_error(&fault).await?;
        self.fail_upstream(true).await
    }

    /// Sync, where a transaction of ours ends with it.
    async fn sync(&mut self, length: usize) -> Step<()> {
        self.end_pipeline().await?;
        self.pump.pass(length);
        Ok(())
    }

    /// Ends our implicit transaction of a pipeline: it is kept if everything in the pipeline went well.
    async fn end_pipeline(&mut self) -> Step<()> {
        self.pump.front.stops_at_sync = false;
        if !self.local.as_ref().is_some_and(|local| local.connection.implicit) {
            return Ok(());
        }
        self.settle(false).await?;
        let keep = !self.pump.back.expected.is_skipping();
        let connection = &mut self.local().await?.connection;
        connection.implicit = false;
        if let Err(error) = connection.session.end_implicit(keep).await {
            self.fail_pipeline(error.into()).await?;
        }
        Ok(())
    }

    /// An error that the client is told of and that the connection survives.
    fn error_of(&self, stop: Stop) -> Step<Fault> {
        match stop {
            Stop::Fault(fault) if fault.severity == Severity::Error => Ok(fault),
            stop => Err(stop),
        }
    }

    /// Tells the client of an error of ours, behind the notices that came before it.
    async fn tell_error(&mut self, fault: &Fault) -> Step<()> {
        let mut out = BytesMut::new();
        if let Some(local) = &mut self.local {
            let connection = &mut local.connection;
            connection.session.fail();
            if std::mem::take(&mut connection.implicit) {
                // The error at hand is the one to tell.
                let _ = connection.session.end_implicit(false).await;
            }
            connection.session.drain_notices().iter().for_each(|notice| encode_notice(notice, &mut out));
        }
        self.pump.front.stops_at_sync = false;
        fault.encode(&mut out);
        self.tell(&out);
        Ok(())
    }
}
