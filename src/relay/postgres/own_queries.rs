//! Queries that the relay sends to the upstream by itself, on the client's connection. The client sees nothing of them.

use std::fmt::Write;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::{BufMut, BytesMut};
use datafusion::scalar::ScalarValue;
use tokio::io::{AsyncRead, AsyncWrite};

use super::expected::Suppress;
use super::pump::Pump;
use super::upstream_side::fields;
use super::{Relay, stopped};
use crate::error::Foreign;
use crate::session::{Parsed, STAND_IN_COMMENT};
use crate::types::{SqlType, fold};
use crate::wire::off_relay_thread;
use crate::wire::postgres::fault::{Fault, Step};

/// Our prepared statement and portal; they are closed at once, and no client uses such a name.
pub(super) const NAME: &[u8] = b"flashgate: state\0";
/// A portal that never exists. The name says to a reader of the upstream's log what the error is for.
const FAILED: &[u8] = b"flashgate: a statement of this transaction failed at the proxy\0";
/// What stands for a prepared local statement at the upstream, so that its name is taken there too. Should anybody run it
/// there after all, it is an error.
const PLACEHOLDER: &[u8] = b"CLOSE \"flashgate: a prepared statement over cold tables\"\0";
/// Settings that a local statement must follow and that the upstream does not report by itself.
const ASKED: [&str; 4] = ["statement_timeout", "search_path", "role", "transaction_isolation"];

/// What is to be done when the session's state is known, if that is as it was.
pub enum Speculative {
    Run(Parsed, Vec<ScalarValue>),
    /// With what is known of its parameters' types.
    Prepare(Parsed, Vec<Option<SqlType>>),
}

/// What the upstream has of a name without a schema.
#[derive(Debug, Default)]
pub struct Found {
    /// The schema where it finds a table of the name first.
    pub schema: Option<String>,
    /// `public` has a table of it that is no stand-in.
    pub in_public: bool,
}

/// What the upstream has said of the session's state.
pub struct AskedState {
    pub settings: Vec<(&'static str, String)>,
    pub found: Vec<(String, Found)>,
}

/// The query for what is asked, with two parameters for each name: folded, and as it is written. It looks into the catalog and does not
/// use to_regclass, which sends a client that wants debug messages a notice for each name that is not there.
fn question(names: usize) -> String {
    let mut text = String::from("SELECT ");
    text.push_str(&ASKED.map(|name| format!("pg_catalog.current_setting('{name}')")).join(", "));
    for at in 1..=names {
        let (folded, exact) = (2 * at - 1, 2 * at);
        let named = format!(
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
             WHERE c.relname OPERATOR(pg_catalog.=) ANY (ARRAY[${folded}::pg_catalog.name, ${exact}::pg_catalog.name])"
        );
        let position = "pg_catalog.array_position(pg_catalog.current_schemas(true), n.nspname)";
        let _ = write!(
            text,
            ", (SELECT n.nspname {named} AND {position} IS NOT NULL \
             ORDER BY c.relname OPERATOR(pg_catalog.<>) ${folded}::pg_catalog.name, {position} LIMIT 1), \
             EXISTS (SELECT {named} AND n.nspname OPERATOR(pg_catalog.=) 'public'::pg_catalog.name \
             AND c.relkind::pg_catalog.text OPERATOR(pg_catalog.=) ANY ('{{r,p,m,f,v}}'::pg_catalog.text[]) \
             AND coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') OPERATOR(pg_catalog.!~~) '{STAND_IN_COMMENT}%'::pg_catalog.text)"
        );
    }
    text
}

/// What stands in Bind for the parameters of [`question`].
fn parameters(names: &[String]) -> BytesMut {
    let mut values = BytesMut::new();
    values.put_u16(0);
    values.put_u16(2 * names.len() as u16);
    for value in names.iter().flat_map(|name| [fold(name), name.clone()]) {
        values.put_u32(value.len() as u32);
        values.put_slice(value.as_bytes());
    }
    values.put_u16(0);
    values
}

pub(super) fn message(out: &mut BytesMut, kind: u8, parts: &[&[u8]]) {
    out.put_u8(kind);
    out.put_u32(parts.iter().map(|part| part.len()).sum::<usize>() as u32 + 4);
    parts.iter().for_each(|part| out.put_slice(part));
}

impl<C, U> Pump<C, U>
where
    C: AsyncRead + AsyncWrite + Unpin,
    U: AsyncRead + AsyncWrite + Unpin,
{
    /// Within a pipeline the upstream holds its answers back until it is asked for them.
    pub fn ask_for_answers(&mut self) {
        if self.upstream_side.expected.is_open() && !self.upstream_side.expected.is_empty() {
            message(&mut self.upstream.outgoing.bytes, b'H', &[]);
        }
    }

    /// Says something as part of the client's pipeline.
    fn send_within_pipeline(&mut self, kind: u8, parts: &[&[u8]], suppress: Suppress) {
        message(&mut self.upstream.outgoing.bytes, kind, parts);
        self.upstream_side.expected.push_within(kind, suppress);
    }

    pub(super) fn send_own(&mut self, kind: u8, parts: &[&[u8]], suppress: Suppress) {
        message(&mut self.upstream.outgoing.bytes, kind, parts);
        self.upstream_side.expected.push_own(kind, suppress);
    }

    /// Closes the relay's own prepared statement, which an error has left open: everything after it was passed over.
    pub(super) fn close_left_open(&mut self) {
        if std::mem::take(&mut self.upstream_side.left_open) {
            self.send_own(b'C', &[b"S", NAME], Suppress::Everything);
        }
    }

    /// Sends a whole query of the relay, from Parse to Close, of which the client sees nothing. `text` ends with NUL; `values`:
    /// what of Bind stands after its names.
    fn send_own_query(&mut self, text: &[&[u8]], values: &[u8]) {
        self.close_left_open();
        let parse = [&[NAME], text, &[&[0; 2]]].concat();
        self.send_own(b'P', &parse, Suppress::Everything);
        self.send_own(b'B', &[NAME, NAME, values], Suppress::Everything);
        self.send_own(b'E', &[NAME, &[0; 4]], Suppress::Everything);
        self.send_own(b'C', &[b"P", NAME], Suppress::Everything);
        self.send_own(b'C', &[b"S", NAME], Suppress::Everything);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Asks the upstream for settings that it does not report, and whether these names, without a schema, mean tables
    /// of its own. Everything before must be answered, and no transaction may have failed.
    /// Meanwhile what may be next is planned.
    pub(super) async fn ask(&mut self, names: &[String], next: Option<Speculative>) -> Step<AskedState> {
        let errors = self.pump.upstream_side.errors;
        self.pump.upstream_side.rows.clear();
        // A query takes a snapshot, and a client may still set its transaction's isolation: there SHOW asks, which takes none.
        // What names a table takes one anyway.
        let at_once = !names.is_empty() || (self.pump.upstream_side.status == b'I' && !self.pump.upstream_side.expected.is_open());
        if at_once {
            self.pump.send_own_query(&[question(names.len()).as_bytes(), b"\0"], &parameters(names));
        } else {
            for name in ASKED {
                self.pump.send_own_query(&[b"SHOW ", name.as_bytes(), b"\0"], &[0; 6]);
            }
        }
        self.end_own();
        if let Some(next) = next {
            self.plan_meanwhile(next).await?;
        }
        self.await_answers(false).await?;
        let rows = std::mem::take(&mut self.pump.upstream_side.rows);
        if self.pump.upstream_side.errors != errors {
            let bytes = std::mem::take(&mut self.pump.upstream_side.hidden_error);
            if bytes.split(|byte| *byte == 0).any(|field| field == b"C57014") {
                // The client's statement was stopped, by a cancel request or its time limit.
                let raw = Some(Box::new(Foreign { code: 0, bytes }));
                return Err(Fault { raw, ..Fault::error("57014", "canceling statement due to user request") }.into());
            }
            // Nothing is guessed: neither who it is nor where its names are.
            let message = "the upstream did not tell the state of this session, which a statement on cold tables depends on";
            return Err(Fault::error("58000", message).into());
        }
        let mut said = rows.iter().flat_map(|row| fields(row));
        let settings = ASKED.into_iter().zip(&mut said).filter_map(|(name, value)| Some((name, value?))).collect();
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let schema = said.next().flatten();
            found.push((name.clone(), Found { schema, in_public: said.next().flatten().as_deref() == Some("t") }));
        }
        Ok(AskedState { settings, found })
    }

    /// Sends what was said and plans while it is answered; both sides are watched.
    async fn plan_meanwhile(&mut self, next: Speculative) -> Step<()> {
        poll_fn(|cx| {
            // An error is met again where the answer is awaited.
            let _ = self.pump.upstream.poll_send(cx);
            Poll::Ready(())
        })
        .await;
        off_relay_thread().await;
        let Some(local) = self.local.as_deref_mut() else { return Ok(()) };
        let session = &mut local.connection.session;
        // A cancel request is for this now.
        let _running = self.cancelled.begin((session.id(), session.secret()));
        let mut planning = pin!(async {
            match next {
                Speculative::Run(parsed, params) => session.plan_speculatively(&parsed, &params).await,
                Speculative::Prepare(parsed, types) => session.describe_speculatively(&parsed, &types).await,
            }
        });
        let pump = &mut self.pump;
        let mut settled = false;
        poll_fn(|cx| {
            if planning.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(()));
            }
            if !settled {
                match pump.poll_answered(cx, false) {
                    Poll::Ready(Ok(())) => settled = true,
                    Poll::Ready(Err(event)) => return Poll::Ready(Err(stopped(event))),
                    Poll::Pending => {}
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Takes the name of a prepared local statement at the upstream too; false: it has told the client why not.
    /// `within`: as part of the client's pipeline, and what of it the client sees.
    pub(super) async fn reserve(&mut self, name: &[u8], within: Option<Suppress>) -> Step<bool> {
        let errors = self.pump.upstream_side.errors;
        let parts = [name, b"\0", PLACEHOLDER, &[0; 2]];
        if let Some(suppress) = within {
            self.pump.send_within_pipeline(b'P', &parts, suppress);
        } else {
            self.pump.send_own(b'P', &parts, Suppress::AllButErrors);
            self.pump.send_own(b'S', &[], Suppress::Everything);
        }
        self.await_answers(false).await?;
        Ok(self.pump.upstream_side.errors == errors)
    }

    /// Gives a name back that was taken for nothing.
    pub(super) async fn release(&mut self, name: &[u8]) -> Step<()> {
        self.pump.send_own(b'C', &[b"S", name, b"\0"], Suppress::Everything);
        self.pump.send_own(b'S', &[], Suppress::Everything);
        self.await_answers(false).await?;
        Ok(())
    }

    /// Runs a statement as part of the client's pipeline. `end`: what the client sees of its end; errors it sees.
    pub(super) async fn run_within(&mut self, text: &str, end: Suppress) -> Step<bool> {
        let errors = self.pump.upstream_side.errors;
        if std::mem::take(&mut self.pump.upstream_side.left_open) {
            self.pump.send_within_pipeline(b'C', &[b"S", NAME], Suppress::AllButErrors);
        }
        self.pump.send_within_pipeline(b'P', &[NAME, text.as_bytes(), b"\0\0\0"], Suppress::AllButErrors);
        self.pump.send_within_pipeline(b'B', &[NAME, NAME, &[0; 6]], Suppress::AllButErrors);
        self.pump.send_within_pipeline(b'E', &[NAME, &[0; 4]], end);
        self.pump.send_within_pipeline(b'C', &[b"P", NAME], Suppress::AllButErrors);
        self.pump.send_within_pipeline(b'C', &[b"S", NAME], Suppress::AllButErrors);
        self.await_answers(false).await?;
        let succeeded = self.pump.upstream_side.errors == errors;
        self.pump.upstream_side.left_open |= !succeeded;
        Ok(succeeded)
    }

    /// The rows of a query of the relay; None: it has failed.
    pub(super) async fn rows_of(&mut self, query: &str) -> Step<Option<Vec<Vec<u8>>>> {
        let errors = self.pump.upstream_side.errors;
        self.pump.upstream_side.rows.clear();
        self.pump.send_own_query(&[query.as_bytes(), b"\0"], &[0; 6]);
        self.end_own();
        self.await_answers(false).await?;
        let rows = std::mem::take(&mut self.pump.upstream_side.rows);
        Ok((self.pump.upstream_side.errors == errors).then_some(rows))
    }

    /// What was said is to be answered: a pipeline of the client's goes on after it.
    fn end_own(&mut self) {
        if self.pump.upstream_side.expected.is_open() {
            message(&mut self.pump.upstream.outgoing.bytes, b'H', &[]);
        } else {
            self.pump.send_own(b'S', &[], Suppress::Everything);
        }
    }

    /// Runs a statement of the relay; false: it failed.
    pub(super) async fn command(&mut self, text: &str, suppress: Suppress) -> Step<bool> {
        let errors = self.pump.upstream_side.errors;
        self.pump.send_own(b'Q', &[text.as_bytes(), b"\0"], suppress);
        self.await_answers(matches!(suppress, Suppress::Part { .. })).await?;
        Ok(self.pump.upstream_side.errors == errors)
    }

    /// Fails the upstream's transaction as the client's error of a moment ago would have. Within a pipeline everything
    /// up to Sync is then passed over by the upstream as well.
    pub(super) async fn fail_upstream(&mut self, in_pipeline: bool) -> Step<()> {
        if self.pump.upstream_side.expected.is_skipping() {
            // It has failed there by itself.
            return Ok(());
        }
        self.pump.send_own(b'E', &[FAILED, &[0; 4]], Suppress::Everything);
        if !in_pipeline {
            self.pump.send_own(b'S', &[], Suppress::Everything);
        }
        self.await_answers(false).await?;
        Ok(())
    }
}
