//! What the proxy says to the upstream in its own name, on the client's connection. The client sees nothing of it.

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::Relay;
use super::back::first_field;
use super::expected::Veil;
use super::pump::Pump;
use crate::wire::postgres::fault::Step;

/// Our prepared statement and portal; they are closed at once, and no client uses such a name.
pub(super) const NAME: &[u8] = b"flashgate: state\0";
/// A portal that never exists. The name says to a reader of the upstream's log what the error is for.
const FAILED: &[u8] = b"flashgate: a statement of this transaction failed at the proxy\0";
/// Settings that a statement of ours must follow and that the upstream does not report by itself.
const ASKED: [&str; 3] = ["statement_timeout", "search_path", "role"];

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
        if self.back.expected.is_open() && !self.back.expected.is_empty() {
            message(&mut self.upstream.unsent, b'H', &[]);
        }
    }

    pub(super) fn say(&mut self, kind: u8, parts: &[&[u8]], veil: Veil) {
        message(&mut self.upstream.unsent, kind, parts);
        self.back.expected.push_own(kind, veil);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Relay<S> {
    /// Asks the upstream for settings that it does not report. Everything before must be answered, and no transaction
    /// may have failed. SHOW is asked since it takes no snapshot: a client may still set its transaction's isolation.
    pub(super) async fn ask(&mut self) -> Step<Vec<(&'static str, String)>> {
        self.pump.back.rows.clear();
        for name in ASKED {
            self.pump.say(b'P', &[NAME, b"SHOW ", name.as_bytes(), b"\0\0\0"], Veil::All);
            self.pump.say(b'B', &[NAME, NAME, &[0; 6]], Veil::All);
            self.pump.say(b'E', &[NAME, &[0; 4]], Veil::All);
            self.pump.say(b'C', &[b"P", NAME], Veil::All);
            self.pump.say(b'C', &[b"S", NAME], Veil::All);
        }
        if self.pump.back.expected.is_open() {
            message(&mut self.pump.upstream.unsent, b'H', &[]);
        } else {
            self.pump.say(b'S', &[], Veil::All);
        }
        self.settle(false).await?;
        let rows = std::mem::take(&mut self.pump.back.rows);
        Ok(ASKED.into_iter().zip(&rows).filter_map(|(name, row)| Some((name, first_field(row)?))).collect())
    }

    /// Runs a statement of our own; false: it failed.
    pub(super) async fn command(&mut self, text: &str, veil: Veil) -> Step<bool> {
        let errors = self.pump.back.errors;
        self.pump.say(b'Q', &[text.as_bytes(), b"\0"], veil);
        self.settle(veil == Veil::Ready).await?;
        Ok(self.pump.back.errors == errors)
    }

    /// Fails the upstream's transaction as the client's error of a moment ago would have. Within a pipeline everything
    /// up to Sync is then passed over by the upstream as well.
    pub(super) async fn fail_upstream(&mut self, in_pipeline: bool) -> Step<()> {
        if self.pump.back.expected.is_skipping() {
            // It has failed there by itself.
            return Ok(());
        }
        self.pump.say(b'E', &[FAILED, &[0; 4]], Veil::All);
        if !in_pipeline {
            self.pump.say(b'S', &[], Veil::All);
        }
        self.settle(false).await?;
        Ok(())
    }
}
