//! COM_CHANGE_USER: the upstream authenticates the client anew, on the same connection.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::capabilities::sends_password;
use super::dispatch::last_sequence;
use super::expected::Expected;
use super::login::{LoginFailure, LoginRequest, authenticate};
use super::upstream_side::UpstreamSide;
use super::{Client, Relay};
use crate::wire::mysql::charset::Charset;
use crate::wire::mysql::command::Command;
use crate::wire::mysql::result::Refusal;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Relay<S> {
    /// COM_CHANGE_USER: the upstream authenticates anew; no local state outlives it.
    pub(super) async fn change_user(&mut self, bytes: &[u8], packet: Bytes) -> io::Result<bool> {
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
